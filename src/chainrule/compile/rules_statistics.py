"""The rules of variance, norms and the logarithm of summed exponentials: sums of simple trees."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.compile.lowering import Context
from chainrule.compile.rule_parts import field, folded, rule
from chainrule.compile.trees import Apply, Leaf, Number, Tree
from chainrule.core.dtypes import bool_
from chainrule.core.types import TensorType
from chainrule.ir.graph import Node

__all__: list[str] = []


def _total(
    context: Context, kind: str, tree: Tree, shape: Sequence[int], dims: Sequence[int]
) -> Tree:
    """The reduction over some dimensions, which stay, with size 1."""
    if not dims:
        return tree
    made = folded(context, kind, tree, shape, dims)
    kept = [n for dim, n in enumerate(shape) if dim not in dims]
    return context.reshaped(made, kept, _tall(shape, dims))


def _tall(shape: Sequence[int], dims: Sequence[int]) -> list[int]:
    return [1 if dim in dims else n for dim, n in enumerate(shape)]


def _call(name: str, first: Tree, *others: Tree) -> Tree:
    return Apply(name, (first, *others), first.dtype)


def _operand(context: Context, node: Node, tree: Tree) -> tuple[Tree, TensorType, tuple[int, ...]]:
    """What is reduced, in memory since it is read twice; its type; and the dimensions."""
    type_ = node.inputs[0].type
    if not isinstance(tree, Number):
        tree = Leaf(context.in_memory(tree, type_.shape))
    return tree, type_, field(node.op, "dims")


@rule("var", "std")
def _spread(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Σ (x - mean)² / (n - correction), in two passes: a large mean costs no digits."""
    x, type_, dims = _operand(context, node, inputs[0])
    shape, dtype = type_.shape, type_.dtype
    count = math.prod([shape[dim] for dim in dims])
    total = _total(context, "sum", x, shape, dims)
    mean = context.expanded(_call("div", total, Number(count, dtype)), _tall(shape, dims), shape)
    deviation = _call("sub", x, mean)
    squares = _total(context, "sum", _call("mul", deviation, deviation), shape, dims)
    freedom = max(count - field(node.op, "correction"), 0)
    made = _call("div", squares, Number(freedom, dtype))
    if node.op.name == "std":
        made = _call("sqrt", made)
    return (context.reshaped(made, _tall(shape, dims), node.outputs[0].type.shape),)


@rule("logsumexp")
def _logsumexp(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """ln Σ e^(x - m) + m, with m the maximum, or 0 where that is not finite."""
    x, type_, dims = _operand(context, node, inputs[0])
    shape, dtype = type_.shape, type_.dtype
    tall = _tall(shape, dims)
    greatest = _total(context, "max", x, shape, dims)
    finite = Apply("lt", (_call("abs", greatest), Number(math.inf, dtype)), bool_)
    chosen = Apply("select", (finite, greatest, Number(0, dtype)), dtype)
    peak = Leaf(context.in_memory(chosen, tall))
    powers = _call("exp", _call("sub", x, context.expanded(peak, tall, shape)))
    made = _call("add", _call("log", _total(context, "sum", powers, shape, dims)), peak)
    return (context.reshaped(made, tall, node.outputs[0].type.shape),)


@rule("vector_norm")
def _norm(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """(Σ |x|^p)^(1/p), with the well-known orders written out."""
    type_, dims = node.inputs[0].type, field(node.op, "dims")
    x = context.unfolded(inputs[0], type_.shape)
    shape, dtype, p = type_.shape, type_.dtype, field(node.op, "ord")
    size = _call("abs", x)
    if p == 2:
        made = _call("sqrt", _total(context, "sum", _call("mul", x, x), shape, dims))
    elif math.isinf(p):
        made = _total(context, "max" if p > 0 else "min", size, shape, dims)
    elif p == 1:
        made = _total(context, "sum", size, shape, dims)
    elif p == 0:
        there = Apply("ne", (x, Number(0, dtype)), bool_)
        made = _total(context, "sum", Apply("cast", (there,), dtype), shape, dims)
    else:
        powers = _total(context, "sum", _call("pow", size, Number(p, dtype)), shape, dims)
        made = _call("pow", powers, Number(1 / p, dtype))
    return (context.reshaped(made, _tall(shape, dims), node.outputs[0].type.shape),)
