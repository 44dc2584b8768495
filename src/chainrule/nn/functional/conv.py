"""Convolution as one matrix product: every window of the input is a column, every kernel a row.

The derivation of the backward pass is `docs/derivations/conv.md`; why windows are written out, and
how they lie in memory, `docs/decisions/0003-convolution-is-one-product.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from chainrule.core.coarse import CoarseOp
from chainrule.core.op import Bars, Needs, Sample, Samples, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.spatial import Pads, Size, Sizes, batched, grouped, per_axis, reject
from chainrule.ops.sliding import batch_first, batch_last, columns, overlap_add, window_count

if TYPE_CHECKING:
    from chainrule.nn.functional.conv_transpose import TransposedConvolution
    from chainrule.tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv3d"]


def check_operands(
    op: Convolution | TransposedConvolution,
    x: TensorType,
    weight: TensorType,
    channels: int,
    outputs: int,
    bias: TensorType | None,
) -> None:
    """Raise unless input, weight and bias of a convolution fit together."""
    types = [x, weight] if bias is None else [x, weight, bias]
    axes, groups = op.axes, op.groups
    if x.ndim != axes + 2 or weight.ndim != axes + 2:
        op.fail(
            f"the input is {x}, the weight {weight}",
            cure=f"both have {axes + 2} dimensions",
            types=types,
        )
    if x.shape[1] != channels:
        op.fail(
            f"the input {x} has {x.shape[1]} channels, the weight {weight} with groups={groups} "
            f"takes {channels}",
            cure="the input is (B, C, ...): are its axes in this order?",
            types=types,
        )
    if bias is not None and bias.shape != (outputs,):
        op.fail(
            f"the bias is {bias}, the weight {weight} has {outputs} output channels",
            cure=f"a bias of shape [{outputs}] fits this weight",
            types=types,
        )
    if any(each.dtype is not x.dtype for each in types):
        op.fail(
            "dtypes differ: " + ", ".join(map(str, types)),
            cure=f"convert the input with .to({weight.dtype}), or the layer's parameters",
            error=DTypeError,
            types=types,
        )


def _samples(*cases: tuple[Any, ...]) -> Samples:
    """Samples of (x shape, w shape, fields...), with and without a bias."""

    def make(op: type[Any]) -> Iterator[Sample]:
        for index, (x, w, *fields) in enumerate(cases):
            inputs = (spread(x, -2, 2, seed=index), spread(w, -1, 1, seed=index + 20))
            bias = spread((w[0],), -1, 1, seed=index + 40)
            yield Sample(op(*fields), (*inputs, bias) if index % 2 == 0 else inputs)

    return make


class Convolution(CoarseOp, family=True):
    r"""y[n,k,p] = b[k] + Σ_{c,r} w[k,c,r] x[n, c, p·stride + r·dilation - padding]

    p and r have one coordinate per spatial axis; x is 0 outside. With the windows of x as columns
    of a matrix X (rows c,r; columns p,n), w as a matrix W (rows k; columns c,r), it is
    Y = W X + b, so

        W_bar = Y_bar Xᵀ,  X_bar = Wᵀ Y_bar,  b_bar = Σ Y_bar over the columns

    and x_bar adds X_bar up where windows overlap.

    Shapes:
        x (B, C, *size), w (K, C/groups, *kernel), b (K), which may be left out; y (B, K, *counts),
        counts = ⌊(size + padding before and after - dilation (kernel - 1) - 1)/stride⌋ + 1.

    Attributes:
        stride: the distance between windows, along each axis.
        padding: zeros before and after each axis.
        dilation: the distance between the numbers of a window.
        groups: C and K are cut into so many parts that have nothing to do with each other.
    """

    axes: ClassVar[int]
    stride: Sizes
    padding: Pads
    dilation: Sizes
    groups: int = 1

    def type_rule(
        self, x: TensorType, weight: TensorType, bias: TensorType | None = None
    ) -> TensorType:
        """(B, K, *counts)."""
        check_operands(self, x, weight, weight.shape[1] * self.groups, weight.shape[0], bias)
        if weight.shape[0] % self.groups:
            self.fail(
                f"{weight.shape[0]} output channels can't be cut into groups={self.groups}",
                cure="groups must divide the input's and the output's channels",
                types=[x, weight],
            )
        kernel = weight.shape[2:]
        padded = tuple(n + before + after for n, (before, after) in zip(x.shape[2:], self.padding))
        counts = tuple(map(window_count, padded, kernel, self.stride, self.dilation))
        if min(counts) < 1:
            self.fail(
                f"the kernel {list(kernel)} with dilation {list(self.dilation)} does not fit into "
                f"the padded input {list(padded)} of {x}",
                cure="use a smaller kernel or dilation, more padding, or a larger input",
                types=[x, weight],
            )
        return TensorType((x.shape[0], weight.shape[0], *counts), x.dtype)

    def saves_for(self, needs: Needs) -> Saves:
        """x for the cotangent of the weight, the weight for that of x."""
        return Saves(tuple(i for i in (0, 1) if needs[1 - i]))

    def forward(
        self, x: Tensor, weight: Tensor, bias: Tensor | None = None
    ) -> tuple[Tensor, tuple[()]]:
        """Write out the windows, multiply, add the bias."""
        kernel, channels = weight.shape[2:], weight.shape[0]
        counts = self.type_rule(x.type, weight.type).shape[2:]
        seen = columns(batch_last(x), kernel, self.stride, self.dilation, self.padding)
        product = grouped(weight, self.groups) @ grouped(seen, self.groups)
        product = product.reshape(channels, seen.shape[1])
        if bias is not None:
            product = product + bias.reshape(channels, 1)
        return batch_first(product.reshape(channels, *counts, x.shape[0])), ()

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
        """Derived in `docs/derivations/conv.md`."""
        windows = (weight.shape[2:], self.stride, self.dilation, self.padding)
        maps_bar = batch_last(y_bar)
        rows_bar = maps_bar.reshape(weight.shape[0], math.prod(maps_bar.shape[1:]))
        product_bar = grouped(rows_bar, self.groups)
        x_bar = weight_bar = bias_bar = None
        if needs[0]:
            seen_bar = grouped(weight, self.groups).mT @ product_bar
            rows = x.shape[1] * math.prod(weight.shape[2:])
            seen_bar = seen_bar.reshape(rows, rows_bar.shape[1])
            x_bar = batch_first(overlap_add(seen_bar, *windows, x.shape[2:]))
        if needs[1]:
            seen = columns(batch_last(x), *windows)
            weight_bar = (product_bar @ grouped(seen, self.groups).mT).reshape(weight.shape)
        if bias is not None and needs[2]:
            bias_bar = rows_bar.sum(1)
        return (x_bar, weight_bar, bias_bar)[: len(needs)]


_NONE = (0, 0)


class Conv1d(Convolution):
    r"""y[n,k,p] = b[k] + Σ w[k,c,r] x[n, c, p·stride + r·dilation - padding], along one axis."""

    axes = 1
    samples = _samples(
        ((2, 2, 5), (3, 2, 3), (1,), (_NONE,), (1,)),
        ((1, 4, 7), (6, 2, 2), (2,), ((1, 2),), (3,), 2),
    )


class Conv2d(Convolution):
    r"""y[n,k,p] = b[k] + Σ w[k,c,r] x[n, c, p·stride + r·dilation - padding], along two axes."""

    axes = 2
    samples = _samples(
        ((2, 2, 4, 5), (3, 2, 2, 3), (1, 1), (_NONE, _NONE), (1, 1)),
        ((2, 2, 5, 6), (2, 2, 3, 2), (2, 1), ((1, 1), (0, 2)), (1, 2)),
        ((1, 4, 4, 4), (6, 2, 2, 2), (1, 3), ((1, 0), (1, 1)), (2, 1), 2),
        ((2, 3, 4, 4), (3, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 3),
        ((0, 1, 3, 3), (2, 1, 2, 2), (1, 1), (_NONE, _NONE), (1, 1)),
        ((2, 2, 3, 3), (2, 2, 1, 1), (2, 2), (_NONE, _NONE), (1, 1)),
    )


class Conv3d(Convolution):
    r"""y[n,k,p] = b[k] + Σ w[k,c,r] x[n, c, p·stride + r·dilation - padding], along three axes."""

    axes = 3
    samples = _samples(
        ((1, 2, 3, 2, 4), (2, 2, 2, 1, 3), (1, 1, 2), ((0, 0), (0, 1), (1, 1)), (1, 1, 1)),
    )


def padding_of(
    function: str, padding: Size | str, kernel: Sizes, stride: Sizes, dilation: Sizes
) -> Pads:
    """`padding` as zeros before and after each axis; "same" puts an odd one at the end."""
    axes = len(kernel)
    if not isinstance(padding, str):
        return tuple((pad, pad) for pad in per_axis(function, "padding", padding, axes, least=0))
    if padding == "valid":
        return ((0, 0),) * axes
    if padding != "same":
        reject(f"{function}: padding is {padding!r}", 'pass a number, "valid" or "same"')
    if max(stride) > 1:
        reject(
            f'{function}: padding="same" with stride {list(stride)}',
            "the output can have the input's size only at stride 1; pass padding as a number",
        )
    totals = [step * (size - 1) for size, step in zip(kernel, dilation)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _convolve(
    kind: type[Convolution],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size | str,
    dilation: Size,
    groups: int,
) -> Tensor:
    function, axes = kind.name, kind.axes
    strides = per_axis(function, "stride", stride, axes)
    dilations = per_axis(function, "dilation", dilation, axes)
    pads = padding_of(function, padding, weight.shape[-axes:], strides, dilations)
    if groups < 1:
        reject(f"{function}: groups is {groups}", "pass a positive number")
    x, alone = batched(function, input, axes)
    op = kind(strides, pads, dilations, groups)
    y = apply_wide(op, x, weight) if bias is None else apply_wide(op, x, weight, bias)
    return y.reshape(y.shape[1:]) if alone else y


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve sequences (B, C, L) with kernels (K, C/groups, R): (B, K, L'). See `conv2d`.

    >>> import chainrule
    >>> from chainrule.nn.functional import conv1d
    >>> conv1d(chainrule.tensor([[[1.0, 2.0, 4.0, 8.0]]]), chainrule.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2., 4.]]])
    """
    return _convolve(Conv1d, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    r"""Convolve pictures with kernels, without flipping them (what statistics call correlation).

    y[n,k,p,q] = bias[k] + Σ_{c,r,s} weight[k,c,r,s] x[n, c, p·stride + r·dilation - padding, ...]

    Args:
        input: (B, C, H, W), or (C, H, W) for one picture.
        weight: (K, C/groups, R, S), the kernels.
        bias: (K), or None.
        stride: the distance between windows, one number or (vertical, horizontal).
        padding: zeros on each side, likewise; "valid" is 0, "same" keeps the size (at stride 1).
        dilation: the distance between the numbers in a window.
        groups: channels are cut into so many parts, convolved separately; C makes it depthwise.

    Shapes:
        the result is (B, K, P, Q) with P = ⌊(H + 2 padding - dilation (R - 1) - 1)/stride⌋ + 1.
        In memory its batch is innermost: `.contiguous()` copies it into the order of its axes.

    Errors:
        ShapeError: channels, bias or sizes do not fit.
        DTypeError: input and parameters differ in dtype.
        ConfigError: a setting that is out of range.

    float16 is computed in float32.

    >>> import chainrule
    >>> from chainrule.nn.functional import conv2d
    >>> x, edge = chainrule.ones(1, 1, 3, 3), chainrule.tensor([[[[1.0, -1.0]]]])
    >>> conv2d(x, edge, padding=(0, 1))
    tensor([[[[-1.,  0.,  0.,  1.],
              [-1.,  0.,  0.,  1.],
              [-1.,  0.,  0.,  1.]]]])

    Source: LeCun et al., *Gradient-Based Learning Applied to Document Recognition*, 1998; as a
    matrix product, Chellapilla, Puri, Simard, 2006.
    """
    return _convolve(Conv2d, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve volumes (B, C, D, H, W) with kernels (K, C/groups, T, R, S). See `conv2d`.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.conv3d(chainrule.ones(1, 2, 4, 5, 6), chainrule.ones(3, 2, 1, 2, 3)).shape
    (1, 3, 4, 4, 4)
    """
    return _convolve(Conv3d, input, weight, bias, stride, padding, dilation, groups)
