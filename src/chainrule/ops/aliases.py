"""Second names: PyTorch has two for many functions, so both are here. Each calls the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.ops import arithmetic, compare, elementwise, trigonometry

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "divide",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "multiply",
    "negative",
    "not_equal",
    "subtract",
]

IN_PLACE = (
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "divide",
    "multiply",
    "negative",
    "subtract",
)


def absolute(input: Tensor) -> Tensor:
    """Another name for `abs`.

    >>> import chainrule
    >>> chainrule.absolute(chainrule.tensor([-2, 3]))
    tensor([2, 3])
    """
    return elementwise.abs(input)


def arccos(input: Tensor) -> Tensor:
    """Another name for `acos`.

    >>> import chainrule
    >>> chainrule.arccos(chainrule.tensor([1.0, -1.0, 2.0]))
    tensor([0.0000, 3.1416,    nan])
    """
    return trigonometry.acos(input)


def arccosh(input: Tensor) -> Tensor:
    """Another name for `acosh`.

    >>> import chainrule
    >>> chainrule.arccosh(chainrule.tensor([1.0, 2.0, 0.0]))
    tensor([0.0000, 1.3170,    nan])
    """
    return trigonometry.acosh(input)


def arcsin(input: Tensor) -> Tensor:
    """Another name for `asin`.

    >>> import chainrule
    >>> chainrule.arcsin(chainrule.tensor([0, 1]))
    tensor([0.0000, 1.5708])
    """
    return trigonometry.asin(input)


def arcsinh(input: Tensor) -> Tensor:
    """Another name for `asinh`.

    >>> import chainrule
    >>> chainrule.arcsinh(chainrule.tensor([0, 1]))
    tensor([0.0000, 0.8814])
    """
    return trigonometry.asinh(input)


def arctan(input: Tensor) -> Tensor:
    """Another name for `atan`.

    >>> import chainrule
    >>> chainrule.arctan(chainrule.tensor([1.0, float("inf")]))
    tensor([0.7854, 1.5708])
    """
    return trigonometry.atan(input)


def arctan2(input: Tensor, other: Tensor) -> Tensor:
    """Another name for `atan2`.

    >>> import chainrule
    >>> chainrule.arctan2(
    ...     chainrule.tensor([1.0, 1.0]), chainrule.tensor([1.0, -1.0])
    ... )  # π/4, 3π/4
    tensor([0.7854, 2.3562])
    """
    return trigonometry.atan2(input, other)


def arctanh(input: Tensor) -> Tensor:
    """Another name for `atanh`.

    >>> import chainrule
    >>> chainrule.arctanh(chainrule.tensor([0.0, 1.0, 2.0]))
    tensor([0., inf, nan])
    """
    return trigonometry.atanh(input)


def divide(
    input: Tensor | float, other: Tensor | float, *, rounding_mode: str | None = None
) -> Tensor:
    """Another name for `div`.

    >>> import chainrule
    >>> chainrule.divide(chainrule.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    return arithmetic.div(input, other, rounding_mode=rounding_mode)


def greater(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `gt`.

    >>> import chainrule
    >>> chainrule.greater(chainrule.tensor([1, 2, 3]), 2)
    tensor([False, False,  True])
    """
    return compare.gt(input, other)


def greater_equal(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `ge`.

    >>> import chainrule
    >>> chainrule.greater_equal(chainrule.tensor([1, 2, 3]), 2)
    tensor([False,  True,  True])
    """
    return compare.ge(input, other)


def less(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `lt`.

    >>> import chainrule
    >>> chainrule.less(chainrule.tensor([1, 2, 3]), 2)
    tensor([ True, False, False])
    """
    return compare.lt(input, other)


def less_equal(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `le`.

    >>> import chainrule
    >>> chainrule.less_equal(chainrule.tensor([1, 2, 3]), 2)
    tensor([ True,  True, False])
    """
    return compare.le(input, other)


def multiply(input: Tensor | float, other: Tensor | float) -> Tensor:
    """Another name for `mul`.

    >>> import chainrule
    >>> chainrule.multiply(chainrule.tensor([[1], [2]]), chainrule.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return arithmetic.mul(input, other)


def negative(input: Tensor) -> Tensor:
    """Another name for `neg`.

    >>> import chainrule
    >>> chainrule.negative(chainrule.tensor([1.5, -2.0]))
    tensor([-1.5000,  2.0000])
    """
    return arithmetic.neg(input)


def not_equal(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `ne`.

    >>> import chainrule
    >>> chainrule.not_equal(chainrule.tensor([1, 2]), chainrule.tensor([1, 3]))
    tensor([False,  True])
    """
    return compare.ne(input, other)


def subtract(input: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """Another name for `sub`.

    >>> import chainrule
    >>> chainrule.subtract(chainrule.tensor([5, 6]), chainrule.tensor([1, 2]), alpha=2)
    tensor([3, 2])
    """
    return arithmetic.sub(input, other, alpha=alpha)
