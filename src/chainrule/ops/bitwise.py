"""Operations on the bits of integers and on bools: & | ^ ~ << >>. None has a derivative."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import FLOAT
from chainrule.core.families import Binary, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError
from chainrule.ops.promotion import pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
]

IN_PLACE = (
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
)


class BitOp(Binary, family=True):
    """An operation on the bits of two integers, or on two bools."""

    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Same shapes, and broadcast."""
        yield Sample(op(), (np.array([5, -6, 12]), np.array([3, 1, 2])))
        yield Sample(op(), (np.array([[5], [-6]]), np.array([3, 1, 2])))

    def type_rule(self, *types: TensorType) -> TensorType:
        """The broadcast shape; floats have no bits to speak of."""
        if any(each.dtype.category == FLOAT for each in types):
            self.fail(
                "floats have no bitwise operations: " + " and ".join(map(str, types)),
                cure="compare floats to get bools, or convert them with .to(chainrule.int64)",
                error=DTypeError,
                types=types,
            )
        return super().type_rule(*types)


class BitwiseAnd(BitOp):
    """y = a & b"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.bitwise_and`."""
        return np.bitwise_and(a, b)


def bitwise_and(input: Tensor | int, other: Tensor | int) -> Tensor:
    """The bits set in both; of bools: both hold. Floats have no bits here: `DTypeError`.

    >>> import chainrule
    >>> chainrule.bitwise_and(chainrule.tensor([6, -1]), 3)
    tensor([2, 3])
    """
    return bind(BitwiseAnd(), *pair(input, other))


class BitwiseOr(BitOp):
    """y = a | b"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.bitwise_or`."""
        return np.bitwise_or(a, b)


def bitwise_or(input: Tensor | int, other: Tensor | int) -> Tensor:
    """The bits set in either; of bools: at least one holds.

    >>> import chainrule
    >>> chainrule.bitwise_or(chainrule.tensor([6, 8]), 3)
    tensor([ 7, 11])
    """
    return bind(BitwiseOr(), *pair(input, other))


class BitwiseXor(BitOp):
    """y = a ^ b"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.bitwise_xor`."""
        return np.bitwise_xor(a, b)


def bitwise_xor(input: Tensor | int, other: Tensor | int) -> Tensor:
    """The bits set in just one; of bools: they differ.

    >>> import chainrule
    >>> chainrule.bitwise_xor(chainrule.tensor([True, True]), chainrule.tensor([True, False]))
    tensor([False,  True])
    """
    return bind(BitwiseXor(), *pair(input, other))


class BitwiseLeftShift(BitOp):
    """y = a << b"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.left_shift`."""
        return np.left_shift(a, b)


def bitwise_left_shift(input: Tensor | int, other: Tensor | int) -> Tensor:
    """The bits moved up: times 2 to the power of `other`.

    >>> import chainrule
    >>> chainrule.bitwise_left_shift(chainrule.tensor([1, -3]), chainrule.tensor([4, 1]))
    tensor([16, -6])
    """
    return bind(BitwiseLeftShift(), *pair(input, other))


class BitwiseRightShift(BitOp):
    """y = a >> b"""

    def reference(self, a: Array, b: Array) -> Array:
        """`np.right_shift`."""
        return np.right_shift(a, b)


def bitwise_right_shift(input: Tensor | int, other: Tensor | int) -> Tensor:
    """The bits moved down; the sign is kept.

    >>> import chainrule
    >>> chainrule.bitwise_right_shift(chainrule.tensor([7, -7]), 1)
    tensor([ 3, -4])
    """
    return bind(BitwiseRightShift(), *pair(input, other))


class BitwiseNot(Unary):
    """y = ~x"""

    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Integers and bools."""
        yield Sample(op(), (np.array([5, -6, 12]),))
        yield Sample(op(), (np.array([True, False]),))

    def type_rule(self, *types: TensorType) -> TensorType:
        """The same type; floats have no bits to speak of."""
        if types[0].dtype.category == FLOAT:
            self.fail(
                f"floats have no bitwise operations: {types[0]}",
                cure="use logical_not, or compare the floats to get bools",
                error=DTypeError,
                types=types,
            )
        return types[0]

    def reference(self, x: Array) -> Array:
        """`np.invert`."""
        return np.invert(x)


def bitwise_not(input: Tensor) -> Tensor:
    """Every bit turned over; of bools: not.

    >>> import chainrule
    >>> ~chainrule.tensor([True, False]), ~chainrule.tensor([0, 5])
    (tensor([False,  True]), tensor([-1, -6]))
    """
    return bind(BitwiseNot(), input)
