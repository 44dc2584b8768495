"""asin, acos, atan and atan2."""

from __future__ import annotations

from chainrule.compile.vector_math.value import (
    Value,
    absolute,
    convert,
    copysign,
    fma,
    polynomial,
    select,
    sqrt,
)
from chainrule.core.dtypes import float32, float64

__all__ = ["acos", "asin", "atan", "atan2"]

_PI = {  # first digits, and the rest
    float32: (3.1415927410125732421875, -8.742278000372482e-08),
    float64: (3.141592653589793, 1.2246467991473532e-16),
}
_TAN_PI_8 = 0.41421356237309503
_ATAN = {  # (atan t - t) / t³ in t², for t <= tan π/8: 2^-30.4 and 2^-59.4 of atan t
    float32: (-0.33333316, 0.19998528, -0.14244391, 0.10599166, -0.06090037),
    float64: (
        -0.333333333333332,
        0.1999999999995365,
        -0.14285714280196057,
        0.1111111078328406,
        -0.0909089775082773,
        0.07692060081661041,
        -0.066631025442493,
        0.058478789051959475,
        -0.05039261500292262,
        0.0380635731650387,
        -0.017906258892886488,
    ),
}
_ASIN = {  # (asin x - x) / x³ in x², for x <= 1/2: 2^-27.6 and 2^-59.9 of asin x
    float32: (0.16666752, 0.074953094, 0.04546915, 0.024184778, 0.042158306),
    float64: (
        0.1666666666666676,
        0.07499999999970866,
        0.044642857174561394,
        0.03038194270982838,
        0.02237221493720002,
        0.017351612827232674,
        0.013980811634000787,
        0.011398979735563374,
        0.010779899135670817,
        0.0037076667736726646,
        0.021704546125282092,
        -0.020995150909030976,
        0.032626282404427415,
    ),
}


def _series(t: Value) -> Value:
    """atan t - t, for t of at most tan π/8."""
    square = t * t
    return t * (square * polynomial(square, _ATAN[t.dtype]))


def atan(x: Value) -> Value:
    """The angle whose tangent is x.

    Beyond tan(3π/8) it is π/2 - atan(1/x), and beyond tan(π/8) π/4 + atan((x - 1) / (x + 1)).
    Degree 11 (float64: 23). At most 1.9 ulp off (float64: 1.5).
    """
    a = absolute(x)
    high, low = (part / 2 for part in _PI[x.dtype])
    middle, far = a > _TAN_PI_8, a > 1.0 / _TAN_PI_8
    above = select(far, a.constant(-1.0), select(middle, a - 1.0, a))
    below = select(far, a, select(middle, a + 1.0, 1.0))
    t = above / below
    turn = select(far, a.constant(high), select(middle, a.constant(high / 2), 0.0))
    rest = select(far, a.constant(low), select(middle, a.constant(low / 2), 0.0))
    return copysign(turn + (t + (_series(t) + rest)), x)


def atan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y), in (-π, π].

    float32 is worked out in float64. Of the two distances the lesser is divided by the greater, so
    that nothing overflows; 0 / 0 counts as 0, and ∞ / ∞ as 1. At most 0.51 ulp off (float64: 2.0).
    """
    if y.dtype is float32:
        return convert(atan2(convert(y, float64), convert(x, float64)), float32)
    a, b = absolute(y), absolute(x)
    steep = a > b
    less, more = select(steep, b, a), select(steep, a, b)
    ratio = select(less.equals(more), less.constant(1.0), less / more)
    ratio = select(more.equals(0.0), less, ratio)
    middle = ratio > _TAN_PI_8
    t = select(middle, (ratio - 1.0) / (ratio + 1.0), ratio)
    high, low = _PI[y.dtype]
    # turn ± (π/4 or 0) ± (t + series): turned back once if steep, once more if x is negative
    behind = x.bits() < 0
    turn = select(steep, t.constant(high / 2), select(behind, t.constant(high), 0.0))
    turn_low = select(steep, t.constant(low / 2), select(behind, t.constant(low), 0.0))
    backwards = steep ^ behind
    signed = select(backwards, -t, t)
    eighth = select(middle, select(backwards, t.constant(-high / 4), high / 4), 0.0)
    eighth_low = select(middle, select(backwards, t.constant(-low / 4), low / 4), 0.0)
    angle = (turn + eighth) + (signed + (_series(signed) + (turn_low + eighth_low)))
    return copysign(angle, y)


def _steep(a: Value) -> tuple[Value, Value]:
    """√((1 - |x|) / 2) = s, and asin s - s: for |x| > 1/2, asin |x| = π/2 - 2 asin s."""
    half = fma(a, -0.5, 0.5)
    s = sqrt(half)
    return s, s * (half * polynomial(half, _ASIN[a.dtype]))


def asin(x: Value) -> Value:
    """The angle in [-π/2, π/2] whose sine is x; NaN beyond 1.

    Degree 11 (float64: 27) up to 1/2, beyond by way of a root. At most 1.4 ulp off (float64: 1.25).
    """
    a = absolute(x)
    square = x * x
    flat = fma(a * square, polynomial(square, _ASIN[x.dtype]), a)
    s, rest = _steep(a)
    high, low = _PI[x.dtype]
    # π/4 - 2s is nearly exact, π/2 - 2s is not
    upright = high / 4 + (fma(s, -2.0, high / 4) - fma(rest, 2.0, -low / 2))
    return copysign(select(a > 0.5, upright, flat), x)


def acos(x: Value) -> Value:
    """The angle in [0, π] whose cosine is x, as asin does it; NaN beyond 1. At most 1.2 ulp off."""
    a = absolute(x)
    square = x * x
    high, low = _PI[x.dtype]
    tail = fma(x * square, polynomial(square, _ASIN[x.dtype]), -low / 2)
    flat = high / 2 - (x + tail)
    s, rest = _steep(a)
    forward = (s + rest) * 2.0
    backward = high - fma(s, 2.0, fma(rest, 2.0, -low))
    return select(a > 0.5, select(x < 0.0, backward, forward), flat)
