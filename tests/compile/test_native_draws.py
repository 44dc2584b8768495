"""Random draws as machine code are those of eager execution, bit for bit and call after call.

A step of a transformer with embeddings and dropout has nothing left for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.compile.native_oracle import graph_of, hosted

import chainrule
from chainrule import nn, optim
from chainrule.compile.native import build
from chainrule.compile.team import get_num_threads, set_num_threads
from chainrule.core.interpret import bind
from chainrule.core.op import Op
from chainrule.nn import functional as F
from chainrule.ops.generator import default_generator
from chainrule.ops.random import Integers, Mask, Normal, Uniform
from chainrule.tensor import Tensor

f32, f64, int8, int64 = chainrule.float32, chainrule.float64, chainrule.int8, chainrule.int64

STATES = [(42, 3), (-1, 2**28 - 1), (-(2**63), 2**59 + 12345)]


@pytest.fixture(autouse=True)
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, for one test."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


def draws(*shape: int) -> list[Op]:
    return [
        *[Mask(shape, probability) for probability in (0.0, 0.3, 1 - 1e-9, 1.0)],
        *[Uniform(shape, dtype) for dtype in (f32, f64)],
        Normal(shape, f32),
        Integers(shape, int64, -2, 5),
        Integers(shape, int64, 0, 1 << 32),
        Integers(shape, int8, -128, 128),
        Integers(shape, f32, -3, 4),
    ]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("shape", [(), (1,), (31,), (64,), (3, 5, 7), (100, 1000)], ids=str)
def test_every_draw_is_the_eager_one(
    shape: tuple[int, ...], count: int, threads: Callable[[int], None]
) -> None:
    threads(count)
    ops = draws(*shape)
    graph, _ = graph_of(lambda state: tuple([bind(op, state) for op in ops]), np.array(STATES[0]))
    program = build(graph)
    assert not hosted(program)
    for state in map(np.array, STATES):
        for op, found in zip(ops, program.run([state], []), strict=True):
            expected = np.asarray(op.reference(state))
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape), op
            assert found.tobytes() == expected.tobytes(), op


def test_normal_numbers_of_64_bits_are_the_eager_ones_but_for_their_last_digits() -> None:
    op = Normal((1000,), f64)  # their logarithm, sine and cosine are not NumPy's
    graph, _ = graph_of(lambda state: bind(op, state), np.array(STATES[0]))
    program = build(graph)
    assert not hosted(program)
    for state in map(np.array, STATES):
        np.testing.assert_allclose(program.run([state], [])[0], op.reference(state), 1e-14, 1e-15)


def test_what_is_wider_than_32_bits_and_what_is_no_number_are_left_to_the_host() -> None:
    wide, half, none = (
        Integers((5,), int64, 0, 1 << 40),
        Uniform((5,), chainrule.float16),
        Mask((0,), 0.5),
    )
    state = np.array(STATES[0])
    graph, _ = graph_of(lambda s: (bind(wide, s), bind(half, s), bind(none, s)), state)
    program = build(graph)
    assert set(hosted(program)) == {"integers", "uniform", "mask"}
    for op, found in zip((wide, half, none), program.run([state], []), strict=True):
        np.testing.assert_array_equal(found, op.reference(state))


def test_the_generator_goes_on_as_it_does_eagerly() -> None:
    def several(x: Tensor) -> tuple[Tensor, ...]:
        return (
            chainrule.rand(70) + x,
            chainrule.randn(3, 5, dtype=f32),
            chainrule.randint(-4, 9, (40,)),
            chainrule.rand(2, dtype=f64),
            F.dropout(x.expand(200), 0.25),
        )

    def three_times(function: Callable[..., Any]) -> list[Any]:
        chainrule.manual_seed(11)
        found = [y.numpy().tobytes() for _ in range(3) for y in function(chainrule.tensor(1.0))]
        return [*found, chainrule.rand(3).tolist(), default_generator.get_state().tolist()]

    compiled = chainrule.compile(several)
    assert three_times(compiled) == three_times(several)
    assert "on the host" not in compiled.explain()


def test_a_generator_of_ones_own_and_a_seed_set_between_calls() -> None:
    generator = chainrule.Generator().manual_seed(5)
    draw = chainrule.compile(lambda: chainrule.rand(100, generator=generator))
    first = [draw().tolist() for _ in range(2)]
    generator.manual_seed(5)
    assert [draw().tolist() for _ in range(2)] == first
    generator.manual_seed(5)
    assert [chainrule.rand(100, generator=generator).tolist() for _ in range(2)] == first
    assert first[0] != first[1]
    assert draw.count == 1


# ---- a step with all of it -------------------------------------------------------------------


class Block(nn.Module):
    """Causal attention and two layers, each with a dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.then = nn.LayerNorm(width), nn.LayerNorm(width)
        self.each, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = [
            y.reshape(n, t, self.heads, -1).transpose(1, 2)
            for y in self.each(self.norm(x)).chunk(3, -1)
        ]
        scores = q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5
        later = chainrule.ones(t, t).tril() == 0
        weights = self.drop(scores.masked_fill(later, float("-inf")).softmax(-1))
        x = x + self.drop(self.out((weights @ v).transpose(1, 2).reshape(n, t, d)))
        return x + self.drop(self.down(F.gelu(self.up(self.then(x)))))


class Language(nn.Module):
    """A small causal transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(30, 16), nn.Embedding(8, 16)
        self.drop, self.blocks = nn.Dropout(0.1), nn.Sequential(Block(16, 2), Block(16, 2))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 30)

    def forward(self, index: Tensor) -> Tensor:
        x = self.words(index) + self.places(chainrule.arange(index.shape[1]))
        return self.head(self.norm(self.blocks(self.drop(x))))


def trained(compiled: bool) -> tuple[list[float], dict[str, Any], Any]:
    """Some steps: the losses, the parameters, the step."""
    chainrule.manual_seed(3)
    model = Language()
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).reshape(-1, 30), y.reshape(-1))
        loss.backward()
        optimizer.step()
        return loss.detach()

    run: Any = chainrule.compile(step) if compiled else step
    words = np.random.default_rng(0).integers(0, 30, (4, 8, 9))
    losses = [run(chainrule.tensor(w[:, :-1]), chainrule.tensor(w[:, 1:])).item() for w in words]
    return losses, {n: p.numpy().copy() for n, p in model.state_dict().items()}, run


def test_a_transformers_step_is_all_native_and_the_same_on_any_number_of_threads(
    threads: Callable[[int], None],
) -> None:
    expected = trained(compiled=False)[0]
    after = []
    for count in (1, 2):
        threads(count)
        losses, parameters, run = trained(compiled=True)
        np.testing.assert_allclose(losses, expected, 2e-4)
        assert "on the host" not in run.explain()
        after.append((losses, parameters))
    assert after[0][0] == after[1][0]
    for name, each in after[0][1].items():
        np.testing.assert_array_equal(each, after[1][1][name], name)


@pytest.mark.parametrize("op", [Mask((64, 512), 0.5), Uniform((64, 512), f32)], ids=repr)
def test_neighbours_are_drawn_side_by_side(op: Op) -> None:
    graph, _ = graph_of(lambda state: bind(op, state), np.array(STATES[0]))
    (kernel,) = build(graph).kernels.planned()
    assert kernel.schedule.lane == "l"
    assert len(kernel.kernel.text.splitlines()) < 1000  # the cipher is long, and compiled so often
