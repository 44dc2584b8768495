"""Sorting, order statistics and counting, against Python's sort and NumPy."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.autograd import grad
from chainrule.errors import DimensionError, DTypeError, OpError

SMALL = st.lists(st.integers(-3, 3), min_size=1, max_size=12)
REALS = st.lists(st.floats(-9, 9), min_size=1, max_size=12)


@given(SMALL, st.booleans())
def test_sort_is_pythons_and_stable(numbers, descending):
    values, indices = cr.tensor(numbers).sort(descending=descending, stable=True)
    assert values.tolist() == sorted(numbers, reverse=descending)
    order = sorted(range(len(numbers)), key=numbers.__getitem__, reverse=descending)
    if descending:  # Python's reverse keeps equal elements in order too
        order = sorted(range(len(numbers)), key=lambda index: -numbers[index])
    assert indices.tolist() == order


def test_nan_sorts_as_the_greatest():
    x = cr.tensor([math.nan, 1.0, 2.0])
    assert x.argsort().tolist() == [1, 2, 0]
    assert x.argsort(descending=True).tolist() == [0, 2, 1]
    assert x.topk(1).indices.item() == 0


def test_the_gradient_of_a_sort_goes_to_where_each_element_came_from():
    x = cr.tensor([3.0, 1.0, 2.0], requires_grad=True)
    weights = cr.tensor([1.0, 10.0, 100.0])
    assert grad((x.sort().values * weights).sum(), x)[0].tolist() == [100.0, 1.0, 10.0]


@given(REALS, st.data())
def test_topk_and_kthvalue(numbers, data):
    k = data.draw(st.integers(1, len(numbers)))
    x = cr.tensor(numbers, dtype=cr.float64)
    assert x.topk(k).values.tolist() == sorted(numbers, reverse=True)[:k]
    assert x.topk(k, largest=False).values.tolist() == sorted(numbers)[:k]
    assert x.kthvalue(k).values.item() == sorted(numbers)[k - 1]


def test_more_than_there_are():
    for refused in (lambda x: x.topk(4), lambda x: x.kthvalue(4), lambda x: x.topk(-1)):
        with pytest.raises(DimensionError, match="k is"):
            refused(cr.ones(3))
    with pytest.raises(OpError, match="k is 0"):
        cr.ones(3).kthvalue(0)


@given(REALS)
def test_the_median_is_the_lower_one_of_two(numbers):
    assert (
        cr.tensor(numbers, dtype=cr.float64).median().item()
        == sorted(numbers)[(len(numbers) - 1) // 2]
    )


def test_medians_and_nan():
    x = cr.tensor([[1.0, math.nan, 3.0], [5.0, 4.0, 6.0]])
    assert math.isnan(x.median().item())
    assert x.nanmedian().item() == 4.0
    values, indices = x.median(1)
    assert math.isnan(values[0].item())
    assert indices.tolist() == [1, 0]
    assert x.nanmedian(1).values.tolist() == [1.0, 5.0]


@given(SMALL)
def test_the_mode_is_the_least_of_the_most_frequent(numbers):
    counts = Counter(numbers)
    expected = min(number for number in numbers if counts[number] == max(counts.values()))
    values, indices = cr.tensor(numbers).mode()
    assert values.item() == expected
    assert numbers[indices.item()] == expected


@given(REALS, st.floats(0, 1))
def test_quantiles_are_numpys(numbers, q):
    x = cr.tensor(numbers, dtype=cr.float64)
    for interpolation in ("linear", "lower", "higher", "midpoint"):
        result = x.quantile(q, interpolation=interpolation).item()
        assert result == pytest.approx(
            float(np.quantile(numbers, q, method=interpolation)), abs=1e-9
        )


def test_quantiles_along_a_dimension_and_several_at_once():
    x = cr.arange(12).to(cr.float64).reshape(3, 4)
    q = cr.tensor([0.0, 0.5, 1.0], dtype=cr.float64)
    assert x.quantile(q, 0).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert x.quantile(0.5, 1, True).shape == (3, 1)
    holes = x.where(x != 4, math.nan)
    assert holes.nanquantile(0.0, 1).tolist() == [0.0, 5.0, 8.0]
    assert math.isnan(holes.quantile(0.0, 1)[1].item())


def test_quantiles_refuse_what_they_can_not_do():
    with pytest.raises(DTypeError, match="quantile"):
        cr.tensor([1, 2]).quantile(0.5)
    with pytest.raises(OpError, match="'cubic'"):
        cr.ones(2).quantile(0.5, interpolation="cubic")


@pytest.mark.parametrize("shape", [(0,), (0, 2)])
def test_nothing_has_no_quantiles(shape):
    with pytest.raises(OpError, match=r"^quantile: of nothing"):
        cr.ones(shape).quantile(0.5, 0)
    with pytest.raises(OpError, match=r"^nanquantile: of nothing"):
        cr.ones(shape).nanquantile(0.5)


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
@pytest.mark.parametrize("q", [1.5, -0.25, math.nan, [0.5, 1.5], [math.nan, 0.5]])
def test_the_share_of_a_quantile_is_between_0_and_1(name, q):
    given_q = cr.tensor(q) if isinstance(q, list) else q
    with pytest.raises(OpError, match=rf"^{name}: q is (1\.5|-0\.25|nan);.*in \[0, 1\]") as raised:
        getattr(cr, name)(cr.ones(3), given_q)
    assert "test_order.py" in raised.value.location


@given(SMALL)
def test_unique_and_its_counts(numbers):
    values, inverse, counts = cr.tensor(numbers).unique(return_inverse=True, return_counts=True)
    assert values.tolist() == sorted(set(numbers))
    assert values[inverse].tolist() == numbers
    assert dict(zip(values.tolist(), counts.tolist())) == Counter(numbers)


def test_unique_rows_and_runs():
    x = cr.tensor([[1, 2], [0, 1], [1, 2]])
    assert x.unique(dim=0).tolist() == [[0, 1], [1, 2]]
    values, counts = cr.tensor([1, 1, 2, 1]).unique_consecutive(return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([1, 2, 1], [2, 1, 1])
    assert cr.zeros(0).unique_consecutive().shape == (0,)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 12))
def test_bincount(numbers, minlength):
    counts = cr.tensor(numbers, dtype=cr.int64).bincount(minlength=minlength).tolist()
    assert len(counts) == max(minlength, max(numbers, default=-1) + 1)
    assert all(count == numbers.count(value) for value, count in enumerate(counts))


def test_bincount_and_histc_refusals():
    for wrong in (cr.tensor([-1]), cr.tensor([[1]]), cr.tensor([1.0])):
        with pytest.raises(OpError, match="bincount"):
            wrong.bincount()
    with pytest.raises(OpError, match="weights"):
        cr.tensor([1, 2]).bincount(cr.ones(3))
    with pytest.raises(DTypeError, match="histc"):
        cr.tensor([1]).histc()
    with pytest.raises(OpError, match="bins"):
        cr.ones(2).histc(0)


def test_a_histogram_counts_both_ends():
    assert cr.tensor([0.0, 0.5, 1.0, 7.0]).histc(2, 0, 1).tolist() == [1.0, 2.0]
    assert cr.tensor([2.0, 2.0]).histc(2).tolist() == [0.0, 2.0]


def test_a_scalar_is_sorted_and_columns_are_sorted_each():
    assert cr.argsort(cr.tensor(3.0)).item() == 0
    x = np.array([[3.0, 1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(cr.msort(cr.tensor(x)).numpy(), np.sort(x, 0))


@pytest.mark.parametrize("q", [0.1, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("how", ["nearest", "lower", "higher", "midpoint", "linear"])
def test_quantiles_between_two_numbers_are_numpys(q, how):
    x = np.array([1.0, 2.0, 4.0, 8.0])
    mine = cr.quantile(cr.tensor(x), q, interpolation=how).item()
    assert mine == pytest.approx(np.quantile(x, q, method=how))


@pytest.mark.parametrize("dtype", [cr.float32, cr.float64])
def test_bincount_adds_up_weights(dtype):
    x, weights = cr.tensor([0, 3, 3]), cr.tensor([0.5, 1, 2], dtype=dtype)
    y = cr.bincount(x, weights, minlength=5)
    assert y.dtype is dtype
    assert y.tolist() == np.bincount([0, 3, 3], [0.5, 1, 2], 5).tolist()
