"""One rule for each op that is no elementwise function: how it becomes a tree.

Keyed by the ops' registered names. What has no rule here, and no scalar expression, is the host's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, cast

from chainrule.compile import (
    rules_draws,
    rules_indexing,
    rules_order,
    rules_rearranging,
    rules_scans,
    rules_statistics,
)
from chainrule.compile.lowering import Context, NotNativeError, Rule
from chainrule.compile.rule_parts import (
    RULES,
    along,
    field,
    folded,
    moved_or_copied,
    rule,
    slice_ranges,
)
from chainrule.compile.rules_rearranging import bordered
from chainrule.compile.scalars import SCALARS, check, scalar
from chainrule.compile.trees import (
    Apply,
    Check,
    Fold,
    Leaf,
    Number,
    Place,
    Tree,
    folds,
    moved,
    weight,
)
from chainrule.compile.views import View, contiguous
from chainrule.core.dtypes import bool_, float16, int64
from chainrule.core.families import Elementwise
from chainrule.core.op import Op
from chainrule.ir.graph import Node
from chainrule.ir.nest import Affine, Load

__all__ = ["RULES", "rule_for"]

FURTHER = (
    rules_draws,
    rules_indexing,
    rules_order,
    rules_rearranging,
    rules_scans,
    rules_statistics,
)
"""Where the other rules are: they enter themselves into the table."""


def rule_for(node: Node) -> Rule:
    """The rule of a node's op.

    Raises:
        NotNativeError: there is none.
    """
    for value in (*node.inputs, *node.outputs):
        if value.type.dtype is float16:
            raise NotNativeError("float16 is computed on the host")
        if not value.type.size:
            raise NotNativeError("there are no elements")
    found = RULES.get(node.op.name)
    if found is not None:
        return found
    if isinstance(node.op, Elementwise) and node.op.name in SCALARS:
        return _elementwise
    raise NotNativeError("no kernel is written for this op")


def _elementwise(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    shape, dtype = node.outputs[0].type.shape, node.outputs[0].type.dtype
    places = tuple([Load("", Affine(0, ()), value.type.dtype) for value in node.inputs])
    if scalar(node.op, places, dtype) is None:
        raise NotNativeError(f"it has no native form for {dtype}")
    args = [
        context.expanded(tree, value.type.shape, shape) for tree, value in zip(inputs, node.inputs)
    ]
    if check(node.op, places) is not None:
        args = [Leaf(context.in_memory(tree, shape)) for tree in args]
        context.guard(Apply(Check(node.op), tuple(args), bool_), shape)
    return (Apply(node.op, tuple(args), dtype),)


@rule("cast")
def _cast(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (Apply("cast", tuple(inputs), node.outputs[0].type.dtype),)


# -- movement --


@rule("reshape")
def _reshape(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (context.reshaped(inputs[0], node.inputs[0].type.shape, node.outputs[0].type.shape),)


@rule("permute")
def _permute(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    dims: tuple[int, ...] = field(node.op, "dims")
    return (moved_or_copied(context, node, inputs[0], lambda view: view.permute(dims)),)


@rule("expand")
def _expand(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (context.expanded(inputs[0], node.inputs[0].type.shape, node.outputs[0].type.shape),)


@rule("clone")
def _clone(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (inputs[0],)


@rule("slice")
def _slice(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    have = node.inputs[0].type.shape
    ranges, kept = slice_ranges(field(node.op, "key"), have)
    tree = moved_or_copied(context, node, inputs[0], lambda view: view.slice(ranges))
    return (context.reshaped(tree, [count for _, _, count in ranges], kept),)


@rule("flip")
def _flip(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    dims: tuple[int, ...] = field(node.op, "dims")
    shape = node.inputs[0].type.shape
    ranges = [(n - 1, -1, n) if dim in dims else (0, 1, n) for dim, n in enumerate(shape)]
    return (moved_or_copied(context, node, inputs[0], lambda view: view.slice(ranges)),)


@rule("unfold")
def _unfold(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    dim: int = field(node.op, "dim")
    size: int = field(node.op, "size")
    step: int = field(node.op, "step")
    count = node.outputs[0].type.shape[dim]
    rank = len(node.inputs[0].type.shape)

    def move(view: View) -> View | None:
        made = view.windows([dim], [size], [step], [1], [count])
        return made and made.permute([*range(dim), *range(dim + 1, rank + 1), dim])

    return (moved_or_copied(context, node, inputs[0], move),)


@rule("windows")
def _windows(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    op, type_ = node.op, node.inputs[0].type
    kernel, stride, dilation, padding = (
        field(op, name) for name in ("kernel", "stride", "dilation", "padding")
    )
    counts: tuple[int, ...] = field(op, "counts")
    dims = list(range(1, 1 + len(kernel)))
    tree = inputs[0]
    if any(map(any, padding)):
        borders = ((0, 0), *padding, (0, 0))
        cuts = any(pad < 0 for pads in padding for pad in pads)
        made = (
            bordered(context, tree, type_.shape, borders, 0)
            if cuts
            else padded(context, node, tree, borders)
        )
        tree = Leaf(made)
    elif math.prod(kernel) > 1 and not op_tiles(op):
        tree = Leaf(_batch_inside(context, tree, type_.shape))

    def move(view: View) -> View | None:
        return view.windows(dims, kernel, stride, dilation, counts)

    return (moved_or_copied(context, node, tree, move),)


def op_tiles(op: Op) -> bool:
    """Whether windows do not overlap."""
    return bool(field(op, "tiles")())


def _batch_inside(context: Context, tree: Tree, shape: Sequence[int]) -> View:
    """In memory, with the last axis innermost: what overlapping windows are read from."""
    view = context.in_memory(tree, shape)
    last = view.axes[-1]
    if len(last) == 1 and last[0][1] in (0, 1):
        return view
    key = "batch inside", view
    if key not in context.padded:
        context.padded[key] = context.stored(
            Leaf(view), shape, order=range(len(shape)), name="transposed"
        )
    return context.padded[key]


def padded(context: Context, node: Node, tree: Tree, borders: Sequence[tuple[int, int]]) -> View:
    """A value with zeros around it, in memory: its kernel writes inside a border of zeros."""
    value = node.inputs[0]
    key = "padded", value.number, tuple(borders)
    if key not in context.padded:
        shape = value.type.shape
        full = [n + a + b for n, (a, b) in zip(shape, borders)]
        name = context.buffer(value.type.dtype, math.prod(full), "padded", zeroed=True)
        whole = contiguous(name, value.type.dtype, full)
        inside = whole.slice([(a, 1, n) for n, (a, _) in zip(shape, borders)])
        assert inside is not None
        context.stored(tree, shape, into=inside, name="padded")
        if not isinstance(tree, Leaf):
            context.trees[value.number] = Leaf(inside)
        context.padded[key] = whole
    return context.padded[key]


@rule("pad")
def _pad(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    borders: tuple[tuple[int, int], ...] = field(node.op, "borders")
    value = field(node.op, "value")
    zero = value == 0 and math.copysign(1, value) > 0
    if not zero or any(pad < 0 for pads in borders for pad in pads):
        return (Leaf(bordered(context, inputs[0], node.inputs[0].type.shape, borders, value)),)
    return (Leaf(padded(context, node, inputs[0], borders)),)


@rule("unslice")
def _unslice(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    type_ = node.outputs[0].type
    ranges, kept = slice_ranges(field(node.op, "key"), type_.shape)
    name = context.buffer(type_.dtype, type_.size, "padded", zeroed=True)
    whole = contiguous(name, type_.dtype, type_.shape)
    inside = whole.slice(ranges)
    inside = inside and inside.reshape(kept)
    if inside is None:
        raise NotNativeError("what it writes is no view")
    context.stored(inputs[0], kept, into=inside, name="unslice")
    return (Leaf(whole),)


@rule("cat", "stack")
def _joined(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    type_, dim = node.outputs[0].type, cast("int", field(node.op, "dim"))
    whole = contiguous(
        context.buffer(type_.dtype, type_.size, node.op.name), type_.dtype, type_.shape
    )
    start = 0
    for tree, value in zip(inputs, node.inputs):
        shape = list(value.type.shape)
        count = shape[dim] if node.op.name == "cat" else 1
        ranges = [
            (start, 1, count) if axis == dim else (0, 1, n) for axis, n in enumerate(type_.shape)
        ]
        into = whole.slice(ranges)
        into = into and into.reshape(shape)
        if into is None:
            raise NotNativeError("what it writes is no view")
        context.stored(tree, shape, into=into, name=node.op.name)
        start += count
    return (Leaf(whole),)


@rule("overlap_add")
def _overlap_add(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """One addition for each tap: windows that share an element are added one after the other."""
    op, type_ = node.op, node.outputs[0].type
    padding = field(op, "padding")
    full = (type_.shape[0], *field(op, "padded"), type_.shape[-1])
    dtype = type_.dtype
    have = node.inputs[0].type.shape
    parts = context.in_memory(inputs[0], have)
    whole = contiguous(context.buffer(dtype, math.prod(full), "overlap"), dtype, full)
    context.stored(Number(0, dtype), full, into=whole, name="zero")
    n = len(field(op, "kernel"))
    for tap, where in field(op, "taps")():
        ranges = [(0, 1, full[0])]
        ranges += [(each.start, each.step or 1, have[1 + n + i]) for i, each in enumerate(where)]
        ranges.append((0, 1, full[-1]))
        into = whole.slice(ranges)
        one = parts.slice(
            [(0, 1, have[0]), *[(k, 1, 1) for k in tap], *[(0, 1, c) for c in have[1 + n :]]]
        )
        assert into is not None
        shape = into.shape
        source = one and one.reshape(shape)
        if source is None:
            raise NotNativeError("its parts are no views")
        added = Apply("add", (Leaf(into), Leaf(source)), dtype)
        context.emit([(added, into)], shape, "overlap")
    if any(pad < 0 for pads in padding for pad in pads):  # what was cut off gets nothing
        back = ((0, 0), *[(-a, -b) for a, b in padding], (0, 0))
        return (Leaf(bordered(context, Leaf(whole), full, back, 0)),)
    inside = whole.slice(
        [
            (0, 1, full[0]),
            *[(a, 1, s) for s, (a, _) in zip(type_.shape[1:-1], padding)],
            (0, 1, full[-1]),
        ]
    )
    assert inside is not None
    return (Leaf(inside),)


# -- made from nothing --


@rule("full")
def _full(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (Number(field(node.op, "fill_value"), node.outputs[0].type.dtype),)


@rule("arange")
def _arange(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    op, type_ = node.op, node.outputs[0].type
    start, step = field(op, "start"), field(op, "step")
    if type_.dtype is not int64:
        raise NotNativeError("only whole numbers are counted natively")
    return (Place(View("", int64, int(start), (((type_.shape[0], int(step)),),))),)


@rule("class_mask")
def _class_mask(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (_one_hot(context, node, inputs[0], field(node.op, "dim")),)


@rule("one_hot")
def _one_hot_last(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    hit = _one_hot(context, node, inputs[0], len(node.outputs[0].type.shape) - 1)
    return (Apply("cast", (hit,), node.outputs[0].type.dtype),)


def _one_hot(context: Context, node: Node, index: Tree, dim: int) -> Tree:
    have, want = node.inputs[0].type, node.outputs[0].type.shape
    if have.dtype is not int64:
        index = Apply("cast", (index,), int64)
    tall = [*have.shape[:dim], 1, *have.shape[dim:]]
    spread = context.expanded(context.reshaped(index, have.shape, tall), tall, want)
    return Apply("eq", (spread, along(want, dim)), bool_)


@rule("first_true")
def _first_true(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """True, and none of the few places before it is."""
    shape = node.inputs[0].type.shape
    dims: tuple[int, ...] = field(node.op, "dims")
    count = math.prod([shape[dim] for dim in dims])
    if count > 16:
        raise NotNativeError("there are too many places to compare")
    tree = inputs[0] if weight(inputs[0]) < 8 else Leaf(context.in_memory(inputs[0], shape))
    strides = [0] * len(shape)
    step = 1
    for dim in reversed(dims):
        strides[dim], step = step, step * shape[dim]
    here = Place(View("", int64, 0, tuple([((n, s),) for n, s in zip(shape, strides)])))
    seen: Tree | None = None
    for index, place in enumerate(itertools.product(*[range(shape[dim]) for dim in dims])):
        if index + 1 == count:
            break
        at = dict(zip(dims, place))
        ranges = [(at[dim], 1, 1) if dim in at else (0, 1, n) for dim, n in enumerate(shape)]
        one = moved_or_copied(context, node, tree, lambda view, r=ranges: view.slice(r))
        one = moved(one, lambda view: view.expand(shape))
        assert one is not None
        later = Apply("lt", (Number(index, int64), here), bool_)
        both: Tree = Apply("and", (one, later), bool_)
        seen = both if seen is None else Apply("or", (seen, both), bool_)
    if seen is None:
        return (tree,)
    return (Apply("and", (tree, Apply("not", (seen,), bool_)), bool_),)


@rule("tril", "triu")
def _triangle(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    type_ = node.outputs[0].type
    rows, columns = along(type_.shape, type_.ndim - 2), along(type_.shape, type_.ndim - 1)
    diagonal = Number(field(node.op, "diagonal"), int64)
    edge = Apply("add", (rows, diagonal), int64)
    inside = Apply("le" if node.op.name == "tril" else "ge", (columns, edge), bool_)
    return (Apply("select", (inside, inputs[0], Number(0, type_.dtype)), type_.dtype),)


# -- reductions and products --


_KINDS = {"sum": "sum", "amax": "max", "amin": "min", "any": "any", "all": "all", "mean": "sum"}


@rule(*_KINDS)
def _reduction(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    have, want = node.inputs[0].type, node.outputs[0].type
    dims: tuple[int, ...] = field(node.op, "dims")
    tree, name = inputs[0], node.op.name
    if name in ("any", "all"):
        if have.dtype is not bool_:
            tree = Apply("ne", (tree, Number(0, have.dtype)), bool_)
        if want.dtype is not bool_:
            raise NotNativeError("its result is no bool")
    if not dims:
        return (tree,)
    made = folded(context, _KINDS[name], tree, have.shape, dims)
    kept = [n for dim, n in enumerate(have.shape) if dim not in dims]
    made = context.reshaped(made, kept, want.shape)
    if name == "mean":
        count = math.prod([have.shape[dim] for dim in dims])
        made = Apply("div", (made, Number(count, want.dtype)), want.dtype)
    return (made,)


@rule("sum_to")
def _sum_to(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    have, want = node.inputs[0].type, node.outputs[0].type
    missing = have.ndim - want.ndim
    dims = [
        dim
        for dim, n in enumerate(have.shape)
        if dim < missing or (want.shape[dim - missing] == 1 and n != 1)
    ]
    if not dims:
        return (context.reshaped(inputs[0], have.shape, want.shape),)
    made = folded(context, "sum", inputs[0], have.shape, dims)
    kept = [n for dim, n in enumerate(have.shape) if dim not in dims]
    return (context.reshaped(made, kept, want.shape),)


@rule("prod")
def _prod(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    have, want, dim = node.inputs[0].type, node.outputs[0].type, field(node.op, "dim")
    made = folded(context, "product", inputs[0], have.shape, [dim])
    kept = [n for axis, n in enumerate(have.shape) if axis != dim]
    return (context.reshaped(made, kept, want.shape),)


@rule("argmax", "argmin")
def _arg(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """The least index at which the extremum stands; a NaN is the extremum."""
    have, want = node.inputs[0].type, node.outputs[0].type
    dim: int = field(node.op, "dim")
    tree = Leaf(context.in_memory(inputs[0], have.shape))
    best = folded(context, "max" if node.op.name == "argmax" else "min", tree, have.shape, [dim])
    kept = [n for axis, n in enumerate(have.shape) if axis != dim]
    tall = [1 if axis == dim else n for axis, n in enumerate(have.shape)]
    spread = context.expanded(context.reshaped(best, kept, tall), tall, have.shape)
    hit: Tree = Apply("eq", (tree, spread), bool_)
    if have.dtype.is_floating_point:
        hit = Apply("or", (hit, Apply("ne", (tree, tree), bool_)), bool_)
    index = Apply("select", (hit, along(have.shape, dim), Number(have.shape[dim], int64)), int64)
    made = folded(context, "min", index, have.shape, [dim])
    return (context.reshaped(made, kept, want.shape),)


@rule("matmul")
def _matmul(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Σ over k of a[..., m, k] b[..., k, n]: the factors in memory, the sum a tree."""
    (a, b), (left, right) = inputs, (value.type for value in node.inputs)
    want = node.outputs[0].type
    batch = list(want.shape[:-2])
    rows, inner = left.shape[-2:]
    columns = right.shape[-1]
    factors: list[Tree] = []
    for tree, type_, is_left in ((a, left, True), (b, right, False)):
        if not isinstance(tree, Leaf | Number) and (folds(tree) or weight(tree) > 0):
            tree = Leaf(context.stored(tree, type_.shape, name="factor"))

        def move(view: View, type_: Any = type_, is_left: bool = is_left) -> View:
            wide = view.expand([*batch, *type_.shape[-2:]])
            n = len(batch)
            if is_left:  # (..., m, k) -> (..., m, 1, k)
                axes = (*wide.axes[: n + 1], ((columns, 0),), wide.axes[n + 1])
            else:  # (..., k, n) -> (..., 1, n, k)
                axes = (*wide.axes[:n], ((rows, 0),), wide.axes[n + 1], wide.axes[n])
            return View(view.buffer, view.dtype, view.offset, axes)

        made = moved(tree, move)
        assert made is not None
        factors.append(made)
    return (Fold("sum", Apply("mul", tuple(factors), want.dtype), (inner,)),)
