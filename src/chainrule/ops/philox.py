"""Philox4x32-10: random words that are a function of (seed, offset), and numbers made of them.

A counter-based generator encrypts a counter: there is no hidden state to pass along, any word can
be had without those before it, and every engine that follows this page draws the same bits.
Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011.

**The stream.** The key is the 64-bit seed, low half first. Block b encrypts the counter (b mod 2³²,
b / 2³², 0, 0) to four 32-bit words. A *group* is 16 blocks, laid out word by word, as 16-lane
machine code would store it: word j of group g is word j // 16 of block 16 g + j mod 16. A draw of n
words at offset o takes words from the front of groups o, o + 1, ..., and the next draw starts at a
fresh group.

**The numbers** are made of the words by exact integer steps and by single IEEE additions,
multiplications and square roots in a fixed order (no fused multiply-add, no library logarithm),
so that float32 results are the same bits on every machine. In float64, normal numbers go through
NumPy's `log`, `cos` and `sin`, which may differ in the last bit between machines.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

__all__ = ["GROUP", "draw_normal", "draw_uniform", "draw_words", "philox4x32"]

Array = np.ndarray[Any, np.dtype[Any]]

GROUP = 64
"""Words per group: what an offset counts."""

_LANES = 16
_CHUNK = 512  # groups worked out at a time: enough to outweigh NumPy's calls, and still in L2

_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
_ROUND_KEYS = np.arange(10, dtype=np.uint64)[:, None, None] * _WEYL
_BLOCKS = np.arange(_CHUNK * _LANES, dtype=np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class _Scratch(threading.local):
    """Memory to work in: asking for it anew for each chunk took more time than the arithmetic."""

    def __init__(self) -> None:
        self.x = np.empty((2, _LANES * _CHUNK), np.uint64)
        self.y = np.empty_like(self.x)
        self.products = np.empty_like(self.x)


_scratch = _Scratch()


def philox4x32(x: Array, y: Array, seed: int, products: Array) -> None:
    """Ten rounds of Philox, in place, over counters (x[0], y[0], x[1], y[1]).

    Args:
        x: words 0 and 2 of each counter, in uint64, shape (2, blocks).
        y: words 1 and 3.
        seed: the key, 64 bits.
        products: memory to work in, of the same shape.

    >>> words = np.zeros((3, 2, 1), np.uint64)
    >>> philox4x32(words[0], words[1], 0, words[2])
    >>> f"{words[0, 0, 0]:08x}"  # as Random123's table of known answers has it
    '6627e8d5'
    """
    key = np.array([[seed & 0xFFFFFFFF], [seed >> 32 & 0xFFFFFFFF]], np.uint64)
    crossed = products[::-1]
    for round_key in (key + _ROUND_KEYS) & _LOW:
        np.multiply(x, _MULTIPLIERS, products)
        np.bitwise_xor(y, round_key, y)
        np.right_shift(crossed, _HALF, x)
        np.bitwise_xor(x, y, x)
        np.bitwise_and(crossed, _LOW, y)


def _fill(words: Array, seed: int, first: int) -> None:
    """The words of a chunk of groups, from group `first` on."""
    x, y = _scratch.x, _scratch.y
    np.add(_BLOCKS, np.uint64(first * _LANES), y[0])
    np.bitwise_and(y[0], _LOW, x[0])
    np.right_shift(y[0], _HALF, y[0])
    x[1] = y[1] = 0
    philox4x32(x, y, seed, _scratch.products)
    rows = words.reshape(_CHUNK, 2, 2, _LANES).transpose(1, 2, 0, 3)
    rows[:, 0] = x.reshape(2, _CHUNK, _LANES)
    rows[:, 1] = y.reshape(2, _CHUNK, _LANES)


_latest: tuple[int, int, Array] | None = None
"""The chunk worked out last: (seed, first group, words). Small draws mostly read on in it; being a
function of its key, it can be thrown away at any time."""


def _chunk(seed: int, index: int) -> Array:
    global _latest
    latest = _latest
    if latest is not None and latest[0] == seed and latest[1] == index:
        return latest[2]
    words = np.empty(_CHUNK * GROUP, np.uint32)
    _fill(words, seed, index * _CHUNK)
    words.flags.writeable = False
    _latest = (seed, index, words)
    return words


def draw_words(state: Array, count: int) -> Array:
    """`count` words in uint32 from a state (seed, offset). Do not write to them.

    >>> draw_words(np.array([7, 0]), 66)[64:].tolist() == draw_words(np.array([7, 1]), 2).tolist()
    True
    """
    seed, offset = int(state[0]) & 0xFFFFFFFFFFFFFFFF, int(state[1]) & 0x0FFFFFFFFFFFFFFF
    index, start = offset // _CHUNK, offset % _CHUNK * GROUP
    if start + count <= _CHUNK * GROUP:
        return _chunk(seed, index)[start : start + count]
    words = np.empty(count, np.uint32)
    filled = 0
    while filled < count:
        if start == 0 and count - filled >= _CHUNK * GROUP:  # a whole chunk: straight to its place
            _fill(words[filled : filled + _CHUNK * GROUP], seed, index * _CHUNK)
            filled += _CHUNK * GROUP
        else:
            piece = _chunk(seed, index)[start : start + count - filled]
            words[filled : filled + piece.size] = piece
            filled += piece.size
        index, start = index + 1, 0
    return words


def draw_uniform(state: Array, count: int, dtype: np.dtype[Any]) -> Array:
    """`count` floats, uniform over [0, 1): 24 bits for float32, 53 for float64, 11 for float16.

    >>> float(draw_uniform(np.array([0, 0]), 1, np.dtype("float32"))[0]) * 2**24 % 1
    0.0
    """
    if dtype == np.float64:
        wide = draw_words(state, 2 * count).view(np.uint64)
        return (wide >> np.uint64(11)) * 2.0**-53
    bits = 11 if dtype == np.float16 else 24
    high = draw_words(state, count) >> np.uint32(32 - bits)
    return np.multiply(high.astype(np.float32), np.float32(2.0**-bits)).astype(dtype, copy=False)


def draw_normal(state: Array, count: int, dtype: np.dtype[Any]) -> Array:
    """`count` standard normal floats, by Box and Muller's transformation of words in pairs.

    Of each group, rows 0 and 2 give the radius √(-2 ln u), rows 1 and 3 the angle; a row of cosines
    and a row of sines take their places.

    >>> float(draw_normal(np.array([7, 0]), 10_000, np.dtype("float32")).std().round(1))
    1.0
    """
    padded = -(-count // GROUP) * GROUP
    if dtype == np.float64:
        wide = draw_words(state, 2 * padded).view(np.uint64).reshape(-1, 2, 2, _LANES)
        return _normal_pairs64(wide[:, :, 0], wide[:, :, 1])[:count]
    words = draw_words(state, padded)
    numbers = np.empty(padded, np.float32)
    for start in range(0, padded, _CHUNK * GROUP):
        part = words[start : start + _CHUNK * GROUP].reshape(-1, 2, 2, _LANES)
        out = numbers[start : start + _CHUNK * GROUP].reshape(-1, 2, 2, _LANES)
        _normal_pairs32(part[:, :, 0], part[:, :, 1], out)
    return numbers[:count].astype(dtype, copy=False)


def _normal_pairs64(radius_words: Array, angle_words: Array) -> Array:
    u = ((radius_words >> np.uint64(11)) + 0.5) * 2.0**-53
    angle = (angle_words >> np.uint64(11)) * (2.0**-53 * 2.0 * math.pi)
    radius = np.sqrt(-2.0 * np.log(u))
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=2).reshape(-1)


_f32 = np.float32
_LOG = [
    _f32(c)
    for c in (
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
        -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    )
]  # fmt: skip
_SIN = [_f32(c) for c in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)]
_COS = [_f32(c) for c in (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)]
_LN2 = (_f32(-2.12194440e-4), _f32(0.693359375))  # ln 2 in two parts, the second exact in 10 bits
_SQRT_HALF_BITS = np.uint32(0x3F3504F3)
_MANTISSA = np.uint32(0x007FFFFF)


def _normal_pairs32(radius_words: Array, angle_words: Array, out: Array) -> None:
    """Box-Muller in float32; the polynomials are those of the Cephes library (Moshier)."""
    u = radius_words.astype(np.float32)
    u += _f32(0.5)
    u *= _f32(2.0**-32)
    radius = _log32(u)
    radius *= _f32(-2.0)
    np.sqrt(radius, radius)
    # The low 30 bits of the angle's word are an angle within [-π/4, π/4); bit 30 mirrors it at the
    # diagonal and bit 31 turns it half round: together, every direction alike.
    bits = angle_words & np.uint32(0x3FFFFFFF)
    angle = (bits.view(np.int32) - np.int32(1 << 29)).astype(np.float32)
    angle *= _f32(2.0 * math.pi * 2.0**-32)
    sign = angle_words & np.uint32(0x80000000)
    np.bitwise_or(radius.view(np.uint32), sign, radius.view(np.uint32))
    square = angle * angle
    sin = _horner(_SIN, square)
    sin *= square
    sin *= angle
    sin += angle
    cos = _horner(_COS, square)
    cos *= square
    cos *= square
    square *= _f32(0.5)
    cos -= square
    cos += _f32(1.0)
    sin *= radius
    cos *= radius
    mirrored = (angle_words & np.uint32(0x40000000)).astype(np.bool_)
    out[:, :, 0] = np.where(mirrored, sin, cos)
    out[:, :, 1] = np.where(mirrored, cos, sin)


def _log32(u: Array) -> Array:
    """ln u in float32, for normal u > 0."""
    bits = u.view(np.uint32) - _SQRT_HALF_BITS  # so that the mantissa starts at √½
    exponent = (bits.view(np.int32) >> np.int32(23)).astype(np.float32)
    bits &= _MANTISSA
    bits += _SQRT_HALF_BITS
    x = bits.view(np.float32)
    x -= _f32(1.0)
    square = x * x
    y = _horner(_LOG, x)
    y *= x
    y *= square
    y += exponent * _LN2[0]
    square *= _f32(0.5)
    y -= square
    y += x
    y += exponent * _LN2[1]
    return y


def _horner(coefficients: list[np.float32], x: Array) -> Array:
    """The polynomial with these coefficients, the highest power first."""
    y = x * coefficients[0]
    y += coefficients[1]
    for coefficient in coefficients[2:]:
        y *= x
        y += coefficient
    return y
