"""tanh, sinh, cosh, and their inverses."""

from __future__ import annotations

from chainrule.compile.vector_math.exponential import (
    BIAS,
    EXP,
    exponent_of_two,
    exponential,
    split_exponent,
    times_two_to,
)
from chainrule.compile.vector_math.logarithm import log1p
from chainrule.compile.vector_math.value import (
    Value,
    absolute,
    at_most,
    copysign,
    fma,
    polynomial,
    select,
    sqrt,
)
from chainrule.core.dtypes import float32, float64

__all__ = ["acosh", "asinh", "atanh", "cosh", "sinh", "tanh"]

_LN_2 = 0.6931471805599453
_LIMIT = {float32: 91.0, float64: 712.0}  # e^x / 2 is infinite there
_HUGE = {float32: 2.0**30, float64: 2.0**60}  # 1 + x² is x², and that no infinity
_SMALL = {float32: 0.8, float64: 0.55}
_TANH = {  # (tanh x - x) / x³ in x², up to _SMALL: 2^-28.0 and 2^-60.6 of tanh x
    float32: (-0.333333, 0.13332242, -0.053853597, 0.021306528, -0.0074141766, 0.0015870444),
    float64: (
        -0.333333333333333,
        0.1333333333332658,
        -0.05396825396373651,
        0.021869488385147684,
        -0.008863232589519343,
        0.0035920919067033204,
        -0.001455542027526764,
        0.0005884410311291049,
        -0.0002333725491064031,
        8.330320348076152e-05,
        -1.9486314530307892e-05,
    ),
}
_SINH = {  # (sinh x - x) / x³ in x², up to 1: 2^-25.3 and 2^-61.8 of sinh x
    float32: (0.16666716, 0.008330271, 0.0002037334),
    float64: (
        0.16666666666666669,
        0.008333333333332912,
        0.00019841269841593408,
        2.7557319106759116e-06,
        2.5052130998000976e-08,
        1.6056659251541085e-10,
        7.776596850011819e-13,
    ),
}


def tanh(x: Value) -> Value:
    """The hyperbolic tangent: 1 - 2 / (e^2x + 1); where that loses digits, below 0.8 (float64:
    0.55), a polynomial of degree 13 (23).

    At most 1.06 ulp off in float32 (all 2^32 numbers tried), 1.35 in float64.
    """
    a = absolute(x)
    square = x * x
    small = fma(polynomial(square, _TANH[x.dtype]) * square, x, x)
    twice = at_most(a + a, 20.0 if x.dtype is float32 else 40.0)
    bits, _, r = split_exponent(twice, BIAS[x.dtype])
    two_to_n = exponent_of_two(bits, x.dtype)
    p = fma(r * polynomial(r, EXP[x.dtype]), r, r)  # e^r - 1
    large = 1.0 - 2.0 / fma(two_to_n, p, two_to_n + 1.0)
    return copysign(select(a < _SMALL[x.dtype], small, large), x)


def _half_exponential(x: Value) -> Value:
    """e^|x| / 2, also where e^|x| itself would overflow."""
    bits, r, q = exponential(at_most(absolute(x), _LIMIT[x.dtype]), EXP[x.dtype])
    return times_two_to(fma(fma(r, q, 1.0), r, 1.0), bits - 1)


def sinh(x: Value) -> Value:
    """(e^x - e^-x) / 2; below 1 a polynomial of degree 7 (float64: 15). At most 1.7 ulp off."""
    square = x * x
    small = fma(polynomial(square, _SINH[x.dtype]) * square, x, x)
    half = _half_exponential(x)
    large = half - 0.25 / half
    return copysign(select(absolute(x) < 1.0, small, large), x)


def cosh(x: Value) -> Value:
    """(e^x + e^-x) / 2; at most 1.4 ulp off."""
    half = _half_exponential(x)
    return half + 0.25 / half


def asinh(x: Value) -> Value:
    """log(x + √(x² + 1)), as log1p(a + a² / (1 + √(a² + 1))) of a = |x|; at most 1.95 ulp off."""
    a = absolute(x)
    square = a * a
    huge = a > _HUGE[x.dtype]
    y = log1p(select(huge, a, a + square / (1.0 + sqrt(square + 1.0))))
    return copysign(select(huge, y + _LN_2, y), x)


def acosh(x: Value) -> Value:
    """log(x + √(x² - 1)), as log1p(t + √(t² + 2t)) of t = x - 1; NaN below 1.

    At most 2.1 ulp off.
    """
    t = x - 1.0
    huge = x > _HUGE[x.dtype]
    y = log1p(select(huge, x, t + sqrt(fma(t, t, t + t))))
    return select(x < 1.0, x.constant(float("nan")), select(huge, y + _LN_2, y))


def atanh(x: Value) -> Value:
    """log((1 + x) / (1 - x)) / 2, as log1p(2a / (1 - a)) / 2 of a = |x|; NaN beyond 1.

    At most 2.1 ulp off.
    """
    a = absolute(x)
    return copysign(log1p((a + a) / (1.0 - a)) * 0.5, x)
