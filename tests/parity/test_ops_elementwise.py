"""Elementwise functions of one, two and three operands: values and gradients as PyTorch's."""

import math
import operator
from functools import partial

import numpy as np
import pytest
from tests.parity.agreement import Dtype, assert_agrees, assert_both_raise, torch

import chainrule

RNG = np.random.default_rng(7)
ANY = RNG.uniform(-3, 3, (3, 4))
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e30, -1e-30])
POSITIVE = RNG.uniform(0.1, 5, (3, 4))
UNIT = RNG.uniform(-0.95, 0.95, (3, 4))
ABOVE_ONE = RNG.uniform(1.1, 5, (3, 4))
PROBABILITY = RNG.uniform(0.05, 0.95, (3, 4))

UNARY = {
    "abs": ANY,
    "acos": UNIT,
    "acosh": ABOVE_ONE,
    "asin": UNIT,
    "asinh": ANY,
    "atan": ANY,
    "atanh": UNIT,
    "ceil": ANY,
    "cos": ANY,
    "cosh": ANY,
    "deg2rad": ANY * 60,
    "digamma": POSITIVE,
    "erf": ANY,
    "erfc": ANY,
    "erfinv": UNIT,
    "exp": ANY,
    "exp2": ANY,
    "expm1": ANY,
    "fix": ANY,
    "floor": ANY,
    "frac": ANY,
    "isfinite": ANY,
    "isinf": ANY,
    "isnan": ANY,
    "isneginf": ANY,
    "isposinf": ANY,
    "lgamma": POSITIVE,
    "log": POSITIVE,
    "log10": POSITIVE,
    "log1p": POSITIVE,
    "log2": POSITIVE,
    "logical_not": ANY,
    "logit": PROBABILITY,
    "nan_to_num": ANY,
    "neg": ANY,
    "positive": ANY,
    "rad2deg": ANY,
    "reciprocal": POSITIVE,
    "round": ANY,
    "rsqrt": POSITIVE,
    "sigmoid": ANY,
    "sign": ANY,
    "signbit": ANY,
    "sin": ANY,
    "sinc": ANY,
    "sinh": ANY,
    "sqrt": POSITIVE,
    "square": ANY,
    "tan": UNIT,
    "tanh": ANY,
    "trunc": ANY,
}
"""Every function of one operand, and where it is smooth."""

RTOL = {"digamma": 3e-5, "lgamma": 3e-5}  # PyTorch's polygamma(1) has 9 digits
NAN_IS_DIFFERENT = {"sign"}  # PyTorch's sign of NaN is 0
NO_BOOLS = {"neg", "positive", "reciprocal", "sign", "abs", "frac", "nan_to_num"}
NO_INTEGERS = {"frac", "ceil", "floor", "trunc", "fix", "round"}  # of bools, at least


@pytest.mark.parametrize("name", UNARY)
class TestOneOperand:
    def test_values_and_gradients(self, name):
        assert_agrees(name, UNARY[name], rtol=RTOL.get(name))
        assert_agrees(name, UNARY[name].T[::2], dtypes=["float64"], rtol=RTOL.get(name))

    def test_scalars_and_nothing(self, name):
        assert_agrees(name, np.array(UNARY[name][0, 0]), dtypes=["float64"], rtol=RTOL.get(name))
        assert_agrees(name, np.zeros((0, 3)))

    def test_values_at_the_edges(self, name):
        edges = SPECIAL[1:] if name in NAN_IS_DIFFERENT else SPECIAL
        if name == "tan":
            edges = edges[np.abs(edges) != 1e30]
        assert_agrees(name, edges, dtypes=["float64"], grad=False, rtol=1e-9)

    def test_half_precision(self, name):
        assert_agrees(name, UNARY[name].astype(np.float16), rtol=4e-3, atol=4e-3, grad=False)

    def test_integers(self, name):
        whole = np.array([1, 2, 3])
        if name == "frac":
            pytest.skip("PyTorch has no fractions of integers")
        assert_agrees(name, whole)
        assert_agrees(name, whole.astype(np.uint8), rtol=1e-5)
        assert_agrees(name, whole.astype(np.int16), rtol=1e-5)

    def test_bools(self, name):
        if name in NO_BOOLS | NO_INTEGERS:
            pytest.skip("PyTorch refuses")
        assert_agrees(name, np.array([True, False]))


BINARY = {
    "add": (ANY, ANY[::-1]),
    "atan2": (ANY, POSITIVE),
    "clamp_max": (ANY, ANY[::-1]),
    "clamp_min": (ANY, ANY[::-1]),
    "copysign": (ANY, ANY[::-1]),
    "div": (ANY, POSITIVE),
    "eq": (ANY, ANY[::-1]),
    "floor_divide": (ANY * 4, POSITIVE),
    "fmax": (ANY, ANY[::-1]),
    "fmin": (ANY, ANY[::-1]),
    "fmod": (ANY * 4, POSITIVE),
    "ge": (ANY, ANY[::-1]),
    "gt": (ANY, ANY[::-1]),
    "hypot": (ANY, POSITIVE),
    "le": (ANY, ANY[::-1]),
    "logaddexp": (ANY, ANY[::-1]),
    "logaddexp2": (ANY, ANY[::-1]),
    "logical_and": (ANY, ANY[::-1]),
    "logical_or": (ANY, ANY[::-1]),
    "logical_xor": (ANY, ANY[::-1]),
    "lt": (ANY, ANY[::-1]),
    "maximum": (ANY, ANY[::-1]),
    "minimum": (ANY, ANY[::-1]),
    "mul": (ANY, ANY[::-1]),
    "ne": (ANY, ANY[::-1]),
    "pow": (POSITIVE, ANY),
    "remainder": (ANY * 4, POSITIVE),
    "rsub": (ANY, ANY[::-1]),
    "sub": (ANY, ANY[::-1]),
    "true_divide": (ANY, POSITIVE),
    "xlogy": (ANY, POSITIVE),
}
FLOATS_ONLY = {"logaddexp", "logaddexp2", "hypot"}
"""PyTorch has these for floats only; here integers become floats."""


NO_GRADIENT = {"floor_divide"}  # PyTorch has none; here it is zero


@pytest.mark.parametrize("name", BINARY)
class TestTwoOperands:
    def test_values_and_gradients(self, name):
        assert_agrees(name, *BINARY[name], grad=name not in NO_GRADIENT)

    def test_broadcasting(self, name):
        a, b = BINARY[name]
        grad = name not in NO_GRADIENT
        assert_agrees(name, a, b[0], dtypes=["float64"], grad=grad)
        assert_agrees(name, a[:, :1], b[0], dtypes=["float64"], grad=grad)
        assert_agrees(name, a[:0], b[0], dtypes=["float64"], grad=grad)
        assert_agrees(name, np.array(a[0, 0]), np.array(b[0, 0]), dtypes=["float64"], grad=grad)

    def test_nan(self, name):
        a, b = np.meshgrid([np.nan, 1.0, -2.0, np.inf], [1.0, np.nan, 2.0])
        assert_agrees(name, a, b, dtypes=["float64"], grad=False)

    def test_integers(self, name):
        if name in FLOATS_ONLY:
            pytest.skip("PyTorch refuses")
        a, b = np.array([7, 7, 1, 5]), np.array([2, 3, 1, 5])
        assert_agrees(name, a, b)
        assert_agrees(name, a.astype(np.int32), b.astype(np.uint8))
        if name not in ("pow", "xlogy"):
            assert_agrees(name, a * [1, -1, -1, 1], b * [1, 1, -1, -1])

    def test_mixed_dtypes(self, name):
        if name in FLOATS_ONLY:
            pytest.skip("PyTorch refuses")
        a, b = BINARY[name]
        assert_agrees(name, a.astype(np.float32), b, dtypes=["float64"], grad=False)
        assert_agrees(name, np.array([[1], [2], [3]]), b, grad=False)
        assert_agrees(name, a.astype(np.float32), np.array(2.0, np.float64), grad=False)


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "xlogy"]
    + ["gt", "ge", "lt", "le", "eq", "ne", "clamp_min", "clamp_max", "copysign", "true_divide"]
)  # fmt: skip
def test_a_number_as_the_second_operand(name):
    for number in (2, 2.5, -1.5):
        if name == "xlogy" and number < 0:
            continue
        assert_agrees(name, POSITIVE, number, grad=name not in NO_GRADIENT)
        assert_agrees(name, np.array([1, 2, 5]), number)
    assert_agrees(name, POSITIVE.astype(np.float16), 2, grad=False)


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.gt, operator.ge, operator.lt, operator.le, operator.eq, operator.ne,
]  # fmt: skip


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_operators_both_ways_round(op):
    grad = op is not operator.floordiv
    assert_agrees((op, op), POSITIVE, POSITIVE[::-1], grad=grad)
    assert_agrees((op, op), POSITIVE, 2, grad=grad)
    assert_agrees((op, op), 2, POSITIVE, grad=op not in (operator.floordiv, operator.mod))
    assert_agrees((op, op), 2.5, np.array([1, 2, 3]))
    assert_agrees((op, op), np.array([1, 2, 3]), 2)


@pytest.mark.parametrize(
    "op",
    [
        operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv,
        operator.imod, operator.ipow,
    ],
    ids=lambda op: op.__name__,
)  # fmt: skip
def test_in_place_operators_change_the_tensor(op):
    def change(x, other):
        y = x.clone()
        alias = y
        alias = op(alias, other)
        assert alias is y
        return y

    grad = op is not operator.ifloordiv
    assert_agrees((change, change), POSITIVE, 2, grad=grad)
    assert_agrees((change, change), POSITIVE, POSITIVE[::-1], grad=grad)


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor])
def test_bits(op):
    a, b = np.array([5, -6, 12]), np.array([3, 1, 2])
    assert_agrees((op, op), a, b)
    assert_agrees((op, op), a, 6)
    assert_agrees((op, op), 6, a)
    assert_agrees((op, op), a.astype(np.uint8), b.astype(np.int8))
    assert_agrees((op, op), np.array([True, False]), np.array([True, True]))
    assert_agrees((op, op), np.array([True, False]), a[:2])


@pytest.mark.parametrize("op", [operator.lshift, operator.rshift])
def test_shifts(op):
    a, b = np.array([5, -6, 12]), np.array([3, 1, 2])
    assert_agrees((op, op), a, b)
    assert_agrees((op, op), a, 1)
    assert_agrees((op, op), 64, b)


@pytest.mark.parametrize("op", [operator.invert, operator.neg, operator.pos, abs])
def test_unary_operators(op):
    assert_agrees((op, op), np.array([5, -6, 12]))
    if op is operator.invert:
        assert_agrees((op, op), np.array([True, False]))
    else:
        assert_agrees((op, op), ANY)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift"])
def test_floats_have_no_bits(name):
    assert_both_raise(name, ANY, ANY)


@pytest.mark.parametrize("rounding_mode", [None, "trunc", "floor"])
def test_div_with_a_rounding_mode(rounding_mode):
    kwargs = {"rounding_mode": rounding_mode}
    assert_agrees("div", ANY * 4, POSITIVE, kwargs=kwargs)
    assert_agrees("div", np.array([7, -7, 7, -7, 6]), np.array([2, 2, -2, -2, 3]), kwargs=kwargs)
    assert_agrees("div", np.array([7, -7]), 2.5, kwargs=kwargs)
    if rounding_mode is None:
        assert_agrees("div", SPECIAL, np.zeros(9), kwargs=kwargs, grad=False)
    assert_agrees("div", SPECIAL, np.full(9, -2.0), kwargs=kwargs, grad=False)
    assert_agrees("div", np.array([1.0, -1.0, 0.0]), np.zeros(3), kwargs=kwargs, grad=False)


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_integers_are_not_divided_by_zero(name):
    assert_both_raise(name, np.array([1, 2]), 0)
    assert_agrees(name, np.array([1.0, -2.0]), 0, grad=False)


def test_an_unknown_rounding_mode_is_refused():
    assert_both_raise("div", ANY, 2, kwargs={"rounding_mode": "up"})


@pytest.mark.parametrize("alpha", [2, -1, 0.5])
def test_add_and_sub_scaled(alpha):
    for name in ("add", "sub", "rsub"):
        assert_agrees(name, ANY, ANY[::-1], kwargs={"alpha": alpha})
    assert_agrees("add", ANY, 2, kwargs={"alpha": alpha})
    if alpha == 0.5:
        assert_both_raise("add", np.array([1]), np.array([2]), kwargs={"alpha": alpha})


def test_bools_are_not_subtracted_or_negated():
    yes = np.array([True, False])
    assert_both_raise("sub", yes, yes)
    assert_both_raise("neg", yes)
    assert_agrees("add", yes, yes)
    assert_agrees("mul", yes, yes)


class TestPow:
    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 0.5, -1, -0.5, 2.5, -2])
    def test_number_exponents(self, exponent):
        assert_agrees("pow", POSITIVE, exponent)
        if exponent == int(exponent):
            assert_agrees("pow", ANY, exponent)

    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.0, 2.0, 1.5])
    def test_at_zero(self, exponent):
        assert_agrees("pow", np.array([0.0, -0.0, 1.0]), exponent)

    def test_tensor_exponents_at_zero(self):
        bases, exponents = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0])
        assert_agrees("pow", bases, exponents)
        assert_agrees("pow", np.array([-2.0, -3.0]), np.array([2.0, 3.0]), grad=False)

    def test_number_bases(self):
        assert_agrees("pow", 2, ANY)
        assert_agrees("pow", 2, np.array([0, 1, 5]))
        assert_agrees("pow", 0.5, np.array([0, 1, 5]))

    def test_integers(self):
        assert_agrees("pow", np.array([1, -1, 2, 0]), np.array([-3, -3, 3, 0]))
        assert_agrees("pow", np.array([1, -2, 2, 0]), 2)
        assert_agrees("pow", np.array([1, 2, 4]), -0.5)
        assert_agrees("pow", np.array([3, 200], np.uint8), 2)
        assert_both_raise("pow", np.array([1, 2]), -1)

    def test_second_derivative_of_a_square_at_zero(self):
        x = chainrule.tensor([0.0, -2.0], requires_grad=True)
        (first,) = chainrule.autograd.grad((x**2).sum(), x, create_graph=True)
        (second,) = chainrule.autograd.grad(first.sum(), x)
        assert second.tolist() == [2.0, 2.0]


class TestClamp:
    @pytest.mark.parametrize(
        ("low", "high"), [(-1, 1), (None, 0.5), (-0.5, None), (1, -1), (-1.5, 2.5), (0, 0)]
    )
    def test_numbers(self, low, high):
        assert_agrees("clamp", ANY, low, high)
        assert_agrees("clip", ANY, low, high)
        assert_agrees("clamp", np.array([-3, 0, 3]), low, high)

    def test_gradient_at_the_bounds(self):
        assert_agrees("clamp", np.array([-1.0, 1.0, 0.0, 2.0, -2.0]), -1, 1)
        assert_agrees("clamp_min", np.array([-1.0, 1.0]), -1)
        assert_agrees("clamp_max", np.array([-1.0, 1.0]), 1)

    def test_tensors(self):
        low, high = np.full((4,), -0.7), np.full((3, 1), 0.9)
        assert_agrees("clamp", ANY, low, high)
        assert_agrees("clamp", ANY, low)
        assert_agrees("clamp", ANY, None, high)
        assert_agrees("clamp", ANY, high, low)  # crossed bounds: the upper wins

    def test_nan_passes(self):
        assert_agrees("clamp", SPECIAL, -1, 1)

    def test_without_bounds_it_is_refused(self):
        assert_both_raise("clamp", ANY)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_gradients_of_ties(name):
    assert_agrees(name, np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 0.0]))


@pytest.mark.parametrize("name", ["abs", "sign", "sinc", "sqrt", "nan_to_num"])
def test_gradients_at_kinks(name):
    assert_agrees(name, np.array([0.0, 1.0, 4.0]))


def test_three_operands():
    a, b, c = ANY, ANY[::-1], POSITIVE
    for value in (1, -0.5):
        assert_agrees("addcmul", a, b, c, kwargs={"value": value})
        assert_agrees("addcdiv", a, b, c, kwargs={"value": value})
    assert_agrees("addcmul", a, b[0], c[:, :1])
    for weight in (0, 0.25, 0.75, 1, 1.5):
        assert_agrees("lerp", a, b, weight)
    assert_agrees("lerp", a, b, PROBABILITY)


def test_where_and_masks():
    mask = ANY > 0
    assert_agrees("where", mask, ANY, POSITIVE)
    assert_agrees("where", mask, ANY, 0)
    assert_agrees("where", mask, 0.0, ANY)
    assert_agrees("where", mask[0], ANY, POSITIVE[:, :1])
    assert_agrees("where", mask, np.array([1, 2, 3, 4]), 2.5)
    assert_agrees("where", mask)
    assert_agrees("Tensor.where", ANY, mask, POSITIVE)
    assert_agrees("masked_fill", ANY, mask, -1)
    assert_agrees("masked_fill", ANY, mask[0], float("-inf"))
    assert_agrees("masked_fill", ANY, mask, np.array(2.0))
    assert_agrees("masked_fill", np.arange(12).reshape(3, 4), mask, 7)
    assert_both_raise("masked_fill", ANY, ANY, 1)
    assert_both_raise("masked_fill", ANY, mask, np.ones(4))


def test_rounding_to_decimals():
    for decimals in (0, 1, 2, -1):
        assert_agrees("round", ANY * 100, kwargs={"decimals": decimals})
    assert_agrees("round", np.array([0.5, 1.5, 2.5, -0.5, -1.5]))


def test_functions_with_parameters_of_their_own():
    assert_agrees("logit", np.array([0.0, 0.2, 0.5, 1.0]), kwargs={"eps": 1e-3})
    assert_agrees("nan_to_num", SPECIAL, kwargs={"nan": 1.0, "posinf": 2.0, "neginf": -2.0})
    assert_agrees("heaviside", np.array([-1.0, 0.0, 2.0]), np.array(0.5), grad=False)
    assert_agrees("heaviside", SPECIAL, np.array(0.5), grad=False)
    assert_agrees("heaviside", np.array([0.0, np.nan]), np.array(np.nan), grad=False)
    for n in (0, 1, 2):
        ours, theirs = partial(chainrule.polygamma, n), partial(torch.polygamma, n)
        assert_agrees((ours, theirs), POSITIVE, rtol=1e-4)
    assert_agrees("xlogy", np.array([0.0, 0.0, 1.0]), np.array([0.0, 2.0, 3.0]))


def test_nearness():
    a = np.array([1.0, 1.0, np.nan, np.inf, -np.inf, 0.0])
    b = np.array([1.0 + 1e-9, 1.1, np.nan, np.inf, np.inf, 1e-9])
    for kwargs in ({}, {"equal_nan": True}, {"rtol": 0.2}, {"atol": 0.2, "rtol": 0.0}):
        assert_agrees("isclose", a, b, kwargs=kwargs, dtypes=["float64"])
        assert_agrees("allclose", a, b, kwargs=kwargs, dtypes=["float64"])
    assert_agrees("isclose", np.array([1, 2]), np.array([1, 3]))
    assert_agrees("equal", a, a)
    assert_agrees("equal", np.ones(3), np.ones((3, 1)))
    assert_agrees("isin", np.array([1, 2, 3]), np.array([2, 5]))
    assert_agrees("isin", np.array([1, 2, 3]), np.array([2, 5]), kwargs={"invert": True})
    assert_both_raise("isclose", np.array([1]), np.array([1.0]))


@pytest.mark.parametrize("name", ["add", "atan2", "where", "clamp"])
def test_shapes_that_do_not_broadcast(name):
    wrong = np.ones((2, 5))
    args = {"where": (ANY > 0, ANY, wrong), "clamp": (ANY, wrong, wrong)}.get(name, (ANY, wrong))
    error = assert_both_raise(name, *args)
    assert "broadcast" in str(error)


IN_PLACE = ["exp", "log", "sqrt", "sin", "abs", "neg", "floor", "sigmoid", "tanh", "square", "erf"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_methods(name):
    def change(x):
        y = x * 1
        return getattr(y, f"{name}_")()

    assert_agrees((change, change), POSITIVE)


def test_dtype_of_a_float64_scalar_tensor_is_not_spread():
    assert_agrees("mul", np.ones(3, np.float32), np.array(2.0, np.float64), dtypes=["float64"])
    assert_agrees("mul", np.ones(3, np.int32), np.array(2.0, np.float64), dtypes=["float64"])
    assert_agrees("mul", np.ones(3, np.uint8), 300)
    assert_agrees("add", np.ones(3, np.int8), np.array(2, np.int64))
    assert math.isclose(chainrule.ones(1).exp().item(), math.e, rel_tol=1e-6)
    assert_agrees("sum", np.ones(3), kwargs={"dtype": Dtype("float64")})


def test_second_names():
    for name in ("absolute", "negative", "arctan", "arcsinh"):
        assert_agrees(name, ANY)
    for name in ("arccos", "arcsin", "arctanh"):
        assert_agrees(name, UNIT)
    assert_agrees("arccosh", ABOVE_ONE)
    for name in ("greater", "greater_equal", "less", "less_equal", "not_equal"):
        assert_agrees(name, ANY, ANY[::-1])
    for name in ("arctan2", "multiply", "divide", "subtract"):
        assert_agrees(name, ANY, POSITIVE)
