"""Sliding windows: what a convolution or a pooling looks at, as a view, and the way back.

Both ops work on maps laid out with the batch last, (C, *size, B). Then windows that begin side by
side lie side by side in memory, whatever their size, and a step of stride 2 still reads whole runs
of B numbers: with the batch first, NumPy would move single numbers about.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__: list[str] = []
"""Nothing for users: `nn.functional.unfold`, `fold`, convolution and pooling are built on these."""

Sizes = tuple[int, ...]


def window_count(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> int:
    """How many windows fit into `size` numbers; 0 or less if none does."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


@dataclass(frozen=True)
class _Sliding(Op, family=True):
    """Where the windows lie.

    Attributes:
        kernel: the window's size along each spatial axis: how many numbers it takes.
        stride: the distance between the windows' beginnings.
        dilation: the distance between the numbers taken.
        size: the spatial size of the map.
    """

    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    size: Sizes

    @property
    def counts(self) -> Sizes:
        """How many windows there are along each axis."""
        return tuple(map(window_count, self.size, self.kernel, self.stride, self.dilation))

    def taps(self) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
        """For each place in the window, the numbers of the map that all windows have there."""
        for tap in itertools.product(*map(range, self.kernel)):
            yield (
                tap,
                tuple(
                    slice(k * dilation, k * dilation + (count - 1) * stride + 1, stride)
                    for k, count, stride, dilation in zip(
                        tap, self.counts, self.stride, self.dilation
                    )
                ),
            )

    def check(self, size: Sizes, types: list[TensorType]) -> None:
        """Raise unless this is the size of the map, and at least one window fits."""
        if size != self.size or min(self.counts, default=1) < 1:
            self.fail(
                f"no window of {list(self.kernel)}, dilation {list(self.dilation)}, fits into "
                f"a map of {list(size)} (expected {list(self.size)})",
                cure="use a smaller kernel or dilation, more padding, or a larger input",
                types=types,
            )


def _samples(windows: bool) -> Any:
    def make(op: type[Any]) -> Iterator[Sample]:
        for kernel, stride, dilation, size in (
            ((2,), (1,), (1,), (4,)),
            ((2,), (3,), (2,), (7,)),
            ((2, 3), (1, 1), (1, 1), (3, 4)),
            ((3, 2), (2, 1), (1, 2), (6, 5)),
            ((1, 1), (2, 2), (1, 1), (3, 3)),
        ):
            instance = op(kernel, stride, dilation, size)
            inner = size if windows else kernel + instance.counts
            yield Sample(instance, (spread((2, *inner, 3), -3, 3),))
            if windows:
                yield Sample(instance, (np.moveaxis(spread((3, 2, *inner), -3, 3), 0, -1),))

    return make


class Windows(_Sliding, LinearOp):
    r"""y[c, *tap, *window, b] = x[c, *(window · stride + tap · dilation), b]

    All windows of a map, without a copy. x_bar = the windows' cotangents, added up where they
    overlap (`OverlapAdd`).

    Shapes:
        x (C, *size, B); y (C, *kernel, *counts, B).
    """

    samples = _samples(windows=True)
    aliases = True

    def type_rule(self, x: TensorType) -> TensorType:
        """(C, *kernel, *counts, B)."""
        self.check(x.shape[1:-1], [x])
        return TensorType((x.shape[0], *self.kernel, *self.counts, x.shape[-1]), x.dtype)

    def reference(self, x: Array) -> Array:
        """Strides of NumPy's: a view of x if its memory is in order, else of a copy."""
        memory = np.ascontiguousarray(x)
        outer, *inner, last = memory.strides
        strides = (
            outer,
            *[step * dilation for step, dilation in zip(inner, self.dilation)],
            *[step * stride for step, stride in zip(inner, self.stride)],
            last,
        )
        shape = (x.shape[0], *self.kernel, *self.counts, x.shape[-1])
        return np.ndarray(shape, x.dtype, memory, 0, strides)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """Overlapping windows add up."""
        return (bind(OverlapAdd(self.kernel, self.stride, self.dilation, self.size), y_bar),)


class OverlapAdd(_Sliding, LinearOp):
    r"""y[c, i, b] = Σ x[c, *tap, *window, b] over all taps and windows with
    window · stride + tap · dilation = i: the transpose of `Windows`.

    Shapes:
        x (C, *kernel, *counts, B); y (C, *size, B).
    """

    samples = _samples(windows=False)

    def type_rule(self, x: TensorType) -> TensorType:
        """(C, *size, B)."""
        if x.shape[1:-1] != self.kernel + self.counts:
            self.fail(
                f"{x} is not (C, *{list(self.kernel)}, *{list(self.counts)}, B)",
                cure="give one value per place in the window and window",
                types=[x],
            )
        return TensorType((x.shape[0], *self.size, x.shape[-1]), x.dtype)

    def reference(self, x: Array) -> Array:
        """One strided addition per place in the window."""
        y = np.zeros((x.shape[0], *self.size, x.shape[-1]), x.dtype)
        for tap, where in self.taps():
            y[(slice(None), *where)] += x[(slice(None), *tap)]
        return y

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """Every window sees what it was added to."""
        return (bind(Windows(self.kernel, self.stride, self.dilation, self.size), y_bar),)


def windows(
    maps: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes
) -> Tensor:
    """All windows of maps (C, *size, B), as a view (C, *kernel, *counts, B)."""
    return bind(Windows(kernel, stride, dilation, tuple(maps.shape[1:-1])), maps)


def columns(maps: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """Windows written out as the columns of a matrix (C · places, windows · B): one copy."""
    rows = maps.shape[0] * math.prod(kernel)
    return windows(maps, kernel, stride, dilation).reshape(rows, -1)


def overlap_add(
    parts: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, size: Sizes
) -> Tensor:
    """The transpose of `columns`: of a matrix (C · places, windows · B) the maps (C, *size, B)."""
    op = OverlapAdd(kernel, stride, dilation, size)
    places = math.prod(kernel)
    count = math.prod(op.counts)
    shaped = parts.reshape(
        parts.shape[0] // places, *kernel, *op.counts, parts.shape[1] // max(count, 1)
    )
    return bind(op, shaped)


def batch_last(x: Tensor) -> Tensor:
    """(B, C, *size) as (C, *size, B): a view."""
    return x.permute(*range(1, x.ndim), 0)


def batch_first(maps: Tensor) -> Tensor:
    """(C, *size, B) as (B, C, *size): a view."""
    return maps.permute(-1, *range(maps.ndim - 1))
