"""Reductions, running reductions, norms and products, against Python and NumPy."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import chainrule as cr
from chainrule.autograd import grad
from chainrule.errors import DimensionError, DTypeError, OpError, ShapeError

NUMBERS = st.lists(st.floats(-100, 100), min_size=2, max_size=12)
CUBES = arrays.arrays(
    np.float64, arrays.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=st.floats(-9, 9)
)


def tensor(numbers):
    return cr.tensor(numbers, dtype=cr.float64)


@given(CUBES, st.data())
def test_over_any_dimensions_as_numpy_does(x, data):
    dims = data.draw(st.sets(st.integers(-x.ndim, -1), min_size=1).map(tuple))
    keepdim = data.draw(st.booleans())
    ours = cr.from_numpy(x)
    for name, oracle in (
        ("sum", np.sum), ("mean", np.mean), ("amax", np.max), ("amin", np.min),
        ("all", np.all), ("any", np.any),
    ):  # fmt: skip
        result = getattr(ours, name)(dims, keepdim).numpy()
        np.testing.assert_allclose(result, oracle(x, axis=dims, keepdims=keepdim), atol=1e-13)
    expected = np.log(np.sum(np.exp(x), axis=dims, keepdims=keepdim))
    np.testing.assert_allclose(ours.logsumexp(dims, keepdim).numpy(), expected, atol=1e-12)


@given(NUMBERS)
def test_variance_is_that_of_the_statistics_module(numbers):
    x = tensor(numbers)
    assert x.var().item() == pytest.approx(statistics.variance(numbers), abs=1e-9)
    assert x.std().item() == pytest.approx(statistics.stdev(numbers), abs=1e-6)
    assert x.var(correction=0).item() == pytest.approx(statistics.pvariance(numbers), abs=1e-9)
    variance, mean = cr.var_mean(x)
    assert (variance.item(), mean.item()) == (x.var().item(), x.mean().item())


def test_variance_survives_a_large_mean():
    x = cr.tensor([1e6, 1e6 + 1, 1e6 + 2])
    assert x.var().item() == 1.0


def test_half_precision_sums_do_not_stall():
    ones = cr.ones(5000, dtype=cr.float16)
    assert ones.mean().item() == 1.0
    assert ones.var(correction=0).item() == 0.0
    assert ones.norm().item() == pytest.approx(math.sqrt(5000), rel=1e-3)


def test_the_gradient_of_std_where_all_are_equal_is_zero():
    x = cr.ones(3, requires_grad=True)
    assert grad(x.std(), x)[0].tolist() == [0.0, 0.0, 0.0]


def test_sums_of_integers_are_int64_and_means_are_refused():
    x = cr.tensor([200, 100], dtype=cr.uint8)
    assert (x.sum().item(), x.sum().dtype) == (300, cr.int64)
    assert x.prod().item() == 20000
    with pytest.raises(DTypeError, match="mean"):
        x.mean()
    assert x.mean(dtype=cr.float32).item() == 150.0


def test_nothing():
    none = cr.ones(0, 2)
    assert none.sum().item() == 0
    assert none.prod().item() == 1
    assert none.all().item() is True
    assert none.any().item() is False
    assert math.isnan(none.mean().item())
    assert none.sum(0).tolist() == [0.0, 0.0]
    with pytest.raises(DimensionError, match="nothing along"):
        none.amax()
    with pytest.raises(DimensionError, match="nothing along"):
        none.argmax(0)


def test_nan_is_left_out_by_name_only():
    x = cr.tensor([[1.0, math.nan], [3.0, 4.0]], requires_grad=True)
    assert math.isnan(x.sum().item())
    assert x.nansum(0).tolist() == [4.0, 4.0]
    assert x.nanmean(1).tolist() == [1.0, 3.5]
    assert grad(x.nansum(), x)[0].tolist() == [[1.0, 0.0], [1.0, 1.0]]


class TestProducts:
    @given(st.lists(st.sampled_from([0.0, 1.0, -2.0, 0.5, 3.0]), min_size=1, max_size=9))
    def test_the_gradient_is_the_product_of_the_others_zeros_or_not(self, numbers):
        x = tensor(numbers).requires_grad_()
        expected = [math.prod(numbers[:k] + numbers[k + 1 :]) for k in range(len(numbers))]
        assert grad(x.prod(), x)[0].tolist() == expected

    def test_second_derivatives_with_two_zeros(self):
        x = tensor([0.0, 0.0, 5.0]).requires_grad_()
        (first,) = grad(x.prod(), x, create_graph=True)
        assert grad(first[0], x)[0].tolist() == [0.0, 5.0, 0.0]

    @given(st.lists(st.sampled_from([0.0, 1.0, -2.0, 0.5]), min_size=1, max_size=9))
    def test_cumprod(self, numbers):
        x = tensor(numbers).requires_grad_()
        y = x.cumprod(0)
        assert y.tolist() == list(np.cumprod(numbers))
        expected = [
            sum(math.prod(numbers[:k] + numbers[k + 1 : i + 1]) for i in range(k, len(numbers)))
            for k in range(len(numbers))
        ]
        assert grad(y.sum(), x)[0].tolist() == pytest.approx(expected)


class TestExtrema:
    def test_full_extrema_share_the_gradient_and_those_along_a_dimension_do_not(self):
        x = cr.tensor([[1.0, 3.0], [3.0, 3.0]], requires_grad=True)
        assert grad(x.max(), x)[0].sum().item() == pytest.approx(1.0)
        assert grad(x.max(), x)[0][0].tolist() == pytest.approx([0.0, 1 / 3])
        values, indices = x.max(1)
        assert indices.tolist() == [1, 0]
        assert grad(values.sum(), x)[0].tolist() == [[0.0, 1.0], [1.0, 0.0]]
        assert grad(x.amax(1).sum(), x)[0].tolist() == [[0.0, 1.0], [0.5, 0.5]]

    @given(CUBES, st.data())
    def test_values_are_found_at_their_indices(self, x, data):
        dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
        ours = cr.from_numpy(x)
        for name in ("max", "min", "cummax", "cummin", "median"):
            values, indices = getattr(ours, name)(dim)
            at = indices.numpy()
            if name in ("max", "min", "median"):
                at = np.expand_dims(at, dim)
            found = np.take_along_axis(x, at, dim).reshape(values.shape)
            np.testing.assert_array_equal(values.numpy(), found)
        np.testing.assert_array_equal(ours.max(dim).values.numpy(), x.max(axis=dim))
        np.testing.assert_array_equal(ours.argmin(dim).numpy(), x.argmin(axis=dim))
        running = np.maximum.accumulate(x, axis=dim)
        np.testing.assert_array_equal(ours.cummax(dim).values.numpy(), running)

    def test_nan_is_both_the_greatest_and_the_least(self):
        x = cr.tensor([1.0, math.nan, 3.0])
        assert math.isnan(x.max().item())
        assert math.isnan(x.amin().item())
        assert x.max(0).indices.item() == x.min(0).indices.item() == 1
        assert x.cummax(0).indices.tolist() == [0, 1, 1]

    def test_a_scalar_has_one_dimension_to_reduce(self):
        assert cr.tensor(2.0).max(0).values.item() == 2.0
        assert cr.tensor(2.0).argmax(-1).item() == 0
        with pytest.raises(DimensionError, match="out of range"):
            cr.tensor(2.0).argmax(1)


class TestNorms:
    @pytest.mark.parametrize(
        ("p", "expected"), [(2, 5.0), (1, 7.0), (math.inf, 4.0), (-math.inf, 3.0), (0, 2.0)]
    )
    def test_of_3_and_minus_4(self, p, expected):
        assert tensor([3.0, -4.0]).norm(p).item() == expected

    @pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
    def test_the_gradient_at_zero_is_zero(self, p):
        x = cr.zeros(3, requires_grad=True)
        assert grad(x.norm(p), x)[0].tolist() == [0.0, 0.0, 0.0]

    def test_refusals(self):
        with pytest.raises(DTypeError, match="norm"):
            cr.tensor([1]).norm()
        with pytest.raises(OpError, match="nuc") as raised:
            cr.ones(2, 2).norm("nuc")
        assert "test_reduce.py" in raised.value.location

    def test_logsumexp_of_the_unreachable(self):
        x = cr.tensor([-math.inf, -math.inf], requires_grad=True)
        y = x.logsumexp(0)
        assert y.item() == -math.inf
        assert grad(y, x)[0].tolist() == [0.0, 0.0]
        assert tensor([1e4, 1e4]).logsumexp(0).item() == pytest.approx(1e4 + math.log(2))


def test_running_sums_and_differences_undo_each_other():
    x = tensor([[1.0, 4.0, 2.0], [0.0, 1.0, 1.0]])
    assert x.cumsum(1).diff(dim=1, prepend=cr.zeros(2, 1, dtype=cr.float64)).tolist() == x.tolist()
    assert x.diff(n=2).tolist() == [[-5.0], [-1.0]]
    assert x.diff(n=5).shape == (2, 0)


def test_the_area_under_a_line():
    x = tensor([0.0, 1.0, 3.0])
    assert cr.trapezoid(2 * x, x).item() == 9.0
    assert cr.cumulative_trapezoid(2 * x, x).tolist() == [1.0, 9.0]
    assert cr.trapezoid(cr.ones(5), dx=0.5).item() == 2.0
    assert cr.trapezoid(cr.zeros(0)).item() == 0.0
    assert cr.cumulative_trapezoid(cr.zeros(2, 0)).shape == (2, 0)


@pytest.mark.parametrize(
    ("heights", "places", "dim"),
    [((4,), (4,), 0), ((2, 4), (4,), 1), ((4, 2), (4,), 0), ((2, 4), (1, 4), -1)]
    + [((2, 3, 4), (3, 4), 1), ((2, 3, 4), (3, 1), 1), ((2, 3, 4), (2, 3, 4), 0)],
)
def test_areas_are_widths_times_middles_wherever_the_points_stand(rng, heights, places, dim):
    y, x = rng.standard_normal(heights), np.sort(rng.standard_normal(places))
    along = x.reshape([-1 if each == dim % y.ndim else 1 for each in range(y.ndim)])
    wide = np.broadcast_to(along if x.ndim == 1 else x, heights)
    mine = cr.trapezoid(tensor(y), tensor(x), dim=dim).numpy()
    middle = (y.take(range(1, y.shape[dim]), dim) + y.take(range(y.shape[dim] - 1), dim)) / 2
    expected = (np.diff(wide, axis=dim) * middle).sum(dim)
    np.testing.assert_allclose(mine, expected, rtol=1e-12, atol=1e-14)
    running = cr.cumulative_trapezoid(tensor(y), tensor(x), dim=dim).numpy()
    np.testing.assert_allclose(running.take(-1, dim), mine, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["trapezoid", "cumulative_trapezoid"])
@pytest.mark.parametrize(
    ("heights", "places", "dim"),
    [((3,), (2,), -1), ((3,), (1,), -1), ((3,), (4,), -1), ((1,), (2,), -1), ((3,), (), -1)]
    + [((2, 3), (3,), 0), ((2, 3), (2, 2), 1), ((3,), (2, 3), 0), ((2, 2, 3), (2, 3), 0)],
)
def test_an_area_takes_one_place_for_each_point(name, heights, places, dim):
    with pytest.raises(ShapeError, match=rf"^{name}: x is f32\[") as raised:
        getattr(cr, name)(cr.ones(heights), cr.zeros(places), dim=dim)
    assert "one x for each point" in raised.value.cure
    assert "test_reduce.py" in raised.value.location


def test_differences_that_can_not_be_taken_are_refused():
    with pytest.raises(OpError, match="diff: n is -1"):
        cr.ones(3).diff(n=-1)
    for function in (cr.diff, cr.trapezoid, cr.cumulative_trapezoid):
        with pytest.raises(DimensionError, match=rf"{function.__name__}: a scalar"):
            function(cr.tensor(1.0))


def test_the_old_form_of_variance_takes_a_bool_in_the_place_of_the_dimension(rng):
    x = rng.standard_normal((3, 4))
    mine = cr.tensor(x)
    assert cr.var(mine, False).item() == pytest.approx(x.var())
    assert cr.std(mine, True).item() == pytest.approx(x.std(ddof=1))
    std, mean = cr.std_mean(mine, 1)
    np.testing.assert_allclose(std.numpy(), x.std(1, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(mean.numpy(), x.mean(1), rtol=1e-12)
    std, mean = cr.std_mean(mine, False)
    assert (std.item(), mean.item()) == pytest.approx((x.std(), x.mean()))
    with pytest.raises(DTypeError, match=r"i64\[2\]") as raised:
        cr.var(cr.tensor([1, 2]))
    assert ".float()" in raised.value.cure


def test_products_along_a_dimension(rng):
    x = rng.standard_normal((3, 4))
    mine = cr.prod(cr.tensor(x), 1, keepdim=True).numpy()
    np.testing.assert_allclose(mine, x.prod(1, keepdims=True), rtol=1e-12)
    assert cr.prod(cr.tensor(3.0), 0).item() == 3


def test_the_logarithm_of_no_exponentials_is_minus_infinity():
    assert cr.logsumexp(cr.ones(0, 2), 0).tolist() == [-math.inf] * 2


def test_running_sums_of_integers_and_bools_are_int64():
    for x in (cr.tensor([True, True, False]), cr.tensor([1, 1, 0]).int()):
        y = cr.cumsum(x, 0)
        assert y.dtype is cr.int64
        assert y.tolist() == [1, 2, 2]
