"""What activations promise: stable at the extremes, NaN passed on, bodies that mean the same."""

import numpy as np
import pytest

import chainrule
from chainrule.core.op import registry
from chainrule.core.samples import samples_of
from chainrule.errors import ConfigError, ShapeError
from chainrule.nn import functional as F
from chainrule.nn.functional.activation import Activation

ACTIVATIONS = sorted(name for name, op in registry.items() if issubclass(op, Activation))
EXTREMES = np.array([-1e4, -100.0, -20.0, 0.0, 20.0, 100.0, 1e4], np.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_body_and_reference_are_the_same_function(name):
    for sample in samples_of(registry[name]):
        x = chainrule.from_numpy(sample.inputs[0])
        expected = np.asarray(sample.op.reference(sample.inputs[0]))
        np.testing.assert_allclose(sample.op.body(x).numpy(), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope_by_hand_is_autodiff_of_the_body(name):
    for sample in samples_of(registry[name]):
        x = chainrule.from_numpy(sample.inputs[0]).requires_grad_()
        (true,) = chainrule.autograd.grad(sample.op.body(x).sum(), x)
        (mine,) = chainrule.autograd.grad(chainrule.core.interpret.bind(sample.op, x).sum(), x)
        np.testing.assert_allclose(mine.numpy(), true.numpy(), rtol=1e-8, atol=1e-10)


UNARY = [
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "hardtanh",
    "hardsigmoid",
    "hardswish",
    "logsigmoid",
    "tanhshrink",
    "softshrink",
    "hardshrink",
    "sigmoid",
    "tanh",
]


@pytest.mark.parametrize("name", UNARY)
def test_extreme_inputs_give_finite_values_and_slopes(name):
    x = chainrule.tensor(EXTREMES, requires_grad=True)
    y = getattr(F, name)(x)
    y.sum().backward()
    assert np.isfinite(y.detach().numpy()).all()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("name", UNARY)
def test_nan_is_passed_on(name):
    assert np.isnan(getattr(F, name)(chainrule.tensor([float("nan")])).item())


@pytest.mark.parametrize("name", UNARY)
def test_float16_and_empty_inputs_keep_their_type(name):
    for shape in ((0, 3), (), (2,)):
        x = chainrule.zeros(shape, dtype=chainrule.float16)
        assert getattr(F, name)(x).type == x.type


def test_relu_has_no_slope_at_zero_and_takes_integers():
    x = chainrule.zeros(3, requires_grad=True)
    F.relu(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    y = F.relu(chainrule.tensor([-2, 3]))
    assert y.tolist() == [0, 3]
    assert y.dtype is chainrule.int64


def test_known_values():
    x = chainrule.tensor([-1.0, 0.0, 1.0], dtype=chainrule.float64)
    expected = {  # by hand, or from tables of erf and exp
        "gelu": [-0.15865525393145707, 0, 0.8413447460685429],
        "silu": [-0.2689414213699951, 0, 0.7310585786300049],
        "softplus": [0.31326168751822286, 0.6931471805599453, 1.3132616875182228],
        "elu": [-0.6321205588285577, 0, 1],
        "hardswish": [-1 / 3, 0, 2 / 3],
        "softsign": [-0.5, 0, 0.5],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(F, name)(x).numpy(), values, rtol=1e-12, atol=1e-15)


def test_gelu_far_below_zero_does_not_cancel():
    """x Φ(x) at -10, Φ(-10) = 7.6199e-24 from a table of the normal distribution."""
    y = F.gelu(chainrule.tensor([-10.0], dtype=chainrule.float64)).item()
    assert y == pytest.approx(-7.61985302416e-23, rel=1e-9, abs=0)


def test_in_place_writes_into_the_input():
    x = chainrule.tensor([-1.0, 2.0])
    for name, expected in (("relu_", [0, 2]), ("hardtanh_", [0, 1]), ("threshold_", [7, 1])):
        arguments = (0.5, 7.0) if name == "threshold_" else ()
        assert getattr(F, name)(x, *arguments) is x
        assert x.tolist() == expected


def test_in_place_on_a_leaf_that_wants_gradients_is_refused():
    with pytest.raises(chainrule.errors.ChainruleError):
        F.relu(chainrule.ones(2, requires_grad=True), inplace=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.gelu(x, approximate="sigmoid"),
        lambda x: F.celu(x, alpha=0),
        lambda x: F.hardtanh(x, 1.0, -1.0),
        lambda x: F.softshrink(x, -0.5),
        lambda x: F.softplus(x, beta=0),
    ],
)
def test_options_out_of_range_are_refused(call):
    with pytest.raises(ConfigError):
        call(chainrule.ones(3))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="odd"):
        F.glu(chainrule.ones(2, 3))
    with pytest.raises(ShapeError, match="channels"):
        F.prelu(chainrule.ones(2, 3), chainrule.ones(2))


# ---- softmax ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_sums_to_one_and_ignores_a_shift(rng, dim):
    x = chainrule.tensor(rng.standard_normal((4, 5)))
    y = F.softmax(x, dim)
    np.testing.assert_allclose(y.sum(dim).numpy(), 1, rtol=1e-14)
    np.testing.assert_allclose(F.softmax(x + 1e3, dim).numpy(), y.numpy(), rtol=1e-10)
    np.testing.assert_allclose(F.log_softmax(x, dim).exp().numpy(), y.numpy(), rtol=1e-13)


def test_softmax_of_extreme_scores():
    x = chainrule.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], requires_grad=True)
    y, log_y = F.softmax(x, 1), F.log_softmax(x, 1)
    np.testing.assert_allclose(y.detach().numpy()[0], [1, 0, 0])
    np.testing.assert_allclose(log_y.detach().numpy()[0], [0, -2e4, -1e4])
    np.testing.assert_allclose(y.detach().numpy()[1], 1 / 3, rtol=1e-6)
    (y.sum() + log_y.sum()).backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_softmax_of_a_scalar_a_nan_and_nothing():
    assert F.softmax(chainrule.tensor(3.0), 0).item() == 1
    assert F.log_softmax(chainrule.tensor(3.0), -1).item() == 0
    assert np.isnan(F.softmax(chainrule.tensor([1.0, float("nan")]), 0).numpy()).all()
    assert F.softmax(chainrule.zeros(0, 3), 1).shape == (0, 3)
    with pytest.raises(chainrule.errors.DimensionError):
        F.softmax(chainrule.zeros(2, 3), 2)


@pytest.mark.parametrize(("dtype", "large"), [(np.float16, 6e4), (np.float32, 3e38)])
def test_hardswish_of_a_large_number_is_that_number(dtype, large):
    x = chainrule.from_numpy(np.array([large], dtype))
    assert F.hardswish(x).tolist() == x.tolist()
