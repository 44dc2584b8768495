"""Powers: of tensors, of numbers, and the square.

Powers are where derivatives written down carelessly give NaN: 0 · 0^-1, 0 · ln 0. Each op here says
how it keeps clear of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.base import is_tensor
from chainrule.core.families import Binary, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample
from chainrule.core.samples import binary_samples, spread, unary_samples
from chainrule.errors import OpError
from chainrule.ops.promotion import pair, promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["pow", "square"]

IN_PLACE = ("pow", "square")


class Pow(Binary):
    r"""y = a^b.    dy/da = b a^(b-1), and 0 where b = 0;  dy/db = y ln a, and 0 where a = 0 ≤ b"""

    samples = binary_samples(low=0.3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.power`; a whole number to a negative power is 0, unless it is 1 or -1."""
        if a.dtype.kind in "iu" and b.size and b.min() < 0:
            to_the_other = np.power(a, np.abs(b))  # right for 1 and -1, their own reciprocals
            return np.where(b >= 0, to_the_other, np.where(np.abs(a) == 1, to_the_other, 0))
        return np.power(a, b).astype(a.dtype, copy=False)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """b a^(b-1); the exponent is changed where b = 0, so that 0 · 0^-1 never arises."""
        return b * bind(Pow(), a, (b - 1).where(b != 0, 0))

    def partial_b(self, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """y ln a; the logarithm's argument is changed where a = 0 ≤ b: 0 · ln 0 never arises."""
        return y * a.where((a != 0) | (b < 0), 1).log()


class PowNumber(Unary):
    r"""y = x^n for a number n.    dy/dx = n x^(n-1), and 0 for n = 0

    That n is known makes the derivatives right everywhere: those of x² are 2x, 2 and 0, also where
    x is zero or negative.

    Attributes:
        exponent: n.
    """

    exponent: float

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Whole exponents of negative numbers; fractional and negative ones of positive numbers."""
        for exponent in (0, 1, 2, 3, 2.0):
            yield Sample(op(exponent), (spread((2, 3), -3, 3),))
        for exponent in (0.5, -1, -2, 2.7):
            yield Sample(op(exponent), (spread((5,), 0.3, 3),))
        yield Sample(op(2), (spread((), 0.3, 3),))
        yield Sample(op(3), (spread((0, 3), 0.3, 3),))

    def reference(self, x: Array) -> Array:
        """`np.power`; the commonest powers without it, which is many times faster."""
        n = self.exponent
        if n == 2:
            return x * x
        if n == 3:
            return x * x * x
        if n == 0.5:
            return np.sqrt(x)
        return np.power(x, np.asarray(n, x.dtype))

    def partial_x(self, x: Tensor) -> Any:
        """n x^(n-1), which ends at x^0."""
        n = self.exponent
        if n == 0:
            return 0
        if n == 1:
            return 1
        return (x if n == 2 else bind(PowNumber(n - 1), x)) * n


def pow(input: Tensor | float, exponent: Tensor | float) -> Tensor:
    """`input ** exponent`, element by element, broadcast.

    A whole number to a negative power is an error where the exponent is a number, as in PyTorch.

    >>> import chainrule
    >>> x = chainrule.tensor([-3.0, 0.0], requires_grad=True)
    >>> (x**2).sum().backward()
    >>> x.grad
    tensor([-6.,  0.])
    """
    if is_tensor(input) and isinstance(exponent, int | float):
        if input.value.dtype.kind != "f":
            base, _ = promote(input, exponent)
            if base.value.dtype.kind != "f" and exponent < 0:
                Pow().fail(
                    f"integers ({base.type}) have no negative powers that are integers",
                    cure="convert them with .float(), or use a float exponent",
                    error=OpError,
                    types=[base.type],
                )
            return bind(PowNumber(exponent), base)
        return bind(PowNumber(exponent), input)
    return bind(Pow(), *pair(input, exponent))


class Square(Unary):
    r"""y = x².    dy/dx = 2x"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`x * x`: of integers an integer."""
        return x * x

    def partial_x(self, x: Tensor) -> Tensor:
        """2x."""
        return x * 2


def square(input: Tensor) -> Tensor:
    """The square of every element; a bool tensor gives integers.

    >>> import chainrule
    >>> chainrule.tensor([-3, 2]).square(), chainrule.tensor([True]).square()
    (tensor([9, 4]), tensor([1]))
    """
    return bind(Square(), promote(input, 0)[0] if input.value.dtype.kind == "b" else input)
