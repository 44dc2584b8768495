"""The error function in NumPy, which has none: rational approximations by regions of |x|.

The coefficients are those of fdlibm's `s_erf.c` (Sun Microsystems, 1993: "freely granted"), after
W. J. Cody, "Rational Chebyshev approximations for the error function", 1969. In float64, erf is
within 1 unit in the last place of the C library's, erfc within 4. In float32, erf is one rational
function for all x (Eigen's), within 6 units and many times faster. Other results are rounded from
float64.
"""

from __future__ import annotations

import numpy as np

from chainrule.core.op import Array

__all__ = ["erf", "erfc", "erfinv"]

SMALL, MIDDLE, LARGE = 0.84375, 1.25, 1 / 0.35  # where one approximation hands over to the next
ERX = 8.45062911510467529297e-01  # about erf(1): what the approximation around 1 is added to

# Each is a polynomial, from the constant up: erf(x) = x + x P/Q in x² below SMALL, ...
SMALL_P = (
    1.28379167095512558561e-01,
    -3.25042107247001499370e-01,
    -2.84817495755985104766e-02,
    -5.77027029648944159157e-03,
    -2.37630166566501626084e-05,
)
SMALL_Q = (
    1.0,
    3.97917223959155352819e-01,
    6.50222499887672944485e-02,
    5.08130628187576562776e-03,
    1.32494738004321644526e-04,
    -3.96022827877536812320e-06,
)
# ... erf(x) = ERX + P/Q in |x| - 1 below MIDDLE, ...
MIDDLE_P = (
    -2.36211856075265944077e-03,
    4.14856118683748331666e-01,
    -3.72207876035701323847e-01,
    3.18346619901161753674e-01,
    -1.10894694282396677476e-01,
    3.54783043256182359371e-02,
    -2.16637559486879084300e-03,
)
MIDDLE_Q = (
    1.0,
    1.06420880400844228286e-01,
    5.40397917702171048937e-01,
    7.18286544141962662868e-02,
    1.26171219808761642112e-01,
    1.36370839120290507362e-02,
    1.19844998467991074170e-02,
)
# ... and erfc(x) = exp(-x² - 0.5625 + P/Q) / x in 1/x², with one pair below LARGE ...
TAIL_P = (
    -9.86494403484714822705e-03,
    -6.93858572707181764372e-01,
    -1.05586262253232909814e01,
    -6.23753324503260060396e01,
    -1.62396669462573470355e02,
    -1.84605092906711035994e02,
    -8.12874355063065934246e01,
    -9.81432934416914548592e00,
)
TAIL_Q = (
    1.0,
    1.96512716674392571292e01,
    1.37657754143519042600e02,
    4.34565877475229228821e02,
    6.45387271733267880336e02,
    4.29008140027567833386e02,
    1.08635005541779435134e02,
    6.57024977031928170135e00,
    -6.04244152148580987438e-02,
)
# ... and one above it.
FAR_P = (
    -9.86494292470009928597e-03,
    -7.99283237680523006574e-01,
    -1.77579549177547519889e01,
    -1.60636384855821916062e02,
    -6.37566443368389627722e02,
    -1.02509513161107724954e03,
    -4.83519191608651397019e02,
)
FAR_Q = (
    1.0,
    3.03380607434824582924e01,
    3.25792512996573918826e02,
    1.53672958608443695994e03,
    3.19985821950859553908e03,
    2.55305040643316442583e03,
    4.74528541206955367215e02,
    -2.24409524465858183362e01,
)


SINGLE_P = (
    1.128379225730896,
    1.8741607666015625e-01,
    5.243302136659622e-02,
    3.658048342913389e-03,
    2.861979592125863e-04,
    2.123732201653183e-06,
)
SINGLE_Q = (
    1.0,
    4.994257986545563e-01,
    1.1294567584991455e-01,
    1.4752088114619255e-02,
    1.1432960163801908e-03,
    3.8918573409318924e-05,
)
SINGLE_ONE = np.float32(3.8325069)  # from here on, erf is 1 in float32


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's scheme; the coefficients from the constant up."""
    y = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        y *= x
        y += coefficient
    return y


def _erf_and_erfc(x: Array) -> tuple[Array, Array]:
    """Both for |x| (a flat float64 array), each computed where it is small without cancellation."""
    size = np.abs(x)
    erf, erfc = np.ones_like(x), np.zeros_like(x)
    small, large = size < SMALL, size >= MIDDLE
    middle = ~small & ~large & (size == size)

    s = size[small]
    z = s * s
    rest = s * (_polynomial(z, SMALL_P) / _polynomial(z, SMALL_Q))
    erf[small] = s + rest
    erfc[small] = np.where(s < 0.25, 1 - (s + rest), 0.5 - (rest + (s - 0.5)))

    s = size[middle] - 1
    rest = _polynomial(s, MIDDLE_P) / _polynomial(s, MIDDLE_Q)
    erf[middle] = ERX + rest
    erfc[middle] = (1 - ERX) - rest

    for region, p, q in (
        (large & (size < LARGE), TAIL_P, TAIL_Q),
        ((size >= LARGE) & (size < 28), FAR_P, FAR_Q),
    ):
        s = size[region]
        z = 1 / (s * s)
        exponent = _polynomial(z, p) / _polynomial(z, q)
        head = s.astype(np.float32).astype(np.float64)  # head² is exact, so e^-x² keeps its digits
        tail = np.exp(-head * head - 0.5625) * np.exp((head - s) * (head + s) + exponent) / s
        erf[region] = 1 - tail
        erfc[region] = tail
    nan = np.isnan(x)
    erf[nan] = erfc[nan] = np.nan
    return erf, erfc


def _flat(x: Array) -> Array:
    return np.ravel(x).astype(np.float64, copy=False)


def erf(x: Array) -> Array:
    """2/√π ∫₀ˣ e^-t² dt.

    >>> erf(np.array([0.0, 1.0, np.inf])).round(4).tolist()
    [0.0, 0.8427, 1.0]
    """
    if x.dtype == np.float32:
        near = np.clip(x, -SINGLE_ONE, SINGLE_ONE)
        square = near * near
        y = near * _polynomial(square, SINGLE_P) / _polynomial(square, SINGLE_Q)
        return np.clip(y, np.float32(-1), np.float32(1))
    flat = _flat(x)
    y = np.copysign(_erf_and_erfc(flat)[0], flat)
    return y.reshape(x.shape).astype(x.dtype, copy=False)


def erfc(x: Array) -> Array:
    """1 - erf(x), exact also where erf(x) is close to 1.

    >>> f"{erfc(np.array([10.0]))[0]:.6e}"  # where 1 - erf(x) would be 0
    '2.088488e-45'
    """
    flat = _flat(x)
    erf, erfc = _erf_and_erfc(flat)
    y = np.where(flat >= 0, erfc, 1 + erf)
    return y.reshape(x.shape).astype(x.dtype, copy=False)


def erfinv(y: Array) -> Array:
    """The x with erf(x) = y: ±inf at ±1, NaN outside.

    A start from Winitzki's formula (2008), good to 2e-3, made exact by Halley's method, which
    triples the correct digits; where |y| is above 0.5, on erfc, so that the tails keep theirs.

    >>> erfinv(np.array([0.0, 0.5, 1.0, 2.0])).round(4).tolist()
    [0.0, 0.4769, inf, nan]
    """
    flat = _flat(y)
    size = np.minimum(np.abs(flat), np.nextafter(1.0, 0.0))
    tail = 1 - size  # exact for size >= 0.5
    log = np.log1p(-size * size)
    half = 2 / (np.pi * 0.147) + log / 2
    x = np.sqrt(np.maximum(np.sqrt(half * half - log / 0.147) - half, 0))
    for _ in range(4):
        erf, erfc = _erf_and_erfc(x)
        error = np.where(size < 0.5, erf - size, tail - erfc)
        step = error / (2 / np.sqrt(np.pi) * np.exp(-x * x))
        x = x - step / (1 + x * step)
    x = np.where(np.abs(flat) == 1, np.inf, np.where(np.abs(flat) <= 1, x, np.nan))
    return np.copysign(x, flat).reshape(y.shape).astype(y.dtype, copy=False)
