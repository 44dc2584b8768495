"""Forward mode: tangents through ops, and how its levels nest with each other and with the tape."""

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import forward_ad as fwd
from chainrule.autograd import grad
from chainrule.errors import AutogradError, DTypeError, ShapeError
from chainrule.func import jvp


def scalar(value, requires_grad=False):
    return cr.tensor(value, dtype=cr.float64, requires_grad=requires_grad)


ONE = scalar(1.0)


def derivative(f):
    """By forward mode."""
    return lambda x: jvp(f, (x,), (cr.ones_like(x),))[1]


def test_a_tangent_follows_the_chain_rule():
    with fwd.dual_level():
        x = fwd.make_dual(scalar(0.5), scalar(2.0))
        primal, tangent = fwd.unpack_dual((x * x).sin())
    assert primal.item() == pytest.approx(math.sin(0.25))
    assert tangent.item() == pytest.approx(math.cos(0.25) * 2 * 0.5 * 2)


def test_what_does_not_depend_on_the_dual_has_no_tangent():
    with fwd.dual_level():
        fwd.make_dual(scalar(0.5), ONE)
        assert fwd.unpack_dual(scalar(2.0) * 3).tangent is None


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_nested_levels_give_higher_derivatives(order):
    f = cr.tanh
    for _ in range(order):
        f = derivative(f)
    p = np.polynomial.Polynomial([0, 1])
    for _ in range(order):
        p = p.deriv() * np.polynomial.Polynomial([1, 0, -1])
    assert f(scalar(0.3)).item() == pytest.approx(p(math.tanh(0.3)))


def test_perturbations_are_not_confused():
    """d/dx (x · d/dy (x + y)) = 1; a tangent mistaken for the other level's gives 2."""
    result = derivative(lambda x: x * derivative(lambda y: x + y)(ONE))(ONE)
    assert result.item() == 1


def test_the_inner_function_closes_over_the_outer_variable():
    """d/dx [x · d/dy (x y²)] at x = 3, y = 2: d/dx (x · 2 x y) = 4 x y."""
    y = scalar(2.0)
    result = derivative(lambda x: x * derivative(lambda y: x * y * y)(y))(scalar(3.0))
    assert result.item() == 24


def test_forward_over_reverse():
    """The tangent of a gradient: tanh saves its output, mul its inputs."""
    x = scalar(0.3)

    def gradient(x):
        x = x.reshape(())
        if not x.requires_grad:
            tangents = x.tangents
            x = x.detach().requires_grad_()
            x.tangents = tangents
        return grad(x.tanh() * x, x)[0]

    t = math.tanh(0.3)
    expected = 2 * (1 - t * t) - 2 * 0.3 * t * (1 - t * t)
    assert derivative(gradient)(x).item() == pytest.approx(expected)


def test_reverse_over_forward():
    x = scalar(0.3, requires_grad=True)
    y_dot = derivative(lambda x: x.tanh() * x)(x)
    (second,) = grad(y_dot, x)
    t = math.tanh(0.3)
    expected = 2 * (1 - t * t) - 2 * 0.3 * t * (1 - t * t)
    assert second.item() == pytest.approx(expected)


def test_reverse_over_forward_by_the_tangent():
    x, x_dot = scalar(0.3, requires_grad=True), scalar(2.0, requires_grad=True)
    _, y_dot = jvp(lambda x: x**3, (x,), (x_dot,))
    by_x, by_dot = grad(y_dot, [x, x_dot])
    assert by_dot.item() == pytest.approx(3 * 0.09)
    assert by_x.item() == pytest.approx(6 * 0.3 * 2)


def test_the_tape_still_records_the_value():
    x = scalar(2.0, requires_grad=True)
    y, _ = jvp(lambda x: x * x, (x,), (ONE,))
    y.backward()
    assert x.grad.item() == 4


def test_detach_cuts_the_tangent():
    _, y_dot = jvp(lambda x: x * x.detach(), (scalar(3.0),), (ONE,))
    assert y_dot.item() == 3


def test_no_grad_does_not_cut_the_tangent():
    with cr.no_grad():
        _, y_dot = jvp(lambda x: x * x, (scalar(3.0),), (ONE,))
    assert y_dot.item() == 6


def test_enable_grad_inside_no_grad_records_the_tangent_too():
    x = scalar(3.0, requires_grad=True)

    def f(x):
        with cr.enable_grad():
            return x**3

    with cr.no_grad(), cr.enable_grad():
        _, y_dot = jvp(f, (x,), (ONE,))
    assert grad(y_dot, x)[0].item() == 18


def test_integers_have_no_tangent():
    with fwd.dual_level():
        x = fwd.make_dual(scalar(2.5), ONE)
        assert fwd.unpack_dual(x.to(cr.int64)).tangent is None


def test_the_given_tensor_is_left_alone():
    x = scalar(3.0)
    jvp(lambda x: x * x, (x,), (ONE,))
    assert x.tangents is None


def test_a_level_ends_with_its_block():
    with pytest.raises(KeyError), fwd.dual_level():
        raise KeyError
    with pytest.raises(AutogradError, match="level"):
        fwd.make_dual(ONE, ONE)


def test_a_tangent_has_the_type_of_its_tensor():
    with fwd.dual_level():
        with pytest.raises(ShapeError, match=r"f64\[2\]"):
            fwd.make_dual(ONE, cr.ones(2, dtype=cr.float64))
        with pytest.raises(DTypeError, match="f32"):
            fwd.make_dual(ONE, cr.tensor(1.0))
        with pytest.raises(DTypeError, match="i64"):
            fwd.make_dual(cr.tensor(1), cr.tensor(1))


def test_outer_levels_can_be_named():
    with fwd.dual_level() as outer, fwd.dual_level():
        x = fwd.make_dual(scalar(3.0), ONE, level=outer)
        y = x * x
        assert fwd.unpack_dual(y).tangent is None
        assert fwd.unpack_dual(y, level=outer).tangent.item() == 6


def test_a_view_of_what_was_changed_in_place_is_refused():
    with fwd.dual_level():
        base = fwd.make_dual(cr.ones(2, dtype=cr.float64), cr.ones(2, dtype=cr.float64))
        view = base.reshape(2, 1)
        base.mul_(cr.full((2,), 3.0, dtype=cr.float64))
        with pytest.raises(AutogradError, match="view"):
            view * 2


def test_writing_in_place_moves_the_tangent():
    def f(x):
        y = x * 1
        y.mul_(x)
        return y

    assert jvp(f, (scalar(3.0),), (ONE,))[1].item() == 6


def test_a_coarse_op_is_its_body():
    """softmax: J x_dot = y (x_dot - <y, x_dot>), also over and under a backward pass."""
    import chainrule.nn.functional as F

    x = cr.tensor([0.1, 0.7, -0.3], dtype=cr.float64, requires_grad=True)
    x_dot = cr.tensor([1.0, -2.0, 0.5], dtype=cr.float64)
    y, y_dot = jvp(lambda x: F.softmax(x, 0), (x,), (x_dot,))
    p, d = y.detach().numpy(), x_dot.numpy()
    np.testing.assert_allclose(y_dot.detach().numpy(), p * (d - p @ d))

    def entropy_like(x):
        return (F.softmax(x, 0) ** 2).sum()

    (first,) = grad(entropy_like(x), x, create_graph=True)
    (expected,) = grad(first, x, x_dot)
    (over_reverse,) = grad(jvp(entropy_like, (x,), (x_dot,))[1], x)
    np.testing.assert_allclose(over_reverse.numpy(), expected.numpy())
    under = cr.autograd.functional.hvp(entropy_like, x, x_dot)[1]
    np.testing.assert_allclose(under.numpy(), expected.numpy())
