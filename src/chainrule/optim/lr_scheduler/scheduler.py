"""`LRScheduler`: what every schedule shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chainrule.errors import ConfigError, StateDictError
from chainrule.optim.optimizer import Optimizer

__all__ = ["LRScheduler", "per_group"]


class LRScheduler:
    """The base class of learning rate schedules.

    `step()` counts `last_epoch` up and writes the new rates into the groups: into tensors that a
    compiled step reads too, so nothing is built again. Call it after `optimizer.step()`.

    Subclasses define `get_lr`. Most go from the present rate to the next one, as PyTorch's do, so
    that several schedules can act on one optimizer (`ChainedScheduler`).

    Args:
        optimizer: whose groups' `"lr"` is set.
        last_epoch: -1 to begin; where to go on, if the groups have an `"initial_lr"`.

    Attributes:
        base_lrs: the groups' rates when the first schedule was made.
        last_epoch: how often `step()` was called.

    Raises:
        ConfigError: there is no optimizer, or nothing to go on from.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> class Halved(lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> scheduler = Halved(optimizer)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    transient = ("optimizer",)
    """Attributes that are no part of the state."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(optimizer, type(self).__name__)
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ConfigError(
                    f"{type(self).__name__}: last_epoch={last_epoch}, but group {index} has no "
                    '"initial_lr" to go on from',
                    cure="load the optimizer's state dict first, or begin with last_epoch=-1",
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.begin()

    def begin(self) -> None:
        """Make the first step, the one that sets the rates to begin with."""
        self.first = True
        self.advance()
        self.first = False

    def get_lr(self) -> list[float]:
        """The rates of the epoch `last_epoch`, a group each; see `get_last_lr` for those set."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The rates set by the last step, a group each."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go on by an epoch (or an iteration, if that is what you call it after)."""
        self.advance()

    def advance(self) -> None:
        """Count, and write the rates."""
        self.last_epoch += 1
        self.write(self.get_lr())

    def restart(self) -> None:
        """Be at epoch 0 again: a `SequentialLR` has come to this schedule."""
        self.last_epoch = 0
        self.write(self.start_lr())

    def start_lr(self) -> list[float]:
        """The rates at epoch 0, whatever they are now."""
        return self.base_lrs

    def write(self, rates: Sequence[float]) -> None:
        """Set the groups' rates."""
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = self.current_lr()

    def current_lr(self) -> list[float]:
        """The groups' rates as they are."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def scaled(self, factor: float) -> list[float]:
        """The groups' rates times a factor."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, in numbers and lists; the functions given to it are not part of it.

        >>> import chainrule
        >>> from chainrule.optim import SGD, lr_scheduler
        >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = lr_scheduler.StepLR(optimizer, step_size=30)
        >>> scheduler.step()
        >>> scheduler.state_dict()["last_epoch"]
        1
        """
        left_out = (*self.transient, "first")
        return {
            key: list(cast("list[Any]", value)) if isinstance(value, list) else value
            for key, value in vars(self).items()
            if key not in left_out
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` gave. The rates come with the optimizer's own state.

        Raises:
            StateDictError: it is the state of another kind of schedule.
        """
        own = self.state_dict()
        if missing := sorted(own.keys() - state_dict.keys()):
            raise StateDictError(
                f"{type(self).__name__}: the state dict has no {', '.join(missing)}",
                cure="load what the state_dict() of the same kind of schedule gave",
            )
        vars(self).update({key: state_dict[key] for key in own})


def check_optimizer(optimizer: Any, by: str) -> Optimizer:
    """The optimizer, if it is one."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    raise ConfigError(
        f"{by} sets the rate of an optimizer, and {type(optimizer).__name__} is none",
        cure="pass the optimizer first",
    )


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A setting for each group: the same one, or those of a list.

    Raises:
        ConfigError: the list has not one value for each group.

    >>> import chainrule
    >>> x, y = chainrule.zeros(2, requires_grad=True), chainrule.zeros(3, requires_grad=True)
    >>> optimizer = chainrule.optim.SGD([{"params": [x]}, {"params": [y]}], lr=1.0)
    >>> per_group("max_lr", optimizer, 0.5), per_group("max_lr", optimizer, [0.5, 0.1])
    ([0.5, 0.5], [0.5, 0.1])
    """
    groups = len(optimizer.param_groups)
    if type(value) not in (list, tuple):
        return [value] * groups
    given = list(value)
    if len(given) != groups:
        raise ConfigError(
            f"{name} lists {len(given)} values for {groups} parameter groups",
            cure="give one value, or one per group",
        )
    return given


def positive_int(name: str, value: Any) -> int:
    """A whole number above 0."""
    if isinstance(value, int) and value > 0:
        return value
    raise ConfigError(f"{name}={value!r}, but it must be a whole number above 0", setting=name)
