"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, cast

from chainrule.errors import ConfigError, StateDictError
from chainrule.optim.lr_scheduler.plateau import ReduceLROnPlateau
from chainrule.optim.lr_scheduler.scheduler import LRScheduler
from chainrule.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composed(LRScheduler):
    """What both share: the parts, checked and saved."""

    transient = ("optimizer", "schedulers")

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        by = type(self).__name__
        if not schedulers:
            raise ConfigError(f"{by}: no schedulers", cure="pass one or more")
        for index, each in enumerate(cast("Sequence[Any]", schedulers)):
            if not isinstance(each, LRScheduler) or isinstance(each, ReduceLROnPlateau):
                raise ConfigError(
                    f"{by}: scheduler {index} is a {type(each).__name__}, which can't be a part",
                    cure="step ReduceLROnPlateau on its own: it needs a metric",
                )
            if optimizer is None:
                optimizer = each.optimizer
            if each.optimizer is not optimizer:
                raise ConfigError(
                    f"{by}: scheduler {index} belongs to another optimizer",
                    cure="make all of them for the same one",
                )
        assert optimizer is not None
        self.schedulers = list(schedulers)
        self.optimizer = optimizer
        self.base_lrs = list(schedulers[0].base_lrs)

    def rewind(self) -> None:
        """Undo the counting of the parts' first steps."""
        for each in self.schedulers:
            _rewind(each)

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, and each of its parts under `"_schedulers"`."""
        return {
            **super().state_dict(),
            "_schedulers": [each.state_dict() for each in self.schedulers],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` gave.

        Raises:
            StateDictError: it has other parts.
        """
        parts: list[Any] = list(state_dict.get("_schedulers", ()))
        if len(parts) != len(self.schedulers):
            raise StateDictError(
                f"{type(self).__name__}: {len(self.schedulers)} parts, the state dict {len(parts)}",
                cure="build it of the same schedules",
            )
        own = super().state_dict()
        if missing := sorted(own.keys() - state_dict.keys()):
            raise StateDictError(
                f"{type(self).__name__}: the state dict has no {', '.join(missing)}",
                cure="load what the state_dict() of the same kind of schedule gave",
            )
        for each, state in zip(self.schedulers, parts, strict=True):
            each.load_state_dict(state)
        vars(self).update({key: state_dict[key] for key in own})


def _rewind(scheduler: LRScheduler) -> None:
    if isinstance(scheduler, _Composed):
        scheduler.rewind()
    else:
        scheduler.last_epoch -= 1


class SequentialLR(_Composed):
    """One schedule after the other: warm up, then anneal.

    Args:
        optimizer: whose rates are set.
        schedulers: the schedules, of this optimizer.
        milestones: the epochs at which the next one takes over, one fewer than schedules. It then
            begins with its own epoch 0.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: the parts do not fit together.

    >>> import chainrule
    >>> from chainrule.optim import SGD
    >>> from chainrule.optim.lr_scheduler import ExponentialLR, LinearLR
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> scheduler = SequentialLR(optimizer, [warm_up, ExponentialLR(optimizer, 0.5)], [2])
    >>> for _ in range(4):
    ...     print(optimizer.param_groups[0]["lr"])
    ...     scheduler.step()
    0.5
    0.75
    1.0
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ConfigError(
                f"SequentialLR: {len(schedulers)} schedulers and milestones {list(milestones)}",
                cure="one rising milestone between each two schedules",
            )
        self.milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:  # undo the first steps of all
            group["lr"] = group["initial_lr"]
        self.rewind()
        first = self.schedulers[bisect_right(self.milestones, 0)]
        first.begin()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """Go on by an epoch, with the schedule whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self.milestones, self.last_epoch)
        scheduler = self.schedulers[turn]
        if turn > 0 and self.milestones[turn - 1] == self.last_epoch:
            scheduler.restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def begin(self) -> None:
        """Make the first schedule's first step."""
        self.schedulers[bisect_right(self.milestones, 0)].begin()
        self._last_lr = self.current_lr()

    def restart(self) -> None:
        """Be at epoch 0 again."""
        self.last_epoch = 0
        self.schedulers[bisect_right(self.milestones, 0)].restart()
        self._last_lr = self.current_lr()


class ChainedScheduler(_Composed):
    """Several schedules at once, each changing what the one before it has set.

    Args:
        schedulers: the schedules, of one optimizer.
        optimizer: that optimizer; None to take theirs.

    Raises:
        ConfigError: the parts do not fit together.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> warm_up = lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> decay = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = lr_scheduler.ChainedScheduler([warm_up, decay])
    >>> for _ in range(4):
    ...     print(optimizer.param_groups[0]["lr"])
    ...     scheduler.step()
    0.5
    0.25
    0.25
    0.125
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self._take(schedulers, optimizer)
        self.last_epoch = 0
        self._last_lr = self.current_lr()

    def step(self) -> None:
        """Go on by an epoch with every one of them."""
        self.last_epoch += 1
        for each in self.schedulers:
            each.step()
        self._last_lr = self.current_lr()

    def begin(self) -> None:
        """Make every schedule's first step."""
        for each in self.schedulers:
            each.begin()
        self._last_lr = self.current_lr()

    def restart(self) -> None:
        """Be at epoch 0 again: the first rates, then every schedule's first step."""
        self.last_epoch = 0
        self.write(self.base_lrs)
        self.rewind_to_start()
        self.begin()

    def rewind_to_start(self) -> None:
        """Before the first step of every part."""
        for each in self.schedulers:
            each.last_epoch = -1
