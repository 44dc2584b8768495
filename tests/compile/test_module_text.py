"""Programs for several threads: whoever needs what another has written has waited for it.

The functions' text is carried out line by line, once for each thread, which gives what every thread
calls between two barriers: two that touch the same bytes, one of them writing, must not be there in
different threads. What real programs compute is the same on any number of threads, bit for bit.
"""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

import chainrule
from chainrule import nn, optim
from chainrule.compile.emit import write_kernel
from chainrule.compile.kernels import Kernels, Planned
from chainrule.compile.lowering import Buffer, Guard, Lowered
from chainrule.compile.machine_code import assemble
from chainrule.compile.module_text import external_buffers, write_module
from chainrule.compile.native import build
from chainrule.compile.schedule import Schedule
from chainrule.compile.target import host_target
from chainrule.compile.team import get_num_threads, set_num_threads
from chainrule.core.dtypes import bool_, float32
from chainrule.ir.graph import Graph
from chainrule.ir.nest import Affine, Axis, Call, Literal, Load, Nest, Store
from chainrule.nn import functional as F

ARENA = [f"t{i}" for i in range(5)]
OUTSIDE = ["s0", "s1"]
FLAGS = ["flag0", "flag1"]
N = Affine(0, (("n", 1),))


def planned(index, reads, writes, split):
    """A kernel that reads and writes these buffers."""
    dtype = {name: bool_ if name in FLAGS else float32 for name in (*ARENA, *OUTSIDE, *FLAGS)}
    total = Literal(index, float32)
    for name in reads:
        total = Call("add", (total, Load(name, N, float32)), float32)
    stores = tuple(
        [
            Store(name, N, Call("cast", (total,), bool_) if name in FLAGS else total)
            for name in writes
        ]
    )
    size = 1 if any(dtype[name] is bool_ for name in writes) else 4
    nest = Nest("some", (Axis("n", size),), (), stores)
    schedule = Schedule(("n",), split="n" if split else "")
    return Planned(nest, schedule, write_kernel(nest, schedule, f"k{index}"))


@st.composite
def programs(draw):
    """Steps over buffers that lie anywhere, over one another even."""
    buffers = {name: Buffer("arena", float32, draw(st.integers(4, 40))) for name in ARENA}
    buffers |= {name: Buffer("state", float32, 4, i) for i, name in enumerate(OUTSIDE)}
    buffers |= {name: Buffer("arena", bool_, 1) for name in FLAGS}
    offsets = {name: 64 * draw(st.integers(0, 5)) for name in ARENA}
    offsets |= {name: 1024 + i for i, name in enumerate(FLAGS)}
    every = st.sampled_from([*ARENA, *OUTSIDE])
    names = st.lists(every, max_size=2, unique=True)
    written = st.lists(every, min_size=1, max_size=2, unique=True)
    steps, flags = [], list(FLAGS)
    for index in range(draw(st.integers(1, 8))):
        if flags and draw(st.integers(0, 4)) == 0:
            flag = flags.pop(0)
            steps.append(planned(index, draw(names), [flag], draw(st.booleans())))
            steps.append(Guard(flag))
            continue
        reads = draw(names)
        writes = draw(written)
        steps.append(planned(index, reads, writes, draw(st.booleans())))
    graph = Graph("drawn", (), (), (), (), (), (), {})
    return Kernels(graph, Lowered([], buffers, []), [steps], offsets, 2048)


# ---- carrying the text out -------------------------------------------------------------------


def function_of(text, name):
    """The lines of a function, with the places of its labels."""
    body = text.partition(f"define void @{name}(")[2].partition("\n}")[0].splitlines()[1:]
    lines = [line.strip() for line in body]
    labels = {line[:-1]: index for index, line in enumerate(lines) if line.endswith(":")}
    assert len(labels) == sum(line.endswith(":") for line in lines)
    return lines, labels


def carried_out(text, name, thread, good):
    """What a thread does: ("call", kernel, for all), ("flag", register) or ("barrier",).

    Args:
        good: the outcome of every guard.
    """
    lines, labels = function_of(text, name)
    at, outcomes = 0, iter(good)
    while True:
        line, at = lines[at], at + 1
        if line == "ret void":
            return
        if line.startswith("br label"):
            at = labels[line.partition("%")[2]]
        elif line.startswith("br i1"):
            which, yes, no = re.findall(r"%(\w+)", line)
            truth = thread == 0 if which == "first" else next(outcomes)
            at = labels[yes if truth else no]
        elif "@chainrule_barrier" in line:
            yield ("barrier",)
        elif line.startswith("call void @k"):
            yield "call", line.partition("@")[2].partition("(")[0], "i64 %threads" in line
        elif "load i8" in line:
            yield "flag", re.search(r"ptr (%p\d+)", line)[1]


def phases(events):
    """The events between barriers."""
    found = [[]]
    for event in events:
        if event[0] == "barrier":
            found.append([])
        else:
            found[-1].append(event)
    return found


class Touched:
    """Which bytes an event reads and writes."""

    def __init__(self, kernels, text):
        self.kernels = kernels
        self.steps = {s.kernel.name: s for s in kernels.segments[0] if isinstance(s, Planned)}
        self.pointers = dict(re.findall(r"(%p\d+) = getelementptr i8, ptr %arena, i64 (\d+)", text))

    def bytes_of(self, name):
        buffer, offsets = self.kernels.lowered.buffers[name], self.kernels.offsets
        count = range(buffer.size * buffer.dtype.itemsize)
        return {offsets[name] + i if name in offsets else (name, i) for i in count}

    def __call__(self, event):
        if event[0] == "flag":
            return {int(self.pointers[event[1]])}, set()
        nest = self.steps[event[1]].nest
        written = set().union(*[self.bytes_of(store.buffer) for store in nest.stores])
        names, pending = set(), [store.expr for store in nest.stores]
        while pending:
            each = pending.pop()
            pending += each.args if isinstance(each, Call) else []
            names |= {each.buffer} if isinstance(each, Load) else set()
        return set().union(*[self.bytes_of(name) for name in names]), written


@settings(max_examples=200)
@given(programs(), st.lists(st.booleans(), min_size=2, max_size=2))
def test_nobody_reads_or_overwrites_what_another_is_writing(kernels, good):
    steps = kernels.segments[0]
    text = write_module(kernels, [("segment0", steps)], host_target())
    touched = Touched(kernels, text)
    threads = [phases(carried_out(text, "segment0", thread, good)) for thread in range(3)]
    assert len({len(each) for each in threads}) == 1  # all meet equally often
    for together in zip(*threads):
        for one, other in itertools.combinations(together, 2):
            for a, b in itertools.product(one, other):
                if a == b and a[0] == "call":  # parts of one kernel
                    continue
                (reads_a, writes_a), (reads_b, writes_b) = touched(a), touched(b)
                assert not writes_a & (reads_b | writes_b), (a, b)
                assert not writes_b & reads_a, (a, b)


@settings(max_examples=100)
@given(programs(), st.lists(st.booleans(), min_size=2, max_size=2))
def test_the_first_thread_does_all_in_order_and_the_others_their_part(kernels, good):
    steps = kernels.segments[0]
    text = write_module(kernels, [("segment0", steps)], host_target())
    outcomes, expected = iter(good), []
    for step in steps:
        if isinstance(step, Planned):
            expected.append((step.kernel.name, bool(step.schedule.split)))
        elif not next(outcomes):
            break
    for thread in range(2):
        events = carried_out(text, "segment0", thread, good)
        called = [(event[1], event[2]) for event in events if event[0] == "call"]
        assert called == [each for each in expected if each[1] or thread == 0]


@settings(max_examples=25)
@given(programs())
def test_llvm_accepts_the_text(kernels):
    steps = kernels.segments[0]
    functions = [("segment0", steps), ("again", list(reversed(steps))), ("nothing", [])]
    assert assemble(write_module(kernels, functions, host_target()), host_target())


def test_what_the_first_thread_does_alone_needs_no_barrier():
    buffers = {name: Buffer("arena", float32, 4) for name in ARENA}
    steps = [planned(i, [ARENA[i]], [ARENA[i + 1]], split=False) for i in range(4)]
    offsets = {name: 64 * i for i, name in enumerate(ARENA)}
    kernels = Kernels(None, Lowered([], buffers, []), [steps], offsets, 1024)
    text = write_module(kernels, [("segment0", steps)], host_target())
    assert "call void @chainrule_barrier" not in "".join(function_of(text, "segment0")[0])


def test_what_is_outside_the_arena_has_a_place_in_the_table():
    buffers = {
        "c0": Buffer("constant", float32, 4, 0),
        "t0": Buffer("arena", float32, 4),
        "s0": Buffer("state", float32, 4, 0),
        "a0": Buffer("argument", float32, 4, 0),
        "a1": Buffer("argument", float32, 4, 1),
    }
    kernels = Kernels(None, Lowered([], buffers, []), [], {"t0": 0, "a1": 64}, 128)
    assert external_buffers(kernels) == ["a0", "s0", "c0"]


# ---- real programs ---------------------------------------------------------------------------


def perceptron():
    return nn.Sequential(nn.Linear(96, 128), nn.ReLU(), nn.Linear(128, 10)), (64, 96)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 10),
    ), (16, 1, 14, 14)  # fmt: skip


def normed():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(8 * 64, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 10),
    ), (16, 3, 8, 8)  # fmt: skip


@pytest.fixture
def threads():
    """Sets the number of threads; afterwards it is as it was."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


@pytest.mark.parametrize("network", [perceptron, lenet, normed])
def test_any_number_of_threads_gives_the_same_bits(network, threads):
    chainrule.manual_seed(1)
    model, shape = network()
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    compiled = chainrule.compile(step)
    x, y = chainrule.randn(*shape), chainrule.randint(0, 10, (shape[0],))
    compiled(x, y)
    program = compiled.program
    executable = build(program.graph)
    assert any(each.schedule.split for each in executable.kernels.planned())
    given = [each.numpy() for each in (x, y)][: len(program.captured.arguments)] + program.extra
    found = []
    for count in (1, 2, 3, 1):
        threads(count)
        state = [each.copy() for each in program.state]
        losses = [executable.run(given, state)[0].tobytes() for _ in range(3)]
        found.append((losses, [each.tobytes() for each in state]))
    assert len(set(found[0][0])) == 3  # it learns
    assert all(each == found[0] for each in found)
    assert np.isfinite(np.frombuffer(found[0][0][-1], np.float32)).all()
