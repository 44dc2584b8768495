"""Schedules that multiply: the next rate is the present one (or the first) times a factor."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

from chainrule.errors import ConfigError
from chainrule.optim.lr_scheduler.scheduler import LRScheduler, per_group, positive_int
from chainrule.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]

Factor = Callable[[int], float]


def _functions(by: str, optimizer: Optimizer, given: Factor | list[Factor]) -> list[Factor]:
    functions = per_group("lr_lambda", optimizer, given)
    for each in functions:
        if not callable(each):
            raise ConfigError(
                f"{by}: lr_lambda is a {type(each).__name__}",
                cure="pass a function of the epoch, or one per group",
            )
    return functions


class LambdaLR(LRScheduler):
    """γ(t) = γ₀ · lr_lambda(t).

    Args:
        optimizer: whose rates are set.
        lr_lambda: a function of the epoch, or one per group. It is not part of the state dict.
        last_epoch: -1 to begin.

    >>> import chainrule
    >>> from chainrule.optim import SGD
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    transient = ("optimizer", "lr_lambdas")

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1
    ) -> None:
        self.lr_lambdas = _functions("LambdaLR", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ₀ · lr_lambda(t)."""
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [base * factor(self.last_epoch) for base, factor in pairs]

    def start_lr(self) -> list[float]:
        """γ₀ · lr_lambda(0)."""
        return self.get_lr()


class MultiplicativeLR(LRScheduler):
    """γ(t) = γ(t-1) · lr_lambda(t), from t = 1 on.

    Args:
        optimizer: whose rates are set.
        lr_lambda: a function of the epoch, or one per group. It is not part of the state dict.
        last_epoch: -1 to begin.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 1 / epoch)
    >>> for _ in range(4):
    ...     print(round(scheduler.get_last_lr()[0], 4))
    ...     scheduler.step()
    1.0
    1.0
    0.5
    0.1667
    """

    transient = ("optimizer", "lr_lambdas")

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1
    ) -> None:
        self.lr_lambdas = _functions("MultiplicativeLR", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ(t-1) · lr_lambda(t)."""
        if self.first:
            return self.current_lr()
        pairs = zip(self.current_lr(), self.lr_lambdas, strict=True)
        return [lr * factor(self.last_epoch) for lr, factor in pairs]


class StepLR(LRScheduler):
    """Times `gamma` every `step_size` epochs.

    Args:
        optimizer: whose rates are set.
        step_size: epochs between two drops.
        gamma: the factor.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: `step_size` is no whole number above 0.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr())
    ...     scheduler.step()
    [1.0]
    [1.0]
    [0.5]
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = positive_int("StepLR: step_size", step_size)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ(t-1), times `gamma` where `step_size` divides t."""
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self.current_lr()
        return self.scaled(self.gamma)


class MultiStepLR(LRScheduler):
    """Times `gamma` at each milestone.

    Args:
        optimizer: whose rates are set.
        milestones: epochs; one named twice counts twice.
        gamma: the factor.
        last_epoch: -1 to begin.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr())
    ...     scheduler.step()
    [1.0]
    [0.5]
    [0.5]
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ(t-1), times `gamma` at a milestone."""
        times = self.milestones.count(self.last_epoch)
        return self.scaled(self.gamma**times) if times else self.current_lr()

    def start_lr(self) -> list[float]:
        """γ₀, less if 0 is a milestone."""
        factor = self.gamma ** bisect_right(self.milestones, 0)
        return [base * factor for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """γ₀ · factor for `total_iters` epochs, and γ₀ from then on.

    Args:
        optimizer: whose rates are set.
        factor: in (0, 1].
        total_iters: how long.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: the factor is out of range. (PyTorch takes 0 too, and divides by it later.)

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> for _ in range(3):
    ...     print(scheduler.get_last_lr())
    ...     scheduler.step()
    [0.5]
    [0.5]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < factor <= 1:
            raise ConfigError(
                f"ConstantLR: factor={factor}, but it must be in (0, 1]", cure="try 1/3"
            )
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ₀ · factor, then γ₀."""
        if self.last_epoch == 0:
            return self.scaled(self.factor)
        if self.last_epoch != self.total_iters:
            return self.current_lr()
        return self.scaled(1.0 / self.factor)

    def start_lr(self) -> list[float]:
        """γ₀ · factor."""
        factor = self.factor if self.total_iters > 0 else 1.0
        return [base * factor for base in self.base_lrs]


class LinearLR(LRScheduler):
    """From γ₀ · start_factor to γ₀ · end_factor in equal steps: the usual warm-up.

    Args:
        optimizer: whose rates are set.
        start_factor: in (0, 1].
        end_factor: in [0, 1].
        total_iters: how many steps it takes.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: a factor is out of range.

    >>> import chainrule
    >>> from chainrule.optim import SGD
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> for _ in range(4):
    ...     print(optimizer.param_groups[0]["lr"])
    ...     scheduler.step()
    0.25
    0.5
    0.75
    1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ConfigError(
                f"LinearLR: start_factor={start_factor}, but it must be in (0, 1]", cure="try 1/3"
            )
        if not 0 <= end_factor <= 1:
            raise ConfigError(
                f"LinearLR: end_factor={end_factor}, but it must be in [0, 1]", cure="try 1"
            )
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ(t-1) times the ratio of two neighbours on the line."""
        if self.last_epoch == 0:
            return self.scaled(self.start_factor)
        if self.first or self.last_epoch > self.total_iters:
            return self.current_lr()
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return self.scaled(1.0 + rise / before)

    def start_lr(self) -> list[float]:
        """γ₀ · start_factor."""
        return [base * self.start_factor for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Times `gamma` every epoch.

    Args:
        optimizer: whose rates are set.
        gamma: the factor.
        last_epoch: -1 to begin.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     print(scheduler.get_last_lr())
    ...     scheduler.step()
    [1.0]
    [0.5]
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ(t-1) · gamma."""
        return self.current_lr() if self.first else self.scaled(self.gamma)


class PolynomialLR(LRScheduler):
    """γ(t) = γ₀ (1 - t / total_iters)^power, and 0 from then on.

    Args:
        optimizer: whose rates are set.
        total_iters: when it arrives at 0.
        power: of the polynomial.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: `total_iters` is no whole number above 0.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.PolynomialLR(optimizer, total_iters=2, power=2)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr())
    ...     scheduler.step()
    [1.0]
    [0.25]
    [0.0]
    [0.0]
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = positive_int("PolynomialLR: total_iters", total_iters)
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ(t-1) times the ratio of two neighbours on the polynomial."""
        t, end = self.last_epoch, self.total_iters
        if self.first or t > end:
            return self.current_lr()
        return self.scaled(((1.0 - t / end) / (1.0 - (t - 1) / end)) ** self.power)
