"""How an op says what to try it with.

`samples = unary_samples(low=-3, high=3)` in the body of an op is all it takes for every
registry-driven test to try it on scalars, vectors, broadcast, empty and strided inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.core.op import Array, Sample, Samples

__all__ = ["binary_samples", "samples_of", "spread", "unary_samples"]

_SHAPES: tuple[tuple[int, ...], ...] = ((), (5,), (2, 3), (0, 3), (2, 1, 3))
_PAIRS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((), ()),
    ((4,), (4,)),
    ((2, 3), (3,)),
    ((2, 1, 3), (4, 1)),
    ((3,), ()),
    ((0, 3), (3,)),
)


def spread(
    shape: tuple[int, ...], low: float, high: float, *, avoid: tuple[float, ...] = (), seed: int = 0
) -> Array:
    """Distinct numbers over [low, high] in shuffled order, kept 2 % of the range off `avoid`."""
    count = int(np.prod(shape, dtype=np.int64))
    generator = np.random.default_rng(seed)
    steps = (np.arange(count) + 0.25 + 0.5 * generator.random(count)) / max(count, 1)
    numbers = low + (high - low) * generator.permutation(steps)
    margin = 0.02 * (high - low)
    for point in avoid:
        near = np.abs(numbers - point) < margin
        away = point + np.where(numbers >= point, margin, -margin)
        numbers = np.where(near, np.clip(away, low, high), numbers)
    return numbers.reshape(shape)


def unary_samples(low: float, high: float, *, avoid: tuple[float, ...] = ()) -> Samples:
    """Inputs for an op of one operand and no parameters: all kinds of shapes, and strides."""

    def make(op: type[Any]) -> Iterator[Sample]:
        for seed, shape in enumerate(_SHAPES):
            yield Sample(op(), (spread(shape, low, high, avoid=avoid, seed=seed),))
        yield Sample(op(), (spread((3, 4), low, high, avoid=avoid, seed=9)[::2, ::-1].T,))

    return make


def binary_samples(
    low: float, high: float, *, avoid: tuple[float, ...] = (), low_b: float | None = None
) -> Samples:
    """Inputs for an op of two operands without parameters, broadcast in several ways."""

    def make(op: type[Any]) -> Iterator[Sample]:
        bottom = low if low_b is None else low_b
        for seed, (a, b) in enumerate(_PAIRS):
            yield Sample(
                op(),
                (
                    spread(a, low, high, avoid=avoid, seed=seed),
                    spread(b, bottom, high, avoid=avoid, seed=seed + 50),
                ),
            )

    return make


def samples_of(op: type[Any]) -> list[Sample]:
    """All samples of an op class; an op that names none has none."""
    return list(op.samples(op))
