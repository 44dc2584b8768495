"""A graph after a pass computes what it computed before: to the bit, or up to rounding.

The graphs are those of whole training steps, of every op and its derivative, and random ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compile.passes.traced_steps import STEPS, Case, outcome, traced, traced_step
from tests.compile.test_trace import inputs_of, outputs_and_gradients

import chainrule
from chainrule.compile.passes import PASSES, optimize
from chainrule.compile.passes.algebra import Algebra
from chainrule.compile.passes.gather_overlap_add import GatherOverlapAdd
from chainrule.core.op import registry
from chainrule.ir.verify import verify

ROUNDING = (Algebra, GatherOverlapAdd)
"""The passes that may add up in another order."""


def assert_same(found: list[Any], expected: list[Any], *, exact: bool) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if exact or a.dtype.kind != "f":
            assert a.tobytes() == b.tobytes()
        else:
            close = 1e-4 if a.itemsize < 8 else 1e-9
            np.testing.assert_allclose(a, b, rtol=close, atol=close)


def assert_passes_keep(case: Case) -> None:
    """Each pass alone, on what the passes before it left."""
    graph, arguments, state = case
    expected = outcome(graph, arguments, state)
    for each in PASSES:
        graph = verify(each(graph))
        found = outcome(graph, arguments, state)
        assert_same(found, expected, exact=not isinstance(each, ROUNDING))
        expected = found


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_stays_what_it_is(name: str) -> None:
    assert_passes_keep(traced_step(name))


@pytest.mark.parametrize("name", sorted(registry))
def test_an_op_and_its_derivative_stay_what_they_are(name: str) -> None:
    for sample in registry[name].samples(registry[name]):
        xs = inputs_of(sample)
        assert_passes_keep(traced(lambda s=sample, xs=xs: tuple(outputs_and_gradients(s.op, xs))))


def test_optimize_verifies_when_asked() -> None:
    graph, arguments, state = traced_step("lenet")
    expected = outcome(graph, arguments, state)
    assert_same(outcome(optimize(graph, verify=True), arguments, state), expected, exact=False)


# ---- random functions ------------------------------------------------------------------------

SIZES = st.sampled_from([1, 2, 2, 3, 4])
SHAPES = st.lists(SIZES, min_size=0, max_size=3).map(tuple)


def reshaped(draw: Any, x: Any) -> Any:
    left, shape = x.numel(), []
    while left > 1:
        size = draw(st.sampled_from([n for n in range(1, left + 1) if left % n == 0]))
        shape.append(size)
        left //= size
        if len(shape) == 4:
            shape[-1] *= left
            break
    return x.reshape(*shape) if shape else x.reshape(())


def permuted(draw: Any, x: Any) -> Any:
    return x.permute(*draw(st.permutations(range(x.ndim))))


def expanded(draw: Any, x: Any) -> Any:
    sizes = [draw(SIZES) if size == 1 else size for size in x.shape]
    return x.expand(draw(SIZES), *sizes) if x.ndim < 4 else x.expand(*sizes)


def summed(draw: Any, x: Any) -> Any:
    dims = [dim for dim in range(x.ndim) if draw(st.booleans())]
    how = draw(st.sampled_from(["sum", "amax", "mean"]))
    return getattr(x, how)(dims, keepdim=draw(st.booleans())) if dims else x


def sliced(draw: Any, x: Any) -> Any:
    return x[..., draw(st.integers(0, x.shape[-1] - 1)) :] if x.ndim else x


def written(draw: Any, x: Any) -> Any:
    y = x.clone()
    view = draw(
        st.sampled_from([lambda y: y, lambda y: y.reshape(-1), lambda y: y.T, lambda y: y[:1]])
    )
    if y.ndim != 2:
        return y
    view(y).mul_(draw(st.sampled_from([1.0, 2.0])))
    return y


ONE = [
    reshaped,
    permuted,
    expanded,
    summed,
    sliced,
    written,
    lambda draw, x: -x,
    lambda draw, x: x.clone(),
    lambda draw, x: x.tanh(),
    lambda draw, x: x.double().float(),
    lambda draw, x: x * draw(st.sampled_from([1, 1.0, 0.5, -1.0])),
    lambda draw, x: x + draw(st.sampled_from([0.0, -0.0, 1.0])),
    lambda draw, x: x - draw(st.sampled_from([0.0, -0.0])),
    lambda draw, x: x.where(x > draw(st.sampled_from([0.0, 9.0])), 0.5),
    lambda draw, x: x + chainrule.full(x.shape, 2.0) * 3,
    lambda draw, x: x.flip(0) if x.ndim else x,
]
TWO = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a.maximum(b)]


@st.composite
def cases(draw: Any) -> Case:
    """A graph of a random function of two or three small tensors, special numbers among them."""
    shapes = draw(st.lists(SHAPES, min_size=2, max_size=3))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    numbers = np.array([0.0, -0.0, 1.0, -1.5, 0.3, 7.0], np.float32)
    arrays = [np.asarray(random.choice(numbers, shape), np.float32) for shape in shapes]

    def function(*xs: Any) -> Any:
        known = list(xs)
        for _ in range(draw(st.integers(1, 12))):
            x = known[draw(st.integers(0, len(known) - 1))]
            if draw(st.integers(0, 3)):
                y = draw(st.sampled_from(ONE))(draw, x)
            else:
                fitting = [each for each in known if fits(x, each)]
                y = draw(st.sampled_from(TWO))(x, draw(st.sampled_from(fitting)))
            if y.numel() <= 512:
                known.append(y)
        return tuple(known[-3:])

    return traced(function, *arrays)


def fits(a: Any, b: Any) -> bool:
    pairs = zip(reversed(a.shape), reversed(b.shape))
    return all(m == n or 1 in (m, n) for m, n in pairs)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_a_random_function_stays_what_it_is(case: Case) -> None:
    assert_passes_keep(case)
