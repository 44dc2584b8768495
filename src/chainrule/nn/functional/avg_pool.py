"""Average pooling: the mean of each window, or of each of a given number of bins.

The derivation is `docs/derivations/avg_pool.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import bind, lift
from chainrule.core.op import Array, Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.spatial import (
    Pads,
    Size,
    Sizes,
    batched,
    map_samples,
    per_axis,
    pool_padding,
    pooled_sizes,
    reject,
)
from chainrule.ops.promotion import cast
from chainrule.ops.sliding import OverlapAdd, batch_first, batch_last, windows

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d"]


class AvgPool(CoarseOp, family=True):
    r"""y[n,c,p] = Σ_r x[n, c, p·stride + r - padding] / d[p],    x is 0 outside

    d[p] is how many numbers the window has: all, or those inside the map, or as given.

        x_bar = y_bar / d, given to every place of the window, added up where windows overlap

    Shapes:
        x (B, C, *size); y (B, C, *counts).

    Attributes:
        kernel: the window's size along each axis.
        stride: the distance between windows.
        padding: how many zeros are put before and after each axis.
        counted: how much of the padding before and after each axis counts as part of a window.
        divisor: d, where it is given; 0 to count.
    """

    axes: ClassVar[int]
    kernel: Sizes
    stride: Sizes
    padding: Pads
    counted: Pads
    divisor: int = 0
    saves = Saves()

    def type_rule(self, x: TensorType) -> TensorType:
        """(B, C, *counts)."""
        fields = (self.kernel, self.stride, (1,) * self.axes, self.padding)
        return TensorType(x.shape[:2] + pooled_sizes(self, x, *fields), x.dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        """Sum each window, divide."""
        seen = windows(batch_last(x), self.kernel, self.stride, (1,) * self.axes, self.padding)
        total = seen.sum(tuple(range(1, 1 + self.axes)))
        return batch_first(total * self._share(x)), ()

    def backward(
        self, y_bar: Tensor, y: Any, residuals: tuple[()], x: Any, *, needs: Needs
    ) -> Bars:
        """Derived in `docs/derivations/avg_pool.md`."""
        share = batch_last(y_bar) * self._share(x)
        channels, *counts, batch = share.shape
        places = share.reshape(channels, *(1,) * self.axes, *counts, batch)
        parts = places.expand(channels, *self.kernel, *counts, batch)
        op = OverlapAdd(self.kernel, self.stride, (1,) * self.axes, self.padding, x.shape[2:])
        return (batch_first(bind(op, parts)),)

    def _share(self, x: Any) -> Any:
        """1 / d: a number where all windows are alike, else (*counts, 1)."""
        if self.divisor:
            return 1 / self.divisor
        if self.padding == self.counted:
            return 1 / math.prod(self.kernel)
        return cast(lift(1 / self._counts(x.shape[2:])), x.dtype)

    def _counts(self, size: Sizes) -> Array:
        """How many numbers each window has that count."""
        total: Any = 1
        for axis, (n, kernel, stride) in enumerate(zip(size, self.kernel, self.stride)):
            (before, after), (first, last) = self.padding[axis], self.counted[axis]
            starts = np.arange((n + before + after - kernel) // stride + 1) * stride - before
            inside = np.minimum(starts + kernel, n + last) - np.maximum(starts, -first)
            total = total * inside.reshape([-1 if i == axis else 1 for i in range(self.axes + 1)])
        return total


class AvgPool1d(AvgPool):
    r"""y[n,c,p] = Σ_r x[n, c, p·stride + r - padding] / d[p], along one axis."""

    name = "avg_pool1d"
    axes = 1
    samples = map_samples(
        ((2, 2, 6), (2,), (2,), ((0, 0),), ((0, 0),)),
        ((1, 2, 5), (3,), (2,), ((1, 2),), ((1, 1),)),
    )


class AvgPool2d(AvgPool):
    r"""y[n,c,p] = Σ_r x[n, c, p·stride + r - padding] / d[p], along two axes."""

    name = "avg_pool2d"
    axes = 2
    samples = map_samples(
        ((2, 2, 4, 6), (2, 3), (2, 3), ((0, 0), (0, 0)), ((0, 0), (0, 0))),
        ((2, 1, 5, 4), (3, 2), (1, 2), ((1, 1), (1, 2)), ((0, 0), (0, 0))),
        ((1, 2, 5, 5), (2, 2), (3, 1), ((1, 1), (0, 0)), ((0, 0), (0, 0)), 3),
        ((0, 2, 4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), ((0, 0), (0, 0))),
    )


def _avg_pool(
    kind: type[AvgPool],
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:
    function, axes = kind.name, kind.axes
    kernel = per_axis(function, "kernel_size", kernel_size, axes)
    strides = per_axis(function, "stride", stride if stride else kernel, axes)
    if divisor_override == 0:
        reject(f"{function}: divisor_override is 0", "pass another number, or None to count")
    x, alone = batched(function, input, axes)
    ones = (1,) * axes
    pads = pool_padding(function, x.shape[2:], kernel, strides, padding, ones, ceil_mode)
    symmetric = per_axis(function, "padding", padding, axes, least=0)
    counted = tuple((pad, pad) if count_include_pad else (0, 0) for pad in symmetric)
    y = apply_wide(kind(kernel, strides, pads, counted, divisor_override or 0), x)
    return y.reshape(y.shape[1:]) if alone else y


def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of sequences (B, C, L). See `avg_pool2d`.

    >>> import chainrule
    >>> from chainrule.nn.functional import avg_pool1d
    >>> avg_pool1d(chainrule.tensor([[[1.0, 5.0, 2.0, 3.0]]]), 2)
    tensor([[[3.0000, 2.5000]]])
    """
    return _avg_pool(AvgPool1d, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of pictures.

    Args:
        input: (B, C, H, W), or (C, H, W) for one picture.
        kernel_size: the window's size, one number or (vertical, horizontal).
        stride: the distance between windows; the kernel's size unless given.
        padding: how many zeros are put on each side: at most half of the kernel.
        ceil_mode: also take a last window that reaches beyond the end, if it begins before it.
        count_include_pad: whether the zeros count when a window's numbers are counted.
        divisor_override: what to divide by, instead of the count.

    Shapes:
        the result is (B, C, P, Q), P = ⌊(H + 2 padding - R)/stride⌋ + 1.

    Errors:
        ShapeError: no window fits. ConfigError: a setting that is out of range.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.avg_pool2d(chainrule.tensor([[[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]]]), 2)
    tensor([[[2.5000]]])
    """
    return _avg_pool(
        AvgPool2d,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


class BinMeans(CoarseOp):
    r"""y = the means of x over `bins` bins of its last dimension, which may share a number.

    Bin i has the numbers from ⌊i n / bins⌋ to ⌈(i + 1) n / bins⌉, not included; so
    y = x M with M[j,i] = 1/(numbers in bin i) where j is one of them, and x_bar = y_bar Mᵀ.

    Attributes:
        bins: how many.
    """

    bins: int
    saves = Saves()

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """More numbers than bins, fewer, one bin."""
        for bins, shape in ((3, (2, 7)), (4, (2, 3)), (1, (3, 2, 5)), (2, (0, 3))):
            yield Sample(op(bins), (spread(shape, -2, 2),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The last dimension becomes `bins`."""
        if x.ndim == 0 or x.shape[-1] == 0:
            self.fail(
                f"there is nothing to take means of in {x}",
                cure="pass an input whose spatial sizes are at least 1",
                types=[x],
            )
        return TensorType((*x.shape[:-1], self.bins), x.dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        """x M."""
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        return rows.matmul(self._means(x)).reshape(*x.shape[:-1], self.bins), ()

    def backward(
        self, y_bar: Tensor, y: Any, residuals: tuple[()], x: Any, *, needs: Needs
    ) -> Bars:
        """y_bar Mᵀ."""
        rows = y_bar.reshape(math.prod(x.shape[:-1]), self.bins)
        return (rows.matmul(self._means(x).mT).reshape(x.shape),)

    def _means(self, x: Any) -> Tensor:
        """M."""
        n = x.shape[-1]
        means = np.zeros((n, self.bins))
        for i in range(self.bins):
            first, last = i * n // self.bins, -(-(i + 1) * n // self.bins)
            means[first:last, i] = 1 / (last - first)
        return cast(lift(means), x.dtype)


def _adaptive(function: str, kind: type[AvgPool], input: Tensor, output_size: Any) -> Tensor:
    axes = kind.axes
    x, alone = batched(function, input, axes)
    given: tuple[int | None, ...] = (
        (output_size,) * axes if isinstance(output_size, int) else tuple(output_size)
    )
    if len(given) != axes or any(bins is not None and bins < 1 for bins in given):
        reject(f"{function}: output_size is {output_size!r}", f"pass {axes} positive numbers")
    bins = tuple(n if want is None else want for n, want in zip(x.shape[2:], given))
    if all(n % want == 0 and n > 0 for n, want in zip(x.shape[2:], bins)):
        kernel = tuple(n // want for n, want in zip(x.shape[2:], bins))
        none = ((0, 0),) * axes
        y = apply_wide(kind(kernel, kernel, none, none), x)
    else:
        y = x
        for axis, want in enumerate(bins, 2):
            y = apply_wide(BinMeans(want), y.transpose(axis, -1)).transpose(axis, -1)
    return y.reshape(y.shape[1:]) if alone else y


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of `output_size` bins of sequences (B, C, L). See `adaptive_avg_pool2d`.

    >>> import chainrule
    >>> from chainrule.nn.functional import adaptive_avg_pool1d
    >>> adaptive_avg_pool1d(chainrule.tensor([[[1.0, 2.0, 6.0]]]), 2)
    tensor([[[1.5000, 4.0000]]])
    """
    return _adaptive("adaptive_avg_pool1d", AvgPool1d, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of a given number of bins of pictures, whatever their size.

    Args:
        input: (B, C, H, W), or (C, H, W) for one picture.
        output_size: how many bins, one number or (vertical, horizontal); None keeps a size. Where
            it does not divide the size, neighbouring bins share a row, as in PyTorch: bin i goes
            from ⌊i H / bins⌋ to ⌈(i + 1) H / bins⌉.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.adaptive_avg_pool2d(chainrule.ones(2, 3, 7, 5), (None, 1)).shape
    (2, 3, 7, 1)
    """
    return _adaptive("adaptive_avg_pool2d", AvgPool2d, input, output_size)
