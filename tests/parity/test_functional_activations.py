"""Activations against PyTorch: values and gradients, every option, in float32 and float64."""

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees

import chainrule
from chainrule.nn import functional as F

torch = pytest.importorskip("torch")

X = np.concatenate(
    [
        np.linspace(-9, 9, 37),
        [-1e4, 1e4, -100.0, 100.0, 1e-8, -1e-8, -0.5, 0.5, 20.0, 20.001],
    ]
)

CALLS = [
    ("relu", {}),
    ("relu6", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {}),
    ("elu", {"alpha": 0.4}),
    ("selu", {}),
    ("celu", {}),
    ("celu", {"alpha": 2.5}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("silu", {}),
    ("mish", {}),
    ("softplus", {}),
    ("softplus", {"beta": 2.0, "threshold": 5.0}),
    ("softsign", {}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("logsigmoid", {}),
    ("tanhshrink", {}),
    ("softshrink", {}),
    ("softshrink", {"lambd": 2.0}),
    ("hardshrink", {}),
    ("hardshrink", {"lambd": 2.0}),
    ("sigmoid", {}),
    ("tanh", {}),
]
CORNERS = {  # inputs at which PyTorch chooses a slope, and so do we
    "relu": [0.0],
    "relu6": [0.0, 6.0],
    "leaky_relu": [0.0],
    "elu": [0.0],
    "selu": [0.0],
    "hardtanh": [-1.0, 1.0],
    "hardsigmoid": [-3.0, 3.0],
    "hardswish": [-3.0, 3.0],
    "hardshrink": [-0.5, 0.5],
    "softshrink": [-0.5, 0.5],
}


@pytest.mark.parametrize(("name", "options"), CALLS)
def test_values_and_gradients_agree(name, options):
    points = X[np.abs(X) < 1e3] if name == "mish" else X
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    # PyTorch's 1/6 is a float32 in float64 too.
    assert_agrees(
        (ours, theirs), points, kwargs=options, rtol=1e-5 if name == "hardsigmoid" else None
    )


@pytest.mark.parametrize("name", list(CORNERS))
def test_slopes_at_the_corners_are_those_of_pytorch(name):
    assert_agrees(f"nn.functional.{name}", np.array(CORNERS[name]))


@pytest.mark.parametrize("name", [name for name, options in CALLS if not options])
def test_nan_and_infinity_agree(name):
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    assert_agrees((ours, theirs), np.array([np.nan, np.inf]), grad=False)


@pytest.mark.parametrize("name", [name for name, options in CALLS if not options])
def test_scalars_and_empty_tensors_agree(name):
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    assert_agrees((ours, theirs), np.array(0.3), rtol=1e-5 if name == "hardsigmoid" else None)
    assert_agrees((ours, theirs), np.zeros((0, 3)))


def test_threshold(rng):
    assert_agrees("nn.functional.threshold", X, 0.7, -3.0)


@pytest.mark.parametrize(
    ("shape", "weights"), [((5,), 1), ((4, 3), 3), ((4, 3), 1), ((2, 3, 4, 2), 3)]
)
def test_prelu(rng, shape, weights):
    x, weight = rng.standard_normal(shape), rng.standard_normal(weights)
    assert_agrees("nn.functional.prelu", x, weight)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_glu(rng, dim):
    assert_agrees("nn.functional.glu", rng.standard_normal((4, 6, 2)), dim)


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "elu", "selu", "silu", "hardtanh", "leaky_relu", "hardswish"]
)
def test_in_place_changes_the_input_and_keeps_the_gradient(rng, name):
    def ours(x):
        h = x * 1.5
        y = getattr(F, name)(h, inplace=True)
        assert y is h
        return y

    def theirs(x):
        return getattr(torch.nn.functional, name)(x * 1.5, inplace=True)

    assert_agrees((ours, theirs), rng.standard_normal((3, 4)))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize(("shape", "dim"), [((5,), 0), ((3, 4), 1), ((3, 4), 0), ((2, 3, 4), -2)])
def test_softmax_family(rng, name, shape, dim):
    assert_agrees(f"nn.functional.{name}", rng.standard_normal(shape) * 5, dim)
    assert_agrees(f"nn.functional.{name}", rng.standard_normal(shape) * 1e4, dim, rtol=1e-4)
    assert_agrees(f"nn.functional.{name}", np.zeros((0, *shape)), -1)


def test_softmax_with_a_dtype(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    ours = F.softmax(chainrule.from_numpy(x), 1, dtype=chainrule.float64)
    theirs = torch.softmax(torch.from_numpy(x), 1, dtype=torch.float64)
    assert ours.dtype is chainrule.float64
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)
