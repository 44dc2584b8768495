"""Half a wave of a cosine: once and back, or again and again from the top."""

from __future__ import annotations

from math import cos, floor, log, pi

from chainrule.errors import ConfigError
from chainrule.optim.lr_scheduler.scheduler import LRScheduler, positive_int
from chainrule.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """γ(t) = γ_min + (γ₀ - γ_min) (1 + cos(π t / T_max)) / 2 (Loshchilov and Hutter 2017).

    https://arxiv.org/abs/1608.03983, eq. 5, without restarts. Past `T_max` the rate rises again.

    Args:
        optimizer: whose rates are set.
        T_max: epochs from γ₀ down to γ_min.
        eta_min: γ_min.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: `T_max` is no whole number above 0.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=2, eta_min=0.5)
    >>> for _ in range(3):
    ...     print(round(scheduler.get_last_lr()[0], 4))
    ...     scheduler.step()
    1.0
    0.75
    0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = positive_int("CosineAnnealingLR: T_max", T_max)
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """γ(t-1) times the ratio of two neighbours on the wave; at its bottom, a first step."""
        t, end, low = self.last_epoch, self.T_max, self.eta_min
        if self.first:
            if t == 0:
                return self.current_lr()
            return [low + (base - low) * (1 + cos(t * pi / end)) / 2 for base in self.base_lrs]
        if (t - 1 - end) % (2 * end) == 0:
            pairs = zip(self.current_lr(), self.base_lrs, strict=True)
            return [lr + (base - low) * (1 - cos(pi / end)) / 2 for lr, base in pairs]
        ratio = (1 + cos(pi * t / end)) / (1 + cos(pi * (t - 1) / end))
        return [ratio * (lr - low) + low for lr in self.current_lr()]


class CosineAnnealingWarmRestarts(LRScheduler):
    """SGDR: down a cosine, and back to the top at once (Loshchilov and Hutter 2017, eq. 5).

    γ = γ_min + (γ₀ - γ_min) (1 + cos(π T_cur / T_i)) / 2, where T_cur counts the epochs since the
    last restart, and T_i is the length of this period.

    Args:
        optimizer: whose rates are set.
        T_0: the length of the first period.
        T_mult: how many times as long each next one is.
        eta_min: γ_min.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: `T_0` or `T_mult` is no whole number above 0.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> for _ in range(5):
    ...     print(round(scheduler.get_last_lr()[0], 4))
    ...     scheduler.step()
    1.0
    0.5
    1.0
    0.8536
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0 = positive_int("CosineAnnealingWarmRestarts: T_0", T_0)
        self.T_mult = positive_int("CosineAnnealingWarmRestarts: T_mult", T_mult)
        self.T_i = T_0
        self.T_cur: float = last_epoch
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The cosine at T_cur."""
        low = self.eta_min
        factor = 1 + cos(pi * self.T_cur / self.T_i)
        return [low + (base - low) * factor / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by an epoch, or to any point of one: `step(epoch + batch / batches)`.

        Raises:
            ConfigError: the epoch is negative.

        >>> import chainrule
        >>> from chainrule.optim import SGD, lr_scheduler
        >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
        >>> scheduler.step(2.5)
        >>> round(scheduler.get_last_lr()[0], 4)
        0.8536
        """
        if epoch is None:
            self.advance()
            return
        if not epoch >= 0:
            raise ConfigError(f"CosineAnnealingWarmRestarts: step({epoch})", cure="pass 0 or more")
        self._place(epoch)
        self.last_epoch = floor(epoch)
        self.write(self.get_lr())

    def advance(self) -> None:
        """Count, restart where a period ends, and write the rates."""
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        super().advance()

    def begin(self) -> None:
        """Set the rates of the first epoch."""
        if self.last_epoch < 0:
            self.T_cur = -1
        super().begin()

    def restart(self) -> None:
        """Be at epoch 0 again."""
        self.step(0)

    def _place(self, epoch: float) -> None:
        """T_cur and T_i of an epoch: the periods are a geometric series."""
        if self.T_mult == 1:
            self.T_cur, self.T_i = epoch % self.T_0, self.T_0
            return
        past = int(log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
        self.T_cur = epoch - self.T_0 * (self.T_mult**past - 1) / (self.T_mult - 1)
        self.T_i = self.T_0 * self.T_mult**past
