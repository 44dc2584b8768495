"""What the rules are made of: the table they stand in, views that may need a copy, reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from chainrule.compile.lowering import Context, NotNativeError, Rule
from chainrule.compile.trees import Fold, Leaf, Place, Tree, moved
from chainrule.compile.views import View
from chainrule.core.dtypes import int64
from chainrule.core.op import Op
from chainrule.ir.graph import Node

__all__ = ["RULES", "along", "field", "folded", "moved_or_copied", "rule", "slice_ranges"]

RULES: dict[str, Rule] = {}
"""The rule of each op, by its registered name."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """The decorated function is the rule of these ops."""

    def keep(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return keep


def moved_or_copied(
    context: Context, node: Node, tree: Tree, move: Callable[[View], View | None]
) -> Tree:
    """A node's first input with its views moved; if they can't be, it is computed into memory."""
    made = moved(tree, move)
    if made is None:
        shape = node.inputs[0].type.shape
        made = moved(Leaf(context.stored(tree, shape, order=range(len(shape)))), move)
    if made is None:
        raise NotNativeError("this is no view of anything")
    return made


def slice_ranges(
    key: Sequence[Any], shape: Sequence[int]
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """A slice's key as (start, step, count) for each dimension, and the shape it leaves."""
    ranges: list[tuple[int, int, int]] = []
    kept: list[int] = []
    for each in key:
        if each is None:
            kept.append(1)
        elif isinstance(each, tuple):
            start, stop, step = cast("tuple[int, int, int]", each)
            count = max(0, -((start - stop) // step))
            ranges.append((start, step, count))
            kept.append(count)
        else:
            ranges.append((each, 1, 1))
    rest = shape[len(ranges) :]
    return [*ranges, *[(0, 1, size) for size in rest]], [*kept, *rest]


def along(shape: Sequence[int], dim: int) -> Place:
    """The index along a dimension."""
    axes = tuple([((n, 1 if axis == dim else 0),) for axis, n in enumerate(shape)])
    return Place(View("", int64, 0, axes))


def folded(
    context: Context, kind: str, tree: Tree, shape: Sequence[int], dims: Sequence[int]
) -> Tree:
    """The reduction of a tree over some of its axes, which are gone from the result."""
    tree = context.unfolded(tree, shape)
    kept = [dim for dim in range(len(shape)) if dim not in dims]
    body = moved(tree, lambda view: view.permute([*kept, *dims]))
    assert body is not None
    return Fold(kind, body, tuple([shape[dim] for dim in dims]))


def field(op: Op, name: str) -> Any:
    """One of an op's parameters."""
    return getattr(op, name)
