"""Nests as hypothesis draws them, and the memory to carry them out in."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from chainrule.core.dtypes import int32, int64
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


def reach(at: Affine, sizes: dict[str, int]) -> int:
    """How many elements a place's buffer has at least."""
    return 1 + at.offset + sum([(sizes[axis] - 1) * max(s, 0) for axis, s in at.strides])


@st.composite
def affines(draw, axes, *, gaps: bool = True) -> Affine:
    """A place over some axes: in line in any order, at times with gaps between, at times turned."""
    step, offset = 1, 0
    strides: list[tuple[str, int]] = []
    for axis in draw(st.permutations(axes)):
        if gaps and draw(st.integers(0, 5)) == 0:
            step += draw(st.integers(1, 3))
        turned = gaps and draw(st.integers(0, 7)) == 0
        strides.append((axis.name, -step if turned else step))
        offset += step * (axis.size - 1) if turned else 0
        step *= axis.size
    return Affine(offset, tuple(draw(st.permutations(strides))))


@st.composite
def expressions(draw, axes, depth: int = 2) -> Expr:
    """An int32 expression of loads, of where the loops are, and of numbers."""
    kind = draw(st.sampled_from(["load"] * 4 + ["iota", "number"])) if depth == 0 else "call"
    if kind == "call" and draw(st.integers(0, 2)):
        parts = tuple([draw(expressions(axes, depth - 1)) for _ in range(2)])
        return Call(draw(st.sampled_from(["add", "mul", "sub", "max"])), parts, int32)
    if kind == "iota" and axes:
        return Call("cast", (Iota(draw(st.sampled_from(axes)).name, int64),), int32)
    if kind == "number":
        return Literal(draw(st.integers(-3, 3)), int32)
    some = [axis for axis in axes if draw(st.integers(0, 4))]
    return Load(f"x{draw(st.integers(0, 2))}", draw(affines(some)), int32)


@st.composite
def nests(draw) -> Nest:
    """A nest of one or two stores, at times with a reduction."""
    numbers = st.sampled_from([1, 2, 2, 3, 4])
    maps = [Axis(f"m{i}", draw(numbers)) for i in range(draw(st.integers(1, 3)))]
    reduces = [Axis(f"r{i}", draw(numbers)) for i in range(draw(st.integers(0, 2)))]
    stores: list[Store] = []
    for index in range(draw(st.integers(1, 2))):
        expr: Expr = draw(expressions(maps))
        if reduces:
            inner = draw(expressions([*maps, *reduces]))
            names = tuple([axis.name for axis in reduces])
            kind = draw(st.sampled_from(["sum", "max"]))
            expr = Call("add", (expr, Reduce(kind, inner, names)), int32)
        stores.append(Store(f"y{index}", draw(affines(maps)), expr))
    return Nest("drawn", tuple(maps), tuple(reduces), tuple(stores))


def loads(nest: Nest) -> list[Load]:
    """What a nest reads."""
    every = [each for store in nest.stores for each in subexpressions(store.expr)]
    return [each for each in every if isinstance(each, Load)]


def memory(nests: list[Nest], seed: int = 0) -> dict[str, np.ndarray]:
    """A buffer for every name: random numbers, and room for all that the nests touch."""
    random = np.random.default_rng(seed)
    found: dict[str, tuple[int, np.dtype]] = {}
    for nest in nests:
        sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
        places = [(each.buffer, each.at, each.dtype.numpy) for each in loads(nest)]
        places += [(each.buffer, each.at, each.expr.dtype.numpy) for each in nest.stores]
        for name, at, dtype in places:
            found[name] = max(reach(at, sizes), found.get(name, (0, dtype))[0]), dtype
    buffers: dict[str, np.ndarray] = {}
    for name, (size, dtype) in sorted(found.items()):
        whole = random.integers(-99, 99, size)
        buffers[name] = (whole if dtype.kind == "i" else whole / 8).astype(dtype)
    return buffers


def carried_out(nests: list[Nest], buffers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The memory after the nests, one after the other; that which was given stays as it is.

    Axes whose steps come one after the other are taken one step at a time.
    """
    after = {name: array.copy() for name, array in buffers.items()}
    for nest in nests:
        for each in _one_by_one(nest):
            evaluate(each, after)
    return after


def _one_by_one(nest: Nest) -> list[Nest]:
    if not nest.sequential:
        return [nest]
    (name,) = nest.sequential
    size = next(axis.size for axis in nest.maps if axis.name == name)
    maps = tuple([axis for axis in nest.maps if axis.name != name])

    def fixed(at: Affine, step: int) -> Affine:
        rest = tuple([each for each in at.strides if each[0] != name])
        return Affine(at.offset + step * at.stride(name), rest)

    def walk(expr: Expr, step: int) -> Expr:
        if isinstance(expr, Load):
            return Load(expr.buffer, fixed(expr.at, step), expr.dtype, expr.index)
        if isinstance(expr, Call):
            return Call(expr.name, tuple([walk(a, step) for a in expr.args]), expr.dtype)
        if isinstance(expr, Reduce):
            return Reduce(expr.kind, walk(expr.expr, step), expr.axes)
        return expr

    return [
        Nest(
            nest.name,
            maps,
            nest.reduces,
            tuple([Store(s.buffer, fixed(s.at, i), walk(s.expr, i)) for s in nest.stores]),
        )
        for i in range(size)
    ]


def points(nest: Nest) -> int:
    """How often its innermost body runs."""
    return math.prod([axis.size for axis in (*nest.maps, *nest.reduces)])
