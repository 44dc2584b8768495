"""The rules of what puts elements elsewhere: rolled, repeated, on diagonals, within borders,
written through a view.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from chainrule.compile.lowering import Context, NotNativeError
from chainrule.compile.rule_parts import RULES, along, field, moved_or_copied, rule
from chainrule.compile.trees import Apply, Leaf, Number, Tree, folds, moved, weight
from chainrule.compile.views import Digits, View, contiguous, place, simplified
from chainrule.core.dtypes import DType, bool_
from chainrule.core.op import Op
from chainrule.core.types import TensorType
from chainrule.ir.graph import Node, Value

__all__ = ["bordered"]

Range = tuple[int, int, int]


def fresh(
    context: Context, dtype: DType, shape: Sequence[int], name: str, *, zeroed: bool = False
) -> View:
    """A tensor in a new buffer; `zeroed`: zero, wherever nothing is ever written."""
    size = math.prod(shape)
    return contiguous(context.buffer(dtype, size, name, zeroed=zeroed), dtype, shape)


def part_of(view: View, ranges: Sequence[Range]) -> View:
    """A part of a view.

    Raises:
        NotNativeError: it is no view.
    """
    made = view.slice(ranges)
    if made is None:
        raise NotNativeError("a part of it is no view")
    return made


def _ranges(shape: Sequence[int], dim: int, some: Range) -> list[Range]:
    return [some if axis == dim else (0, 1, n) for axis, n in enumerate(shape)]


def _parts(
    context: Context, tree: Tree, shape: Sequence[int], parts: Sequence[Sequence[Range]]
) -> list[Tree]:
    """Parts of a value, which is computed into memory before if they are no views."""
    made = [moved(tree, lambda view, r=ranges: view.slice(r)) for ranges in parts]
    found = [each for each in made if each is not None]
    if len(found) == len(parts):
        return found
    whole = context.stored(tree, shape, order=range(len(shape)), name="copy")
    return [Leaf(part_of(whole, ranges)) for ranges in parts]


@rule("roll")
def _roll(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Two pieces along each dimension, put down the other way round."""
    type_, dims = node.outputs[0].type, field(node.op, "dims")
    shape = type_.shape
    by = [0] * len(shape)
    for shift, dim in zip(field(node.op, "shifts"), dims, strict=True):
        by[dim] = (by[dim] + shift) % shape[dim]
    cuts: list[list[tuple[Range, Range]]] = [
        [((0, 1, n - b), (b, 1, n - b)), ((n - b, 1, b), (0, 1, b))][: 2 if b else 1]
        for n, b in zip(shape, by)
    ]
    pieces = list(itertools.product(*cuts))
    sources = _parts(context, inputs[0], shape, [[cut[0] for cut in some] for some in pieces])
    whole = fresh(context, type_.dtype, shape, "rolled")
    for tree, some in zip(sources, pieces):
        into = part_of(whole, [cut[1] for cut in some])
        context.stored(tree, into.shape, into=into, name="roll")
    return (Leaf(whole),)


@rule("repeat")
def _repeat(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Each axis gets a slower digit in front, along which nothing moves."""
    repeats: tuple[int, ...] = field(node.op, "repeats")
    tree = inputs[0]
    if math.prod(repeats) > 1 and (folds(tree) or weight(tree) >= 10):
        tree = Leaf(context.stored(tree, node.inputs[0].type.shape))

    def move(view: View) -> View:
        missing: list[Digits] = [((1, 0),)] * (len(repeats) - len(view.axes))
        axes = (*missing, *view.axes)
        return replace(view, axes=tuple([((n, 0), *axis) for n, axis in zip(repeats, axes)]))

    return (moved_or_copied(context, node, tree, move),)


# -- diagonals --


def _on_diagonal(node: Node, length: int) -> Callable[[View], View | None]:
    """The view of a diagonal, which comes last."""
    offset: int = field(node.op, "offset")
    dims: tuple[int, int] = field(node.op, "dim1"), field(node.op, "dim2")
    starts = (max(-offset, 0), max(offset, 0))

    def move(view: View) -> View | None:
        two = [simplified(view.axes[dim]) for dim in dims]
        if any(len(axis) > 1 for axis in two):
            return None
        start = sum(place(axis, at) for axis, at in zip(two, starts))
        step = sum(axis[0][1] for axis in two)
        rest = [axis for dim, axis in enumerate(view.axes) if dim not in dims]
        axes = (*rest, ((length, step if length > 1 else 0),))
        return replace(view, offset=view.offset + start, axes=axes)

    return move


@rule("diagonal")
def _diagonal(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    length = node.outputs[0].type.shape[-1]
    return (moved_or_copied(context, node, inputs[0], _on_diagonal(node, length)),)


@rule("diagonal_put")
def _diagonal_put(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    type_, given = node.outputs[0].type, node.inputs[0].type.shape
    whole = fresh(context, type_.dtype, type_.shape, "diagonal", zeroed=True)
    into = _on_diagonal(node, given[-1])(whole)
    assert into is not None
    context.stored(inputs[0], given, into=into, name="diagonal")
    return (Leaf(whole),)


@rule("eye")
def _eye(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    type_ = node.outputs[0].type
    hit = Apply("eq", (along(type_.shape, 0), along(type_.shape, 1)), bool_)
    return (hit if type_.dtype is bool_ else Apply("cast", (hit,), type_.dtype),)


# -- borders --


@rule("shift")
def _shift(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """The slice that stays inside, and zeros."""
    type_ = node.outputs[0].type
    dim: int = field(node.op, "dim")
    by: int = field(node.op, "by")
    left = type_.shape[dim] - abs(by)
    if left <= 0:
        return (Number(0, type_.dtype),)
    whole = fresh(context, type_.dtype, type_.shape, "shifted", zeroed=True)
    into = part_of(whole, _ranges(type_.shape, dim, (max(by, 0), 1, left)))
    ranges = _ranges(type_.shape, dim, (max(-by, 0), 1, left))
    (tree,) = _parts(context, inputs[0], type_.shape, [ranges])
    context.stored(tree, into.shape, into=into, name="shift")
    return (Leaf(whole),)


def bordered(
    context: Context,
    tree: Tree,
    shape: Sequence[int],
    borders: Sequence[tuple[int, int]],
    value: float,
) -> View:
    """A value in memory with a border of any number; a negative border cuts off."""
    full = [n + a + b for n, (a, b) in zip(shape, borders)]
    cut = [(max(-a, 0), 1, n + min(a, 0) + min(b, 0)) for n, (a, b) in zip(shape, borders)]
    at = [(max(a, 0), 1, count) for (a, _), (_, _, count) in zip(borders, cut)]
    with np.errstate(invalid="ignore"):
        number = np.full((), value, tree.dtype.numpy).item()
    whole = fresh(context, tree.dtype, full, "bordered")
    context.stored(Number(number, tree.dtype), full, into=whole, name="border")
    if all(count > 0 for _, _, count in cut):
        (inside,) = _parts(context, tree, shape, [cut])
        into = part_of(whole, at)
        context.stored(inside, into.shape, into=into, name="bordered")
    return whole


@rule("unfold_add")
def _unfold_add(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """One addition for each place in the window."""
    type_, have = node.outputs[0].type, node.inputs[0].type.shape
    dim: int = field(node.op, "dim")
    step: int = field(node.op, "step")
    places = [[*[(0, 1, n) for n in have[:-1]], (k, 1, 1)] for k in range(have[-1])]
    tree = inputs[0]
    if folds(tree):
        tree = Leaf(context.stored(tree, have))
    whole = fresh(context, type_.dtype, type_.shape, "overlap")
    context.stored(Number(0, type_.dtype), type_.shape, into=whole, name="zero")
    for offset, one in enumerate(_parts(context, tree, have, places)):
        into = part_of(whole, _ranges(type_.shape, dim, (offset, step, have[dim])))
        term = moved(one, lambda view: replace(view, axes=view.axes[:-1]))
        assert term is not None
        added = Apply("add", (Leaf(into), term), type_.dtype)
        context.emit([(added, into)], into.shape, "overlap")
    return (Leaf(whole),)


# -- written through a view --


@rule("write_view")
def _write_view(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """A copy of the base, and in it the source."""
    base, source = (value.type for value in node.inputs)
    whole = fresh(context, base.dtype, base.shape, "written")
    into = _through(context, field(node.op, "ops"), whole)
    if any(not step for axis in into.axes for n, step in axis if n != 1):
        raise NotNativeError("it writes to one place more than once")
    tree = context.expanded(inputs[1], source.shape, into.shape)
    if math.prod(into.shape) < base.size:
        context.stored(inputs[0], base.shape, into=whole, name="copy")
    context.stored(tree, into.shape, into=into, name="written")
    return (Leaf(whole),)


def _through(context: Context, ops: Sequence[Op], whole: View) -> View:
    """The view that some ops of movement lead to.

    Raises:
        NotNativeError: one of them would have to copy.
    """
    view, type_, before = whole, TensorType(whole.shape, whole.dtype), len(context.done.steps)
    for op in ops:
        made = op.type_rule(type_)
        if op.name not in RULES or isinstance(made, tuple):
            raise NotNativeError("it writes through an op without a rule")
        node = Node(op, (Value(-1, type_),), (Value(-2, made),))
        (tree,) = RULES[op.name](context, node, [Leaf(view)])
        if not isinstance(tree, Leaf) or len(context.done.steps) > before:
            raise NotNativeError("what it writes to is no view")
        view, type_ = tree.view, made
    return view
