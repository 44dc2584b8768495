"""What kind of number an element is (NaN, infinite, ...), and whether tensors agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.dtypes import float64
from chainrule.core.families import Predicate
from chainrule.core.interpret import bind, read
from chainrule.core.location import user_location
from chainrule.core.op import Array
from chainrule.core.samples import unary_samples
from chainrule.errors import OpError
from chainrule.ops.promotion import cast, pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "allclose",
    "equal",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "signbit",
]


class IsNan(Predicate):
    """y = [x is NaN]"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.isnan`."""
        return np.isnan(x)


def isnan(input: Tensor) -> Tensor:
    """Where an element is not a number; no integer is NaN.

    >>> import chainrule
    >>> chainrule.isnan(chainrule.tensor([1.0, float("nan"), float("inf")]))
    tensor([False,  True, False])
    """
    return bind(IsNan(), input)


class IsInf(Predicate):
    """y = [x is infinite]"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.isinf`."""
        return np.isinf(x)


def isinf(input: Tensor) -> Tensor:
    """Where an element is inf or -inf.

    >>> import chainrule
    >>> chainrule.isinf(chainrule.tensor([1.0, float("nan"), float("-inf")]))
    tensor([False, False,  True])
    """
    return bind(IsInf(), input)


class IsFinite(Predicate):
    """y = [x is finite]"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.isfinite`."""
        return np.isfinite(x)


def isfinite(input: Tensor) -> Tensor:
    """Where an element is neither infinite nor NaN.

    >>> import chainrule
    >>> chainrule.isfinite(chainrule.tensor([1.0, float("nan"), float("inf")]))
    tensor([ True, False, False])
    """
    return bind(IsFinite(), input)


class Signbit(Predicate):
    """y = [x has its sign bit set]"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.signbit`."""
        return np.signbit(x) if x.dtype.kind == "f" else x < 0


def signbit(input: Tensor) -> Tensor:
    """Where an element is negative, -0.0 among them.

    >>> import chainrule
    >>> chainrule.signbit(chainrule.tensor([0.0, -0.0, -1.0]))
    tensor([False,  True,  True])
    """
    return bind(Signbit(), input)


def isposinf(input: Tensor) -> Tensor:
    """Where an element is inf.

    >>> import chainrule
    >>> chainrule.isposinf(chainrule.tensor([float("inf"), float("-inf"), 1.0]))
    tensor([ True, False, False])
    """
    return isinf(input) & (input > 0)


def isneginf(input: Tensor) -> Tensor:
    """Where an element is -inf.

    >>> import chainrule
    >>> chainrule.isneginf(chainrule.tensor([float("inf"), float("-inf"), 1.0]))
    tensor([False,  True, False])
    """
    return isinf(input) & (input < 0)


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Where |input - other| <= atol + rtol |other|; infinities are close to themselves only.

    Args:
        input: what is judged.
        other: what it is judged by; of the same dtype.
        rtol: how much of `other` the two may differ by.
        atol: how much they may differ by besides.
        equal_nan: whether NaN is close to NaN.

    Raises:
        OpError: the dtypes differ.

    >>> import chainrule
    >>> chainrule.isclose(chainrule.tensor([1.0, 1.0]), chainrule.tensor([1.000001, 1.1]))
    tensor([ True, False])
    """
    if input.dtype is not other.dtype:
        raise OpError(
            f"isclose: the dtypes differ: {input.type} and {other.type}",
            cure="convert one of them with .to(dtype)",
            location=str(user_location() or ""),
        )
    a, b = input.detach(), other.detach()
    close = a == b
    if equal_nan:
        close = close | (isnan(a) & isnan(b))
    if not a.dtype.is_floating_point:
        a, b = cast(a, float64), cast(b, float64)
    near = (a - b).abs() <= (b.abs() * rtol + atol)
    return close | (near & isfinite(b) & isfinite(a))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close, as `isclose` has it.

    >>> import chainrule
    >>> chainrule.allclose(chainrule.tensor([1.0]), chainrule.tensor([1.0 + 1e-9]))
    True
    """
    return bool(read(isclose(input, other, rtol, atol, equal_nan)).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether the two have the same shape and the same elements.

    NaN equals nothing.

    >>> import chainrule
    >>> x = chainrule.tensor([1, 2])
    >>> chainrule.equal(x, x.double()), chainrule.equal(x, x.unsqueeze(0))
    (True, False)
    """
    if input.shape != other.shape:
        return False
    return bool(read(input.detach() == other.detach()).all())


def isin(
    elements: Tensor | float,
    test_elements: Tensor | float,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Tensor:
    """Where an element is one of the test elements.

    Args:
        elements: what is looked for.
        test_elements: where it is looked for.
        assume_unique: accepted for PyTorch's sake; it changes nothing.
        invert: where it is not.

    >>> import chainrule
    >>> chainrule.isin(chainrule.tensor([[1, 2], [3, 4]]), chainrule.tensor([2, 3, 9]))
    tensor([[False,  True],
            [ True, False]])
    """
    a, b = pair(elements, test_elements)
    found = (a.reshape((*a.shape, 1)) == b.reshape(-1)).any(-1)
    return ~found if invert else found
