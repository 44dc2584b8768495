"""The random draws of `ops/random.py` as expressions and nests: the same bits, on the fly.

A draw is a function of a state (seed, offset), so machine code can have any number without those
before it. `ops/philox.py` defines the stream; this page is that page in integer expressions: words
of 32 bits in int64, whose products of two are whole, and kept below 2³² by masks, which is what
lets a machine take its 32 x 32 -> 64 bit multiplication.

A block of the cipher gives four words, 16 elements apart. A nest over blocks with four stores
(`random_nests`) uses them all; an expression for one element (`random_element`) throws three away.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.compile.scalars.expressions import call, cast, number, primitive
from chainrule.core.dtypes import DType, float16, float32, float64, int32, int64
from chainrule.core.op import Op
from chainrule.ir.nest import Affine, Axis, Call, Expr, Iota, Load, Nest, Store

__all__ = ["DRAWS", "random_element", "random_nests"]

DRAWS = ("integers", "mask", "normal", "uniform")
"""The ops, by name."""

add, sub, mul, and_, or_, xor = map(primitive, ("add", "sub", "mul", "and", "or", "xor"))
shl, shr, lt, ne, select = map(primitive, ("shl", "shr", "lt", "ne", "select"))

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

Words = tuple[Expr, Expr, Expr, Expr]
"""A block's four words, in the order of the rows they are laid out in."""
Pairs = tuple[tuple[Expr, Expr], ...]
"""Of each row, the low and the high word of 64 bits."""


def _high(x: Expr) -> Expr:
    """The upper 32 bits of 64, as a number without a sign."""
    return and_(shr(x, 32), _LOW)


def _encrypt(seed: Expr, block: Expr) -> Words:
    """The four words of a block: Philox4x32-10 of its number."""
    zero = number(0, int64)
    x0, y0, x1, y1 = and_(block, _LOW), _high(block), zero, zero
    keys = (and_(seed, _LOW), _high(seed))
    for index in range(_ROUNDS):
        k0, k1 = [
            and_(add(key, index * step & _LOW), _LOW) for key, step in zip(keys, _WEYL, strict=True)
        ]
        first, second = mul(x0, _MULTIPLIERS[0]), mul(x1, _MULTIPLIERS[1])
        x0, y0, x1, y1 = (
            xor(xor(_high(second), y0), k0),
            and_(second, _LOW),
            xor(xor(_high(first), y1), k1),
            and_(first, _LOW),
        )
    return x0, y0, x1, y1


def _words(seed: Expr, offset: Expr, group: Expr, lane: Expr) -> Words:
    """The words at one lane of a group, counted from the offset."""
    first = shl(add(and_(offset, 0x0FFFFFFFFFFFFFFF), group), 4)
    return _encrypt(seed, add(first, lane))


# ---- numbers of words ------------------------------------------------------------------------


def _small(word: Expr, dtype: DType) -> Expr:
    """A word that is below 2³¹ as a float: by way of int32, which machines convert in vectors."""
    return cast(cast(word, int32), dtype)


def _uniform32(word: Expr) -> Expr:
    return mul(_small(shr(word, 8), float32), 2.0**-24)


def _whole53(low: Expr, high: Expr) -> Expr:
    """The upper 53 of 64 bits as a float64, exactly: 27 and 26 bits."""
    upper = _small(shr(high, 5), float64)
    lower = _small(or_(shl(and_(high, 31), 21), shr(low, 11)), float64)
    return add(mul(upper, 2.0**26), lower)


def _uniform64(low: Expr, high: Expr) -> Expr:
    return mul(_whole53(low, high), 2.0**-53)


def _integer(op: Any, low: Expr, high: Expr) -> Expr:
    """⌊width · u / 2⁶⁴⌋ of the 64 bits u."""
    width = op.high - op.low
    drawn = _high(add(mul(high, width), _high(mul(low, width))))
    return cast(add(drawn, op.low), op.dtype)


def _horner(coefficients: tuple[float, ...], x: Expr) -> Expr:
    y = add(mul(x, coefficients[0]), coefficients[1])
    for coefficient in coefficients[2:]:
        y = add(mul(y, x), coefficient)
    return y


_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_LN2 = (-2.12194440e-4, 0.693359375)
_SQRT_HALF_BITS = 0x3F3504F3
_MANTISSA = 0x007FFFFF


def _bitcast(x: Expr, dtype: DType) -> Expr:
    return Call("bitcast", (x,), dtype)


def _log32(u: Expr) -> Expr:
    """ln u in float32, for normal u > 0."""
    bits = sub(_bitcast(u, int32), _SQRT_HALF_BITS)
    exponent = cast(shr(bits, 23), float32)
    x = sub(_bitcast(add(and_(bits, _MANTISSA), _SQRT_HALF_BITS), float32), 1)
    square = mul(x, x)
    y = mul(mul(_horner(_LOG, x), x), square)
    y = sub(add(y, mul(exponent, _LN2[0])), mul(square, 0.5))
    return add(add(y, x), mul(exponent, _LN2[1]))


def _normal32(radius_word: Expr, angle_word: Expr) -> tuple[Expr, Expr]:
    """Two normal numbers of two words, by Box and Muller."""
    # 16 bits and 16 bits: one rounding, that of the sum, as where all 32 are converted.
    upper, lower = shr(radius_word, 16), and_(radius_word, 0xFFFF)
    u = add(mul(_small(upper, float32), 65536), _small(lower, float32))
    u = mul(add(u, 0.5), 2.0**-32)
    radius = call("sqrt", mul(_log32(u), -2))
    word = cast(angle_word, int32)
    angle = cast(sub(and_(word, 0x3FFFFFFF), 1 << 29), float32)
    angle = mul(angle, 2.0 * math.pi * 2.0**-32)
    radius = _bitcast(or_(_bitcast(radius, int32), and_(word, -(1 << 31))), float32)
    square = mul(angle, angle)
    sin = add(mul(mul(_horner(_SIN, square), square), angle), angle)
    cos = mul(mul(_horner(_COS, square), square), square)
    cos = add(sub(cos, mul(square, 0.5)), 1)
    sin, cos = mul(sin, radius), mul(cos, radius)
    mirrored = ne(and_(word, 0x40000000), 0)
    return select(mirrored, sin, cos), select(mirrored, cos, sin)


def _normal64(radius: tuple[Expr, Expr], angle: tuple[Expr, Expr]) -> tuple[Expr, Expr]:
    """The same in float64, by the machine's own logarithm, cosine and sine."""
    u = mul(add(_whole53(*radius), 0.5), 2.0**-53)
    turned = mul(_whole53(*angle), 2.0**-53 * 2.0 * math.pi)
    length = call("sqrt", mul(-2, call("log", u)))
    return mul(length, call("cos", turned)), mul(length, call("sin", turned))


# ---- ops -------------------------------------------------------------------------------------


def _is_wide(op: Any) -> bool:
    """Whether an element takes two words."""
    return op.name == "integers" or (op.name != "mask" and op.dtype is float64)


def _is_lowered(op: Any) -> bool:
    if op.name not in DRAWS:
        return False
    if op.name == "mask":
        return True
    return op.dtype is not float16 and (op.name != "integers" or op.high - op.low <= 1 << 32)


def _threshold(op: Any) -> int:
    return round(op.probability * 2**32)


def _of_words(op: Any, words: Words) -> tuple[Expr, ...]:
    """The elements of the four rows of an op that takes a word for each."""
    if op.name == "mask":
        return tuple([lt(word, _threshold(op)) for word in words])
    if op.name == "uniform":
        return tuple([_uniform32(word) for word in words])
    return (*_normal32(words[0], words[1]), *_normal32(words[2], words[3]))


def _of_pairs(op: Any, rows: Pairs) -> tuple[Expr, ...]:
    """The elements of the four rows of an op that takes two words for each."""
    if op.name == "uniform":
        return tuple([_uniform64(low, high) for low, high in rows])
    if op.name == "integers":
        return tuple([_integer(op, low, high) for low, high in rows])
    first, second = _normal64(rows[0], rows[2]), _normal64(rows[1], rows[3])
    return first[0], second[0], first[1], second[1]


def _rows(op: Any, seed: Expr, offset: Expr, group: Expr, lane: Expr) -> tuple[Expr, ...]:
    """The elements of the four rows at one lane (of 16, or of 8 pairs) of a group."""
    if not _is_wide(op):
        return _of_words(op, _words(seed, offset, group, lane))
    even = shl(lane, 1)
    low, high = (_words(seed, offset, group, each) for each in (even, add(even, 1)))
    return _of_pairs(op, tuple(zip(low, high, strict=True)))


def _always(op: Any) -> bool:
    return op.name == "mask" and _threshold(op) >= 1 << 32


def random_element(op: Op, seed: Expr, offset: Expr, index: Expr) -> Expr | None:
    """One element of a draw, wherever it stands: to be fused into what uses it.

    It costs four times what an element of `random_nests` does: of each block's words one is used.

    Args:
        op: one of `DRAWS`; None for others, for float16, and for integers from a range above 2³².
        seed: the state's first number.
        offset: its second.
        index: which element, counted through the whole tensor; int64.
    """
    if not _is_lowered(op):
        return None
    if _always(op):
        return number(True, lt(index, 0).dtype)
    lanes = 3 if _is_wide(op) else 4  # bits: 8 lanes of pairs, or 16 lanes
    group, lane = shr(index, lanes + 2), and_(index, (1 << lanes) - 1)
    r0, r1, r2, r3 = _rows(op, seed, offset, group, lane)
    odd, upper = (ne(and_(index, 1 << lanes + bit), 0) for bit in (0, 1))
    return select(upper, select(odd, r3, r2), select(odd, r1, r0))


def random_nests(
    op: Op, count: int, state: str, target: str, room: int | None = None
) -> tuple[Nest, ...] | None:
    """The nests that draw all elements into a buffer: whole groups, and then the rest.

    Args:
        op: one of `DRAWS`; None for what `random_element` gives None for.
        count: how many elements.
        state: the buffer of the state, int64, two elements.
        target: the buffer that is written to.
        room: how many elements that buffer has. Where the last group fits in whole, it is drawn
            whole, and one nest does.

    >>> from chainrule.ops.random import Mask
    >>> nests = random_nests(Mask((100,), 0.5), 100, "state", "y")
    >>> [[(axis.name, axis.size) for axis in nest.maps] for nest in nests]
    [[('g', 1), ('l', 16)], [('n', 36)]]
    """
    if not _is_lowered(op):
        return None
    seed, offset = (Load(state, Affine(place, ()), int64) for place in (0, 1))
    start = 0
    nests: list[Nest] = []
    if not _always(op):
        lanes = 8 if _is_wide(op) else 16
        groups = count // (4 * lanes)
        if room is not None and -(-count // (4 * lanes)) * 4 * lanes <= room:
            groups = -(-count // (4 * lanes))
        rows = _rows(op, seed, offset, Iota("g", int64), Iota("l", int64))
        stores = [
            Store(target, Affine(row * lanes, (("g", 4 * lanes), ("l", 1))), expr)
            for row, expr in enumerate(rows)
        ]
        if groups:
            axes = (Axis("g", groups), Axis("l", lanes))
            nests.append(Nest(op.name, axes, (), tuple(stores)))
        start = groups * 4 * lanes
    if start < count:
        element = random_element(op, seed, offset, add(Iota("n", int64), start))
        assert element is not None
        store = Store(target, Affine(start, (("n", 1),)), element)
        nests.append(Nest(f"{op.name}_rest", (Axis("n", count - start),), (), (store,)))
    return tuple(nests)
