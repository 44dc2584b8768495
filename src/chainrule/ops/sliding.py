"""Sliding windows: what a convolution or a pooling looks at, as a view, and the way back.

The ops work on maps laid out with the batch last, (C, *size, B). Then windows that begin side by
side lie side by side in memory, whatever their size, and a step of stride 2 still reads whole runs
of B numbers: with the batch first, NumPy would move single numbers about.

Nothing here is for users: convolution, pooling and `fold` are built on it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import bool_
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__: list[str] = []

Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]
"""What is put before and after each spatial axis."""


def window_count(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> int:
    """How many windows fit into `size` numbers; 0 or less if none does."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


class Sliding(LinearOp, family=True):
    """Where the windows lie.

    Attributes:
        kernel: the window's size along each spatial axis: how many numbers it takes.
        stride: the distance between the windows' beginnings.
        dilation: the distance between the numbers taken.
        padding: how many zeros are put before and after each axis; a negative count cuts off.
        size: the spatial size of the map, without the padding.
    """

    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    padding: Pads
    size: Sizes

    @property
    def padded(self) -> Sizes:
        """The spatial size with the padding."""
        return tuple(
            size + before + after for size, (before, after) in zip(self.size, self.padding)
        )

    @property
    def counts(self) -> Sizes:
        """How many windows there are along each axis."""
        return tuple(map(window_count, self.padded, self.kernel, self.stride, self.dilation))

    def taps(self) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
        """For each place in the window, the numbers of the padded map that windows have there."""
        counts = self.counts
        for tap in itertools.product(*map(range, self.kernel)):
            starts = [k * dilation for k, dilation in zip(tap, self.dilation)]
            yield (
                tap,
                tuple(
                    slice(start, start + (count - 1) * stride + 1, stride)
                    for start, count, stride in zip(starts, counts, self.stride)
                ),
            )

    def tiles(self) -> bool:
        """Whether every number of the padded map is in exactly one window."""
        return all(
            (dilation == 1 or kernel == 1) and stride == kernel and size % kernel == 0
            for size, kernel, stride, dilation in zip(
                self.padded, self.kernel, self.stride, self.dilation
            )
        )

    def inside(self) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where map and padded map share numbers: as slices of the one and of the other."""
        own: list[slice] = []
        other: list[slice] = []
        for size, full, (before, after) in zip(self.size, self.padded, self.padding):
            own.append(slice(max(-before, 0), size - max(-after, 0)))
            other.append(slice(max(before, 0), full - max(after, 0)))
        return (slice(None), *own), (slice(None), *other)

    def check(self, size: Sizes, types: list[TensorType]) -> None:
        """Raise unless this is the size of the map, and at least one window fits."""
        if size != self.size or min(self.counts, default=1) < 1:
            self.fail(
                f"no window of {list(self.kernel)}, dilation {list(self.dilation)}, fits into "
                f"a map of {list(size)} with padding {list(self.padding)}",
                cure="use a smaller kernel or dilation, more padding, or a larger input",
                types=types,
            )


def _samples(of_windows: bool) -> Callable[..., Iterator[Sample]]:
    def make(op: type[Any]) -> Iterator[Sample]:
        for kernel, stride, dilation, padding, size in (
            ((2,), (1,), (1,), ((0, 0),), (4,)),
            ((2,), (3,), (2,), ((1, 0),), (7,)),
            ((2, 3), (1, 1), (1, 1), ((0, 0), (1, 1)), (3, 4)),
            ((3, 2), (2, 1), (1, 2), ((2, 1), (0, -1)), (6, 5)),
            ((1, 1), (2, 2), (1, 1), ((0, 0), (0, 0)), (3, 3)),
            ((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)), (4, 2)),
        ):
            instance = op(kernel, stride, dilation, padding, size)
            inner = kernel + instance.counts if of_windows else size
            yield Sample(instance, (spread((2, *inner, 3), -3, 3),))
            yield Sample(instance, (np.moveaxis(spread((3, 2, *inner), -3, 3), 0, -1),))

    return make


class Windows(Sliding):
    r"""y[c, *tap, *window, b] = x[c, *(window · stride + tap · dilation - padding), b]

    All windows of a map, without a copy where there is no padding; zero outside the map.
    x_bar = the windows' cotangents, added up where they overlap (`OverlapAdd`).

    Shapes:
        x (C, *size, B); y (C, *kernel, *counts, B).
    """

    samples = _samples(of_windows=False)
    aliases = True

    def type_rule(self, x: TensorType) -> TensorType:
        """(C, *kernel, *counts, B)."""
        self.check(x.shape[1:-1], [x])
        return TensorType((x.shape[0], *self.kernel, *self.counts, x.shape[-1]), x.dtype)

    def reference(self, x: Array) -> Array:
        """Strides of NumPy's: a view of x if its memory is in order, else of a copy."""
        memory = self._in_order(x)
        outer, *inner, last = memory.strides
        strides = (
            outer,
            *[step * dilation for step, dilation in zip(inner, self.dilation)],
            *[step * stride for step, stride in zip(inner, self.stride)],
            last,
        )
        shape = (x.shape[0], *self.kernel, *self.counts, x.shape[-1])
        if 0 in shape:
            return np.zeros(shape, x.dtype)
        return np.ndarray(shape, x.dtype, memory, 0, strides)

    def _in_order(self, x: Array) -> Array:
        """x, padded, in memory in the order of its axes."""
        if not any(map(any, self.padding)):
            return np.ascontiguousarray(x)
        memory = np.zeros((x.shape[0], *self.padded, x.shape[-1]), x.dtype)
        own, other = self.inside()
        memory[other] = x[own]
        return memory

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """Overlapping windows add up."""
        op = OverlapAdd(self.kernel, self.stride, self.dilation, self.padding, self.size)
        return (bind(op, y_bar),)


class OverlapAdd(Sliding):
    r"""y[c, i, b] = Σ x[c, *tap, *window, b] over all taps and windows with
    window · stride + tap · dilation - padding = i: the transpose of `Windows`.

    Shapes:
        x (C, *kernel, *counts, B); y (C, *size, B).
    """

    samples = _samples(of_windows=True)

    def type_rule(self, x: TensorType) -> TensorType:
        """(C, *size, B)."""
        if x.shape[1:-1] != self.kernel + self.counts:
            self.fail(
                f"{x} is not (C, *{list(self.kernel)}, *{list(self.counts)}, B)",
                cure="give one value per place in the window, and window",
                types=[x],
            )
        return TensorType((x.shape[0], *self.size, x.shape[-1]), x.dtype)

    def reference(self, x: Array) -> Array:
        """One strided addition per place in the window; an assignment, where none overlap."""
        padded = (x.shape[0], *self.padded, x.shape[-1])
        tiles = self.tiles()
        y = np.empty(padded, x.dtype) if tiles else np.zeros(padded, x.dtype)
        for tap, where in self.taps():
            part = x[(slice(None), *tap)]
            if tiles:
                y[(slice(None), *where)] = part
            else:
                y[(slice(None), *where)] += part
        if not any(map(any, self.padding)):
            return y
        cut = np.zeros((x.shape[0], *self.size, x.shape[-1]), x.dtype)
        own, other = self.inside()
        cut[own] = y[other]
        return cut

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """Every window sees what it was added to."""
        op = Windows(self.kernel, self.stride, self.dilation, self.padding, self.size)
        return (bind(op, y_bar),)


class FirstTrue(Op):
    r"""y = x where no earlier element along the dimensions `dims` is true: at most one is left.

    Attributes:
        dims: adjacent dimensions, read in order as if they were one.
    """

    dims: tuple[int, ...]
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """One dimension, two, and nothing."""
        yield Sample(op((0,)), (np.array([False, True, False, True]),))
        yield Sample(op((1, 2)), (spread((2, 2, 3, 4), -1, 1) > 0,))
        yield Sample(op((1,)), (spread((0, 2, 3), -1, 1) > 0,))

    def type_rule(self, x: TensorType) -> TensorType:
        """The type of x, which is bool."""
        if x.dtype is not bool_:
            self.fail(f"{x} is not bool", cure="compare it", error=DTypeError, types=[x])
        return x

    def reference(self, x: Array) -> Array:
        """Element by element along the dimensions, all others at once."""
        y = np.empty(x.shape, x.dtype)
        before = (slice(None),) * self.dims[0]
        seen: Any = False
        for place in itertools.product(*[range(x.shape[dim]) for dim in self.dims]):
            here = (*before, *place)
            y[here] = np.greater(x[here], seen)
            seen = np.logical_or(x[here], seen)
        return y


def windows(maps: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, padding: Pads) -> Tensor:
    """All windows of maps (C, *size, B): (C, *kernel, *counts, B), with zeros as padding."""
    return bind(Windows(kernel, stride, dilation, padding, tuple(maps.shape[1:-1])), maps)


def columns(maps: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, padding: Pads) -> Tensor:
    """Windows written out as the columns of a matrix (C · places, windows · B): one copy."""
    seen = windows(maps, kernel, stride, dilation, padding)
    rows = maps.shape[0] * math.prod(kernel)
    return seen.reshape(rows, math.prod(seen.shape[1 + len(kernel) :]))


def overlap_add(
    parts: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, padding: Pads, size: Sizes
) -> Tensor:
    """The transpose of `columns`: of a matrix (C · places, windows · B) the maps (C, *size, B)."""
    op = OverlapAdd(kernel, stride, dilation, padding, size)
    maps = parts.shape[0] // math.prod(kernel)
    batch = parts.shape[1] // math.prod(op.counts)
    return bind(op, parts.reshape(maps, *kernel, *op.counts, batch))


def batch_last(x: Tensor) -> Tensor:
    """(B, C, *size) as (C, *size, B): a view."""
    return x.permute(*range(1, x.ndim), 0)


def batch_first(maps: Tensor) -> Tensor:
    """(C, *size, B) as (B, C, *size): a view."""
    return maps.permute(-1, *range(maps.ndim - 1))
