"""What learns: a network, its optimizers, and the engine that moves it; all that needs no data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chainrule.data import describe
from chainrule.nn import CrossEntropyLoss, Sequential
from chainrule.ops.generator import manual_seed
from chainrule.optim import Optimizer
from chainrule.train.config import TrainConfig
from chainrule.train.engines import Engine, build_engine
from chainrule.train.models import build_model
from chainrule.train.optimizers import build_optimizers
from chainrule.train.pictures import SIDE, Pictures, load_pictures

__all__ = ["Learner", "build_learner", "load_and_prepare"]


@dataclass(frozen=True)
class Learner:
    """A network and what trains it.

    Attributes:
        model: the network.
        optimizers: of its parameters.
        engine: carries the steps out.
        classes: how many the network tells.
        batch_size: of all batches but an epoch's last one.

    >>> from chainrule.train import TrainConfig
    >>> learner = build_learner(TrainConfig.of("drawn", "mlp"), classes=10)
    >>> learner.batch_size, len(learner.optimizers)
    (128, 1)
    """

    model: Sequential
    optimizers: list[Optimizer]
    engine: Engine
    classes: int
    batch_size: int


def build_learner(config: TrainConfig, classes: int, batch_size: int | None = None) -> Learner:
    """The network of a run before its first step; sets the random generator to the run's seed.

    Args:
        config: the settings.
        classes: how many there are to tell.
        batch_size: where there are fewer samples than `config.batch_size`: as many as there are.

    Raises:
        ConfigError: the engine can't train this network.
        MissingDependencyError: the engine compiles, and llvmlite is not installed.

    >>> from chainrule.train import TrainConfig
    >>> build_learner(TrainConfig.of("drawn", "mlp"), classes=10, batch_size=50).batch_size
    50
    """
    manual_seed(config.seed)
    size = batch_size or config.batch_size
    model = build_model(config.model, classes)
    optimizers = build_optimizers(config.optimizer, model, config.lr, config.weight_decay)
    engine = build_engine(config.engine, model, CrossEntropyLoss(), optimizers, size)
    return Learner(model, optimizers, engine, classes, size)


def load_and_prepare(config: TrainConfig, data_dir: str | None = None) -> tuple[Pictures, Learner]:
    """A run's data, and what is to learn from it: compiled, if it is, while the data is read.

    Raises:
        ConfigError, DataError, MissingDependencyError: see `load_pictures` and `build_learner`.

    >>> from chainrule.train import TrainConfig
    >>> config = TrainConfig.of("drawn", "mlp", limit=50, validation=10)
    >>> pictures, learner = load_and_prepare(config)
    >>> len(pictures.train), learner.classes
    (40, 10)
    """
    with ThreadPoolExecutor(1, "chainrule-data") as pool:
        reading = pool.submit(load_pictures, config, data_dir)
        name = "mnist" if config.dataset == "drawn" else config.dataset
        learner = build_learner(config, len(describe(name).classes))
        if config.limit is None or config.limit - config.validation >= learner.batch_size:
            learner.engine.prepare((learner.batch_size, 1, SIDE, SIDE))
        return reading.result(), learner
