"""Roots, exponentials, logarithms, circular and hyperbolic functions, of floats."""

from __future__ import annotations

import math

from chainrule.compile.scalars.expressions import (
    FLOATS,
    Formula,
    Meaning,
    cast,
    meanings,
    number,
    primitive,
)
from chainrule.core.dtypes import finfo, float32, float64
from chainrule.ir.nest import Expr

__all__ = ["SCALARS", "sigmoid_divisor"]

add, sub, mul, div, neg, abs_ = map(primitive, ("add", "sub", "mul", "div", "neg", "abs"))
exp, log, log1p, sin, sqrt = map(primitive, ("exp", "log", "log1p", "sin", "sqrt"))
eq, lt, gt, and_ = map(primitive, ("eq", "lt", "gt", "and"))
fmax, max_, select = map(primitive, ("fmax", "max", "select"))

LN2 = 0.693147180559945309417232121458176568  # NumPy's: ln(e^a + e^a) is a + ln 2


def sigmoid_divisor(x: Expr) -> Expr:
    """1 + e^-x: what sigmoid and silu divide by."""
    return add(1, exp(neg(x)))


def _logit(x: Expr) -> Expr:
    return log(div(x, sub(1, x)))


def _reciprocal(x: Expr) -> Expr:
    return div(1, x)


def _rsqrt(x: Expr) -> Expr:
    return div(1, sqrt(x))


def _sigmoid(x: Expr) -> Expr:
    return div(1, sigmoid_divisor(x))


def _sinc(x: Expr) -> Expr:
    """As NumPy has it: at 0, of the smallest number that makes a difference to 1."""
    angle = mul(math.pi, x)
    angle = select(eq(angle, 0), float(finfo(x.dtype).eps), angle)
    return div(sin(angle), angle)


def _hypot(a: Expr, b: Expr) -> Expr:
    """√(a² + b²) where squares neither overflow nor vanish; inf if either is, even with a NaN.

    float32 has its squares in float64; float64 is brought near 1 by a power of two first.
    """
    greatest = fmax(abs_(a), abs_(b))
    if a.dtype is float32:
        wide_a, wide_b = cast(a, float64), cast(b, float64)
        root = cast(sqrt(add(mul(wide_a, wide_a), mul(wide_b, wide_b))), float32)
    else:
        huge, tiny = gt(greatest, 2.0**500), lt(greatest, 2.0**-500)
        up, down = number(2.0**600, float64), number(2.0**-600, float64)
        scale = select(huge, down, select(tiny, up, 1))
        back = select(huge, up, select(tiny, down, 1))
        a, b = mul(a, scale), mul(b, scale)
        root = mul(sqrt(add(mul(a, a), mul(b, b))), back)
    return select(eq(greatest, math.inf), math.inf, root)


def _logaddexp(a: Expr, b: Expr) -> Expr:
    """max(a, b) + ln(1 + e^-|a - b|); equal infinities have no difference."""
    apart = add(max_(a, b), log1p(exp(neg(abs_(sub(a, b))))))
    return select(eq(a, b), add(a, LN2), apart)


def _xlogy(a: Expr, b: Expr) -> Expr:
    return select(and_(eq(a, 0), eq(b, b)), 0, mul(a, log(b)))


_DIRECT = (
    "acos acosh asin asinh atan atan2 atanh cos cosh erf erfc exp exp2 expm1 "
    "log log10 log1p log2 sin sinh sqrt tan tanh"
)

_FORMULAS: dict[str, Formula] = {
    **{name: primitive(name) for name in _DIRECT.split()},
    "hypot": _hypot,
    "logaddexp": _logaddexp,
    "logit": _logit,
    "reciprocal": _reciprocal,
    "rsqrt": _rsqrt,
    "sigmoid": _sigmoid,
    "sinc": _sinc,
    "xlogy": _xlogy,
}

SCALARS: dict[str, Meaning] = meanings(FLOATS, _FORMULAS)
