"""The embedded drawn digits: a training set that is computed, not shipped.

Every digit starts as a **skeleton** (`skeletons.py`): the control points of a few pen strokes, in
several writing styles per digit. Drawing one sample is a short pipeline, each step vectorised
over a block of samples:

    jitter the control points -> Catmull-Rom spline -> elastic field -> affine map
    -> fit into 20 x 20, centre by mass (as MNIST was made) -> ink

The ink uses that a Gaussian pen is separable: a dot at (x_p, y_p) leaves exp(-(x - x_p)^2 / 2 s^2)
exp(-(y - y_p)^2 / 2 s^2), so the sum over all dots of a digit is one small matrix product,
`rows^T @ columns`; saturating that sum gives strokes with a flat core and a soft edge.

Samples are made in blocks of 250 whose random numbers depend on (seed, block) alone: sample `i` of
a seed is the same picture however many are asked for, on every run.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule.data.skeletons import SKELETONS
from chainrule.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

__all__ = ["Handwriting", "drawn_digits"]

SIDE = 28
BOX = 20.0  # MNIST's digits were fitted into 20 x 20 pixels
BLOCK = 250  # samples drawn from one random stream: 25 of each digit
DOTS = 96  # pen dots along one digit
_WAVES = 3  # sinusoids in the elastic field


@dataclass(frozen=True)
class Handwriting:
    """How much the drawn digits vary; lengths are in units of the digit's height.

    Args:
        jitter: standard deviation of each control point's displacement.
        elastic: amplitude of the smooth displacement field.
        rotation: standard deviation of the rotation, in radians.
        slant: mean and standard deviation of the horizontal shear.
        aspect: standard deviation of log(width / height).
        half_width: smallest and largest half width of the pen, in pixels of the result.
        softness: smallest and largest width of the stroke's edge, in pixels.
        darkness: smallest value of the full ink, of 1.

    >>> upright = Handwriting(rotation=0.0, slant=(0.0, 0.0))
    >>> drawn_digits(2, seed=7, handwriting=upright)[0].shape
    (2, 28, 28)
    """

    jitter: float = 0.035
    elastic: float = 0.035
    rotation: float = 0.12
    slant: tuple[float, float] = (0.15, 0.28)
    aspect: float = 0.25
    half_width: tuple[float, float] = (0.6, 1.9)
    softness: tuple[float, float] = (0.35, 0.75)
    darkness: float = 0.85


@dataclass(frozen=True)
class _Pens:
    """Every style's spline as one linear map from control points to dots, padded to one size."""

    points: Array  # [styles, K, 2] control points
    basis: Array  # [styles, DOTS, K] dots = basis @ points
    joined: Array  # [styles, DOTS - 1] 1 where two neighbouring dots are on one stroke
    first: NDArray[np.intp]  # [10] index of the digit's first style
    styles: NDArray[np.intp]  # [10] number of styles of the digit


def drawn_digits(
    count: int, seed: int = 0, *, start: int = 0, handwriting: Handwriting | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw `count` digits: uint8 images [count, 28, 28] and int64 labels [count].

    Ink is bright on a dark ground, fitted in 20 x 20 and centred by mass, as MNIST's are. Labels
    are balanced: each aligned run of 250 samples has 25 of every digit.

    Args:
        count: how many samples.
        seed: which endless sequence of digits; the same seed gives the same bits.
        start: the index of the first sample in that sequence.
        handwriting: how much the digits vary.

    Raises:
        ConfigError: `count`, `seed` or `start` is negative.

    >>> images, labels = drawn_digits(3, seed=7)
    >>> images.shape, images.dtype, labels.shape
    ((3, 28, 28), dtype('uint8'), (3,))
    >>> bool((drawn_digits(1, seed=7, start=2)[0][0] == images[2]).all())
    True
    """
    for name, value in (("count", count), ("seed", seed), ("start", start)):
        if value < 0:
            raise ConfigError(f"drawn_digits: {name} is {value}, but it can't be negative")
    hand = handwriting or Handwriting()
    images = np.empty((count, SIDE, SIDE), np.uint8)
    labels = np.empty(count, np.int64)
    done = 0
    while done < count:
        block, offset = divmod(start + done, BLOCK)
        taken = min(BLOCK - offset, count - done)
        block_images, block_labels = _draw_block(seed, block, hand)
        images[done : done + taken] = block_images[offset : offset + taken]
        labels[done : done + taken] = block_labels[offset : offset + taken]
        done += taken
    return images, labels


def _draw_block(
    seed: int, block: int, hand: Handwriting
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, block))))
    labels = rng.permutation(np.repeat(np.arange(10), BLOCK // 10))
    dots, weights = _strokes(rng, labels, hand)
    dots = _affine(rng, _elastic(rng, dots, hand.elastic), hand)
    half_width = rng.uniform(*hand.half_width, (BLOCK, 1)).astype(np.float32)
    softness = rng.uniform(*hand.softness, (BLOCK, 1)).astype(np.float32)
    darkness = rng.uniform(hand.darkness, 1, (BLOCK, 1, 1)).astype(np.float32)
    # MNIST was centred by whole pixels: what is left over is uniform within half a pixel.
    middle = (SIDE / 2 + rng.uniform(-0.5, 0.5, (BLOCK, 1, 2))).astype(np.float32)
    dots, weights = _fit(dots, weights, half_width, middle)
    return _ink(dots, weights, half_width, softness, darkness), labels


def _strokes(
    rng: np.random.Generator, labels: NDArray[np.int64], hand: Handwriting
) -> tuple[Array, Array]:
    """A style for each label, its control points jittered: dots [n, D, 2], joined [n, D - 1]."""
    pens = _pens()
    style = pens.first[labels] + (rng.random(BLOCK) * pens.styles[labels]).astype(np.intp)
    points = pens.points[style]
    amount = hand.jitter * rng.uniform(0.4, 1.6, (BLOCK, 1, 1))
    points = points + (amount * rng.standard_normal(points.shape)).astype(np.float32)
    return (pens.basis[style] @ points).astype(np.float32), pens.joined[style]


def _elastic(rng: np.random.Generator, dots: Array, amplitude: float) -> Array:
    """Displace by a sum of long sinusoids: neighbouring strokes move together, as on rubber."""
    waves = rng.normal(0, 3.5, (BLOCK, 2, _WAVES)).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, (BLOCK, 1, _WAVES)).astype(np.float32)
    shifts = rng.normal(0, amplitude, (BLOCK, _WAVES, 2)).astype(np.float32)
    return dots + np.sin(dots @ waves + phases) @ shifts


def _affine(rng: np.random.Generator, dots: Array, hand: Handwriting) -> Array:
    """Stretch, slant, then rotate about the digit's middle."""
    angle = rng.normal(0, hand.rotation, BLOCK)
    slant = rng.normal(*hand.slant, BLOCK)
    width = np.exp(rng.normal(0, hand.aspect, BLOCK))
    cos, sin = np.cos(angle), np.sin(angle)
    # Dots are row vectors (x, y), y down: x' = width x - slant y, and then the rotation.
    matrix = np.empty((BLOCK, 2, 2), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = width * cos, width * sin
    matrix[:, 1, 0], matrix[:, 1, 1] = -slant * cos - sin, -slant * sin + cos
    return ((dots - np.float32(0.5)) @ matrix).astype(np.float32)


def _fit(dots: Array, joined: Array, half_width: Array, middle: Array) -> tuple[Array, Array]:
    """Fit the inked box into 20 x 20, centre its mass at `middle`; each dot weighs its length."""
    low = dots.min(axis=1)
    extent = (dots.max(axis=1) - low).max(axis=1, keepdims=True)
    scale = (np.float32(BOX) - 2 * half_width) / np.maximum(extent, np.float32(1e-3))
    dots = (dots - low[:, None]) * scale[:, :, None]
    step = np.diff(dots, axis=1)
    length = np.sqrt(np.square(step).sum(axis=2)) * joined
    weights = np.zeros(dots.shape[:2], np.float32)
    weights[:, :-1] += length / 2
    weights[:, 1:] += length / 2
    mass = np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-3))
    centre = np.einsum("np,npc->nc", weights, dots) / mass
    return dots - centre[:, None] + middle, weights


def _ink(
    dots: Array, weights: Array, half_width: Array, softness: Array, darkness: Array
) -> NDArray[np.uint8]:
    """Lay Gaussian dots and saturate: the profile across a straight stroke is
    min(1, g exp(-d^2 / 2 s^2)), with g such that it falls to one half at d = half_width.
    """
    spread = np.float32(0.45) * half_width + softness / 2
    gain = np.exp(np.square(half_width / spread) / 2) / 2
    axis = np.arange(SIDE, dtype=np.float32)
    offsets = dots[:, :, :, None] - axis  # [n, D, 2, 28]
    pen = np.exp(np.square(offsets) * (np.float32(-0.5) / np.square(spread))[:, :, None, None])
    height = weights * gain / (np.float32(np.sqrt(2 * np.pi)) * spread)
    rows = (pen[:, :, 1] * height[:, :, None]).swapaxes(1, 2)
    ink = np.minimum(rows @ pen[:, :, 0], np.float32(1)) * darkness
    return np.rint(ink * np.float32(255)).astype(np.uint8)


@functools.cache
def _pens() -> _Pens:
    """Compile all skeletons, once."""
    styles = [(digit, *_spline(text)) for digit, texts in SKELETONS.items() for text in texts]
    widest = max(len(points) for _, points, _, _ in styles)
    points = np.zeros((len(styles), widest, 2), np.float32)
    basis = np.zeros((len(styles), DOTS, widest), np.float32)
    joined = np.zeros((len(styles), DOTS - 1), np.float32)
    for row, (_, style_points, style_basis, style_joined) in enumerate(styles):
        points[row, : len(style_points)] = style_points
        basis[row, :, : len(style_points)] = style_basis
        joined[row] = style_joined
    digits = np.array([digit for digit, *_ in styles])
    first = np.searchsorted(digits, np.arange(10))
    return _Pens(points, basis, joined, first, np.bincount(digits, minlength=10))


def _spline(text: str) -> tuple[Array, Array, Array]:
    """One skeleton's control points [K, 2], basis [DOTS, K] and joints [DOTS - 1]."""
    points, pieces, strokes = _parse(text)
    lengths = [
        np.sqrt(np.square(np.diff(points[piece], axis=0)).sum(axis=1)).sum() for piece in pieces
    ]
    ends = np.rint(np.cumsum(lengths) / np.sum(lengths) * DOTS).astype(int)
    basis = np.zeros((DOTS, len(points)), np.float32)
    stroke_of = np.zeros(DOTS, int)
    begin = 0
    for piece, stroke, end in zip(pieces, strokes, ends, strict=True):
        basis[begin:end, piece] = _catmull_rom(len(piece), end - begin)
        stroke_of[begin:end] = stroke
        begin = end
    return points, basis, (np.diff(stroke_of) == 0).astype(np.float32)


def _parse(text: str) -> tuple[Array, list[list[int]], list[int]]:
    """Read "x,y x,y! x,y ; x,y ...": `!` marks a corner, `;` lifts the pen."""
    points: list[tuple[float, float]] = []
    pieces: list[list[int]] = []
    strokes: list[int] = []
    for number, stroke in enumerate(text.split(";")):
        words = stroke.split()
        piece: list[int] = []
        for position, word in enumerate(words):
            x, y = word.rstrip("!").split(",")
            piece.append(len(points))
            points.append((float(x) / 100, float(y) / 100))
            if word.endswith("!") or position == len(words) - 1:
                pieces.append(piece)
                strokes.append(number)
                piece = [piece[-1]]
    return np.array(points, np.float32), pieces, strokes


def _catmull_rom(knots: int, dots: int) -> Array:
    """The spline through `knots` points as a matrix [dots, knots]; straight where there are two.

    p(u) = ((2 p1) + (p2 - p0) u + (2 p0 - 5 p1 + 4 p2 - p3) u^2 + (3 p1 - p0 - 3 p2 + p3) u^3) / 2,
    with the end points mirrored outwards. (Catmull and Rom, 1974)
    """
    extended = np.zeros((knots + 2, knots))
    extended[1:-1] = np.eye(knots)
    extended[0, :2] = 2, -1
    extended[-1, -2:] = -1, 2
    position = np.linspace(0, knots - 1, dots)
    segment = np.minimum(position.astype(int), knots - 2)
    u = (position - segment)[:, None]
    p0, p1, p2, p3 = (extended[segment + shift] for shift in range(4))
    square = (2 * p0 - 5 * p1 + 4 * p2 - p3) * u**2
    cube = (3 * p1 - p0 - 3 * p2 + p3) * u**3
    return ((2 * p1 + (p2 - p0) * u + square + cube) / 2).astype(np.float32)
