"""Gather and scatter along one dimension: `y[i, j] = x[index[i, j], j]` and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.base import is_tensor
from chainrule.core.dtypes import bool_, int64
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind, read
from chainrule.core.op import Array, Bars, Needs, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError, DTypeError, OpError
from chainrule.ops.advanced import add_rows
from chainrule.ops.create import zeros
from chainrule.ops.promotion import cast, promote
from chainrule.ops.refusal import refuse
from chainrule.ops.slicing import Slice

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["gather", "one_hot", "scatter", "scatter_add", "take_along_dim"]

IN_PLACE = ("scatter", "scatter_add")

_CASES: tuple[tuple[tuple[int, ...], int, Any], ...] = (
    ((4,), 0, [3, 0, 1]),
    ((3, 4), 1, [[0, 3], [1, 2], [2, 0]]),
    ((3, 4), 0, [[2, 0, 1, 0]]),
    ((2, 3, 2), 1, [[[2, 1]]]),
    ((3, 2), 0, np.zeros((0, 2), np.int64)),
)


class Along(LinearOp, family=True):
    """What gathering and scattering share.

    Attributes:
        dim: the dimension that the index goes with, counted from the left.
    """

    dim: int

    def check_index(self, shape: tuple[int, ...], index: TensorType) -> None:
        """As many dimensions as `shape`, and no size larger but along `dim`."""
        fits = index.ndim == len(shape) and all(
            dim == self.dim or given <= size
            for dim, (given, size) in enumerate(zip(index.shape, shape))
        )
        if not fits and index.size:
            self.fail(
                f"the index {index} does not fit into the shape {list(shape)} along dimension "
                f"{self.dim}",
                cure="it has as many dimensions, and is no larger in any but that one",
                types=[index],
            )

    def check_range(self, size: int, index: Array) -> None:
        """Every index from 0 to size - 1, or a `DimensionError`."""
        if index.size and (index.min() < 0 or index.max() >= size):
            wrong = index[(index < 0) | (index >= size)][0]
            self.fail(
                f"index {wrong} is out of range for dimension {self.dim} of size {size}",
                cure=f"valid indices are from 0 to {size - 1}" if size else "it is empty",
                error=DimensionError,
            )

    def within(self, x: Array, index: Array) -> Array:
        """The part of x that lies alongside the index: a view."""
        return x[
            tuple(
                slice(None) if dim == self.dim else slice(size)
                for dim, size in enumerate(index.shape)
            )
        ]


class Gather(Along):
    r"""y[i, j] = x[index[i, j], j], for dimension 0.    x_bar = zeros with y_bar added there"""

    linear_in = (0,)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Along the first, an inner and the last dimension, of the full and of a smaller size."""
        for shape, dim, index in _CASES:
            yield Sample(op(dim), (spread(shape, -3, 3), np.asarray(index)))

    def type_rule(self, x: TensorType, index: TensorType) -> TensorType:
        """The index's shape."""
        self.check_index(x.shape, index)
        return TensorType(index.shape, x.dtype)

    def reference(self, x: Array, index: Array) -> Array:
        """`np.take_along_axis`."""
        self.check_range(x.shape[self.dim], index)
        return np.take_along_axis(self.within(x, index), index, self.dim)

    def transpose(self, y_bar: Tensor, x: TensorType, index: Tensor, *, needs: Needs) -> Bars:
        """Added where it came from."""
        return (bind(ScatterAdd(self.dim, x.shape), y_bar, index), None)


class ScatterAdd(Along):
    r"""y = zeros, with y[index[i, j], j] += source[i, j].    source_bar = y_bar gathered

    Attributes:
        shape: the shape of the result.
    """

    shape: tuple[int, ...] = ()
    linear_in = (0,)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The cases of `Gather`, and indices that repeat."""
        for shape, dim, index in (*_CASES, ((3,), 0, [1, 1, 2, 1])):
            array = np.asarray(index)
            yield Sample(op(dim, shape), (spread(array.shape, -3, 3), array))

    def type_rule(self, source: TensorType, index: TensorType) -> TensorType:
        """`shape`."""
        self.check_index(self.shape, index)
        return TensorType(self.shape, source.dtype)

    def reference(self, source: Array, index: Array) -> Array:
        """Element by element, flat."""
        self.check_range(self.shape[self.dim], index)
        places = list(np.ogrid[tuple(slice(size) for size in index.shape)])
        places[self.dim] = index
        flat = np.zeros((), np.int64)
        for size, place in zip(self.shape, places):
            flat = flat * size + place
        return add_rows(source.reshape(-1, 1), flat.ravel(), self.shape, ())

    def transpose(self, y_bar: Tensor, source: TensorType, index: Tensor, *, needs: Needs) -> Bars:
        """Gathered."""
        return (bind(Gather(self.dim), y_bar, index), None)


class Scatter(Along):
    r"""y = x, with y[index[i, j], j] = source[i, j].

    x_bar = y_bar with zeros there,  source_bar = y_bar gathered
    """

    linear_in = (0, 1)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The cases of `Gather`, none of which repeats an index."""
        for shape, dim, index in _CASES:
            array = np.asarray(index)
            source = spread(array.shape, -3, 3, seed=1)
            yield Sample(op(dim), (spread(shape, -3, 3), source, array))

    def type_rule(self, x: TensorType, source: TensorType, index: TensorType) -> TensorType:
        """The type of x; the source has the index's shape."""
        self.check_index(x.shape, index)
        if source.shape != index.shape:
            self.fail(
                f"the source {source} has not the shape of the index {index}",
                cure="give a source of the index's shape",
                types=[x, source, index],
            )
        return x

    def reference(self, x: Array, source: Array, index: Array) -> Array:
        """`np.put_along_axis` into a copy."""
        self.check_range(x.shape[self.dim], index)
        y = x.copy()
        np.put_along_axis(self.within(y, index), index, source, self.dim)
        return y

    def transpose(
        self, y_bar: Tensor, x: TensorType, source: TensorType, index: Tensor, *, needs: Needs
    ) -> Bars:
        """Split between what was kept and what was written."""
        x_bar = source_bar = None
        if needs[0]:
            x_bar = bind(self, y_bar, zeros(source.shape, dtype=y_bar.dtype), index)
        if needs[1]:
            source_bar = bind(Gather(self.dim), y_bar, index)
        return x_bar, source_bar, None


def _prepared(op: str, input: Tensor, dim: int, index: Any) -> tuple[Tensor, int, Tensor]:
    """Input and index with a dimension at least, and the dimension counted from the left."""
    at = one_dim(op, dim, input.ndim)
    if index.dtype.is_floating_point or index.dtype is bool_:
        refuse(
            op,
            f"the index is {index.type}",
            cure="convert it with .long()",
            error=DTypeError,
            types=[input.type, index.type],
        )
    places = cast(index, int64)
    return (
        input if input.ndim else input.reshape(1),
        at,
        places if places.ndim else places.reshape(1),
    )


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Elements along one dimension: for dim 0, y[i, j] = input[index[i, j], j].

    Args:
        index: integers, of as many dimensions as `input`, no larger in any other than `dim`.
        sparse_grad: accepted for PyTorch's sake; gradients are dense.

    >>> import chainrule
    >>> x = chainrule.tensor([[1, 2], [3, 4]])
    >>> x.gather(1, chainrule.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    wide, at, places = _prepared("gather", input, dim, index)
    op = Gather(at)
    op.type_rule(wide.type, places.type)
    return bind(op, wide, places).reshape(index.shape) if not index.ndim else bind(op, wide, places)


def _source(op: str, src: Any, input: Tensor, places: Tensor) -> Tensor:
    """What to scatter: a number spread out, or a tensor cut to the index's shape."""
    if not is_tensor(src):
        (number,) = promote(src)
        return cast(number, input.dtype).expand(places.shape)
    given: Any = src
    source: Tensor = given if given.ndim else given.reshape(1)
    if source.dtype is not input.dtype:
        refuse(
            op,
            f"the source is {source.type}, the input {input.type}",
            cure="convert one of them with .to(dtype)",
            error=DTypeError,
            types=[input.type, source.type],
        )
    if source.shape == places.shape:
        return source
    if source.ndim != places.ndim or any(
        have < size for have, size in zip(source.shape, places.shape)
    ):
        refuse(
            op,
            f"the source {source.type} is smaller than the index {places.type}",
            cure="give a source of the index's shape",
            types=[source.type, places.type],
        )
    return bind(Slice(tuple((0, size, 1) for size in places.shape)), source)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Tensor | float, *, reduce: str | None = None
) -> Tensor:
    """`input` with elements replaced: for dim 0, y[index[i, j], j] = src[i, j].

    Args:
        index: integers, of as many dimensions as `input`.
        src: a tensor of the index's shape (or larger), or one number.
        reduce: `"add"` adds instead of replacing.

    Raises:
        ShapeError: the index has other dimensions than `input`, or `src` is smaller than it.
        DimensionError: an index is out of range.
        OpError: there is no such `reduce`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).scatter(1, chainrule.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    wide, at, places = _prepared("scatter", input, dim, index)
    op = Scatter(at)
    if reduce not in (None, "add"):
        op.fail(f"reduce is {reduce!r}", cure='pass "add", or leave it out', error=OpError)
    source = _source("scatter", src, input, places)
    if reduce == "add":
        return scatter_add(input, dim, index, source)
    op.type_rule(wide.type, source.type, places.type)
    y = bind(op, wide, source, places)
    return y if input.ndim else y.reshape(())


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with elements added to: for dim 0, y[index[i, j], j] += src[i, j].

    >>> import chainrule
    >>> index = chainrule.tensor([1, 1, 0])
    >>> chainrule.zeros(2).scatter_add(0, index, chainrule.tensor([1.0, 2.0, 3.0]))
    tensor([3., 3.])
    """
    wide, at, places = _prepared("scatter_add", input, dim, index)
    source = _source("scatter_add", src, input, places)
    op = ScatterAdd(at, wide.shape)
    op.type_rule(source.type, places.type)
    added = bind(op, source, places)
    return input + (added if input.ndim else added.reshape(()))


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As `gather`, with input and indices broadcast against each other; flat without `dim`.

    Made for what `argmax` and `argsort` give.

    >>> import chainrule
    >>> x = chainrule.tensor([[3, 1], [2, 4]])
    >>> x.take_along_dim(x.argmax(1, keepdim=True), 1)
    tensor([[3],
            [4]])
    """
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    at = one_dim("take_along_dim", dim, input.ndim)
    if input.ndim != indices.ndim:
        refuse(
            "take_along_dim",
            f"{input.type} and indices {indices.type} differ in dimensions",
            cure="use keepdim=True, or .unsqueeze(dim)",
            types=[input.type, indices.type],
        )

    def without(shape: Sequence[int], size: int) -> tuple[int, ...]:
        return (*shape[:at], size, *shape[at + 1 :])

    try:
        shape = np.broadcast_shapes(without(input.shape, 1), without(indices.shape, 1))
    except ValueError:
        refuse(
            "take_along_dim",
            f"{input.type} and indices {indices.type} do not broadcast",
            cure="their sizes must agree, or be 1, in all dimensions but dim",
            types=[input.type, indices.type],
        )
    wide = input.expand(without(shape, input.shape[at]))
    places = cast(indices, int64).expand(without(shape, indices.shape[at]))
    return bind(Gather(at), wide, places)


class OneHot(Op):
    r"""y[..., c] = [x = c].

    Attributes:
        classes: how many.
    """

    classes: int
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A vector, a scalar, a matrix."""
        for index in ([0, 2, 1], 1, [[1, 0]]):
            yield Sample(op(3), (np.asarray(index),))

    def type_rule(self, x: TensorType) -> TensorType:
        """One more dimension, of the classes; int64."""
        if x.dtype is not int64:
            self.fail(
                f"takes class numbers in int64, not {x}",
                cure="convert with .long()",
                error=DTypeError,
                types=[x],
            )
        return TensorType((*x.shape, self.classes), int64)

    def reference(self, x: Array) -> Array:
        """Compared with all classes."""
        if x.size and not 0 <= x.min() <= x.max() < self.classes:
            wrong = x[(x < 0) | (x >= self.classes)][0]
            self.fail(
                f"class {wrong} is not one of {self.classes}",
                cure=f"classes are from 0 to {self.classes - 1}",
                error=DimensionError,
            )
        return (x[..., None] == np.arange(self.classes)).astype(np.int64)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Class numbers as vectors with a 1 at the class: int64, one more dimension.

    Args:
        num_classes: how many classes; -1 means the largest number plus one, read off the values.

    >>> import chainrule
    >>> from chainrule.ops.gathering import one_hot
    >>> one_hot(chainrule.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    count = num_classes
    if count == -1:
        array = read(tensor)
        count = int(array.max()) + 1 if array.size else 0
    op = OneHot(count)
    op.type_rule(tensor.type)
    return bind(op, tensor)
