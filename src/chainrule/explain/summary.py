"""What is kept of a tensor: all its numbers if they are few, else what describes them.

A record of a training step must not hold the step's memory: so a large array leaves its type, its
norms, a histogram and a thumbnail, a few kilobytes in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.core.op import Array
from chainrule.core.types import type_of

__all__ = ["BINS", "KEEP", "SIDE", "Histogram", "Summary", "Thumbnail", "summarise"]

KEEP = 64
"""Up to so many numbers are kept as they are: what a person still reads."""

SIDE = 64
"""The most pixels of a thumbnail along one axis."""

BINS = 24
TILES = 16
"""The most maps (channels, kernels, samples) that are laid side by side in one thumbnail."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the finite numbers of an array are distributed.

    Attributes:
        low, high: where the first bin begins and the last one ends.
        counts: how many numbers are in each bin, all bins being equally wide.
    """

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """An array as a small picture.

    Attributes:
        rows, columns: its pixels.
        levels: one byte per pixel, row by row: 128 is zero, 1 and 255 are -scale and scale. Of
            a picture (`grey`) 0 is the least, 255 the greatest.
        scale: the magnitude that the strongest colour stands for.
        grey: whether it is a photograph or a drawing, rather than a map of positive and negative.
    """

    rows: int
    columns: int
    levels: bytes
    scale: float
    grey: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of an array.

    Attributes:
        type: shape and dtype, as text: `f32[2,3]`.
        shape: the shape.
        numbers: a copy of all its numbers, read-only, if there are at most `KEEP`; else None.
        least, greatest, mean, deviation: of its finite numbers; NaN if there are none.
        norm: the root of the sum of all squares: NaN or infinite where one of them is.
        zeros: how many are zero.
        broken: how many are infinite or NaN.
        histogram: None for a scalar.
        thumbnail: None for a scalar, and for an empty array.

    >>> import numpy as np
    >>> summarise(np.array([3.0, 4.0])).norm
    5.0
    """

    type: str
    shape: tuple[int, ...]
    numbers: Array | None = field(compare=False)
    least: float
    greatest: float
    mean: float
    deviation: float
    norm: float
    zeros: int
    broken: int
    histogram: Histogram | None
    thumbnail: Thumbnail | None = field(repr=False)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def scalar(self) -> float | None:
        """The number, if there is just one."""
        if self.numbers is None or self.numbers.size != 1:
            return None
        return float(self.numbers.reshape(-1)[0])


def summarise(array: Array, *, picture: bool = False, kernels: bool = False) -> Summary:
    """Look at an array once, and keep what a reader needs.

    Args:
        array: of any shape and dtype.
        picture: it is data from outside, so that a map of it is shown as a photograph would be.
        kernels: it is a parameter: of four dimensions, the first counts what is laid side by side.
    """
    with np.errstate(all="ignore"):  # what is too large for a sum of squares has the norm inf
        return _summarised(array, picture, kernels)


def _summarised(array: Array, picture: bool, kernels: bool) -> Summary:
    finite = np.isfinite(array) if array.dtype.kind == "f" else None
    broken = 0 if finite is None else int(array.size - np.count_nonzero(finite))
    usable: Any = array if not broken else array[finite]
    wide: Any = usable.reshape(-1).astype(np.float64, copy=False)
    least, greatest = (float(wide.min()), float(wide.max())) if wide.size else (math.nan, math.nan)
    numbers = None
    if array.size <= KEEP:
        numbers = array.copy()
        numbers.flags.writeable = False
    norm = float(np.linalg.norm(array.reshape(-1).astype(np.float64, copy=False)))
    many = array.size > 1 and wide.size > 0
    return Summary(
        type=repr(type_of(array)),
        shape=tuple(array.shape),
        numbers=numbers,
        least=least,
        greatest=greatest,
        mean=float(wide.mean()) if wide.size else math.nan,
        deviation=float(wide.std()) if wide.size else math.nan,
        norm=norm,
        zeros=int(array.size - np.count_nonzero(array)),
        broken=broken,
        histogram=_histogram(wide, least, greatest) if many else None,
        thumbnail=_thumbnail(array, picture, kernels) if many else None,
    )


def _histogram(wide: Array, least: float, greatest: float) -> Histogram:
    if not math.isfinite(greatest - least) or least == greatest:
        return Histogram(least, greatest, (int(wide.size),))
    counts, _ = np.histogram(wide, BINS, (least, greatest))
    return Histogram(least, greatest, tuple(map(int, counts)))


def _thumbnail(array: Array, picture: bool, kernels: bool) -> Thumbnail:
    """The array laid out flat, made small, and its numbers as levels of colour."""
    maps: Any = np.nan_to_num(_maps(array, kernels).astype(np.float32), posinf=0, neginf=0)
    across = math.ceil(math.sqrt(len(maps)))
    side = max((SIDE + 1) // across - 1, 1)
    small = np.stack([_shrink(_shrink(each, side, 0), side, 1) for each in maps])
    flat = np.nan_to_num(_tiled(small, across) if len(small) > 1 else small[0])
    least, greatest = float(flat.min()), float(flat.max())
    rows, columns = flat.shape
    if picture and array.ndim > 2:
        span = (greatest - least) or 1.0
        levels = np.rint((flat - least) / span * 255).astype(np.uint8)
        return Thumbnail(rows, columns, levels.tobytes(), max(abs(least), abs(greatest)), True)
    scale = max(abs(least), abs(greatest))
    levels = np.rint(flat / (scale or 1.0) * 127 + 128).astype(np.uint8)
    return Thumbnail(rows, columns, levels.tobytes(), scale)


def _maps(array: Array, kernels: bool) -> Array:
    """What is shown side by side: [maps, rows, columns]."""
    if array.ndim <= 2:
        return array.reshape(1, -1, array.shape[-1])
    channels = array.reshape(-1, *array.shape[-3:])  # [N, C, H, W]
    if channels.shape[2] * channels.shape[3] == 1:
        return channels.reshape(1, channels.shape[0], -1)
    if kernels or channels.shape[1] == 1:
        return channels[:TILES, 0]
    return channels[0, :TILES]


def _shrink(map_: Array, side: int, axis: int) -> Array:
    """Means over equal stretches of one axis, so that at most `side` are left."""
    size = map_.shape[axis]
    if size <= side:
        return map_
    starts = np.arange(side) * size // side
    widths = np.diff(np.append(starts, size))
    widths = widths.reshape(-1, 1) if axis == 0 else widths
    return np.add.reduceat(map_, starts, axis=axis, dtype=np.float64) / widths


def _tiled(maps: Array, across: int) -> Array:
    """Maps in rows, with a line of zeros between them."""
    count, rows, columns = maps.shape
    down = math.ceil(count / across)
    sheet = np.zeros((down * (rows + 1) - 1, across * (columns + 1) - 1), maps.dtype)
    for index, each in enumerate(maps):
        top, left = index // across * (rows + 1), index % across * (columns + 1)
        sheet[top : top + rows, left : left + columns] = each
    return sheet
