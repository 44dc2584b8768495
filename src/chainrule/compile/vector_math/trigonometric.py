"""sin, cos and tan, for arguments of any size.

x = n π/2 + r with |r| <= π/4; the last two bits of n say which of ±sin r, ±cos r it is. Up to 10^5
in float32 and 2^28 in float64, r is x less three products of n with parts of π/2: the first
difference is exact. Beyond, where even the neighbours of a float lie far apart, a function that is
hardly ever called takes lane after lane (`large_angles.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.compile.llvm_text import Lines
from chainrule.compile.vector_math.large_angles import LARGE_ANGLE, quarter_turns
from chainrule.compile.vector_math.value import (
    Value,
    absolute,
    convert,
    fma,
    polynomial,
    select,
)
from chainrule.core.dtypes import float32, float64

__all__ = ["cos", "sin", "tan"]

_HALF_PI = {  # its digits, part after part
    float32: (1.57079637050628662109375, -4.371139000186241e-08, -1.7151245100058819e-15),
    float64: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33),
}
_LIMIT = {float32: 1e5, float64: 2.0**28}
_SIN = {  # (sin r - r) / r³ in r²: 2^-27.9 and 2^-57.9 of sin r
    float32: (-0.16666655, 0.008332188, -0.00019518095),
    float64: (
        -0.1666666666666663,
        0.00833333333332184,
        -0.0001984126982935852,
        2.755731353850488e-06,
        -2.5050734386318454e-08,
        1.5895433018854417e-10,
    ),
}
_COS = {  # (cos r - 1 + r²/2) / r⁴ in r²: 2^-33.0 and 2^-63.9 of cos r
    float32: (0.041666646, -0.001388731, 2.4432327e-05),
    float64: (
        0.041666666666666595,
        -0.0013888888888873325,
        2.480158728898367e-05,
        -2.7557314210072163e-07,
        2.0875704270804666e-09,
        -1.1358683341317278e-11,
    ),
}


@dataclass(frozen=True, slots=True)
class Angle:
    """n π/2 + r.

    Attributes:
        r: the rest, at most π/4.
        low: what r's rounding left out.
        turns: bits whose last two are those of n.
    """

    r: Value
    low: Value
    turns: Value


def _reduce(x: Value) -> Angle:
    """The angle, of an x that is not large."""
    big = 1.5 * 2.0 ** (23 if x.dtype is float32 else 52)
    shifted = fma(x, 0.6366197723675814, big)
    n = shifted - big
    first, second, third = _HALF_PI[x.dtype]
    exact = fma(n, -first, x)
    product = n * second
    rest = fma(n, second, -product)
    # exact - product, and what its rounding left out, whichever is the greater
    r = exact - product
    back = r - exact
    left = (exact - (r - back)) - (back + product)
    low = fma(n, -third, left - rest)
    total = r + low
    return Angle(total, (r - total) + low, shifted.bits())


def _sin_cos(angle: Angle) -> tuple[Value, Value]:
    """Of the rest."""
    r, low = angle.r, angle.low
    square = r * r
    sine_tail = r * square
    cosine_tail = polynomial(square, _COS[r.dtype])
    half = square * 0.5
    about = 1.0 - half
    sine = r + fma(sine_tail, polynomial(square, _SIN[r.dtype]), low * about)
    lost = (1.0 - about) - half
    cosine = about + (lost + fma(square * square, cosine_tail, -(r * low)))
    return sine, cosine


def _is_odd(turns: Value) -> Value:
    """Whether the last bit is set."""
    return (turns << (8 * turns.dtype.itemsize - 1)) < 0


def _quadrant(angle: Angle, ahead: int) -> Value:
    """The sine of the angle and `ahead` quarter turns."""
    sine, cosine = _sin_cos(angle)
    turns = angle.turns + ahead if ahead else angle.turns
    picked = select(_is_odd(turns), cosine, sine)
    sign = (turns & 2) << (8 * turns.dtype.itemsize - 2)
    return (picked.bits() ^ sign).as_float()


def _sine(angle: Angle) -> Value:
    return _quadrant(angle, 0)


def _cosine(angle: Angle) -> Value:
    return _quadrant(angle, 1)


def _tangent(angle: Angle) -> Value:
    sine, cosine = _sin_cos(angle)
    odd = _is_odd(angle.turns)
    return select(odd, -cosine, sine) / select(odd, sine, cosine)


def _with_large(x: Value, name: str, function: Callable[[Angle], Value]) -> Value:
    """The function, by way of the slow reduction if any lane is large."""
    lines = x.lines
    slow = f"@chainrule_large_{name}_{x.dtype.short}x{x.lanes}"
    lines.declare(*LARGE_ANGLE)
    lines.declare(slow, _slow_text(x, slow, function))
    fast = function(_reduce(x))
    lines.add("br label %reduced")
    lines.label("reduced")
    beyond = absolute(x) > _LIMIT[x.dtype]
    if x.lanes > 1:
        suffix = f"v{x.lanes}i1"
        lines.declare(
            f"@llvm.vector.reduce.or.{suffix}",
            f"declare i1 @llvm.vector.reduce.or.{suffix}({beyond.type})",
        )
        reduce = f"call i1 @llvm.vector.reduce.or.{suffix}({beyond.type} {beyond.name})"
        beyond = Value(lines, lines.assign(reduce), beyond.dtype, 1)
    lines.add(f"br i1 {beyond.name}, label %large, label %done")
    lines.label("large")
    value = lines.assign(f"call {x.type} {slow}({x.type} {x.name}, {x.type} {fast.name})")
    lines.add("br label %done")
    lines.label("done")
    return x.new(f"phi {x.type} [{fast.name}, %reduced], [{value}, %large]")


def _slow_text(like: Value, name: str, function: Callable[[Angle], Value]) -> str:
    """A function of x and the fast result, that puts right the lanes that are large."""
    lines = Lines()
    x = Value(lines, "%x", like.dtype, like.lanes)
    fast = Value(lines, "%fast", like.dtype, like.lanes)
    beyond = (absolute(x) > _LIMIT[x.dtype]) & (absolute(x) < float("inf"))
    high, low, turns = quarter_turns(select(beyond, x, 2.0**30))  # the others are not for it
    r = convert(high, x.dtype)
    if x.dtype is float32:
        low, turns = convert(high - convert(r, float64), float32), convert(turns, x.integer)
    angle = Angle(r, low, turns)
    result = select(beyond, function(angle), fast)
    lines.add(f"ret {x.type} {result.name}")
    head = f"define internal {x.type} {name}({x.type} %x, {x.type} %fast) noinline cold nounwind {{"
    like.lines.declarations.update(lines.declarations)
    return "\n".join([head, *lines.text, "}"])


def sin(x: Value) -> Value:
    """The sine of x radians; sin r has degree 7 (float64: 13), cos r 8 (14).

    At most 0.79 ulp off in float32 (all 2^32 numbers tried), 0.78 in float64.
    """
    return select(x.equals(0.0), x, _with_large(x, "sin", _sine))  # -0 stays


def cos(x: Value) -> Value:
    """The cosine of x radians, by the same polynomials.

    At most 0.79 ulp off in float32 (all 2^32 numbers tried), 0.76 in float64.
    """
    return _with_large(x, "cos", _cosine)


def tan(x: Value) -> Value:
    """The tangent of x radians: sin / cos or -cos / sin of r; at most 2.3 ulp off."""
    return select(x.equals(0.0), x, _with_large(x, "tan", _tangent))
