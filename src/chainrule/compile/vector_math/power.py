"""x to the power of y."""

from __future__ import annotations

from chainrule.compile.vector_math.exponential import (
    BIAS,
    EXP,
    LN_2,
    exponential,
    split_exponent,
    times_two_to,
)
from chainrule.compile.vector_math.logarithm import log_of_double, split_denormal
from chainrule.compile.vector_math.value import (
    Value,
    absolute,
    at_least,
    at_most,
    convert,
    fma,
    intrinsic,
    is_nan,
    polynomial,
    select,
)
from chainrule.core.dtypes import float32, float64

__all__ = ["power"]

# (2 artanh(s) - 2s - 2s³/3) / s⁵ in s²: 2^-73.5 of 2 artanh(s)
_ARTANH = (
    0.3999999999999998,
    0.28571428571443847,
    0.22222222217787513,
    0.1818181884434106,
    0.15384558401005458,
    0.133362656708242,
    0.11675755095821563,
    0.11981979277744893,
)
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_Pair = tuple[Value, Value]  # a number as a float, and what that leaves out


def _product(a: Value, b: Value | float) -> _Pair:
    high = a * b
    return high, fma(a, b, -high)


def _times(a: _Pair, b: _Pair) -> _Pair:
    high, low = _product(a[0], b[0])
    return high, fma(a[0], b[1], fma(a[1], b[0], low))


def _sum(a: Value, b: Value, rest: Value) -> _Pair:
    """a + b + rest, for |a| >= |b|, and a rest smaller still."""
    high = a + b
    low = (b - (high - a)) + rest
    total = high + low
    return total, low - (total - high)


def _logarithm(k: Value, m: Value) -> _Pair:
    """log(2^k m) to about 2^-65: with s = (m-1) / (m+1), 2s + 2/3 s³ + s⁵ (...) .

    The first two terms in pairs of floats; for the others one is enough.
    """
    f, below = m - 1.0, m + 1.0
    below_rest = m - (below - 1.0)
    inverse = 1.0 / below
    s = f * inverse
    s_rest = fma(s, -below_rest, fma(-s, below, f)) * inverse
    square, square_rest = _times((s, s_rest), (s, s_rest))
    series = square * polynomial(square, _ARTANH)
    first, first_rest = _TWO_THIRDS
    factor = _sum(s.constant(first), series, s.constant(first_rest))
    cubic, cubic_rest = _times(_times((square, square_rest), factor), (s, s_rest))
    high, low = _sum(s + s, cubic, s_rest + s_rest + cubic_rest)
    step, step_rest = LN_2[float64]
    whole, whole_rest = _product(k, step)
    return _sum(whole, high, low + fma(k, step_rest, whole_rest))


def _magnitude(x: Value, y: Value) -> Value:
    """|x|^y for finite x other than 0, in float64."""
    k, m = split_denormal(absolute(x))
    log, log_rest = _logarithm(k, m)
    y = at_least(at_most(y, 2.0**70), -(2.0**70))  # where the power is 0, 1 or infinite anyway
    whole, rest = _product(y, log)
    rest = fma(y, log_rest, rest)
    near = absolute(whole) < 1000.0
    bounded = at_least(at_most(whole, 710.0), -746.0)
    bits, _, r = split_exponent(bounded, 2 * BIAS[float64])
    r = r + select(near, rest, 0.0)
    p = fma(r * polynomial(r, EXP[float64]), r, r)
    return times_two_to(p + 1.0, bits)


def _magnitude32(x: Value, y: Value) -> Value:
    """|x|^y for finite x other than 0, of float32 by way of float64, where one float is enough."""
    x, y = convert(x, float64), at_least(at_most(convert(y, float64), 1e30), -1e30)
    exponent = y * log_of_double(absolute(x))
    bits, r, q = exponential(at_least(at_most(exponent, 100.0), -120.0), EXP[float64])
    p = fma(fma(r, q, 1.0), r, 1.0)
    return convert(times_two_to(p, bits), float32)


def power(x: Value, y: Value) -> Value:
    """x^y, with C's special cases: NaN for a negative x and a y that is not whole.

    At most 0.51 ulp off in float32, 1.25 in float64.
    """
    dtype = x.dtype
    result = _magnitude32(x, y) if dtype is float32 else _magnitude(x, y)
    infinity = x.constant(float("inf"))
    vanishing = (x.equals(0.0)) ^ (y < 0.0)  # 0 to a positive, infinity to a negative power
    a = absolute(x)
    extreme = x.equals(0.0) | a.equals(float("inf"))
    result = select(extreme, select(vanishing, x.constant(0.0), infinity), result)
    whole = intrinsic("trunc", y).equals(y)
    half = y * 0.5
    odd = whole & ~intrinsic("trunc", half).equals(half)
    result = select(odd & (x.bits() < 0), -result, result)
    impossible = (x < 0.0) & ~whole & (a < float("inf"))
    result = select(impossible, x.constant(float("nan")), result)
    result = select(is_nan(x) | is_nan(y), x + y, result)
    return select(x.equals(1.0) | y.equals(0.0), x.constant(1.0), result)
