"""Every op and its derivative, as machine code, is what the reference says: on ordinary numbers, on
infinities and NaN, on nothing at all, in every dtype, and wherever its operands lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.compile.native_oracle import (
    Array,
    assert_native_is_reference,
    graph_of,
    hosted,
    outputs_and_gradients,
    refused,
)

import chainrule
from chainrule.compile.native import build
from chainrule.compile.reference import ReferenceExecutable
from chainrule.core.families import Elementwise
from chainrule.core.op import Op, registry
from chainrule.core.types import type_of
from chainrule.errors import ChainruleError
from chainrule.nn.functional import nll_loss
from chainrule.tensor import Tensor


def samples_of(name: str, dtype: Any) -> Iterator[tuple[Op, list[Tensor]]]:
    """An op's samples in a float dtype, but for those that it refuses."""
    for sample in registry[name].samples(registry[name]):
        arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in sample.inputs]
        tracked = bool(sample.op.differentiable)
        xs = [chainrule.tensor(x).requires_grad_(tracked and x.dtype.kind == "f") for x in arrays]
        try:
            outputs_and_gradients(sample.op, xs)
        except ChainruleError:
            continue
        yield sample.op, xs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(registry))
def test_an_op_and_its_derivative_are_those_of_the_reference(name: str, dtype: Any) -> None:
    samples = list(samples_of(name, dtype))  # in one program: a call of LLVM's takes a while
    if not samples:
        return
    graph, state = graph_of(
        lambda: tuple([y for op, xs in samples for y in outputs_and_gradients(op, xs)])
    )
    assert_native_is_reference(graph, [], state)


# ---- infinities, NaN, zeros, the ends of the range -------------------------------------------

SPECIAL = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 0.1, 7.3, -7.3, 100.25, 255.5, 1e-4),
    *(1e5, -1e5, 3e9, 1e30, -1e30, 1e-30, -1e-30, np.inf, -np.inf, np.nan),
)
WHOLE = (0, 1, 2, 3, 5, 7, 8, 31, 64, 100)
DTYPES = [np.dtype(each) for each in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "?")]
PER_ELEMENT = {4: 3e-6, 8: 3e-14}
CANCELLING = {"gelu_tanh": 0.1, "tanhshrink": 1e-3}
"""A difference of numbers as large as this is what these come to."""
EITHER_ZERO = frozenset({"elu", "hardtanh", "relu"})
"""max(x, 0) of -0 is a zero of either sign: to say which would take an instruction more."""


def numbers_of(dtype: np.dtype[Any]) -> Array:
    """Numbers of a dtype that something special happens at."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "f":
        ends = np.finfo(dtype)
        limits = (ends.max, ends.min, ends.tiny, ends.smallest_subnormal, ends.eps)
        return np.array([*SPECIAL, *limits], dtype)
    limits = np.iinfo(dtype)
    below = (-1, -2, -7, -8) if limits.min < 0 else ()
    return np.array([*WHOLE, *below, limits.max, limits.max - 1, limits.min], dtype)


def special_operands(name: str) -> Iterator[tuple[Op, list[Tensor]]]:
    """All combinations of such numbers, for every kind of operands that an op takes."""
    seen: set[str] = set()
    for sample in registry[name].samples(registry[name]):
        kinds = [x.dtype.kind for x in sample.inputs]
        for dtype in DTYPES:
            dtypes = [np.dtype("?") if kind == "b" else dtype for kind in kinds]
            if f"{sample.op} {dtypes}" in seen or not dtypes:
                continue
            seen.add(f"{sample.op} {dtypes}")
            grid = np.meshgrid(*[numbers_of(each) for each in dtypes], indexing="ij")
            tracked = bool(sample.op.differentiable) and dtype.kind == "f"
            xs = [chainrule.tensor(x.ravel().copy()) for x in grid]
            xs = [x.requires_grad_(tracked and x.dtype.is_floating_point) for x in xs]
            if is_taken(sample.op, xs):
                yield sample.op, xs


def is_taken(op: Op, xs: list[Tensor]) -> bool:
    """Whether an op takes these: functions promote integers before the op sees them."""
    try:
        with np.errstate(all="ignore"):
            y = outputs_and_gradients(op, xs)[0]
    except ChainruleError:
        return False
    return type_of(y.value) == op.type_rule(*[x.type for x in xs])


ELEMENTWISE = sorted(
    name for name, cls in registry.items() if issubclass(cls, Elementwise) or name == "cast"
)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_special_numbers_give_the_same_infinities_nans_and_zeros(name: str) -> None:
    cases = list(special_operands(name))
    if not cases:
        return  # class_index refuses most numbers: see below
    graph, state = graph_of(
        lambda: tuple([y for op, xs in cases for y in outputs_and_gradients(op, xs)])
    )
    program = build(graph)
    with np.errstate(all="ignore"):
        expected = ReferenceExecutable(graph).run([], state)
    assert not refused(program)
    for index, (found, wanted) in enumerate(zip(program.run([], state), expected, strict=True)):
        if found.dtype.kind != "f":
            np.testing.assert_array_equal(found, wanted, f"result {index}")
            continue
        rounding = PER_ELEMENT[found.dtype.itemsize]
        least = float(np.finfo(found.dtype).tiny) + rounding * CANCELLING.get(name, 0)
        np.testing.assert_allclose(found, wanted, rounding, least, err_msg=f"result {index}")
        if name in EITHER_ZERO:
            continue
        zeros = (found == 0) & (wanted == 0)
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(wanted[zeros]))


def test_a_class_that_is_out_of_range_is_refused_and_the_state_left_alone() -> None:
    seen = np.zeros(3, np.float32)
    held = chainrule.tensor(seen)
    held.value = seen

    def step(scores: Tensor, classes: Tensor) -> Tensor:
        loss = nll_loss(scores, classes)
        held.add_(loss)
        return loss

    scores, classes = np.ones((3, 4), np.float32), np.array([0, 3, 1])
    graph, state = graph_of(step, scores, classes)
    program = build(graph)
    assert not hosted(program)
    program.run([scores, classes], state)
    assert state[0].tolist() == [-1, -1, -1]
    for wrong in (4, -1, 2**40):
        with pytest.raises(ChainruleError, match="class"):
            program.run([scores, np.array([0, wrong, 1])], state)
        assert state[0].tolist() == [-1, -1, -1]
    program.run([scores, classes], state)
    assert state[0].tolist() == [-2, -2, -2]


# ---- reductions ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_reductions_of_special_numbers(dtype: np.dtype[Any]) -> None:
    numbers = numbers_of(dtype)
    rows = [numbers[[i, (5 * i + 3) % len(numbers), 2 % len(numbers)]] for i in range(len(numbers))]
    x = chainrule.tensor(np.array(rows))

    def all_of_them() -> Iterator[Tensor]:
        for dim in (0, 1):
            yield from (x.any(dim), x.all(dim), x.sum(dim), x.prod(dim), x.cumsum(dim))
            yield from (x.amax(dim), x.amin(dim), x.argmax(dim), x.argmin(dim))
        if dtype.kind == "f":
            yield from (x.mean(1), x.var(1), x.std(1), x.logsumexp(1), x.norm(dim=1))
            yield from (x.softmax(1), x.log_softmax(1))

    graph, state = graph_of(lambda: tuple(all_of_them()))
    program = build(graph)
    with np.errstate(all="ignore"):
        expected = ReferenceExecutable(graph).run([], state)
    for index, (found, wanted) in enumerate(zip(program.run([], state), expected, strict=True)):
        rounding = 100 * PER_ELEMENT.get(found.dtype.itemsize, 0) if found.dtype.kind == "f" else 0
        np.testing.assert_allclose(found, wanted, rounding, err_msg=f"result {index}")


# ---- dtypes, places, nothing -----------------------------------------------------------------


def mixture(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Something of everything: broadcasting, views, products, sums, comparisons."""
    z = x.reshape(4, 1, 6) * y + y.T.reshape(1, 6, 6)[:, ::2, :].repeat(1, 2, 1)
    return z, z.sum(1), z.flip(0).amax((0, 2)), x @ y, (x > y[:4]).where(x, y[2:]), z[1:, 2].T


def laid_out(x: Array) -> dict[str, Array]:
    """The same numbers in memory in other ways."""
    wide = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[::2, 1::3] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    raw[...] = x
    return {
        "columns": np.asfortranarray(x),
        "spread": wide[::2, 1::3],
        "backwards": x[::-1, ::-1].copy()[::-1, ::-1],
        "unaligned": raw,
    }


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i4", "i8", "u1", "f2"])
def test_operands_may_lie_in_any_way(dtype: str, rng: np.random.Generator) -> None:
    x, y = ((rng.standard_normal(shape) * 9).astype(dtype) for shape in ((4, 6), (6, 6)))
    graph, _ = graph_of(mixture, x, y)
    program = assert_native_is_reference(graph, [x, y], [])
    assert ("float16" in str(hosted(program))) == (dtype == "f2")
    expected = program.run([x, y], [])
    for some in zip(laid_out(x).values(), laid_out(y).values(), strict=True):
        for found, wanted in zip(program.run(some, []), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", ["columns", "spread", "backwards", "unaligned"])
@pytest.mark.parametrize("size", [6, 200])
def test_state_is_written_where_it_lies(kind: str, size: int, rng: np.random.Generator) -> None:
    numbers = rng.standard_normal((size, size)).astype(np.float32)
    one, other = (chainrule.zeros(size, size) for _ in range(2))
    one.value = laid_out(numbers)[kind]
    other.value = numbers.T.copy()

    def step(x: Tensor) -> Tensor:
        before = one + other.T
        one.mul_(0.5).add_(x)
        other.copy_(before @ one)
        return before.sum()

    x = rng.standard_normal((size, size)).astype(np.float32)
    graph, state = graph_of(step, x)
    assert_native_is_reference(graph, [x], state, 10)


def test_without_elements_nothing_goes_wrong() -> None:
    x, y = np.zeros((0, 3), np.float32), np.ones((3, 2), np.float32)
    total = chainrule.zeros(2)

    def step(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        z = x @ y
        total.add_(z.sum(0) + 1)
        return z, z.sum(), z.sum(0), y.exp(), chainrule.cat([x.T, y], 1), x.T @ z

    graph, state = graph_of(step, x, y)
    program = assert_native_is_reference(graph, [x, y], state)
    assert "there are no elements" in hosted(program).values()


def test_numbers_without_dimensions() -> None:
    x, y = np.array(2.5), np.array(-3.0)
    graph, _ = graph_of(
        lambda x, y: (x * y, (x + y).sum(), x.reshape(1, 1) @ y.reshape(1, 1)), x, y
    )
    assert_native_is_reference(graph, [x, y], [])


def test_a_result_may_be_an_argument_a_state_or_a_constant() -> None:
    held = chainrule.tensor([1.0, 2.0])
    constant = chainrule.tensor([5.0, 7.0])

    def step(x: Tensor) -> tuple[Tensor, ...]:
        before = held.clone()
        held.add_(x)
        return x, before, held, constant, held, x.T, chainrule.ones(3), before.flip(0)

    x = np.array([3.0, 4.0], np.float32)
    graph, state = graph_of(step, x)
    program = assert_native_is_reference(graph, [x], state)
    results = program.run([x], state)
    assert len({each.ctypes.data for each in results}) == len(results)
    assert not any(np.shares_memory(each, x) for each in results)


def test_states_that_trade_places() -> None:
    a, b, c = (chainrule.tensor(np.arange(5.0) + 10 * k) for k in range(3))

    def step() -> None:
        first, second, third = a.clone(), b.clone(), c.clone()
        a.copy_(second.flip(0))
        b.copy_(third * 2)
        c.copy_(first + second.sum())

    graph, state = graph_of(lambda: (step(), a + 0)[1])
    assert_native_is_reference(graph, [], state)


def test_an_argument_may_be_written_to() -> None:
    for size in (3, 3000):  # small arguments are copied, large ones are used where they are
        x = np.arange(float(size))
        graph, _ = graph_of(lambda x: (x.mul_(2), x.flip(0))[1], x)
        one, other = x.copy(), x.copy()
        (found,), (expected,) = (
            build(graph).run([one], []),
            ReferenceExecutable(graph).run([other], []),
        )
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(one, other)
