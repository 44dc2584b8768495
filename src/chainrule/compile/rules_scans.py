"""The rules of running sums, products and extrema: a kernel whose steps come one after the other.

    y[0] = x[0],  y[i] = y[i - 1] + x[i]

in this order, which is NumPy's: the same bits. What runs side by side are the other dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.compile.lowering import Context, order_of
from chainrule.compile.rule_parts import along, field, rule
from chainrule.compile.trees import Apply, Leaf, Number, Tree, folds, moved, weight
from chainrule.compile.views import View, contiguous
from chainrule.core.dtypes import bool_, int64
from chainrule.ir.graph import Node

__all__: list[str] = []


@rule("cum_sum")
def _cum_sum(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (_along_dim(context, node, "add", inputs[0], reverse=field(node.op, "reverse")),)


@rule("cum_prod")
def _cum_prod(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return (_along_dim(context, node, "mul", inputs[0], reverse=field(node.op, "reverse")),)


@rule("cum_argmax", "cum_argmin")
def _cum_arg(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """The last index at which the element is the running extremum; a NaN is one."""
    type_, dim = node.inputs[0].type, field(node.op, "dim")
    x = Leaf(context.in_memory(inputs[0], type_.shape))
    kind = "max" if node.op.name == "cum_argmax" else "min"
    hit: Tree = Apply("eq", (x, _along_dim(context, node, kind, x)), bool_)
    if type_.dtype.is_floating_point:
        hit = Apply("or", (hit, Apply("ne", (x, x), bool_)), bool_)
    index = Apply("select", (hit, along(type_.shape, dim), Number(0, int64)), int64)
    return (_along_dim(context, node, "max", index),)


def _along_dim(
    context: Context, node: Node, function: str, tree: Tree, *, reverse: bool = False
) -> Tree:
    """Each element and all before it, put together: y[i] = function(y[i - 1], x[i])."""
    shape, name, dtype = node.inputs[0].type.shape, node.op.name, tree.dtype
    dim: int = field(node.op, "dim")
    size = shape[dim]
    order = [dim, *[axis for axis in range(len(shape)) if axis != dim]]
    if not isinstance(tree, Number) and order_of(tree, len(shape))[0] != dim:
        # What runs side by side lies side by side: two copies cost less than long strides.
        tree = Leaf(context.stored(tree, shape, order=order, name="turned"))
    elif folds(tree) or weight(tree) >= 10:  # computed by vectors, not one after the other
        tree = Leaf(context.stored(tree, shape, order=order))
    whole = contiguous(context.buffer(dtype, math.prod(shape), name), dtype, shape, order)
    step = -1 if reverse else 1
    first = size - 1 if reverse else 0

    def part(view: View, start: int, count: int) -> View | None:
        ranges = [(start, step, count) if d == dim else (0, 1, n) for d, n in enumerate(shape)]
        return view.slice(ranges)

    def taken(start: int, count: int) -> Tree:
        made = moved(tree, lambda view: part(view, start, count))
        if made is None:
            copy = context.stored(tree, shape, order=range(len(shape)), name="copy")
            made = moved(Leaf(copy), lambda view: part(view, start, count))
        assert made is not None
        return made

    start = part(whole, first, 1)
    assert start is not None
    context.stored(taken(first, 1), start.shape, into=start, name="first")
    if size > 1:
        before, into = part(whole, first, size - 1), part(whole, first + step, size - 1)
        assert before is not None
        assert into is not None
        total = Apply(function, (Leaf(before), taken(first + step, size - 1)), dtype)
        context.emit([(total, into)], into.shape, name, sequential=[dim])
    return Leaf(whole)
