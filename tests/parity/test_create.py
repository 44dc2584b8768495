"""Creation functions give what PyTorch's give: values, dtypes, shapes, and errors."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule
from chainrule.errors import ChainruleError

torch = pytest.importorskip("torch")

DTYPES = ("uint8", "int32", "int64", "float16", "float32", "float64")


def assert_same(ours, theirs, rtol: float = 0.0, atol: float = 0.0) -> None:
    assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
    assert ours.shape == tuple(theirs.shape)
    assert ours.requires_grad == theirs.requires_grad
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.zeros(2, 3),
        lambda t: t.zeros((2, 3), dtype=t.int32),
        lambda t: t.zeros([2, 3], requires_grad=True),
        lambda t: t.zeros(()),
        lambda t: t.zeros(0, 3),
        lambda t: t.zeros(t.ones(2, 5).shape),
        lambda t: t.ones(4, dtype=t.bool),
        lambda t: t.ones(2, dtype=float),
        lambda t: t.full((2,), 3),
        lambda t: t.full((2,), 3.5),
        lambda t: t.full((2,), True),
        lambda t: t.full((2,), 3, dtype=t.float64),
        lambda t: t.full((), float("nan")),
        lambda t: t.full_like(t.ones(2, dtype=t.int64), 7),
        lambda t: t.zeros_like(t.ones(2, 3), dtype=t.float64),
        lambda t: t.ones_like(t.zeros(2, 3, dtype=t.uint8)),
        lambda t: t.ones_like(t.zeros(2), requires_grad=True),
        lambda t: t.empty(2, 3).zero_(),
        lambda t: t.empty_like(t.ones(3, dtype=t.int16)).zero_(),
        lambda t: t.eye(3),
        lambda t: t.eye(2, 4, dtype=t.int64),
        lambda t: t.eye(0),
        lambda t: t.scalar_tensor(3),
        lambda t: t.arange(5),
        lambda t: t.arange(5.0),
        lambda t: t.arange(1, 2.5, 0.5),
        lambda t: t.arange(10, 0, -3),
        lambda t: t.arange(0),
        lambda t: t.arange(3, 3),
        lambda t: t.arange(5, dtype=t.float16),
        lambda t: t.arange(0.5, 5, dtype=t.int64),
        lambda t: t.arange(1, 10, 2.5),
        lambda t: t.arange(t.tensor(4)),
        lambda t: t.arange(2**40, 2**40 + 3),
        lambda t: t.arange(5, requires_grad=True, dtype=t.float32),
        lambda t: t.linspace(0, 1, 5),
        lambda t: t.linspace(3, -3, 7, dtype=t.float64),
        lambda t: t.linspace(0, 1, 1),
        lambda t: t.linspace(0, 1, 0),
        lambda t: t.linspace(0, 10, 4, dtype=t.int64),
        lambda t: t.logspace(0, 2, 5, dtype=t.float64),
        lambda t: t.logspace(0, 3, 4, base=2),
        lambda t: t.ones(2, dtype=t.float64).new_zeros(3),
        lambda t: t.ones(2, dtype=t.int32).new_ones((2, 2)),
        lambda t: t.ones(2, dtype=t.int32).new_full((2, 2), 5),
        lambda t: t.ones(2, dtype=t.float64).new_tensor([1, 2]),
        lambda t: t.ones(2, dtype=t.int32).new_empty(2, 2, dtype=t.float32).zero_(),
    ],
)
def test_creation(make):
    assert_same(make(chainrule), make(torch), rtol=2e-7, atol=1e-7)


@given(
    st.sampled_from(DTYPES + (None,)),
    st.floats(-50, 50).map(lambda x: round(x, 2)),
    st.floats(0.01, 60).map(lambda x: round(x, 2)),
    st.floats(0.1, 7).map(lambda x: round(x, 2)),
    st.booleans(),
)
def test_arange_has_as_many_elements(dtype, start, length, step, backwards):
    if dtype == "uint8":
        start = abs(start)
        backwards = False
    end = start - length if backwards else start + length
    step = -step if backwards else step
    results = []
    for library in (chainrule, torch):
        kind = None if dtype is None else getattr(library, dtype)
        try:
            results.append(library.arange(start, end, step, dtype=kind))
        except (RuntimeError, ValueError) as error:
            results.append(error)
    if isinstance(results[1], Exception):
        assert isinstance(results[0], ChainruleError)
    else:
        assert_same(*results, rtol=2e-3 if dtype == "float16" else 1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        1,
        1.5,
        True,
        [1, 2],
        [1, 2.5],
        [True, False],
        [True, 2],
        [[1.0, 2.0], [3.0, 4.0]],
        [],
        [[], []],
        (1, 2),
        np.arange(3),
        np.arange(3, dtype=np.float64),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.float64(2.5),
        np.float32(2.5),
        np.int64(3),
        np.arange(3)[::-1].copy(),
        [np.float32(1), np.float32(2)],
        [np.arange(2), np.arange(2)],
        [np.ones(2), np.ones(2)],
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [None, "float64", "int64", "bool"])
@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy.ndarrays")
def test_from_data(data, dtype):
    single = np.asarray(data).dtype == np.float32 and not isinstance(data, np.ndarray)
    if single and dtype in ("int64", "bool"):
        pytest.skip("PyTorch does not convert NumPy's float32 scalars")
    ours, theirs = (
        library.tensor(data, dtype=None if dtype is None else getattr(library, dtype))
        for library in (chainrule, torch)
    )
    assert_same(ours, theirs)
    ours, theirs = (library.as_tensor(data) for library in (chainrule, torch))
    assert_same(ours, theirs)


def test_from_tensors():
    for make in (
        lambda t: t.tensor([t.tensor(1.0), t.tensor(2.0)]),
        lambda t: t.tensor([[t.tensor(1), 2], [3, 4]]),
        lambda t: t.tensor(3).new_tensor(2.7),
    ):
        assert_same(make(chainrule), make(torch))


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.tensor([[1, 2], [3]]),
        lambda t: t.tensor("text"),
        lambda t: t.tensor([None]),
        lambda t: t.tensor([2**70]),
        lambda t: t.tensor([300], dtype=t.uint8),
        lambda t: t.zeros(-1),
        lambda t: t.zeros(1.5),
        lambda t: t.full((2,), 300, dtype=t.uint8),
        lambda t: t.arange(0, 5, 0),
        lambda t: t.arange(0, 5, -1),
        lambda t: t.arange(float("nan")),
        lambda t: t.linspace(0, 1, -1),
        lambda t: t.eye(-1),
        lambda t: t.ones(2, dtype=t.int64, requires_grad=True),
        lambda t: t.from_numpy([1]),
        lambda t: t.from_numpy(np.array(["a"])),
        lambda t: t.randn(2, dtype=t.int64),
        lambda t: t.randint(5, 5, (2,)),
        lambda t: t.bernoulli(t.tensor(1.5)),
        lambda t: t.bernoulli(t.tensor(1)),
        lambda t: t.multinomial(t.ones(3), 4),
        lambda t: t.multinomial(t.zeros(3), 1),
        lambda t: t.multinomial(-t.ones(3), 1),
        lambda t: t.normal(0.0, -1.0, (2,)),
        lambda t: t.ones(2).uniform_(1, 0),
        lambda t: t.ones(2).normal_(0, -1),
        lambda t: t.ones(2).long().normal_(),
        lambda t: t.ones(2).long().uniform_(),
        lambda t: t.ones(2).exponential_(0),
        lambda t: t.ones(2).bernoulli_(2),
        lambda t: t.ones(2).fill_(t.ones(2)),
        lambda t: t.ones(2, requires_grad=True).zero_(),
    ],
)
def test_what_pytorch_refuses_is_refused_with_a_cure(make):
    with pytest.raises((RuntimeError, TypeError, ValueError, OverflowError)):
        make(torch)
    with pytest.raises(ChainruleError) as caught:
        make(chainrule)
    assert caught.value.cure
    assert __file__ in caught.value.location


def test_shapes_and_dtypes_of_random_tensors():
    for make, dtypes in itertools.product(
        (
            lambda t, **k: t.rand(2, 3, **k),
            lambda t, **k: t.randn((2, 3), **k),
            lambda t, **k: t.randn(0, **k),
            lambda t, **k: t.rand_like(t.ones(2, dtype=t.float64), **k),
            lambda t, **k: t.randn_like(t.ones(2, dtype=t.float64), **k),
            lambda t, **k: t.randint(0, 9, (4,), **k),
            lambda t, **k: t.randint(9, (4,), **k),
            lambda t, **k: t.randint_like(t.ones(2), 5, **k),
            lambda t, **k: t.randperm(6, **k),
        ),
        ({}, {"dtype": "float64"}),
    ):
        ours, theirs = (
            make(library, **{name: getattr(library, value) for name, value in dtypes.items()})
            for library in (chainrule, torch)
        )
        assert ours.shape == tuple(theirs.shape)
        assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
