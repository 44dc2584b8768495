"""autograd.functional and func: Jacobians, Hessians and products with them, by closed forms."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import func
from chainrule.autograd import functional as F
from chainrule.errors import AutogradError, ConfigError, DTypeError, ShapeError


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def tensor(*shape, seed=0, requires_grad=False):
    x = cr.from_numpy(array(*shape, seed=seed))
    return x.requires_grad_() if requires_grad else x


A = array(3, 3, seed=9)


def quadratic(x):
    """x A x, whose gradient is (A + Aᵀ) x and whose Hessian is A + Aᵀ."""
    return (x @ cr.from_numpy(A) * x).sum()


def two(x, y):
    """Outputs of shapes (3,) and (2,)."""
    return x * y.sum(), y * y


# ---- autograd.functional ---------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian_of_one_output_by_one_input(strategy):
    x = tensor(3)
    J = F.jacobian(lambda x: x @ cr.from_numpy(A), x, strategy=strategy)
    np.testing.assert_allclose(J.numpy(), A.T)
    assert not J.requires_grad


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian_of_several_by_several(strategy):
    x, y = tensor(3), tensor(2, seed=1)
    J = F.jacobian(two, (x, y), strategy=strategy)
    assert [[each.shape for each in row] for row in J] == [[(3, 3), (3, 2)], [(2, 3), (2, 2)]]
    np.testing.assert_allclose(J[0][0].numpy(), np.eye(3) * y.numpy().sum())
    np.testing.assert_allclose(J[0][1].numpy(), np.outer(x.numpy(), [1, 1]))
    np.testing.assert_array_equal(J[1][0].numpy(), np.zeros((2, 3)))
    np.testing.assert_allclose(J[1][1].numpy(), np.diag(2 * y.numpy()))


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian_can_be_differentiated(strategy):
    x = tensor(3, requires_grad=True)
    J = F.jacobian(lambda x: x**3, x, create_graph=True, strategy=strategy)
    J.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.detach().numpy())


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian_of_empty_and_scalar(strategy):
    empty = F.jacobian(lambda x: x * 2, cr.ones(0), strategy=strategy)
    assert empty.shape == (0, 0)
    assert F.jacobian(lambda x: x * x, cr.tensor(3.0), strategy=strategy).item() == 6


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_hessian(strategy):
    H = F.hessian(quadratic, tensor(3), outer_jacobian_strategy=strategy)
    np.testing.assert_allclose(H.numpy(), A + A.T)


def test_hessian_of_two_inputs_has_blocks():
    x, y = tensor(2), tensor(2, seed=1)
    H = F.hessian(lambda x, y: (x * x * y).sum(), (x, y))
    np.testing.assert_allclose(H[0][0].numpy(), np.diag(2 * y.numpy()))
    np.testing.assert_allclose(H[0][1].numpy(), np.diag(2 * x.numpy()))
    np.testing.assert_allclose(H[1][0].numpy(), np.diag(2 * x.numpy()))
    np.testing.assert_array_equal(H[1][1].numpy(), np.zeros((2, 2)))


def test_hessian_of_a_linear_function_is_zero():
    np.testing.assert_array_equal(F.hessian(lambda x: x.sum(), tensor(2)).numpy(), np.zeros((2, 2)))


@pytest.mark.parametrize("product", [F.hvp, F.vhp])
def test_products_with_the_hessian(product):
    x, v = tensor(3), tensor(3, seed=2)
    value, found = product(lambda x: quadratic(x).tanh(), x, v)
    H = F.hessian(lambda x: quadratic(x).tanh(), x).numpy()
    np.testing.assert_allclose(found.numpy(), H @ v.numpy())
    assert value.item() == pytest.approx(np.tanh(x.numpy() @ A @ x.numpy()))
    assert not found.requires_grad


@pytest.mark.parametrize("product", [F.hvp, F.vhp])
def test_products_with_the_hessian_can_be_differentiated(product):
    x, v = tensor(3, requires_grad=True), tensor(3, seed=2)
    product(lambda x: (x**4).sum(), x, v, create_graph=True)[1].sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 24 * x.detach().numpy() * v.numpy())


def test_vjp_and_jvp_are_adjoint():
    xs = tensor(3), tensor(2, seed=1)
    dots = tensor(3, seed=2), tensor(2, seed=3)
    bars = tensor(3, seed=4), tensor(2, seed=5)
    _, y_dots = F.jvp(two, xs, dots)
    _, x_bars = F.vjp(two, xs, bars)
    left = sum((a * b).sum().item() for a, b in zip(bars, y_dots))
    right = sum((a * b).sum().item() for a, b in zip(x_bars, dots))
    assert left == pytest.approx(right, rel=1e-12)


def test_the_inputs_are_left_alone():
    x = tensor(3, requires_grad=True)
    F.jacobian(lambda x: x * x, x)
    F.hessian(quadratic, x)
    F.vjp(lambda x: x * x, x, tensor(3))
    assert x.grad is None
    y = tensor(3)
    F.jacobian(lambda x: x * x, y)
    assert not y.requires_grad


def test_works_under_no_grad():
    with cr.no_grad():
        np.testing.assert_allclose(F.hessian(quadratic, tensor(3)).numpy(), A + A.T)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_strict_refuses_independence(strategy):
    with pytest.raises(AutogradError, match="does not depend"):
        F.jacobian(two, (tensor(3), tensor(2)), strict=True, strategy=strategy)
    with pytest.raises(AutogradError, match="does not depend"):
        F.vjp(lambda x: cr.ones(2), tensor(2), cr.ones(2), strict=True)


def test_refusals():
    with pytest.raises(ConfigError, match="sideways"):
        F.jacobian(quadratic, tensor(3), strategy="sideways")
    with pytest.raises(DTypeError, match="inputs"):
        F.jacobian(quadratic, 3.0)
    with pytest.raises(AutogradError, match="one number"):
        F.hessian(lambda x: x * x, tensor(3))
    with pytest.raises(ShapeError, match="v is"):
        F.jvp(lambda x: x * x, tensor(3), tensor(2))
    with pytest.raises(AutogradError, match="left out"):
        F.vjp(lambda x: x * x, tensor(3))


# ---- func ------------------------------------------------------------------------------------


def test_grad_of_grad_of_grad():
    f = lambda x: x**5  # noqa: E731
    for expected in (5 * 2.0**4, 20 * 2.0**3, 60 * 2.0**2):
        f = func.grad(f)
        y = f(cr.tensor(2.0, dtype=cr.float64))
        assert y.item() == expected
        assert not y.requires_grad


def test_argnums_and_aux():
    def f(x, y, *, scale):
        z = (x * y * scale).sum()
        return z, {"z": z}

    x, y = tensor(3), tensor(3, seed=1)
    gradient, aux = func.grad(f, argnums=1, has_aux=True)(x, y, scale=2)
    np.testing.assert_allclose(gradient.numpy(), 2 * x.numpy())
    assert not aux["z"].requires_grad
    both, (value, aux) = func.grad_and_value(f, (0, 1), has_aux=True)(x, y, scale=1)
    np.testing.assert_allclose(both[0].numpy(), y.numpy())
    np.testing.assert_allclose(both[1].numpy(), x.numpy())
    assert value.item() == aux["z"].item() == pytest.approx(x.numpy() @ y.numpy())
    assert not value.requires_grad


def test_gradients_come_in_the_form_of_the_parameters():
    parameters = {"w": tensor(2, 3), "layers": [tensor(3, seed=1), (tensor(3, seed=2),)]}

    def loss(p, x):
        a, (b,) = p["layers"]
        return ((x @ p["w"] + a) * b).sum()

    g = func.grad(loss)(parameters, tensor(4, 2, seed=3))
    assert g.keys() == parameters.keys()
    assert g["w"].shape == (2, 3)
    assert isinstance(g["layers"], list)
    assert isinstance(g["layers"][1], tuple)
    np.testing.assert_allclose(g["layers"][0].numpy(), 4 * parameters["layers"][1][0].numpy())


def test_closed_over_tensors_keep_their_gradients():
    w = tensor(3, seed=1, requires_grad=True)
    g = func.grad(lambda x: (x * x * w).sum())(tensor(3))
    g.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * array(3))


def test_vjp_may_pull_back_many_times():
    y, pull_back = func.vjp(lambda x: x @ cr.from_numpy(A), tensor(3))
    for index in range(3):
        (row,) = pull_back(cr.from_numpy(np.eye(3)[index]))
        np.testing.assert_allclose(row.numpy(), A.T[index])
    assert not y.requires_grad


@pytest.mark.parametrize("jacobian", [func.jacrev, func.jacfwd])
def test_jacobians(jacobian):
    x, y = tensor(3), tensor(2, seed=1)
    J = jacobian(two, argnums=(0, 1))(x, y)
    np.testing.assert_allclose(J[0][0].numpy(), np.eye(3) * y.numpy().sum())
    np.testing.assert_allclose(J[0][1].numpy(), np.outer(x.numpy(), [1, 1]))
    np.testing.assert_allclose(J[1][1].numpy(), np.diag(2 * y.numpy()))
    alone, aux = jacobian(lambda x: (x**2, "aux"), has_aux=True)(x)
    np.testing.assert_allclose(alone.numpy(), np.diag(2 * x.numpy()))
    assert aux == "aux"


def f(x):
    return (x.tanh() * x @ cr.from_numpy(A) * x.exp()).sum()


@pytest.mark.parametrize("outer", [func.jacrev, func.jacfwd])
@pytest.mark.parametrize("inner", [func.jacrev, func.jacfwd, func.grad])
def test_every_nesting_gives_the_same_hessian(outer, inner):
    x = tensor(3)
    expected = F.hessian(f, x).numpy()
    np.testing.assert_allclose(outer(inner(f))(x).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(expected, expected.T, rtol=1e-12)


def test_hessian_by_func():
    np.testing.assert_allclose(func.hessian(quadratic)(tensor(3)).numpy(), A + A.T)


def test_hvp_by_composition():
    x, v = tensor(3), tensor(3, seed=1)
    _, hv = func.jvp(func.grad(f), (x,), (v,))
    np.testing.assert_allclose(hv.numpy(), F.hessian(f, x).numpy() @ v.numpy())


def test_func_refusals():
    with pytest.raises(AutogradError, match="one number"):
        func.grad(lambda x: x * x)(tensor(3))
    with pytest.raises(DTypeError, match="i64"):
        func.grad(lambda x: x.sum())(cr.tensor([1, 2]))
    with pytest.raises(AutogradError, match="argnums"):
        func.grad(quadratic, argnums=3)(tensor(3))
    with pytest.raises(AutogradError, match="has_aux"):
        func.grad(quadratic, has_aux=True)(tensor(3))


def test_functional_and_func_say_what_was_given_and_what_would_do():
    x = cr.ones(2)
    for call, match, cure in (
        (lambda: F.hvp(lambda x: x.sum(), x, x, strict=True), "depend", "strict=False"),
        (lambda: F.hvp(lambda x: (x.sum(),) * 2, x, x), "2 outputs", "one scalar"),
        (lambda: F.vhp(lambda x: (x * x).sum(), x), "v may be left out", "the inputs"),
        (lambda: F.vjp(lambda x: x * x, x), "v may be left out", "the outputs"),
        (lambda: func.vjp(lambda x: (x, x), x)[1](x), "2 outputs, 1 cotangents", "one per output"),
        (lambda: func.jvp(lambda x: x, (x,), (x, x)), "1 primals, 2 tangents", "one per primal"),
    ):
        with pytest.raises(AutogradError, match=match) as raised:
            call()
        assert cure in raised.value.cure


def test_a_vector_may_be_left_out_for_a_scalar():
    x = cr.tensor(3.0)
    assert [each.item() for each in F.vhp(lambda x: x**3, x)] == [27, 18]
    assert [each.item() for each in F.hvp(lambda x: x**3, x)] == [27, 18]
    assert [each.item() for each in F.vjp(lambda x: x**3, x)] == [27, 27]
    assert [each.item() for each in F.jvp(lambda x: x**3, x)] == [27, 27]


def test_what_does_not_depend_on_its_input_has_a_derivative_of_zero():
    x = cr.ones(2)
    assert func.grad(lambda x: cr.tensor(1.0))(x).tolist() == [0, 0]
    assert func.vjp(lambda x: cr.ones(3), x)[1](cr.ones(3))[0].tolist() == [0, 0]
    for jacobian in (func.jacrev, func.jacfwd):
        assert jacobian(lambda x: cr.ones(3))(x).tolist() == [[0, 0]] * 3
        assert jacobian(lambda x: x * 2)(cr.ones(0)).shape == (0, 0)
