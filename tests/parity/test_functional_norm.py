"""Normalisation against PyTorch: values, running statistics and gradients."""

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise

from chainrule.nn import functional

torch = pytest.importorskip("torch")


def both(name):
    """Our function of that name, and theirs."""
    return getattr(functional, name), getattr(torch.nn.functional, name)


# The gradient of a normalisation is a difference of sums; float32 loses a digit or two in it.
CLOSE = {"rtol": 1e-3, "atol": 2e-5}


def drawn(*shapes, shift=0.0):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) + shift for shape in shapes]


def agree_in_both_dtypes(name, *args, **kwargs):
    assert_agrees(name, *args, kwargs=kwargs, dtypes=("float32",), **CLOSE)
    assert_agrees(name, *args, kwargs=kwargs, dtypes=("float64",))


@pytest.mark.parametrize(("shape", "last"), [((4, 5), 1), ((2, 3, 4), 2), ((3,), 1), ((0, 4), 1)])
@pytest.mark.parametrize("given", [(), ("weight",), ("weight", "bias"), ("bias",)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm(shape, last, given, eps):
    x, w, b = drawn(shape, shape[-last:], shape[-last:], shift=1)
    parameters = {"weight": w, "bias": b}
    kwargs = {name: parameters[name] for name in given}
    agree_in_both_dtypes(both("layer_norm"), x, shape[-last:], **kwargs, eps=eps)


@pytest.mark.parametrize(("shape", "last"), [((4, 5), 1), ((2, 3, 4), 2), ((3,), 1)])
@pytest.mark.parametrize("eps", [None, 0.3])
def test_rms_norm(shape, last, eps):
    x, w = drawn(shape, shape[-last:])
    agree_in_both_dtypes(both("rms_norm"), x, shape[-last:], weight=w, eps=eps)
    agree_in_both_dtypes(both("rms_norm"), x, shape[-last:], eps=eps)


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 5), (3, 6, 2, 3), (1, 6, 2, 2, 2)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_group_norm(shape, groups):
    x, w, b = drawn(shape, (6,), (6,), shift=1)
    agree_in_both_dtypes(both("group_norm"), x, groups, w, b)
    agree_in_both_dtypes(both("group_norm"), x, groups, eps=0.1)
    agree_in_both_dtypes(both("group_norm"), x, groups, w)


def with_statistics(name, **kwargs):
    """Ours and theirs as functions that also return the running statistics they changed."""

    def wrap(function):
        def call(x, mean, variance, *parameters):
            mean, variance = mean.detach() * 1, variance.detach() * 1
            return function(x, mean, variance, *parameters, **kwargs), mean, variance

        return call

    ours, theirs = both(name)
    return wrap(ours), wrap(theirs)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 5), (3, 3, 2, 4), (2, 3, 2, 2, 2), (1, 3, 4)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(shape, training, affine):
    x, w, b, mean = drawn(shape, (3,), (3,), (3,), shift=2)
    arrays = (x, mean, np.abs(mean) + 0.5, *([w, b] if affine else []))
    functions = with_statistics("batch_norm", training=training, momentum=0.3, eps=1e-3)
    assert_agrees(functions, *arrays, dtypes=("float32",), **CLOSE)
    assert_agrees(functions, *arrays, dtypes=("float64",))


@pytest.mark.parametrize("given", [("weight",), ("bias",)])
def test_batch_norm_with_one_parameter_and_no_running_statistics(given):
    x, w = drawn((5, 3, 2), (3,))
    agree_in_both_dtypes(both("batch_norm"), x, None, None, training=True, **{given[0]: w})


@pytest.mark.parametrize("shape", [(4, 3, 5), (3, 3, 2, 4)])
@pytest.mark.parametrize("use_input_stats", [True, False])
def test_instance_norm(shape, use_input_stats):
    x, w, b, mean = drawn(shape, (3,), (3,), (3,), shift=2)
    functions = with_statistics("instance_norm", use_input_stats=use_input_stats, momentum=0.2)
    arrays = (x, mean, np.abs(mean) + 0.5, w, b)
    assert_agrees(functions, *arrays, dtypes=("float32",), **CLOSE)
    assert_agrees(functions, *arrays, dtypes=("float64",))


def test_batch_norm_keeps_its_digits_far_from_zero():
    (x,) = drawn((64, 3, 4, 4), shift=100)
    assert_agrees(both("batch_norm"), x, None, None, kwargs={"training": True}, **CLOSE)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("layer_norm", [np.ones((2, 3)), (2,)], {}),
        ("layer_norm", [np.ones((2, 3)), (3,), np.ones(2)], {}),
        ("layer_norm", [np.ones((2, 3)), ()], {}),
        ("rms_norm", [np.ones((2, 3)), (2,)], {}),
        ("group_norm", [np.ones((2, 4)), 3], {}),
        ("group_norm", [np.ones((2, 4)), 2, np.ones(3)], {}),
        ("batch_norm", [np.ones((1, 3)), None, None], {"training": True}),
        ("batch_norm", [np.ones((4, 3)), None, None], {}),
        ("batch_norm", [np.ones((4, 3)), np.ones(2), np.ones(2)], {}),
        ("batch_norm", [np.ones((4, 3)), None, None, np.ones(2)], {"training": True}),
    ],
)
def test_what_does_not_fit_is_refused(name, args, kwargs):
    assert_both_raise(both(name), *args, kwargs=kwargs)
