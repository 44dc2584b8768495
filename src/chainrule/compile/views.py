"""Views: how the axes of a tensor lie in memory.

Reshaping, transposing, cutting and sliding windows move no numbers; they only change which number
is where. NumPy's strides say that for one stride an axis. Here an axis may have several: merging
the axes (c, r, s) of a convolution's windows into one of c·r·s gives an axis whose index, written
in mixed radix, has three digits with a stride each. So a convolution's matrix of columns, which
NumPy would have to write out, is a view as well.

    axis = ((size, stride), ...), the slowest digit first;  a tensor's axes = one such tuple each
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chainrule.core.dtypes import DType

__all__ = ["Digits", "View", "contiguous", "digits_of", "refine", "simplified"]

Digits = tuple[tuple[int, int], ...]
"""One axis: (size, stride) of each digit of its index, the slowest first."""


@dataclass(frozen=True, slots=True)
class View:
    """A tensor in a buffer.

    Attributes:
        buffer: the buffer's name.
        dtype: what it holds.
        offset: where the first element is, in elements.
        axes: the digits of each axis.
    """

    buffer: str
    dtype: DType
    offset: int
    axes: tuple[Digits, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return tuple(math.prod([size for size, _ in axis]) for axis in self.axes)

    def permute(self, dims: Sequence[int]) -> View:
        """The axes in another order."""
        return replace(self, axes=tuple(self.axes[dim] for dim in dims))

    def expand(self, shape: Sequence[int]) -> View:
        """Broadcast: new axes in front, and those of size 1 stretched, all with stride 0."""
        missing = len(shape) - len(self.axes)
        axes: list[Digits] = [((size, 0),) for size in shape[:missing]]
        for have, axis, size in zip(self.shape, self.axes, shape[missing:], strict=True):
            axes.append(axis if have == size else ((size, 0),))
        return replace(self, axes=tuple(axes))

    def slice(self, ranges: Sequence[tuple[int, int, int]]) -> View | None:
        """Of each axis the elements start, start + step, ... (count of them); None: no view.

        Args:
            ranges: (start, step, count) per axis.
        """
        offset, axes = self.offset, list[Digits]()
        for axis, size, (start, step, count) in zip(self.axes, self.shape, ranges, strict=True):
            if (start, step, count) == (0, 1, size):
                axes.append(axis)
                continue
            if count == 1:
                offset += place(axis, start)
                axes.append(((1, 0),))
                continue
            whole = simplified(axis)
            if len(whole) != 1:
                return None  # the digits of a part are not the part's digits
            stride = whole[0][1]
            offset += start * stride
            axes.append(((count, step * stride),))
        return replace(self, offset=offset, axes=tuple(axes))

    def reshape(self, shape: Sequence[int]) -> View | None:
        """The same elements in the same order in another shape; None: their digits don't fit."""
        every = simplified(tuple([digit for axis in self.axes for digit in axis]))
        digits = [digit for digit in every if digit[0] != 1]
        axes: list[Digits] = []
        for size in reversed(shape):
            taken: list[tuple[int, int]] = []
            while size > 1:
                if not digits:
                    return None
                have, stride = digits.pop()
                common = math.gcd(have, size)
                if common == have:
                    taken.append((have, stride))
                elif common == size:
                    taken.append((size, stride))
                    digits.append((have // size, stride * size))
                    common = size
                else:
                    return None
                size //= common
            axes.append(tuple(reversed(taken)) or ((1, 0),))
        return replace(self, axes=tuple(reversed(axes)))

    def windows(
        self,
        dims: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int],
        dilation: Sequence[int],
        counts: Sequence[int],
    ) -> View | None:
        """All windows along `dims`: those axes become the taps, followed by the positions.

        The axes of the result are those before `dims`, the taps, the positions, and those after.
        """
        single: list[int] = []
        for dim in dims:
            whole = simplified(self.axes[dim])
            if len(whole) > 1:
                return None
            single.extend([step for _, step in whole])
        taps = [((k, s * d),) for k, s, d in zip(kernel, single, dilation)]
        places = [((n, s * step),) for n, s, step in zip(counts, single, stride)]
        first, last = dims[0], dims[-1]
        axes = (*self.axes[:first], *taps, *places, *self.axes[last + 1 :])
        return replace(self, axes=axes)


def place(axis: Digits, index: int) -> int:
    """Where an index of an axis is, relative to its beginning."""
    offset = 0
    for size, stride in reversed(axis):
        offset += index % size * stride
        index //= size
    return offset


def simplified(axis: Digits) -> Digits:
    """The same axis with as few digits as say it: neighbours with strides that fit are one."""
    digits: list[tuple[int, int]] = []
    for size, stride in axis:
        if size == 1:
            continue
        if digits and digits[-1][1] == size * stride:
            digits[-1] = (digits[-1][0] * size, stride)
        else:
            digits.append((size, stride))
    return tuple(digits) or ((1, 0),)


def contiguous(
    buffer: str, dtype: DType, shape: Sequence[int], order: Sequence[int] | None = None
) -> View:
    """A new tensor that fills a buffer.

    Args:
        order: the axes from the slowest to the fastest; as they stand, unless given.
    """
    strides = [0] * len(shape)
    step = 1
    for dim in reversed(range(len(shape)) if order is None else order):
        strides[dim] = step
        step *= shape[dim]
    return View(buffer, dtype, 0, tuple(((n, s if n > 1 else 0),) for n, s in zip(shape, strides)))


def refine(axes: Sequence[Digits]) -> tuple[int, ...] | None:
    """The sizes of digits in which all these axes, of one size, can be written.

    None where they have none in common, as 4·6 and 6·4 have.

    >>> refine([((24, 1),), ((4, 7), (6, 1)), ((8, 9), (3, 1))])
    (4, 2, 3)
    """
    ends = {1}
    for axis in axes:
        end = 1
        for size, _ in reversed(simplified(axis)):
            end *= size
            ends.add(end)
    listed = sorted(ends)
    sizes: list[int] = []
    for low, high in itertools.pairwise(listed):
        if high % low:
            return None
        sizes.append(high // low)
    return tuple(reversed(sizes)) or (1,)


def digits_of(axis: Digits, sizes: Sequence[int]) -> list[int]:
    """The stride of each digit when an axis is written with digits of these sizes."""
    remaining = list(simplified(axis))
    strides: list[int] = []
    for size in reversed(sizes):
        if size == 1 or not remaining:
            strides.append(0)
            continue
        have, stride = remaining.pop()
        strides.append(stride)
        if have > size:
            remaining.append((have // size, stride * size))
    return list(reversed(strides))
