"""From the graph to kernels: which values are put into memory, and by which nest.

The nodes are met in order. Most become trees (`trees.py`), which cost nothing; a tree becomes a
kernel where its value is needed in memory: it is a factor of a product, it is used more than once
and dear, it leaves the program. So a product, its bias and its activation are one kernel, and an
optimizer's whole rule is the end of the product that gives the gradient.

State is written last: until then every kernel finds what was there before.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.compile.nests import CannotNest, Target, nest_of
from chainrule.compile.trees import (
    Apply,
    Fold,
    Leaf,
    Number,
    Place,
    Take,
    Tree,
    everything,
    folds,
    leaves,
    moved,
    parts,
    weight,
)
from chainrule.compile.views import View, contiguous
from chainrule.core.dtypes import DType, float16
from chainrule.core.families import Elementwise
from chainrule.core.op import Op
from chainrule.core.types import TensorType
from chainrule.ir.graph import Graph, Node, Value
from chainrule.ir.nest import Nest

__all__ = ["Buffer", "Guard", "Host", "Lowered", "lower"]

DEEPEST = 40
"""Ops one after the other in a tree, at most: who walks it calls itself, and Python minds."""

MOST_FOLDS = 8
"""How many reductions may be in one kernel: each holds registers."""


@dataclass(slots=True)
class Buffer:
    """A piece of memory.

    Attributes:
        kind: "argument", "state" or "constant", which are somebody's; "arena" is the program's.
        index: which argument, state or constant.
        dtype: what it holds.
        size: how many.
        zeroed: it is zero before the first run, and parts of it stay so (a border).
    """

    kind: str
    dtype: DType
    size: int
    index: int = -1
    zeroed: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """An op that NumPy carries out, between kernels.

    Attributes:
        op: the op.
        inputs: what it is given.
        outputs: where its results go.
        reason: why it is not native.
        location: the user's line.
    """

    op: Op
    inputs: tuple[View, ...]
    outputs: tuple[View, ...]
    reason: str
    location: str


@dataclass(frozen=True, slots=True)
class Guard:
    """Stop before anything is written where the flag is set: the reference says what is wrong."""

    flag: str


@dataclass(slots=True)
class Lowered:
    """A program, before anything is said about schedules.

    Attributes:
        steps: kernels, guards and ops for the host, in order.
        buffers: the memory they use, by name.
        constants: the arrays of the constants.
        results: where each result is.
    """

    steps: list[Nest | Host | Guard]
    buffers: dict[str, Buffer]
    constants: list[np.ndarray[Any, Any]]
    results: list[View] = field(default_factory=list[View])


class NotNativeError(Exception):
    """This op, with these types, is the host's."""


def lower(graph: Graph) -> Lowered:
    """Lower a graph of fine ops."""
    return _Lowering(graph).run()


class Context:
    """What the rules of the ops (`rules.py`) may ask of the lowering."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.done = Lowered([], {}, [])
        self.trees: dict[int, Tree] = {}
        self.types: dict[int, TensorType] = {}
        self.padded: dict[object, View] = {}
        self.guarded: set[object] = set()

    def buffer(self, dtype: DType, size: int, name: str = "t", *, zeroed: bool = False) -> str:
        """A new buffer of the program's own."""
        name = f"{name}{len(self.done.buffers)}"
        self.done.buffers[name] = Buffer("arena", dtype, size, zeroed=zeroed)
        return name

    def reshaped(self, tree: Tree, have: Sequence[int], want: Sequence[int]) -> Tree:
        """The same elements in another shape, copied if their digits don't fit."""
        made = moved(tree, lambda view: view.reshape(want))
        if made is None:
            copy = self.stored(tree, have, order=tuple(range(len(have))))
            made = moved(Leaf(copy), lambda view: view.reshape(want))
        assert made is not None
        return made

    def expanded(self, tree: Tree, have: Sequence[int], want: Sequence[int]) -> Tree:
        """Broadcast; what is dear is computed once before."""
        if tuple(have) == tuple(want):
            return tree
        if math.prod(want) > math.prod(have) and (folds(tree) or weight(tree) >= 10):
            tree = Leaf(self.stored(tree, have))
        made = moved(tree, lambda view: view.expand(want))
        assert made is not None
        return made

    def in_memory(self, tree: Tree, shape: Sequence[int]) -> View:
        """A view of the value, computed into memory if it is not there."""
        return tree.view if isinstance(tree, Leaf) else self.stored(tree, shape)

    def unfolded(self, tree: Tree, shape: Sequence[int]) -> Tree:
        """The tree without reductions in it: these can't be inside one another."""
        return Leaf(self.stored(tree, shape)) if folds(tree) else tree

    def stored(
        self,
        tree: Tree,
        shape: Sequence[int],
        *,
        order: Sequence[int] | None = None,
        into: View | None = None,
        name: str = "t",
    ) -> View:
        """Compute a tree into memory: a kernel.

        Args:
            order: the axes from the slowest to the fastest, if that matters.
            into: where, if there is a place already.
        """
        if into is None:
            size = math.prod(shape)
            if order is None:
                order = order_of(tree, len(shape))
            into = contiguous(self.buffer(tree.dtype, size, name), tree.dtype, shape, order)
        self.emit([(tree, into)], shape, name)
        return into

    def emit(
        self,
        pairs: Sequence[tuple[Tree, Target]],
        shape: Sequence[int],
        name: str,
        *,
        sequential: Sequence[int] = (),
    ) -> None:
        """One kernel that computes several trees of one shape.

        Args:
            sequential: the axes whose steps come one after the other.
        """
        pairs = [(self._one_fold(tree, shape), into) for tree, into in pairs]
        try:
            nest = nest_of(name, pairs, sequential)
        except CannotNest as error:
            apart = {id(view) for view in error.views}
            made: dict[int, Tree] = {
                id(each): Leaf(self._copied(each))
                for pair in pairs
                for each in _with_views(pair, apart)
            }
            pairs = [(_replaced(tree, made), _aimed(into, made)) for tree, into in pairs]
            nest = nest_of(name, pairs, sequential)
        self.done.steps.append(nest)

    def guard(self, tree: Tree, shape: Sequence[int]) -> None:
        """From here on, the tree is true everywhere, or the program has stopped."""
        flat = moved(tree, lambda view: replace(view, axes=(((1, 0),), *view.axes)))
        assert flat is not None
        flag = contiguous(self.buffer(tree.dtype, 1, "flag"), tree.dtype, (1,))
        self.emit([(Fold("all", flat, tuple(shape)), flag)], (1,), "check")
        self.done.steps.append(Guard(flag.buffer))

    def _copied(self, tree: Leaf | Place | Take) -> View:
        """A view's elements in the order of its axes."""
        order = tuple(range(len(tree.view.axes)))
        return self.stored(tree, tree.view.shape, order=order, name="copy")

    def _one_fold(self, tree: Tree, shape: Sequence[int]) -> Tree:
        """The tree with at most one kind of reduction in it: the others are computed before."""
        found = folds(tree)
        if len({each.sizes for each in found}) < 2 or isinstance(tree, Fold):
            return tree
        kept = max(found, key=lambda each: math.prod(each.sizes))
        others = [each for each in found if each.sizes != kept.sizes]
        made: dict[int, Tree] = {id(each): Leaf(self.stored(each, shape)) for each in others}
        return _replaced(tree, made)


def _replaced(tree: Tree, made: dict[int, Tree]) -> Tree:
    """The tree with some of its parts exchanged."""
    known: dict[int, Tree] = dict(made)

    def walk(each: Tree) -> Tree:
        if id(each) not in known:
            if isinstance(each, Apply):
                known[id(each)] = replace(each, args=tuple(map(walk, each.args)))
            elif isinstance(each, Fold):
                known[id(each)] = replace(each, body=walk(each.body))
            elif isinstance(each, Take):
                indices = tuple([(walk(index), step) for index, step in each.indices])
                known[id(each)] = replace(each, indices=indices)
            else:
                known[id(each)] = each
        return known[id(each)]

    return walk(tree)


def _with_views(pair: tuple[Tree, Target], views: set[int]) -> list[Leaf | Place | Take]:
    """What has one of these views, in a tree and in the indices of where it goes to."""
    tree, into = pair
    roots = [tree, *(() if isinstance(into, View) else parts(into))]
    if isinstance(tree, Take):  # of itself it is no copy, but of its indices
        roots = [*parts(tree), *roots[1:]]
    found = [each for root in roots for each in everything(root)]
    return [
        each for each in found if isinstance(each, Leaf | Place | Take) and id(each.view) in views
    ]


def _aimed(into: Target, made: dict[int, Tree]) -> Target:
    """The target with some parts of its indices exchanged."""
    if isinstance(into, View):
        return into
    return Take(into.view, tuple([(_replaced(index, made), step) for index, step in into.indices]))


def order_of(tree: Tree, ndim: int) -> tuple[int, ...]:
    """The axes of a tree from the slowest to the fastest, as the most of it lies in memory."""
    inside = [each for each in everything(tree) if isinstance(each, Fold)]
    if any(isinstance(each.body, Apply) and each.body.op == "mul" for each in inside):
        return tuple(range(ndim))  # a product's own order: rows, columns
    views = leaves(tree) or [view for each in inside for view in leaves(each.body)]
    if not views:
        return tuple(range(ndim))

    def extent(view: View) -> int:
        return math.prod([n for axis in view.axes for n, step in axis if step])

    best = max(views, key=extent)
    reach = [max([abs(step) for _, step in axis], default=0) for axis in best.axes[:ndim]]
    if any(
        not step and math.prod([n for n, _ in axis]) > 1 for axis, step in zip(best.axes, reach)
    ):
        return tuple(range(ndim))
    return tuple(sorted(range(ndim), key=lambda dim: -reach[dim]))


class _Lowering(Context):
    def run(self) -> Lowered:
        self._sources()
        self.uses = Counter(value.number for node in self.graph.nodes for value in set(node.inputs))
        self.uses.update(value.number for value in self.graph.results)
        self.last = self._for_updates_only()
        self.deep = Counter[int]()  # ops one after the other in each value's tree
        self.factors = self._factors()
        for node in self.graph.nodes:
            self._node(node)
        self._results()
        self._updates()
        return self.done

    def _sources(self) -> None:
        """Arguments, state and constants are in memory already."""
        for kind, values in (("argument", self.graph.arguments), ("state", self.graph.state)):
            for index, value in enumerate(values):
                name = f"{kind[0]}{index}"
                self._source(name, kind, index, value)
        for each in self.graph.constants:
            array = each.array
            same = (
                array.size
                and each.value.type.dtype is not float16
                and (array == array.flat[0]).all()
            )
            if same and not _negative_zero(array):
                number = array.flat[0].item()
                self.trees[each.value.number] = Number(number, each.value.type.dtype)
                self.types[each.value.number] = each.value.type
                continue
            self.done.constants.append(np.ascontiguousarray(array))
            index = len(self.done.constants) - 1
            self._source(f"c{index}", "constant", index, each.value)

    def _source(self, name: str, kind: str, index: int, value: Value) -> None:
        type_ = value.type
        self.done.buffers[name] = Buffer(kind, type_.dtype, type_.size, index)
        self.trees[value.number] = Leaf(contiguous(name, type_.dtype, type_.shape))
        self.types[value.number] = type_

    def _for_updates_only(self) -> set[int]:
        """The values that only lead, element by element, to what is written into the state."""
        wanted = {new.number for _, new in self.graph.updates}
        spoiled = {value.number for value in self.graph.results}
        found: set[int] = set()
        for node in reversed(self.graph.nodes):
            (first, *rest) = node.outputs
            number = first.number
            good = not rest and number not in spoiled and number in wanted
            if good:
                found.add(number)
            same = good and isinstance(node.op, Elementwise)
            for value in node.inputs:
                if same and value.type.shape == first.type.shape:
                    wanted.add(value.number)
                else:
                    spoiled.add(value.number)
        return found - spoiled

    def _factors(self) -> set[int]:
        """The values that, perhaps seen in another shape, are factors of a product."""
        found: set[int] = set()
        for node in reversed(self.graph.nodes):
            name = node.op.name
            if name == "matmul" or (
                name in ("permute", "reshape", "windows", "clone")
                and node.outputs[0].number in found
            ):
                found.update([value.number for value in node.inputs])
        return found

    def _node(self, node: Node) -> None:
        from chainrule.compile.rules import rule_for

        for value in node.outputs:
            self.types[value.number] = value.type
        inputs = [self.trees[value.number] for value in node.inputs]
        before = len(self.done.steps)
        try:
            made = rule_for(node)(self, node, inputs)
        except NotNativeError as error:
            del self.done.steps[before:]
            self._host(node, inputs, str(error))
            return
        deep = 1 + max([self.deep[value.number] for value in node.inputs], default=0)
        for value, tree in zip(node.outputs, made, strict=True):
            self.deep[value.number] = deep
            kept = self.trees[value.number] = self._kept(value, tree)
            if isinstance(kept, Leaf):
                self.deep[value.number] = 0

    def _kept(self, value: Value, tree: Tree) -> Tree:
        """The tree, or where its value was put because it will be needed more than once."""
        if isinstance(tree, Leaf | Number | Place):
            return tree
        if self.deep[value.number] > DEEPEST or len(folds(tree)) > MOST_FOLDS:
            return Leaf(self.stored(tree, value.type.shape, name=_name(tree)))
        if value.number in self.last:
            return tree
        uses = self.uses[value.number]
        if uses > 1 and value.number in self.factors:
            return Leaf(self.stored(tree, value.type.shape, name=_name(tree)))
        if (uses > 1 and (folds(tree) or weight(tree) >= 8)) or (
            weight(tree) > 400 and not folds(tree)
        ):
            return Leaf(self.stored(tree, value.type.shape, name=_name(tree)))
        return tree

    def _host(self, node: Node, inputs: Sequence[Tree], reason: str) -> None:
        views = [
            self.stored(tree, value.type.shape, order=range(len(value.type.shape)), name="host")
            if not isinstance(tree, Leaf) or not is_plain(tree.view, value.type.shape)
            else tree.view
            for tree, value in zip(inputs, node.inputs)
        ]
        outputs: list[View] = []
        for value in node.outputs:
            name = self.buffer(value.type.dtype, value.type.size, "host")
            outputs.append(contiguous(name, value.type.dtype, value.type.shape))
            self.trees[value.number] = Leaf(outputs[-1])
        self.done.steps.append(Host(node.op, tuple(views), tuple(outputs), reason, node.location))

    def _results(self) -> None:
        for value in self.graph.results:
            tree, shape = self.trees[value.number], value.type.shape
            view = tree.view if isinstance(tree, Leaf) else None
            if (
                view is None
                or self.done.buffers[view.buffer].kind != "arena"
                or not is_plain(view, shape)
            ):
                view = self.stored(tree, shape, order=range(len(shape)), name="result")
            self.done.results.append(view)

    # -- the updates --

    def _updates(self) -> None:
        """Write the state: what belongs together in one kernel, readers before writers."""
        pending: list[tuple[Tree, View, tuple[int, ...]]] = []
        for target, new in self.graph.updates:
            at, tree = self.trees[target.number], self.trees[new.number]
            assert isinstance(at, Leaf)
            if isinstance(tree, Leaf) and tree.view == at.view:
                continue
            pending.append((tree, at.view, target.type.shape))
        groups = _grouped(pending)
        while groups:
            ready = next((g for g in groups if not _read_by_others(g, groups)), None)
            if ready is None:  # a circle: the first goes by way of a copy
                tree, into, shape = groups[0][0]
                copy = self.stored(tree, shape, name="late")
                groups[0][0] = (Leaf(copy), into, shape)
                groups = _grouped([each for group in groups for each in group])
                continue
            groups.remove(ready)
            pairs = [(self._not_across(tree, shape, ready), into) for tree, into, shape in ready]
            self.emit(pairs, ready[0][2], "update")

    def _not_across(
        self, tree: Tree, shape: Sequence[int], group: Sequence[tuple[Tree, View, Any]]
    ) -> Tree:
        """The tree, unless it reads elsewhere in what its own kernel writes."""
        written = {into.buffer: into for _, into, _ in group}
        for each in everything(tree):
            if isinstance(each, Leaf | Take) and each.view.buffer in written:
                inner = isinstance(each, Take) or any(
                    each in everything(f.body) for f in folds(tree)
                )
                if inner or each.view != written[each.view.buffer]:
                    return Leaf(self.stored(tree, shape, name="late"))
        return tree


def _negative_zero(array: np.ndarray[Any, Any]) -> bool:
    return array.dtype.kind == "f" and bool(np.signbit(array).any()) and not array.any()


def is_plain(view: View, shape: Sequence[int]) -> bool:
    """Whether a view is a buffer from its beginning, in the order of its axes."""
    return view == contiguous(view.buffer, view.dtype, shape)


def _name(tree: Tree) -> str:
    if isinstance(tree, Apply):
        return tree.name
    if isinstance(tree, Fold):
        product = isinstance(tree.body, Apply) and tree.body.op == "mul"
        return "matmul" if product else tree.kind
    return "copy"


def _buffers(tree: Tree) -> set[str]:
    return {each.view.buffer for each in everything(tree) if isinstance(each, Leaf | Take)}


def _grouped(
    pending: Sequence[tuple[Tree, View, tuple[int, ...]]],
) -> list[list[tuple[Tree, View, tuple[int, ...]]]]:
    """Updates of one shape that share work, or read what the others write, are one kernel."""
    groups: list[list[tuple[Tree, View, tuple[int, ...]]]] = []
    owners: dict[int, int] = {}
    for each in pending:
        inner = [id(part) for part in everything(each[0]) if parts(part)]
        found = next((owners[i] for i in inner if i in owners), None)
        if found is None:
            reads, shape = _buffers(each[0]), each[2]
            for index, group in enumerate(groups):
                if group[0][2] != shape:
                    continue
                theirs = {into.buffer for _, into, _ in group}
                if reads & theirs or any(each[1].buffer in _buffers(t) for t, _, _ in group):
                    found = index
                    break
        if (
            found is None
            or groups[found][0][2] != each[2]
            or not _same_folds(groups[found], each[0])
        ):
            groups.append([])
            found = len(groups) - 1
        groups[found].append(each)
        for i in inner:
            owners.setdefault(i, found)
    return groups


def _same_folds(group: Sequence[tuple[Tree, View, Any]], tree: Tree) -> bool:
    sizes = {each.sizes for t, _, _ in group for each in folds(t)}
    return len(sizes | {each.sizes for each in folds(tree)}) < 2


def _read_by_others(group: Sequence[tuple[Tree, View, Any]], groups: Sequence[Any]) -> bool:
    written = {into.buffer for _, into, _ in group}
    return any(
        written & _buffers(tree) for other in groups if other is not group for tree, _, _ in other
    )


Rule = Callable[[Context, Node, Sequence[Tree]], tuple[Tree, ...]]
"""How an op becomes trees, one for each output; raises `NotNativeError` for the host."""
