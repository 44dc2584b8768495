"""What pooling promises: the definition, who wins a tie, and what lies beyond the border."""

import numpy as np
import pytest

import chainrule
from chainrule.autograd import gradgradcheck
from chainrule.errors import ConfigError, DimensionError, ShapeError
from chainrule.nn import functional as F


def leaf(array):
    return chainrule.from_numpy(np.array(array, np.float64)).requires_grad_()


def test_the_example_on_paper():
    x = leaf([[[1, 5, 2, 3]]])
    y, where = F.max_pool1d(x, 2, return_indices=True)
    assert y.tolist() == [[[5, 3]]]
    assert where.tolist() == [[[1, 3]]]
    y.backward(chainrule.tensor([[[1.0, 10.0]]], dtype=chainrule.float64))
    assert x.grad.tolist() == [[[0, 1, 0, 10]]]


def test_the_first_of_equals_has_the_whole_gradient():
    x = leaf(np.zeros((1, 1, 4, 4)))
    F.max_pool2d(x, 2).sum().backward()
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    np.testing.assert_array_equal(x.grad.numpy()[0, 0], expected)


def test_a_maximum_shared_by_windows_has_the_sum_of_their_gradients():
    x = leaf([[[0, 7, 0]]])
    F.max_pool1d(x, 2, stride=1).sum().backward()
    assert x.grad.tolist() == [[[0, 2, 0]]]


def test_padding_never_wins():
    x = leaf(-np.ones((1, 1, 2, 2)))
    y = F.max_pool2d(x, 2, padding=1)
    assert (y == -1).all()
    y.sum().backward()
    assert (x.grad == 1).all()


def test_nan_wins():
    x = leaf([[[1, np.nan, 2, 3]]])
    y = F.max_pool1d(x, 2).detach().numpy()
    np.testing.assert_array_equal(y, [[[np.nan, 3]]])


def test_indices_lead_to_the_maxima(rng):
    x = rng.standard_normal((2, 3, 7, 6))
    y, where = F.max_pool2d(leaf(x), 3, stride=2, padding=1, return_indices=True)
    flat = np.take_along_axis(x.reshape(2, 3, -1), where.numpy().reshape(2, 3, -1), axis=2)
    np.testing.assert_array_equal(flat.reshape(y.shape), y.detach().numpy())


def test_the_total_of_a_mean_s_gradient_is_that_of_its_output(rng):
    x = leaf(rng.standard_normal((2, 2, 6, 6)))
    F.avg_pool2d(x, 3, stride=1).sum().backward()
    np.testing.assert_allclose(x.grad.sum().item(), 2 * 2 * 4 * 4)


def test_zeros_beyond_the_border_count_only_if_asked():
    x = leaf(np.ones((1, 1, 2, 2)))
    assert F.avg_pool2d(x, 2, stride=1, padding=1)[0, 0, 0, 0].item() == 0.25
    assert (F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False) == 1).all()
    assert F.avg_pool2d(x, 2, divisor_override=2).item() == 2


def test_uneven_bins_share_a_number():
    x = leaf([[[1, 2, 6]]])
    y = F.adaptive_avg_pool1d(x, 2)
    np.testing.assert_allclose(y.tolist(), [[[1.5, 4]]])
    y.backward(chainrule.tensor([[[1.0, 10.0]]], dtype=chainrule.float64))
    np.testing.assert_allclose(x.grad.tolist(), [[[0.5, 5.5, 5]]])


def test_adaptive_pooling_to_one_is_the_mean(rng):
    x = rng.standard_normal((2, 3, 5, 7))
    y = F.adaptive_avg_pool2d(leaf(x), 1).detach().numpy()
    np.testing.assert_allclose(y, x.mean((2, 3), keepdims=True))


def test_second_derivatives(rng):
    x = leaf(rng.standard_normal((1, 2, 5, 4)))
    assert gradgradcheck(lambda x: F.max_pool2d(x * x, 2, stride=1, padding=1), (x,))
    assert gradgradcheck(lambda x: F.avg_pool2d(x * x, 2, ceil_mode=True), (x,))
    assert gradgradcheck(lambda x: F.adaptive_avg_pool2d(x * x, (2, 3)), (x,))


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_what_does_not_fit_is_refused_with_a_reason(pool):
    x = chainrule.ones(1, 1, 3, 3)
    with pytest.raises(ShapeError, match="no window"):
        pool(x, 5)
    with pytest.raises(ConfigError, match="padding"):
        pool(x, 2, padding=2)
    with pytest.raises(ConfigError, match="kernel_size"):
        pool(x, 0)


def test_fold_counts_how_many_windows_a_pixel_is_in():
    ones = chainrule.ones(1, 1, 3, 3)
    counts = F.fold(F.unfold(ones, 2), (3, 3), 2)
    assert counts.tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]
    with pytest.raises(ShapeError, match="fold"):
        F.fold(chainrule.ones(1, 3, 4), (3, 3), 2)


def test_one_more_window_in_ceil_mode_must_begin_inside():
    """PyTorch's rule: of the window that would begin in the padding after the input, none."""
    x = chainrule.arange(5.0).reshape(1, 1, 5)
    assert F.max_pool1d(x, 2, 2, ceil_mode=True).tolist() == [[[1, 3, 4]]]
    assert F.max_pool1d(x, 2, 2).tolist() == [[[1, 3]]]
    narrow = chainrule.arange(2.0).reshape(1, 1, 2)
    # windows begin at -1, 1 and 3; the last of these lies beyond the input
    assert F.max_pool1d(narrow, 2, 2, padding=1, ceil_mode=True).tolist() == [[[0, 1]]]
    # windows begin at -1 and 2, and there is no element 2
    assert F.max_pool1d(narrow, 2, 3, padding=1, ceil_mode=True).tolist() == [[[0]]]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), ConfigError, "divisor_override is 0"),
        (lambda x: F.adaptive_avg_pool2d(x, 0), ConfigError, "output_size is 0"),
        (lambda x: F.adaptive_avg_pool2d(x, (2, 2, 2)), ConfigError, r"\(2, 2, 2\)"),
        (lambda x: F.adaptive_avg_pool2d(x[:, :, :0], 2), ShapeError, "nothing to take means"),
        (lambda x: F.avg_pool2d(x[0, 0], 2), DimensionError, r"f32\[3,3\]"),
    ],
)
def test_means_of_what_there_is_not_are_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(chainrule.ones(1, 1, 3, 3))
