"""The rules of looking up by index tensors, and of adding and writing by them.

To look up is to load from a place found at run time: a tree like any other. To add is a kernel of
its own, which takes the indices one after the other: where they repeat, it adds up in their order,
with any number of threads, for these share only what the indices do not go with.

That all indices are inside is seen to before (a guard), so that no kernel has to ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chainrule.compile.lowering import Context, NotNativeError
from chainrule.compile.rule_parts import field, rule
from chainrule.compile.trees import Apply, Leaf, Number, Take, Tree
from chainrule.compile.views import Digits, View, contiguous, simplified
from chainrule.core.dtypes import INTEGER, bool_, int64
from chainrule.core.op import Op
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.ir.graph import Node

__all__: list[str] = []


# ---- looking up ------------------------------------------------------------------------------


@rule("index")
def _index(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Of the dimensions that are indexed, the place is found at run time."""
    x, *types = (value.type for value in node.inputs)
    _only_integers(types)
    view = _single_strides(context, inputs[0], x.shape)
    return (_by_indices(context, node.op, view, inputs[1:], types),)


@rule("gather")
def _gather(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """y[i, j] = x[index[i, j], j], for dimension 0."""
    x, type_ = (value.type for value in node.inputs)
    _only_integers([type_])
    view = _single_strides(context, inputs[0], x.shape)
    return (_along(context, field(node.op, "dim"), view, inputs[1], type_),)


# ---- adding and writing ----------------------------------------------------------------------


@rule("index_add")
def _index_add(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return _into_indices(context, node, Number(0, node.outputs[0].type.dtype), inputs, 0)


@rule("index_put")
def _index_put(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return _into_indices(context, node, inputs[0], inputs, 1)


def _into_indices(
    context: Context, node: Node, before: Tree, inputs: Sequence[Tree], source: int
) -> tuple[Tree, ...]:
    """Index after index; which input is the source says whether it is added."""
    given, *types = (value.type for value in node.inputs[source:])
    _only_integers(types)
    whole = _whole(context, node, before)
    place = _by_indices(context, node.op, whole, inputs[source + 1 :], types)
    at: int = field(node.op, "at")
    in_turn = range(at, at + len(_batch(types)))
    _write(context, node, inputs[source], given.shape, place, in_turn, adds=not source)
    return (Leaf(whole),)


@rule("scatter_add")
def _scatter_add(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return _scattered(context, node, Number(0, node.outputs[0].type.dtype), inputs, 0)


@rule("scatter")
def _scatter(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    return _scattered(context, node, inputs[0], inputs, 1)


def _scattered(
    context: Context, node: Node, before: Tree, inputs: Sequence[Tree], source: int
) -> tuple[Tree, ...]:
    """Along one dimension: elsewhere in the others no two are in one place."""
    type_, dim = node.inputs[-1].type, field(node.op, "dim")
    _only_integers([type_])
    whole = _whole(context, node, before)
    place = _along(context, dim, whole, inputs[-1], type_)
    _write(context, node, inputs[source], type_.shape, place, [dim], adds=not source)
    return (Leaf(whole),)


def _whole(context: Context, node: Node, before: Tree) -> View:
    """The result, as it is before anything is added or written to it."""
    type_ = node.outputs[0].type
    name = context.buffer(type_.dtype, type_.size, node.op.name)
    whole = contiguous(name, type_.dtype, type_.shape)
    context.stored(
        before, type_.shape, into=whole, name="zero" if isinstance(before, Number) else "copy"
    )
    return whole


def _write(
    context: Context,
    node: Node,
    source: Tree,
    shape: Sequence[int],
    place: Take,
    in_turn: Sequence[int],
    *,
    adds: bool,
) -> None:
    tree = context.unfolded(source, shape)
    if adds:
        tree = Apply("add", (place, tree), place.dtype)
    context.emit([(tree, place)], shape, node.op.name, sequential=in_turn)


# ---- places ----------------------------------------------------------------------------------


def _by_indices(
    context: Context, op: Op, view: View, indices: Sequence[Tree], types: Sequence[TensorType]
) -> Take:
    """x[indices] of a view with one stride an axis: the indices' dimensions among the others."""
    dims: tuple[int, ...] = field(op, "dims")
    at: int = field(op, "at")
    rest = [axis for dim, axis in enumerate(view.axes) if dim not in dims]
    batch: list[Digits] = [((n, 0),) for n in _batch(types)]
    moved = replace(view, axes=(*rest[:at], *batch, *rest[at:]))
    found: list[tuple[Tree, int]] = []
    for dim, tree, type_ in zip(dims, indices, types, strict=True):
        size = view.shape[dim]
        index = _inside(context, tree, type_, size, wrap=field(op, "wrap"))
        tall = [*type_.shape, *[1] * (len(rest) - at)]
        index = context.reshaped(index, type_.shape, tall)
        found.append((context.expanded(index, tall, moved.shape), _stride(view, dim)))
    return Take(moved, tuple(found))


def _along(context: Context, dim: int, view: View, index: Tree, type_: TensorType) -> Take:
    """x[index[i, j], j], for dimension 0, of a view with one stride an axis."""
    axes = [((n, 0 if axis == dim else _stride(view, axis)),) for axis, n in enumerate(type_.shape)]
    inside = _inside(context, index, type_, view.shape[dim], wrap=False)
    return Take(replace(view, axes=tuple(axes)), ((inside, _stride(view, dim)),))


def _inside(context: Context, index: Tree, type_: TensorType, size: int, *, wrap: bool) -> Tree:
    """The index, from 0 to size - 1: the program stops if it is not."""
    if type_.dtype is not int64:
        index = Apply("cast", (index,), int64)
    if not isinstance(index, Number):
        index = Leaf(context.in_memory(index, type_.shape))
    known = _known(context, index)
    lowest = -size if wrap else 0
    if known is None or known.min() < lowest or known.max() >= size:
        _guard(context, index, type_.shape, lowest, size)
    if not wrap or (known is not None and known.min() >= 0):
        return index
    below = Apply("lt", (index, Number(0, int64)), bool_)
    return Apply("select", (below, Apply("add", (index, Number(size, int64)), int64), index), int64)


def _known(context: Context, index: Tree) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None:
    """All numbers of an index that is a constant."""
    if isinstance(index, Number):
        return np.array([index.value], np.int64)
    assert isinstance(index, Leaf)
    buffer = context.done.buffers[index.view.buffer]
    return context.done.constants[buffer.index] if buffer.kind == "constant" else None


def _guard(context: Context, index: Tree, shape: Sequence[int], lowest: int, size: int) -> None:
    """Once for each index and size: gradients go back to where the numbers were looked up."""
    seen = context.guarded
    key = index.view if isinstance(index, Leaf) else None, lowest, size
    if key in seen:
        return
    low = Apply("ge", (index, Number(lowest, int64)), bool_)
    high = Apply("lt", (index, Number(size, int64)), bool_)
    context.guard(Apply("and", (low, high), bool_), shape)
    if key[0] is not None:
        seen.add(key)


def _single_strides(context: Context, tree: Tree, shape: Sequence[int]) -> View:
    """A view of the value in which every axis has one stride, copied if need be."""
    view = context.in_memory(tree, shape)
    if any(len(simplified(axis)) > 1 for axis in view.axes):
        view = context.stored(Leaf(view), shape, order=range(len(shape)), name="copy")
    return replace(view, axes=tuple([simplified(axis) for axis in view.axes]))


def _stride(view: View, dim: int) -> int:
    ((_, stride),) = view.axes[dim]
    return stride


def _batch(types: Sequence[TensorType]) -> tuple[int, ...]:
    """The shape that the indices have together."""
    shape = broadcast_shapes_or_none([type_.shape for type_ in types])
    assert shape is not None
    return shape


def _only_integers(types: Sequence[TensorType]) -> None:
    if any(type_.dtype.category != INTEGER for type_ in types):
        raise NotNativeError("it is indexed by something else than integers")
