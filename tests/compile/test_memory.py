"""The arena: no two buffers in use at once share a byte, and it is no larger than need be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import nn, optim
from chainrule.compile.kernels import plan_kernels
from chainrule.compile.lowering import Guard, Host
from chainrule.compile.memory import Life, plan
from chainrule.ir.nest import Load, subexpressions
from chainrule.nn import functional as F

spans = st.lists(
    st.tuples(st.integers(0, 700), st.integers(-1, 12), st.integers(0, 8)), max_size=14
)


def lives_of(spans):
    return [Life(str(i), size, at, at + long) for i, (size, at, long) in enumerate(spans)]


def apart(one, other):
    return one.last < other.first or other.last < one.first


@settings(max_examples=300)
@given(spans)
def test_buffers_in_use_at_once_share_no_byte(spans):
    lives = lives_of(spans)
    offsets, total = plan(lives)
    assert set(offsets) == {life.name for life in lives}
    for index, life in enumerate(lives):
        start = offsets[life.name]
        assert start % 64 == 0
        assert start >= 0
        assert start + life.size <= total
        for other in lives[:index]:
            begin = offsets[other.name]
            disjoint = start + life.size <= begin or begin + other.size <= start
            assert apart(life, other) or disjoint


@given(spans)
def test_the_arena_is_no_larger_than_all_that_is_in_it(spans):
    lives = lives_of(spans)
    _, total = plan(lives)
    rounded = [-(-life.size // 64) * 64 for life in lives]
    at_once = [
        sum(n for n, life in zip(rounded, lives) if life.first <= step <= life.last)
        for step in range(-1, 21)
    ]
    assert max(at_once, default=0) <= total <= sum(rounded)


@given(spans)
def test_the_same_buffers_lie_in_the_same_places(spans):
    assert plan(lives_of(spans)) == plan(lives_of(spans))


def test_a_chain_takes_the_memory_of_two_links():
    lives = [Life(str(i), 640, i, i + 1) for i in range(100)]
    assert plan(lives)[1] == 2 * 640


def test_what_is_used_by_the_step_that_makes_the_next_is_not_overwritten():
    offsets, _ = plan([Life("read", 64, 0, 3), Life("written", 64, 3, 5)])
    assert offsets["read"] != offsets["written"]


def test_nothing_takes_no_memory():
    assert plan([]) == ({}, 0)
    assert plan([Life("empty", 0, 0, 9), Life("one", 8, 0, 9)])[1] == 64


# ---- in real programs ------------------------------------------------------------------------


def a_step():
    chainrule.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    compiled = chainrule.compile(step)
    compiled(chainrule.randn(6, 1, 8, 8), chainrule.arange(6))
    return compiled.graph


@pytest.fixture(scope="module")
def kernels():
    pytest.importorskip("llvmlite")
    from chainrule.compile.target import host_target

    return plan_kernels(a_step(), host_target())


def touched(step):
    """The buffers that a step reads, and those it writes, found anew from its expressions."""
    if isinstance(step, Guard):
        return {step.flag}, set()
    if isinstance(step, Host):
        return {v.buffer for v in step.inputs}, {v.buffer for v in step.outputs}
    exprs = [each for store in step.stores for each in subexpressions(store.expr)]
    return {e.buffer for e in exprs if isinstance(e, Load)}, {s.buffer for s in step.stores}


def test_a_program_finds_what_it_wrote(kernels):
    """Carry the program out on a memory of names: every byte read holds what was put there."""
    lowered, offsets = kernels.lowered, kernels.offsets
    held = {}
    for name, buffer in lowered.buffers.items():
        if name in offsets and (buffer.kind == "argument" or buffer.zeroed):
            start = offsets[name]
            held |= dict.fromkeys(range(start, start + buffer.size * buffer.dtype.itemsize), name)

    def span(name):
        buffer = lowered.buffers[name]
        return range(offsets[name], offsets[name] + buffer.size * buffer.dtype.itemsize)

    for _ in range(2):  # the second run finds the memory as the first has left it
        for step in lowered.steps:
            read, written = touched(step)
            for name in read & set(offsets):
                assert all(held.get(byte) == name for byte in span(name)), name
            for name in written & set(offsets):
                held |= dict.fromkeys(span(name), name)
        for view in lowered.results:
            assert all(held.get(byte) == view.buffer for byte in span(view.buffer))


def test_every_buffer_that_is_used_has_a_place(kernels):
    lowered = kernels.lowered
    for step in lowered.steps:
        for name in set.union(*touched(step)):
            assert name in kernels.offsets or lowered.buffers[name].kind != "arena"
    assert max(kernels.offsets.values()) < kernels.arena_bytes
