"""Merged axes say the same: the interpreter of nests gives the same numbers before and after."""

import numpy as np
from hypothesis import given, settings
from tests.compile.nest_samples import carried_out, memory, nests

from chainrule.compile.axes import merge_axes
from chainrule.ir.nest import Axis, Iota, Load, subexpressions
from chainrule.ir.nest_text import parse_nest
from chainrule.ir.verify_nest import verify_nest


@settings(max_examples=150)
@given(nests())
def test_a_nest_with_fewer_axes_computes_the_same(nest):
    merged = merge_axes(nest)
    buffers = memory([nest])
    verify_nest(merged, {name: array.size for name, array in buffers.items()})
    before, after = carried_out([nest], buffers), carried_out([merged], buffers)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
    assert merge_axes(merged) == merged
    exprs = [each for store in nest.stores for each in subexpressions(store.expr)]
    used = {each.axis for each in exprs if isinstance(each, Iota)}
    sizes = {axis.name: axis.size for axis in merged.maps + merged.reduces}
    assert used <= set(sizes)
    assert all(size > 1 or name in used for name, size in sizes.items())


def axes(text):
    merged = merge_axes(parse_nest(text))
    return merged.maps, merged.reduces


def test_what_lies_side_by_side_everywhere_is_one_axis():
    text = "nest add(a: 3, b: 4, c: 5):\n  reads %x f32\n"
    assert axes(text + "  %y[20 a + 5 b + c] = neg(%x[20 a + 5 b + c])") == ((Axis("c", 60),), ())
    assert axes(text + "  %y[4 a + b + 12 c] = neg(%x[4 a + b + 12 c])") == ((Axis("b", 60),), ())


def test_axes_of_different_orders_stay_apart():
    text = "nest turn(a: 3, b: 4):\n  reads %x f32\n  %y[4 a + b] = neg(%x[a + 3 b])"
    assert axes(text) == ((Axis("a", 3), Axis("b", 4)), ())


def test_a_broadcast_operand_keeps_its_axis_apart():
    text = "nest bias(a: 3, b: 4):\n  reads %x f32, %v f32\n  %y[4 a + b] = add(%x[4 a + b], %v[b])"
    assert axes(text) == ((Axis("a", 3), Axis("b", 4)), ())
    text = "nest one(a: 3, b: 4):\n  reads %x f32, %v f32\n  %y[4 a + b] = add(%x[4 a + b], %v[2])"
    assert axes(text) == ((Axis("b", 12),), ())


def test_maps_and_reduces_are_not_mixed():
    text = "nest rows(n: 3 | k: 4):\n  reads %x f32\n  %y[n] = sum[k](%x[4 n + k])"
    assert axes(text) == ((Axis("n", 3),), (Axis("k", 4),))
    text = "nest all(n: 3 | j: 4, k: 5):\n  reads %x f32\n  %y[n] = sum[j, k](%x[20 n + 5 j + k])"
    assert axes(text) == ((Axis("n", 3),), (Axis("k", 20),))


def test_a_sum_over_axes_of_one_is_what_it_sums():
    text = "nest one(n: 1, m: 2 | k: 1):\n  reads %x i32\n  %y[n + m] = sum[k](%x[n + m + k])"
    merged = merge_axes(parse_nest(text))
    assert (merged.maps, merged.reduces) == ((Axis("m", 2),), ())
    assert isinstance(merged.stores[0].expr, Load)
    buffers = {"x": np.arange(2, dtype=np.int32), "y": np.zeros(2, np.int32)}
    assert carried_out([merged], buffers)["y"].tolist() == [0, 1]


def test_steps_that_come_one_after_the_other_stay_an_axis():
    nest = parse_nest("nest parts(p: 1, n: 4):\n  reads %y f32\n  %y[n] = add(%y[n], f32(1))")
    nest = type(nest)(nest.name, nest.maps, nest.reduces, nest.stores, ("p",))
    assert merge_axes(nest) == nest


def test_a_nest_that_is_as_small_as_can_be_is_the_same_object():
    nest = parse_nest("nest copy(n: 4):\n  reads %x f32\n  %y[n] = %x[n]")
    assert merge_axes(nest) is nest
