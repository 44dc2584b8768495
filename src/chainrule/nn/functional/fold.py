"""Windows written out as columns, and columns added up to maps: what is inside a convolution.

Both are linear, each the transpose of the other; they are views, copies and sums of fine ops, and
their derivatives follow from those.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.core.interpret import bind
from chainrule.core.location import user_location
from chainrule.errors import ShapeError
from chainrule.nn.functional.spatial import Size, batched, per_axis
from chainrule.ops.sliding import OverlapAdd, batch_first, batch_last, windows

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["fold", "unfold"]


def unfold(
    input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """Every window of a picture as a column: (B, C, H, W) to (B, C·R·S, windows).

    >>> import chainrule
    >>> from chainrule.nn.functional import unfold
    >>> unfold(chainrule.arange(6.0).reshape(1, 1, 2, 3), 2)
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    kernel = per_axis("unfold", "kernel_size", kernel_size, 2)
    dilations = per_axis("unfold", "dilation", dilation, 2)
    pads = tuple((pad, pad) for pad in per_axis("unfold", "padding", padding, 2, least=0))
    strides = per_axis("unfold", "stride", stride, 2)
    x, alone = batched("unfold", input, 2)
    seen = batch_first(windows(batch_last(x), kernel, strides, dilations, pads))
    rows, count = x.shape[1] * math.prod(kernel), math.prod(seen.shape[4:])
    return seen.reshape(rows, count) if alone else seen.reshape(x.shape[0], rows, count)


def fold(
    input: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    """Columns back to a picture, added up where windows overlap: the transpose of `unfold`.

    Shapes:
        input (B, C·R·S, windows), or without B; the result is (B, C, *output_size).

    Errors:
        ShapeError: there are not as many rows or columns as windows of this kind have.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x = chainrule.ones(1, 1, 3, 3)
    >>> F.fold(F.unfold(x, 2), (3, 3), 2)[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    size = per_axis("fold", "output_size", output_size, 2)
    kernel = per_axis("fold", "kernel_size", kernel_size, 2)
    strides = per_axis("fold", "stride", stride, 2)
    pads = tuple((pad, pad) for pad in per_axis("fold", "padding", padding, 2, least=0))
    op = OverlapAdd(kernel, strides, per_axis("fold", "dilation", dilation, 2), pads, size)
    places, counts = math.prod(kernel), op.counts
    if (
        input.ndim not in (2, 3)
        or min(counts) < 1
        or (input.shape[-2] % places or input.shape[-1] != math.prod(counts))
    ):
        raise ShapeError(
            f"fold: the input is {input.type}; windows of {list(kernel)} in a picture of "
            f"{list(size)} are {list(counts)}",
            cure=f"pass (B, C·{places}, {math.prod(counts)})",
            location=str(user_location() or ""),
        )
    x = input.reshape(1, *input.shape) if input.ndim == 2 else input
    parts = x.reshape(x.shape[0], x.shape[1] // places, *kernel, *counts)
    maps = batch_first(bind(op, batch_last(parts)))
    return maps.reshape(maps.shape[1:]) if input.ndim == 2 else maps
