"""How far a run is: counters and running means, kept in every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from chainrule.errors import CheckpointError

__all__ = ["Meter", "Position"]


@dataclass
class Meter:
    """The mean loss and accuracy of the samples since it was last cleared.

    >>> meter = Meter()
    >>> meter.add(loss=0.5, correct=3, count=4)
    >>> meter.add(loss=2.0, correct=0, count=1)
    >>> meter.mean_loss, meter.accuracy
    (0.8, 0.6)
    """

    loss: float = 0.0
    correct: int = 0
    seen: int = 0

    def add(self, loss: float, correct: int, count: int) -> None:
        """One batch: its mean loss, how many were right, how many there were."""
        self.loss += loss * count
        self.correct += correct
        self.seen += count

    @property
    def mean_loss(self) -> float:
        """Per sample."""
        return self.loss / max(1, self.seen)

    @property
    def accuracy(self) -> float:
        """The part that was right."""
        return self.correct / max(1, self.seen)


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        epoch: how many epochs are done.
        step: how many steps are done.
        seconds: spent in training, over all sessions of the run.
        epoch_seconds: of these, in the epoch that is not done.
        best_step, best_accuracy: which checkpoint did best on the validation part.
        in_epoch, in_interval: the means so far.

    >>> Position.from_dict(Position(epoch=1, step=40).to_dict()).step
    40
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    best_step: int = -1
    best_accuracy: float = -1.0
    in_epoch: Meter = field(default_factory=Meter)
    in_interval: Meter = field(default_factory=Meter)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Position:
        """What `to_dict` gave.

        Raises:
            CheckpointError: it is of another shape.
        """
        try:
            meters: dict[str, Any] = {
                name: Meter(**saved[name]) for name in ("in_epoch", "in_interval")
            }
            return cls(**{**saved, **meters})
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"the checkpoint's position lacks or garbles {error}",
                cure="use the version of chainrule that wrote it, or train anew",
            ) from error
