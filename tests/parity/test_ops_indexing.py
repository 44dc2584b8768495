"""What stands between brackets, and gathering and scattering by name, against PyTorch."""

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise


def array(*shape, seed=0):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


I = np.array  # noqa: E741  index arrays, many of them
MASK = np.array([[True, False, True], [False, False, True]])

KEYS = [
    0,
    -1,
    np.int64(1),
    slice(None),
    slice(1, None),
    slice(None, None, 2),
    slice(-2, 100),
    slice(5, 2),
    ...,
    None,
    (0, 1, 2),
    (0, ..., 1),
    (..., None),
    (None, 0, None, slice(1, 3)),
    (slice(None), 1),
    (slice(None), slice(0, 2), slice(None, None, 3)),
    I([1, 0, 1]),
    I([[0, 1], [1, 1]]),
    I([-1, 0]),
    I([], np.int64),
    [1, 0],
    [],
    (slice(None), I([2, 0])),
    (slice(None), I([2, 0]), I([1, 3])),
    (I([0, 1]), slice(None), I([1, 3])),
    (I([0, 1]), I([2, 1])),
    (I([[0], [1]]), I([2, 1])),
    (0, slice(None), I([1, 3])),
    (I([0, 1]), 2, I([1, 3])),
    (slice(None), I([0, 1]), 3),
    (I([0, 1]), None, I([2, 1])),
    (None, I([0, 1]), I([2, 1])),
    (..., I([0, 3])),
    (..., I([0, 1]), I([0, 3])),
    (I([0, 1], np.int32), 0),
    MASK,
    (MASK, I([0, 1, 2])),
    (slice(None), I([True, False, True])),
    (I([True, False]), slice(None), I([0, 2])),
    (I([True, False]), I([True, False, True])),
    (MASK, 1),
    (MASK, slice(1, 3)),
    np.zeros((2, 3, 4), bool),
    array(2, 3, 4) > 0,
    True,
    False,
    (True, 0),
    (I(1), I([0, 2])),
    (I(1), slice(None), I([0, 2])),
    I(1),
    (slice(None), I(0)),
    (I([0, 1]), slice(None), I(2)),
    ([0, 1], [2, 1]),
    [True, False],
]


def get(x, key):
    return x[key]


def built(key):
    """Lists and Python numbers stay as they are; arrays become tensors of each library."""
    return key


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reading_agrees(key):
    assert_agrees((get, get), array(2, 3, 4), key)
    assert_agrees((get, get), np.arange(24).reshape(2, 3, 4), key)


def written(x, key, value):
    y = x.clone()
    y[key] = value
    return y * x


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_writing_a_number_and_a_tensor_agrees(key):
    selected = (
        array(2, 3, 4)[tuple(key) if isinstance(key, list) and not key else key]
        if (not isinstance(key, list) or key)
        else np.zeros((0, 3, 4))
    )
    assert_agrees((written, written), array(2, 3, 4), key, 5)
    assert_agrees((written, written), np.arange(24).reshape(2, 3, 4), key, 7)
    assert_agrees((written, written), array(2, 3, 4), key, array(seed=3))
    duplicates = key is not None and "[1, 0, 1]" in str(key).replace("array(", "")
    repeated = isinstance(key, np.ndarray | list) and not duplicates and np.size(key) == 4
    if not duplicates and not repeated:
        value = _value_for(key, selected)
        assert_agrees((written, written), array(2, 3, 4), key, value)


def _value_for(key, selected):
    import torch

    def tensors(item):
        return torch.from_numpy(item) if isinstance(item, np.ndarray) else item

    torch_key = tuple(map(tensors, key)) if isinstance(key, tuple) else tensors(key)
    return array(*torch.zeros(2, 3, 4)[torch_key].shape, seed=5)


def test_values_broadcast_lose_leading_ones_and_are_converted():
    assert_agrees((written, written), array(2, 3, 4), (0,), array(4, seed=2))
    assert_agrees((written, written), array(2, 3, 4), (0,), array(1, 1, 3, 4, seed=2))
    assert_agrees((written, written), array(2, 3, 4), I([0, 1]), array(3, 1, seed=2))
    assert_agrees((written, written), array(2, 3, 4), I([0, 1]), array(1, 3, 1, seed=2))
    assert_agrees((written, written), np.arange(24).reshape(2, 3, 4), 0, 2.75)


@pytest.mark.parametrize(
    "key",
    [
        2,
        -3,
        (0, 0, 0, 0),
        slice(None, None, -1),
        I([2]),
        I([-3]),
        (slice(None), I([3, 0])),
        (I([0, 1]), I([0, 1, 2])),
        I([True, False, True]),
        (0, MASK),
    ],
    ids=str,
)
def test_both_refuse_the_key(key):
    assert_both_raise((get, get), array(2, 3, 4), key)
    assert_both_raise((written, written), array(2, 3, 4), key, 1.0)


def test_both_refuse_a_value_that_does_not_fit():
    assert_both_raise((written, written), array(2, 3), 0, array(2))
    assert_both_raise((written, written), array(2, 3), I([0, 1]), array(3, 3))


def test_a_scalar_can_be_indexed_by_nothing_none_and_bools():
    for key in ((), ..., None, True, False, I(True), I(False)):
        assert_agrees((get, get), array(), key)
    assert_both_raise((get, get), array(), 0)


NAMED = [
    ("index_select", [0, I([1, 0, 1])], {}),
    ("index_select", [-1, I([3])], {}),
    ("index_select", [1, I(2)], {}),
    ("index_add", [0, I([1, 1]), array(2, 3, 4, seed=1)], {}),
    ("index_add", [2, I([0, 3, 3]), array(2, 3, 3, seed=1)], {"alpha": -2}),
    ("index_copy", [1, I([2, 0]), array(2, 2, 4, seed=1)], {}),
    ("index_fill", [1, I([2, 0]), 3.5], {}),
    ("index_fill", [0, I([1]), array(seed=1)], {}),
    ("take", [I([[0, 5], [23, -1]])], {}),
    ("narrow", [1, 1, 2], {}),
    ("narrow", [2, -3, 2], {}),
    ("select", [1, -1], {}),
    ("gather", [0, np.random.default_rng(0).integers(0, 2, (3, 3, 4))], {}),
    ("gather", [1, np.random.default_rng(0).integers(0, 3, (2, 5, 4))], {}),
    ("gather", [-1, np.random.default_rng(0).integers(0, 4, (1, 2, 6))], {}),
    ("scatter_add", [0, np.random.default_rng(0).integers(0, 2, (2, 3, 4)), array(2, 3, 4)], {}),
    ("scatter_add", [2, np.random.default_rng(0).integers(0, 4, (1, 2, 6)), array(1, 2, 6)], {}),
    ("scatter", [1, I([[[2, 0, 1, 1]]]), array(1, 1, 4)], {}),
    ("scatter", [1, I([[[2, 0, 1, 1]]]), 2.5], {}),
    ("masked_select", [MASK[:, :, None]], {}),
    ("index_put", [(I([0, 1]), I([2, 2])), array(2, 4)], {}),
    ("index_put", [(I([0, 0]), I([2, 2])), array(4), True], {}),
    ("index_put", [(I([True, False]),), array(3, 4)], {"accumulate": True}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), NAMED, ids=lambda each: str(each)[:40])
def test_by_name_agrees(name, args, kwargs):
    assert_agrees(name, array(2, 3, 4), *args, kwargs=kwargs)
    integers = [
        (each * 3).astype(np.int64)
        if isinstance(each, np.ndarray) and each.dtype.kind == "f"
        else int(each)
        if isinstance(each, float)
        else each
        for each in args
    ]
    assert_agrees(name, np.arange(24).reshape(2, 3, 4), *integers, kwargs=kwargs)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("index_add_", NAMED[3][1]),
        ("index_copy_", NAMED[5][1]),
        ("index_fill_", NAMED[6][1]),
        ("scatter_add_", NAMED[15][1]),
        ("scatter_", NAMED[17][1]),
        ("index_put_", NAMED[21][1]),
    ],
)
def test_in_place_by_name_agrees(name, args):
    def changed(x, *rest):
        y = x * 2
        getattr(y, name)(*rest)
        return y * x

    assert_agrees((changed, changed), array(2, 3, 4), *args)


def test_a_source_larger_than_the_index_agrees():
    index = I([[[2, 0, 1, 1], [0, 1, 2, 0]]])
    for name in ("scatter", "scatter_add"):  # PyTorch's gradient has the index's shape: an error
        assert_agrees(name, array(2, 3, 4), 1, index, array(2, 3, 4, seed=1), grad=False)


def test_take_along_dim_and_nonzero_agree():
    order = array(2, 3, 4).argsort(1)
    assert_agrees("take_along_dim", array(2, 3, 4), order, 1)
    assert_agrees("take_along_dim", array(2, 3, 4), order[:1, :1], 1)
    assert_agrees("take_along_dim", array(2, 3, 4), I([3, 1]))
    for x in (array(2, 3) > 0, np.eye(3), np.zeros((2, 2)), np.array(3.0), np.array(0.0)):
        assert_agrees("nonzero", x, grad=False)
        assert_agrees("nonzero", x, kwargs={"as_tuple": True}, grad=False)


def test_one_hot_agrees():
    import torch

    from chainrule.ops.gathering import one_hot

    both = (one_hot, torch.nn.functional.one_hot)
    assert_agrees(both, I([0, 2, 1]))
    assert_agrees(both, I([[0, 2], [1, 1]]), 5)
    assert_agrees(both, I(1), 3)
    assert_both_raise(both, I([0, 3]), 3)
    assert_both_raise(both, I([-1]), 3)
    assert_both_raise(both, array(3))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("index_select", [0, I([2])]),
        ("index_select", [0, I([-1])]),
        ("index_select", [3, I([0])]),
        ("gather", [0, I([[[2]]])]),
        ("gather", [0, I([[[-1]]])]),
        ("gather", [0, I([0])]),
        ("scatter_add", [0, I([[[2]]]), array(1, 1, 1)]),
        ("scatter_add", [0, I([[[0], [1], [1], [0]]]), array(1, 4, 1)]),
        ("index_add", [0, I([0, 1]), array(3, 3, 4)]),
        ("narrow", [0, 1, 2]),
        ("select", [0, 2]),
        ("take", [I([24])]),
    ],
    ids=str,
)
def test_both_refuse_by_name(name, args):
    assert_both_raise(name, array(2, 3, 4), *args)
