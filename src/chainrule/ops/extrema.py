"""The greatest and the least: values, where they are, and running ones.

`amax` and `amin` share the gradient among all elements that tie. `max` and `min` along a dimension
find *where* the extremum is, and gather the value from there, so the gradient goes to that element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chainrule.core.axes import Dims, all_dims, one_dim
from chainrule.core.base import is_tensor
from chainrule.core.dtypes import int64
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Op, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError
from chainrule.ops.bounds import maximum, minimum
from chainrule.ops.reduce import (
    OneDimReduction,
    Reduction,
    reduce_over,
    reduced_shape,
    reducer,
    reduction_samples,
    restore_dims,
)

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "amax",
    "amin",
    "aminmax",
    "argmax",
    "argmin",
    "cummax",
    "cummin",
    "max",
    "min",
]


class ValuesAndIndices(NamedTuple):
    """Values picked along a dimension, and the index each was found at."""

    values: Tensor
    indices: Tensor


class MinAndMax(NamedTuple):
    """The least and the greatest."""

    min: Tensor
    max: Tensor


def refuse_nothing(op: Op, x: TensorType, dims: tuple[int, ...]) -> None:
    """Raise a `DimensionError` if there is nothing along `dims` to pick an element from."""
    if 0 in [x.shape[dim] for dim in dims]:
        op.fail(
            f"{x} has nothing along dimensions {list(dims)} to pick from",
            cure="reduce only dimensions that are not empty",
            error=DimensionError,
            types=[x],
        )


class Extremum(Reduction, family=True):
    """The greatest or the least; the gradient is shared evenly among all that are equal to it."""

    saves = Saves(inputs=(0,), output=True)
    samples = reduction_samples()

    def type_rule(self, x: TensorType) -> TensorType:
        """The reduced shape, the same dtype; nothing has no extremum."""
        refuse_nothing(self, x, self.dims)
        return super().type_rule(x)

    def share(self, y: Tensor, x: Tensor) -> Tensor:
        """1 / k at each of the k elements that are equal to y, 0 elsewhere."""
        y = restore_dims(y, self.dims, self.keepdim)
        hit = ((x == y) | ((x != x) & (y != y))).to(x.dtype)
        return hit / hit.sum(self.dims, True) if self.dims else hit

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """The cotangent, shared among those that tie."""
        return (restore_dims(y_bar, self.dims, self.keepdim) * self.share(y, inputs[0]),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """The mean of the tangents of those that tie."""
        shared = tangents[0] * self.share(y, inputs[0])
        return shared.sum(self.dims, self.keepdim) if self.dims else shared


class Amax(Extremum):
    r"""y = max x over some dimensions.    dy/dx = [x = y] / how many of them"""

    def reference(self, x: Array) -> Array:
        """`np.max`, which passes NaN on."""
        return reduce_over(np.maximum, x, self.dims, self.keepdim)

    def reference_for(self, *types: TensorType) -> Callable[[Array], Array]:
        """The way to reduce arrays of this shape."""
        return reducer(np.maximum, types[0].shape, self.dims, self.keepdim)


def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The greatest over `dim`, or over everything; NaN if there is one.

    Elements that tie share the gradient evenly.

    Raises:
        DimensionError: there are no elements.

    >>> import chainrule
    >>> chainrule.tensor([[1, 5], [7, 2]]).amax(1, keepdim=True)
    tensor([[5],
            [7]])
    """
    return bind(Amax(all_dims("amax", dim, input.ndim), keepdim), input)


class Amin(Extremum):
    r"""y = min x over some dimensions.    dy/dx = [x = y] / how many of them"""

    def reference(self, x: Array) -> Array:
        """`np.min`, which passes NaN on."""
        return reduce_over(np.minimum, x, self.dims, self.keepdim)

    def reference_for(self, *types: TensorType) -> Callable[[Array], Array]:
        """The way to reduce arrays of this shape."""
        return reducer(np.minimum, types[0].shape, self.dims, self.keepdim)


def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The least over `dim`, or over everything; NaN if there is one.

    Elements that tie share the gradient evenly.

    Raises:
        DimensionError: there are no elements.

    >>> import chainrule
    >>> chainrule.tensor([[1, 5], [7, 2]]).amin((0, 1))
    tensor(1)
    """
    return bind(Amin(all_dims("amin", dim, input.ndim), keepdim), input)


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """The least and the greatest at once, as a pair named `min` and `max`.

    >>> import chainrule
    >>> chainrule.aminmax(chainrule.tensor([[1, 5], [7, 2]]), dim=0)
    MinAndMax(min=tensor([1, 2]), max=tensor([7, 5]))
    """
    return MinAndMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


class ArgReduction(OneDimReduction, family=True):
    """Where something is along a dimension, as int64; without a derivative."""

    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Kept and not, first and last dimension, with ties and with NaN."""
        yield Sample(op(0), (spread((4,), -3, 3),))
        yield Sample(op(1, True), (spread((2, 3), -3, 3),))
        yield Sample(op(0), (np.array([[2, 1], [2, 5], [0, 5]]),))
        yield Sample(op(0), (np.array([1.0, np.nan, 3.0]),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The reduced shape, int64."""
        refuse_nothing(self, x, (self.dim,))
        return TensorType(reduced_shape(x.shape, (self.dim,), self.keepdim), int64)


class Argmax(ArgReduction):
    """y = the index of the greatest along a dimension, the first of those that tie"""

    def reference(self, x: Array) -> Array:
        """`np.argmax`: the first NaN, if there is one."""
        return np.argmax(x, axis=self.dim, keepdims=self.keepdim)


class Argmin(ArgReduction):
    """y = the index of the least along a dimension, the first of those that tie"""

    def reference(self, x: Array) -> Array:
        """`np.argmin`: the first NaN, if there is one."""
        return np.argmin(x, axis=self.dim, keepdims=self.keepdim)


def _arg(op: type[ArgReduction], input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if dim is None:
        y = bind(op(0), input.reshape(-1))
        return y.reshape([1] * input.ndim) if keepdim else y
    axis = one_dim(op.name, dim, input.ndim)
    if input.ndim == 0:
        return bind(op(0), input.reshape(1))
    return bind(op(axis, keepdim), input)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the greatest along `dim` (of the flattened tensor: None); ties: the first.

    >>> import chainrule
    >>> chainrule.tensor([[1.0, 3.0], [4.0, 2.0]]).argmax(dim=1)
    tensor([1, 0])
    """
    return _arg(Argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the least along `dim` (of the flattened tensor: None); ties: the first.

    >>> import chainrule
    >>> chainrule.tensor([[3, 1], [2, 2]]).argmin(), chainrule.tensor([[3, 1], [2, 2]]).argmin(1)
    (tensor(1), tensor([1, 0]))
    """
    return _arg(Argmin, input, dim, keepdim)


def pick(input: Tensor, dim: int, indices: Tensor, keepdim: bool) -> ValuesAndIndices:
    """The values at `indices` (which has `dim` with size 1) and the indices themselves."""
    if input.ndim == 0:
        return ValuesAndIndices(input.reshape(1).gather(0, indices.reshape(1)).reshape(()), indices)
    values = input.gather(dim, indices)
    if keepdim:
        return ValuesAndIndices(values, indices)
    shape = reduced_shape(values.shape, (dim,), False)
    return ValuesAndIndices(values.reshape(shape), indices.reshape(shape))


def _extremum(op: type[ArgReduction], input: Tensor, dim: int, keepdim: bool) -> ValuesAndIndices:
    axis = one_dim(op.name.removeprefix("arg"), dim, input.ndim)
    return pick(input, axis, _arg(op, input, axis, input.ndim > 0), keepdim)


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The greatest element; along `dim`, the pair (values, indices); of two tensors, `maximum`.

    Of the whole tensor, elements that tie share the gradient; along a dimension it goes to the one
    that `indices` names, the first.

    >>> import chainrule
    >>> x = chainrule.tensor([[1.0, 3.0], [4.0, 2.0]])
    >>> x.max()
    tensor(4.)
    >>> x.max(dim=1).indices
    tensor([1, 0])
    """
    if dim is None:
        return amax(input)
    if is_tensor(dim):
        return maximum(input, dim)
    return _extremum(Argmax, input, dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The least element; along `dim`, the pair (values, indices); of two tensors, `minimum`.

    Of the whole tensor, elements that tie share the gradient; along a dimension it goes to the one
    that `indices` names, the first.

    >>> import chainrule
    >>> chainrule.tensor([[3, 1], [2, 2]]).min(1)
    ValuesAndIndices(values=tensor([1, 2]), indices=tensor([1, 0]))
    """
    if dim is None:
        return amin(input)
    if is_tensor(dim):
        return minimum(input, dim)
    return _extremum(Argmin, input, dim, keepdim)


class RunningArg(Op, family=True):
    """Where the extremum of each element and all before it is; the last of those that tie.

    Attributes:
        dim: the dimension.
    """

    dim: int
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Ties, NaN, the last dimension."""
        yield Sample(op(0), (np.array([1, 3, 2, 3, 0]),))
        yield Sample(op(0), (np.array([1.0, np.nan, 3.0]),))
        yield Sample(op(1), (spread((2, 4), -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same shape, int64."""
        return TensorType(x.shape, int64)

    def _where(self, x: Array, extremum: Array) -> Array:
        new = x == extremum
        if x.dtype.kind == "f":
            new |= np.isnan(x)  # NaN is the extremum from there on
        shape = [-1 if axis == self.dim else 1 for axis in range(x.ndim)]
        index = np.where(new, np.arange(x.shape[self.dim], dtype=np.int64).reshape(shape), 0)
        return np.maximum.accumulate(index, axis=self.dim)


class CumArgmax(RunningArg):
    """y[i] = the index of the greatest of x[0], ..., x[i]"""

    def reference(self, x: Array) -> Array:
        """The last index at which x equals its running maximum."""
        return self._where(x, np.maximum.accumulate(x, axis=self.dim))


class CumArgmin(RunningArg):
    """y[i] = the index of the least of x[0], ..., x[i]"""

    def reference(self, x: Array) -> Array:
        """The last index at which x equals its running minimum."""
        return self._where(x, np.minimum.accumulate(x, axis=self.dim))


def _running(op: type[RunningArg], input: Tensor, dim: int) -> ValuesAndIndices:
    axis = one_dim(op.name, dim, input.ndim)
    x = input if input.ndim else input.reshape(1)
    indices: Tensor = bind(op(axis), x)
    return ValuesAndIndices(
        x.gather(axis, indices).reshape(input.shape), indices.reshape(input.shape)
    )


def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """The greatest of each element and all before it along `dim`, and where it is.

    y[i] = max(x[0], ..., x[i]); of those that tie, the last one's index.

    >>> import chainrule
    >>> chainrule.tensor([1, 3, 2, 3]).cummax(0)
    ValuesAndIndices(values=tensor([1, 3, 3, 3]), indices=tensor([0, 1, 1, 3]))
    """
    return _running(CumArgmax, input, dim)


def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """The least of each element and all before it along `dim`, and where it is.

    y[i] = min(x[0], ..., x[i]); of those that tie, the last one's index.

    >>> import chainrule
    >>> chainrule.tensor([3, 1, 2, 1]).cummin(0)
    ValuesAndIndices(values=tensor([3, 1, 1, 1]), indices=tensor([0, 1, 1, 3]))
    """
    return _running(CumArgmin, input, dim)
