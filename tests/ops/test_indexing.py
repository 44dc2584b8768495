"""Indexing: NumPy says what the values are, counting says what the gradients are."""

import numpy as np
import pytest

import chainrule
from chainrule.errors import ChainruleError, DimensionError, DTypeError, OpError, ShapeError
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


# ---- by name ---------------------------------------------------------------------------------


def test_rows_are_overwritten_by_number():
    x, index = chainrule.zeros(3, 2), chainrule.tensor([2, 0])
    source = chainrule.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert chainrule.index_copy(x, 0, index, source).tolist() == [[3, 4], [0, 0], [1, 2]]
    assert chainrule.index_copy(x, 1, chainrule.tensor(1), x[:, :1] + 5)[:, 1].tolist() == [5] * 3
    for value in (7.0, chainrule.tensor(7.0)):
        assert chainrule.index_fill(x, 0, index, value).tolist() == [[7, 7], [0, 0], [7, 7]]
    scalar = chainrule.index_copy(chainrule.tensor(1.0), 0, index[1:], chainrule.tensor([5.0]))
    assert scalar.shape == ()
    assert scalar.item() == 5
    assert x.tolist() == [[0, 0]] * 3
    with pytest.raises(ShapeError, match=r"f32\[1,2\].*\[2, 2\]") as raised:
        chainrule.index_copy(x, 0, index, source[:1])
    assert "source" in raised.value.cure
    with pytest.raises(ShapeError, match=r"f32\[1,2\].*\[2, 2\]"):
        chainrule.index_add(x, 0, index, source[:1])


def test_what_was_overwritten_by_number_has_no_gradient(rng):
    x, y = (chainrule.tensor(rng.standard_normal((3, 2)), requires_grad=True) for _ in range(2))
    chainrule.index_copy(x, 0, chainrule.tensor([2, 0]), y[:2]).sum().backward()
    assert x.grad.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert y.grad.tolist() == [[1, 1], [1, 1], [0, 0]]
    x.grad = None
    chainrule.index_fill(x, 1, chainrule.tensor([0]), 3.0).sum().backward()
    assert x.grad.tolist() == [[0, 1]] * 3


@pytest.mark.parametrize(
    ("index", "error", "match"),
    [([0.0], DTypeError, r"f32\[1\]"), ([[0]], DimensionError, r"i64\[1,1\]")],
)
def test_an_index_that_is_no_vector_of_integers_is_refused(index, error, match):
    for call in (
        lambda x, at: chainrule.index_select(x, 1, at),
        lambda x, at: chainrule.index_fill(x, 1, at, 1.0),
    ):
        with pytest.raises(error, match=match) as raised:
            call(chainrule.zeros(3, 2), chainrule.tensor(index))
        assert "vector of integers" in raised.value.cure


def test_index_put_writes_or_adds():
    x, values = chainrule.zeros(3), chainrule.tensor([1.0, 2.0])
    assert chainrule.index_put(x, (chainrule.tensor([2, 0]),), values).tolist() == [2, 0, 1]
    twice = (chainrule.tensor([0, 0]),)
    assert chainrule.index_put(x, twice, values, accumulate=True).tolist() == [3, 0, 0]
    with pytest.raises(ChainruleError, match="no index tensor") as raised:
        chainrule.index_put(x, (slice(0, 1),), values[:1])
    assert "x[...] = value" in raised.value.cure


def test_a_mask_takes_one_value_for_all_and_passes_its_gradient():
    x = chainrule.zeros(2, 3)
    value = chainrule.tensor(4.0, requires_grad=True)
    mask = chainrule.tensor([[True, False, True], [False, False, True]])
    x[mask] = value
    np.testing.assert_array_equal(x.detach().numpy(), np.where(mask.numpy(), 4, 0))
    x.sum().backward()
    assert value.grad.item() == 3
    rows = chainrule.zeros(2, 3)
    rows[chainrule.tensor([False, True])] = chainrule.tensor(1.0)
    assert rows.tolist() == [[0, 0, 0], [1, 1, 1]]
    rows[0] = chainrule.ones(1, 1, 3) * 2  # leading dimensions of size 1 fall away, as in NumPy
    assert rows.tolist() == [[2, 2, 2], [1, 1, 1]]


def test_scatter_writes_adds_and_says_what_does_not_fit():
    x, index, source = chainrule.zeros(2, 3), chainrule.tensor([[0, 1, 1]]), chainrule.ones(1, 3)
    assert chainrule.scatter(x, 0, index, source).tolist() == [[1, 0, 0], [0, 1, 1]]
    added = chainrule.scatter(x + 1, 0, index, source, reduce="add")
    assert added.tolist() == [[2, 1, 1], [1, 2, 2]]
    larger = chainrule.arange(6.0).reshape(2, 3)  # what lies beyond the index is left out
    assert chainrule.scatter(x, 0, index, larger).tolist() == [[0, 0, 0], [0, 1, 2]]
    for call, error, match in (
        (lambda: x.scatter(0, index, source[:, :2]), ShapeError, r"f32\[1,2\] is smaller"),
        (lambda: x.scatter(0, index, source.double()), DTypeError, r"f64\[1,3\].*f32\[2,3\]"),
        (lambda: x.scatter(0, index.float(), source), DTypeError, r"index is f32\[1,3\]"),
        (lambda: x.scatter(0, index, source, reduce="mul"), OpError, "'mul'"),
        (lambda: x.gather(0, chainrule.zeros(1, 4).long()), ShapeError, r"i64\[1,4\].*\[2, 3\]"),
    ):
        with pytest.raises(error, match=match) as raised:
            call()
        assert raised.value.cure


def test_take_along_dim_is_numpys(rng):
    x = rng.standard_normal((4, 5))
    order, first = x.argsort(1), x.argmin(0)[None]
    for indices, dim in ((order, 1), (first, 0), (np.array([[3]]), 0)):
        mine = chainrule.take_along_dim(chainrule.tensor(x), chainrule.tensor(indices), dim)
        wide = np.broadcast_to(indices, (indices.shape[0], 5)) if dim == 0 else indices
        np.testing.assert_array_equal(mine.numpy(), np.take_along_axis(x, wide, dim))
    flat = chainrule.take_along_dim(chainrule.tensor(x), chainrule.tensor([7, 0]))
    assert flat.tolist() == [x[1, 2], x[0, 0]]
    with pytest.raises(ShapeError, match="differ in dimensions") as raised:
        chainrule.take_along_dim(chainrule.tensor(x), chainrule.tensor([1]), 1)
    assert "keepdim" in raised.value.cure
    with pytest.raises(ShapeError, match="do not broadcast"):
        chainrule.take_along_dim(chainrule.tensor(x), chainrule.zeros(3, 1).long(), 1)


def test_masked_select_refuses_a_mask_that_does_not_broadcast():
    with pytest.raises(ShapeError, match=r"masked_select: the mask is bool\[2\]"):
        chainrule.ones(3).masked_select(chainrule.tensor([True, False]))
