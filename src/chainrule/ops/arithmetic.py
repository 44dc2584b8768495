"""The arithmetic of two operands: + - * / and kin, with PyTorch's promotion of mixed dtypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.families import Binary, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array
from chainrule.core.samples import binary_samples, unary_samples
from chainrule.ops.promotion import floating, pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["add", "div", "maximum", "minimum", "mul", "neg", "pow", "sub"]

IN_PLACE = ("add", "div", "mul", "neg", "pow", "sub")
"""Those with an in-place method: `add_` and so on."""


class Add(Binary):
    r"""y = a + b.    dy/da = 1,  dy/db = 1"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.add`."""
        return np.add(a, b)

    def partial_a(self) -> int:
        """1."""
        return 1

    def partial_b(self) -> int:
        """1."""
        return 1


def add(input: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """`input + alpha * other`, element by element, broadcast.

    >>> import chainrule
    >>> chainrule.add(chainrule.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    a, b = pair(input, other if alpha == 1 else other * alpha)
    return bind(Add(), a, b)


class Sub(Binary):
    r"""y = a - b.    dy/da = 1,  dy/db = -1"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.subtract`."""
        return np.subtract(a, b)

    def partial_a(self) -> int:
        """1."""
        return 1

    def partial_b(self) -> int:
        """-1."""
        return -1


def sub(input: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """`input - alpha * other`, element by element, broadcast."""
    a, b = pair(input, other if alpha == 1 else other * alpha)
    return bind(Sub(), a, b)


class Mul(Binary):
    r"""y = a b.    dy/da = b,  dy/db = a"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.multiply`."""
        return np.multiply(a, b)

    def partial_a(self, b: Tensor) -> Tensor:
        """b."""
        return b

    def partial_b(self, a: Tensor) -> Tensor:
        """a."""
        return a


def mul(input: Tensor | float, other: Tensor | float) -> Tensor:
    """`input * other`, element by element, broadcast."""
    a, b = pair(input, other)
    return bind(Mul(), a, b)


class Div(Binary):
    r"""y = a / b.    dy/da = 1/b,  dy/db = -y/b"""

    samples = binary_samples(low=-3, high=3, low_b=0.5)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.divide`."""
        return np.divide(a, b)

    def partial_a(self, b: Tensor) -> Tensor:
        """1 / b."""
        return 1 / b

    def partial_b(self, y: Tensor, b: Tensor) -> Tensor:
        """-y / b."""
        return -(y / b)


def div(
    input: Tensor | float, other: Tensor | float, *, rounding_mode: str | None = None
) -> Tensor:
    """`input / other`; integers divide to floats.

    Args:
        rounding_mode: None for true division, `"trunc"` to round towards zero, `"floor"` down.
    """
    a, b = pair(input, other)
    return bind(Div(), floating(a), floating(b))


class Pow(Binary):
    r"""y = a^b.    dy/da = b a^(b-1),  dy/db = y ln a"""

    samples = binary_samples(low=0.3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.power`."""
        return np.power(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """b a^(b-1)."""
        return b * a ** (b - 1)

    def partial_b(self, y: Tensor, a: Tensor) -> Tensor:
        """y ln a."""
        return y * a.log()


def pow(input: Tensor | float, exponent: Tensor | float) -> Tensor:
    """`input ** exponent`, element by element, broadcast."""
    a, b = pair(input, exponent)
    return bind(Pow(), a, b)


class Neg(Unary):
    r"""y = -x.    dy/dx = -1"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.negative`."""
        return np.negative(x)

    def partial_x(self) -> int:
        """-1."""
        return -1


def neg(input: Tensor) -> Tensor:
    """`-input`."""
    return bind(Neg(), input)


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
    """The larger of the two, element by element; where they tie, each gets half the gradient."""
    a, b = pair(input, other)
    return bind(Maximum(), a, b)


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
    """The smaller of the two, element by element; where they tie, each gets half the gradient."""
    a, b = pair(input, other)
    return bind(Minimum(), a, b)
