"""Initialisers: bounds, spreads, structure; one seed, the same numbers."""

import math

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.errors import ConfigError, ShapeError
from chainrule.nn import init


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(chainrule.zeros(*shape))


def values(tensor: chainrule.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


@pytest.mark.parametrize(
    ("fill", "bound"),
    [
        (lambda w: init.uniform_(w, -0.5, 0.5), 0.5),
        (lambda w: init.xavier_uniform_(w, gain=2), 2 * math.sqrt(6 / (200 + 100))),
        (lambda w: init.kaiming_uniform_(w), math.sqrt(2) * math.sqrt(3 / 200)),
        (lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), 1 / math.sqrt(200)),
        (
            lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="tanh"),
            5 / 3 * math.sqrt(3 / 100),
        ),
    ],
)
def test_uniform_ones_fill_their_bounds_evenly(fill, bound) -> None:
    w = weight(100, 200)
    assert fill(w) is w
    x = values(w)
    assert np.abs(x).max() <= bound
    assert np.abs(x).max() > 0.999 * bound
    assert x.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert abs(x.mean()) < 0.02 * bound
    assert w.requires_grad
    assert w.is_leaf


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (lambda w: init.normal_(w, 1.0, 0.5), 0.5),
        (lambda w: init.xavier_normal_(w), math.sqrt(2 / 300)),
        (lambda w: init.kaiming_normal_(w), math.sqrt(2 / 200)),
        (lambda w: init.kaiming_normal_(w, 0.2, "fan_out"), math.sqrt(2 / 1.04 / 100)),
    ],
)
def test_normal_ones_have_their_spread(fill, std) -> None:
    x = values(fill(weight(100, 200)))
    assert x.std() == pytest.approx(std, rel=0.03)
    assert np.abs(x - x.mean()).max() > 3 * std


def test_fans_of_a_convolution() -> None:
    assert init.fans(weight(8, 3, 5, 5)) == (75, 200)
    with pytest.raises(ShapeError):
        init.xavier_uniform_(weight(3))


def test_truncated_normal_stays_inside_and_has_the_known_variance() -> None:
    x = values(init.trunc_normal_(weight(200, 200)))
    assert np.abs(x).max() <= 2
    assert x.var() == pytest.approx(0.7737, rel=0.03)  # of N(0, 1) cut at ±2
    x = values(init.trunc_normal_(weight(200, 200), mean=1, std=0.02, a=0.99, b=2))
    assert x.min() >= 0.99
    assert x.mean() == pytest.approx(1 + 0.02 * 0.5092, abs=5e-4)  # cut at -1/2 σ


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (8, 3, 2, 2)])
def test_orthogonal_rows_or_columns(shape) -> None:
    x = values(init.orthogonal_(weight(*shape), gain=2)).reshape(shape[0], -1)
    product = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_structured_ones() -> None:
    np.testing.assert_array_equal(values(init.eye_(weight(2, 3))), np.eye(2, 3))
    assert (values(init.constant_(weight(2), 7)) == 7).all()
    assert (values(init.ones_(weight(2))) == 1).all()
    assert (values(init.zeros_(init.ones_(weight(2)))) == 0).all()
    x = chainrule.randn(1, 4, 5, 5)
    kernel = init.dirac_(weight(4, 2, 3, 3), groups=2)
    y = nn.functional.conv2d(x, kernel, padding=1, groups=2)
    np.testing.assert_allclose(values(y), values(x), atol=1e-6)
    sparse = values(init.sparse_(weight(50, 20), 0.3))
    assert ((sparse == 0).sum(0) == 15).all()


def test_gains() -> None:
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 1) == 1
    with pytest.raises(ConfigError, match="leaky_relu"):
        init.calculate_gain("swoosh")
    with pytest.raises(ConfigError, match="fan_out"):
        init.kaiming_normal_(weight(2, 2), mode="both")


@pytest.mark.parametrize("wrong", [init.eye_, init.orthogonal_, init.dirac_])
def test_shapes_that_do_not_suit(wrong) -> None:
    with pytest.raises(ShapeError):
        wrong(weight(3))
    with pytest.raises(ShapeError):
        init.sparse_(weight(3), 0.5)


def test_one_seed_gives_the_same_network_bit_for_bit() -> None:
    def build() -> dict[str, list]:
        chainrule.manual_seed(11)
        model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Linear(4, 5), nn.Embedding(3, 2))
        return {name: each.tolist() for name, each in model.state_dict().items()}

    assert build() == build()


def test_a_generator_can_be_named() -> None:
    one = chainrule.Generator().manual_seed(5)
    x = values(init.normal_(weight(3), generator=one))
    chainrule.manual_seed(5)
    np.testing.assert_array_equal(values(init.normal_(weight(3))), x)


def test_default_initialisation_of_layers() -> None:
    linear = nn.Linear(400, 300)
    assert np.abs(values(linear.weight)).max() == pytest.approx(1 / 20, rel=1e-3)
    assert np.abs(values(linear.bias)).max() == pytest.approx(1 / 20, rel=0.02)
    conv = nn.Conv2d(16, 32, 5)
    assert np.abs(values(conv.weight)).max() == pytest.approx(1 / 20, rel=1e-3)
    assert np.abs(values(conv.bias)).max() <= 1 / 20
    assert values(nn.Embedding(300, 100).weight).std() == pytest.approx(1, rel=0.02)
    norm = nn.BatchNorm2d(3)
    assert norm.weight.tolist() == [1, 1, 1]
    assert norm.bias.tolist() == [0, 0, 0]


def test_half_precision_weights() -> None:
    layer = nn.Linear(100, 50, dtype=chainrule.float16)
    assert layer.weight.dtype == chainrule.float16
    assert np.abs(values(layer.weight)).max() <= 0.1
    assert values(layer.weight).std() > 0.05
