"""Views against NumPy: whatever is done to one, it shows the elements that NumPy would show.

The oracle is an array of places, 0, 1, 2, ... as they lie in memory: moved along by NumPy, it says
where every element of the view must be.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from chainrule.compile.views import View, contiguous, digits_of, place, refine, simplified
from chainrule.core.dtypes import float32


def places(view):
    """Where each element of a view is, digit by digit."""
    total = np.full((1,) * len(view.axes), view.offset)
    for dim, (axis, size) in enumerate(zip(view.axes, view.shape)):
        along = np.array([place(axis, index) for index in range(size)], np.int64)
        total = total + along.reshape([-1 if d == dim else 1 for d in range(len(view.axes))])
    return np.broadcast_to(total, view.shape)


def places_of_digits(axis, sizes):
    """An axis' places by its digits of given sizes: what loops over them would visit."""
    strides = digits_of(axis, sizes)
    steps = itertools.product(*[range(size) for size in sizes])
    return [sum(i * s for i, s in zip(step, strides)) for step in steps]


def a_view(shape, order=None):
    view = contiguous("x", float32, shape, order)
    order = range(len(shape)) if order is None else order
    inside = np.arange(math.prod(shape)).reshape([shape[dim] for dim in order])
    return view, inside.transpose(np.argsort(order))


sizes = st.integers(1, 6)
shapes = st.lists(sizes, min_size=1, max_size=4)


def factored(draw, size):
    """A way to write a size as a product, some of its factors 1."""
    found = []
    while size > 1:
        found.append(draw(st.sampled_from([n for n in range(2, size + 1) if size % n == 0])))
        size //= found[-1]
    if draw(st.booleans()):
        found.insert(draw(st.integers(0, len(found))), 1)
    return found


# ---- one move after the other ----------------------------------------------------------------


def permute(draw, view, array):
    dims = draw(st.permutations(range(array.ndim)))
    return view.permute(dims), array.transpose(dims)


def reshape(draw, view, array):
    shape = factored(draw, array.size)
    made = view.reshape(shape)
    lies_in_order = np.array_equal(np.ravel(array), np.arange(array.size) + array.flat[0])
    assert made is not None or not lies_in_order
    return (made, array.reshape(shape)) if made is not None else (view, array)


def cut(draw, view, array):
    ranges, key = [], []
    for size in array.shape:
        start = draw(st.integers(0, size - 1))
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        most = (size - 1 - start) // step + 1 if step > 0 else start // -step + 1
        count = draw(st.integers(1, most))
        ranges.append((start, step, count))
        stop = start + step * count
        key.append(slice(start, None if stop < 0 else stop, step))
    made = view.slice(ranges)
    if made is None:
        untouched = [(0, 1, size) for size in array.shape]
        inner = zip(view.axes, ranges, untouched)
        assert any(len(simplified(a)) > 1 and r != u and r[2] > 1 for a, r, u in inner)
        return view, array
    return made, array[tuple(key)]


def expand(draw, view, array):
    front = draw(st.lists(st.integers(1, 3), max_size=1))
    shape = [*front, *[draw(sizes) if n == 1 else n for n in array.shape]]
    return view.expand(shape), np.broadcast_to(array, shape)


def windows(draw, view, array):
    if not array.ndim:
        return view, array
    first = draw(st.integers(0, array.ndim - 1))
    count = draw(st.integers(1, min(2, array.ndim - first)))
    dims = list(range(first, first + count))
    kernel, stride, dilation, counts = [], [], [], []
    for dim in dims:
        size = array.shape[dim]
        kernel.append(draw(st.integers(1, min(3, size))))
        most = (size - 1) // (kernel[-1] - 1) if kernel[-1] > 1 else 1
        dilation.append(draw(st.integers(1, min(most, 3))))
        stride.append(draw(st.integers(1, 3)))
        counts.append((size - dilation[-1] * (kernel[-1] - 1) - 1) // stride[-1] + 1)
    made = view.windows(dims, kernel, stride, dilation, counts)
    if made is None:
        assert any(len(simplified(view.axes[dim])) > 1 for dim in dims)
        return view, array
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    slid = sliding_window_view(array, reach, tuple(dims))
    for i, dim in enumerate(dims):
        taken = [slice(None)] * slid.ndim
        taken[dim], taken[array.ndim + i] = (
            slice(None, None, stride[i]),
            slice(None, None, dilation[i]),
        )
        slid = slid[tuple(taken)]
    taps = list(range(array.ndim, array.ndim + count))
    return made, slid.transpose([*range(first), *taps, *range(first, array.ndim)])


MOVES = [permute, reshape, cut, expand, windows]


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_done_to_a_view_numpy_shows_the_same(data):
    shape = data.draw(shapes)
    view, array = a_view(shape, data.draw(st.permutations(range(len(shape)))))
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=4)):
        view, array = move(data.draw, view, array)
        assert view.shape == array.shape
        np.testing.assert_array_equal(places(view), array)
        if array.size > 2000 or array.ndim > 6:
            break


# ---- reshape ---------------------------------------------------------------------------------


@given(st.data())
def test_what_lies_in_order_can_always_be_reshaped(data):
    shape = data.draw(shapes)
    view, array = a_view(shape)
    wanted = factored(data.draw, array.size)
    made = view.reshape(wanted)
    assert made is not None
    assert all(len(simplified(axis)) == 1 for axis in made.axes)
    np.testing.assert_array_equal(places(made), array.reshape(wanted))


@settings(max_examples=200)
@given(st.data())
def test_a_reshape_that_numpy_does_without_a_copy_needs_none(data):
    shape = data.draw(shapes)
    order = data.draw(st.permutations(range(len(shape))))
    view, array = a_view(shape, order)
    ranges = [(0, data.draw(st.integers(1, 2)), 1 + (n - 1) // 2) for n in shape]
    view = view.slice(ranges)
    array = array[tuple([slice(0, step * count, step) for _, step, count in ranges])]
    wanted = factored(data.draw, array.size)
    made = view.reshape(wanted)
    if np.shares_memory(array.reshape(wanted), array):
        assert made is not None
    if made is not None:
        np.testing.assert_array_equal(places(made), array.reshape(wanted))


def test_the_columns_of_a_convolution_are_a_view():
    # NumPy would have to write them out: (n, r, s, h, w) -> (n · h · w, r · s)
    view, array = a_view((2, 6, 5))
    slid = view.windows([1, 2], [3, 3], [1, 1], [1, 1], [4, 3])
    made = slid.permute([0, 3, 4, 1, 2]).reshape([2 * 4 * 3, 9])
    assert made is not None
    expected = sliding_window_view(array, (3, 3), (1, 2)).reshape(24, 9)
    np.testing.assert_array_equal(places(made), expected)


def test_digits_that_do_not_fit_are_no_view():
    view, _ = a_view((4, 6), (1, 0))
    assert view.reshape([24]) is not None  # an axis of two digits
    assert view.reshape([24]).reshape([6, 4]) is None
    assert view.reshape([24]).reshape([2, 2, 6]) is not None


def test_a_part_of_an_axis_of_several_digits_is_no_view():
    view = a_view((4, 6), (1, 0))[0].reshape([24])
    assert view.slice([(1, 1, 20)]) is None
    assert view.slice([(23, -1, 24)]) is None
    assert view.windows([0], [3], [1], [1], [22]) is None
    one = view.slice([(7, 1, 1)])  # but one element is
    assert one.offset == place(view.axes[0], 7)


def test_an_axis_of_one_has_no_stride():
    view = contiguous("x", float32, (1, 3, 1))
    assert view.axes == (((1, 0),), ((3, 1),), ((1, 0),))
    assert contiguous("x", float32, ()).axes == ()


# ---- digits ----------------------------------------------------------------------------------


@st.composite
def axes(draw, size=None):
    """An axis as digits with any strides."""
    factors = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    if size is not None:
        factors = factored(draw, size) or [1]
    return tuple([(n, draw(st.integers(-5, 20))) for n in factors])


@given(axes())
def test_a_simplified_axis_is_the_same_axis(axis):
    size = math.prod([n for n, _ in axis])
    made = simplified(axis)
    assert [place(made, i) for i in range(size)] == [place(axis, i) for i in range(size)]
    assert simplified(made) == made
    assert all(n > 1 for n, _ in made) or made == ((1, 0),)


@given(st.data())
def test_axes_written_in_common_digits_are_the_same_axes(data):
    size = data.draw(st.sampled_from([1, 2, 6, 12, 24, 30, 36]))
    some = [data.draw(axes(size)) for _ in range(data.draw(st.integers(1, 3)))]
    found = refine(some)
    if found is None:
        ends = {
            math.prod([n for n, _ in simplified(axis)[k:]])
            for axis in some
            for k in range(len(simplified(axis)))
        }
        assert any(a % b and b % a for a, b in itertools.combinations(ends, 2))
        return
    assert math.prod(found) == size
    for axis in some:
        assert places_of_digits(axis, found) == [place(axis, i) for i in range(size)]


def test_digits_without_a_common_one():
    assert refine([((4, 7), (6, 1)), ((6, 5), (4, 1))]) is None
    assert refine([((4, 6), (6, 1)), ((6, 5), (4, 1))]) == (6, 4)  # the first is one digit
    assert refine([]) == (1,)


@pytest.mark.parametrize("step", [-3, -1, 2])
def test_what_is_cut_again_is_cut_of_the_part(step):
    view, array = a_view((20,))
    start = 19 if step < 0 else 0
    count = len(array[start::step])
    made = view.slice([(start, step, count)]).slice([(count - 1, -1, count)])
    np.testing.assert_array_equal(places(made), array[start::step][::-1])
    assert isinstance(made, View)
