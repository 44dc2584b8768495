"""A trained network as a run's checkpoint holds it, ready to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chainrule.errors import ChainruleError, CheckpointError
from chainrule.nn import Module
from chainrule.ops.from_data import from_numpy
from chainrule.train.config import TrainConfig
from chainrule.train.models import build_model
from chainrule.train.run import RunFolder

__all__ = ["SavedRun", "load_run"]


@dataclass(frozen=True)
class SavedRun:
    """A network with what it takes to use it: the classes' names, and how pictures are scaled."""

    config: TrainConfig
    model: Module
    classes: tuple[str, ...]
    mean: float
    std: float
    step: int


def load_run(path: Path, which: str = "last") -> SavedRun:
    """The network of a run's `last` or `best` checkpoint, in eval mode.

    Raises:
        CheckpointError: it is no run, has no checkpoint, or that is damaged.
    """
    run = RunFolder.open(path)
    checkpoint = run.checkpoint(which, optimizer=False)
    state = checkpoint.state
    try:
        config = TrainConfig.from_dict(state["config"])
        classes = tuple(str(name) for name in state["classes"])
        mean, std = float(state["mean"]), float(state["std"])
        model = build_model(config.model, len(classes))
        model.load_state_dict({k: from_numpy(v) for k, v in checkpoint.model.items()})
    except (ChainruleError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint of step {checkpoint.step} does not fit: {error}",
            cure="use the version of chainrule that wrote it",
        ) from error
    return SavedRun(config, model.eval(), classes, mean, std, checkpoint.step)
