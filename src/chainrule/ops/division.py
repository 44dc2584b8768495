"""Division with a whole quotient, and what remains.

Integers stay integers. There are two conventions, and they differ for negative numbers: *floor*
division rounds down, so its remainder has the sign of the divisor (Python's `//` and `%`); *trunc*
division rounds towards zero, so its remainder has the sign of the dividend (C's `/` and `fmod`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import Binary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample
from chainrule.core.samples import spread
from chainrule.errors import OpError
from chainrule.ops.promotion import pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["floor_divide", "fmod", "remainder"]

IN_PLACE = ("floor_divide", "fmod", "remainder")


class WholeDivision(Binary, family=True):
    """An op that divides with a whole quotient; integers can't be divided by zero."""

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Quotients well away from whole numbers, of all signs; and integers."""
        for shape, seed in (((4,), 1), ((2, 3), 2), ((), 3)):
            divisor = spread(shape, 1, 2, seed=seed)
            signs = np.where(np.arange(divisor.size).reshape(shape) % 2, -1.0, 1.0)
            quotient = np.floor(spread(shape, -4, 4, seed=seed + 9)) + 0.4
            yield Sample(op(), (divisor * signs * quotient, divisor * signs))
        yield Sample(op(), (np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])))

    def divisor(self, b: Array) -> Array:
        """The divisor, once it is known that integers are not divided by zero."""
        if b.dtype.kind != "f" and not b.all():
            self.fail(
                "an integer is divided by zero",
                cure="divide floats (the result is then inf or NaN), or mask the zeros",
                error=OpError,
            )
        return b


class DivFloor(WholeDivision):
    r"""y = ⌊a / b⌋.    dy/da = dy/db = 0"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.floor_divide`."""
        return np.floor_divide(a, self.divisor(b))

    def partial_a(self) -> int:
        """0."""
        return 0

    def partial_b(self) -> int:
        """0."""
        return 0


class DivTrunc(WholeDivision):
    r"""y = a / b, rounded towards zero.    dy/da = dy/db = 0"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.trunc(a / b)`; of integers without a detour through floats."""
        if a.dtype.kind == "f":
            return np.trunc(a / b)
        return (a - np.fmod(a, self.divisor(b))) // b

    def partial_a(self) -> int:
        """0."""
        return 0

    def partial_b(self) -> int:
        """0."""
        return 0


def floor_divide(input: Tensor | float, other: Tensor | float) -> Tensor:
    """⌊input / other⌋, Python's `//`: integers give integers.

    >>> import chainrule
    >>> chainrule.tensor([7, -7]) // 2
    tensor([ 3, -4])
    """
    return bind(DivFloor(), *pair(input, other))


class Remainder(WholeDivision):
    r"""y = a - b ⌊a / b⌋.    dy/da = 1,  dy/db = -⌊a / b⌋"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.remainder`: the sign of the divisor."""
        return np.remainder(a, self.divisor(b))

    def partial_a(self) -> int:
        """1."""
        return 1

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """-⌊a / b⌋."""
        return -bind(DivFloor(), a, b)


def remainder(input: Tensor | float, other: Tensor | float) -> Tensor:
    """What floor division leaves, Python's `%`: it has the sign of the divisor.

    Raises:
        OpError: an integer is divided by zero; floats give NaN.

    >>> import chainrule
    >>> chainrule.remainder(chainrule.tensor([7, -7]), 3)
    tensor([1, 2])
    """
    return bind(Remainder(), *pair(input, other))


class Fmod(WholeDivision):
    r"""y = a - b trunc(a / b).    dy/da = 1,  dy/db = -trunc(a / b)"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.fmod`: the sign of the dividend."""
        return np.fmod(a, self.divisor(b))

    def partial_a(self) -> int:
        """1."""
        return 1

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """-trunc(a / b)."""
        return -bind(DivTrunc(), a, b)


def fmod(input: Tensor | float, other: Tensor | float) -> Tensor:
    """What division towards zero leaves, C's `fmod`: it has the sign of the dividend.

    Raises:
        OpError: an integer is divided by zero; floats give NaN.

    >>> import chainrule
    >>> chainrule.fmod(chainrule.tensor([7, -7]), 3)
    tensor([ 1, -1])
    """
    return bind(Fmod(), *pair(input, other))
