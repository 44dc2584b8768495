"""Chains of reshapes and permutations, against NumPy's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.compile.passes.movement import Movement, without_ones
from chainrule.ops.movement import Permute, Reshape

SHAPES = st.lists(st.sampled_from([1, 2, 2, 3, 4, 6]), max_size=4).map(tuple)


@st.composite
def chains(draw: Any) -> tuple[tuple[int, ...], list[Any]]:
    shape = source = draw(SHAPES)
    ops: list[Any] = []
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            dims = tuple(draw(st.permutations(range(len(shape)))))
            ops.append(Permute(dims))
            shape = tuple(shape[dim] for dim in dims)
        else:
            left, sizes = int(np.prod(shape)), []
            while left > 1 and len(sizes) < 4:
                sizes.append(
                    draw(st.sampled_from([n for n in range(1, left + 1) if left % n == 0]))
                )
                left //= sizes[-1]
            shape = (*sizes, left) if left > 1 else tuple(sizes)
            ops.append(Reshape(shape))
    return source, ops


def carried_out(ops: Any, x: Any) -> Any:
    for op in ops:
        x = op.reference(x)
    return x


@settings(max_examples=300, deadline=None)
@given(chains())
def test_a_chain_is_at_most_three_ops_that_do_the_same(case: Any) -> None:
    source, ops = case
    x = np.arange(int(np.prod(source))).reshape(source)
    movement: Any = Movement.none(source)
    done: list[Any] = []
    for op in ops:
        further = movement.then(op)
        if further is None:
            return
        movement = further
        done.append(op)
        expected = carried_out(done, x)
        steps = movement.steps()
        assert len(steps) <= min(3, len(done))
        assert movement.shape == expected.shape
        np.testing.assert_array_equal(carried_out(steps, x), expected)
        if back := movement.back(expected.shape):
            np.testing.assert_array_equal(carried_out(back.steps(), expected), x)
        finer = movement.finer()
        pieces = x.reshape(finer.source)
        np.testing.assert_array_equal(carried_out(finer.steps(), pieces), expected)
        back = finer.back(expected.shape)
        assert back is not None
        np.testing.assert_array_equal(carried_out(back.steps(), expected), pieces)


@settings(max_examples=300, deadline=None)
@given(chains(), st.data())
def test_an_operand_that_broadcasts_is_found_beside_the_source(case: Any, data: Any) -> None:
    source, ops = case
    movement: Any = Movement.none(source)
    for op in ops:
        further = movement.then(op)
        if further is None:
            break
        movement = further
    shape = tuple(data.draw(st.sampled_from([1, size])) for size in movement.shape)
    y = np.arange(int(np.prod(shape))).reshape(shape)
    x = np.arange(int(np.prod(source))).reshape(source) * 1000
    expected = carried_out(movement.steps(), x) + y
    for each in (movement, movement.finer()):
        back = each.back(without_ones(shape))
        if back is None:
            assert each is movement  # cut into its digits, every axis varies or does not
            continue
        beside = carried_out(back.steps(), y.reshape(back.source))
        total = x.reshape(each.source) + beside
        np.testing.assert_array_equal(carried_out(each.steps(), total), expected)


def test_a_reshape_that_cuts_digits_askew_is_refused() -> None:
    turned = Movement.none((2, 3)).then(Permute((1, 0)))
    assert turned is not None
    assert turned.then(Reshape((2, 3))) is None
    assert turned.then(Reshape((6,))) is not None
    plain = Movement.none((2, 3)).then(Reshape((3, 2)))
    assert plain is not None
    assert plain.steps() == (Reshape((3, 2)),)
