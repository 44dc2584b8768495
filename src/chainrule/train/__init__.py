"""Training: the loop, metrics, checkpoints that resume bit for bit, progress, run folders.

`Trainer` reads top to bottom as what a run does; the rest are its parts. The networks that the
command line trains are in `models.py`.
"""

from chainrule.train.checkpoint import Checkpoint
from chainrule.train.config import TrainConfig
from chainrule.train.engines import Engine, build_engine, default_engine
from chainrule.train.evaluate import Score, evaluate, probabilities
from chainrule.train.interrupt import Interrupted
from chainrule.train.learner import Learner, build_learner, load_and_prepare
from chainrule.train.models import build_model
from chainrule.train.pictures import Pictures, Source, find_source, load_pictures, load_test
from chainrule.train.run import RunFolder
from chainrule.train.saved_run import SavedRun, load_run
from chainrule.train.schedule import learning_rate
from chainrule.train.trainer import Trainer

__all__ = [
    "Checkpoint",
    "Engine",
    "Interrupted",
    "Learner",
    "Pictures",
    "RunFolder",
    "SavedRun",
    "Score",
    "Source",
    "TrainConfig",
    "Trainer",
    "build_engine",
    "build_learner",
    "build_model",
    "default_engine",
    "evaluate",
    "find_source",
    "learning_rate",
    "load_and_prepare",
    "load_pictures",
    "load_run",
    "load_test",
    "probabilities",
]
