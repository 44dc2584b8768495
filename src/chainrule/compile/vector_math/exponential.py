"""exp, exp2, expm1 and the logistic sigmoid.

All write x = n ln 2 + r with a whole n and |r| <= ln(2)/2, and e^x = 2^n e^r. The whole number
comes from adding a constant so large that floats there are one apart: what is rounded to is then
the nearest whole number, and it stands in the low bits of the sum, from where a shift makes 2^n of
it. That constant's own low bits are chosen so that no bias is left to be added.

Coefficients here, as everywhere in this folder: a Remez exchange in 60 digits for the least
greatest *relative* error of the function, the coefficients rounded to the format from the lowest
on, and after each rounding the others fitted again. "2^-28" is that greatest error, before any
arithmetic.
"""

from __future__ import annotations

from chainrule.compile.vector_math.value import (
    Value,
    absolute,
    at_least,
    at_most,
    copysign,
    fma,
    polynomial,
    select,
)
from chainrule.core.dtypes import DType, float32, float64

__all__ = [
    "BIAS",
    "EXP",
    "LN_2",
    "MANTISSA",
    "exp",
    "exp2",
    "exp2_polynomial",
    "expm1",
    "exponent_of_two",
    "exponential",
    "rounder",
    "sigmoid",
    "split_exponent",
    "times_two_to",
]

LOG2_E = 1.4426950408889634
LN_2 = {  # its first digits in the format, and what is left
    float32: (0.693147182464599609375, -1.904654323148236017e-09),
    float64: (0.6931471805599453, 2.3190468138462996e-17),
}
MANTISSA = {float32: 23, float64: 52}
BIAS = {float32: 127, float64: 1023}

EXP = {  # (e^r - 1 - r) / r²: 2^-28.2 of e^r, 2^-26.1 of e^r - 1; float64: 2^-63.6 and 2^-60.3
    float32: (0.49999994, 0.16666517, 0.041668102, 0.008369187, 0.0013838705),
    float64: (
        0.5,
        0.16666666666666677,
        0.04166666666666669,
        0.008333333333321747,
        0.0013888888888883516,
        0.0001984126988529149,
        2.4801587298472656e-05,
        2.755724514297571e-06,
        2.7557314970312566e-07,
        2.5108768728837846e-08,
        2.089829626217843e-09,
    ),
}
_EXPM1 = {
    float32: (0.49999997, 0.16666539, 0.041667756, 0.008367119, 0.0013835792),
    float64: EXP[float64],
}
_EXP2 = {  # (2^f - 1) / f for |f| <= 1/2: 2^-26.4 and 2^-57.1 of 2^f
    float32: (0.6931472, 0.24022599, 0.05550368, 0.009624801, 0.0013386735, 0.00013536085),
    float64: (
        0.6931471805599453,
        0.24022650695910172,
        0.055504108664824574,
        0.009618129107577065,
        0.0013333558145567324,
        0.00015403530478879494,
        1.5252734738461313e-05,
        1.3215424461916524e-06,
        1.0177655749490541e-07,
        7.075621207027401e-09,
        4.5193762516333747e-10,
    ),
}
_RANGE = {float32: (-104.0, 89.0), float64: (-746.0, 710.0)}  # 0 below, infinity above


def rounder(dtype: DType, offset: int) -> float:
    """1.5 · 2^mantissa + offset: floats around it are whole numbers, one apart."""
    return 1.5 * 2.0 ** MANTISSA[dtype] + offset


def split_exponent(x: Value, offset: int) -> tuple[Value, Value, Value]:
    """x = n ln 2 + r: the bits whose low end is n + offset, n as a float, and r."""
    big = rounder(x.dtype, offset)
    shifted = fma(x, LOG2_E, big)
    n = shifted - big
    high, low = LN_2[x.dtype]
    return shifted.bits(), n, fma(n, -low, fma(n, -high, x))


def exponent_of_two(bits: Value, dtype: DType) -> Value:
    """2^n, from bits whose low end is n plus the format's bias."""
    return (bits << MANTISSA[dtype]).as_float()


def times_two_to(y: Value, bits: Value) -> Value:
    """y · 2^n, from bits whose low end is n plus twice the bias, for any n that the format has.

    2^n itself may be no float: where e^x is denormal, or near the greatest. So it is multiplied in
    two halves, of which the first is exact: a denormal result is rounded once.
    """
    half = bits >> 1
    return y * exponent_of_two(half, y.dtype) * exponent_of_two(bits - half, y.dtype)


def exponential(x: Value, coefficients: tuple[float, ...]) -> tuple[Value, Value, Value]:
    """The three parts e^x is made of: bits with n at the low end, r, and (e^r - 1 - r) / r²."""
    bits, _, r = split_exponent(x, 2 * BIAS[x.dtype])
    return bits, r, polynomial(r, coefficients)


def exp(x: Value) -> Value:
    """e^x; degree 6 (float64: 12) in r.

    At most 0.90 ulp off in float32 (all 2^32 numbers tried), 0.90 in float64.
    """
    low, high = _RANGE[x.dtype]
    bits, r, q = exponential(at_least(at_most(x, high), low), EXP[x.dtype])
    return times_two_to(fma(fma(r, q, 1.0), r, 1.0), bits)


def exp2_polynomial(f: Value) -> Value:
    """2^f for |f| of at most 1/2."""
    return fma(polynomial(f, _EXP2[f.dtype]), f, 1.0)


def exp2(x: Value) -> Value:
    """2^x; here r is x - n, exactly. Degree 6 (float64: 11).

    At most 0.88 ulp off in float32, 1.0 in float64.
    """
    bias = BIAS[x.dtype]
    x = at_least(at_most(x, bias + 2.0), -bias - MANTISSA[x.dtype] - 1.0)
    big = rounder(x.dtype, 2 * bias)
    shifted = x + big
    return times_two_to(exp2_polynomial(x - (shifted - big)), shifted.bits())


def expm1(x: Value) -> Value:
    """e^x - 1, as 2^n (e^r - 1) + (2^n - 1); degree 6 (float64: 12).

    At most 1.6 ulp off in float32, 2.0 in float64; next to nothing where x is small.
    """
    dtype = x.dtype
    bounded = at_least(at_most(x, _RANGE[dtype][1]), -18.0 if dtype is float32 else -38.0)
    bits, n, r = split_exponent(bounded, BIAS[dtype] - 1)
    p = fma(polynomial(r, _EXPM1[dtype]) * r, r, r)
    half = exponent_of_two(bits, dtype)  # 2^(n-1): 2^n may be infinite where e^x is not
    scaled = fma(half, p, half - 0.5) * 2.0
    return copysign(select(n.equals(0.0), p, scaled), x)  # p is exact where x is tiny; -0 stays


def sigmoid(x: Value) -> Value:
    """1 / (1 + e^-x), as e^x / (1 + e^x) for negative x: nothing overflows, nothing is lost.

    At most 2.3 ulp off in either format.
    """
    negative = at_least(-absolute(x), _RANGE[x.dtype][0])
    bits, r, q = exponential(negative, EXP[x.dtype])
    e = times_two_to(fma(fma(r, q, 1.0), r, 1.0), bits)
    return select(x < 0.0, e, x.constant(1.0)) / (e + 1.0)
