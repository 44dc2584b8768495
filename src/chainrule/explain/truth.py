"""The true derivative, found without the one that is claimed; and other inputs to try it at.

Finite differences in float64 are the judge. Where autodiff of the body agrees with them it is used
in their place, as it has five more digits, and costs little enough to be asked often.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.core.op import Array
from chainrule.errors import ChainruleError
from chainrule.explain.program import Program, sweep
from chainrule.explain.subject import Subject

__all__ = ["FEW", "Differences", "Trial", "autodiff", "cotangents", "differences", "other_inputs"]

STEP = 2e-4  # of five-point differences: their error and the rounding are both near 1e-11
MOST = 240  # elements of one input whose differences are taken
FEW = 24  # and where autodiff of the body says the rest

FAILURES = (ChainruleError, ValueError, TypeError, IndexError, ArithmeticError, KeyError)
"""What a function may raise at inputs that it was not made for."""


@dataclass(frozen=True)
class Differences:
    """The slopes of <y_bar, f> by some elements of one input.

    Attributes:
        elements: which, of the flat array.
        slopes: the slopes.
        errors: how sure they are: how far two step sizes differ, or the two sides.
    """

    elements: Array
    slopes: Array
    errors: Array


@dataclass
class Trial:
    """One set of inputs, with what is true there and what is claimed.

    Attributes:
        arrays: the inputs.
        y_bars: the cotangents of the outputs.
        truth: the true cotangent of each wanted input.
        given: the claimed derivative as it ran.
        tolerance: how far two equal numbers may differ, relative to the largest.
        body: what the function does; its inputs and outputs.
        why: what the size of this trial was chosen for.
    """

    arrays: tuple[Array, ...]
    y_bars: tuple[Array, ...]
    truth: dict[int, Array]
    given: Program
    tolerance: float
    body: Program | None = None
    inputs: list[int] = field(default_factory=list[int])
    outputs: list[int | None] = field(default_factory=list["int | None"])
    why: str = ""
    _bars: dict[int, Array] = field(default_factory=dict[int, "Array"], repr=False)

    def all_bars(self) -> dict[int, Array]:
        """The cotangents of all values in the body."""
        if self.body is None:
            return {}
        if not self._bars:
            known = zip(self.outputs, self.y_bars)
            bars = {key: bar for key, bar in known if key is not None}
            self._bars = sweep(self.body, bars, [self.inputs[i] for i in self.truth])
        return self._bars

    def telling(self) -> bool:
        """Whether something depends on the inputs here: one number is its own mean."""
        largest = max((float(np.max(np.abs(bar), initial=0.0)) for bar in self.y_bars), default=0.0)
        sizes = [float(np.max(np.abs(true), initial=0.0)) for true in self.truth.values()]
        return all(size > 1e-4 * largest for size in sizes)

    def claimed(self, position: int) -> Array | None:
        """The claimed cotangent of one input."""
        key = self.given.results[position]
        return None if key is None else self.given.values[key]

    def agreed(self, position: int) -> bool:
        """Whether what is claimed of one input is true."""
        return self.agrees(position, self.claimed(position))

    def agrees(self, position: int, found: Array | None) -> bool:
        """Whether a cotangent is the true one."""
        return close(found, self.truth[position], self.tolerance)


def close(found: Array | None, true: Array, tolerance: float) -> bool:
    """Whether two arrays are the same but for rounding; None is zero."""
    if found is None:
        return not np.any(true)
    if found.shape != true.shape:
        return False
    scale = float(np.max(np.abs(true), initial=0.0))
    gap = np.abs(found - true)
    return bool(np.all(gap <= tolerance * (scale + 1e-3)))


def cotangents(outputs: Sequence[Array], seed: int = 0) -> tuple[Array, ...]:
    """Random cotangents, no two alike."""
    draws = np.random.default_rng(seed)
    numbers: list[Array] = [draws.standard_normal(y.shape) for y in outputs]
    return tuple([np.asarray(each + 0.3) for each in numbers])


def autodiff(
    subject: Subject, arrays: Sequence[Array], y_bars: Sequence[Array]
) -> tuple[dict[int, Array], Program, list[int], list[int | None]]:
    """The cotangents of the wanted inputs, by autodiff of the body."""
    program, inputs, outputs = subject.body(arrays)
    bars: dict[int, Array] = {}
    for key, bar in zip(outputs, y_bars):
        if key is not None:
            bars[key] = bars[key] + bar if key in bars else bar
    wanted = [inputs[i] for i in subject.wanted]
    found = sweep(program, bars, wanted)
    zeros = {i: np.zeros(arrays[i].shape) for i in subject.wanted}
    truth = {i: found.get(inputs[i], zeros[i]) for i in subject.wanted}
    return truth, program, inputs, outputs


def differences(
    subject: Subject, arrays: Sequence[Array], y_bars: Sequence[Array], most: int = MOST
) -> Mapping[int, Differences]:
    """Five-point central differences of <y_bar, f> by so many elements of each wanted input."""

    def objective(changed: Sequence[Array]) -> float:
        return sum(float(np.sum(b * y)) for b, y in zip(y_bars, subject.run(changed), strict=True))

    here = objective(arrays)
    found: dict[int, Differences] = {}
    for i in subject.wanted:
        size = arrays[i].size
        elements = np.arange(size)
        if size > most:
            elements = np.sort(np.random.default_rng(0).choice(size, most, replace=False))
        pairs = [_slope(objective, here, arrays, i, int(each)) for each in elements]
        slopes = np.array([pair[0] for pair in pairs])
        found[i] = Differences(elements, slopes, np.array([pair[1] for pair in pairs]))
    return found


def _slope(
    objective: Callable[[Sequence[Array]], float],
    here: float,
    arrays: Sequence[Array],
    which: int,
    element: int,
) -> tuple[float, float]:
    """The slope by one number, and how far it can be trusted: beside a kink, and on it, it can't.

    Beside a kink two step sizes differ. On it they agree, but the slopes to the right and to the
    left do not: in a smooth function their difference is halved with the step.
    """
    distance = STEP * max(1.0, abs(float(arrays[which].flat[element])))
    ends: dict[float, float] = {}
    for way in (2.0, 1.0, 0.5, -0.5, -1.0, -2.0):
        moved = np.array(arrays[which])
        moved.flat[element] += way * distance
        ends[way] = objective([moved if i == which else x for i, x in enumerate(arrays)])
    wide = (8 * (ends[1.0] - ends[-1.0]) - (ends[2.0] - ends[-2.0])) / (12 * distance)
    fine = (8 * (ends[0.5] - ends[-0.5]) - (ends[1.0] - ends[-1.0])) / (6 * distance)
    bend = (ends[1.0] - 2 * here + ends[-1.0]) / distance
    halved = (ends[0.5] - 2 * here + ends[-0.5]) / (distance / 2)
    return wide, max(abs(wide - fine), abs(2 * halved - bend))


# -- other inputs ------------------------------------------------------------------------------


def other_inputs(subject: Subject) -> Iterator[tuple[str, tuple[Array, ...], Subject]]:
    """Inputs like the given ones: other numbers, and then other sizes; and the subject for them.

    Axes of one size are taken to be the same axis, and are resized together. Whether the function
    takes what comes out is for the caller to see.
    """
    arrays = subject.arrays
    fixed = subject.rigid or subject.free is not None
    for seed in (11, 12) if fixed else (11,):
        numbers = tuple(_like(x, x.shape, seed + 2 * i) for i, x in enumerate(arrays))
        yield f"other numbers {seed}", numbers, subject
    sizes: list[int] = []
    for x in arrays if not fixed else ():
        sizes += [size for size in x.shape if size not in sizes and size > 0]
    pairs = [(size, size + 2) for size in sizes[:5]]
    for size, new in (*pairs, *[(size, size - 1) for size in sizes[:1] if size > 1]):
        shapes = [tuple(new if each == size else each for each in x.shape) for x in arrays]
        other = subject.resized(size, new)
        yield f"{size} -> {new}", _resized(arrays, shapes, 23 + new), other or subject
    if not subject.rigid and arrays and arrays[0].ndim and subject.free != 0:
        batch = arrays[0].shape[0]  # the first input's batch alone, as a layer would have it
        for new in (1, batch + 1, batch + 3):
            own = arrays if subject.free is None else arrays[: subject.free]
            shapes = [x.shape if x.shape[:1] != (batch,) else (new, *x.shape[1:]) for x in own]
            shapes += [x.shape for x in arrays[len(own) :]]
            yield f"batch of {new}", _resized(arrays, shapes, 41 + new), subject


def square_inputs(subject: Subject, size: int) -> tuple[Array, ...]:
    """Inputs all of whose axes have one size: what a wrong transpose needs to run at all."""
    return _resized(subject.arrays, [(size,) * x.ndim for x in subject.arrays], 57 + size)


def _resized(
    arrays: Sequence[Array], shapes: Sequence[tuple[int, ...]], seed: int
) -> tuple[Array, ...]:
    return tuple(_like(x, shape, seed + i) for i, (x, shape) in enumerate(zip(arrays, shapes)))


def _like(x: Array, shape: tuple[int, ...], seed: int) -> Array:
    """Numbers from the range of others; integers are drawn from those there are."""
    draws = np.random.default_rng(seed)
    if not x.size:
        return np.zeros(shape, x.dtype)
    if x.dtype.kind != "f":
        return np.resize(x, shape)
    low, high = float(np.min(x)), float(np.max(x))
    if high - low < 1e-6:  # all alike: too special to tell anything by
        low, high = low - 0.5, high + 0.5 if low else 0.5
    return np.asarray(low + (high - low) * draws.random(shape))


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """NumPy without its warnings: what is tried may well divide by zero."""
    with np.errstate(all="ignore"):
        yield
