"""What puts elements elsewhere, as machine code: the same bits in the same places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.compile.native_oracle import assert_native_is_reference, graph_of, hosted

import chainrule
from chainrule.autograd import grad
from chainrule.compile.native import build
from chainrule.compile.team import get_num_threads, set_num_threads
from chainrule.nn import functional as F
from chainrule.ops.sliding import overlap_add, windows
from chainrule.tensor import Tensor


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, for one test."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


MOVES: dict[str, Callable[[Tensor], Tensor]] = {  # of (4, 6, 5)
    "rolled": lambda x: x.roll(2, 1),
    "rolled along all": lambda x: x.roll((1, -2, 7), (0, 1, 2)),
    "rolled twice along one": lambda x: x.roll((1, 2), (1, 1)),
    "rolled all around": lambda x: x.roll(6, 1),
    "rolled flat": lambda x: x.roll(-7),
    "rolled by nothing": lambda x: x.roll((), ()),
    "a view rolled": lambda x: x.transpose(0, 2)[::2, 1:].roll(1, (0)),
    "windows rolled": lambda x: x.unfold(1, 3, 1).roll(1, 3),
    "reshaped and rolled": lambda x: x.permute(2, 0, 1).reshape(20, 6).roll(3, 0),
    "repeated": lambda x: x.repeat(2, 1, 3),
    "repeated in front": lambda x: x.repeat(2, 1, 1, 2),
    "one repeated": lambda x: x[:, :1].repeat(1, 3, 1),
    "tiled": lambda x: x.tile(2, 2),
    "repeated and added": lambda x: (
        x.repeat(1, 2, 1) + x.reshape(4, 3, 10).repeat(1, 4, 1)[..., 5:]
    ),
    "repeated twice": lambda x: x.repeat(1, 1, 2).repeat(1, 1, 3),
    "each repeated": lambda x: x.repeat_interleave(3, 1),
    "each repeated, flat": lambda x: x.repeat_interleave(2),
    "diagonal": lambda x: x.diagonal(),
    "another diagonal": lambda x: x.diagonal(1, 1, 2),
    "a diagonal below": lambda x: x.diagonal(-2, 2, 0),
    "of a row": lambda x: x[:1].diagonal(3, 0, 1),
    "of an expanded": lambda x: x[:, :1].expand(4, 6, 5).diagonal(2, 1, 2),
    "diagonal of a flipped": lambda x: x.flip(1).diagonal(0, 1, 2),
    "diagonal of a reshaped": lambda x: x.permute(2, 0, 1).reshape(20, 6).diagonal(-3),
    "on the diagonal": lambda x: chainrule.diag_embed(x),
    "beside the diagonal": lambda x: chainrule.diag_embed(x, -2, 0, 2),
    "lower": lambda x: x.tril(-1),
    "upper": lambda x: x.triu(2),
    "padded with a number": lambda x: F.pad(x, (1, 0, 2, 3), value=7),
    "padded below": lambda x: F.pad(x, (0, 0, 0, 2, 0, 1), value=1),
    "cut off": lambda x: F.pad(x, (-1, 2, 3, -2), value=3),
    "only cut off": lambda x: F.pad(x, (-2, -2, -1, 0), value=3),
    "mirrored": lambda x: F.pad(x, (2, 3), mode="reflect"),
    "quarter turn": lambda x: chainrule.rot90(x, 1, (1, 2)),
    "windows": lambda x: x.unfold(0, 2, 2),
    "differences": lambda x: x.diff(dim=1),
    "one": lambda x: chainrule.eye(6, dtype=x.dtype) == x[0, :, :1],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8, np.uint8, np.bool_])
def test_moves_are_exact(dtype: Any) -> None:
    x = (np.cos(np.arange(120.0)).reshape(4, 6, 5) * 50).astype(dtype)
    for name, move in MOVES.items():
        if dtype == np.bool_ and name == "repeated and added":
            continue
        graph, state = graph_of(move, x)
        program = build(graph)
        assert not hosted(program), name
        found, wanted = program.run([x], state)[0], move(chainrule.tensor(x)).numpy()
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [each for each in MOVES if each != "one"])
def test_their_gradients(name: str, dtype: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 6, 5)).astype(dtype)

    def f(x: Tensor) -> Tensor:
        x.requires_grad_()
        y = MOVES[name]((x * 2).exp())
        weights = np.cos(np.arange(float(y.numel()))).reshape(y.shape)
        return grad((y * chainrule.tensor(weights.astype(dtype))).sum(), x)[0]

    graph, state = graph_of(f, x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


OF_VALUES: dict[str, Callable[[Tensor], Any]] = {
    "sums rolled": lambda x: x.sum(2).roll(1, 0),
    "sums repeated": lambda x: x.sum(2).repeat(1, 3),
    "functions repeated": lambda x: x.exp().repeat(2, 1, 1),
    "sums padded": lambda x: F.pad(x.sum(2), (1, 1), value=-1),
    "diagonals of sums": lambda x: x.sum(0).diagonal() + x.mean(0).diag(),
    "diagonals of products": lambda x: (x[0] @ x[1].T).diagonal(1).sum(),
    "sums of diagonals": lambda x: chainrule.diag_embed(x.sum(0)).sum(2),
    "numbers": lambda x: x + chainrule.ones(5).repeat(6, 1).roll(1, 0).diag(),
}


@pytest.mark.parametrize("name", OF_VALUES)
def test_of_what_is_not_in_memory(name: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 6, 5)).astype(np.float32)
    graph, state = graph_of(OF_VALUES[name], x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


@pytest.mark.parametrize("padding", [((-1, 2), (1, -2)), ((-2, -1), (0, 0)), ((1, 1), (-1, 0))])
def test_windows_of_maps_that_are_cut_off(padding: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 8, 7, 3)).astype(np.float32)

    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        seen = windows(x, (2, 3), (1, 2), (1, 1), padding)
        parts = seen.reshape(2 * 6, -1) * 3
        return seen, overlap_add(parts, (2, 3), (1, 2), (1, 1), padding, (8, 7))

    graph, state = graph_of(f, x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


def written(write: Callable[[Tensor, Tensor], Any]) -> Callable[[Tensor, Tensor], Any]:
    """What a tensor becomes by being written to, and the gradients that go through."""

    def f(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        x.requires_grad_()
        y.requires_grad_()
        z = x * 1
        write(z, y)
        weights = np.cos(np.arange(float(z.numel()))).reshape(z.shape).astype(np.float32)
        bars = grad((z * chainrule.tensor(weights)).sum(), [x, y], allow_unused=True)
        return z.detach(), *[bar for bar in bars if bar is not None]

    return f


WRITES: dict[str, Callable[[Tensor, Tensor], Any]] = {  # into (4, 6, 5), of (6, 5)
    "a row": lambda z, y: z[1].copy_(y),
    "a part": lambda z, y: z[1:3, ::2, -2:].copy_(y[:3, :2] * 2),
    "a number": lambda z, y: z[:, 3].fill_(7),
    "broadcast": lambda z, y: z[:, 1:].copy_(y[0].exp()),
    "transposed": lambda z, y: z.transpose(0, 1)[2].copy_(y[:4]),
    "reshaped": lambda z, y: z.reshape(24, 5)[5:8].copy_(y[:3]),
    "a diagonal": lambda z, y: z.diagonal(1, 1, 2).copy_(y[:4, :4]),
    "all": lambda z, y: z.copy_(y.sin()),
    "again and again": lambda z, y: (z[0].add_(y), z[0, 0].mul_(y[1]), z[1:].add_(z[0])),
    "with its own sum": lambda z, y: z[2].copy_(z.sum(0) + y),
    "assigned": lambda z, y: z.__setitem__((slice(None), 2), y[0]),
}


@pytest.mark.parametrize("name", WRITES)
def test_written_through_a_view(name: str, rng: np.random.Generator) -> None:
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 6, 5), (6, 5)))
    graph, state = graph_of(written(WRITES[name]), x, y)
    assert not hosted(assert_native_is_reference(graph, [x, y], state))


def test_special_numbers_in_a_border() -> None:
    x = np.array([[-0.0, np.nan], [np.inf, 1.0]], np.float32)
    for value in (np.nan, np.inf, -0.0, -np.inf, 1e30):
        graph, _ = graph_of(lambda x, v=value: F.pad(x, (1, 1, 0, 1), value=v), x)
        program = build(graph)
        assert not hosted(program)
        (found,) = program.run([x], [])
        wanted = F.pad(chainrule.tensor(x), (1, 1, 0, 1), value=value).numpy()
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_the_same_on_any_number_of_threads(
    rng: np.random.Generator, threads: Callable[[int], None]
) -> None:
    x = rng.standard_normal((300, 500)).astype(np.float32)

    def f(x: Tensor) -> tuple[Tensor, ...]:
        turned = x.roll((7, -3), (0, 1))
        return turned, x.repeat(2, 2), F.pad(x, (3, 4, 5, 6), value=2), x.tril(), turned @ x.T

    graph, _ = graph_of(f, x)
    program = build(graph)
    results = list[Any]()
    for count in (1, 2):
        threads(count)
        results.append(program.run([x], []))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_run_after_run_a_border_stays_what_it_is(rng: np.random.Generator) -> None:
    graph, _ = graph_of(
        lambda x: (chainrule.diag_embed(x.exp()), F.pad(x * 2, (1, 1), value=3), x.cumprod(0)),
        np.ones(9),
    )
    program = build(graph)
    for _ in range(3):
        x = rng.standard_normal(9)
        diagonal, padded, _ = program.run([x], [])
        np.testing.assert_allclose(diagonal, np.diag(np.exp(x)), 1e-14)
        np.testing.assert_array_equal(padded, [3, *(x * 2), 3])


def test_nothing_is_moved_on_the_host() -> None:
    x = np.zeros((3, 0), np.float32)
    graph, _ = graph_of(lambda x: (x.roll(1, 0), x.repeat(2, 2), F.pad(x, (1, 1), value=2)), x)
    program = assert_native_is_reference(graph, [x], [])
    assert set(hosted(program)) == {"roll", "repeat", "pad"}
