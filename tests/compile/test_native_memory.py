"""The memory of native programs: state anywhere, arguments of any size, results nobody else holds.

The oracle is the reference, which carries out the graph op by op, or plain NumPy.
"""

import gc
import threading
import weakref

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule
from chainrule.compile.kernels import SMALL
from chainrule.compile.native import build
from chainrule.compile.reference import ReferenceExecutable
from chainrule.errors import ChainruleError
from chainrule.ir.graph_text import parse_graph
from chainrule.nn import functional as F

LARGE = SMALL // 4 + 3
"""Elements of a float32 argument that is read where it is; fewer are copied."""

sizes = pytest.mark.parametrize("size", [5, SMALL // 4, LARGE])


def counter(rows, columns):
    """A graph whose state is added to, and given."""
    kind = f"f32[{rows},{columns}]"
    return parse_graph(
        f'graph count(%0: {kind}):\n  state %1: {kind} "seen"\n  %2: {kind} = add(%1, %0)\n'
        f"  update %1 = %2\n  return %2"
    )


def adder(size):
    """A graph that adds its second argument to its first, in place, and gives twice the sum."""
    return parse_graph(
        f"graph add_(%0: f32[{size}], %1: f32[{size}]):\n  %2: f32[{size}] = add(%0, %1)\n"
        f"  %3: f32[{size}] = add(%2, %2)\n  update %0 = %2\n  return %3"
    )


# ---- state -----------------------------------------------------------------------------------

LAYOUTS = {
    "in order": lambda shape: np.zeros(shape, np.float32),
    "columns first": lambda shape: np.zeros(shape[::-1], np.float32).T,
    "every second": lambda shape: np.zeros((shape[0] * 2, shape[1]), np.float32)[::2],
    "backwards": lambda shape: np.zeros(shape, np.float32)[::-1],
    "a part": lambda shape: np.zeros((shape[0], shape[1] + 3), np.float32)[:, 2:-1],
    "not aligned": lambda shape: (
        np.zeros(4 * shape[0] * shape[1] + 1, np.uint8)[1:].view(np.float32).reshape(shape)
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4, 3), (130, 70)])
def test_state_may_lie_in_any_way(layout, shape):
    program, x = build(counter(*shape)), np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    seen = LAYOUTS[layout](shape)
    around = seen if seen.base is None else seen.base
    before = around.copy()
    state = [seen]
    for times in (1, 2, 3):
        (y,) = program.run([x], state)
        np.testing.assert_array_equal(seen, times * x)
        np.testing.assert_array_equal(y, times * x)
        assert not np.shares_memory(y, seen)
    seen[...] = 0
    np.testing.assert_array_equal(around, before)  # nothing beside it was touched


def test_state_that_another_writes_to_between_calls_is_seen():
    program, x = build(counter(4, 3)), np.ones((4, 3), np.float32)
    for seen in (np.zeros((4, 3), np.float32), np.zeros((3, 4), np.float32).T):
        state = [seen]
        program.run([x], state)
        seen *= 10
        np.testing.assert_array_equal(program.run([x], state)[0], np.full((4, 3), 11))


def test_other_state_is_another_list():
    program, x = build(counter(4, 3)), np.ones((4, 3), np.float32)
    first, second = np.zeros((4, 3), np.float32), np.full((4, 3), 5, np.float32)
    for _ in range(2):
        program.run([x], [first])
        program.run([x], [second])
    assert first[0, 0] == 2
    assert second[0, 0] == 7


def test_a_tensor_whose_array_is_exchanged_is_found_again():
    seen = chainrule.zeros(4, 3)

    def count(x):
        seen.add_(x)
        return seen * 1

    compiled, x = chainrule.compile(count), chainrule.ones(4, 3)
    compiled(x)
    old = seen.value
    for new in (np.full((4, 3), 7, np.float32), np.full((3, 4), 7, np.float32).T):
        seen.value = new
        assert compiled(x).tolist() == [[8.0] * 3] * 4
        assert (new == 8).all()
    assert (old == 1).all()


# ---- arguments -------------------------------------------------------------------------------


@sizes
def test_arguments_are_not_written_to(size):
    graph = parse_graph(f"graph f(%0: f32[{size}]):\n  %1: f32[{size}] = exp(%0)\n  return %1")
    x = np.linspace(-1, 1, size, dtype=np.float32)
    x.flags.writeable = False
    (y,) = build(graph).run([x], [])
    np.testing.assert_allclose(y, np.exp(x), rtol=1e-6)


@sizes
def test_an_argument_is_changed_in_place(size):
    program, reference = build(adder(size)), ReferenceExecutable(adder(size))
    ours, theirs = np.zeros(size, np.float32), np.zeros(size, np.float32)
    y = np.arange(size, dtype=np.float32)
    for _ in range(3):
        (found,), (expected,) = program.run([ours, y], []), reference.run([theirs, y], [])
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(ours, theirs)


@sizes
@pytest.mark.parametrize("step", [1, 2, -1])
def test_a_tensor_that_is_an_argument_is_changed_in_place(size, step):
    @chainrule.compile
    def add(x, y):
        x.add_(y)
        return x * 2

    around = np.zeros(abs(step) * size, np.float32)
    x = chainrule.from_numpy(around[::step])
    y = chainrule.arange(size).float()
    for times in (1, 2):
        assert (add(x, y) == y * (2 * times)).all().item()
        np.testing.assert_array_equal(x.numpy(), times * np.arange(size))
        np.testing.assert_array_equal(around[::step], times * np.arange(size))


@sizes
def test_the_same_argument_twice_is_as_in_plain_python(size):
    @chainrule.compile
    def add(x, y):
        x.add_(y)
        return y * 1

    x = chainrule.ones(size)
    add(chainrule.ones(size), chainrule.ones(size))
    assert add(x, x)[0].item() == 2
    assert add(x, x)[-1].item() == 4


@sizes
def test_arguments_that_are_exchanged_are_read_where_they_are_now(size):
    program = build(adder(size))
    for number in range(5):
        x, y = np.full(size, number, np.float32), np.ones(size, np.float32)
        (z,) = program.run([x, y], [])
        assert set(z.tolist()) == {2.0 * (number + 1)}
        assert set(x.tolist()) == {number + 1.0}


# ---- results ---------------------------------------------------------------------------------


@sizes
def test_results_are_never_the_memory_of_the_program(size):
    program = build(adder(size))
    given = [np.ones(size, np.float32), np.ones(size, np.float32)]
    (first,) = program.run(given, [])
    kept = first.copy()
    (second,) = program.run(given, [])
    np.testing.assert_array_equal(first, kept)
    assert first.flags.owndata
    assert first.flags.writeable
    for other in (second, program.arena, *given):
        assert not np.shares_memory(first, other)
    first[...] = -1  # nor does the program mind what becomes of them
    assert program.run(given, [])[0][0] == 8


def test_what_is_given_as_it_came_is_a_copy():
    graph = parse_graph(
        'graph same(%0: f32[3], %1: f32[5000]):\n  state %2: f32[2] "s"\n'
        "  %3: f32[3] = add(%0, %0)\n  return %0, %1, %2, %3, %3"
    )
    given = [np.arange(3, dtype=np.float32), np.arange(5000, dtype=np.float32)]
    state = [np.ones(2, np.float32)]
    results = build(graph).run(given, state)
    for result, source in zip(results, [*given, *state, 2 * given[0], 2 * given[0]]):
        np.testing.assert_array_equal(result, source)
        assert not np.shares_memory(result, source)
    assert not np.shares_memory(results[3], results[4])


def test_the_old_state_is_given_though_it_is_updated():
    graph = parse_graph(
        'graph swap(%0: f32[4]):\n  state %1: f32[4] "a"\n  state %2: f32[4] "b"\n'
        "  %3: f32[4] = add(%2, %0)\n  update %1 = %3\n  update %2 = %1\n  return %1, %3"
    )
    a, b, x = (np.full(4, number, np.float32) for number in (1, 2, 10))
    old, new = build(graph).run([x], [a, b])
    assert [each[0] for each in (old, new, a, b)] == [1, 12, 12, 1]


def test_large_arguments_are_let_go_when_the_next_come():
    program = build(adder(LARGE))
    x = np.ones(LARGE, np.float32)
    gone = weakref.ref(x)
    program.run([x, x.copy()], [])
    del x
    program.run([np.ones(LARGE, np.float32), np.ones(LARGE, np.float32)], [])
    gc.collect()
    assert gone() is None


# ---- several threads of Python ---------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 300_000])
def test_calls_from_several_threads_do_not_mix(size):
    graph = parse_graph(
        f'graph f(%0: f32[{size}]):\n  state %1: f32[1] "calls"\n  constant %2: f32[1] = [1.0]\n'
        f"  %3: f32[{size}] = mul(%0, %0)\n  %4: f32[1] = add(%1, %2)\n"
        "  update %1 = %4\n  return %3"
    )
    program, state, failures = build(graph), [np.zeros(1, np.float32)], []

    def work(number):
        x = np.full(size, number, np.float32)
        for _ in range(25):
            (y,) = program.run([x], state)
            if not (y == number * number).all():
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert state[0][0] == 5 * 25


# ---- guards ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [6, 3000])
def test_a_class_that_is_none_is_the_error_of_eager_and_nothing_is_written(rows):
    weight = chainrule.zeros(4, 3)

    def step(x, classes):
        loss = F.cross_entropy(x @ weight.T, classes)
        weight.add_(1.0)
        return loss

    x = chainrule.ones(rows, 3)
    good = chainrule.arange(rows) % 4
    bad = good.clone()
    bad[rows - 1] = 4
    compiled = chainrule.compile(step)
    first = compiled(x, good).item()
    assert first == pytest.approx(np.log(4), rel=1e-5)
    with pytest.raises(ChainruleError) as eager:
        F.cross_entropy(x @ weight.T, bad)
    for _ in range(2):
        with pytest.raises(type(eager.value)) as native:
            compiled(x, bad)
        assert "4" in str(native.value)
        assert (weight == 1).all().item()  # as the first call has left it
    assert compiled(x, good).item() == pytest.approx(first, rel=1e-5)
    assert (weight == 2).all().item()
