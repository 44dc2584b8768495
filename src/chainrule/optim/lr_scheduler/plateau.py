"""Lower the rate when a metric has stopped getting better."""

from __future__ import annotations

from math import inf
from typing import SupportsFloat

from chainrule.errors import ConfigError
from chainrule.optim.lr_scheduler.scheduler import LRScheduler, check_optimizer, per_group
from chainrule.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Times `factor` when a metric has not got better for more than `patience` epochs.

    Args:
        optimizer: whose rates are set.
        mode: `"min"` where less is better, `"max"` where more is.
        factor: below 1.
        patience: how many epochs without getting better are put up with.
        threshold: what counts as better:
        threshold_mode: than best · (1 ∓ threshold) for `"rel"`, than best ∓ threshold for `"abs"`.
        cooldown: epochs after a drop in which nothing counts.
        min_lr: the least rate, or one per group.
        eps: a change smaller than this is not made.

    Raises:
        ConfigError: a setting is out of range.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.95, 0.9):
    ...     scheduler.step(loss)
    ...     print(scheduler.get_last_lr())
    [1.0]
    [1.0]
    [1.0]
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ConfigError(
                f"ReduceLROnPlateau: factor={factor}, but it must be below 1", cure="try 0.1"
            )
        if mode not in ("min", "max"):
            raise ConfigError(f"ReduceLROnPlateau: mode={mode!r}", cure='pass "min" or "max"')
        if threshold_mode not in ("rel", "abs"):
            raise ConfigError(
                f"ReduceLROnPlateau: threshold_mode={threshold_mode!r}", cure='pass "rel" or "abs"'
            )
        self.optimizer = check_optimizer(optimizer, "ReduceLROnPlateau")
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = per_group("min_lr", optimizer, min_lr)
        self.eps = eps
        self.best = inf if mode == "min" else -inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self.last_epoch = 0
        self.base_lrs = self.current_lr()
        self._last_lr = self.current_lr()

    @property
    def in_cooldown(self) -> bool:
        """Whether the last drop was so recent that nothing counts."""
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat | None = None) -> None:
        """Take the metric of one more epoch.

        Args:
            metrics: the value watched; a tensor of one element will do. A NaN is no better than
                anything.

        Raises:
            ConfigError: there is none.
        """
        if metrics is None:
            raise ConfigError(
                "ReduceLROnPlateau: step() without a metric", cure="pass it: step(loss)"
            )
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self.current_lr()

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, least)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr

    def _is_better(self, value: float) -> bool:
        relative = self.threshold_mode == "rel"
        if self.mode == "min":
            bar = self.best * (1.0 - self.threshold) if relative else self.best - self.threshold
            return value < bar
        bar = self.best * (1.0 + self.threshold) if relative else self.best + self.threshold
        return value > bar
