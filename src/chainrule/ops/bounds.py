"""The larger and the smaller of two, and numbers kept between bounds.

Derivatives of these are masks: the cotangent passes to the operand that won. They differ only in
who gets it on a tie, and there each follows PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import Binary, Elementwise
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample, Samples
from chainrule.core.samples import binary_samples, spread
from chainrule.errors import DTypeError
from chainrule.ops.promotion import pair, promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "fmax",
    "fmin",
    "maximum",
    "minimum",
]

IN_PLACE = ("clamp", "clamp_max", "clamp_min", "clip")


class Maximum(Binary):
    r"""y = max(a, b).    dy/da = [a > b], half each where they are equal"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.maximum`, which passes NaN on."""
        return np.maximum(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """[a > b] + [a = b] / 2."""
        return _wins(a > b, a == b, a)

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """[b > a] + [a = b] / 2."""
        return _wins(b > a, a == b, a)


def _wins(wins: Tensor, ties: Tensor, like: Tensor) -> Tensor:
    return wins.to(like.dtype) + ties.to(like.dtype) * 0.5


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, element by element; where they tie, each gets half the gradient.

    NaN wins.

    >>> import chainrule
    >>> chainrule.maximum(chainrule.tensor([1.0, float("nan")]), chainrule.tensor([2.0, 2.0]))
    tensor([2., nan])
    """
    return bind(Maximum(), *pair(input, other))


class Minimum(Binary):
    r"""y = min(a, b).    dy/da = [a < b], half each where they are equal"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.minimum`, which passes NaN on."""
        return np.minimum(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """[a < b] + [a = b] / 2."""
        return _wins(a < b, a == b, a)

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """[b < a] + [a = b] / 2."""
        return _wins(b < a, a == b, a)


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, element by element; where they tie, each gets half the gradient.

    NaN wins.

    >>> import chainrule
    >>> chainrule.minimum(chainrule.tensor([[1], [5]]), chainrule.tensor([2, 3]))
    tensor([[1, 1],
            [2, 3]])
    """
    return bind(Minimum(), *pair(input, other))


class Fmax(Binary):
    r"""y = max(a, b), the other one where one is NaN.    dy/da = [a ≥ b or b is NaN]"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.fmax`."""
        return np.fmax(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """A mask; a wins ties."""
        return (a >= b) | (b != b)

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """Its negation."""
        return ~((a >= b) | (b != b))


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, element by element; where one is NaN, the other.

    >>> import chainrule
    >>> chainrule.fmax(chainrule.tensor([1.0, float("nan")]), chainrule.tensor([2.0, 2.0]))
    tensor([2., 2.])
    """
    return bind(Fmax(), *pair(input, other))


class Fmin(Binary):
    r"""y = min(a, b), the other one where one is NaN.    dy/da = [a ≤ b or b is NaN]"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.fmin`."""
        return np.fmin(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """A mask; a wins ties."""
        return (a <= b) | (b != b)

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """Its negation."""
        return ~((a <= b) | (b != b))


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, element by element; where one is NaN, the other.

    >>> import chainrule
    >>> chainrule.fmin(chainrule.tensor([1.0, float("nan")]), chainrule.tensor([2.0, 2.0]))
    tensor([1., 2.])
    """
    return bind(Fmin(), *pair(input, other))


class ClampMin(Binary):
    r"""y = max(a, b) with b a bound.    dy/da = [a ≥ b],  dy/db = [a < b]"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.maximum`."""
        return np.maximum(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """[a ≥ b]: at the bound the gradient still passes."""
        return a >= b

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """[a < b]."""
        return a < b


def clamp_min(input: Tensor, min: Tensor | float) -> Tensor:
    """Every element, raised to `min` where it is less. At the bound the gradient passes.

    >>> import chainrule
    >>> chainrule.clamp_min(chainrule.tensor([1, 2]), 1.5)
    tensor([1.5000, 2.0000])
    """
    return bind(ClampMin(), *pair(input, min))


class ClampMax(Binary):
    r"""y = min(a, b) with b a bound.    dy/da = [a ≤ b],  dy/db = [a > b]"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.minimum`."""
        return np.minimum(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """[a ≤ b]: at the bound the gradient still passes."""
        return a <= b

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """[a > b]."""
        return a > b


def clamp_max(input: Tensor, max: Tensor | float) -> Tensor:
    """Every element, lowered to `max` where it is more. At the bound the gradient passes.

    >>> import chainrule
    >>> chainrule.clamp_max(chainrule.tensor([1.0, 5.0]), chainrule.tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    return bind(ClampMax(), *pair(input, max))


def _clamp_samples() -> Samples:
    def make(op: type[Any]) -> list[Sample]:
        return [
            Sample(op(), (spread(x, -3, 3), spread(low, -1.5, -0.9), spread(high, 0.9, 1.5)))
            for x, low, high in (((6,), (), ()), ((2, 3), (3,), (2, 1)), ((), (), ()))
        ]

    return make


class Clamp(Elementwise):
    r"""y = min(max(x, low), high).    dy/dx = [low ≤ x ≤ high]

    dy/dlow = [x < low < high],  dy/dhigh = [x > high or high < low]
    """

    operands = ("x", "low", "high")
    samples = _clamp_samples()

    def reference(self, x: Array, low: Array, high: Array) -> Array:
        """`np.minimum` of `np.maximum`: where the bounds cross, `high` wins."""
        return np.minimum(np.maximum(x, low), high)

    def partial_x(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """A mask; at a bound the gradient still passes."""
        return (x >= low) & (x <= high)

    def partial_low(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """A mask."""
        return (x < low) & (low < high)

    def partial_high(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """A mask."""
        return (x > high) | (high < low)


def clamp(
    input: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None
) -> Tensor:
    """Every element, kept between `min` and `max`, each a number, a tensor or None.

    At a bound the gradient still passes to the element, as in PyTorch.

    >>> import chainrule
    >>> chainrule.tensor([-2.0, 0.5, 2.0]).clamp(-1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is not None and max is not None:
        return bind(Clamp(), *promote(input, min, max))
    if min is not None:
        return clamp_min(input, min)
    if max is not None:
        return clamp_max(input, max)
    return Clamp().fail("neither min nor max is given", cure="give one of them", error=DTypeError)


def clip(
    input: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None
) -> Tensor:
    """Another name for `clamp`.

    >>> import chainrule
    >>> chainrule.clip(chainrule.tensor([-2, 0, 2]), max=1)
    tensor([-2,  0,  1])
    """
    return clamp(input, min, max)
