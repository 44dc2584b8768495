"""What convolution and its transpose promise, against sums written out, and on paper."""

import itertools

import numpy as np
import pytest

import chainrule
from chainrule.autograd import grad, gradgradcheck
from chainrule.core.op import registry
from chainrule.errors import ConfigError, DimensionError, DTypeError, ShapeError
from chainrule.nn import functional as F


def leaf(array):
    return chainrule.from_numpy(np.array(array, np.float64)).requires_grad_()


def written_out(x, w, b, stride, padding, dilation, groups):
    """The definition, number by number."""
    samples, _, height, width = x.shape
    outputs, inputs, rows, cols = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    high = (height + 2 * padding - dilation * (rows - 1) - 1) // stride + 1
    wide = (width + 2 * padding - dilation * (cols - 1) - 1) // stride + 1
    y = np.zeros((samples, outputs, high, wide))
    for n, k, p, q in np.ndindex(y.shape):
        first = k // (outputs // groups) * inputs
        y[n, k, p, q] = b[k] + sum(
            w[k, c, r, s]
            * padded[n, first + c, p * stride + r * dilation, q * stride + s * dilation]
            for c, r, s in np.ndindex(inputs, rows, cols)
        )
    return y


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d_is_its_definition(rng, stride, padding, dilation, groups):
    x, b = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal(4)
    w = rng.standard_normal((4, 4 // groups, 2, 3))
    y = F.conv2d(leaf(x), leaf(w), leaf(b), stride, padding, dilation, groups)
    expected = written_out(x, w, b, stride, padding, dilation, groups)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12)


def test_the_example_on_paper():
    x, w = leaf([[[1, 2, 4]]]), leaf([[[-1, 1]]])
    y = F.conv1d(x, w)
    assert y.tolist() == [[[1, 2]]]
    y.backward(chainrule.tensor([[[1.0, 10.0]]], dtype=chainrule.float64))
    assert w.grad.tolist() == [[[21, 42]]]
    assert x.grad.tolist() == [[[-1, -9, 10]]]


def test_the_transposed_example_on_paper():
    x, w = leaf([[[1, 2]]]), leaf([[[1, 1, 1]]])
    y = F.conv_transpose1d(x, w, stride=2)
    assert y.tolist() == [[[1, 1, 3, 2, 2]]]
    y.backward(chainrule.tensor([[[1.0, 0, 10, 0, 0]]], dtype=chainrule.float64))
    assert w.grad.tolist() == [[[21, 0, 10]]]
    assert x.grad.tolist() == [[[11, 10]]]


def test_conv_transpose2d_is_the_transpose_of_conv2d(rng):
    for stride, padding, dilation in itertools.product((1, 2, 3), (0, 1), (1, 2)):
        x, w = rng.standard_normal((2, 3, 8, 9)), leaf(rng.standard_normal((4, 3, 3, 2)))
        settings = {"stride": stride, "padding": padding, "dilation": dilation}
        y = F.conv2d(leaf(x), w, **settings)
        v = leaf(rng.standard_normal(y.shape))
        smallest = F.conv_transpose2d(v, w, **settings).shape
        extra = tuple(8 + i - n for i, n in enumerate(smallest[2:]))
        back = F.conv_transpose2d(v, w, **settings, output_padding=extra)
        np.testing.assert_allclose((y * v).sum().item(), (back * leaf(x)).sum().item(), rtol=1e-9)


@pytest.mark.parametrize("layout", ["batch first", "batch last", "strided"])
def test_the_input_s_memory_order_does_not_matter(rng, layout):
    x, w = rng.standard_normal((3, 2, 5, 6)), leaf(rng.standard_normal((2, 2, 3, 3)))
    expected = F.conv2d(leaf(x), w, padding=1)
    if layout == "batch last":
        given = chainrule.from_numpy(np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0))
    else:
        given = chainrule.from_numpy(x)
    if layout == "strided":
        given = chainrule.from_numpy(np.repeat(x, 2, axis=3)[..., ::2])
    assert (F.conv2d(given, w, padding=1) == expected).all()


def test_second_derivatives(rng):
    x, w, b = (leaf(rng.standard_normal(s)) for s in ((2, 2, 4, 4), (2, 2, 2, 3), (2,)))
    assert gradgradcheck(lambda *a: F.conv2d(*a, stride=(1, 2), padding=1), (x, w, b))
    assert gradgradcheck(lambda *a: F.conv_transpose2d(*a, stride=2, padding=1), (x, w, b))


def test_a_sample_alone_gives_what_it_gives_in_a_batch(rng):
    x, w = rng.standard_normal((3, 2, 5, 5)), leaf(rng.standard_normal((4, 2, 3, 3)))
    together = F.conv2d(leaf(x), w).detach().numpy()
    for index in range(3):
        np.testing.assert_allclose(F.conv2d(leaf(x[index]), w).detach().numpy(), together[index])


def test_the_first_layer_computes_no_cotangent_of_its_input(rng, monkeypatch):
    x = chainrule.from_numpy(rng.standard_normal((2, 2, 5, 5)))
    w = leaf(rng.standard_normal((3, 2, 3, 3)))
    y = F.conv2d(x, w).sum()
    monkeypatch.setattr(registry["overlap_add"], "reference", None)
    y.backward()
    assert x.grad is None
    assert w.grad.shape == (3, 2, 3, 3)


def test_the_result_may_be_changed_in_place(rng):
    x, w = leaf(rng.standard_normal((2, 2, 5, 5))), leaf(rng.standard_normal((3, 2, 3, 3)))
    (expected,) = grad((F.conv2d(x, w) * 3).sum(), w)
    y = F.conv2d(x, w)
    y.mul_(3)
    (actual,) = grad(y.sum(), w)
    np.testing.assert_allclose(actual.numpy(), expected.numpy())


def test_flattening_each_sample_is_a_view(rng):
    y = F.conv2d(leaf(rng.standard_normal((3, 2, 5, 5))), leaf(rng.standard_normal((4, 2, 3, 3))))
    flat = F.max_pool2d(y, 2, stride=1).view(3, -1)
    assert flat.shape == (3, 4 * 2 * 2)
    assert y.view(-1, 36)[1, 9].item() == y[1, 1, 0, 0].item()


def test_it_runs_without_a_tape(rng):
    x, w, b = (
        chainrule.from_numpy(rng.standard_normal(s)) for s in ((2, 2, 5, 5), (3, 2, 3, 3), 3)
    )
    op = registry["conv2d"]((1, 1), ((1, 1), (1, 1)), (1, 1))
    with chainrule.no_grad():
        y, residuals = op.forward(x, w, b)
        bars = op.backward(y, y, residuals, x, w, b, needs=(True, False, True))
    leaves = [leaf(each.numpy()) for each in (x, w, b)]
    F.conv2d(*leaves, padding=1).backward(y)
    assert (bars[0] == leaves[0].grad).all()
    assert bars[1] is None
    assert (bars[2] == leaves[2].grad).all()


def test_float16_is_summed_in_float32():
    x = chainrule.ones(1, 4096, 1, 1).to(chainrule.float16)
    w = chainrule.ones(1, 4096, 1, 1).to(chainrule.float16)
    y = F.conv2d(x, w)
    assert y.dtype is chainrule.float16
    assert y.item() == 4096  # summed one by one in float16 it would stop at 2048


@pytest.mark.parametrize(
    ("x", "w", "kwargs", "error", "match"),
    [
        ((2, 3, 5, 5), (4, 2, 3, 3), {}, ShapeError, "3 channels"),
        ((2, 4, 5, 5), (3, 2, 3, 3), {"groups": 2}, ShapeError, "groups=2"),
        ((2, 3, 2, 2), (4, 3, 3, 3), {}, ShapeError, "does not fit"),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"stride": 0}, ConfigError, "stride is 0"),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"padding": "full"}, ConfigError, "'full'"),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"padding": "same", "stride": 2}, ConfigError, "same"),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"groups": 0}, ConfigError, "groups is 0"),
        ((5, 5), (4, 3, 3, 3), {}, DimensionError, "input is"),
        ((2, 3, 5, 5), (4, 3, 3), {}, ShapeError, "4 dimensions"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(x, w, kwargs, error, match):
    with pytest.raises(error, match=match) as raised:
        F.conv2d(chainrule.ones(x), chainrule.ones(w), **kwargs)
    assert raised.value.cure


def test_mixed_dtypes_are_refused():
    x, w = chainrule.ones(1, 1, 3, 3), chainrule.ones(1, 1, 2, 2).to(chainrule.float64)
    with pytest.raises(DTypeError, match="dtypes differ"):
        F.conv2d(x, w)


def test_a_bias_of_the_wrong_size_is_refused():
    with pytest.raises(ShapeError, match="bias"):
        F.conv2d(chainrule.ones(1, 1, 3, 3), chainrule.ones(2, 1, 2, 2), chainrule.ones(3))


@pytest.mark.parametrize(
    ("kwargs", "x", "error", "match", "cure"),
    [
        ({"groups": 2}, (1, 3, 4, 4), ShapeError, "3 input channels.*groups=2", "divide"),
        ({"groups": 0}, (1, 3, 4, 4), ConfigError, "groups is 0", "positive"),
        ({"padding": 4}, (1, 3, 1, 1), ShapeError, r"\[-5, -5\]", "less padding"),
        ({"output_padding": 1}, (1, 3, 1, 1), ConfigError, r"output_padding is \[1, 1\]", "small"),
    ],
)
def test_a_transposed_convolution_that_can_not_be_says_why(kwargs, x, error, match, cure):
    with pytest.raises(error, match=match) as raised:
        F.conv_transpose2d(chainrule.ones(x), chainrule.ones(3, 2, 3, 3), **kwargs)
    assert cure in raised.value.cure


def test_paddings_by_name_are_none_and_what_keeps_the_size(rng):
    x, w = (chainrule.tensor(rng.standard_normal(shape)) for shape in ((1, 2, 7), (3, 2, 4)))
    valid = F.conv1d(x, w, padding="valid").numpy()
    np.testing.assert_array_equal(valid, F.conv1d(x, w).numpy())
    same = F.conv1d(x, w, padding="same")
    assert same.shape == (1, 3, 7)
    # a kernel of 4 reaches 3 beyond its first element: 1 before and 2 after, as in PyTorch
    np.testing.assert_array_equal(same.numpy()[..., 1:5], valid)


def test_conv3d_is_its_definition(rng):
    x, w, b = (rng.standard_normal(s) for s in ((2, 2, 4, 3, 5), (3, 2, 2, 3, 2), (3,)))
    y = F.conv3d(*map(chainrule.tensor, (x, w, b)), stride=(1, 1, 2)).numpy()
    expected = np.empty((2, 3, 3, 1, 2))
    for d, h, v in np.ndindex(3, 1, 2):
        window = x[:, :, d : d + 2, h : h + 3, 2 * v : 2 * v + 2]
        expected[:, :, d, h, v] = np.einsum("ncijk,ocijk->no", window, w) + b
    np.testing.assert_allclose(y, expected, rtol=1e-12)
