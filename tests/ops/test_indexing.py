"""Indexing: NumPy says what the values are, counting says what the gradients are."""

import numpy as np
import pytest

import chainrule
from chainrule.errors import DimensionError, DTypeError, ShapeError
from chainrule.ops.gathering import one_hot

X = np.arange(24.0).reshape(2, 3, 4)
MASK = X % 5 == 0

# Where a slice stands between an int and an array, NumPy and PyTorch differ: see the parity tests.
KEYS = [
    0,
    -2,
    ...,
    None,
    slice(1, None),
    slice(None, None, 2),
    slice(7, 9),
    (0, 1, 2),
    (slice(None), None, 1),
    (..., 2),
    [1, 0, 1],
    (slice(None), [2, 0, 2]),
    ([0, 1], [2, 1]),
    ([[0], [1]], [2, 1]),
    ([0, 1], slice(None), [3, 0]),
    (..., [0, 0], [1, 1]),
    MASK,
    MASK[:, 0, 0],
    (slice(None), MASK[0, :, 0]),
    True,
    False,
    np.zeros((0,), np.int64),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reading_gives_what_numpy_gives(key):
    np.testing.assert_array_equal(chainrule.from_numpy(X)[key].numpy(), X[key])


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_an_element_read_twice_gets_both_gradients(key):
    x = chainrule.from_numpy(X.copy()).requires_grad_()
    x[key].sum().backward()
    times = np.bincount(X[key].astype(int).ravel(), minlength=24)
    np.testing.assert_array_equal(x.grad.numpy(), times.reshape(X.shape))


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_writing_does_what_numpy_does(key):
    expected = X.copy()
    expected[key] = -7
    x = chainrule.from_numpy(X.copy())
    x[key] = -7
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_what_was_overwritten_has_no_gradient_and_what_was_written_has_it_all(key):
    x = chainrule.from_numpy(X.copy()).requires_grad_()
    value = chainrule.tensor(5.0).requires_grad_()
    y = x * 1
    y[key] = value
    y.sum().backward()
    kept = np.ones_like(X)
    kept[key] = 0
    np.testing.assert_array_equal(x.grad.numpy(), kept)
    assert value.grad is None or value.grad.item() in (24 - kept.sum(), X[key].size)


def test_tensors_index_like_arrays():
    x = chainrule.from_numpy(X)
    index = chainrule.tensor([1, 0])
    np.testing.assert_array_equal(x[:, index].numpy(), X[:, [1, 0]])
    np.testing.assert_array_equal(x[index.int(), index].numpy(), X[[1, 0], [1, 0]])
    np.testing.assert_array_equal(x[x > 5].numpy(), X[X > 5])
    np.testing.assert_array_equal(x[chainrule.tensor(1)].numpy(), X[1])


def test_adding_at_an_index_that_repeats_counts_once_and_index_add_counts_all():
    x = chainrule.zeros(3)
    x[[1, 1]] += 1
    assert x.tolist() == [0, 1, 0]
    x.index_add_(0, chainrule.tensor([1, 1]), chainrule.ones(2))
    assert x.tolist() == [0, 3, 0]
    x.index_put_((chainrule.tensor([2, 2]),), chainrule.tensor([1.0, 2.0]), accumulate=True)
    assert x.tolist() == [0, 3, 3]


def test_many_rows_gathered_with_repeats_add_up():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 50, 400)
    weight = chainrule.from_numpy(rng.standard_normal((50, 8))).requires_grad_()
    bar = rng.standard_normal((400, 8))
    (weight[chainrule.from_numpy(rows)] * chainrule.from_numpy(bar)).sum().backward()
    expected = np.stack([bar[rows == row].sum(0) for row in range(50)])
    np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (2, DimensionError, "index 2 is out of range for dimension 0 of size 2"),
        ((0, -4), DimensionError, "index -4 is out of range for dimension 1 of size 3"),
        ([0, 2], DimensionError, "index 2 is out of range for dimension 0 of size 2"),
        ((slice(None), [0, -4]), DimensionError, "index -4 .* dimension 1 of size 3"),
        (([0, 1], [0, 3]), DimensionError, "index 3 .* dimension 1 of size 3"),
        ((0, 0, 0, 0), DimensionError, "4 indices for a tensor of 3 dimensions"),
        ((..., ...), DimensionError, "only one ..."),
        (([0, 1], [0, 1, 2]), DimensionError, "do not broadcast"),
        ([True, False, True], DimensionError, "mask"),
        (slice(None, None, -1), ShapeError, "step"),
        (1.5, DTypeError, "float is no index"),
        ("a", DTypeError, "str is no index"),
        ([0.5], DTypeError, "float64 is no index"),
        (np.array([1], np.uint8), DTypeError, "uint8"),
    ],
    ids=str,
)
def test_a_bad_index_is_named_with_its_size_and_the_users_line(key, error, words):
    x = chainrule.zeros(2, 3, 4)
    with pytest.raises(error, match=words) as raised:
        x[key]
    assert "x[key]" in str(raised.value)
    assert isinstance(raised.value, IndexError) or error is not DimensionError
    with pytest.raises(error, match=words):
        x[key] = 1.0
    assert x.sum().item() == 0


def test_a_value_that_does_not_fit_is_refused():
    x = chainrule.zeros(2, 3)
    for key in (0, [0, 1]):
        with pytest.raises(ShapeError, match="does not fit"):
            x[key] = chainrule.zeros(4)


def test_a_scalar_has_nothing_to_index():
    x = chainrule.tensor(1.5)
    assert x[...].item() == x[()].item() == 1.5
    assert x[None].shape == (1,)
    with pytest.raises(DimensionError):
        x[0]


def test_iteration_gives_views_in_order():
    x = chainrule.zeros(3, 2)
    for number, row in enumerate(x):
        row.fill_(number)
    assert x.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_gather_and_scatter_are_each_others_way_back():
    index = chainrule.tensor([[2, 0], [1, 1]])
    x = chainrule.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    y = x.gather(1, index)
    assert y.tolist() == [[3, 1], [5, 5]]
    y.backward(chainrule.tensor([[10.0, 20.0], [30.0, 40.0]]))
    assert x.grad.tolist() == [[20, 0, 10], [0, 70, 0]]
    added = chainrule.zeros(2, 3).scatter_add(1, index, y.detach())
    assert added.tolist() == [[1, 0, 3], [0, 10, 0]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.gather(0, chainrule.tensor([[2]])),
        lambda x: x.gather(0, chainrule.tensor([[-1]])),
        lambda x: x.index_select(0, chainrule.tensor([-1])),
        lambda x: x.scatter(1, chainrule.tensor([[3]]), 1.0),
        lambda x: x.take(chainrule.tensor([6])),
        lambda x: x.narrow(0, 1, 2),
        lambda x: x.select(1, 3),
        lambda x: one_hot(chainrule.tensor([3]), 3),
    ],
)
def test_out_of_range_by_name_is_a_dimension_error(function):
    with pytest.raises(DimensionError, match=r"test_indexing\.py"):
        function(chainrule.zeros(2, 3))


def test_nonzero_and_masks_name_the_same_elements():
    x = chainrule.from_numpy(X)
    mask = x > 20
    assert x[mask].tolist() == x[mask.nonzero(as_tuple=True)].tolist() == [21, 22, 23]
    assert x.masked_select(mask).tolist() == [21, 22, 23]
    assert mask.nonzero().tolist() == [[1, 2, 1], [1, 2, 2], [1, 2, 3]]


def test_one_hot_is_a_row_of_the_identity():
    classes = chainrule.tensor([2, 0, 1])
    assert one_hot(classes).tolist() == np.eye(3, dtype=int)[[2, 0, 1]].tolist()
    assert one_hot(classes, 4).dtype is chainrule.int64
