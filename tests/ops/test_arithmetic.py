"""Arithmetic, powers, whole division and bounds, against Python's own numbers."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.autograd import grad
from chainrule.errors import DTypeError, OpError, ShapeError

WHOLE = st.integers(-1000, 1000)
NOT_ZERO = WHOLE.filter(bool)
REAL = st.floats(-1e3, 1e3, allow_nan=False)


def tensor(*numbers, dtype=cr.float64):
    return cr.tensor(list(numbers), dtype=dtype)


@given(WHOLE, NOT_ZERO)
def test_floor_division_and_remainder_are_pythons(a, b):
    x, y = cr.tensor([a]), cr.tensor([b])
    assert (x // y).item() == a // b
    assert (x % y).item() == a % b
    assert (a // y).item() == a // b
    assert (a % y).item() == a % b


@given(WHOLE, NOT_ZERO)
def test_truncating_division_and_fmod_are_cs(a, b):
    quotient = int(a / b)
    assert cr.div(cr.tensor([a]), b, rounding_mode="trunc").item() == quotient
    assert cr.fmod(cr.tensor([a]), b).item() == a - quotient * b


@given(REAL, REAL.filter(lambda number: abs(number) > 1e-3))
def test_float_division_is_pythons(a, b):
    x, y = tensor(a), tensor(b)
    assert (x / y).item() == a / b
    assert (x // y).item() == a // b
    assert (x % y).item() == a % b
    assert cr.fmod(x, y).item() == math.fmod(a, b)


def test_truncating_division_of_large_integers_keeps_every_digit():
    large = 2**62 + 1
    assert cr.div(cr.tensor([large, -large]), 1, rounding_mode="trunc").tolist() == [large, -large]


def test_dividing_an_integer_by_zero_is_an_error_and_a_float_is_not():
    for function in (cr.floor_divide, cr.remainder, cr.fmod):
        with pytest.raises(OpError, match="divided by zero"):
            function(cr.tensor([1]), 0)
    assert (tensor(1.0, -1.0) / 0).tolist() == [math.inf, -math.inf]
    assert math.isnan((tensor(0.0) / 0).item())


def test_integers_divide_to_the_default_dtype():
    assert (cr.tensor([1, 2]) / 2).dtype is cr.float32
    assert cr.reciprocal(cr.tensor([2])).tolist() == [0.5]


@pytest.mark.parametrize("function", [operator.sub, cr.sub])
def test_bools_are_not_subtracted(function):
    yes = cr.tensor([True])
    with pytest.raises(DTypeError, match="bools"):
        function(yes, yes)
    with pytest.raises(DTypeError, match="bools"):
        operator.neg(yes)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ShapeError, match=r"f32\[2,3\] and f32\[4\]"):
        cr.ones(2, 3) + cr.ones(4)


def test_lerp_ends_exactly_at_its_ends():
    a, b = tensor(0.1, 1e16), tensor(0.3, 1.0)
    assert cr.lerp(a, b, 0.0).tolist() == a.tolist()
    assert cr.lerp(a, b, 1.0).tolist() == b.tolist()


def test_rsub_and_positive():
    assert cr.rsub(tensor(1.0), 3).tolist() == [2.0]
    assert cr.rsub(tensor(1.0), tensor(3.0), alpha=2).tolist() == [1.0]
    assert (+tensor(1.0)).tolist() == [1.0]


def test_logaddexp_does_not_overflow():
    assert cr.logaddexp(tensor(1000.0), tensor(1000.0)).item() == 1000 + math.log(2)
    assert cr.logaddexp2(tensor(3.0), tensor(3.0)).item() == pytest.approx(4.0)


def slope(function, at):
    x = tensor(at).requires_grad_()
    (x_bar,) = grad(function(x).sum(), x)
    return x_bar.item()


class TestPow:
    @given(st.floats(0.1, 10), st.floats(-3, 3))
    def test_is_pythons(self, a, b):
        assert (tensor(a) ** b).item() == pytest.approx(a**b, rel=1e-14)
        assert (tensor(a) ** tensor(b)).item() == pytest.approx(a**b, rel=1e-14)
        assert (a ** tensor(b)).item() == pytest.approx(a**b, rel=1e-14)

    @pytest.mark.parametrize("base", [-3.0, 0.0, 2.0])
    def test_a_square_has_the_slope_2x_everywhere(self, base):
        assert slope(lambda x: x**2, base) == 2 * base
        assert slope(lambda x: x.square(), base) == 2 * base
        assert slope(lambda x: x**3, base) == 3 * base**2

    @pytest.mark.parametrize("exponent", [0, 0.0])
    def test_to_the_zero_is_one_and_flat(self, exponent):
        assert (tensor(0.0, -1.0) ** exponent).tolist() == [1.0, 1.0]
        assert slope(lambda x: x**exponent, 0.0) == 0.0

    def test_zero_to_a_tensor_has_no_nan_in_either_gradient(self):
        x, y = tensor(0.0, 0.0).requires_grad_(), tensor(0.0, 2.0).requires_grad_()
        x_bar, y_bar = grad((x**y).sum(), (x, y))
        assert x_bar.tolist() == [0.0, 0.0]
        assert y_bar.tolist() == [0.0, 0.0]

    def test_the_third_derivative_of_a_square_at_zero_is_zero(self):
        x = tensor(0.0).requires_grad_()
        (first,) = grad((x**2).sum(), x, create_graph=True)
        (second,) = grad(first.sum(), x, create_graph=True)
        assert second.tolist() == [2.0]
        assert not second.requires_grad or grad(second.sum(), x)[0].tolist() == [0.0]

    def test_integers(self):
        assert (cr.tensor([2, -3]) ** 3).tolist() == [8, -27]
        assert (cr.tensor([2]) ** 0.5).dtype is cr.float32
        assert (cr.tensor([1, -1, 2]) ** cr.tensor([-3, -3, -1])).tolist() == [1, -1, 0]
        with pytest.raises(OpError, match="negative powers"):
            cr.tensor([2]) ** -1


class TestBounds:
    @given(REAL, REAL, REAL)
    def test_clamp(self, x, a, b):
        low, high = min(a, b), max(a, b)
        assert tensor(x).clamp(low, high).item() == min(max(x, low), high)

    def test_the_gradient_passes_at_a_bound_and_not_beyond(self):
        x = tensor(-2.0, -1.0, 0.0, 1.0, 2.0).requires_grad_()
        assert grad(x.clamp(-1, 1).sum(), x)[0].tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]

    def test_an_infinite_cotangent_stops_at_a_clamped_element(self):
        x = tensor(2.0).requires_grad_()
        assert grad(x.clamp(0, 1), x, tensor(math.inf))[0].tolist() == [0.0]

    def test_ties_share_the_gradient(self):
        x, y = tensor(1.0, 2.0).requires_grad_(), tensor(1.0, 1.0).requires_grad_()
        x_bar, y_bar = grad(cr.maximum(x, y).sum(), (x, y))
        assert (x_bar.tolist(), y_bar.tolist()) == ([0.5, 1.0], [0.5, 0.0])

    def test_nan_passes_maximum_and_not_fmax(self):
        x = tensor(math.nan, 1.0)
        assert math.isnan(cr.maximum(x, tensor(0.0))[0].item())
        assert cr.fmax(x, tensor(0.0)).tolist() == [0.0, 1.0]
        assert cr.fmin(x, tensor(0.0)).tolist() == [0.0, 0.0]

    def test_no_bounds_at_all_are_refused(self):
        with pytest.raises(DTypeError, match="neither"):
            tensor(1.0).clamp()


class TestBits:
    @given(WHOLE, WHOLE, st.integers(0, 20))
    def test_are_pythons(self, a, b, places):
        x, y = cr.tensor([a]), cr.tensor([b])
        assert (x & y).item() == a & b
        assert (x | y).item() == a | b
        assert (x ^ y).item() == a ^ b
        assert (~x).item() == ~a
        assert (x << places).item() == a << places
        assert (x >> places).item() == a >> places
        assert (places << y.abs() % 8).item() == places << abs(b) % 8

    def test_of_bools_are_logic(self):
        yes, no = cr.tensor([True]), cr.tensor([False])
        assert ((yes & no).item(), (yes | no).item(), (yes ^ yes).item()) == (False, True, False)
        assert (~yes).tolist() == [False]

    def test_floats_have_none(self):
        for function in (operator.and_, operator.or_, operator.xor):
            with pytest.raises(DTypeError, match="bitwise"):
                function(tensor(1.0), tensor(2.0))
        with pytest.raises(DTypeError, match="bitwise"):
            ~tensor(1.0)


def test_in_place_operators_write_into_the_same_memory():
    x = tensor(7.0, 8.0)
    memory = x.numpy()
    x += 1
    x *= 2
    x -= 4
    x /= 2
    assert memory.tolist() == [6.0, 7.0]
    x **= 2
    x //= 5
    x %= 4
    assert memory.tolist() == [3.0, 1.0]
    bits = cr.tensor([6])
    alias = bits
    bits &= 3
    bits |= 8
    bits ^= 1
    bits <<= 2
    bits >>= 1
    assert alias.tolist() == [22]


def test_an_in_place_change_keeps_the_gradient_of_what_was_there():
    x = tensor(3.0).requires_grad_()
    y = x * 1
    y.square_()
    assert grad(y.sum(), x)[0].tolist() == [6.0]


def test_equality_with_what_is_no_number_is_false():
    x = tensor(1.0)
    nothing = None
    assert (x == nothing) is False
    assert x != "1"
    assert x in {x: 0}


def test_numpy_operands():
    x = tensor(1.0, 2.0)
    assert (np.array([1.0, 1.0]) + x).tolist() == [2.0, 3.0]
    assert isinstance(np.float64(2.0) * x, cr.Tensor)


def test_products_and_quotients_are_added_in_one_go(rng):
    x, a, b = rng.random((3, 4)) + 0.5
    tensors = [cr.tensor(each) for each in (x, a, b)]
    for value in (1, -0.5):
        y = cr.addcmul(*tensors, value=value).numpy()
        np.testing.assert_allclose(y, x + value * a * b, rtol=1e-14)
        y = cr.addcdiv(*tensors, value=value).numpy()
        np.testing.assert_allclose(y, x + value * a / b, rtol=1e-14)


def test_a_factor_of_the_second_operand_must_suit_it():
    ones = cr.tensor([1, 1])
    assert cr.add(ones, ones, alpha=3).tolist() == [4, 4]
    assert cr.add(cr.tensor([1.0]), 3, alpha=2).tolist() == [7]
    with pytest.raises(OpError, match=r"alpha is 1\.5.*integers") as raised:
        cr.add(ones, ones, alpha=1.5)
    assert "pass an int" in raised.value.cure


def test_an_unknown_rounding_is_refused_and_the_known_ones_named():
    with pytest.raises(OpError, match="'up'") as raised:
        cr.div(cr.ones(2), 2, rounding_mode="up")
    assert '"trunc" or "floor"' in raised.value.cure
