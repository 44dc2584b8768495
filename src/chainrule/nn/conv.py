"""Convolution layers, and their transposes."""

from __future__ import annotations

import math
from typing import Any, ClassVar, cast

from chainrule.core.dtypes import DType
from chainrule.core.location import user_location
from chainrule.errors import ConfigError
from chainrule.nn import functional as F
from chainrule.nn import init
from chainrule.nn.functional.spatial import Size, Sizes, per_axis
from chainrule.nn.layer import Layer
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import zeros
from chainrule.ops.padding import pad
from chainrule.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Kernels(Layer):
    """The settings and parameters that all convolutions share."""

    axes: ClassVar[int]
    transposed: ClassVar[bool] = False
    padding: Sizes | str
    bias: Parameter | None

    def _set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        output_padding: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: DType | None,
    ) -> None:
        name, axes = type(self).__name__, self.axes
        self._check(in_channels, out_channels, groups, padding, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, axes)
        self.stride = per_axis(name, "stride", stride, axes)
        self.padding = (
            padding
            if isinstance(padding, str)
            else per_axis(name, "padding", padding, axes, least=0)
        )
        self.dilation = per_axis(name, "dilation", dilation, axes)
        self.output_padding = per_axis(name, "output_padding", output_padding, axes, least=0)
        self.groups = groups
        self.padding_mode = padding_mode
        ends = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (ends[0], ends[1] // groups, *self.kernel_size)
        self.weight = Parameter(zeros(shape, dtype=dtype, device=device))
        bias_ = Parameter(zeros(out_channels, dtype=dtype)) if bias else None
        self.register_parameter("bias", bias_)
        self.reset_parameters()

    def _check(
        self,
        in_channels: int,
        out_channels: int,
        groups: int,
        padding: Size | str,
        padding_mode: str,
    ) -> None:
        problem = cure = ""
        if groups < 1 or in_channels % groups or out_channels % groups:
            problem = f"{in_channels} channels to {out_channels} in {groups} groups"
            cure = "both numbers of channels must be multiples of groups"
        elif padding_mode not in (PADDING_MODES[:1] if self.transposed else PADDING_MODES):
            problem = f"padding_mode is {padding_mode!r}"
            cure = "pass 'zeros'" if self.transposed else f"pass one of {', '.join(PADDING_MODES)}"
        elif isinstance(padding, str) and padding not in ("same", "valid"):
            problem, cure = f"padding is {padding!r}", "pass numbers, 'same' or 'valid'"
        if problem:
            raise ConfigError(
                f"{type(self).__name__}: {problem}", cure=cure, location=str(user_location() or "")
            )

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in, _ = init.fans(self.weight)
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def extra_repr(self) -> str:
        """The settings that are not the usual ones."""
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        none = (0,) * self.axes
        if self.padding != none:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.axes:
            text += f", dilation={self.dilation}"
        if self.output_padding != none:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_Kernels):
    """Convolution over one or two axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _bordered(self, input: Tensor) -> tuple[Tensor, Sizes | str]:
        """The input with a border that is not zeros, and what is left to pad."""
        if self.padding_mode == "zeros":
            return input, self.padding
        widths: list[int] = []  # before and after, from the last axis backwards
        for axis in reversed(range(self.axes)):
            if self.padding == "same":
                whole = self.dilation[axis] * (self.kernel_size[axis] - 1)
                widths += [whole // 2, whole - whole // 2]
            else:
                each = 0 if isinstance(self.padding, str) else self.padding[axis]
                widths += [each, each]
        return pad(input, widths, mode=self.padding_mode), (0,) * self.axes


class Conv1d(_Conv):
    """Convolution of sequences: (B, C, L) to (B, K, P).

    See `Conv2d`, with one spatial axis.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Conv1d(2, 4, kernel_size=3)(chainrule.zeros(8, 2, 10)).shape
    (8, 4, 8)
    """

    axes = 1

    def forward(self, input: Tensor) -> Tensor:
        """The input convolved with each kernel."""
        x, padding = self._bordered(input)
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    r"""Convolution of pictures: (B, C, H, W) to (B, K, P, Q).

        y[n,k,p,q] = b[k] + Σ_{c,r,s} w[k,c,r,s] · x[n, c, p·stride + r·dilation - padding, ...]
        P = ⌊(H + 2 padding - dilation (R - 1) - 1)/stride⌋ + 1

    Parameters:
        weight (K, C/groups, R, S) and bias (K), both drawn from U(-k, k) with k = 1/√fan_in,
        fan_in = C/groups · R · S.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: R, or (R, S).
        stride: the distance between windows.
        padding: how wide a border each side gets; "same" keeps the size, "valid" is none.
        dilation: the distance between the numbers of a window.
        groups: so many separate parts; C makes it depthwise.
        bias: False leaves b out.
        padding_mode: what the border is made of: "zeros", "reflect", "replicate", "circular".
        device: "cpu" or None.
        dtype: of the parameters.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Conv2d(1, 6, kernel_size=5, padding=2)(chainrule.zeros(2, 1, 28, 28)).shape
    (2, 6, 28, 28)
    """

    axes = 2

    def forward(self, input: Tensor) -> Tensor:
        """The input convolved with each kernel."""
        x, padding = self._bordered(input)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _ConvTranspose(_Kernels):
    """Transposed convolution over one or two axes."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _added(self, input: Tensor, output_size: Any) -> Sizes:
        """The output padding that gives the output size asked for."""
        if output_size is None:
            return self.output_padding
        wanted = tuple(output_size)[-self.axes :]
        pads = cast("Sizes", self.padding)
        least = tuple(
            (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
            for size, stride, padding, dilation, kernel in zip(
                input.shape[-self.axes :],
                self.stride,
                pads,
                self.dilation,
                self.kernel_size,
            )
        )
        added = tuple(want - low for want, low in zip(wanted, least))
        if any(each < 0 or each >= stride for each, stride in zip(added, self.stride)):
            raise ConfigError(
                f"{type(self).__name__}: output_size is {list(wanted)}",
                cure=f"it can be {list(least)} and up to a stride less one above that",
                location=str(user_location() or ""),
            )
        return added


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`: (B, C, P) to (B, K, L). See `ConvTranspose2d`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.ConvTranspose1d(4, 1, 2, stride=2)(chainrule.zeros(1, 4, 7)).shape
    (1, 1, 14)
    """

    axes = 1

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """The input spread out with each kernel."""
        return F.conv_transpose1d(
            input,
            self.weight,
            self.bias,
            self.stride,
            cast("Sizes", self.padding),
            self._added(input, output_size),
            self.groups,
            self.dilation,
        )


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`, which makes pictures larger: (B, C, P, Q) to (B, K, H, W).

        H = (P - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1

    Parameters:
        weight (C, K/groups, R, S) and bias (K), both drawn from U(-k, k) with k = 1/√fan_in,
        fan_in = K/groups · R · S.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: R, or (R, S).
        stride: the distance between windows.
        padding: how much is cut off each side.
        output_padding: rows added at the end, where several sizes would fit.
        groups: so many separate parts.
        bias: False leaves b out.
        dilation: the distance between the numbers of a window.
        padding_mode: "zeros", the only one there is.
        device: "cpu" or None.
        dtype: of the parameters.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.ConvTranspose2d(4, 1, 2, stride=2)(chainrule.zeros(1, 4, 7, 7)).shape
    (1, 1, 14, 14)
    """

    axes = 2

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """The input spread out with each kernel.

        >>> import chainrule
        >>> from chainrule import nn
        >>> layer = nn.ConvTranspose2d(1, 1, 3, stride=2)
        >>> layer(chainrule.zeros(1, 1, 4, 4), output_size=(10, 10)).shape
        (1, 1, 10, 10)
        """
        return F.conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            cast("Sizes", self.padding),
            self._added(input, output_size),
            self.groups,
            self.dilation,
        )
