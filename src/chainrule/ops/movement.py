"""Movement: reshape, permute and kin. No arithmetic; most results are views.

Broadcasting is in `broadcasting.py`, what copies elements about (flip, roll, repeat) in
`rearrange.py`, strided windows and diagonals in `windows.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import Dims, one_dim
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "adjoint",
    "clone",
    "contiguous",
    "flatten",
    "is_contiguous",
    "moveaxis",
    "movedim",
    "permute",
    "ravel",
    "reshape",
    "reshape_as",
    "squeeze",
    "stride",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unsqueeze",
    "view",
    "view_as",
]

Shape = int | Sequence[int]


def shape_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` both mean the shape (2, 3)."""
    if len(sizes) == 1 and not isinstance(sizes[0], int | np.integer):
        return tuple(sizes[0])
    return sizes


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

    def reference_for(self, *types: TensorType) -> Callable[[Array], Array]:
        """The array's own method, called with the shape."""
        return methodcaller("reshape", self.shape)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent in the old shape."""
        return (bind(Reshape(x.shape), y_bar),)


def full_shape(op: str, input: Tensor, sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """The sizes of a reshape with its -1, if there is one, worked out."""
    if -1 not in sizes:
        return tuple(sizes)
    known = math.prod(size for size in sizes if size != -1)
    total = math.prod(input.shape)
    if sizes.count(-1) > 1 or known == 0 or total % known:
        Reshape(tuple(sizes)).fail(
            f"{input.type} can't be given the shape {list(sizes)} by {op}",
            cure="at most one size may be -1, and the others must divide the element count",
            types=[input.type],
        )
    return tuple(total // known if size == -1 else size for size in sizes)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1. A view where the memory allows it.

    >>> import chainrule
    >>> chainrule.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return bind(Reshape(full_shape("reshape", input, shape_of(shape))), input)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The same elements in the shape of `other`.

    >>> import chainrule
    >>> chainrule.arange(6).reshape_as(chainrule.zeros(3, 2)).shape
    (3, 2)
    """
    return bind(Reshape(other.shape), input)


def view(input: Tensor, *shape: Any) -> Tensor:
    """The same memory in another shape; one size may be -1. Never a copy.

    Raises:
        ShapeError: the element counts differ, or the strides do not allow it.

    >>> import chainrule
    >>> x = chainrule.zeros(2, 3)
    >>> y = x.view(-1)
    >>> y[0] = 7.0
    >>> x
    tensor([[7., 0., 0.],
            [0., 0., 0.]])
    """
    return _viewed(input, full_shape("view", input, shape_of(shape)))


def _viewed(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Reshaped, if that needs no copy."""
    y: Tensor = bind(Reshape(shape), input)
    if is_contiguous(input) or not y.numel() or np.may_share_memory(input.value, y.value):
        return y
    Reshape(shape).fail(
        f"the strides of this {input.type} do not allow a view of the shape {list(shape)}",
        cure="use .reshape(...), which copies, or .contiguous().view(...)",
        types=[input.type],
    )


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """The same memory in the shape of `other`; a `ShapeError` where `view` has one.

    >>> import chainrule
    >>> chainrule.arange(6).view_as(chainrule.zeros(3, 2)).shape
    (3, 2)
    """
    return _viewed(input, other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` (included) merged into one.

    >>> import chainrule
    >>> chainrule.zeros(2, 3, 4).flatten(1).shape == (2, 12)
    True
    """
    first = one_dim("flatten", start_dim, input.ndim)
    last = one_dim("flatten", end_dim, input.ndim)
    if first > last:
        refuse(
            "flatten",
            f"start_dim {start_dim} comes after end_dim {end_dim} in {input.type}",
            cure="swap them",
            types=[input.type],
        )
    shape = input.shape
    merged = math.prod(shape[first : last + 1])
    return bind(Reshape((*shape[:first], merged, *shape[last + 1 :])), input)


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    return bind(Reshape((math.prod(input.shape),)), input)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` split into several; one of the sizes may be -1.

    >>> import chainrule
    >>> chainrule.zeros(2, 12).unflatten(1, (3, -1)).shape == (2, 3, 4)
    True
    """
    at = one_dim("unflatten", dim, input.ndim)
    size, known = input.shape[at], math.prod(each for each in sizes if each != -1)
    split = tuple(size // known if each == -1 and known else each for each in sizes)
    if math.prod(split) != size:
        refuse(
            "unflatten",
            f"dimension {at} of {input.type} has {size} elements, the sizes {list(sizes)} do not "
            "multiply to that",
            cure="give sizes whose product is the dimension's, one of them may be -1",
            types=[input.type],
        )
    return bind(Reshape((*input.shape[:at], *split, *input.shape[at + 1 :])), input)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 before dimension `dim`: a view.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).unsqueeze(-1).shape
    (2, 3, 1)
    """
    at = one_dim("unsqueeze", dim, input.ndim + 1)
    return bind(Reshape((*input.shape[:at], 1, *input.shape[at:])), input)


def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    """Without its dimensions of size 1: all of them, or those of `dim` that have size 1. A view.

    >>> import chainrule
    >>> chainrule.zeros(1, 2, 1).squeeze().shape, chainrule.zeros(1, 2, 1).squeeze(-1).shape
    ((2,), (1, 2))
    """
    shape = input.shape
    if dim is None:
        gone = tuple(range(len(shape)))
    else:
        listed = (dim,) if isinstance(dim, int) else dim
        gone = tuple(one_dim("squeeze", each, len(shape)) for each in listed)
    kept = tuple(size for axis, size in enumerate(shape) if size != 1 or axis not in gone)
    return bind(Reshape(kept), input)


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

    def reference_for(self, *types: TensorType) -> Callable[[Array], Array]:
        """The array's own method, called with the dimensions."""
        return methodcaller("transpose", self.dims)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The inverse order."""
        inverse = sorted(range(len(self.dims)), key=self.dims.__getitem__)
        return (bind(Permute(tuple(inverse)), y_bar),)


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order: a view. Dimension i is the old `dims[i]`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3, 5).permute(2, 0, 1).shape
    (5, 2, 3)
    """
    order = shape_of(dims)
    return bind(Permute(tuple([one_dim("permute", dim, input.ndim) for dim in order])), input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped: a view.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]]).transpose(0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    order = list(range(input.ndim))
    first = one_dim("transpose", dim0, input.ndim)
    second = one_dim("transpose", dim1, input.ndim)
    if order:
        order[first], order[second] = order[second], order[first]
    return bind(Permute(tuple(order)), input)


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Another name for `transpose`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3, 5).swapaxes(0, -1).shape
    (5, 3, 2)
    """
    return transpose(input, axis0, axis1)


def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Another name for `transpose`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3, 5).swapdims(0, 1).shape
    (3, 2, 5)
    """
    return transpose(input, dim0, dim1)


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions swapped: a view. (All numbers here are real.)

    >>> import chainrule
    >>> chainrule.zeros(2, 3, 5).adjoint().shape
    (2, 5, 3)
    """
    return transpose(input, -2, -1)


def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or a scalar as it is. A view.

    Raises:
        ShapeError: more than two dimensions; `.mT` takes them.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).t().shape
    (3, 2)
    """
    if input.ndim > 2:
        refuse(
            "t",
            f"takes at most two dimensions, not {input.type}",
            cure="use .mT to swap the last two, or .permute(...)",
            types=[input.type],
        )
    return bind(Permute(tuple(reversed(range(input.ndim)))), input)


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Dimensions `source` moved to the places `destination`, the others in order: a view.

    >>> import chainrule
    >>> chainrule.zeros(2, 3, 4).movedim(0, -1).shape == (3, 4, 2)
    True
    """
    ndim = input.ndim
    listed = [(each,) if isinstance(each, int) else tuple(each) for each in (source, destination)]
    taken, places = ([one_dim("movedim", dim, ndim) for dim in dims] for dims in listed)
    if len(taken) != len(places) or len({*taken}) < len(taken) or len({*places}) < len(places):
        refuse(
            "movedim",
            f"source {listed[0]} and destination {listed[1]} do not pair up",
            cure="name as many dimensions in both, each once",
            error=DimensionError,
            types=[input.type],
        )
    order = [dim for dim in range(ndim) if dim not in taken]
    for place, dim in sorted(zip(places, taken)):
        order.insert(place, dim)
    return bind(Permute(tuple(order)), input)


def moveaxis(
    input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]
) -> Tensor:
    """Another name for `movedim`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3, 5).moveaxis(0, -1).shape
    (3, 5, 2)
    """
    return movedim(input, source, destination)


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
    """A copy in memory of its own; gradients flow through it.

    >>> import chainrule
    >>> x = chainrule.tensor([1, 2])
    >>> y = x.clone().zero_()
    >>> x
    tensor([1, 2])
    """
    return bind(Clone(), input)


def stride(input: Tensor, dim: int | None = None) -> Any:
    """How many elements lie between neighbours along each dimension, or along `dim`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).T.stride()
    (1, 3)
    """
    shape = input.shape
    in_bytes = getattr(input.value, "strides", None)
    if in_bytes is None:  # a trace's symbol has no memory: as if it were contiguous
        steps = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    else:
        steps = tuple(each // input.value.dtype.itemsize for each in in_bytes)
    return steps if dim is None else steps[one_dim("stride", dim, len(shape))]


def is_contiguous(input: Tensor) -> bool:
    """Whether its elements lie in memory in order, without gaps.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).is_contiguous(), chainrule.zeros(2, 3).t().is_contiguous()
    (True, False)
    """
    flags = getattr(input.value, "flags", None)
    return flags is None or bool(flags.c_contiguous)


def contiguous(input: Tensor) -> Tensor:
    """Itself if its elements lie in memory in order, else a copy in which they do.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).t().contiguous().is_contiguous()
    True
    """
    return input if is_contiguous(input) else clone(input)
