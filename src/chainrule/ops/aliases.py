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
    """Another name for `abs`."""
    return elementwise.abs(input)


def arccos(input: Tensor) -> Tensor:
    """Another name for `acos`."""
    return trigonometry.acos(input)


def arccosh(input: Tensor) -> Tensor:
    """Another name for `acosh`."""
    return trigonometry.acosh(input)


def arcsin(input: Tensor) -> Tensor:
    """Another name for `asin`."""
    return trigonometry.asin(input)


def arcsinh(input: Tensor) -> Tensor:
    """Another name for `asinh`."""
    return trigonometry.asinh(input)


def arctan(input: Tensor) -> Tensor:
    """Another name for `atan`."""
    return trigonometry.atan(input)


def arctan2(input: Tensor, other: Tensor) -> Tensor:
    """Another name for `atan2`."""
    return trigonometry.atan2(input, other)


def arctanh(input: Tensor) -> Tensor:
    """Another name for `atanh`."""
    return trigonometry.atanh(input)


def divide(
    input: Tensor | float, other: Tensor | float, *, rounding_mode: str | None = None
) -> Tensor:
    """Another name for `div`."""
    return arithmetic.div(input, other, rounding_mode=rounding_mode)


def greater(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `gt`."""
    return compare.gt(input, other)


def greater_equal(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `ge`."""
    return compare.ge(input, other)


def less(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `lt`."""
    return compare.lt(input, other)


def less_equal(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `le`."""
    return compare.le(input, other)


def multiply(input: Tensor | float, other: Tensor | float) -> Tensor:
    """Another name for `mul`."""
    return arithmetic.mul(input, other)


def negative(input: Tensor) -> Tensor:
    """Another name for `neg`."""
    return arithmetic.neg(input)


def not_equal(input: Tensor, other: Tensor | float) -> Tensor:
    """Another name for `ne`."""
    return compare.ne(input, other)


def subtract(input: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """Another name for `sub`."""
    return arithmetic.sub(input, other, alpha=alpha)
