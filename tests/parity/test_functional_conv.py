"""Convolution and its transpose against PyTorch: values and gradients over many settings."""

import itertools

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise

from chainrule.nn import functional

torch = pytest.importorskip("torch")


def both(name):
    """Our function of that name, and theirs."""
    return getattr(functional, name), getattr(torch.nn.functional, name)


# Sums of a hundred products: float32 keeps about five digits.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in shapes]


def agree_in_both_dtypes(name, *args, **kwargs):
    assert_agrees(name, *args, kwargs=kwargs, dtypes=("float32",), **CLOSE)
    assert_agrees(name, *args, kwargs=kwargs, dtypes=("float64",))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5), (4, 1)])
@pytest.mark.parametrize("stride", [1, 2, (3, 1), 7])
def test_conv2d(kernel, stride):
    for padding, dilation, groups in itertools.product((0, 2, (1, 3)), (1, (2, 1)), (1, 2)):
        x, w, b = drawn((2, 4, 9, 8), (6, 4 // groups, *kernel), (6,))
        agree_in_both_dtypes(
            both("conv2d"),
            x,
            w,
            b,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )


@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 5)])
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_conv2d_with_padding_by_name(kernel, dilation, padding):
    x, w = drawn((2, 3, 13, 14), (4, 3, *kernel))
    agree_in_both_dtypes(both("conv2d"), x, w, padding=padding, dilation=dilation)


@pytest.mark.parametrize("groups", [1, 6])
def test_conv2d_depthwise_and_of_one_picture(groups):
    x, w, b = drawn((6, 7, 7), (6, 6 // groups, 3, 3), (6,))
    agree_in_both_dtypes(both("conv2d"), x, w, b, groups=groups, padding=1)


def test_conv2d_of_no_pictures():
    x, w, b = drawn((0, 2, 5, 5), (3, 2, 3, 3), (3,))
    agree_in_both_dtypes(both("conv2d"), x, w, b)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("padding", [0, 2, "same"])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_conv1d(stride, padding, dilation):
    if padding == "same" and stride != 1:
        return
    x, w, b = drawn((2, 4, 11), (6, 2, 4), (6,))
    kwargs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 2}
    agree_in_both_dtypes(both("conv1d"), x, w, b, **kwargs)


def test_conv3d():
    x, w, b = drawn((2, 2, 4, 5, 6), (3, 2, 2, 3, 1), (3,))
    agree_in_both_dtypes(both("conv3d"), x, w, b, stride=(1, 2, 2), padding=1)


@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("dilation", [1, (1, 3)])
def test_conv_transpose2d(stride, dilation):
    for padding, extra, groups in itertools.product((0, 1, (0, 2)), (0, (0, 1)), (1, 2)):
        if extra and stride == 1 and dilation == 1:
            continue
        x, w, b = drawn((2, 4, 4, 5), (4, 3, 3, 2), (3 * groups,))
        agree_in_both_dtypes(
            both("conv_transpose2d"),
            x,
            w,
            b,
            stride=stride,
            padding=padding,
            output_padding=extra,
            dilation=dilation,
            groups=groups,
        )


def test_conv_transpose1d():
    x, w, b = drawn((2, 4, 7), (4, 2, 3), (4,))
    kwargs = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    agree_in_both_dtypes(both("conv_transpose1d"), x, w, b, **kwargs)
    agree_in_both_dtypes(both("conv_transpose1d"), x[0], w, b, **kwargs)


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"padding": (0, 2), "stride": (3, 1)}],
)
def test_unfold_and_fold(kwargs):
    (x,) = drawn((2, 3, 6, 7))
    assert_agrees(both("unfold"), x, (2, 3), kwargs=kwargs)
    assert_agrees(both("unfold"), x[0], (2, 3), kwargs=kwargs)
    windows = {"{}": 25}.get(str(kwargs))
    if windows:
        (columns,) = drawn((2, 3 * 6, windows))
        assert_agrees(both("fold"), columns, (6, 7), (2, 3), kwargs=kwargs)


def test_conv2d_in_float16_is_as_accurate_as_theirs():
    x, w, b = (each.astype(np.float16) for each in drawn((2, 4, 6, 6), (3, 4, 3, 3), (3,)))
    assert_agrees(both("conv2d"), x, w, b, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    ("x", "w", "kwargs"),
    [
        ((2, 3, 5, 5), (4, 2, 3, 3), {}),
        ((2, 4, 5, 5), (3, 2, 3, 3), {"groups": 2}),
        ((2, 3, 2, 2), (4, 3, 3, 3), {}),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"stride": 0}),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"stride": (1, 2, 3)}),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"padding": -1}),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"padding": "same", "stride": 2}),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"padding": "full"}),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"groups": 0}),
        ((5, 5), (4, 3, 3, 3), {}),
        ((2, 3, 5, 5), (4, 3, 3), {}),
    ],
)
def test_what_does_not_fit_is_refused(x, w, kwargs):
    assert_both_raise(both("conv2d"), np.ones(x), np.ones(w), kwargs=kwargs)


def test_an_output_padding_as_large_as_the_stride_is_refused():
    arrays = np.ones((1, 2, 3, 3)), np.ones((2, 2, 2, 2))
    assert_both_raise(both("conv_transpose2d"), *arrays, kwargs={"stride": 2, "output_padding": 2})
