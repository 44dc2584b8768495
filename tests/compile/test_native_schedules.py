"""A kernel computes what its nest says, whatever its schedule: lanes, tiles, orders, threads.

The oracle is `ir/evaluate.py`, which knows no loops. However many threads share a kernel, its bits
are the same.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compile.native_oracle import Array, assert_close

from chainrule.compile.axes import merge_axes
from chainrule.compile.choose import choose
from chainrule.compile.emit import write_kernel
from chainrule.compile.machine_code import assemble, load
from chainrule.compile.schedule import Schedule
from chainrule.compile.target import Target, _target, host_target
from chainrule.core.dtypes import (
    BOOL,
    DType,
    bool_,
    float32,
    float64,
    int8,
    int32,
    int64,
    uint8,
)
from chainrule.ir.evaluate import evaluate
from chainrule.ir.nest import (
    Affine,
    Axis,
    Call,
    Expr,
    Iota,
    Literal,
    Load,
    Nest,
    Reduce,
    Store,
    subexpressions,
)
from chainrule.ir.nest_text import parse_nest
from chainrule.ir.verify_nest import verify_nest

Buffers = dict[str, Array]
TARGETS = ["native", "sse"]


def target_of(level: str) -> Target:
    if level != "native" and not host_target().is_x86:
        pytest.skip("narrower levels are x86's")
    return _target(level)


def carried_out(
    nest: Nest, schedules: Sequence[Schedule], buffers: Buffers, target: Target, threads: int
) -> list[Buffers]:
    """What is in the buffers after the nest has run with each schedule, by so many threads."""
    parts: list[str] = []
    declarations: dict[str, str] = {}
    for index, schedule in enumerate(schedules):
        kernel = write_kernel(nest, schedule, f"kernel{index}", has_fma=target.has_fma)
        declarations |= kernel.declarations
        parts.append(kernel.text)
        lines = [f"define void @run{index}(ptr %data, i64 %thread, i64 %threads) {{"]
        for place in range(len(kernel.buffers)):
            lines.append(f"  %q{place} = getelementptr ptr, ptr %data, i64 {place}")
            lines.append(f"  %p{place} = load ptr, ptr %q{place}, align 8")
        pointers = "".join(f"ptr %p{place}, " for place in range(len(kernel.buffers)))
        lines.append(f"  call void @kernel{index}({pointers}i64 %thread, i64 %threads)")
        parts.append("\n".join([*lines, "  ret void", "}"]))
    text = "\n".join([*declarations.values(), *parts, "attributes #0 = { nounwind noinline }"])
    library = load(assemble(text, target))
    results: list[Buffers] = []
    for index, schedule in enumerate(schedules):
        names = write_kernel(nest, schedule, "kernel", has_fma=target.has_fma).buffers
        mine = {name: buffers[name].copy() for name in buffers}
        table = np.array([mine[name].ctypes.data for name in names], np.int64)
        run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        count = threads if schedule.split else 1
        for thread in reversed(range(count)):
            run(library.address(f"run{index}"))(table.ctypes.data, thread, count)
        results.append(mine)
    return results


def assert_all_agree(
    nest: Nest,
    schedules: Sequence[Schedule],
    buffers: Buffers,
    level: str = "native",
    rounding: float = 10,
) -> None:
    """Every schedule gives what the nest says, and writes nowhere else."""
    target = target_of(level)
    expected = {name: each.copy() for name, each in buffers.items()}
    in_sequence(nest, expected)
    alone = carried_out(nest, schedules, buffers, target, 1)
    for threads in (2, 3):
        shared = carried_out(nest, schedules, buffers, target, threads)
        for schedule, one, other in zip(schedules, alone, shared, strict=True):
            for name in buffers:
                assert one[name].tobytes() == other[name].tobytes(), schedule
    for schedule, found in zip(schedules, alone, strict=True):
        for name in buffers:
            assert_close(found[name], expected[name], rounding, f"%{name}: {schedule}\n{nest}")


def in_sequence(nest: Nest, buffers: Buffers) -> None:
    """`evaluate`, one step of the sequential axes after the other."""
    sizes = {axis.name: axis.size for axis in nest.maps}
    for place in itertools.product(*[range(sizes[name]) for name in nest.sequential]):
        at = dict(zip(nest.sequential, place))
        evaluate(at_step(nest, at), buffers)


def at_step(nest: Nest, at: dict[str, int]) -> Nest:
    """The nest at one place along some of its axes."""
    if not at:
        return nest

    def place(affine: Affine) -> Affine:
        offset = affine.offset + sum(affine.stride(name) * step for name, step in at.items())
        return Affine(offset, tuple([each for each in affine.strides if each[0] not in at]))

    def walk(expr: Expr) -> Expr:
        if isinstance(expr, Load):
            index = tuple([(walk(part), stride) for part, stride in expr.index])
            return replace(expr, at=place(expr.at), index=index)
        if isinstance(expr, Call):
            return replace(expr, args=tuple([walk(part) for part in expr.args]))
        if isinstance(expr, Reduce):
            return replace(expr, expr=walk(expr.expr))
        if isinstance(expr, Iota) and expr.axis in at:
            return Literal(at[expr.axis], expr.dtype)
        return expr

    stores = tuple([Store(s.buffer, place(s.at), walk(s.expr)) for s in nest.stores])
    maps = tuple([axis for axis in nest.maps if axis.name not in at])
    return Nest(nest.name, maps, nest.reduces, stores)


def sizes_needed(nest: Nest) -> dict[str, tuple[DType, int]]:
    """What each buffer holds, and how much."""
    sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
    places = [(s.buffer, s.at, s.expr.dtype) for s in nest.stores]
    for store in nest.stores:
        places += [
            (each.buffer, each.at, each.dtype)
            for each in subexpressions(store.expr)
            if isinstance(each, Load)
        ]
    found: dict[str, tuple[DType, int]] = {}
    for buffer, at, dtype in places:
        last = at.offset + sum(max(step * (sizes[name] - 1), 0) for name, step in at.strides)
        found[buffer] = dtype, max(last + 1, found.get(buffer, (dtype, 0))[1])
    return found


def filled(nest: Nest, seed: int = 0, extra: int = 0) -> Buffers:
    """Numbers for a nest's buffers. Those it indexes with find what they look for."""
    random = np.random.default_rng(seed)
    buffers: Buffers = {}
    for name, (dtype, size) in sizes_needed(nest).items():
        size += extra
        if dtype.category == BOOL:
            buffers[name] = random.random(size) < 0.5
        elif dtype.is_floating_point:
            buffers[name] = random.standard_normal(size).astype(dtype.numpy)
        else:
            buffers[name] = random.integers(0, 7, size).astype(dtype.numpy)
    return buffers


# ---- schedules -------------------------------------------------------------------------------


def staged_of(nest: Nest, schedule: Schedule) -> tuple[tuple[str, Affine], ...]:
    """The operands that a schedule may copy."""
    written = {store.buffer for store in nest.stores}
    inner = {axis.name for axis in nest.reduces}
    found: dict[tuple[str, Affine], None] = {}
    for store in nest.stores:
        for each in subexpressions(store.expr):
            if not isinstance(each, Load) or each.index or each.dtype.category == BOOL:
                continue
            near = schedule.lane in schedule.order and each.at.stride(schedule.lane) == 1
            if near and each.buffer not in written and inner & {a for a, _ in each.at.strides}:
                found[each.buffer, each.at] = None
    return tuple(found)


@st.composite
def schedules_of(draw: st.DrawFn, nest: Nest) -> Schedule:
    """Any way to run a nest that the emitter has to understand."""
    free = [axis.name for axis in nest.maps if axis.name not in nest.sequential]
    reduces = [axis.name for axis in nest.reduces]
    long = [axis.name for axis in (*nest.maps, *nest.reduces) if axis.size > 1]
    lane = draw(st.sampled_from(["", *[axis for axis in (*free, *reduces) if axis in long]]))
    lanes = draw(st.sampled_from([2, 4, 8, 16])) if lane else 1
    factors = st.sampled_from(sorted({1, 2, 3, 4, 5, lanes}))
    tiled = draw(st.lists(st.sampled_from(free), max_size=2, unique=True)) if free else []
    schedule = Schedule(
        order=(*nest.sequential, *draw(st.permutations(free))),
        reduce_order=tuple(draw(st.permutations(reduces))),
        lane=lane,
        lanes=lanes,
        tile=tuple([(axis, draw(factors)) for axis in tiled]),
        unroll=draw(st.integers(1, 5)),
        split=draw(st.sampled_from(["", *free])),
    )
    can = staged_of(nest, schedule)
    staged = draw(st.lists(st.sampled_from(can), unique=True)) if can else []
    return replace(schedule, staged=tuple(staged))


def many_schedules(nest: Nest, count: int) -> list[Schedule]:
    """A fair share of a nest's schedules, every lane axis among them, always the same."""
    random = np.random.default_rng(1)
    free = [axis.name for axis in nest.maps if axis.name not in nest.sequential]
    reduces = [axis.name for axis in nest.reduces]
    lanes_of = itertools.cycle([(1, ""), *itertools.product((8, 4, 16, 2), [*free, *reduces])])
    made: list[Schedule] = []
    for lanes, lane in itertools.islice(lanes_of, count):
        tiled = random.permutation(free)[: random.integers(0, 3)]
        factors = [2, 3, 4, lanes] if len(tiled) < 2 else [2, 3, 4]
        schedule = Schedule(
            order=(*nest.sequential, *map(str, random.permutation(free))),
            reduce_order=tuple(map(str, random.permutation(reduces))),
            lane=lane,
            lanes=lanes,
            tile=tuple([(str(axis), int(random.choice(factors))) for axis in tiled]),
            unroll=int(random.integers(1, 4)),
            split=str(random.choice(["", *free])),
        )
        staged = [each for each in staged_of(nest, schedule) if random.random() < 0.7]
        made.append(replace(schedule, staged=tuple(staged)))
    return made


NESTS = {
    "product": """nest product(n: 7, o: 19 | k: 21):
      reads %x f32, %w f32, %b f32
      %y[19 n + o] = add(sum[k](mul(%x[21 n + k], %w[21 o + k])), %b[o])""",
    "product of columns": """nest product(n: 9, o: 17 | k: 13):
      reads %x f64, %w f64
      %y[n + 9 o] = sum[k](mul(%x[n + 9 k], %w[17 k + o]))""",
    "convolution": """nest convolution(n: 2, i: 5, j: 6, o: 9 | c: 3, r: 2, s: 3):
      reads %x f32, %w f32
      %y[270 n + 54 i + 9 j + o] = sum[c, r, s](mul(%x[168 n + 24 i + 24 r + 3 j + 3 s + c],
      %w[9 r + 3 s + c + 18 o]))""",
    "transposition": """nest transposition(a: 19, b: 18):
      reads %x f32
      %y[18 a + b] = neg(%x[a + 19 b])""",
    "two transpositions": """nest two(a: 17, b: 20):
      reads %x f64, %z f64
      %y[20 a + b] = add(%x[a + 17 b], %z[20 a + b])
      %u[a + 17 b] = mul(%x[a + 17 b], %z[20 a + b])""",
    "statistics": """nest statistics(a: 5, b: 3 | r: 4, s: 9):
      reads %x f32
      %least[3 a + b] = min[r, s](%x[36 b + 9 r + s + 108 a])
      %greatest[5 b + a] = max[r, s](%x[36 b + 9 r + s + 108 a])
      %spread[3 a + b] = sub(max[r, s](%x[36 b + 9 r + s]), sum[r, s](%x[36 a + 9 r + s]))""",
    "total": """nest total(| n: 37):
      reads %x f64
      %y[2] = sum[n](%x[36 + -1 n])""",
    "integers": """nest integers(n: 6, m: 11 | k: 9):
      reads %x i64, %w i32
      %y[11 n + m] = sum[k](mul(%x[9 n + k], cast:i64(%w[9 m + k])))
      %z[11 n + m] = product[k](cast:i64(%w[9 m + k]))""",
    "bytes": """nest bytes(n: 21, m: 5 | k: 6):
      reads %x u8, %w i8
      %y[5 n + m] = max[k](%x[6 n + k])
      %z[5 n + m] = sum[k](%w[m + 5 k])""",
    "bools": """nest bools(n: 13, m: 6 | k: 7):
      reads %x bool, %w bool
      %y[6 n + m] = any[k](and(%x[7 n + k], %w[6 k + m]))
      %z[n + 13 m] = all[k](or(%x[7 n + k], not(%w[6 k + m])))""",
    "masked": """nest masked(n: 5, m: 23):
      reads %x f32, %keep bool
      %y[23 n + m] = select(%keep[23 n + m], mul(%x[23 n + m], f32(2)), f32(0))
      %z[n + 5 m] = ne(%x[23 n + m], %x[m])""",
    "places": """nest places(n: 6, m: 18 | k: 5):
      reads %c i64, %x f32
      %hot[18 n + m] = cast:f32(eq(%c[n], i64[m]))
      %where[18 n + m] = add(mul(i64[n], i64(18)), i64[m])
      %sum[n + 6 m] = sum[k](mul(%x[5 m + k], cast:f32(i32[k])))""",
    "looked up": """nest lookup(n: 9, d: 11 | k: 4):
      reads %table f32, %i i64, %t i32
      %y[11 n + d] = %table[d; 11 %i[n]]
      %z[11 n + d] = sum[k](%table[d; 11 cast:i64(%t[n]), 1 %i[k]])""",
    "same everywhere": """nest constant(n: 6, m: 9 | k: 10, l: 3):
      reads %x f32, %v f32
      %y[9 n + m] = sum[k, l](f32(0.5))
      %z[9 n + m] = sum[k, l](%x[k])
      %u[9 n + m] = sum[k, l](%x[l])
      %t[9 n + m] = product[k, l](%v[n])""",
    "functions": """nest functions(n: 3, m: 21):
      reads %x f32, %w f64
      %y[21 n + m] = tanh(exp(%x[21 n + m]))
      %z[21 n + m] = erf(mul(sin(%w[m]), %w[m + 21 n]))""",
    "backwards": """nest backwards(n: 8, m: 17):
      reads %x f32
      %y[17 n + m] = %x[271 + -34 n + -2 m]
      %z[135 + -17 n + -1 m] = %x[17 n + m]""",
}


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("name", NESTS)
def test_any_schedule_gives_what_the_nest_says(name: str, level: str) -> None:
    nest = parse_nest(NESTS[name].replace(",\n      ", ", "))
    buffers = filled(nest, extra=80)
    verify_nest(nest, {each: len(array) for each, array in buffers.items()})
    count = 3 if name == "functions" else 20 if level == "native" else 8
    schedules = [*many_schedules(nest, count), choose(nest, target_of(level))]
    assert_all_agree(nest, schedules, buffers, level)


PARTS = {
    "product": """nest part(p: 4, n: 6, o: 18 | k: 5):
      reads %x f32, %w f32, %y f32
      %y[18 n + o] = add(%y[18 n + o], sum[k](mul(%x[20 n + 5 p + k], %w[20 o + 5 p + k])))""",
    "total": """nest part(p: 6 | k: 11):
      reads %x f64, %y f64
      %y[0] = add(%y[0], sum[k](%x[11 p + k]))""",
    "running": """nest running(t: 9, n: 19):
      reads %x f32, %y f32
      %y[19 t + n + 19] = add(%y[19 t + n], %x[19 t + n])""",
    "two at a time": """nest two(t: 5, u: 3, n: 10):
      reads %x f32, %y f32, %i i64
      %y[n] = mul(add(%y[n], %x[30 t + 10 u + n]), cast:f32(add(i64[t], %i[u])))""",
}


@pytest.mark.parametrize("name", PARTS)
def test_steps_in_sequence_read_what_those_before_have_written(name: str) -> None:
    nest = parse_nest(PARTS[name])
    first = {"two at a time": ("t", "u"), "running": ("t",)}.get(name, ("p",))
    nest = replace(nest, sequential=first)
    assert_all_agree(nest, many_schedules(nest, 20), filled(nest))


@pytest.mark.parametrize("lane", ["o", "k"])
def test_parts_that_are_each_added_to_their_own_may_be_any_loop(lane: str) -> None:
    nest = replace(parse_nest(PARTS["product"]), sequential=("p",))
    schedules = [
        Schedule(order, ("k",), lane, 8, tile, unroll, split)
        for order in itertools.permutations(("p", "n", "o"))
        for tile in ((("n", 3), ("o", 4)), (("o", 8),), (("n", 2),))
        for unroll, split in ((1, "n"), (2, "o"))
    ]
    assert_all_agree(nest, schedules, filled(nest))


@pytest.mark.parametrize("name", NESTS)
def test_merged_axes_are_the_same_nest(name: str) -> None:
    nest = parse_nest(NESTS[name].replace(",\n      ", ", "))
    merged = merge_axes(nest)
    verify_nest(merged)
    buffers = filled(nest, extra=80)
    one, other = ({n: each.copy() for n, each in buffers.items()} for _ in range(2))
    evaluate(nest, one)
    evaluate(merged, other)
    for each in buffers:
        assert_close(one[each], other[each])


# ---- nests at random -------------------------------------------------------------------------

_SAME = {"float": ("add", "sub", "mul", "max", "min"), "int": ("add", "sub", "mul", "max", "xor")}


class _Drawing:
    """One random nest being made."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        sizes = st.one_of(st.integers(1, 9), st.sampled_from([16, 17, 33]))
        self.maps = [Axis(name, draw(sizes)) for name in "abc"[: draw(st.integers(0, 3))]]
        count = draw(st.integers(0, 2))
        self.reduces = [Axis(name, draw(st.integers(1, 17))) for name in "kl"[:count]]
        self.buffers: dict[str, tuple[DType, int]] = {}

    def place(self, axes: Sequence[Axis], gap: int = 1) -> tuple[Affine, int]:
        """An order of the axes in memory, perhaps with room between; and the room it takes."""
        strides: list[tuple[str, int]] = []
        offset = self.draw(st.integers(0, 3))
        step, last = gap, offset
        for axis in self.draw(st.permutations(axes)):
            backwards = axis.size > 1 and self.draw(st.integers(0, 7)) == 0
            if axis.size > 1 or self.draw(st.booleans()):
                strides.append((axis.name, -step if backwards else step))
                offset += step * (axis.size - 1) if backwards else 0
                last += step * (axis.size - 1)
            step *= axis.size
        return Affine(offset, tuple(strides)), last + 1

    def load(self, axes: Sequence[Axis], dtype: DType) -> Load:
        some = [axis for axis in axes if self.draw(st.integers(0, 3))]
        at, size = self.place(some, self.draw(st.sampled_from([1, 1, 1, 2])))
        name = f"x{len(self.buffers)}"
        again = [n for n, (kind, _) in self.buffers.items() if kind is dtype and n[0] == "x"]
        if again and self.draw(st.booleans()):
            name = self.draw(st.sampled_from(again))
        self.buffers[name] = dtype, max(size, self.buffers.get(name, (dtype, 0))[1])
        return Load(name, at, dtype)

    def expr(self, axes: Sequence[Axis], dtype: DType, depth: int) -> Expr:
        """An expression of a dtype, without reductions: what NumPy gives to the last bit."""
        kinds = ["load"] if depth == 0 else ["load", "same", "same", "select", "cast", "leaf"]
        kind = self.draw(st.sampled_from(kinds))
        if kind == "load":
            return self.load(axes, dtype)
        if kind == "leaf":
            axis = self.draw(st.sampled_from(axes)) if axes else None
            if dtype.category == BOOL or axis is None or self.draw(st.booleans()):
                return Literal(1 if dtype.category == BOOL else 2, dtype)
            return Iota(axis.name, dtype)
        if kind == "select":
            parts = [self.expr(axes, each, depth - 1) for each in (bool_, dtype, dtype)]
            return Call("select", tuple(parts), dtype)
        if kind == "cast":
            other = self.draw(st.sampled_from([float32, float64, int64, int32, bool_]))
            if other is dtype or (other.is_floating_point and dtype in (int8, uint8)):
                return self.load(axes, dtype)
            return Call("cast", (self.expr(axes, other, 0),), dtype)
        if dtype.category == BOOL:
            other = self.draw(st.sampled_from([float32, int64, bool_, float64]))
            name = self.draw(st.sampled_from(["lt", "ge", "eq", "ne"]))
            return Call(name, tuple([self.expr(axes, other, depth - 1) for _ in "ab"]), dtype)
        name = self.draw(st.sampled_from(_SAME["float" if dtype.is_floating_point else "int"]))
        return Call(name, tuple([self.expr(axes, dtype, depth - 1) for _ in "ab"]), dtype)

    def root(self, dtype: DType) -> Expr:
        """An expression with perhaps a reduction in it."""
        if not self.reduces or not self.draw(st.integers(0, 3)):
            return self.expr(self.maps, dtype, 2)
        kind = "sum"
        if dtype.category == BOOL:
            kind = self.draw(st.sampled_from(["any", "all"]))
        else:
            kind = self.draw(st.sampled_from(["sum", "sum", "sum", "max", "min"]))
        body = self.expr((*self.maps, *self.reduces), dtype, self.draw(st.integers(0, 2)))
        made: Expr = Reduce(kind, body, tuple([axis.name for axis in self.reduces]))
        if self.draw(st.booleans()) and dtype.category != BOOL:
            made = Call("add", (made, self.expr(self.maps, dtype, 1)), dtype)
        return made

    def nest(self) -> Nest:
        dtypes = st.sampled_from([float32, float32, float64, int32, int64, int8, uint8, bool_])
        stores: list[Store] = []
        for index in range(self.draw(st.integers(1, 2))):
            expr = self.root(self.draw(dtypes))
            at, size = self.place(self.maps, self.draw(st.sampled_from([1, 1, 2])))
            self.buffers[f"y{index}"] = expr.dtype, size
            stores.append(Store(f"y{index}", at, expr))
        return Nest("random", tuple(self.maps), tuple(self.reduces), tuple(stores))


@st.composite
def nests(draw: st.DrawFn) -> tuple[Nest, Buffers]:
    """A nest, and memory for it."""
    drawing = _Drawing(draw)
    nest = drawing.nest()
    buffers = filled(nest, draw(st.integers(0, 99)), extra=2)
    verify_nest(nest, {name: len(each) for name, each in buffers.items()})
    return nest, buffers


def agree(data: Any) -> None:
    nest, buffers = data.draw(nests())
    schedules = [data.draw(schedules_of(nest)) for _ in range(3)]
    level = data.draw(st.sampled_from(TARGETS)) if host_target().is_x86 else "native"
    with np.errstate(all="ignore"):
        assert_all_agree(nest, schedules, buffers, level, 100)


@settings(max_examples=60)
@given(st.data())
def test_random_nests_under_random_schedules(data: Any) -> None:
    agree(data)


@pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "explore",
    reason="thousands of programs: HYPOTHESIS_PROFILE=explore compiles them",
)
@settings(max_examples=1500)
@given(st.data())
def test_many_random_nests_under_random_schedules(data: Any) -> None:
    agree(data)
