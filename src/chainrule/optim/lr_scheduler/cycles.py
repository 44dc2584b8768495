"""Up and down: the one-cycle policy, and triangles; the momentum goes the other way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from math import cos, floor, pi
from typing import Any

from chainrule.errors import ConfigError
from chainrule.optim.lr_scheduler.scheduler import (
    LRScheduler,
    check_optimizer,
    per_group,
    positive_int,
)
from chainrule.optim.optimizer import Optimizer, ParamGroup

__all__ = ["CyclicLR", "OneCycleLR"]


def _check_momentum(optimizer: Optimizer, by: str) -> None:
    if not {"momentum", "betas"} & optimizer.defaults.keys():
        raise ConfigError(
            f"{by}: {type(optimizer).__name__} has neither a momentum nor betas to cycle",
            cure="pass cycle_momentum=False",
        )


def _set_momentum(group: ParamGroup, momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2.0 * (cos(pi * part) + 1)


def _line(start: float, end: float, part: float) -> float:
    return (end - start) * part + start


ANNEAL: dict[str, Callable[[float, float, float], float]] = {"cos": _cosine, "linear": _line}
"""From `start` to `end`, a part of the way."""


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down to almost nothing in one cycle (Smith and Topin 2018).

    https://arxiv.org/abs/1708.07120. The momentum (or β₁) falls while the rate rises, and the other
    way round. Call `step()` after each batch.

    Args:
        optimizer: whose rates are set.
        max_lr: the top, or one per group.
        total_steps: the length of the cycle; or give the next two.
        epochs: how many epochs,
        steps_per_epoch: of how many steps.
        pct_start: the part of the cycle that the rate rises.
        anneal_strategy: `"cos"` or `"linear"`.
        cycle_momentum: cycle it at all.
        base_momentum: the least momentum, or one per group.
        max_momentum: the largest, or one per group.
        div_factor: the first rate is max_lr / div_factor,
        final_div_factor: and the last one the first / final_div_factor.
        three_phase: first down to the first rate again, and only then to the last one.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: a setting is out of range, or the cycle is over.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], momentum=0.9)
    >>> scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.5)
    >>> for _ in range(5):
    ...     print(*(round(optimizer.param_groups[0][key], 4) for key in ("lr", "momentum")))
    ...     scheduler.step()
    0.04 0.95
    0.76 0.875
    0.9045 0.8595
    0.3455 0.9155
    0.0 0.95
    """

    transient = ("optimizer", "_phases")

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer, "OneCycleLR")
        self.total_steps = _cycle_length(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1:
            raise ConfigError(
                f"OneCycleLR: pct_start={pct_start}, but it must be in [0, 1]", cure="try 0.3"
            )
        if anneal_strategy not in ANNEAL:
            raise ConfigError(
                f"OneCycleLR: anneal_strategy={anneal_strategy!r}", cure='pass "cos" or "linear"'
            )
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self._phases = _phases(pct_start, self.total_steps, three_phase)
        if cycle_momentum:
            _check_momentum(optimizer, "OneCycleLR")
        if last_epoch == -1:
            tops = per_group("max_lr", optimizer, max_lr)
            lows = per_group("base_momentum", optimizer, base_momentum)
            highs = per_group("max_momentum", optimizer, max_momentum)
            for group, top, low, high in zip(
                optimizer.param_groups, tops, lows, highs, strict=True
            ):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = high, low
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates at `last_epoch`; sets the momenta on the way."""
        t = self.last_epoch
        if t > self.total_steps:
            raise ConfigError(
                f"OneCycleLR: step {t} of a cycle of {self.total_steps}",
                cure="make total_steps the number of steps there will be",
            )
        anneal = ANNEAL[self.anneal_strategy]
        ends = [phase[0] for phase in self._phases[:-1]]
        index = bisect_left(ends, t)  # the first phase that ends at t or later
        start = ends[index - 1] if index else 0.0
        end, from_lr, to_lr, from_momentum, to_momentum = self._phases[index]
        part = (t - start) / (end - start)
        rates: list[float] = []
        for group in self.optimizer.param_groups:
            rates.append(anneal(group[from_lr], group[to_lr], part))
            if self.cycle_momentum:
                _set_momentum(group, anneal(group[from_momentum], group[to_momentum], part))
        return rates

    def start_lr(self) -> list[float]:
        """max_lr / div_factor."""
        return self.get_lr()


Phase = tuple[float, str, str, str, str]
"""The last step of a phase, and from where to where rate and momentum go in it."""


def _phases(pct_start: float, steps: int, three_phase: bool) -> list[Phase]:
    top = pct_start * steps - 1
    up: Phase = (top, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [up, (steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    back = 2 * pct_start * steps - 2
    return [
        up,
        (back, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
        (steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
    ]


def _cycle_length(total_steps: Any, epochs: Any, steps_per_epoch: Any) -> int:
    if total_steps is not None:
        return positive_int("OneCycleLR: total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ConfigError(
            "OneCycleLR: how long is the cycle?",
            cure="pass total_steps, or epochs and steps_per_epoch",
        )
    return positive_int("OneCycleLR: epochs", epochs) * positive_int(
        "OneCycleLR: steps_per_epoch", steps_per_epoch
    )


class CyclicLR(LRScheduler):
    """From `base_lr` up to `max_lr` and down again, over and over (Smith 2017).

    https://arxiv.org/abs/1506.01186. Call `step()` after each batch.

    Args:
        optimizer: whose rates are set.
        base_lr: the least rate, or one per group.
        max_lr: the largest, or one per group.
        step_size_up: steps up.
        step_size_down: steps down; None for as many.
        mode: `"triangular"`, `"triangular2"` (half as high every cycle), or `"exp_range"` (times
            gamma^step).
        gamma: for `"exp_range"`.
        scale_fn: a scale of your own in place of the mode's; not part of the state dict.
        scale_mode: whether it is given the number of the `"cycle"` or the `"iterations"`.
        cycle_momentum: cycle the momentum (or β₁), the other way round.
        base_momentum: the least momentum, or one per group.
        max_momentum: the largest, or one per group.
        last_epoch: -1 to begin.

    Raises:
        ConfigError: a setting is out of range.

    >>> import chainrule
    >>> from chainrule.optim import SGD, lr_scheduler
    >>> optimizer = SGD([chainrule.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = lr_scheduler.CyclicLR(
    ...     optimizer, 0.0, 1.0, step_size_up=2, mode="triangular2", cycle_momentum=False
    ... )
    >>> rates = []
    >>> for _ in range(8):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25]
    """

    transient = ("optimizer", "scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer, "CyclicLR")
        down = step_size_up if step_size_down is None else step_size_down
        if not (step_size_up > 0 and down > 0):
            raise ConfigError(
                f"CyclicLR: {step_size_up} steps up and {down} down", cure="both must be above 0"
            )
        if scale_fn is None and mode not in SCALES:
            raise ConfigError(f"CyclicLR: mode={mode!r}", cure=f"pass one of {sorted(SCALES)}")
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        if scale_fn is None:
            scale_mode, scale = SCALES[mode]
            scale_fn = partial(scale, gamma)
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        lows = per_group("base_lr", optimizer, base_lr)
        self.cycle_momentum = cycle_momentum
        self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
        self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if cycle_momentum:
            _check_momentum(optimizer, "CyclicLR")
        if last_epoch == -1:
            for group, low in zip(optimizer.param_groups, lows, strict=True):
                group["lr"] = float(low)
        super().__init__(optimizer, last_epoch)
        # An "initial_lr" that is there already is another schedule's, and stays: see SequentialLR.
        self.base_lrs = [float(low) for low in lows]
        self.write(self.get_lr())

    def get_lr(self) -> list[float]:
        """The triangle at `last_epoch`; sets the momenta on the way."""
        turns = self.last_epoch / self.total_size
        cycle = floor(1 + turns)
        x = 1.0 + turns - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            ):
                _set_momentum(group, high - (high - low) * height * scale)
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height * scale for low, high in pairs]

    def start_lr(self) -> list[float]:
        """base_lr."""
        return self.get_lr()


SCALES: dict[str, tuple[str, Callable[[float, float], float]]] = {
    "triangular": ("cycle", lambda gamma, x: 1.0),
    "triangular2": ("cycle", lambda gamma, x: 1 / 2.0 ** (x - 1)),
    "exp_range": ("iterations", lambda gamma, x: gamma**x),
}
"""By mode: what the scale is a function of, and that function (of gamma, and it)."""
