"""Advanced indexing as ops: gather by index tensors, write by them, add by them.

The index tensors are inputs that steer; the values flow linearly from and to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import float64
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import DimensionError
from chainrule.ops.create import zeros

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Index", "IndexAdd", "IndexPut", "add_rows"]

_CASES: tuple[tuple[tuple[int, ...], tuple[int, ...], int, tuple[Any, ...]], ...] = (
    ((5,), (0,), 0, ([4, 0, -1, 0],)),
    ((4, 3), (0,), 0, ([[1, 1], [0, 3]],)),
    ((4, 3), (1,), 1, ([2, 0],)),
    ((4, 3), (0, 1), 0, ([0, 3], [[2], [1]])),
    ((2, 3, 4), (1, 2), 1, ([0, 2, 0], [3, 1, 3])),
    ((2, 3, 4), (0, 2), 0, ([0, 1], [3, -4])),
    ((3, 2), (0,), 0, (1,)),
    ((3, 2), (0,), 0, (np.zeros((0,), np.int64),)),
)


def _cases() -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int, tuple[Array, ...]]]:
    for shape, dims, at, indices in _CASES:
        yield shape, dims, at, tuple(np.asarray(each, np.int64) for each in indices)


class Indexed(LinearOp, family=True):
    """What gathering, writing and adding share: which dimensions are indexed, and how.

    Attributes:
        dims: the dimensions that the index tensors go with, one each.
        at: the dimensions of the (broadcast) indices stand after this many of the others.
        wrap: negative indices count from the end; else they are errors.
    """

    dims: tuple[int, ...]
    at: int
    wrap: bool = True

    def indexed_shape(self, x: tuple[int, ...], indices: Sequence[TensorType]) -> tuple[int, ...]:
        """The shape of x[indices]."""
        batch = broadcast_shapes_or_none([each.shape for each in indices])
        if batch is None:
            self.fail(
                "the index tensors do not broadcast: " + " and ".join(map(str, indices)),
                cure="aligned at the right, two sizes must be equal or one of them 1",
                error=DimensionError,
                types=indices,
            )
        rest = tuple(size for dim, size in enumerate(x) if dim not in self.dims)
        return (*rest[: self.at], *batch, *rest[self.at :])

    def front(self, x: Array) -> Array:
        """x with the indexed dimensions first."""
        if self.dims == tuple(range(len(self.dims))):
            return x
        return x.transpose(*self.dims, *[dim for dim in range(x.ndim) if dim not in self.dims])

    def _batch_to_front(self, y: Array, batch: int) -> Array:
        if self.at == 0:
            return y
        inner = range(self.at, self.at + batch)
        return y.transpose(*inner, *range(self.at), *range(self.at + batch, y.ndim))

    def check(self, sizes: Sequence[int], indices: Sequence[Array]) -> None:
        """Every index in range, or a `DimensionError` that names the first that is not."""
        for dim, size, index in zip(self.dims, sizes, indices):
            if index.size == 0:
                continue
            lowest = -size if self.wrap else 0
            if index.min() >= lowest and index.max() < size:
                continue
            wrong = index[(index < lowest) | (index >= size)][0]
            span = f"from {lowest} to {size - 1}" if size else "none, for it is empty"
            self.fail(
                f"index {wrong} is out of range for dimension {dim} of size {size}",
                cure=f"valid indices are {span}",
                error=DimensionError,
            )

    def rows(self, sizes: tuple[int, ...], indices: Sequence[Array]) -> Array:
        """The flat position of each index tuple among the indexed dimensions; checked."""
        self.check(sizes, indices)
        flat = np.zeros((), np.int64)
        for size, index in zip(sizes, indices):
            flat = flat * size + np.where(index < 0, index + size, index)
        return flat.ravel()


class Index(Indexed):
    r"""y = x[indices]: the elements, or slices, that the index tensors name.

    x_bar = zeros with y_bar added at the indices
    """

    linear_in = (0,)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """One index and several, duplicates, before and after a dimension taken whole."""
        for shape, dims, at, indices in _cases():
            yield Sample(op(dims, at), (spread(shape, -3, 3), *indices))

    def type_rule(self, x: TensorType, *indices: TensorType) -> TensorType:
        """The indices' broadcast shape in place of the indexed dimensions."""
        return TensorType(self.indexed_shape(x.shape, indices), x.dtype)

    def reference(self, x: Array, *indices: Array) -> Array:
        """`np.take` for one index, NumPy's advanced indexing for several."""
        if not self.wrap:
            self.check([x.shape[dim] for dim in self.dims], indices)
        try:
            if len(indices) == 1 and (self.at == self.dims[0] or indices[0].ndim == 0):
                return x.take(indices[0], axis=self.dims[0])
            y = self.front(x)[indices]
        except IndexError:
            self.check([x.shape[dim] for dim in self.dims], indices)
            raise
        if self.at == 0:
            return y
        batch = y.ndim - (x.ndim - len(self.dims))
        before = range(batch, batch + self.at)
        return y.transpose(*before, *range(batch), *range(batch + self.at, y.ndim))

    def transpose(self, y_bar: Tensor, x: TensorType, *indices: Tensor, needs: Needs) -> Bars:
        """Added where it came from."""
        x_bar = bind(IndexAdd(self.dims, self.at, self.wrap, x.shape), y_bar, *indices)
        return (x_bar, *[None] * len(indices))


class IndexAdd(Indexed):
    r"""y = zeros, with the source added at y[indices]: where indices repeat, they add up.

    source_bar = y_bar[indices]

    Attributes:
        shape: the shape of the result.
    """

    shape: tuple[int, ...] = ()
    linear_in = (0,)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The cases of `Index`, the other way."""
        for shape, dims, at, indices in _cases():
            source = np.zeros(shape).transpose(
                *dims, *[dim for dim in range(len(shape)) if dim not in dims]
            )[indices]
            rest = source.shape[source.ndim - (len(shape) - len(dims)) :]
            batch = source.shape[: source.ndim - len(rest)]
            given = (*rest[:at], *batch, *rest[at:])
            yield Sample(op(dims, at, True, shape), (spread(given, -3, 3), *indices))

    def type_rule(self, source: TensorType, *indices: TensorType) -> TensorType:
        """`shape`."""
        expected = self.indexed_shape(self.shape, indices)
        if source.shape != expected:
            self.fail(
                f"the source is {source}, what is indexed has the shape {list(expected)}",
                cure="give a source of that shape",
                types=[source, *indices],
            )
        return TensorType(self.shape, source.dtype)

    def reference(self, source: Array, *indices: Array) -> Array:
        """Rows added up, flat."""
        sizes = tuple(self.shape[dim] for dim in self.dims)
        rest = [dim for dim in range(len(self.shape)) if dim not in self.dims]
        rows = self.rows(sizes, np.broadcast_arrays(*indices))
        batch = source.ndim - len(rest)
        moved = self._batch_to_front(source, batch)
        inner = tuple(self.shape[dim] for dim in rest)
        y = add_rows(moved.reshape(rows.size, -1) if moved.size else moved, rows, sizes, inner)
        order = np.argsort([*self.dims, *rest])
        return y.transpose(order)

    def transpose(self, y_bar: Tensor, source: TensorType, *indices: Tensor, needs: Needs) -> Bars:
        """What stands at the indices."""
        return (bind(Index(self.dims, self.at, self.wrap), y_bar, *indices), *[None] * len(indices))


class IndexPut(Indexed):
    r"""y = x, with y[indices] = source.

    x_bar = y_bar with zeros there,  source_bar = y_bar[indices]

    Where indices repeat, the last one counts; the source's cotangent is then that of PyTorch,
    which gives every one of them what stands there.
    """

    linear_in = (0, 1)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Without duplicates, for which it is not linear in the source."""
        for shape, dims, at, indices in (
            ((5,), (0,), 0, ([4, 0, -2],)),
            ((4, 3), (1,), 1, ([2, 0],)),
            ((2, 3, 4), (0, 2), 0, ([0, 1], [3, -4])),
            ((2, 3, 4), (1, 2), 1, ([0, 2], [3, 1])),
        ):
            arrays = tuple(np.asarray(each, np.int64) for each in indices)
            put = op(dims, at)
            types = [TensorType(each.shape, float64) for each in arrays]
            source = spread(put.indexed_shape(shape, types), -3, 3, seed=1)
            yield Sample(put, (spread(shape, -3, 3), source, *arrays))

    def type_rule(self, x: TensorType, source: TensorType, *indices: TensorType) -> TensorType:
        """The type of x; the source has the shape of what is indexed."""
        expected = self.indexed_shape(x.shape, indices)
        if source.shape != expected:
            self.fail(
                f"the source is {source}, what is indexed has the shape {list(expected)}",
                cure="give a source that broadcasts to that shape",
                types=[x, source, *indices],
            )
        return x

    def reference(self, x: Array, source: Array, *indices: Array) -> Array:
        """Written into a copy."""
        y = x.copy()
        sizes = [x.shape[dim] for dim in self.dims]
        if not self.wrap:
            self.check(sizes, indices)
        batch = source.ndim - (x.ndim - len(self.dims))
        try:
            self.front(y)[indices] = self._batch_to_front(source, batch)
        except IndexError:
            self.check(sizes, indices)
            raise
        return y

    def transpose(
        self, y_bar: Tensor, x: TensorType, source: TensorType, *indices: Tensor, needs: Needs
    ) -> Bars:
        """Split between what was kept and what was written."""
        x_bar = source_bar = None
        if needs[0]:
            nothing = zeros(source.shape, dtype=y_bar.dtype)
            x_bar = bind(self, y_bar, nothing, *indices)
        if needs[1]:
            source_bar = bind(Index(self.dims, self.at, self.wrap), y_bar, *indices)
        return (x_bar, source_bar, *[None] * len(indices))


def add_rows(source: Array, rows: Array, sizes: tuple[int, ...], inner: tuple[int, ...]) -> Array:
    """Zeros of shape (*sizes, *inner) with each row of the source added at its row.

    NumPy adds at indices fast in one dimension only, so rows are made into elements; and where no
    row comes twice, as in most batches, it is an assignment, three times as fast.

    >>> add_rows(np.array([[1.0], [2.0]]), np.array([2, 2]), (3,), (1,)).ravel().tolist()
    [0.0, 0.0, 3.0]
    """
    width = int(np.prod(inner, dtype=np.int64))
    y = np.zeros((int(np.prod(sizes, dtype=np.int64)), width), source.dtype)
    if source.size:
        ordered = np.sort(rows)
        if (ordered[1:] != ordered[:-1]).all():
            y[rows] = source
        else:
            elements = rows if width == 1 else (rows[:, None] * width + np.arange(width)).ravel()
            np.add.at(y.reshape(-1), elements, source.reshape(-1))
    return y.reshape(*sizes, *inner)
