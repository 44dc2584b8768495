"""Pooling layers: the largest or the mean of each window."""

from __future__ import annotations

from typing import Any

from chainrule.nn import functional as F
from chainrule.nn.functional.spatial import Size, Sizes, per_axis
from chainrule.nn.layer import Layer
from chainrule.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "MaxPool1d",
    "MaxPool2d",
]


class _MaxPool(Layer):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _settings(self) -> tuple[Any, ...]:
        """In the order in which the functions take them."""
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest number of each window of sequences: (B, C, L) to (B, C, P). See `MaxPool2d`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.MaxPool1d(2)(chainrule.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[3., 2.]]])
    """

    def forward(self, input: Tensor) -> Any:
        """The maxima, and (`return_indices`) where they were."""
        return F.max_pool1d(input, *self._settings())


class MaxPool2d(_MaxPool):
    """The largest number of each window of pictures: (B, C, H, W) to (B, C, P, Q).

        P = ⌊(H + 2 padding - dilation (R - 1) - 1)/stride⌋ + 1

    Args:
        kernel_size: R, or (R, S).
        stride: the distance between windows; the kernel's size unless given.
        padding: a border of -∞ on each side.
        dilation: the distance between the numbers of a window.
        return_indices: return also where the maxima were.
        ceil_mode: round P up instead.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.MaxPool2d(2)(chainrule.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[[[4.]]]])
    """

    def forward(self, input: Tensor) -> Any:
        """The maxima, and (`return_indices`) where they were."""
        return F.max_pool2d(input, *self._settings())


class AvgPool1d(Layer):
    """The mean of each window of sequences: (B, C, L) to (B, C, P). See `AvgPool2d`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.AvgPool1d(2)(chainrule.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = per_axis("AvgPool1d", "kernel_size", kernel_size, 1)
        self.stride: Sizes = (
            self.kernel_size if stride is None else per_axis("AvgPool1d", "stride", stride, 1)
        )
        self.padding = per_axis("AvgPool1d", "padding", padding, 1, least=0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        """The settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Layer):
    """The mean of each window of pictures: (B, C, H, W) to (B, C, P, Q).

        P = ⌊(H + 2 padding - R)/stride⌋ + 1

    Args:
        kernel_size: R, or (R, S).
        stride: the distance between windows; the kernel's size unless given.
        padding: a border of zeros on each side.
        ceil_mode: round P up instead of down.
        count_include_pad: the border's zeros count in the mean.
        divisor_override: divide the sum by this instead.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.AvgPool2d(2)(chainrule.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[[[2.5000]]]])
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        """The settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AdaptiveAvgPool(Layer):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        """The number of bins."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of a given number of bins of sequences, whatever their length.

    Shapes:
        x (B, C, L), y (B, C, output_size).

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.AdaptiveAvgPool1d(2)(chainrule.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]]))
    tensor([[[2., 4.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of a given number of bins of pictures, whatever their size.

    Args:
        output_size: how many bins, vertical and horizontal; None keeps that axis as it is.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.AdaptiveAvgPool2d(1)(chainrule.ones(2, 3, 8, 6)).shape
    (2, 3, 1, 1)
    """

    def forward(self, input: Tensor) -> Tensor:
        """The means."""
        return F.adaptive_avg_pool2d(input, self.output_size)
