"""Trees: values that are not in memory yet, as expressions over views of what is.

Lowering puts a value into memory only where somebody needs it there. Until then it is a tree: its
leaves are views and numbers, its inner nodes elementwise ops and reductions. Movement of a tree is
movement of its leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chainrule.compile.scalars import check, scalar
from chainrule.compile.views import View
from chainrule.core.dtypes import DType
from chainrule.core.op import Op
from chainrule.ir.nest import Call, Expr, Literal

__all__ = [
    "Apply",
    "Check",
    "Fold",
    "Leaf",
    "Number",
    "Place",
    "Take",
    "Tree",
    "expression",
    "folds",
    "leaves",
    "moved",
    "weight",
]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """What a view shows."""

    view: View

    @property
    def dtype(self) -> DType:
        """The buffer's."""
        return self.view.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where an element is: offset + Σ stride · digit, a number instead of an address."""

    view: View

    @property
    def dtype(self) -> DType:
        """That of the number."""
        return self.view.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """The same number everywhere."""

    value: float | int | bool
    dtype: DType


@dataclass(frozen=True, slots=True)
class Check:
    """Whether an op has nothing against its operands, as a function of them."""

    op: Op

    @property
    def name(self) -> str:
        """What it is called in listings."""
        return f"check_{self.op.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """An elementwise function: an op of the graph, or the name of an instruction."""

    op: Op | Check | str
    args: tuple[Tree, ...]
    dtype: DType

    @property
    def name(self) -> str:
        """What the function is called."""
        return self.op if isinstance(self.op, str) else self.op.name


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """Elements of a view at places found at run time: each index moves by a stride."""

    view: View
    indices: tuple[tuple[Tree, int], ...]

    @property
    def dtype(self) -> DType:
        """The buffer's."""
        return self.view.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A reduction over the last `count` axes of its body, which its own shape does not have."""

    kind: str
    body: Tree
    sizes: tuple[int, ...]

    @property
    def dtype(self) -> DType:
        """The body's."""
        return self.body.dtype


Tree = Leaf | Place | Number | Apply | Take | Fold
"""A value: leaves have views, and these have the axes of the value (in a fold, and its own)."""


def moved(tree: Tree, move: Callable[[View], View | None], extra: int = 0) -> Tree | None:
    """The tree with each view moved; None where one can't be.

    Args:
        move: what to do with a view's axes, but for the last `extra`, which stay.
    """
    known: dict[int, Tree | None] = {}

    def view(each: View, extra: int) -> View | None:
        if not extra:
            return move(each)
        made = move(replace(each, axes=each.axes[:-extra]))
        return None if made is None else replace(made, axes=(*made.axes, *each.axes[-extra:]))

    def walk(each: Tree, extra: int) -> Tree | None:
        if id(each) not in known:
            known[id(each)] = fresh(each, extra)
        return known[id(each)]

    def fresh(each: Tree, extra: int) -> Tree | None:
        if isinstance(each, Number):
            return each
        if isinstance(each, Leaf | Place):
            made = view(each.view, extra)
            return None if made is None else type(each)(made)
        if isinstance(each, Take):
            made = view(each.view, extra)
            indices = [(walk(index, extra), step) for index, step in each.indices]
            if made is None or any(index is None for index, _ in indices):
                return None
            return Take(made, tuple([(i, step) for i, step in indices if i is not None]))
        if isinstance(each, Fold):
            body = walk(each.body, extra + len(each.sizes))
            return None if body is None else replace(each, body=body)
        args: list[Tree] = []
        for arg in each.args:
            one = walk(arg, extra)
            if one is None:
                return None
            args.append(one)
        return replace(each, args=tuple(args))

    return walk(tree, extra)


def parts(tree: Tree) -> tuple[Tree, ...]:
    """What a tree is made of."""
    if isinstance(tree, Apply):
        return tree.args
    if isinstance(tree, Fold):
        return (tree.body,)
    if isinstance(tree, Take):
        return tuple([index for index, _ in tree.indices])
    return ()


def everything(tree: Tree) -> Iterator[Tree]:
    """The tree and all in it, each once."""
    seen: set[int] = set()
    pending = [tree]
    while pending:
        each = pending.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            pending += parts(each)


def leaves(tree: Tree) -> list[View]:
    """The views of the tree, without those inside reductions."""
    found: list[View] = []
    pending, seen = [tree], set[int]()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Leaf | Place | Take):
            found.append(each.view)
        if not isinstance(each, Fold):
            pending += parts(each)
    return found


def folds(tree: Tree) -> list[Fold]:
    """The reductions in it."""
    return [each for each in everything(tree) if isinstance(each, Fold)]


_CHEAP_NAMES = frozenset(
    [
        "add",
        "sub",
        "mul",
        "neg",
        "abs",
        "relu",
        "maximum",
        "minimum",
        "cast",
        "keep_where",
        "where",
        "gt",
        "lt",
        "ge",
        "le",
        "eq",
        "ne",
        "square",
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
        "bitwise_and",
        "bitwise_or",
        "bitwise_not",
        "sign",
        "class_index",
        "clamp",
        "clamp_min",
        "clamp_max",
        "leaky_relu",
        "floor",
        "ceil",
    ]
)


def weight(tree: Tree) -> int:
    """About how much it costs to compute one element: 1 for what is one instruction."""
    known: dict[int, int] = {}

    def walk(each: Tree) -> int:
        if id(each) not in known:
            total = sum(map(walk, parts(each)))
            if isinstance(each, Apply):
                total += 1 if each.name in _CHEAP_NAMES else 10
            elif isinstance(each, Fold):
                total = 10 + total * math.prod(each.sizes)
            elif isinstance(each, Take):
                total += 4
            known[id(each)] = min(total, 1_000_000)
        return known[id(each)]

    return walk(tree)


def expression(tree: Tree, known: dict[int, Expr], leaf: Callable[[Tree], Expr]) -> Expr:
    """The tree as a nest's scalar expression; shared parts stay shared.

    Args:
        known: expressions made already, by the id of the tree.
        leaf: what stands for a leaf or a reduction.
    """
    pending: list[tuple[Tree, bool]] = [(tree, False)]
    while pending:
        each, ready = pending.pop()
        if id(each) in known:
            continue
        if isinstance(each, Number):
            known[id(each)] = Literal(each.value, each.dtype)
        elif not isinstance(each, Apply):
            known[id(each)] = leaf(each)
        elif not ready:
            pending.append((each, True))
            pending += [(arg, False) for arg in each.args]
        else:
            args = tuple([known[id(arg)] for arg in each.args])
            if isinstance(each.op, str):
                made: Expr | None = Call(each.op, args, each.dtype)
            elif isinstance(each.op, Check):
                made = check(each.op.op, args)
            else:
                made = scalar(each.op, args, each.dtype)
            assert made is not None, each.op
            known[id(each)] = made
    return known[id(tree)]
