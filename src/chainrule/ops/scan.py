"""Running sums, differences, and the area under points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.dtypes import DType, int64
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError, OpError
from chainrule.ops.products import Scan
from chainrule.ops.promotion import cast, promote
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["cumsum", "cumulative_trapezoid", "diff", "trapezoid"]

IN_PLACE = ("cumsum",)


class CumSum(Scan, LinearOp):
    r"""y[i] = x[0] + ⋯ + x[i] along a dimension.    x_bar[i] = y_bar[i] + ⋯ + y_bar[-1]"""

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Both ways, and of nothing."""
        yield Sample(op(0), (spread((5,), -3, 3),))
        yield Sample(op(1, True), (spread((2, 3), -3, 3),))
        yield Sample(op(1), (spread((2, 0), -3, 3),))

    def reference(self, x: Array) -> Array:
        """`np.cumsum`, over a turned-round view where `reverse`."""
        if not self.reverse:
            return np.add.accumulate(x, axis=self.dim, dtype=x.dtype)
        turned = np.add.accumulate(np.flip(x, self.dim), axis=self.dim, dtype=x.dtype)
        return np.flip(turned, self.dim)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The running sum from the other end."""
        return (bind(CumSum(self.dim, not self.reverse), y_bar),)


def cumsum(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """The sum of each element and all before it along `dim`. Integers become int64.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 2.0, 3.0]).cumsum(0)
    tensor([1., 3., 6.])
    """
    (tensor,) = promote(input)
    if dtype is None and not tensor.dtype.is_floating_point:
        dtype = int64
    tensor = tensor if dtype is None else cast(tensor, dtype)
    axis = one_dim("cumsum", dim, tensor.ndim)
    return bind(CumSum(axis), tensor) if tensor.ndim else tensor


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The n-th differences along `dim`: x[1] - x[0], x[2] - x[1], ...

    Args:
        input: of bools: where neighbours differ.
        n: how often to take differences.
        dim: the dimension, which gets n shorter.
        prepend: what to put in front first.
        append: what to put behind first.

    Raises:
        OpError: n is negative.
        DimensionError: `input` is a scalar.

    >>> import chainrule
    >>> chainrule.tensor([1, 4, 9, 16]).diff(), chainrule.tensor([1, 4, 9, 16]).diff(2)
    (tensor([3, 5, 7]), tensor([2, 2]))
    """
    from chainrule.ops.joining import cat

    if n < 0:
        refuse("diff", f"n is {n}", cure="pass 0, 1, 2, ...", error=OpError)
    _check_points("diff", input)
    axis = one_dim("diff", dim, input.ndim)
    parts = [part for part in (prepend, input, append) if part is not None]
    y = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(n):
        size = y.shape[axis]
        if size == 0:
            break
        after, before = y.narrow(axis, 1, size - 1), y.narrow(axis, 0, size - 1)
        y = after != before if y.value.dtype.kind == "b" else after - before
    return y


def _check_points(function: str, x: Tensor) -> None:
    if x.ndim == 0:
        refuse(
            function,
            f"a scalar ({x.type}) has no neighbours",
            cure="pass a tensor with at least one dimension",
            error=DimensionError,
            types=[x.type],
        )


def _panels(function: str, y: Tensor, x: Tensor | None, dx: float | None, dim: int) -> Tensor:
    """The area of each trapezoid between neighbouring points."""
    _check_points(function, y)
    axis = one_dim(function, dim, y.ndim)
    size = y.shape[axis]
    if x is not None:
        x = _placed(function, y, x, axis)
    if size == 0:
        return y  # no panels at all: there is no -1 of them
    sides = y.narrow(axis, 1, size - 1) + y.narrow(axis, 0, size - 1)
    if x is None:
        return sides * ((1 if dx is None else dx) / 2)
    return sides * diff(x, dim=axis) / 2


def _placed(function: str, y: Tensor, x: Tensor, axis: int) -> Tensor:
    """x with the dimensions of y: a vector along `axis`, anything else aligned at the right."""
    missing = y.ndim - x.ndim
    if x.ndim == 1:
        placed = x.reshape([-1 if each == axis else 1 for each in range(y.ndim)])
    elif x.ndim == 0 or missing < 0:
        placed = None
    else:
        placed = x.reshape((*(1,) * missing, *x.shape))
    if placed is None or placed.shape[axis] != y.shape[axis]:
        refuse(
            function,
            f"x is {x.type}; there are {y.shape[axis]} points along dimension {axis} of {y.type}",
            cure="give one x for each point: a vector, or a tensor that broadcasts to y",
            types=[y.type, x.type],
        )
    return placed


def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The area under points joined by straight lines, along `dim`.

    Args:
        y: the heights.
        x: where they stand; without it they stand `dx` apart.
        dx: the distance, 1 unless given.
        dim: the dimension.

    Raises:
        ShapeError: there is not one x for each point. (PyTorch lets two stand for any number
            where x has several dimensions.)

    >>> import chainrule
    >>> chainrule.trapezoid(chainrule.tensor([0.0, 1.0, 4.0]), chainrule.tensor([0.0, 1.0, 5.0]))
    tensor(10.5000)
    """
    return _panels("trapezoid", y, x, dx, dim).sum(dim)


def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The area up to each point but the first: a running `trapezoid`.

    >>> import chainrule
    >>> chainrule.cumulative_trapezoid(chainrule.tensor([0.0, 1.0, 4.0]), dx=2)
    tensor([1., 6.])
    """
    return cumsum(_panels("cumulative_trapezoid", y, x, dx, dim), dim)
