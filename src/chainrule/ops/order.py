"""Sorting, and what it gives: order statistics, the k greatest, quantiles.

Each op here finds *where* elements belong; the values are then gathered from there, so that
gradients flow to the elements they came from. NaN counts as greater than everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.base import is_tensor
from chainrule.core.dtypes import int64
from chainrule.core.interpret import bind, read
from chainrule.core.op import Array, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError, DTypeError, OpError
from chainrule.ops.extrema import ArgReduction, ValuesAndIndices, pick
from chainrule.ops.promotion import cast, promote
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "argsort",
    "kthvalue",
    "median",
    "mode",
    "msort",
    "nanmedian",
    "nanquantile",
    "quantile",
    "sort",
    "topk",
]


class Argsort(Op):
    """y = the indices that put x in order along a dimension; equal ones keep theirs.

    Attributes:
        dim: the dimension.
        descending: from the greatest to the least.
    """

    dim: int
    descending: bool = False
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Both ways, with ties, with NaN, of nothing."""
        for descending in (False, True):
            yield Sample(op(0, descending), (np.array([2, 1, 2, 0, 1]),))
            yield Sample(op(1, descending), (spread((2, 4), -3, 3),))
            yield Sample(op(0, descending), (np.array([1.0, np.nan, 0.0]),))
        yield Sample(op(0), (np.zeros((0, 2)),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same shape, int64."""
        return TensorType(x.shape, int64)

    def reference(self, x: Array) -> Array:
        """`np.argsort`, stable; downwards it sorts x turned round, and turns that round again."""
        if not self.descending:
            return np.argsort(x, axis=self.dim, kind="stable")
        turned = np.argsort(np.flip(x, self.dim), axis=self.dim, kind="stable")
        return x.shape[self.dim] - 1 - np.flip(turned, self.dim)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort the tensor along `dim`; always stable: equal ones keep their order.

    >>> import chainrule
    >>> chainrule.tensor([3.0, 1.0, 2.0]).argsort()
    tensor([1, 2, 0])
    """
    axis = one_dim("argsort", dim, input.ndim)
    if input.ndim == 0:
        return bind(Argsort(0), input.reshape(1)).reshape(())
    return bind(Argsort(axis, descending), input)


def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesAndIndices:
    """The elements in order along `dim`, and the index each came from. It is always stable.

    >>> import chainrule
    >>> chainrule.tensor([3.0, 1.0, 2.0]).sort(descending=True).values
    tensor([3., 2., 1.])
    """
    indices = argsort(input, dim, descending)
    return pick(input, one_dim("sort", dim, input.ndim), indices, True)


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension.

    >>> import chainrule
    >>> chainrule.msort(chainrule.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0).values


class ArgTopk(Op):
    """y = the indices of the k greatest (or least) along a dimension, in order.

    Attributes:
        k: how many.
        dim: the dimension.
        largest: the greatest; otherwise the least.
    """

    k: int
    dim: int
    largest: bool = True
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The greatest and the least; none and all of them."""
        for k, largest in ((2, True), (2, False), (0, True), (4, True)):
            yield Sample(op(k, 1, largest), (spread((2, 4), -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same shape with k along the dimension, int64."""
        if not 0 <= self.k <= x.shape[self.dim]:
            self.fail(
                f"k is {self.k}, and dimension {self.dim} of {x} has {x.shape[self.dim]} elements",
                cure="ask for no more than there are",
                error=DimensionError,
                types=[x],
            )
        return TensorType((*x.shape[: self.dim], self.k, *x.shape[self.dim + 1 :]), int64)

    def reference(self, x: Array) -> Array:
        """The first k of a sort."""
        self.type_rule(TensorType(x.shape, int64))
        order = Argsort(self.dim, self.largest).reference(x)
        return np.take(order, np.arange(self.k), axis=self.dim)


def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesAndIndices:
    """The k greatest (or, unless `largest`, least) along `dim`, in order, and their indices.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 4.0, 3.0]).topk(2).values
    tensor([4., 3.])
    """
    axis = one_dim("topk", dim, input.ndim)
    x = input if input.ndim else input.reshape(1)
    indices = bind(ArgTopk(k, axis, largest), x)
    return pick(input, axis, indices if input.ndim else indices.reshape(()), True)


class ArgKth(ArgReduction):
    """y = the index of the k-th least along a dimension; with `nan_wins`, of a NaN if there is one.

    Attributes:
        k: from 1 on; 0 is the middle, the lower one of two, of what is not NaN.
        nan_wins: give the index of the first NaN where there is one.
    """

    k: int = 1
    nan_wins: bool = False

    def type_rule(self, x: TensorType) -> TensorType:
        """The reduced shape, int64."""
        if self.k > x.shape[self.dim]:
            self.fail(
                f"k is {self.k}, and dimension {self.dim} of {x} has {x.shape[self.dim]} elements",
                cure="ask for no more than there are",
                error=DimensionError,
                types=[x],
            )
        return super().type_rule(x)

    def reference(self, x: Array) -> Array:
        """One of a sort."""
        self.type_rule(TensorType(x.shape, int64))
        order = np.argsort(x, axis=self.dim, kind="stable")
        nan = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, np.bool_)
        if self.k:
            rank = np.full([1] * x.ndim, self.k - 1)
        else:
            real = x.shape[self.dim] - nan.sum(axis=self.dim, keepdims=True)
            rank = np.maximum(real - 1, 0) // 2
        rank = np.broadcast_to(rank, [*x.shape[: self.dim], 1, *x.shape[self.dim + 1 :]])
        y = np.take_along_axis(order, rank, axis=self.dim)
        if self.nan_wins:
            first = np.argmax(nan, axis=self.dim, keepdims=True)
            y = np.where(nan.any(axis=self.dim, keepdims=True), first, y)
        return y if self.keepdim else y.squeeze(self.dim)


def _kth(op: ArgKth, input: Tensor, keepdim: bool) -> ValuesAndIndices:
    x = input if input.ndim else input.reshape(1)
    indices = bind(op, x)
    return pick(input, op.dim, indices if input.ndim else indices.reshape(()), keepdim)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The k-th least (from 1 on) along `dim`, and its index.

    Raises:
        OpError: `k` is less than 1, or more than there are.

    >>> import chainrule
    >>> chainrule.tensor([3.0, 1.0, 2.0]).kthvalue(2)
    ValuesAndIndices(values=tensor(2.), indices=tensor(2))
    """
    axis = one_dim("kthvalue", dim, input.ndim)
    op = ArgKth(axis, True, k)
    if k < 1:
        op.fail(f"k is {k}", cure="the least has k = 1", error=OpError)
    return _kth(op, input, keepdim)


def _median(input: Tensor, dim: int | None, keepdim: bool, nan_wins: bool) -> Any:
    if dim is None:
        return _kth(ArgKth(0, True, 0, nan_wins), input.reshape(-1), False).values
    axis = one_dim("median", dim, input.ndim)
    return _kth(ArgKth(axis, True, 0, nan_wins), input, keepdim)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower one of two; along `dim`, the pair (values, indices).

    NaN if there is one. The gradient goes to one of those that tie (PyTorch shares it among them,
    where no `dim` is given).

    >>> import chainrule
    >>> chainrule.tensor([4, 1, 3, 2]).median()
    tensor(2)
    """
    return _median(input, dim, keepdim, nan_wins=True)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle of those that are not NaN; along `dim`, the pair (values, indices).

    >>> import chainrule
    >>> chainrule.tensor([3.0, float("nan"), 1.0, 2.0]).nanmedian()
    tensor(2.)
    """
    return _median(input, dim, keepdim, nan_wins=False)


class ArgMode(ArgReduction):
    """y = the last index of what is most frequent along a dimension, the least of those that tie"""

    def reference(self, x: Array) -> Array:
        """The end of the longest run in a sort."""
        order = np.argsort(x, axis=self.dim, kind="stable")
        rows = np.moveaxis(np.take_along_axis(x, order, self.dim), self.dim, 0)
        run = np.ones(rows.shape, np.int64)
        for index in range(1, len(rows)):
            run[index] = np.where(rows[index] == rows[index - 1], run[index - 1] + 1, 1)
        end = np.expand_dims(np.argmax(run, axis=0), self.dim)
        y = np.take_along_axis(order, end, self.dim)
        return y if self.keepdim else y.squeeze(self.dim)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The most frequent element along `dim` (the least of those that tie), and its last index.

    >>> import chainrule
    >>> chainrule.tensor([3, 1, 1, 3]).mode()
    ValuesAndIndices(values=tensor(1), indices=tensor(2))
    """
    axis = one_dim("mode", dim, input.ndim)
    x = input if input.ndim else input.reshape(1)
    indices = bind(ArgMode(axis, True), x)
    return pick(input, axis, indices if input.ndim else indices.reshape(()), keepdim)


INTERPOLATIONS = ("linear", "lower", "higher", "nearest", "midpoint")


def _quantile(
    input: Tensor,
    q: Tensor | float,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    skip_nan: bool,
) -> Tensor:
    name = "nanquantile" if skip_nan else "quantile"
    at = promote(input, q)[1] if isinstance(q, int | float) else promote(q)[0]
    if input.value.dtype.kind != "f" or interpolation not in INTERPOLATIONS or at.ndim > 1:
        refuse(
            name,
            f"of {input.type} at q of shape {list(at.shape)}, {interpolation!r}",
            cure="the tensor holds floats, q is a number or has one dimension, and interpolation "
            "is one of " + ", ".join(INTERPOLATIONS),
            error=DTypeError if input.value.dtype.kind != "f" else OpError,
            types=[input.type],
        )
    _check_shares(name, q)
    at = cast(at, input.dtype)
    x = input.reshape(-1) if dim is None else input.reshape(1) if input.ndim == 0 else input
    axis = 0 if dim is None else one_dim(name, dim, input.ndim)
    if x.shape[axis] == 0:
        refuse(name, f"of nothing: {input.type}", cure="pass elements", types=[input.type])
    ordered = sort(x, axis).values.transpose(axis, -1)
    missing = ordered != ordered
    count = (~missing).to(x.dtype).sum(-1, True) if skip_nan else float(x.shape[axis])
    rank = at.reshape([-1] + [1] * ordered.ndim) * (count - 1)  # [q, ..., 1]
    rank = rank.expand((rank.shape[0], *ordered.shape[:-1], 1)).clamp_min(0)
    low, high, weight = _neighbours(rank, interpolation)
    rows = ordered.expand((rank.shape[0], *ordered.shape))
    below, above = rows.gather(-1, low), rows.gather(-1, high)
    y = below if interpolation in ("lower", "higher", "nearest") else below.lerp(above, weight)
    if not skip_nan:
        y = y.where(~missing.any(-1, True), float("nan"))
    y = y.transpose(-1, axis + 1)  # the reduced dimension, with size 1, back in its place
    if dim is None:
        shape = (1,) * input.ndim if keepdim else ()
    else:
        kept = y.shape[1:]
        shape = kept if keepdim and input.ndim else (*kept[:axis], *kept[axis + 1 :])
    return y.reshape((*at.shape, *shape))


def _check_shares(function: str, q: Any) -> None:
    """Each q from 0 to 1; a tensor of them is looked at now."""
    shares = read(q) if is_tensor(q) else np.asarray(q)
    within = (shares >= 0) & (shares <= 1)  # false for NaN
    if not within.all():
        refuse(
            function,
            f"q is {shares[~within].flat[0]:.6g}; a share q must be in [0, 1]",
            cure="for percentiles, divide by 100",
            error=OpError,
        )


def _neighbours(rank: Tensor, interpolation: str) -> tuple[Tensor, Tensor, Tensor]:
    """The whole ranks around a rank, and the weight of the upper one."""
    low, high = rank.floor(), rank.ceil()
    weight = rank - low
    if interpolation == "midpoint":
        weight = weight * 0 + 0.5
    elif interpolation == "higher":
        low = high
    elif interpolation == "nearest":
        low = rank.round()
    return cast(low, int64), cast(high, int64), weight


def quantile(
    input: Tensor,
    q: Tensor | float,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The q-quantiles along `dim`, or of everything: what a share q of the elements stays below.

    Args:
        input: a float tensor; where it has NaN, so has the result.
        q: from 0 to 1; with a one-dimensional q, the results are stacked in front.
        dim: the dimension; None for all elements.
        keepdim: keep it, with size 1.
        interpolation: between two elements: `"linear"`, `"lower"`, `"higher"`, `"nearest"`,
            `"midpoint"`.

    Raises:
        OpError: a q is not in [0, 1], or there is no such interpolation.
        ShapeError: there are no elements.
        DTypeError: the tensor holds no floats.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 2.0, 3.0, 4.0]).quantile(0.5)
    tensor(2.5000)
    """
    return _quantile(input, q, dim, keepdim, interpolation, skip_nan=False)


def nanquantile(
    input: Tensor,
    q: Tensor | float,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The quantiles of what is not NaN; see `quantile`.

    >>> import chainrule
    >>> chainrule.tensor([1.0, float("nan"), 2.0]).nanquantile(0.5)
    tensor(1.5000)
    """
    return _quantile(input, q, dim, keepdim, interpolation, skip_nan=True)
