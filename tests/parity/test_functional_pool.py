"""Pooling against PyTorch: values, places of the maxima and gradients over many settings."""

import itertools

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise

from chainrule.nn import functional

torch = pytest.importorskip("torch")


def both(name):
    """Our function of that name, and theirs."""
    return getattr(functional, name), getattr(torch.nn.functional, name)


KERNELS = [2, 3, (3, 2)]
STRIDES = [None, 1, (3, 1), 4]


def with_ties(*shape):
    """Numbers that are often equal, so that it shows who wins a tie."""
    return np.random.default_rng(0).integers(-2, 3, shape).astype(np.float64)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("stride", STRIDES)
def test_max_pool2d(kernel, stride):
    for padding, dilation, ceil in itertools.product((0, 1, (0, 1)), (1, 2), (False, True)):
        kwargs = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "ceil_mode": ceil,
            "return_indices": True,
        }
        assert_agrees(both("max_pool2d"), with_ties(2, 3, 9, 8), kernel, kwargs=kwargs)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("stride", STRIDES)
def test_avg_pool2d(kernel, stride):
    settings = itertools.product((0, 1, (0, 1)), (True, False), (False, True), (None, 3))
    for padding, include, ceil, divisor in settings:
        kwargs = {
            "stride": stride,
            "padding": padding,
            "ceil_mode": ceil,
            "count_include_pad": include,
            "divisor_override": divisor,
        }
        assert_agrees(both("avg_pool2d"), with_ties(2, 3, 9, 8), kernel, kwargs=kwargs)


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, None, 0), (3, 2, 1), (2, 5, 1)])
@pytest.mark.parametrize("ceil", [False, True])
def test_pooling_of_sequences_with_and_without_a_batch(name, kernel, stride, padding, ceil):
    for x in (with_ties(2, 3, 9), with_ties(3, 8)):
        kwargs = {"stride": stride, "padding": padding, "ceil_mode": ceil}
        assert_agrees(both(name), x, kernel, kwargs=kwargs)


@pytest.mark.parametrize("bins", [1, 2, 4, (3, None), (9, 4), (12, 5)])
def test_adaptive_avg_pool2d(bins):
    assert_agrees(both("adaptive_avg_pool2d"), with_ties(2, 3, 9, 8), bins, atol=1e-5)
    assert_agrees(both("adaptive_avg_pool2d"), with_ties(3, 9, 8), bins, atol=1e-5)


@pytest.mark.parametrize("bins", [1, 3, 4, 9, 11])
def test_adaptive_avg_pool1d(bins):
    assert_agrees(both("adaptive_avg_pool1d"), with_ties(2, 3, 9), bins, atol=1e-5)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(
    ("shape", "kernel", "kwargs"),
    [
        ((2, 3, 4, 4), 5, {}),
        ((2, 3, 4, 4), 2, {"padding": 2}),
        ((2, 3, 4, 4), (2, 2, 2), {}),
        ((2, 3, 4, 4), 2, {"padding": -1}),
        ((4, 4), 2, {}),
    ],
)
def test_what_does_not_fit_is_refused(name, shape, kernel, kwargs):
    assert_both_raise(both(name), np.ones(shape), kernel, kwargs=kwargs)


def test_a_divisor_of_zero_is_refused():
    assert_both_raise(both("avg_pool2d"), np.ones((1, 1, 2, 2)), 2, kwargs={"divisor_override": 0})
