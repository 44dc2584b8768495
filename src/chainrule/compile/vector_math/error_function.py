"""erf and erfc."""

from __future__ import annotations

from chainrule.compile.vector_math.exponential import (
    BIAS,
    EXP,
    exp2_polynomial,
    exponent_of_two,
    rounder,
    split_exponent,
    times_two_to,
)
from chainrule.compile.vector_math.value import (
    Value,
    absolute,
    at_least,
    at_most,
    convert,
    copysign,
    fma,
    polynomial,
    select,
)
from chainrule.core.dtypes import float32, float64

__all__ = ["erf", "erfc"]

_SMALL = {float32: 0.93, float64: 0.85}
_ERF = {  # erf(x) / x - 1 in x², up to _SMALL: 2^-29.4 and 2^-55.9 of erf x
    float32: (
        0.12837917,
        -0.37612626,
        0.11283579,
        -0.026853347,
        0.005187162,
        -0.0007997853,
        7.806904e-05,
    ),
    float64: (
        0.12837916709551256,
        -0.37612638903183254,
        0.11283791670928268,
        -0.02686617063946274,
        0.005223977563886383,
        -0.0008548323112141184,
        0.00012055177523059866,
        -1.492166452097703e-05,
        1.6396010271965298e-06,
        -1.5676280696708647e-07,
        1.0616505251939473e-08,
    ),
}
_LOG2_ERFC = (  # log2(erfc(a)) / a, for a from 0.92 to 4: erfc is off by 2^-28.4 of 1
    -1.6280968,
    -0.91716605,
    -0.15183572,
    0.033006743,
    -0.004632931,
    0.00030806314,
)
# (1 + 2a) e^(a²) erfc(a) in t = (a - 4) / (a + 4), for a from 0 to 28: 2^-54.3. (Rounded all at
# once: fitting the others again after each made the high ones grow.)
_SCALED_ERFC = (
    1.2329951186255526,
    -0.13962111684056253,
    0.015379652102619622,
    0.06809705425469532,
    -0.10103906603629773,
    0.09373283499825626,
    -0.06633036581236007,
    0.03716751553897753,
    -0.016197734056208418,
    0.005031969964883561,
    -0.0007577732992396594,
    -0.00019925662551574622,
    0.00015062172346717162,
    -2.4399442282716305e-05,
    -1.1222183013239588e-05,
    5.710196897263516e-06,
    2.941618444197162e-07,
    -8.259666387835835e-07,
    7.410525286266126e-08,
    1.1033302839733471e-07,
    -1.746957443888577e-08,
    -1.4070580805576534e-08,
    1.6772388770570048e-09,
    1.1981241728781712e-09,
)


def _small_erf(x: Value) -> Value:
    return fma(polynomial(x * x, _ERF[x.dtype]), x, x)


def _tail(a: Value) -> Value:
    """erfc(a) for a >= 0, in float64: e^(-a²) times what changes slowly.

    a² is taken with what its rounding leaves out, for it stands in an exponent.
    """
    a = at_most(a, 28.0)
    square = a * a
    rest = fma(a, a, -square)
    t = (a - 4.0) / (a + 4.0)
    scaled = polynomial(t, _SCALED_ERFC) / fma(a, 2.0, 1.0)
    bits, _, r = split_exponent(at_least(-square, -800.0), 2 * BIAS[float64])
    r = r - rest
    p = fma(r * polynomial(r, EXP[float64]), r, r)
    return times_two_to(fma(scaled, p, scaled), bits)


def erf(x: Value) -> Value:
    """2/√π times the integral of e^(-t²) from 0 to x.

    Below 0.93 a polynomial of degree 13 (float64: below 0.85, 21), beyond it 1 - erfc: in float32
    2 to a polynomial of degree 6. At most 1.06 ulp off in float32 (all 2^32 numbers tried), 0.8 in
    float64 (some thousands).
    """
    a = absolute(x)
    if x.dtype is float64:
        large = 1.0 - _tail(a)
    else:
        bounded = at_most(a, 4.0)
        slope = polynomial(bounded, _LOG2_ERFC)
        shifted = fma(slope, bounded, rounder(float32, BIAS[float32]))
        n = shifted - rounder(float32, BIAS[float32])
        fraction = exp2_polynomial(fma(slope, bounded, -n))
        large = fma(exponent_of_two(shifted.bits(), float32), -fraction, 1.0)
    return copysign(select(a < _SMALL[x.dtype], _small_erf(x), large), x)


def erfc(x: Value) -> Value:
    """1 - erf(x), without loss where that is small; float32 is worked out in float64.

    At most 0.51 ulp off (float64: 2.7, where e^(-x²) is very small).
    """
    if x.dtype is float32:
        return convert(erfc(convert(x, float64)), float32)
    tail = _tail(absolute(x))
    tail = select(x < 0.0, 2.0 - tail, tail)
    return select(absolute(x) < 0.5, 1.0 - _small_erf(x), tail)
