"""Maximum pooling: the largest number of each window, and its cotangent back to where it stood.

The derivation is `docs/derivations/max_pool.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import int64
from chainrule.core.interpret import bind, lift
from chainrule.core.op import Array, Bars, Needs, Saves
from chainrule.core.types import TensorType
from chainrule.nn.functional.spatial import (
    Pads,
    Size,
    Sizes,
    batched,
    map_samples,
    per_axis,
    pool_padding,
    pooled_sizes,
)
from chainrule.ops.promotion import cast
from chainrule.ops.sliding import FirstTrue, OverlapAdd, batch_first, batch_last, windows

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["max_pool1d", "max_pool2d"]


class MaxPool(CoarseOp, family=True):
    r"""y[n,c,p] = max_r x[n, c, p·stride + r·dilation - padding]

        x_bar = y_bar at the place of each window's maximum, added up where windows share it

    Where several places of a window tie, the first in reading order has it all, as in PyTorch.

    Shapes:
        x (B, C, *size); y (B, C, *counts).

    Attributes:
        kernel: the window's size along each axis.
        stride: the distance between windows.
        padding: how many -∞ are put before and after each axis.
        dilation: the distance between the numbers of a window.
    """

    axes: ClassVar[int]
    kernel: Sizes
    stride: Sizes
    padding: Pads
    dilation: Sizes
    saves = Saves((0,), output=True)

    def type_rule(self, x: TensorType) -> TensorType:
        """(B, C, *counts)."""
        fields = (self.kernel, self.stride, self.dilation, self.padding)
        return TensorType(x.shape[:2] + pooled_sizes(self, x, *fields), x.dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        """The maximum over each window."""
        axes = tuple(range(1, 1 + self.axes))
        return batch_first(self.windows_of(x).amax(axes)), ()

    def backward(
        self, y_bar: Tensor, y: Tensor, residuals: tuple[()], x: Tensor, *, needs: Needs
    ) -> Bars:
        """Derived in `docs/derivations/max_pool.md`."""
        parts = self.first_maxima(x, y).to(y_bar.dtype) * self._beside_windows(y_bar)
        op = OverlapAdd(self.kernel, self.stride, self.dilation, self.padding, x.shape[2:])
        return (batch_first(bind(op, parts)),)

    def windows_of(self, x: Tensor) -> Tensor:
        """(C, *kernel, *counts, B), with -∞ outside the map."""
        seen = windows(batch_last(x), self.kernel, self.stride, self.dilation, self.padding)
        if not any(map(any, self.padding)):
            return seen
        outside = _outside(self, x.shape[2:], seen.shape[1 + self.axes : -1])
        return seen + cast(lift(outside), x.dtype)

    def first_maxima(self, x: Tensor, y: Tensor) -> Tensor:
        """A mask of (C, *kernel, *counts, B): where each window's first maximum stands."""
        places = tuple(range(1, 1 + self.axes))
        return bind(FirstTrue(places), self.windows_of(x) == self._beside_windows(y))

    def _beside_windows(self, y: Tensor) -> Tensor:
        """(B, C, *counts) as (C, 1, ..., 1, *counts, B), to broadcast against the windows."""
        maps = batch_last(y)
        return maps.reshape(maps.shape[0], *(1,) * self.axes, *maps.shape[1:])


class MaxPool1d(MaxPool):
    r"""y[n,c,p] = max_r x[n, c, p·stride + r·dilation - padding], along one axis."""

    name = "max_pool1d"
    axes = 1
    samples = map_samples(
        ((2, 2, 6), (2,), (2,), ((0, 0),), (1,)),
        ((1, 2, 5), (3,), (1,), ((1, 1),), (2,)),
    )


class MaxPool2d(MaxPool):
    r"""y[n,c,p] = max_r x[n, c, p·stride + r·dilation - padding], along two axes."""

    name = "max_pool2d"
    axes = 2
    samples = map_samples(
        ((2, 2, 4, 6), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
        ((2, 1, 5, 4), (3, 2), (1, 2), ((1, 1), (0, 1)), (1, 1)),
        ((1, 2, 6, 5), (2, 2), (3, 1), ((0, 0), (1, 1)), (2, 3)),
        ((0, 2, 4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    )


def _max_pool(
    kind: type[MaxPool],
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    function, axes = kind.name, kind.axes
    kernel = per_axis(function, "kernel_size", kernel_size, axes)
    strides = per_axis(function, "stride", stride if stride else kernel, axes)
    dilations = per_axis(function, "dilation", dilation, axes)
    x, alone = batched(function, input, axes)
    pads = pool_padding(function, x.shape[2:], kernel, strides, padding, dilations, ceil_mode)
    op = kind(kernel, strides, pads, dilations)
    y = op.apply(x)
    result = y.reshape(y.shape[1:]) if alone else y
    if not return_indices:
        return result
    indices = _flat_indices(op, x.detach(), y.detach())
    return result, indices.reshape(indices.shape[1:]) if alone else indices


def _flat_indices(op: MaxPool, x: Tensor, y: Tensor) -> Tensor:
    """Where each maximum stands in its map, counted through all spatial axes."""
    flat: Any = 0
    for size, places in zip(x.shape[2:], _places(op, y.shape[2:])):
        flat = flat * size + places
    found = cast(op.first_maxima(x, y), int64) * lift(flat)
    return batch_first(found.sum(tuple(range(1, 1 + op.axes))))


def _outside(op: MaxPool, size: Sizes, counts: Sizes) -> Array:
    """-∞ at the taps that lie beyond the map, 0 inside: (1, *kernel, *counts, 1)."""
    beyond: Any = False
    for n, places in zip(size, _places(op, counts)):
        beyond = beyond | (places < 0) | (places >= n)
    return np.where(beyond, -np.inf, 0.0)


def _places(op: MaxPool, counts: Sizes) -> Iterator[Array]:
    """Per axis, the coordinate in the map of each window's taps: (1, *kernel, *counts, 1)."""
    for axis, (kernel, count, (before, _)) in enumerate(zip(op.kernel, counts, op.padding)):
        taps = np.arange(kernel)[:, None] * op.dilation[axis]
        starts = np.arange(count)[None, :] * op.stride[axis] - before
        shape = [1] * (2 * op.axes + 2)
        shape[1 + axis], shape[1 + op.axes + axis] = kernel, count
        yield (taps + starts).reshape(shape)


def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window of sequences (B, C, L). See `max_pool2d`.

    >>> import chainrule
    >>> from chainrule.nn.functional import max_pool1d
    >>> max_pool1d(chainrule.tensor([[[1.0, 5.0, 2.0, 3.0]]]), 2)
    tensor([[[5., 3.]]])
    """
    return _max_pool(
        MaxPool1d, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window of pictures.

    Args:
        input: (B, C, H, W), or (C, H, W) for one picture.
        kernel_size: the window's size, one number or (vertical, horizontal).
        stride: the distance between windows; the kernel's size unless given.
        padding: how many -∞ are put on each side: at most half of the kernel.
        dilation: the distance between the numbers of a window.
        ceil_mode: also take a last window that reaches beyond the end, if it begins before it.
        return_indices: give the maxima's places in their maps too, as y·W + x, in int64.

    Shapes:
        the result is (B, C, P, Q), P = ⌊(H + 2 padding - dilation (R - 1) - 1)/stride⌋ + 1.

    Errors:
        ShapeError: no window fits. ConfigError: a setting that is out of range.

    NaN is larger than all. In a tie the first place of a window, in reading order, has the
    gradient.

    >>> import chainrule
    >>> from chainrule.nn.functional import max_pool2d
    >>> max_pool2d(chainrule.arange(16, dtype=chainrule.float32).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _max_pool(
        MaxPool2d, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )
