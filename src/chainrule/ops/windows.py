"""Strided views: sliding windows and diagonals, and what adds them back up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError
from chainrule.ops.refusal import refuse
from chainrule.ops.slicing import pick

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["diag", "diag_embed", "diagonal", "trace", "unfold"]


class Unfold(LinearOp):
    r"""y[..., i, ..., k] = x[..., i step + k, ...]: all windows along one dimension, as a view.

    x_bar = the windows of y_bar, added where they overlap

    Attributes:
        dim: the dimension, counted from the left.
        size: the length of a window, a new last dimension.
        step: the distance between windows.
    """

    dim: int
    size: int
    step: int
    aliases = True

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Overlapping windows, adjacent ones, with gaps and a rest."""
        for shape, dim, size, step in (
            ((6,), 0, 3, 1),
            ((6,), 0, 2, 2),
            ((2, 7), 1, 2, 3),
            ((5, 2), 0, 3, 2),
            ((3,), 0, 0, 1),
        ):
            yield Sample(op(dim, size, step), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """(size of dim - size) / step + 1 windows, and their length at the end."""
        length = x.shape[self.dim]
        if not 0 <= self.size <= length or self.step < 1:
            self.fail(
                f"windows of {self.size} at steps of {self.step} do not fit dimension {self.dim} "
                f"of {x}",
                cure=f"size must be 0 to {length} and step at least 1",
                types=[x],
            )
        count = (length - self.size) // self.step + 1
        return TensorType(
            (*x.shape[: self.dim], count, *x.shape[self.dim + 1 :], self.size), x.dtype
        )

    def reference(self, x: Array) -> Array:
        """A view with strides of its own; read-only where windows overlap."""
        shape, strides = list(x.shape), list(x.strides)
        shape[self.dim] = (x.shape[self.dim] - self.size) // self.step + 1
        strides[self.dim] *= self.step
        return np.lib.stride_tricks.as_strided(
            x,
            (*shape, self.size),
            (*strides, x.strides[self.dim]),
            writeable=x.flags.writeable and self.step >= self.size,
        )

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The windows added up where they were."""
        return (bind(UnfoldAdd(x.shape, self.dim, self.step), y_bar),)


class UnfoldAdd(LinearOp):
    r"""y[..., i step + k, ...] = Σ x[..., i, ..., k]: windows added up where they overlap.

    x_bar = the windows of y_bar

    Attributes:
        shape: the shape of the result.
        dim: the dimension the windows lie along.
        step: the distance between windows.
    """

    shape: tuple[int, ...]
    dim: int
    step: int

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Overlapping windows, and with gaps."""
        yield Sample(op((6,), 0, 1), (spread((4, 3), -3, 3),))
        yield Sample(op((2, 7), 1, 3), (spread((2, 2, 2), -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """`shape`."""
        return TensorType(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """One strided addition per place in the window."""
        y = np.zeros(self.shape, x.dtype)
        before = (slice(None),) * self.dim
        reach = (x.shape[self.dim] - 1) * self.step + 1
        for offset in range(x.shape[-1]):
            y[(*before, slice(offset, offset + reach, self.step))] += x[..., offset]
        return y

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The windows of the cotangent."""
        return (bind(Unfold(self.dim, x.shape[-1], self.step), y_bar),)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` along a dimension, `step` apart, in a new last dimension: a view.

    Windows that overlap share their elements, and can't be written to.

    >>> import chainrule
    >>> chainrule.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    op = Unfold(one_dim("unfold", dimension, input.ndim), size, step)
    op.type_rule(input.type if input.ndim else TensorType((1,), input.dtype))
    if input.ndim == 0:
        return pick(bind(op, input.reshape(1)), 0, 0)
    return bind(op, input)


def _diagonal_of(x: Array, offset: int, dim1: int, dim2: int) -> Array:
    y = x.diagonal(offset, dim1, dim2)
    y.flags.writeable = x.flags.writeable
    return y


class Diagonal(LinearOp):
    r"""y[..., i] = x[i, i + offset], over two dimensions: a view.    x_bar = y_bar put back there

    Attributes:
        offset: how far above the main diagonal.
        dim1: the first of the two dimensions, counted from the left.
        dim2: the second.
    """

    offset: int
    dim1: int
    dim2: int
    aliases = True

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Square and oblong, above and below, outer dimensions, an empty diagonal."""
        for shape, offset, dim1, dim2 in (
            ((3, 3), 0, 0, 1),
            ((2, 4), 1, 0, 1),
            ((4, 2), -1, 1, 0),
            ((2, 3, 2), 0, 2, 0),
            ((2, 2), 5, 0, 1),
        ):
            yield Sample(op(offset, dim1, dim2), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The two dimensions go; the diagonal's length comes last."""
        rows, columns = x.shape[self.dim1], x.shape[self.dim2]
        length = min(rows, columns - self.offset) if self.offset >= 0 else 0
        if self.offset < 0:
            length = min(rows + self.offset, columns)
        rest = [size for dim, size in enumerate(x.shape) if dim not in (self.dim1, self.dim2)]
        return TensorType((*rest, max(length, 0)), x.dtype)

    def reference(self, x: Array) -> Array:
        """`np.diagonal`, writeable."""
        return _diagonal_of(x, self.offset, self.dim1, self.dim2)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent on the diagonal, zeros elsewhere."""
        return (bind(DiagonalPut(x.shape, self.offset, self.dim1, self.dim2), y_bar),)


class DiagonalPut(LinearOp):
    r"""y = zeros with x on a diagonal.    x_bar = that diagonal of y_bar

    Attributes:
        shape: the shape of the result.
        offset: how far above the main diagonal.
        dim1: the first of the two dimensions it runs through.
        dim2: the second.
    """

    shape: tuple[int, ...]
    offset: int
    dim1: int
    dim2: int

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Square, oblong, with outer dimensions."""
        for shape, offset, dim1, dim2, given in (
            ((3, 3), 0, 0, 1, (3,)),
            ((2, 4), 1, 0, 1, (2,)),
            ((2, 3, 2), -1, 1, 2, (2, 2)),
        ):
            yield Sample(op(shape, offset, dim1, dim2), (spread(given, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """`shape`."""
        return TensorType(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """Written through the diagonal's view."""
        y = np.zeros(self.shape, x.dtype)
        _diagonal_of(y, self.offset, self.dim1, self.dim2)[...] = x
        return y

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The diagonal."""
        return (bind(Diagonal(self.offset, self.dim1, self.dim2), y_bar),)


def _two_dims(op: str, input_ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    first, second = one_dim(op, dim1, input_ndim), one_dim(op, dim2, input_ndim)
    if input_ndim < 2 or first == second:
        refuse(
            op,
            f"dim1 {dim1} and dim2 {dim2} are not two dimensions of a tensor that has {input_ndim}",
            cure="name two different dimensions",
            error=DimensionError,
        )
    return first, second


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, last in the result: a view.

    >>> import chainrule
    >>> chainrule.arange(4).reshape(2, 2).diagonal()
    tensor([0, 3])
    """
    return bind(Diagonal(offset, *_two_dims("diagonal", input.ndim, dim1, dim2)), input)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension on the diagonal of two new ones, zeros elsewhere.

    Off the main diagonal by `offset`, which makes the matrices larger.

    >>> import chainrule
    >>> chainrule.diag_embed(chainrule.tensor([1, 2]), 1)
    tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]])
    """
    ndim = input.ndim + 1
    first, second = _two_dims("diag_embed", ndim, dim1, dim2)
    shape = list(input.shape[:-1])
    for dim in sorted((first, second)):
        shape.insert(dim, input.shape[-1] + abs(offset))
    return bind(DiagonalPut(tuple(shape), offset, first, second), input)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector.

    >>> import chainrule
    >>> chainrule.diag(chainrule.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        refuse(
            "diag",
            f"takes a vector or a matrix, not {input.type}",
            cure="use .diagonal() or .diag_embed()",
            types=[input.type],
        )
    return bind(Diagonal(diagonal, 0, 1), input).clone()


def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]]).trace()
    tensor(5)
    """
    if input.ndim != 2:
        refuse(
            "trace",
            f"takes a matrix, not {input.type}",
            cure="for batches: .diagonal(dim1=-2, dim2=-1).sum(-1)",
            types=[input.type],
        )
    return bind(Diagonal(0, 0, 1), input).sum()
