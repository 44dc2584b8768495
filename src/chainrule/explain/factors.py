"""What it means that something would be right if it were multiplied by a number.

A sign, a factor, or the size of some axes: which of them shows where the sizes change.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from chainrule.explain.truth import Trial

__all__ = ["plain", "told"]


def plain(factor: float) -> float:
    """A factor without the rounding of how it was found."""
    for denominator in range(1, 13):
        near = round(factor * denominator) / denominator
        if abs(factor - near) <= 1e-9 * max(1.0, abs(factor)):
            return near
    return factor


def told(
    factors: Sequence[float], trials: Sequence[Trial], shapes: Sequence[tuple[int, ...]]
) -> Iterator[tuple[str, str]]:
    """What it means that something must be multiplied by these, in each trial."""
    known = [i for i, each in enumerate(factors) if math.isfinite(each)]
    mine = [factors[i] for i in known]
    first = mine[0]
    constant = all(abs(each - first) <= 1e-7 * abs(first) + 1e-12 for each in mine)
    if constant and first == 0.0:
        yield "extra term", "it does not belong there"
        return
    if constant and first == -1.0:
        yield "sign", "it has the wrong sign"
        return
    sizes = (
        None
        if constant and len(mine) < 2 and first == 1.0
        else _size(mine, [trials[i] for i in known], [shapes[i] for i in known])
    )
    if sizes is not None:
        kind, name = sizes
        verb = "divided by it" if kind == "mean for sum" else "not divided by it"
        yield kind, f"it is {verb}: {name}"
    elif not constant and all(_whole(1 / each) for each in mine if each):
        yield "sum for mean", "it is not divided by the number of what is counted"
    elif not constant and all(_whole(each) for each in mine):
        yield "mean for sum", "it is divided by the number of what is counted"
    if constant:
        yield "factor", f"it is {_ratio(1 / first)} times what it should be"


def _whole(value: float) -> bool:
    return value > 0.5 and abs(value - round(value)) < 1e-7 * value


def _ratio(value: float) -> str:
    if value == int(value):
        return str(int(value))
    for denominator in range(2, 13):
        if abs(value * denominator - round(value * denominator)) < 1e-9:
            return f"{round(value * denominator)}/{denominator}"
    return f"{value:.6g}"


def _size(
    factors: Sequence[float], trials: Sequence[Trial], shapes: Sequence[tuple[int, ...]]
) -> tuple[str, str] | None:
    """The axes whose sizes the factors are, or their inverses are."""
    owners: list[tuple[str, list[tuple[int, ...]]]] = [
        ("the value", list(shapes)),
        ("the cotangent", [trial.y_bars[0].shape for trial in trials]),
    ]
    for i, _ in enumerate(trials[0].arrays):
        owners.append((f"input {i}", [trial.arrays[i].shape for trial in trials]))
    for owner, each in owners:
        if len({len(shape) for shape in each}) > 1:
            continue
        for count in range(1, len(each[0]) + 1):
            for axes in itertools.combinations(range(len(each[0])), count):
                sizes = [math.prod(shape[axis] for axis in axes) for shape in each]
                if all(size == 1 for size in sizes):
                    continue
                name = f"the size of axis {', '.join(map(str, axes))} of {owner}"
                if all(abs(f - n) < 1e-7 * n for f, n in zip(factors, sizes)):
                    return "mean for sum", name
                if all(abs(f * n - 1) < 1e-7 for f, n in zip(factors, sizes)):
                    return "sum for mean", name
    return None
