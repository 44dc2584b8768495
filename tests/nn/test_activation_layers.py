"""Activations as layers: each is its formula with the settings it was built with."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.nn import functional as F

Array = np.ndarray[Any, Any]

X = np.array([[-4.0, -1.5, -0.5, -0.2, 0.0], [0.1, 0.4, 1.25, 3.5, 7.0]])


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Array, axis: int) -> Array:
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


# Klambauer et al., section 2: the fixed point of zero mean and unit variance.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

FORMULAS: list[tuple[nn.Module, Callable[[Array], Array]]] = [
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    (nn.SELU(), lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))),
    (nn.CELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x / 0.5))),
    (nn.Hardtanh(-0.3, 2.0), lambda x: np.clip(x, -0.3, 2)),
    (nn.Hardsigmoid(), lambda x: np.clip(x + 3, 0, 6) / 6),
    (nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    (nn.Threshold(0.3, -7.0), lambda x: np.where(x > 0.3, x, -7)),
    (nn.Hardshrink(0.45), lambda x: np.where(np.abs(x) > 0.45, x, 0)),
    (nn.Softshrink(0.45), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.45, 0)),
    (nn.LogSigmoid(), lambda x: np.log(_sigmoid(x))),
    (nn.LogSoftmax(0), lambda x: np.log(_softmax(x, 0))),
    (nn.Softmax(-1), lambda x: _softmax(x, 1)),
    (nn.Softmin(1), lambda x: _softmax(-x, 1)),
    (nn.Softplus(2.0, 3.0), lambda x: np.where(2 * x > 3, x, np.log1p(np.exp(2 * x)) / 2)),
    (nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    (nn.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    (nn.SiLU(), lambda x: x * _sigmoid(x)),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
]


@pytest.mark.parametrize(("layer", "formula"), FORMULAS, ids=lambda each: type(each).__name__)
def test_a_layer_is_its_formula_with_the_settings_it_was_given(
    layer: nn.Module, formula: Callable[[Array], Array]
) -> None:
    y = layer(chainrule.tensor(X))
    assert y.shape == X.shape
    np.testing.assert_allclose(y.numpy(), formula(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "build",
    [nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.Hardtanh, nn.Mish, nn.SiLU]
    + [nn.Hardsigmoid, nn.Hardswish, lambda inplace=False: nn.Threshold(0.3, -7.0, inplace)],
)
def test_in_place_layers_overwrite_their_input_with_what_they_would_have_returned(
    build: Any,
) -> None:
    x = chainrule.tensor(X)
    expected = build()(x).numpy().copy()
    np.testing.assert_array_equal(x.numpy(), X)
    y = build(inplace=True)(x)
    assert y.data_ptr() == x.data_ptr()
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize(
    ("inplace", "usual"), [(F.leaky_relu_, F.leaky_relu), (F.elu_, F.elu), (F.relu_, F.relu)]
)
def test_functions_with_an_underscore_overwrite_their_input(inplace: Any, usual: Any) -> None:
    x = chainrule.tensor(X)
    assert inplace(x) is x
    np.testing.assert_array_equal(x.numpy(), usual(chainrule.tensor(X)).numpy())


def test_softmax_over_channels_is_one_at_every_place_with_or_without_a_batch(rng) -> None:
    x = rng.standard_normal((2, 3, 4, 5))
    for array in (x, x[0]):
        y = nn.Softmax2d()(chainrule.tensor(array)).numpy()
        np.testing.assert_allclose(y, _softmax(array, -3), rtol=1e-12)


def test_a_gated_linear_unit_halves_the_dimension_it_was_told() -> None:
    x = np.arange(12.0).reshape(4, 3) / 5
    y = nn.GLU(0)(chainrule.tensor(x)).numpy()
    np.testing.assert_allclose(y, x[:2] * _sigmoid(x[2:]), rtol=1e-12)


def test_the_slope_of_prelu_is_learned_for_each_channel(rng) -> None:
    layer = nn.PReLU(3, init=0.1)
    np.testing.assert_allclose(layer.weight.tolist(), [0.1] * 3)
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    y = layer(chainrule.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), np.where(x > 0, x, x * 0.1), rtol=1e-5)
    y.sum().backward()
    expected = np.minimum(x, 0).sum((0, 2))
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, rtol=1e-5)
    one = nn.PReLU()(chainrule.tensor(-2.0))
    assert one.shape == ()
    assert one.item() == pytest.approx(-0.5)


def test_the_tanh_gelu_is_near_the_exact_one_and_not_the_same() -> None:
    x = chainrule.tensor(X)
    exact = np.array([[0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in row] for row in X])
    np.testing.assert_allclose(nn.GELU()(x).numpy(), exact, rtol=1e-12, atol=1e-15)
    approximate = nn.GELU("tanh")(x).numpy()
    cubic = np.sqrt(2 / np.pi) * (X + 0.044715 * X**3)
    np.testing.assert_allclose(approximate, 0.5 * X * (1 + np.tanh(cubic)), rtol=1e-10, atol=1e-15)
    assert 0 < np.abs(approximate - exact).max() < 1e-3
