"""Comparisons and selection: >, ==, where.

Comparisons have no derivative; selection passes it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import bool_
from chainrule.core.families import Elementwise, Predicate
from chainrule.core.interpret import bind
from chainrule.core.location import user_location
from chainrule.core.op import Array, Sample
from chainrule.core.samples import binary_samples, spread, unary_samples
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import OpError
from chainrule.ops.promotion import cast, pair, promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "eq",
    "ge",
    "gt",
    "keep_where",
    "le",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "masked_fill",
    "ne",
    "where",
]

IN_PLACE = ("logical_and", "logical_not", "logical_or", "logical_xor", "masked_fill")


class Comparison(Predicate, family=True):
    """a compared with b, as a bool."""

    operands = ("a", "b")
    samples = binary_samples(low=-3, high=3)


class Gt(Comparison):
    """y = [a > b]"""

    reference = staticmethod(np.greater)


def gt(input: Tensor, other: Tensor | float) -> Tensor:
    """Where `input > other`, as a bool tensor.

    >>> import chainrule
    >>> chainrule.tensor([[1], [3]]) > chainrule.tensor([0, 2])
    tensor([[ True, False],
            [ True,  True]])
    """
    return bind(Gt(), *pair(input, other))


class Lt(Comparison):
    """y = [a < b]"""

    reference = staticmethod(np.less)


def lt(input: Tensor, other: Tensor | float) -> Tensor:
    """Where `input < other`, as a bool tensor.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 2.0, float("nan")]) < 2
    tensor([ True, False, False])
    """
    return bind(Lt(), *pair(input, other))


class Eq(Comparison):
    """y = [a = b]"""

    reference = staticmethod(np.equal)


def eq(input: Tensor, other: Tensor | float) -> Tensor:
    """Where the two are equal, as a bool tensor.

    >>> import chainrule
    >>> chainrule.tensor([1.0, float("nan")]) == chainrule.tensor([1.0, float("nan")])
    tensor([ True, False])
    """
    return bind(Eq(), *pair(input, other))


class Ge(Comparison):
    """y = [a ≥ b]"""

    reference = staticmethod(np.greater_equal)


def ge(input: Tensor, other: Tensor | float) -> Tensor:
    """Where `input >= other`, as a bool tensor.

    >>> import chainrule
    >>> chainrule.tensor([1, 2, 3]) >= 2
    tensor([False,  True,  True])
    """
    return bind(Ge(), *pair(input, other))


class Le(Comparison):
    """y = [a ≤ b]"""

    reference = staticmethod(np.less_equal)


def le(input: Tensor, other: Tensor | float) -> Tensor:
    """Where `input <= other`, as a bool tensor.

    >>> import chainrule
    >>> chainrule.tensor([1, 2, 3]) <= 2.5
    tensor([ True,  True, False])
    """
    return bind(Le(), *pair(input, other))


class Ne(Comparison):
    """y = [a ≠ b]"""

    reference = staticmethod(np.not_equal)


def ne(input: Tensor, other: Tensor | float) -> Tensor:
    """Where the two differ, as a bool tensor.

    >>> import chainrule
    >>> chainrule.tensor([1.0, float("nan")]) != chainrule.tensor([1.0, float("nan")])
    tensor([False,  True])
    """
    return bind(Ne(), *pair(input, other))


class LogicalAnd(Comparison):
    """y = [a ≠ 0 and b ≠ 0]"""

    reference = staticmethod(np.logical_and)


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Where both hold; zero counts as false.

    >>> import chainrule
    >>> chainrule.logical_and(chainrule.tensor([0, 2]), chainrule.tensor([1.0, 0.5]))
    tensor([False,  True])
    """
    return bind(LogicalAnd(), *pair(input, other))


class LogicalOr(Comparison):
    """y = [a ≠ 0 or b ≠ 0]"""

    reference = staticmethod(np.logical_or)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Where at least one holds; zero counts as false.

    >>> import chainrule
    >>> chainrule.logical_or(chainrule.tensor([0, 2]), chainrule.tensor([0, 0]))
    tensor([False,  True])
    """
    return bind(LogicalOr(), *pair(input, other))


class LogicalXor(Comparison):
    """y = [just one of a, b is ≠ 0]"""

    reference = staticmethod(np.logical_xor)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Where just one holds; zero counts as false.

    >>> import chainrule
    >>> chainrule.logical_xor(chainrule.tensor([1, 2]), chainrule.tensor([0, 3]))
    tensor([ True, False])
    """
    return bind(LogicalXor(), *pair(input, other))


class LogicalNot(Predicate):
    """y = [x = 0]"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.logical_not`."""
        return np.logical_not(x)


def logical_not(input: Tensor) -> Tensor:
    """True where an element is zero or false.

    >>> import chainrule
    >>> chainrule.logical_not(chainrule.tensor([0.0, 0.5]))
    tensor([ True, False])
    """
    return bind(LogicalNot(), input)


_BITS = {size: np.dtype(f"i{size}") for size in (1, 2, 4, 8)}
"""The integers of so many bytes."""


class KeepWhere(Elementwise):
    r"""y = x where the mask holds, else 0, even where x is infinite or NaN.

    x_bar = y_bar where the mask holds, else 0
    """

    operands = ("x", "mask")

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The same shape, and each broadcast."""
        for x, mask in (((4,), (4,)), ((2, 3), (3,)), ((3,), (2, 1)), ((), ()), ((0, 2), (2,))):
            flags = np.arange(int(np.prod(mask))).reshape(mask) % 2 == 0
            yield Sample(op(), (spread(x, -3, 3), flags))

    def type_rule(self, *types: TensorType) -> TensorType:
        """The broadcast shape; the dtype of x."""
        x, mask = types
        shape = broadcast_shapes_or_none([x.shape, mask.shape])
        if shape is None or mask.dtype is not bool_:
            self.fail(f"{mask} is no mask for {x}", cure="a mask is bool", types=types)
        return TensorType(shape, x.dtype)

    def reference(self, x: Array, mask: Array) -> Array:
        """The bits of x times 0 or 1: exact, and many times as fast as a selection."""
        bits = _BITS[x.itemsize]
        return np.multiply(x.view(bits), mask, dtype=bits).view(x.dtype)

    def partial_x(self, mask: Tensor) -> Tensor:
        """The mask."""
        return mask


def keep_where(input: Tensor, mask: Tensor) -> Tensor:
    """`input` where the mask holds, else 0. (PyTorch has no name for it.)

    >>> import chainrule
    >>> from chainrule.ops.compare import keep_where
    >>> keep_where(chainrule.tensor([1.0, float("inf")]), chainrule.tensor([True, False]))
    tensor([1., 0.])
    """
    return bind(KeepWhere(), input, mask)


class Where(Elementwise):
    r"""y = a where the condition holds, else b.    a_bar = y_bar where it holds, else 0"""

    operands = ("condition", "a", "b")

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Same shapes, and all three broadcast."""
        for c, a, b in (((4,), (4,), (4,)), ((2, 1), (3,), ()), ((), (2,), (2, 2))):
            condition = np.arange(int(np.prod(c))).reshape(c) % 2 == 0
            yield Sample(op(), (condition, spread(a, -3, 3), spread(b, -3, 3, seed=1)))

    def type_rule(self, *types: TensorType) -> TensorType:
        """The broadcast shape; the dtype of a and b, which agree."""
        condition, a, b = types
        if condition.dtype is not bool_:
            self.fail(
                f"the condition is {condition}, not bool",
                cure="compare it with something, or .bool() it",
                types=[condition, a, b],
            )
        values = super().type_rule(a, b)
        shape = broadcast_shapes_or_none([condition.shape, values.shape])
        if shape is None:
            self.fail(
                f"shapes do not broadcast: {condition}, {a} and {b}",
                cure="aligned at the right, sizes must be equal or 1",
                types=[condition, a, b],
            )
        return TensorType(shape, values.dtype)

    def reference(self, condition: Array, a: Array, b: Array) -> Array:
        """`np.where`."""
        return np.where(condition, a, b)

    def partial_a(self, condition: Tensor) -> Tensor:
        """The condition: a mask."""
        return condition

    def partial_b(self, condition: Tensor) -> Tensor:
        """Its negation: a mask."""
        return ~condition


def where(
    condition: Tensor, input: Tensor | float | None = None, other: Tensor | float | None = None
) -> Any:
    """`input` where the condition holds, else `other`, broadcast.

    With the condition alone: the indices where it holds, one tensor per dimension.

    >>> import chainrule
    >>> x = chainrule.tensor([1.0, -2.0])
    >>> chainrule.where(x > 0, x, 0)
    tensor([1., 0.])
    """
    if input is None or other is None:
        return condition.nonzero(as_tuple=True)
    a, b = pair(input, other)
    (flag,) = promote(condition)
    return bind(Where(), cast(flag, bool_), a, b)


def masked_fill(input: Tensor, mask: Tensor, value: Tensor | float) -> Tensor:
    """The tensor with `value` (a number, or a tensor of no dimensions) where the mask holds.

    Raises:
        OpError: the mask is not bool, or the value has dimensions.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 2.0]).masked_fill(chainrule.tensor([False, True]), float("-inf"))
    tensor([1., -inf])
    """
    if mask.dtype is not bool_:
        raise OpError(
            f"masked_fill: the mask is {mask.type}, not bool",
            cure="compare it with something, or .bool() it",
            location=str(user_location() or ""),
        )
    (filling,) = promote(value)
    if filling.shape:
        raise OpError(
            f"masked_fill: the value is {filling.type}, not a number",
            cure="use where(mask, value, input) to fill in a whole tensor",
            location=str(user_location() or ""),
        )
    return bind(Where(), mask, cast(filling, input.dtype), input)
