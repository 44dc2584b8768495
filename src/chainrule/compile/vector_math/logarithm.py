"""log, log2, log10 and log1p.

All write x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), and log x = k ln 2 + log(1 + f). The
last is a polynomial of degree 11 in f for float32. For float64 it is one of degree 15 in
f / (2 + f), which is smaller: there a division costs less than the terms it saves.
"""

from __future__ import annotations

from chainrule.compile.vector_math.exponential import LN_2, MANTISSA
from chainrule.compile.vector_math.value import (
    Value,
    convert,
    fma,
    polynomial,
    select,
)
from chainrule.core.dtypes import DType, float32, float64

__all__ = ["log", "log1p", "log2", "log10", "log_of_double", "split_denormal"]

_ROOT_HALF = {float32: 0x3F3504F3, float64: 0x3FE6A09E667F3BCD}
_ONE = {float32: 0x3F800000, float64: 0x3FF0000000000000}
_EXPONENT = {float32: -0x00800000, float64: -0x0010000000000000}  # all bits above the mantissa's
_LEAST_NORMAL = {float32: 2.0**-126, float64: 2.0**-1022}

# -1/2, then (log(1+f) - f + f²/2) / f³: 2^-29.2 of log(1+f)
_SERIES_32 = (
    -0.5,
    0.33333313,
    -0.25000167,
    0.20002224,
    -0.16659367,
    0.14209563,
    -0.12549695,
    0.121088624,
    -0.1091619,
    0.05338376,
)
# (2 artanh(s) - 2s) / s³ in s², for s = f / (2 + f): 2^-59.5 of log(1+f)
_SERIES_64 = (
    0.6666666666666734,
    0.3999999999941682,
    0.28571428741976407,
    0.22222198610420768,
    0.1818356260048783,
    0.15314090121088714,
    0.14795594196654188,
)

_NATURAL = {float32: ((1.0, 0.0), LN_2[float32]), float64: ((1.0, 0.0), LN_2[float64])}
"""For each base b: 1 / ln b and ln 2 / ln b, each as its first digits and the rest."""
_BINARY = {
    float32: ((1.44269502162933349609375, 1.925963033500011079e-08), (1.0, 0.0)),
    float64: ((1.4426950408889634, 2.0355273740931033e-17), (1.0, 0.0)),
}
_DECIMAL = {
    float32: (
        (0.4342944920063018798828125, -1.010305118726134126e-08),
        (0.3010300099849700927734375, -1.432098885627214434e-08),
    ),
    float64: (
        (0.4342944819032518, 1.098319650216765e-17),
        (0.30102999566398120, -2.8037281277851704e-18),
    ),
}
_Base = dict[DType, tuple[tuple[float, float], tuple[float, float]]]


def split_power(x: Value) -> tuple[Value, Value, Value]:
    """x = 2^k m, for normal x: k, m, and the bits that 2^k has above those of 1."""
    bits = x.bits()
    above = bits - _ROOT_HALF[x.dtype]
    whole = above & _EXPONENT[x.dtype]
    m = (bits - whole).as_float()
    mantissa = MANTISSA[x.dtype]
    if x.dtype is float32:
        k = convert(above.shifted_keeping_sign(mantissa), float32)
    else:  # x86 before AVX-512 converts no vector of int64: put k under the mantissa of 2^52
        low = (above + _ONE[float64]) >> mantissa
        k = (low | 0x4330000000000000).as_float() - (2.0**52 + 1023.0)
    return k, m, whole


def _tail(f: Value) -> Value:
    """log(1 + f) - f."""
    square = f * f
    if f.dtype is float32:
        return polynomial(f, _SERIES_32) * square
    s = f / (f + 2.0)
    z = s * s
    half = square * 0.5
    return s * fma(polynomial(z, _SERIES_64), z, half) - half


def _in_base(k: Value, f: Value, base: _Base) -> Value:
    """log(2^k (1 + f)) / log(base), the small terms first."""
    (scale, scale_rest), (step, step_rest) = base[f.dtype]
    tail = _tail(f)
    if base is _NATURAL:
        return fma(k, step, fma(k, step_rest, tail) + f)
    tail = fma(f, scale_rest, tail * scale)
    if base is _BINARY:
        return fma(f, scale, tail) + k
    return fma(k, step, fma(f, scale, fma(k, step_rest, tail)))


def _with_limits(y: Value, x: Value, zero_at: float) -> Value:
    """-inf at 0 (of log, or -1 of log1p), NaN below, infinity at infinity; NaN stays NaN."""
    y = select(x < float("inf"), y, x)
    outside = select(x.equals(zero_at), x.constant(float("-inf")), float("nan"))
    return select(x > zero_at, y, outside)


def split_denormal(x: Value) -> tuple[Value, Value]:
    """x = 2^k m, also for denormal x: k and m."""
    lift = MANTISSA[x.dtype]
    denormal = x < _LEAST_NORMAL[x.dtype]
    k, m, _ = split_power(select(denormal, x * 2.0**lift, x))
    return k - select(denormal, x.constant(float(lift)), 0.0), m


def log_of_double(x: Value) -> Value:
    """log x of a float64 that is positive, finite and normal."""
    k, m, _ = split_power(x)
    return _in_base(k, m - 1.0, _NATURAL)


def _logarithm(x: Value, base: _Base) -> Value:
    k, m = split_denormal(x)
    return _with_limits(_in_base(k, m - 1.0, base), x, 0.0)


def log(x: Value) -> Value:
    """The natural logarithm.

    At most 1.05 ulp off in float32 (all 2^32 numbers tried), 0.86 in float64.
    """
    return _logarithm(x, _NATURAL)


def log2(x: Value) -> Value:
    """The logarithm to base 2, exact for powers of 2; at most 1.15 ulp off (float64: 1.08)."""
    return _logarithm(x, _BINARY)


def log10(x: Value) -> Value:
    """The logarithm to base 10; at most 1.16 ulp off (float64: 0.93)."""
    return _logarithm(x, _DECIMAL)


def log1p(x: Value) -> Value:
    """log(1 + x), with no rounding on the way to f; at most 1.52 ulp off (float64: 0.91)."""
    u = x + 1.0
    k, m, whole = split_power(u)
    scale = (x.constant(1.0).bits() - whole).as_float()  # 2^-k
    # (1 + x) 2^-k - 1 without the rounding of 1 + x; for great x there is no 2^-k, nor a need
    f = select(x < 2.0**60, fma(x, scale, scale - 1.0), m - 1.0)
    y = _with_limits(_in_base(k, f, _NATURAL), x, -1.0)
    return select(x.equals(0.0), x, y)  # -0 stays
