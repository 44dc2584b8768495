"""Rounding: floor, ceil, round, trunc and kin. Steps are flat: their derivative is 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import Binary, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample
from chainrule.core.samples import binary_samples, spread, unary_samples
from chainrule.ops.promotion import pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["ceil", "fix", "floor", "frac", "heaviside", "nan_to_num", "round", "trunc"]

IN_PLACE = ("ceil", "fix", "floor", "frac", "nan_to_num", "round", "trunc")

_KINKS = tuple(each / 2 for each in range(-4, 5))


class Step(Unary, family=True):
    r"""y = x, rounded somehow; integers and bools are whole already.    dy/dx = 0"""

    samples = unary_samples(low=-2, high=2, avoid=_KINKS)

    def partial_x(self) -> int:
        """0."""
        return 0


class Floor(Step):
    r"""y = ⌊x⌋.    dy/dx = 0"""

    def reference(self, x: Array) -> Array:
        """`np.floor`."""
        return np.floor(x) if x.dtype.kind == "f" else x.copy()


def floor(input: Tensor) -> Tensor:
    """The greatest whole number that is not greater.

    >>> import chainrule
    >>> chainrule.floor(chainrule.tensor([1.5, -1.5]))
    tensor([ 1., -2.])
    """
    return bind(Floor(), input)


class Ceil(Step):
    r"""y = ⌈x⌉.    dy/dx = 0"""

    def reference(self, x: Array) -> Array:
        """`np.ceil`."""
        return np.ceil(x) if x.dtype.kind == "f" else x.copy()


def ceil(input: Tensor) -> Tensor:
    """The least whole number that is not less.

    >>> import chainrule
    >>> chainrule.ceil(chainrule.tensor([1.5, -1.5]))
    tensor([ 2., -1.])
    """
    return bind(Ceil(), input)


class Trunc(Step):
    r"""y = x without its fraction.    dy/dx = 0"""

    def reference(self, x: Array) -> Array:
        """`np.trunc`."""
        return np.trunc(x) if x.dtype.kind == "f" else x.copy()


def trunc(input: Tensor) -> Tensor:
    """The whole part: rounded towards zero.

    >>> import chainrule
    >>> chainrule.trunc(chainrule.tensor([1.5, -1.5]))
    tensor([ 1., -1.])
    """
    return bind(Trunc(), input)


def fix(input: Tensor) -> Tensor:
    """Another name for `trunc`.

    >>> import chainrule
    >>> chainrule.fix(chainrule.tensor([1.5, -1.5]))
    tensor([ 1., -1.])
    """
    return trunc(input)


class Round(Step):
    r"""y = x, rounded to the nearest multiple of 10^-decimals, a half to the even one.    dy/dx = 0

    Attributes:
        decimals: digits after the point; negative ones are before it.
    """

    decimals: int = 0

    def reference(self, x: Array) -> Array:
        """`np.round`."""
        return np.round(x, self.decimals) if x.dtype.kind == "f" else x.copy()


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest whole number (or number of `decimals` decimals); halves go to the even one.

    >>> import chainrule
    >>> chainrule.tensor([0.5, 1.5, 2.5]).round()
    tensor([0., 2., 2.])
    """
    return bind(Round(decimals), input)


class Frac(Unary):
    r"""y = x - trunc x.    dy/dx = 1"""

    samples = unary_samples(low=-2, high=2, avoid=_KINKS)

    def reference(self, x: Array) -> Array:
        """What `np.trunc` takes away."""
        return x - np.trunc(x) if x.dtype.kind == "f" else np.zeros_like(x)

    def partial_x(self) -> int:
        """1."""
        return 1


def frac(input: Tensor) -> Tensor:
    """The fraction: what `trunc` takes away, with the sign of the number.

    >>> import chainrule
    >>> chainrule.frac(chainrule.tensor([1.5, -1.25]))
    tensor([ 0.5000, -0.2500])
    """
    return bind(Frac(), input)


class Heaviside(Binary):
    """y = b where a = 0, else [a > 0]; without a derivative, as in PyTorch."""

    differentiable = False
    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.where`: `np.heaviside` passes a NaN on, where PyTorch gives 0."""
        return np.where(a == 0, b, (a > 0).astype(a.dtype))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 for negative numbers, 1 for positive ones, and `values` at 0. NaN gives 0, as in PyTorch.

    >>> import chainrule
    >>> chainrule.heaviside(chainrule.tensor([-2.0, 0.0, 3.0]), chainrule.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return bind(Heaviside(), *pair(input, values))


class NanToNum(Unary):
    r"""y = x, with numbers for NaN and the infinities.    dy/dx = [x is finite]

    Attributes:
        nan: what NaN becomes.
        posinf: what inf becomes; None is the greatest number of the dtype.
        neginf: what -inf becomes; None is the least.
    """

    nan: float
    posinf: float | None
    neginf: float | None

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Finite numbers; the others have no finite differences."""
        yield Sample(op(0.0, None, None), (spread((2, 3), -3, 3),))
        odd = np.array([np.nan, np.inf, -np.inf, 1.0])
        yield Sample(op(1.0, 2.0, -2.0), (odd,), smooth=False)

    def reference(self, x: Array) -> Array:
        """`np.nan_to_num`."""
        return np.nan_to_num(x, nan=self.nan, posinf=self.posinf, neginf=self.neginf)

    def partial_x(self, x: Tensor) -> Tensor:
        """[x is finite], a mask: only finite numbers differ from themselves by 0."""
        return (x - x) == 0


def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """Numbers in the place of NaN (0 unless given), inf and -inf (the dtype's limits).

    >>> import chainrule
    >>> chainrule.tensor([float("nan"), 1.0]).nan_to_num()
    tensor([0., 1.])
    """
    return bind(NanToNum(0.0 if nan is None else nan, posinf, neginf), input)
