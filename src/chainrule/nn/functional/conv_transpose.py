"""Transposed convolution: each number of the input sends out a kernel; overlapping ones add up.

It is the map that pulls a cotangent back through a convolution, used as a layer; so its own
backward is a convolution. The derivation is `docs/derivations/conv_transpose.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from chainrule.core.coarse import CoarseOp
from chainrule.core.op import Bars, Needs, Sample, Samples, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.nn.functional.conv import check_operands
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.spatial import Size, Sizes, batched, grouped, per_axis, reject
from chainrule.ops.sliding import Pads, batch_first, batch_last, columns, overlap_add

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["conv_transpose1d", "conv_transpose2d"]


def _samples(*cases: tuple[Any, ...]) -> Samples:
    """Samples of (x shape, w shape, fields...), with and without a bias."""

    def make(op: type[Any]) -> Iterator[Sample]:
        for index, (x, w, *fields) in enumerate(cases):
            instance = op(*fields)
            inputs = (spread(x, -2, 2, seed=index), spread(w, -1, 1, seed=index + 20))
            bias = spread((w[1] * instance.groups,), -1, 1, seed=index + 40)
            yield Sample(instance, (*inputs, bias) if index % 2 == 0 else inputs)

    return make


class TransposedConvolution(CoarseOp, family=True):
    r"""y[n, k, p·stride + r·dilation - padding] += w[c,k,r] x[n,c,p];  then y[n,k] += b[k]

    With x as a matrix X (rows c; columns p,n) and w as W (rows c; columns k,r), the kernels sent
    out are the columns of V = Wᵀ X, and y adds them up where they overlap. With Ȳ the windows of
    y_bar, written out as V is:

        x_bar = W Ȳ,  w_bar = X Ȳᵀ,  b_bar = Σ y_bar over all but the channels

    Shapes:
        x (B, C, *size), w (C, K/groups, *kernel), b (K), which may be left out; y (B, K, *sizes),
        sizes = (size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.

    Attributes:
        stride: the distance between kernels sent out.
        padding: how much is cut off on both sides of each axis.
        output_padding: how much is added again after each axis.
        groups: C and K are cut into so many parts that have nothing to do with each other.
        dilation: the distance between a kernel's numbers.
    """

    axes: ClassVar[int]
    stride: Sizes
    padding: Sizes
    output_padding: Sizes
    groups: int
    dilation: Sizes

    def type_rule(
        self, x: TensorType, weight: TensorType, bias: TensorType | None = None
    ) -> TensorType:
        """(B, K, *sizes)."""
        outputs = weight.shape[1] * self.groups if weight.ndim > 1 else 0
        check_operands(self, x, weight, weight.shape[0], outputs, bias)
        if weight.shape[0] % self.groups:
            self.fail(
                f"{weight.shape[0]} input channels can't be cut into groups={self.groups}",
                cure="groups must divide the input's channels",
                types=[x, weight],
            )
        sizes = self._sizes(x.shape[2:], weight.shape[2:])
        if min(sizes) < 1:
            self.fail(
                f"the output of {x} and the weight {weight} would have the size {list(sizes)}",
                cure="use less padding",
                types=[x, weight],
            )
        return TensorType((x.shape[0], outputs, *sizes), x.dtype)

    def saves_for(self, needs: Needs) -> Saves:
        """x for the cotangent of the weight, the weight for that of x."""
        return Saves(tuple(i for i in (0, 1) if needs[1 - i]))

    def forward(
        self, x: Tensor, weight: Tensor, bias: Tensor | None = None
    ) -> tuple[Tensor, tuple[()]]:
        """Multiply, add up where the kernels overlap, add the bias."""
        sizes = self._sizes(x.shape[2:], weight.shape[2:])
        sent = grouped(weight, self.groups).mT @ grouped(batch_last(x), self.groups)
        rows = weight.shape[1] * self.groups * math.prod(weight.shape[2:])
        maps = overlap_add(sent.reshape(rows, sent.shape[2]), *self._windows(weight), sizes)
        if bias is not None:
            maps = maps + bias.reshape(-1, *(1,) * (self.axes + 1))
        return batch_first(maps), ()

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[()],
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        needs: Needs,
    ) -> Bars:
        """Derived in `docs/derivations/conv_transpose.md`."""
        maps_bar = batch_last(y_bar)
        x_bar = weight_bar = bias_bar = None
        if needs[0] or needs[1]:
            sent_bar = grouped(columns(maps_bar, *self._windows(weight)), self.groups)
            if needs[0]:
                rows_bar = grouped(weight, self.groups) @ sent_bar
                x_bar = batch_first(rows_bar.reshape(x.shape[1], *x.shape[2:], x.shape[0]))
            if needs[1]:
                rows = grouped(batch_last(x), self.groups)
                weight_bar = (rows @ sent_bar.mT).reshape(weight.shape)
        if bias is not None and needs[2]:
            bias_bar = maps_bar.reshape(maps_bar.shape[0], -1).sum(1)
        return (x_bar, weight_bar, bias_bar)[: len(needs)]

    def _sizes(self, size: Sizes, kernel: Sizes) -> Sizes:
        return tuple(
            (n - 1) * stride - 2 * padding + dilation * (k - 1) + extra + 1
            for n, k, stride, padding, dilation, extra in zip(
                size, kernel, self.stride, self.padding, self.dilation, self.output_padding
            )
        )

    def _windows(self, weight: Any) -> tuple[Sizes, Sizes, Sizes, Pads]:
        """The windows of y that the kernels were sent to; nothing was sent to what is extra."""
        pads = tuple(
            (padding, padding - extra) for padding, extra in zip(self.padding, self.output_padding)
        )
        return weight.shape[2:], self.stride, self.dilation, pads


class ConvTranspose1d(TransposedConvolution):
    r"""y[n, k, p·stride + r·dilation - padding] = b[k] + Σ w[c,k,r] x[n,c,p], along one axis."""

    name = "conv_transpose1d"
    axes = 1
    samples = _samples(
        ((2, 2, 4), (2, 3, 3), (1,), (0,), (0,), 1, (1,)),
        ((1, 4, 3), (4, 2, 2), (3,), (1,), (2,), 2, (2,)),
    )


class ConvTranspose2d(TransposedConvolution):
    r"""y[n, k, p·stride + r·dilation - padding] = b[k] + Σ w[c,k,r] x[n,c,p], along two axes."""

    name = "conv_transpose2d"
    axes = 2
    samples = _samples(
        ((2, 2, 3, 2), (2, 3, 2, 3), (1, 1), (0, 0), (0, 0), 1, (1, 1)),
        ((2, 2, 3, 3), (2, 2, 3, 2), (2, 3), (1, 0), (1, 2), 1, (1, 1)),
        ((1, 4, 2, 3), (4, 1, 2, 2), (1, 2), (1, 1), (1, 0), 2, (2, 1)),
    )


def _transposed(
    kind: type[TransposedConvolution],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Tensor:
    function, axes = kind.name, kind.axes
    strides = per_axis(function, "stride", stride, axes)
    dilations = per_axis(function, "dilation", dilation, axes)
    extra = per_axis(function, "output_padding", output_padding, axes, least=0)
    if any(more >= max(pair) for more, *pair in zip(extra, strides, dilations)):
        reject(
            f"{function}: output_padding is {list(extra)}, stride {list(strides)}, "
            f"dilation {list(dilations)}",
            "output_padding must be smaller than the stride or the dilation",
        )
    if groups < 1:
        reject(f"{function}: groups is {groups}", "pass a positive number")
    x, alone = batched(function, input, axes)
    pads = per_axis(function, "padding", padding, axes, least=0)
    op = kind(strides, pads, extra, groups, dilations)
    y = apply_wide(op, x, weight) if bias is None else apply_wide(op, x, weight, bias)
    return y.reshape(y.shape[1:]) if alone else y


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Transposed convolution of sequences (B, C, L). See `conv_transpose2d`.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x, kernel = chainrule.tensor([[[1.0, 2.0]]]), chainrule.tensor([[[1.0, 10.0, 100.0]]])
    >>> F.conv_transpose1d(x, kernel, stride=2)
    tensor([[[  1.,  10., 102.,  20., 200.]]])
    """
    return _transposed(
        ConvTranspose1d,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    r"""Send a kernel out from every pixel, and add up: what enlarges a picture by its stride.

    Args:
        input: (B, C, H, W), or (C, H, W) for one picture.
        weight: (C, K/groups, R, S): input channels first, as in PyTorch.
        bias: (K), or None.
        stride: the distance between kernels in the output, one number or (vertical, horizontal).
        padding: how many rows and columns are cut off on each side of the output.
        output_padding: rows and columns added below and to the right, less than the stride: of
            the sizes that a convolution takes to this one, which is meant.
        groups: channels are cut into so many parts, treated separately.
        dilation: the distance between the numbers of a kernel.

    Shapes:
        the result is (B, K, P, Q), P = (H - 1) stride - 2 padding + dilation (R - 1)
        + output_padding + 1.

    Errors:
        ShapeError, DTypeError, ConfigError as in `conv2d`.

    >>> import chainrule
    >>> from chainrule.nn.functional import conv_transpose2d
    >>> x, kernel = chainrule.tensor([[[[1.0, 2.0]]]]), chainrule.ones(1, 1, 1, 3)
    >>> conv_transpose2d(x, kernel, stride=(1, 2))
    tensor([[[[1., 1., 3., 2., 2.]]]])

    Source: Zeiler, Krishnan, Taylor, Fergus, *Deconvolutional Networks*, 2010; the form here is
    Long, Shelhamer, Darrell, *Fully Convolutional Networks*, 2015, section 3.3.
    """
    return _transposed(
        ConvTranspose2d,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
    )
