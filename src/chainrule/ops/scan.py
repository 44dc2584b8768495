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
from chainrule.ops.products import Scan
from chainrule.ops.promotion import cast, promote

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
    """
    from chainrule.ops.joining import cat

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


def _panels(y: Tensor, x: Tensor | None, dx: float, dim: int) -> Tensor:
    """The area of each trapezoid between neighbouring points."""
    axis = one_dim("trapezoid", dim, y.ndim)
    size = y.shape[axis]
    sides = y.narrow(axis, 1, size - 1) + y.narrow(axis, 0, size - 1)
    if x is None:
        return sides * (dx / 2)
    width = diff(x, dim=dim if x.ndim > 1 else 0)
    if x.ndim == 1:
        width = width.reshape([-1 if each == axis else 1 for each in range(y.ndim)])
    return sides * width / 2


def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The area under points joined by straight lines, along `dim`.

    Args:
        y: the heights.
        x: where they stand; without it they stand `dx` apart.
        dx: the distance, 1 unless given.
        dim: the dimension.
    """
    return _panels(y, x, 1 if dx is None else dx, dim).sum(dim)


def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The area up to each point but the first: a running `trapezoid`."""
    return cumsum(_panels(y, x, 1 if dx is None else dx, dim), dim)
