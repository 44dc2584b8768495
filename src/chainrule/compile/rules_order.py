"""The rules of sorting few elements: each is compared with each, and its rank is how many precede.

    rank[i] = how many j with x[j] < x[i], or x[j] = x[i] and j < i;   y[r] = the i with rank[i] = r

That is n² comparisons, by vectors, where a sort has n log n of which none can be foretold: up to
some size it is sooner done, and it stays inside the program. NaN is greater than all numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.compile.lowering import Context, NotNativeError
from chainrule.compile.rule_parts import along, field, folded, rule
from chainrule.compile.trees import Apply, Fold, Leaf, Number, Tree, moved
from chainrule.compile.views import View
from chainrule.core.dtypes import bool_, int32, int64
from chainrule.core.types import TensorType
from chainrule.ir.graph import Node

__all__: list[str] = []

MOST = 128
"""Elements along the dimension, at most."""


@rule("argsort")
def _argsort(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    ranks = _ranks(context, node, inputs[0], descending=field(node.op, "descending"))
    dim: int = field(node.op, "dim")
    return (_places(ranks, dim, node.inputs[0].type.shape[dim]),)


@rule("arg_topk")
def _arg_topk(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    ranks = _ranks(context, node, inputs[0], descending=field(node.op, "largest"))
    dim: int = field(node.op, "dim")
    k: int = field(node.op, "k")
    return (_places(ranks, dim, k),)


@rule("arg_kth")
def _arg_kth(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Of a rank that is known, or half the number of those that are not NaN."""
    type_, k = node.inputs[0].type, field(node.op, "k")
    x = Leaf(context.in_memory(inputs[0], type_.shape))
    ranks = Leaf(_ranks(context, node, x, descending=False))
    dim: int = field(node.op, "dim")
    n = type_.shape[dim]
    rank: Tree = Number(k - 1 if k else (n - 1) // 2, int32)
    if type_.dtype.is_floating_point and not k:
        real = Apply("cast", (Apply("eq", (x, x), bool_),), int32)
        count = Apply("sub", (_over(context, "sum", real, type_, dim), Number(1, int32)), int32)
        least = Apply("max", (count, Number(0, int32)), int32)
        rank = Apply("shr", (least, Number(1, int32)), int32)
    found = _found(context, ranks, rank, type_, dim)
    if type_.dtype.is_floating_point and field(node.op, "nan_wins"):
        nan = Apply("ne", (x, x), bool_)
        place = Apply("select", (nan, along(type_.shape, dim), Number(n, int64)), int64)
        first = _over(context, "min", place, type_, dim)
        there = Apply("lt", (first, Number(n, int64)), bool_)
        found = Apply("select", (there, first, found), int64)
    return (_shaped(context, node, found, dim),)


@rule("arg_mode")
def _arg_mode(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Of those that end the longest runs of equal elements, the first in order."""
    type_ = node.inputs[0].type
    dim: int = field(node.op, "dim")
    x = Leaf(context.in_memory(inputs[0], type_.shape))
    ranks = Leaf(_ranks(context, node, x, descending=False))
    earlier, here, order = _pairs(x, type_, dim)
    same = Apply("and", (Apply("eq", (earlier, here), bool_), order), bool_)
    runs = Leaf(context.stored(_counted(same, type_.shape[dim]), type_.shape, name="runs"))
    longest = _spread(context, _over(context, "max", runs, type_, dim), type_, dim)
    ends = Apply("eq", (runs, longest), bool_)
    rank = Apply("select", (ends, ranks, Number(type_.shape[dim], int32)), int32)
    found = _found(context, ranks, _over(context, "min", rank, type_, dim), type_, dim)
    return (_shaped(context, node, found, dim),)


# -- ranks --


def _pairs(x: Leaf, type_: TensorType, dim: int) -> tuple[Tree, Tree, Tree]:
    """For each element, along a further axis: all others, itself, and which of them come before."""
    n, shape = type_.shape[dim], type_.shape

    def others(view: View) -> View:
        axes = [((n, 0),) if axis == dim else each for axis, each in enumerate(view.axes)]
        return View(view.buffer, view.dtype, view.offset, (*axes, view.axes[dim]))

    def itself(view: View) -> View:
        return View(view.buffer, view.dtype, view.offset, (*view.axes, ((n, 0),)))

    place = along(shape, dim)
    made = [moved(tree, move) for tree in (x, place) for move in (others, itself)]
    one, two, j, i = [each for each in made if each is not None]
    return one, two, Apply("lt", (j, i), bool_)


def _counted(condition: Tree, n: int) -> Tree:
    """Of how many along the last axis it is true."""
    return Fold("sum", Apply("cast", (condition,), int32), (n,))


def _ranks(context: Context, node: Node, tree: Tree, *, descending: bool) -> View:
    """The rank of each element, in memory."""
    type_ = node.inputs[0].type
    dim: int = field(node.op, "dim")
    n = type_.shape[dim]
    if n > MOST:
        raise NotNativeError(f"it sorts more than {MOST} elements")
    x = Leaf(context.in_memory(tree, type_.shape))
    one, other, earlier = _pairs(x, type_, dim)
    if descending:
        after, ahead = _less(one, other), _less(other, one)
    else:
        after, ahead = _less(other, one), _less(one, other)
    precedes = Apply("select", (earlier, Apply("not", (after,), bool_), ahead), bool_)
    return context.stored(_counted(precedes, n), type_.shape, name="ranks")


def _less(a: Tree, b: Tree) -> Tree:
    """Whether a < b, with NaN greater than all numbers."""
    if not a.dtype.is_floating_point:
        return Apply("lt", (a, b), bool_)
    below = Apply("not", (Apply("le", (b, a), bool_),), bool_)
    return Apply("and", (below, Apply("eq", (a, a), bool_)), bool_)


def _places(ranks: View, dim: int, k: int) -> Tree:
    """Where the elements of the first k ranks are."""
    n = ranks.shape[dim]
    shape = [k if axis == dim else size for axis, size in enumerate(ranks.shape)]
    axes = [((k, 0),) if axis == dim else each for axis, each in enumerate(ranks.axes)]
    all_ranks = Leaf(View(ranks.buffer, ranks.dtype, ranks.offset, (*axes, ranks.axes[dim])))
    wanted = Apply("cast", (along([*shape, n], dim),), int32)
    hit = Apply("eq", (all_ranks, wanted), bool_)
    place = Apply("cast", (along([*shape, n], len(shape)),), int32)
    index = Apply("select", (hit, place, Number(0, int32)), int32)
    return Apply("cast", (Fold("sum", index, (n,)),), int64)


# -- of one rank --


def _over(context: Context, kind: str, tree: Tree, type_: TensorType, dim: int) -> Tree:
    """A reduction over the dimension, in memory; the dimension is gone."""
    made = folded(context, kind, tree, type_.shape, [dim])
    return Leaf(context.in_memory(made, _without(type_, dim)))


def _spread(context: Context, tree: Tree, type_: TensorType, dim: int) -> Tree:
    """What is without the dimension, the same all along it."""
    tall = [1 if axis == dim else n for axis, n in enumerate(type_.shape)]
    return context.expanded(context.reshaped(tree, _without(type_, dim), tall), tall, type_.shape)


def _found(context: Context, ranks: Leaf, rank: Tree, type_: TensorType, dim: int) -> Tree:
    """Where the element of this rank is."""
    if not isinstance(rank, Number):
        rank = Leaf(context.in_memory(rank, _without(type_, dim)))
        rank = _spread(context, rank, type_, dim)
    hit = Apply("eq", (ranks, rank), bool_)
    index = Apply("select", (hit, along(type_.shape, dim), Number(0, int64)), int64)
    return folded(context, "sum", index, type_.shape, [dim])


def _without(type_: TensorType, dim: int) -> list[int]:
    return [n for axis, n in enumerate(type_.shape) if axis != dim]


def _shaped(context: Context, node: Node, tree: Tree, dim: int) -> Tree:
    return context.reshaped(tree, _without(node.inputs[0].type, dim), node.outputs[0].type.shape)
