"""Movement: reshape, permute, expand and kin. No arithmetic; most results are views."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["clone", "expand", "permute", "reshape", "transpose"]

Shape = int | Sequence[int]


def shape_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` both mean the shape (2, 3)."""
    if len(sizes) == 1 and not isinstance(sizes[0], int | np.integer):
        return tuple(sizes[0])
    return sizes


@dataclass(frozen=True)
class Reshape(LinearOp):
    r"""y = the elements of x, in order, in another shape.    x_bar = y_bar in the old shape

    Attributes:
        shape: the new shape, with no -1 left in it.
    """

    shape: tuple[int, ...]
    aliases = True

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Splitting, merging, to and from a scalar, nothing, and of a strided input."""
        for shape, target in (
            ((6,), (2, 3)),
            ((2, 3), (6,)),
            ((1,), ()),
            ((), (1, 1)),
            ((0, 3), (3, 0)),
        ):
            yield Sample(op(target), (spread(shape, -3, 3),))
        yield Sample(op((6,)), (spread((3, 2), -3, 3).T,))

    def type_rule(self, x: TensorType) -> TensorType:
        """The new shape, with as many elements."""
        if math.prod(self.shape) != x.size:
            self.fail(
                f"{x} has {x.size} elements, the shape {list(self.shape)} has "
                f"{math.prod(self.shape)}",
                cure="give a shape with as many elements, or -1 for one size to be worked out",
                types=[x],
            )
        return TensorType(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """`np.reshape`: a view where the memory allows it."""
        return x.reshape(self.shape)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent in the old shape."""
        return (bind(Reshape(x.shape), y_bar),)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1. A view where the memory allows it.

    >>> import chainrule
    >>> chainrule.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    sizes = shape_of(shape)
    if -1 in sizes:
        known = math.prod(size for size in sizes if size != -1)
        total = math.prod(input.shape)
        op = Reshape(tuple(sizes))
        if sizes.count(-1) > 1 or known == 0 or total % known:
            op.fail(
                f"{input.type} can't be given the shape {list(sizes)}",
                cure="at most one size may be -1, and the others must divide the element count",
                types=[input.type],
            )
        sizes = tuple(total // known if size == -1 else size for size in sizes)
    return bind(Reshape(tuple(sizes)), input)


@dataclass(frozen=True)
class Permute(LinearOp):
    r"""y = x with its dimensions in another order.    x_bar = y_bar, put back in order

    Attributes:
        dims: output dimension i is input dimension `dims[i]`.
    """

    dims: tuple[int, ...]
    aliases = True

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Two, three and no dimensions."""
        for shape, dims in (((2, 3), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((), ())):
            yield Sample(op(dims), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The permuted shape."""
        if sorted(self.dims) != list(range(x.ndim)):
            self.fail(
                f"{list(self.dims)} is not an order of the {x.ndim} dimensions of {x}",
                cure="name each dimension once",
                types=[x],
            )
        return TensorType(tuple(x.shape[dim] for dim in self.dims), x.dtype)

    def reference(self, x: Array) -> Array:
        """`np.transpose`: a view."""
        return x.transpose(self.dims)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The inverse order."""
        inverse = sorted(range(len(self.dims)), key=self.dims.__getitem__)
        return (bind(Permute(tuple(inverse)), y_bar),)


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order: a view."""
    order = shape_of(dims)
    return bind(Permute(tuple(one_dim("permute", dim, input.ndim) for dim in order)), input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped: a view."""
    order = list(range(input.ndim))
    if order:
        first = one_dim("transpose", dim0, input.ndim)
        second = one_dim("transpose", dim1, input.ndim)
        order[first], order[second] = order[second], order[first]
    return bind(Permute(tuple(order)), input)


@dataclass(frozen=True)
class Expand(LinearOp):
    r"""y = x repeated along its dimensions of size 1, and along new ones in front, without a copy.

    x_bar = y_bar summed over them.

    Attributes:
        shape: the shape to broadcast to.
    """

    shape: tuple[int, ...]
    aliases = True

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Inner and new dimensions, and none at all."""
        for shape, target in (((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 2)), ((2,), (2,))):
            yield Sample(op(target), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """`shape`, if x broadcasts to it."""
        extra = len(self.shape) - x.ndim
        if extra < 0 or any(
            given not in (1, size) for given, size in zip(x.shape, self.shape[extra:], strict=True)
        ):
            self.fail(
                f"{x} can't be expanded to {list(self.shape)}",
                cure="only dimensions of size 1, and new ones in front, can be expanded",
                types=[x],
            )
        return TensorType(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """`np.broadcast_to`: a view with stride 0."""
        return np.broadcast_to(x, self.shape)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent summed over what was repeated."""
        return (y_bar.sum_to_size(x.shape),)


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Broadcast to a larger shape without a copy; -1 keeps a size."""
    target = shape_of(sizes)
    if input.value.shape == target:
        return input
    extra = len(target) - input.ndim
    shape = tuple(
        input.shape[axis - extra] if size == -1 and axis >= extra else size
        for axis, size in enumerate(target)
    )
    return bind(Expand(shape), input)


class Clone(LinearOp):
    r"""y = x, in memory of its own.    x_bar = y_bar"""

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A matrix and a strided one."""
        yield Sample(op(), (spread((2, 3), -3, 3),))
        yield Sample(op(), (spread((4, 3), -3, 3)[::2],))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same type."""
        return x

    def reference(self, x: Array) -> Array:
        """`np.copy`."""
        return x.copy()

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent as it is."""
        return (y_bar,)


def clone(input: Tensor) -> Tensor:
    """A copy in memory of its own; gradients flow through it."""
    return bind(Clone(), input)
