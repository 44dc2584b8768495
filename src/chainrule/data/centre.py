"""Making a picture of a digit look as MNIST's do.

MNIST's pictures are bright ink on black, fitted into 20 x 20 pixels with their aspect kept and
grey edges from antialiasing, then placed in 28 x 28 with the centre of mass in the middle (LeCun,
Cortes, Burges). A photograph has paper, light from one side, noise and specks; they go first:

    grey -> subtract the paper (a smooth surface fitted to most of the picture) -> ink is what
    departs from it, whichever way -> specks and borders out -> crop -> thicken hair-thin strokes
    -> fit into 20 x 20 -> centre by mass
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[np.float64]

__all__ = ["as_mnist", "ink_as_mnist"]

_WORK = 160  # longest side worked on: a digit needs no more
_BOX = 20
_SIDE = 28
_LEAST_CONTRAST = 0.04  # of the full range; below it there is only paper
_LEAST_STROKE = 1.9  # pixels of the 20 x 20 box; MNIST's own are 2 to 4


def as_mnist(image: NDArray[Any]) -> NDArray[np.uint8]:
    """A picture of one digit as MNIST would have it: uint8 `[28, 28]`, bright ink on black.

    Args:
        image: `[H, W]` or `[H, W, C]` with C = 1, 2 (grey, alpha), 3 or 4 (RGB, alpha); any
            integer or float dtype (floats in 0..1, or 0..255), any size, dark on bright or bright
            on dark.

    Raises:
        ImageError: the shape or the values are no picture's, or nothing in it stands out.

    >>> paper = np.full((60, 40), 250, np.uint8)
    >>> paper[10:50, 18:23] = 20
    >>> digit = as_mnist(paper)
    >>> digit.shape, int(digit[14, 14]), int(digit[14, 4])
    ((28, 28), 255, 0)
    """
    grey = _shrink(_grey(np.asarray(image)))
    ink = _ink(grey)
    ink = _crop(_without_specks(ink))
    return _centre(_fit(ink))


def ink_as_mnist(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Clean ink as MNIST would have it: a drawing on a screen has no paper, noise or specks.

    Args:
        ink: `[H, W]`, 0 nothing to 255 ink.

    Raises:
        ImageError: the shape is no picture's, or there is no ink.

    >>> ink = np.zeros((60, 40), np.uint8)
    >>> ink[10:50, 18:23] = 255
    >>> np.array_equal(ink_as_mnist(ink), as_mnist(ink))
    True
    """
    if ink.ndim != 2 or ink.dtype != np.uint8:
        raise ImageError(
            f"the ink is {ink.dtype} {list(ink.shape)}", cure="pass bytes of shape [H, W]"
        )
    if ink.max(initial=0) < 128:
        raise ImageError("there is no ink in it", cure="draw something, 255 being ink")
    return _centre(_fit(_crop(ink / 255)))


def _grey(image: NDArray[Any]) -> Grey:
    """Luminance in 0..1; transparency shows the opposite of the ink's brightness."""
    if image.dtype.kind not in "buif" or image.ndim not in (2, 3) or image.size == 0:
        raise ImageError(
            f"expected a picture [H, W] or [H, W, C] of numbers, found {image.dtype} of shape "
            f"{image.shape}"
        )
    if image.ndim == 3 and image.shape[2] > 4:
        raise ImageError(f"expected 1 to 4 channels last, found shape {image.shape}")
    values = image.astype(np.float64)
    if not np.isfinite(values).all():
        raise ImageError(
            "the picture holds NaN or infinite values", cure="replace them with numbers"
        )
    values /= _full_scale(image, values)
    if values.ndim == 2:
        return values
    channels = values.shape[2]
    colour = values[:, :, : 1 if channels < 3 else 3]
    grey = colour @ np.array([0.299, 0.587, 0.114]) if channels >= 3 else colour[:, :, 0]
    if channels in (1, 3):
        return grey
    alpha = values[:, :, -1].clip(0, 1)
    if alpha.max() == 0:
        raise ImageError("the picture is wholly transparent")
    ground = 0.0 if np.average(grey, weights=alpha) > 0.5 else 1.0
    # A picture that is opaque throughout has a ground of its own.
    return grey * alpha + ground * (1 - alpha)


def _full_scale(image: NDArray[Any], values: Grey) -> float:
    if image.dtype.kind == "b":
        return 1.0
    if image.dtype == np.uint8:
        return 255.0
    if image.dtype == np.uint16:
        return 65535.0
    high = float(np.abs(values).max())
    return 1.0 if high <= 1 and image.dtype.kind == "f" else 255.0 if high <= 255 else high


def _shrink(grey: Grey) -> Grey:
    """Reduce a large picture, averaging, to at most _WORK pixels a side."""
    height, width = grey.shape
    factor = max(height, width) / _WORK
    if factor <= 1:
        return grey
    return _resample(grey, max(1, round(height / factor)), max(1, round(width / factor)))


def _ink(grey: Grey) -> Grey:
    """How much each pixel departs from the paper, 0..1, in the direction of the ink."""
    departure = grey - _paper(grey)
    noise = 1.4826 * float(np.median(np.abs(departure)))
    # Ink is the rarer and farther side: the sign of the third moment.
    sign = 1.0 if float((departure**3).sum()) >= 0 else -1.0
    ink = np.maximum(sign * departure, 0)
    strong = ink[ink > _otsu(ink)]
    full = float(np.median(strong)) if strong.size else 0.0
    if full < max(_LEAST_CONTRAST, 4 * noise):
        raise ImageError(
            f"no digit stands out from its ground: contrast {full:.3f}, noise {noise:.3f}",
            cure="give a picture with one digit, well lit, that fills a good part of it",
        )
    floor = max(0.1 * full, min(3.5 * noise, 0.5 * full))
    return ((ink - floor) / (full - floor)).clip(0, 1)


def _paper(grey: Grey) -> Grey:
    """A quadratic surface through the paper: least squares, leaving out what lies far from it."""
    height, width = grey.shape
    y, x = (
        np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        if min(height, width) > 1
        else (
            np.zeros(grey.shape),
            np.zeros(grey.shape),
        )
    )
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1).reshape(-1, 6)
    values = grey.reshape(-1)
    fit = np.full_like(values, np.median(values))
    for _ in range(12):
        distance = np.abs(values - fit)
        near = distance <= max(2.5 * float(np.median(distance)), 1e-3)
        # Fewer than half would be a fit to the ink.
        coefficients = np.linalg.lstsq(terms[near], values[near], rcond=1e-6)[0]
        fit = terms @ coefficients
    return fit.reshape(grey.shape)


def _otsu(values: Grey) -> float:
    """The threshold with the largest variance between its two sides. (Otsu, 1979)"""
    counts, edges = np.histogram(values, bins=128)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * np.square(sums / below - (sums[-1] - sums) / above)
    return float(middles[np.nan_to_num(between).argmax()])


def _without_specks(ink: Grey) -> Grey:
    """Keep the digit's strokes: the heaviest connected part and others of some weight.

    Parts that touch the picture's edge are taken for its frame or a shadow where a part of similar
    weight lies free.
    """
    labels = _components(ink > 0.3)
    weights = np.bincount(labels.reshape(-1), weights=ink.reshape(-1))
    weights[0] = 0
    if weights.max(initial=0) == 0:
        raise ImageError("no digit stands out from its ground")
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    free = weights.copy()
    free[edge] = 0
    if free.max() >= 0.25 * weights.max():
        weights = free
    kept = np.flatnonzero(weights >= 0.08 * weights.max())
    mask = np.isin(labels, kept[kept > 0])
    return ink * _grown(mask)


def _components(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Connected parts (8 neighbours), each labelled by its smallest pixel's number; 0 is ground.

    Labels spread to the neighbours and then jump to their label's label, so that a long stroke
    takes a logarithmic number of rounds, not one per pixel.
    """
    height, width = mask.shape
    labels = np.zeros((height + 2, width + 2), np.intp)
    inner = labels[1:-1, 1:-1]
    far = labels.size
    inner[...] = np.arange(labels.size).reshape(labels.shape)[1:-1, 1:-1]
    labels[...] = np.where(np.pad(mask, 1), labels, far)
    while True:
        before = labels.copy()
        rows = np.minimum(labels[:-2], np.minimum(labels[1:-1], labels[2:]))
        smallest = np.minimum(rows[:, :-2], np.minimum(rows[:, 1:-1], rows[:, 2:]))
        inner = labels[1:-1, 1:-1]
        inner[mask] = smallest[mask]
        flat = np.append(labels.reshape(-1), far)
        inner[mask] = flat[inner[mask]]
        if np.array_equal(labels, before):
            break
    parts = np.zeros(mask.shape, np.intp)
    parts[mask] = np.unique(inner[mask], return_inverse=True)[1] + 1
    return parts


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and its neighbours: a stroke's soft edge belongs to it."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _crop(ink: Grey) -> Grey:
    rows = np.flatnonzero((ink > 0.25).any(axis=1))
    columns = np.flatnonzero((ink > 0.25).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit(ink: Grey) -> Grey:
    """Scale into 20 x 20, keeping the aspect; strokes too thin to survive are thickened first."""
    height, width = ink.shape
    scale = _BOX / max(height, width)
    # For a stroke, area over half its outline is its width.
    outline = np.abs(np.diff(np.pad(ink, 1), axis=0)).sum()
    outline += np.abs(np.diff(np.pad(ink, 1), axis=1)).sum()
    stroke = 2 * float(ink.sum()) / (0.8 * float(outline)) * scale
    if stroke < _LEAST_STROKE and max(ink.shape) > _BOX:
        fine = 4
        ink = _resample(
            ink, max(1, round(height * scale * fine)), max(1, round(width * scale * fine))
        )
        ink = (ink / max(float(np.quantile(ink[ink > 0.05], 0.9)), 1e-6)).clip(0, 1)
        for _ in range(round((_LEAST_STROKE - stroke) * fine / 2)):
            ink = _dilated(ink)
    height, width = ink.shape
    scale = _BOX / max(height, width)
    ink = _resample(ink, max(1, round(height * scale)), max(1, round(width * scale)))
    return (ink / max(float(np.quantile(ink[ink > 0.05], 0.8)), 1e-6)).clip(0, 1)


def _dilated(ink: Grey) -> Grey:
    """The largest of each pixel and its four neighbours, one pixel larger all round."""
    padded = np.pad(ink, 2)
    rows = np.maximum(np.maximum(padded[:-2], padded[2:]), padded[1:-1])[:, 1:-1]
    columns = np.maximum(padded[:, :-2], padded[:, 2:])[1:-1]
    return np.maximum(rows, columns)


def _resample(image: Grey, height: int, width: int) -> Grey:
    return _weights(image.shape[0], height) @ image @ _weights(image.shape[1], width).T


def _weights(old: int, new: int) -> Grey:
    """Antialiased linear resampling as a matrix [new, old]: a triangle as wide as the scale."""
    scale = old / new
    middles = (np.arange(new)[:, None] + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(old) - middles) / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


def _centre(ink: Grey) -> NDArray[np.uint8]:
    """Place in 28 x 28 with the centre of mass in the middle, by whole pixels."""
    height, width = ink.shape
    total = float(ink.sum())
    middle = _SIDE / 2  # pixel 14, as measured on MNIST
    rows, columns = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
    top = round(middle - float((ink.T @ rows).sum()) / total)
    left = round(middle - float((ink @ columns).sum()) / total)
    top = min(max(top, 0), _SIDE - height)
    left = min(max(left, 0), _SIDE - width)
    canvas: NDArray[np.uint8] = np.zeros((_SIDE, _SIDE), np.uint8)
    canvas[top : top + height, left : left + width] = np.rint(ink * 255)
    return canvas
