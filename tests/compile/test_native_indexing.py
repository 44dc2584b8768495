"""Looking up by indices, and adding and writing by them, as machine code: what NumPy does, to the
last bit where nothing is added up, in the order of the indices where something is, on any number
of threads; and indices that are out of range are the user's to hear about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.compile.native_oracle import (
    Array,
    assert_native_is_reference,
    graph_of,
    hosted,
    refused,
)

import chainrule
from chainrule.autograd import grad
from chainrule.compile.native import build
from chainrule.compile.team import get_num_threads, set_num_threads
from chainrule.errors import ChainruleError, DimensionError
from chainrule.nn import functional as F
from chainrule.tensor import Tensor

DTYPES = [np.float32, np.float64]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, for one test."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


def exactly(function: Callable[..., Any], *arrays: Array) -> None:
    """A program without host segments gives the bits that eager execution gives."""
    graph, state = graph_of(function, *arrays)
    program = assert_native_is_reference(graph, arrays, state)
    assert not hosted(program)
    expected = function(*map(chainrule.tensor, arrays))
    np.testing.assert_array_equal(program.run(arrays, state)[0], expected.detach().numpy())


def table(*shape: int, dtype: Any = np.float32) -> Array:
    """Numbers that are all different."""
    return np.sin(np.arange(np.prod(shape, dtype=int)) + 0.5).reshape(shape).astype(dtype)


# ---- looking up ------------------------------------------------------------------------------

LOOK_UPS: dict[str, Callable[..., Tensor]] = {
    "rows": lambda x, i, j: x[i],
    "columns": lambda x, i, j: x[:, j],
    "pairs": lambda x, i, j: x[i, j],
    "crossed": lambda x, i, j: x[i[:, None], j],
    "apart": lambda x, i, j: x[i, :, j],
    "turned": lambda x, i, j: x.transpose(0, 2)[:, i],
    "strided": lambda x, i, j: x[::2, 1:][:, j % 3],
    "last": lambda x, i, j: x[..., j],
    "matrix": lambda x, i, j: x[i.reshape(2, 4)],
    "number": lambda x, i, j: x[i[3]],
    "select": lambda x, i, j: x.index_select(1, j % 4),
    "gather": lambda x, i, j: x.gather(1, (i % 4).reshape(4, 2, 1)),
    "along": lambda x, i, j: x.take_along_dim(x.argmax(2, keepdim=True), 2),
    "list": lambda x, i, j: x[[0, -1, 2]],
    "one of them": lambda x, i, j: x[:, [-2]],
    "of a sum": lambda x, i, j: (x * 2 + 1)[i],
    "of a lookup": lambda x, i, j: x[i][j],
    "reshaped": lambda x, i, j: (
        x.reshape(8, 10)[i % 8].reshape(-1)
        + x.reshape(10, 8)[chainrule.cat([i % 8, j[:2] % 8])].reshape(-1)
    ),
    "summed": lambda x, i, j: x[i].amax((0, 2)),
}


@pytest.mark.parametrize("dtype", [*DTYPES, np.int64, np.int8, np.bool_])
@pytest.mark.parametrize("name", LOOK_UPS)
def test_looking_up_moves_numbers_as_they_are(name: str, dtype: Any) -> None:
    if dtype is np.bool_ and name in ("of a sum", "reshaped", "along", "summed"):
        return
    x = (table(4, 5, 4, dtype=np.float64) * 100).astype(dtype)
    i, j = np.array([3, 0, -1, 1, 1, -4, 2, 0]), np.array([1, 0, -2, 3, 3, -1, 2, 0])
    exactly(LOOK_UPS[name], x, i, j)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8])
def test_indices_of_any_integers(dtype: Any) -> None:
    exactly(lambda x, i: F.embedding(i, x), table(9, 3), np.array([8, 0, 8, 3], dtype))


def test_many_rows_on_two_threads(threads: Callable[[int], None]) -> None:
    x, index = table(500, 64), np.arange(4096) * 7 % 500
    for count in (1, 2):
        threads(count)
        exactly(lambda x, i: x[i], x, index)


# ---- adding and writing ----------------------------------------------------------------------


def added(x: Tensor, i: Tensor) -> Tensor:
    return chainrule.zeros(6, 5, dtype=x.dtype).index_add(0, i, x)


def gradient_of(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The gradient of what is looked up, whose cotangents are all different."""

    def f(x: Tensor, *others: Tensor) -> Tensor:
        x.requires_grad_()
        y = function(x, *others)
        bar = chainrule.tensor(table(*y.shape, dtype=y.dtype.numpy))
        return grad(y, x, bar)[0]

    return f


INTO: dict[str, Callable[..., Tensor]] = {
    "rows": gradient_of(lambda x, i, j: x[i]),
    "columns": gradient_of(lambda x, i, j: x[:, j]),
    "pairs": gradient_of(lambda x, i, j: x[i, j]),
    "crossed": gradient_of(lambda x, i, j: x[i[:, None], j]),
    "apart": gradient_of(lambda x, i, j: x[i, :, j]),
    "turned": gradient_of(lambda x, i, j: x.transpose(0, 2)[:, i]),
    "gather": gradient_of(lambda x, i, j: x.gather(1, (i % 4).reshape(4, 2, 1))),
    "last": gradient_of(lambda x, i, j: x.gather(2, (i % 4).reshape(2, 1, 4))),
    "embedding": gradient_of(lambda x, i, j: F.embedding(i % 4, x.reshape(4, -1), 2)),
    "index_add": lambda x, i, j: x.index_add(0, i % 4, x[i] * 2),
    "scatter_add": lambda x, i, j: x.scatter_add(0, (i % 4).reshape(4, 2, 1), x[:, :2, :1]),
    "scatter": lambda x, i, j: x.scatter(2, (i % 2 + 2).reshape(2, 4, 1), x[2:, :4, 3:]),
    "a number": lambda x, i, j: x.scatter(1, (i % 4).reshape(2, 1, 4), 7),
    "put": lambda x, i, j: x.index_put((i, j), x[0, 0, :1]),
    "put and added": lambda x, i, j: x.index_put((i, j), x[:2].reshape(8, 5)[:, :4], True),
    "copied": lambda x, i, j: x.index_copy(0, i[:3] % 4, x[1:]),
    "filled": lambda x, i, j: x.index_fill(2, j, 3),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", INTO)
def test_adding_and_writing_go_in_the_order_of_the_indices(name: str, dtype: Any) -> None:
    i, j = np.array([3, 0, -1, 1, 1, -4, 2, 0]), np.array([1, 0, -2, 3, 3, -1, 2, 0])
    exactly(INTO[name], table(4, 5, 4, dtype=dtype), i, j)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_whole_numbers_are_added_up_too(dtype: Any) -> None:
    x = (np.arange(40).reshape(8, 5) * 37).astype(dtype)
    exactly(added, x, np.array([3, 0, 5, 3, 3, 0, 1, 5]))


def test_the_last_of_several_writes_counts() -> None:
    x, source = table(3, 40), table(50, 40) + 3
    index = np.arange(50) % 2
    exactly(lambda x, s, i: x.index_put((i,), s), x, source, index)
    exactly(lambda x, s, i: x.scatter(0, i, s), x, source, index[:, None].repeat(40, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 3, 64, 200])
def test_repeated_indices_give_the_same_bits_on_any_number_of_threads(
    dtype: Any, width: int, rng: np.random.Generator, threads: Callable[[int], None]
) -> None:
    source = rng.standard_normal((3000, width)).astype(dtype)
    index = rng.integers(0, 7, 3000)
    expected = np.zeros((7, width), dtype)
    for row, place in zip(source, index, strict=True):
        expected[place] += row
    shared = False
    for count in (1, 2, 3):
        threads(count)
        for f in (
            lambda s, i: chainrule.zeros(7, width, dtype=s.dtype).index_add(0, i, s),
            lambda s, i: chainrule.zeros(7, width, dtype=s.dtype).scatter_add(
                0, i[:, None].expand(-1, width), s
            ),
        ):
            program = build(graph_of(f, source, index)[0])
            assert not hosted(program)
            np.testing.assert_array_equal(program.run([source, index], [])[0], expected)
            shared |= any(
                each.nest.sequential and each.schedule.split for each in program.kernels.planned()
            )
    assert shared or width < 64  # then there is too little to share


# ---- nothing, and too far --------------------------------------------------------------------


def test_no_index_at_all() -> None:
    x, nothing = table(6, 5), np.zeros(0, np.int64)
    graph, _ = graph_of(lambda x, i: (x[i], added(x[:0], i), x.gather(0, i[:, None])), x, nothing)
    program = assert_native_is_reference(graph, [x, nothing], [])
    assert set(hosted(program).values()) == {"there are no elements"}


OUTSIDE: dict[str, tuple[Callable[..., Tensor], tuple[int, ...]]] = {
    "rows": (lambda x, i: x[i], (4, -5, 2**40)),
    "columns": (lambda x, i: x[:, i], (5, -6, -(2**63))),
    "embedding": (lambda x, i: F.embedding(i, x), (4, -1, 2**63 - 1)),
    "index_select": (lambda x, i: x.index_select(0, i), (4, -1)),
    "gather": (lambda x, i: x.gather(1, i[:, None]), (5, -1)),
    "index_add": (lambda x, i: x.index_add(0, i, x[:3]), (4, -1)),
    "scatter_add": (lambda x, i: x.scatter_add(1, i[:, None], x), (5, -1)),
    "scatter": (lambda x, i: x.scatter(0, i[:, None], 1.0), (4, -1)),
    "index_put": (lambda x, i: x.index_put((i,), x[0]), (4, -5)),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_index_out_of_range_is_the_usual_error_and_changes_nothing(name: str) -> None:
    function, wrong = OUTSIDE[name]
    seen = chainrule.zeros(3)

    def step(x: Tensor, i: Tensor) -> Tensor:
        seen.add_(1)
        return function(x, i)

    x, index = table(4, 5), np.array([0, 3, 0])
    graph, state = graph_of(step, x, index)
    program = build(graph)
    assert not hosted(program)
    program.run([x, index], state)
    for far in wrong:
        bad = np.array([0, far, 0])
        with pytest.raises(DimensionError) as eager:
            function(chainrule.tensor(x), chainrule.tensor(bad))
        with pytest.raises(ChainruleError) as ours:
            program.run([x, bad], state)
        assert type(ours.value) is type(eager.value)
        assert f"index {far} is out of range" in str(ours.value)
        assert state[0].tolist() == [1, 1, 1]
        assert refused(program)
    np.testing.assert_array_equal(
        program.run([x, index], state)[0],
        function(chainrule.tensor(x), chainrule.tensor(index)).numpy(),
    )
    assert state[0].tolist() == [2, 2, 2]


def test_one_look_at_the_indices_is_enough() -> None:
    x, index = table(400, 5), np.arange(300)
    graph, _ = graph_of(gradient_of(lambda x, i: F.embedding(i, x) ** 2), x, index)
    names = [each.nest.name for each in build(graph).kernels.planned()]
    assert names.count("check") == 1
    graph, _ = graph_of(lambda x: x[[3, 1, 2]], x)  # and none, where they are known beforehand
    assert "check" not in [each.nest.name for each in build(graph).kernels.planned()]


def test_what_is_written_is_looked_up_before() -> None:
    held = chainrule.tensor(table(6, 4))

    def step(index: Tensor) -> Tensor:
        before = held[index]
        held.copy_(held[index] * 2)
        return before + held[0]

    index = np.array([5, 4, 3, 2, 1, 0])
    graph, state = graph_of(step, index)
    assert not hosted(assert_native_is_reference(graph, [index], state))
