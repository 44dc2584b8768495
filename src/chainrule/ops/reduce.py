"""Reductions: sums, means, any and all, along some dimensions or all of them.

What the other reductions share (`Reduction`, their samples) is here too; they have files of their
own: `extrema`, `norms`, `products`, `variance`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import Dims, all_dims
from chainrule.core.dtypes import DType, bool_, int64, uint8
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError
from chainrule.ops.promotion import cast, promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "mean",
    "nanmean",
    "nansum",
    "sum",
    "sum_to_size",
]


def reduced_shape(shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """The shape after reducing `dims`: each becomes 1, or goes."""
    if keepdim:
        return tuple(1 if axis in dims else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in dims)


def reduction_samples(low: float = -3, high: float = 3) -> Any:
    """Samples for an op with the fields `dims` and `keepdim`."""

    def make(op: type[Any]) -> Iterator[Sample]:
        for dims, keepdim, shape in (
            ((0,), False, (4,)),
            ((0, 1), False, (2, 3)),
            ((1,), True, (2, 3)),
            ((0, 2), False, (2, 3, 2)),
            ((), False, ()),
        ):
            yield Sample(op(dims, keepdim), (spread(shape, low, high, seed=len(shape)),))

    return make


def restore_dims(tensor: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """Put back the dimensions that a reduction took away, with size 1."""
    if keepdim:
        return tensor
    shape = list(tensor.shape)
    for dim in dims:
        shape.insert(dim, 1)
    return tensor.reshape(shape)


def reduced_size(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many elements each result of a reduction over `dims` is made from."""
    return math.prod(shape[dim] for dim in dims)


def accumulator(x: Array) -> Any:
    """The NumPy dtype to add up in: half precision runs out of digits too soon."""
    return np.float32 if x.dtype == np.float16 else x.dtype


def reducer(
    function: np.ufunc,
    shape: tuple[int, ...],
    dims: tuple[int, ...],
    keepdim: bool,
    dtype: Any = None,
) -> Callable[[Array], Array]:
    """How to reduce arrays of this shape over some dimensions: by `function.reduce`.

    NumPy reduces short rows one after the other. The columns of their transpose it reduces all at
    once: for rows of ten that is three to seven times as fast, with the copy.
    """
    ndim, size = len(shape), math.prod(shape)
    if ndim < 2 or dims != (ndim - 1,) or not 0 < shape[-1] <= 16 or size < 1000:
        return partial(function.reduce, axis=dims, dtype=dtype, keepdims=keepdim)
    rows, reduced = (-1, shape[-1]), reduced_shape(shape, dims, keepdim)
    reduce = function.reduce
    return lambda x: reduce(x.reshape(rows).T.copy(), 0, dtype).reshape(reduced)


def reduce_over(
    function: np.ufunc, x: Array, dims: tuple[int, ...], keepdim: bool, dtype: Any = None
) -> Array:
    """An array reduced over some dimensions."""
    return reducer(function, x.shape, dims, keepdim, dtype)(x)


class Reduction(Op, family=True):
    """An op that reduces some dimensions.

    Attributes:
        dims: which, sorted, counted from the left.
        keepdim: keep each as a dimension of size 1.
    """

    dims: tuple[int, ...]
    keepdim: bool = False

    def type_rule(self, x: TensorType) -> TensorType:
        """The reduced shape, the same dtype."""
        return TensorType(reduced_shape(x.shape, self.dims, self.keepdim), x.dtype)


class OneDimReduction(Op, family=True):
    """An op that reduces a single dimension.

    Attributes:
        dim: which, counted from the left.
        keepdim: keep it, with size 1.
    """

    dim: int
    keepdim: bool = False


class Sum(Reduction, LinearOp):
    r"""y = Σ x over some dimensions.    x_bar = y_bar, spread back over them"""

    samples = reduction_samples()

    def reference(self, x: Array) -> Array:
        """`np.sum`, in the dtype of x."""
        return reduce_over(np.add, x, self.dims, self.keepdim, x.dtype)

    def reference_for(self, *types: TensorType) -> Callable[[Array], Array]:
        """The way to reduce arrays of this shape."""
        (x,) = types
        return reducer(np.add, x.shape, self.dims, self.keepdim, x.dtype.numpy)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent, expanded to the shape of x."""
        return (restore_dims(y_bar, self.dims, self.keepdim).expand(x.shape),)


def sum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The sum over `dim`, or over everything. Integers and bools sum to int64.

    >>> import chainrule
    >>> chainrule.sum(chainrule.ones(2, 3), dim=1)
    tensor([3., 3.])
    """
    (tensor,) = promote(input)
    if dtype is None and tensor.value.dtype.kind != "f":
        dtype = int64
    tensor = tensor if dtype is None else cast(tensor, dtype)
    return bind(Sum(all_dims("sum", dim, tensor.ndim), keepdim), tensor)


class Mean(Reduction, LinearOp):
    r"""y = Σ x / n over some dimensions.    x_bar = y_bar / n, spread back over them"""

    samples = reduction_samples()

    def reference(self, x: Array) -> Array:
        """The sum, divided once."""
        total = np.add.reduce(x, axis=self.dims, dtype=accumulator(x), keepdims=self.keepdim)
        return np.asarray(total / reduced_size(x.shape, self.dims), x.dtype)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent over n, expanded to the shape of x."""
        share = y_bar / reduced_size(x.shape, self.dims)
        return (restore_dims(share, self.dims, self.keepdim).expand(x.shape),)


def mean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The mean over `dim`, or over everything; NaN of nothing.

    Raises:
        DTypeError: the tensor holds integers or bools, whose mean is none; pass a float `dtype`.

    >>> import chainrule
    >>> chainrule.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(dim=0)
    tensor([2., 3.])
    """
    (tensor,) = promote(input)
    tensor = tensor if dtype is None else cast(tensor, dtype)
    op = Mean(all_dims("mean", dim, tensor.ndim), keepdim)
    if tensor.value.dtype.kind != "f":
        op.fail(
            f"only floats have a mean, not {tensor.type}",
            cure="convert it with .float(), or pass dtype=chainrule.float32",
            error=DTypeError,
            types=[tensor.type],
        )
    return bind(op, tensor)


def nansum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The sum over `dim`, or over everything, with NaN counted as 0.

    >>> import chainrule
    >>> chainrule.tensor([[1.0, float("nan")], [2.0, 3.0]]).nansum(1)
    tensor([1., 5.])
    """
    return sum(input.where(input == input, 0), dim, keepdim, dtype=dtype)


def nanmean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The mean over `dim`, or over everything, of what is not NaN.

    NaN where nothing else is there.

    >>> import chainrule
    >>> chainrule.tensor([1.0, float("nan"), 3.0]).nanmean()
    tensor(2.)
    """
    count = sum(input == input, dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


class TruthReduction(Reduction, family=True):
    """A reduction of truth values: zero counts as false."""

    differentiable = False
    samples = reduction_samples()

    def type_rule(self, x: TensorType) -> TensorType:
        """The reduced shape, bool."""
        return TensorType(reduced_shape(x.shape, self.dims, self.keepdim), bool_)


class All(TruthReduction):
    """y = every x ≠ 0, over some dimensions"""

    def reference(self, x: Array) -> Array:
        """`np.all`."""
        return np.all(x, axis=self.dims, keepdims=self.keepdim)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether all elements hold, over `dim` or everything; true of nothing.

    The result is bool, for uint8 it is uint8.

    >>> import chainrule
    >>> chainrule.tensor([[True, False], [True, True]]).all(dim=1)
    tensor([False,  True])
    """
    y = bind(All(all_dims("all", dim, input.ndim), keepdim), input)
    return cast(y, uint8) if input.dtype is uint8 else y


class Any_(TruthReduction):
    """y = some x ≠ 0, over some dimensions"""

    name = "any"

    def reference(self, x: Array) -> Array:
        """`np.any`."""
        return np.any(x, axis=self.dims, keepdims=self.keepdim)


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element holds, over `dim` or everything; false of nothing.

    The result is bool, for uint8 it is uint8.

    >>> import chainrule
    >>> chainrule.tensor([[0, 0], [0, 2]]).any(1), chainrule.zeros(0).any()
    (tensor([False,  True]), tensor(False))
    """
    y = bind(Any_(all_dims("any", dim, input.ndim), keepdim), input)
    return cast(y, uint8) if input.dtype is uint8 else y


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements are not zero, over `dim` or everything, as int64.

    >>> import chainrule
    >>> chainrule.tensor([[0.0, 1.0], [-2.0, 3.0]]).count_nonzero(0)
    tensor([1, 2])
    """
    return sum(input != 0, dim)


class SumTo(LinearOp):
    r"""y = x summed over the axes along which `shape` was broadcast: un-broadcasts a cotangent.

    Attributes:
        shape: a shape that broadcasts to the input's.
    """

    shape: tuple[int, ...]

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A leading axis, an inner axis, both, none."""
        for shape, target in (((2, 3), (3,)), ((2, 3), (2, 1)), ((4, 2, 3), (1, 1)), ((3,), (3,))):
            yield Sample(op(target), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """`shape`, if it broadcasts to the input's."""
        extra = x.ndim - len(self.shape)
        if extra < 0 or builtins.any(
            size not in (1, given) for size, given in zip(self.shape, x.shape[extra:], strict=True)
        ):
            self.fail(
                f"{x} can't be summed to {list(self.shape)}",
                cure="the target must broadcast to the input's shape",
                types=[x],
            )
        return TensorType(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """`np.sum` over the broadcast axes."""
        extra = x.ndim - len(self.shape)
        kept = tuple(
            axis + extra
            for axis, size in enumerate(self.shape)
            if size == 1 and x.shape[axis + extra] != 1
        )
        return np.add.reduce(
            x, axis=tuple(range(extra)) + kept, dtype=x.dtype, keepdims=True
        ).reshape(self.shape)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent, expanded."""
        return (y_bar.expand(x.shape),)


def sum_to_size(input: Tensor, *size: int | tuple[int, ...]) -> Tensor:
    """The tensor summed to a shape that broadcasts to its own; itself if that is its shape.

    >>> import chainrule
    >>> chainrule.ones(2, 3).sum_to_size(2, 1)
    tensor([[3.],
            [3.]])
    """
    sizes: tuple[Any, ...] = size
    shape = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    if input.value.shape == shape:
        return input
    return bind(SumTo(tuple(shape)), input)
