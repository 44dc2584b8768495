"""exp, log, tanh and their like: how far they are from the exact value, in units of the last place.

float32 is compared with NumPy's float64, over all exponents; float64 with x87's 64-bit mantissas
where the machine has them, and with mpmath where that is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from tests.compile.compiled_primitive import compiled

from chainrule.compile.vector_math import ARITIES
from chainrule.core.dtypes import DType, float32, float64

pytest.importorskip("llvmlite")

Array = np.ndarray
erf = np.vectorize(math.erf, otypes=[np.float64])
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


NUMPY: dict[str, Callable[..., Array]] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": erf,
    "erfc": erfc,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "pow": np.power,
    "sigmoid": logistic,
    "sin": np.sin,
    "sinh": np.sinh,
    "tan": np.tan,
    "tanh": np.tanh,
}

LIMITS: dict[str, tuple[float, float]] = {  # ulp, of float32 and of float64
    "acos": (1.2, 1.2),
    "acosh": (2.2, 2.2),
    "asin": (1.4, 1.35),
    "asinh": (2.0, 1.9),
    "atan": (1.95, 1.6),
    "atan2": (0.51, 2.2),
    "atanh": (2.2, 1.9),
    "cos": (0.8, 0.85),
    "cosh": (1.4, 1.4),
    "erf": (1.1, 1.1),
    "erfc": (0.51, 3.0),
    "exp": (0.95, 0.95),
    "exp2": (0.95, 1.05),
    "expm1": (1.7, 2.1),
    "log": (1.1, 0.95),
    "log10": (1.2, 1.1),
    "log1p": (1.7, 1.1),
    "log2": (1.2, 1.15),
    "pow": (0.51, 1.3),
    "sigmoid": (2.4, 2.4),
    "sin": (0.8, 0.85),
    "sinh": (1.75, 1.75),
    "tan": (2.4, 2.4),
    "tanh": (1.1, 1.4),
}

# Where float64 is tried: beside these intervals, all exponents where the function is defined there.
INTERVALS: dict[str, tuple[tuple[float, float], ...]] = {
    "acos": ((-1, 1),),
    "acosh": ((1, 3), (1, 1e6)),
    "asin": ((-1, 1),),
    "atanh": ((-1, 1),),
    "erf": ((-1, 1), (-6, 6)),
    "erfc": ((-1, 3), (-6, 26)),
    "exp": ((-1, 1), (-745, 709)),
    "exp2": ((-1, 1), (-1074, 1023)),
    "log": ((0, 3),),
    "log2": ((0, 3),),
    "log10": ((0, 3),),
    "log1p": ((-0.01, 0.01), (-1, 3)),
    "sigmoid": ((-3, 3), (-700, 40)),
    "sinh": ((-3, 3), (-710, 710)),
    "cosh": ((-3, 3), (-710, 710)),
}


def distance(got: Array, want: Array, dtype: DType) -> Array:
    """|got - want| in units of the last place of `want`; 0 or infinite where one is not finite."""
    info = np.finfo(dtype.numpy)
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype.numpy)
        _, exponent = np.frexp(np.maximum(np.abs(want), info.tiny))
        unit = np.ldexp(want.dtype.type(1), exponent - 1 - info.nmant)
        ulp = np.abs(got.astype(want.dtype) - want) / unit
    finite = np.isfinite(got) & np.isfinite(rounded)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(finite, ulp, np.where(same, 0.0, np.inf))


def all_exponents(n: int, dtype: DType) -> Array:
    """Floats of both signs whose bits are evenly spread: every exponent, denormals, NaNs."""
    bits = np.uint32 if dtype is float32 else np.uint64
    step = 2 ** (8 * dtype.itemsize) // n | 1
    return (np.arange(n, dtype=bits) * bits(step)).view(dtype.numpy)


def special(dtype: DType) -> Array:
    info = np.finfo(dtype.numpy)
    some = [0.0, 1.0, 0.5, 2.0, 3.0, 10.0, np.inf, info.max, info.tiny, info.smallest_subnormal]
    near = [88.7, 89.0, 103.9, 104.0, 709.7, 709.8, 745.1, 746.0, 128.0, 150.0, 1024.0, 1075.0]
    near += [math.pi / 4, math.pi / 2, math.pi, 1e5, 1e6, 2.0**28, 1e10, 1e22, 1e38]
    positive = np.array([*some, *near], dtype.numpy)
    with np.errstate(over="ignore"):
        around = [np.nextafter(positive, dtype.numpy.type(end)) for end in (0, np.inf)]
    positive = np.concatenate([positive, *around])
    return np.concatenate([positive, -positive, [np.nan]]).astype(dtype.numpy)


def check(name: str, dtype: DType, arguments: tuple[Array, ...], lanes: int, wide: type) -> None:
    got = compiled(name, dtype, (dtype,) * len(arguments), lanes)(*arguments)
    with np.errstate(all="ignore"):
        want = NUMPY[name](*[each.astype(wide) for each in arguments])
    ulp = distance(got, want, dtype)
    worst = int(np.argmax(ulp))
    at = [each[worst] for each in arguments]
    limit = LIMITS[name][dtype is float64]
    assert ulp[worst] <= limit, f"{name}{at!r} is {got[worst]!r}, not {want[worst]!r}"
    number = ~np.isnan(want)
    signs = np.signbit(got) != np.signbit(want)
    assert not (signs & number).any(), f"{name}: wrong sign"


UNARY = sorted(name for name, arity in ARITIES.items() if arity == 1)


@pytest.mark.parametrize("name", UNARY)
def test_float32_over_all_exponents(name: str):
    few = name in ("erf", "erfc")  # one call of Python's each
    rng = np.random.default_rng(0)
    dense = rng.uniform(-4, 4, 50_000 if few else 500_000).astype(np.float32)
    every = all_exponents(100_000 if few else 1_000_000, float32)
    check(name, float32, (np.concatenate([special(float32), every, dense]),), 8, np.float64)


def samples64(name: str, n: int) -> Array:
    rng = np.random.default_rng(0)
    drawn = [rng.uniform(low, high, n) for low, high in INTERVALS.get(name, ((-3, 3), (-99, 99)))]
    return np.concatenate([special(float64), all_exponents(n, float64), *drawn])


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="no x87 numbers to compare with")
@pytest.mark.parametrize("name", [name for name in UNARY if name not in ("erf", "erfc")])
def test_float64_over_all_exponents(name: str):
    check(name, float64, (samples64(name, 100_000),), 4, np.longdouble)


@pytest.mark.parametrize("name", UNARY)
def test_float64_against_mpmath(name: str):
    mpmath = pytest.importorskip("mpmath")
    exact = {
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "exp2": lambda x: mpmath.mpf(2) ** x,
        "log2": lambda x: mpmath.log(x, 2),
        "log10": lambda x: mpmath.log(x, 10),
    }.get(name) or getattr(mpmath, name)
    rng = np.random.default_rng(0)
    for low, high in INTERVALS.get(name, ((-3, 3), (-1e9, 1e9))):
        x = rng.uniform(low, high, 300)
        got = compiled(name, float64, (float64,), 4)(x)
        with mpmath.workprec(200):
            for each, result in zip(x.tolist(), got.tolist()):
                want = exact(mpmath.mpf(each))
                unit = math.ulp(float(want))
                assert abs(result - want) <= LIMITS[name][1] * unit, (each, result, want)


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_float64_erf_is_near_the_c_librarys(name: str):
    x = samples64(name, 20_000)
    x = x[~np.isnan(x)]
    got, want = compiled(name, float64, (float64,), 4)(x), NUMPY[name](x)
    assert distance(got, want, float64).max() <= 6  # which is not exact itself
    assert not ((np.signbit(got) != np.signbit(want)) & ~np.isnan(want)).any()


CORNERS = [0.0, 1.0, 2.0, 3.0, 0.5, 1.5, np.inf, 1e-300, 5e-324, 1e-40, 1e300, 1e20, 1e38]
CORNERS += [2.0**53 - 1, 2.0**52 + 1, 2.0**24 - 1, 1 + 2.0**-23, 1 - 2.0**-24, 1 + 2.0**-52]


@pytest.mark.parametrize("name", ["pow", "atan2"])
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_two_arguments_at_every_pair_of_corners(name: str, dtype: DType):
    with np.errstate(over="ignore"):
        corners = np.array([*CORNERS, *[-each for each in CORNERS], np.nan]).astype(dtype.numpy)
    x, y = (each.ravel() for each in np.meshgrid(corners, corners))
    got = compiled(name, dtype, (dtype, dtype), 8)(x, y)
    with np.errstate(all="ignore"):
        want = NUMPY[name](x.astype(np.float64), y.astype(np.float64))
    assert distance(got, want, dtype).max() <= 2.5
    with np.errstate(over="ignore"):
        want = want.astype(dtype.numpy)
    assert not ((np.signbit(got) != np.signbit(want)) & ~np.isnan(want)).any()


def pairs(name: str, dtype: DType, n: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    if name == "atan2":
        y, x = rng.normal(0, 1, (2, n)) * np.exp2(rng.uniform(-30, 30, (2, n)))
        return y.astype(dtype.numpy), x.astype(dtype.numpy)
    most = 126 if dtype is float32 else 1022
    wide = np.exp2(rng.uniform(-most, most, n)).astype(dtype.numpy)
    near = rng.uniform(0.5, 2, n).astype(dtype.numpy)
    x = np.concatenate([wide, near])
    with np.errstate(divide="ignore"):
        y = rng.uniform(-1, 1, 2 * n) * most / np.abs(np.log2(x.astype(np.float64)))
    return x, np.minimum(y, 1e30).astype(dtype.numpy)


@pytest.mark.parametrize("name", ["pow", "atan2"])
def test_float32_of_two_arguments(name: str):
    check(name, float32, pairs(name, float32, 500_000), 8, np.float64)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="no x87 numbers to compare with")
@pytest.mark.parametrize("name", ["pow", "atan2"])
def test_float64_of_two_arguments(name: str):
    check(name, float64, pairs(name, float64, 100_000), 4, np.longdouble)


@pytest.mark.parametrize("name", sorted(ARITIES))
def test_the_same_bits_for_any_number_of_lanes(name: str):
    for dtype in (float32, float64):
        rng = np.random.default_rng(0)
        x = np.concatenate([special(dtype), rng.uniform(-20, 20, 500).astype(dtype.numpy)])
        arguments = (x, x[::-1].copy())[: ARITIES[name]]
        results = [
            compiled(name, dtype, (dtype,) * ARITIES[name], lanes)(*arguments)
            for lanes in (1, 2, 4, 8, 16)
        ]
        for other in results[1:]:
            number = ~np.isnan(results[0])
            np.testing.assert_array_equal(np.isnan(other), ~number)
            np.testing.assert_array_equal(other[number], results[0][number])


def test_one_large_lane_leaves_its_neighbours_as_they_are():
    x = np.array([0.5, 1e30, -0.0, np.inf, 3.0, -1e12, 1e-40, np.nan], np.float32)
    for name in ("sin", "cos", "tan"):
        f = compiled(name, float32, (float32,), 8)
        alone = np.array([f(np.full(8, each, np.float32))[0] for each in x])
        np.testing.assert_array_equal(f(x), alone)
