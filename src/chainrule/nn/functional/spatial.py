"""What convolution and pooling agree on: sizes along spatial axes, and inputs without a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from chainrule.core.location import user_location
from chainrule.core.op import Sample, Samples
from chainrule.core.samples import spread
from chainrule.errors import ConfigError, DimensionError
from chainrule.ops.sliding import Pads, Sizes, window_count

if TYPE_CHECKING:
    from chainrule.core.op import Op
    from chainrule.core.types import TensorType
    from chainrule.tensor import Tensor

__all__ = [
    "Pads",
    "Size",
    "Sizes",
    "batched",
    "grouped",
    "map_samples",
    "per_axis",
    "pool_padding",
    "pooled_sizes",
    "reject",
]

Size = int | Sequence[int]
"""One number for all spatial axes, or one for each."""


def map_samples(*cases: tuple[Any, ...]) -> Samples:
    """Ways to try an op on maps: the shape of x, then the op's fields."""

    def make(op: type[Any]) -> Iterator[Sample]:
        for index, (shape, *fields) in enumerate(cases):
            yield Sample(op(*fields), (spread(shape, -2, 2, seed=index),))

    return make


def grouped(matrix: Tensor, groups: int) -> Tensor:
    """(rows, ...) as `groups` matrices: the rows cut, whatever follows as columns.

    >>> import chainrule
    >>> grouped(chainrule.zeros(6, 2, 3), 2).shape
    (2, 3, 6)
    """
    shape = matrix.shape
    return matrix.reshape(groups, shape[0] // groups, math.prod(shape[1:]))


def per_axis(function: str, name: str, value: Size, axes: int, least: int = 1) -> Sizes:
    """An argument such as `stride` as one number per spatial axis, checked.

    >>> per_axis("conv2d", "stride", 2, axes=2)
    (2, 2)
    """
    if isinstance(value, int):
        sizes: Sizes = (value,) * axes
    else:
        sizes = tuple(value) * (axes if len(value) == 1 else 1)
    if len(sizes) != axes or min(sizes) < least:
        reject(
            f"{function}: {name} is {value!r}",
            f"pass an int of at least {least}, or {axes} of them",
        )
    return sizes


def reject(problem: str, cure: str) -> NoReturn:
    """Raise for a setting that is not one of those allowed.

    >>> reject("conv2d: stride is 0", "pass at least 1")
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: conv2d: stride is ...
    """
    raise ConfigError(problem, cure=cure, location=str(user_location() or ""))


def batched(function: str, input: Any, axes: int) -> tuple[Tensor, bool]:
    """The input as (B, C, *size), and whether it came without its batch axis.

    >>> import chainrule
    >>> x, was_batched = batched("conv2d", chainrule.zeros(3, 8, 8), 2)
    >>> x.shape, was_batched
    ((1, 3, 8, 8), True)
    """
    if input.ndim == axes + 2:
        return input, False
    if input.ndim == axes + 1:
        return input.reshape(1, *input.shape), True
    sizes = ", ".join("HW"[-axes:])
    raise DimensionError(
        f"{function}: the input is {input.type}",
        cure=f"pass (B, C, {sizes}), or (C, {sizes}) for one sample",
        location=str(user_location() or ""),
        op=function,
    )


def pool_padding(
    function: str,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Size,
    dilation: Sizes,
    ceil_mode: bool,
) -> Pads:
    """A pooling's padding before and after each axis.

    `ceil_mode` takes one more window where one begins inside the input or its padding before it:
    that is padding after it, as much as the window reaches beyond the end.

    >>> pool_padding("max_pool1d", (5,), (2,), (2,), 0, (1,), ceil_mode=True)
    ((0, 1),)
    """
    pads = per_axis(function, "padding", padding, len(kernel), least=0)
    if any(2 * pad > size_of for pad, size_of in zip(pads, kernel)):
        reject(
            f"{function}: padding is {padding!r}, kernel_size {list(kernel)}",
            "padding may be half of the kernel's size at most",
        )
    if not ceil_mode:
        return tuple((pad, pad) for pad in pads)
    result: list[tuple[int, int]] = []
    for n, taps, step, pad, spacing in zip(size, kernel, stride, pads, dilation):
        reach = spacing * (taps - 1) + 1
        count = -(-(n + 2 * pad - reach) // step) + 1
        if (count - 1) * step >= n + pad:
            count -= 1  # it would begin in the padding after the input
        result.append((pad, max((count - 1) * step + reach - n - pad, pad)))
    return tuple(result)


def pooled_sizes(
    op: Op, x: TensorType, kernel: Sizes, stride: Sizes, dilation: Sizes, padding: Pads
) -> Sizes:
    """How many windows fit along each spatial axis of (B, C, *size); raises if none does."""
    if x.ndim != len(kernel) + 2:
        op.fail(
            f"the input is {x}", cure=f"it needs {len(kernel) + 2} dimensions, B first", types=[x]
        )
    padded = tuple(n + before + after for n, (before, after) in zip(x.shape[2:], padding))
    counts = tuple(map(window_count, padded, kernel, stride, dilation))
    if min(counts) < 1:
        op.fail(
            f"no window of {list(kernel)} fits into {x} (padded: {list(padded)})",
            cure="use a smaller kernel, more padding, or a larger input",
            types=[x],
        )
    return counts
