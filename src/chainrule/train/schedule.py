"""The learning rate as a pure function of the step: a resumed run has nothing to restore."""

from __future__ import annotations

import math

from chainrule.errors import ConfigError

__all__ = ["learning_rate"]

_WARM_UP = 0.25  # of all steps
_START, _END = 25, 1e4  # one-cycle starts at lr / 25, ends there / 1e4 (Smith and Topin, 2019)


def learning_rate(schedule: str, highest: float, step: int, steps: int) -> float:
    """The rate for one step, counted from 0, of `steps` in all.

    `one-cycle` rises along a cosine for a quarter of the steps, then falls along another (Smith and
    Topin 2019, arXiv:1708.07120); `cosine` only falls (Loshchilov and Hutter 2017); `constant`
    stays.

    >>> [round(learning_rate("one-cycle", 1.0, step, 9), 3) for step in (0, 2, 5, 8)]
    [0.04, 1.0, 0.5, 0.0]
    """
    if schedule == "constant":
        return highest
    last = max(1, steps - 1)
    if schedule == "cosine":
        return _between(highest, 0.0, step / steps)
    if schedule == "one-cycle":
        lowest = highest / _START
        peak = _WARM_UP * last
        if step < peak:
            return _between(lowest, highest, step / peak)
        return _between(highest, lowest / _END, (step - peak) / (last - peak))
    raise ConfigError(f"there is no schedule {schedule!r}")


def _between(begin: float, end: float, part: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * part)) / 2
