"""Arithmetic: sums, quotients whole and not, powers, rounding, bounds, bits.

Each formula is the op's `reference`, operation by operation, so that results are the same bits.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.compile.scalars.expressions import (
    ANY,
    BITS,
    FLOATS,
    INTEGERS,
    NUMBERS,
    Meaning,
    Unary,
    call,
    cast,
    meanings,
    number,
    primitive,
)
from chainrule.core.dtypes import BOOL, FLOAT, DType, finfo
from chainrule.ir.nest import Expr

__all__ = ["SCALARS"]

add, sub, mul, div, neg, abs_ = map(primitive, ("add", "sub", "mul", "div", "neg", "abs"))
idiv, irem, sqrt, pow_ = map(primitive, ("idiv", "irem", "sqrt", "pow"))
trunc, rint = map(primitive, ("trunc", "rint"))
min_, max_, fmin, fmax = map(primitive, ("min", "max", "fmin", "fmax"))
lt, le, gt, ge, eq, ne = map(primitive, ("lt", "le", "gt", "ge", "eq", "ne"))
and_, or_, xor, not_ = map(primitive, ("and", "or", "xor", "not"))
select = primitive("select")


def _is_float(x: Expr) -> bool:
    return x.dtype.category == FLOAT


def magnitude(x: Expr) -> Expr:
    """|x|; what has no sign is its own."""
    return abs_(x) if x.dtype.is_signed else x


def _sign(x: Expr) -> Expr:
    if x.dtype.category == BOOL:
        return x
    if not x.dtype.is_signed:
        return select(ne(x, 0), number(1, x.dtype), 0)
    zero = select(eq(x, 0), number(0, x.dtype), x) if _is_float(x) else number(0, x.dtype)
    return select(gt(x, 0), 1, select(lt(x, 0), -1, zero))


def _lerp(a: Expr, b: Expr, w: Expr) -> Expr:
    step = sub(b, a)
    near = lt(magnitude(w), 0.5 if _is_float(w) else 1)
    return select(near, add(a, mul(w, step)), sub(b, mul(step, sub(1, w))))


# ---- whole quotients -------------------------------------------------------------------------
# Of floats only the truncated one: the others are made from an exact remainder, which takes a loop.


def _leans_down(b: Expr, rest: Expr) -> Expr:
    """Whether the remainder towards zero is on the other side of zero than the divisor."""
    return and_(ne(rest, 0), lt(xor(rest, b), 0))


def _div_floor(a: Expr, b: Expr) -> Expr:
    quotient = idiv(a, b)
    if not a.dtype.is_signed:
        return quotient
    return select(_leans_down(b, irem(a, b)), sub(quotient, 1), quotient)


def _remainder(a: Expr, b: Expr) -> Expr:
    rest = irem(a, b)
    return select(_leans_down(b, rest), add(rest, b), rest) if a.dtype.is_signed else rest


def _div_trunc(a: Expr, b: Expr) -> Expr:
    return trunc(div(a, b)) if _is_float(a) else idiv(a, b)


# ---- powers ----------------------------------------------------------------------------------


def _square(x: Expr) -> Expr:
    return mul(x, x)


def _pow(a: Expr, b: Expr) -> Expr:
    if a.dtype.category == BOOL:
        return or_(a, not_(b))
    if _is_float(a):
        return pow_(a, b)
    bits = 8 * a.dtype.itemsize - a.dtype.is_signed
    power, base, exponent = number(1, a.dtype), a, magnitude(b)
    result: Expr = power
    for bit in range(bits):
        result = select(ne(and_(exponent, 1 << bit), 0), mul(result, base), result)
        base = _square(base)
    if not a.dtype.is_signed:
        return result
    is_one = eq(magnitude(a), 1)  # 1 and -1 are their own reciprocals, others' are rounded to 0
    return select(or_(ge(b, 0), is_one), result, 0)


def _pow_number(op: Any, x: Expr) -> Expr | None:
    n = op.exponent
    if n == 2:
        return _square(x)
    if n == 3:
        return mul(_square(x), x)
    if _is_float(x):
        return _pow_float(x, n)
    return _pow_whole(x, int(n)) if n >= 0 and n == int(n) else None


def _pow_whole(x: Expr, n: int) -> Expr:
    """By squares; the exponent is known, and not negative."""
    result, base = None, x
    while n:
        if n & 1:
            result = base if result is None else mul(result, base)
        base, n = _square(base), n >> 1
    return number(1, x.dtype) if result is None else result


def _pow_float(x: Expr, n: float) -> Expr:
    """The commonest powers by what the machine is quick at: within 2 units in the last place."""
    if n == 0:
        return number(1, x.dtype)
    if n == 1:
        return x
    if n == 4:
        return _square(_square(x))
    if n == -1:
        return div(1, x)
    if n == -2:
        return _square(div(1, x))
    if n == 0.5:
        return sqrt(x)
    if n == -0.5:  # of -0 it is inf, of -inf it is 0
        return select(eq(x, -math.inf), 0, div(1, sqrt(add(x, 0))))
    return pow_(x, n)


# ---- rounding, bounds ------------------------------------------------------------------------


def _round(op: Any, x: Expr) -> Expr:
    if not _is_float(x):
        return x
    if op.decimals == 0:
        return rint(x)
    scale = float(10 ** abs(op.decimals)) if abs(op.decimals) < 309 else math.inf
    into, back = (mul, div) if op.decimals > 0 else (div, mul)
    return back(rint(into(x, scale)), scale)


def _frac(x: Expr) -> Expr:
    return sub(x, trunc(x)) if _is_float(x) else number(0, x.dtype)


def _whole(name: str) -> Unary:
    """A rounding; integers are whole already."""

    def rounded(x: Expr) -> Expr:
        return call(name, x) if _is_float(x) else x

    return rounded


def _heaviside(a: Expr, b: Expr) -> Expr:
    if a.dtype.category == BOOL:
        return or_(a, b)
    return select(eq(a, 0), b, cast(gt(a, 0), a.dtype))


def _nan_to_num(op: Any, x: Expr) -> Expr:
    if not _is_float(x):
        return x
    limit = float(finfo(x.dtype).max)
    top = limit if op.posinf is None else op.posinf
    bottom = -limit if op.neginf is None else op.neginf
    finite = select(eq(x, math.inf), top, select(eq(x, -math.inf), bottom, x))
    return select(ne(x, x), op.nan, finite)


def _clamp(x: Expr, low: Expr, high: Expr) -> Expr:
    return min_(max_(x, low), high)


def _cast(op: Any, args: tuple[Expr, ...], dtype: DType) -> Expr:
    return cast(args[0], op.dtype)


SCALARS: dict[str, Meaning] = {
    **meanings(
        ANY,
        {
            "abs": magnitude,
            "add": add,
            "ceil": _whole("ceil"),
            "clamp": _clamp,
            "clamp_max": min_,
            "clamp_min": max_,
            "floor": _whole("floor"),
            "fmax": fmax,
            "fmin": fmin,
            "frac": _frac,
            "heaviside": _heaviside,
            "maximum": max_,
            "minimum": min_,
            "mul": mul,
            "pow": _pow,
            "sign": _sign,
            "square": _square,
            "trunc": _whole("trunc"),
        },
        {"nan_to_num": _nan_to_num, "round": _round},
    ),
    **meanings(
        NUMBERS,
        {"div_trunc": _div_trunc, "lerp": _lerp, "neg": neg, "sub": sub},
        {"pow_number": _pow_number},
    ),
    **meanings(FLOATS, {"copysign": primitive("copysign"), "div": div}),
    **meanings(
        INTEGERS,
        {
            "bitwise_left_shift": primitive("shl"),
            "bitwise_right_shift": primitive("shr"),
            "div_floor": _div_floor,
            "fmod": irem,
            "remainder": _remainder,
        },
    ),
    **meanings(
        BITS, {"bitwise_and": and_, "bitwise_not": not_, "bitwise_or": or_, "bitwise_xor": xor}
    ),
    "cast": _cast,
}
