"""Comparisons, logic, selection and nearness."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.autograd import grad
from chainrule.errors import DTypeError, OpError, ShapeError

NUMBERS = st.one_of(st.integers(-3, 3), st.floats(-3, 3), st.just(math.nan), st.just(math.inf))


@given(NUMBERS, NUMBERS)
def test_comparisons_are_pythons(a, b):
    x, y = cr.tensor([a], dtype=cr.float64), cr.tensor([b], dtype=cr.float64)
    for op in (operator.gt, operator.ge, operator.lt, operator.le, operator.eq, operator.ne):
        assert op(x, y).item() is op(float(a), float(b))
        assert op(x, b).item() is op(float(a), float(b))
        assert op(a, y).item() is op(float(a), float(b))


def test_a_comparison_is_bool_and_has_no_gradient():
    x = cr.ones(2, requires_grad=True)
    y = x > 0
    assert y.dtype is cr.bool_
    assert not y.requires_grad


@given(st.lists(st.sampled_from([0.0, 1.0, -2.0, math.nan]), min_size=2, max_size=2))
def test_logic_counts_everything_but_zero_as_true(pair):
    a, b = pair
    x, y = cr.tensor([a]), cr.tensor([b])
    assert cr.logical_and(x, y).item() is (bool(a) and bool(b))
    assert cr.logical_or(x, y).item() is (bool(a) or bool(b))
    assert cr.logical_xor(x, y).item() is (bool(a) != bool(b))
    assert cr.logical_not(x).item() is (not a)


def test_where_sends_the_gradient_to_what_was_chosen():
    a, b = cr.ones(3, requires_grad=True), cr.zeros(1, requires_grad=True)
    y = cr.where(cr.tensor([True, False, True]), a, b)
    a_bar, b_bar = grad(y.sum(), (a, b))
    assert a_bar.tolist() == [1.0, 0.0, 1.0]
    assert b_bar.tolist() == [1.0]


def test_where_cuts_off_infinite_cotangents():
    a = cr.ones(2, requires_grad=True)
    y = cr.where(cr.tensor([True, False]), a, 0.0)
    assert grad(y, a, cr.tensor([1.0, math.inf]))[0].tolist() == [1.0, 0.0]


def test_where_promotes_and_takes_any_condition():
    assert cr.where(cr.tensor([1, 0]), cr.tensor([1, 2]), 0.5).tolist() == [1.0, 0.5]
    with pytest.raises(ShapeError, match="broadcast"):
        cr.where(cr.ones(2) > 0, cr.ones(3), 0.0)


def test_masked_fill_keeps_the_dtype_and_refuses_what_is_no_mask():
    x = cr.tensor([1, 2, 3])
    mask = cr.tensor([True, False, True])
    assert x.masked_fill(mask, 9).tolist() == [9, 2, 9]
    assert x.masked_fill(mask, 9).dtype is cr.int64
    assert x.clone().masked_fill_(mask, 0).tolist() == [0, 2, 0]
    with pytest.raises(OpError, match="not bool"):
        x.masked_fill(x, 9)
    with pytest.raises(OpError, match="not a number"):
        x.masked_fill(mask, cr.zeros(3))


def test_kinds_of_numbers():
    x = cr.tensor([math.nan, math.inf, -math.inf, -0.0, 1.0])
    assert x.isnan().tolist() == [True, False, False, False, False]
    assert x.isinf().tolist() == [False, True, True, False, False]
    assert x.isfinite().tolist() == [False, False, False, True, True]
    assert x.isposinf().tolist() == [False, True, False, False, False]
    assert x.isneginf().tolist() == [False, False, True, False, False]
    assert x.signbit().tolist()[1:] == [False, True, True, False]
    assert cr.tensor([1, -1]).signbit().tolist() == [False, True]
    assert cr.tensor([1]).isnan().tolist() == [False]


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0, 1), st.floats(0, 1))
def test_isclose_is_numpys(a, b, rtol, atol):
    x, y = cr.tensor([a], dtype=cr.float64), cr.tensor([b], dtype=cr.float64)
    assert cr.isclose(x, y, rtol, atol).item() == np.isclose(a, b, rtol, atol)


def test_infinities_are_close_to_themselves_only():
    a = cr.tensor([math.inf, math.inf, math.nan])
    b = cr.tensor([math.inf, -math.inf, math.nan])
    assert cr.isclose(a, b, rtol=1.0).tolist() == [True, False, False]
    assert cr.isclose(a, b, equal_nan=True).tolist() == [True, False, True]
    assert cr.allclose(a[:1], b[:1]) is True
    with pytest.raises(OpError, match="dtypes"):
        cr.isclose(a, a.to(cr.float64))


def test_equal_looks_at_shapes_too():
    assert cr.equal(cr.ones(2), cr.ones(2)) is True
    assert cr.equal(cr.ones(2), cr.ones(2, 1)) is False
    assert cr.equal(cr.ones(2), cr.zeros(2)) is False


def test_isin():
    assert cr.isin(cr.tensor([[1, 2], [3, 4]]), cr.tensor([4, 1])).tolist() == [
        [True, False],
        [False, True],
    ]
    assert cr.isin(cr.tensor([1, 2]), 2, invert=True).tolist() == [True, False]


def test_what_is_no_operand_is_refused():
    with pytest.raises(DTypeError, match="list"):
        operator.gt(cr.ones(2), [1, 2])


def test_where_of_a_condition_alone_says_where_it_holds():
    condition = cr.tensor([[True, False], [True, True]])
    rows, columns = cr.where(condition)
    expected = np.nonzero(condition.numpy())
    assert (rows.tolist(), columns.tolist()) == tuple(each.tolist() for each in expected)


def test_whole_numbers_can_be_close():
    x, y = cr.tensor([1, 100, 2**60]), cr.tensor([2, 101, 2**60])
    assert cr.isclose(x, y).tolist() == [False, False, True]
    assert cr.isclose(x, y, rtol=0.02).tolist() == [False, True, True]
