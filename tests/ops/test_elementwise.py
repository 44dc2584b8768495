"""Functions of one number, against the `math` module and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.autograd import grad
from chainrule.errors import OpError
from chainrule.ops import functions, in_place_methods, methods

FUNCTIONS = [
    ("abs", abs, -5, 5), ("acos", math.acos, -1, 1), ("acosh", math.acosh, 1, 50),
    ("asin", math.asin, -1, 1), ("asinh", math.asinh, -50, 50), ("atan", math.atan, -50, 50),
    ("atanh", math.atanh, -0.99, 0.99), ("ceil", math.ceil, -50, 50), ("cos", math.cos, -50, 50),
    ("cosh", math.cosh, -20, 20), ("deg2rad", math.radians, -720, 720), ("erf", math.erf, -7, 7),
    ("erfc", math.erfc, -7, 25), ("exp", math.exp, -700, 700), ("exp2", math.exp2, -99, 99),
    ("expm1", math.expm1, -5, 50), ("floor", math.floor, -50, 50), ("lgamma", math.lgamma, 3, 99),
    ("log", math.log, 1e-9, 1e9), ("log10", math.log10, 1e-9, 1e9),
    ("log1p", math.log1p, -0.9, 1e9), ("log2", math.log2, 1e-9, 1e9),
    ("rad2deg", math.degrees, -9, 9), ("round", round, -50, 50), ("sin", math.sin, -50, 50),
    ("sinh", math.sinh, -20, 20), ("sqrt", math.sqrt, 0, 1e9), ("tan", math.tan, -1.5, 1.5),
    ("tanh", math.tanh, -20, 20), ("trunc", math.trunc, -50, 50),
]  # fmt: skip


def of(name, *numbers, dtype=cr.float64, **kwargs):
    return getattr(cr, name)(cr.tensor(list(numbers), dtype=dtype), **kwargs)


@pytest.mark.parametrize(("name", "oracle", "low", "high"), FUNCTIONS, ids=lambda each: str(each))
def test_agrees_with_the_math_module(name, oracle, low, high):
    points = np.linspace(low, high, 301)
    expected = [float(oracle(float(point))) for point in points]
    result = getattr(cr, name)(cr.from_numpy(points)).numpy()
    np.testing.assert_allclose(result, expected, rtol=2e-14, atol=1e-15)
    half = getattr(cr, name)(cr.tensor([low + 0.25 * (high - low)], dtype=cr.float32))
    assert half.dtype is cr.float32


@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma"])
def test_the_edges_of_special_functions(name):
    result = of(name, 0.0, math.inf, -math.inf, math.nan).tolist()
    expected = {
        "erf": [0.0, 1.0, -1.0],
        "erfc": [1.0, 0.0, 2.0],
        "lgamma": [math.inf, math.inf, math.inf],
    }[name]
    assert result[:3] == expected
    assert math.isnan(result[3])


@given(st.floats(-5.5, 5.5))
def test_erf_is_odd_and_complements_erfc(x):
    y, minus_y, z = of("erf", x).item(), of("erf", -x).item(), of("erfc", x).item()
    assert y == -minus_y
    assert y + z == pytest.approx(1, abs=3e-16)


def test_erf_in_single_precision():
    points = np.linspace(-6, 6, 2001, dtype=np.float32)
    expected = [math.erf(float(point)) for point in points]
    result = cr.from_numpy(points).erf()
    assert result.dtype is cr.float32
    np.testing.assert_allclose(result.numpy(), expected, rtol=4e-7)
    assert result.abs().max().item() == 1.0
    assert of("erf", math.inf, -math.inf, dtype=cr.float32).tolist() == [1.0, -1.0]
    assert math.isnan(of("erf", math.nan, dtype=cr.float32).item())


@given(st.floats(-0.999999, 0.999999))
def test_erfinv_inverts_erf(y):
    assert math.erf(of("erfinv", y).item()) == pytest.approx(y, rel=1e-14)


def test_erfinv_in_the_far_tail():
    # Abramowitz and Stegun's erfc, inverted by bisection in the math module
    for tail in (1e-3, 1e-9, 1e-15):
        low, high = 0.0, 10.0
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if math.erfc(middle) > 1 - (1 - tail) else (low, middle)
        assert of("erfinv", 1 - tail).item() == pytest.approx(low, rel=1e-12)
    assert of("erfinv", 1.0, -1.0).tolist() == [math.inf, -math.inf]
    assert math.isnan(of("erfinv", 1.5).item())


def test_gamma_functions_at_known_points():
    euler = 0.5772156649015329
    assert of("lgamma", 6.0).item() == pytest.approx(math.log(120), rel=1e-15)
    assert of("digamma", 1.0).item() == pytest.approx(-euler, rel=1e-15)
    assert of("digamma", 0.5).item() == pytest.approx(-euler - 2 * math.log(2), rel=1e-15)
    trigamma = cr.polygamma(1, cr.tensor([1.0, 0.5], dtype=cr.float64)).tolist()
    assert trigamma == pytest.approx([math.pi**2 / 6, math.pi**2 / 2], rel=1e-14)
    for n in (-1, 1.5):
        with pytest.raises(OpError, match=f"n is {n}") as raised:
            cr.polygamma(n, cr.tensor([1.0]))
        assert "test_elementwise.py" in raised.value.location


@given(st.floats(-700, 700))
def test_sigmoid_is_between_0_and_1_and_logit_inverts_it(x):
    y = of("sigmoid", x).item()
    assert 0 <= y <= 1
    if abs(x) < 15:
        assert of("logit", y).item() == pytest.approx(x, abs=1e-8)


def test_sigmoid_of_the_very_large_and_small():
    assert of("sigmoid", 1e4, -1e4, math.inf, -math.inf).tolist() == [1.0, 0.0, 1.0, 0.0]


def test_logit_clamps_with_eps():
    assert of("logit", 0.0, 1.0).tolist() == [-math.inf, math.inf]
    assert of("logit", 0.0, eps=0.25).item() == pytest.approx(math.log(1 / 3))


def test_halves_round_to_even():
    assert of("round", 0.5, 1.5, 2.5, -0.5, -1.5).tolist() == [0.0, 2.0, 2.0, -0.0, -2.0]
    assert of("round", 12.345, decimals=1).tolist() == [12.3]
    assert of("round", 1250.0, decimals=-2).tolist() == [1200.0]


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc", "sign", "abs"])
def test_integers_stay_integers(name):
    assert of(name, -3, 0, 4, dtype=cr.int32).dtype is cr.int32


@pytest.mark.parametrize("name", ["exp", "sqrt", "sin", "sigmoid", "erf", "reciprocal", "sinc"])
def test_integers_and_bools_become_the_default_float(name):
    assert of(name, 1, 2, dtype=cr.int64).dtype is cr.float32
    assert of(name, True, dtype=cr.bool_).dtype is cr.float32


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc", "sign"])
def test_steps_are_flat(name):
    x = cr.tensor([0.3, -1.7], requires_grad=True)
    assert grad(getattr(cr, name)(x).sum(), x)[0].tolist() == [0.0, 0.0]


def test_slopes_at_kinks():
    x = cr.tensor([0.0], requires_grad=True)
    assert grad(x.abs().sum(), x)[0].tolist() == [0.0]
    assert grad(x.sinc().sum(), x)[0].tolist() == [0.0]
    assert grad(x.sqrt().sum(), x)[0].tolist() == [math.inf]


def test_out_of_the_domain_is_nan_without_a_warning():
    for name in ("log", "sqrt", "acos", "asin", "acosh", "atanh", "rsqrt", "log1p"):
        outside = {"acosh": 0.5}.get(name, -2.0)
        assert math.isnan(of(name, outside).item())
    assert of("log", 0.0).item() == -math.inf
    assert of("rsqrt", 0.0).item() == math.inf


def test_nan_to_num():
    x = [math.nan, math.inf, -math.inf, 1.0]
    limits = np.finfo(np.float64)
    assert of("nan_to_num", *x).tolist() == [0.0, limits.max, limits.min, 1.0]
    assert of("nan_to_num", *x, nan=1, posinf=2, neginf=3).tolist() == [1.0, 2.0, 3.0, 1.0]


def test_angles_of_points_in_all_quadrants():
    a, b = np.array([1.0, 1.0, -1.0, -1.0, 0.0]), np.array([1.0, -1.0, 1.0, -1.0, -1.0])
    result = cr.atan2(cr.from_numpy(a), cr.from_numpy(b)).tolist()
    assert result == [math.atan2(y, x) for y, x in zip(a, b)]
    origin = cr.zeros(1, requires_grad=True)
    assert grad(cr.atan2(origin, cr.zeros(1)).sum(), origin)[0].tolist() == [0.0]


def test_hypot_does_not_overflow():
    assert cr.hypot(cr.tensor([3e200], dtype=cr.float64), 4e200).item() == pytest.approx(5e200)


def test_xlogy_is_zero_at_zero():
    x = cr.tensor([0.0, 2.0], requires_grad=True)
    y = cr.xlogy(x, cr.tensor([0.0, math.e]))
    assert y.tolist() == pytest.approx([0.0, 2.0])
    assert grad(y.sum(), x)[0].tolist() == pytest.approx([0.0, 1.0])


def test_every_function_of_one_input_takes_nothing_and_scalars():
    for name, *_ in FUNCTIONS:
        assert getattr(cr, name)(cr.ones(0, 3)).shape == (0, 3)
        assert getattr(cr, name)(cr.ones(())).shape == ()


def test_functions_are_public_and_methods_where_their_first_parameter_is_input():
    for name, function in functions().items():
        assert getattr(cr, name) is function
    for name in methods():
        assert hasattr(cr.Tensor, name)
    for name in in_place_methods():
        assert hasattr(cr.Tensor, name)


def test_a_step_at_0_is_0_for_nan_as_pytorchs_is():
    x, there = [math.nan, -math.inf, -0.0, 0.0, math.inf], [5.0, 5.0, 5.0, math.nan, 5.0]
    y = cr.heaviside(cr.tensor(x), cr.tensor(there)).tolist()
    assert y[:3] + y[4:] == [0.0, 0.0, 5.0, 1.0]
    assert math.isnan(y[3])
    assert cr.heaviside(cr.tensor([-1, 0, 2]), cr.tensor(7)).tolist() == [0, 7, 1]
