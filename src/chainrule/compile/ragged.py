"""Ragged batches: the last batch of an epoch, run through the program of the full ones.

A program has one size of batch. A batch of fewer rows is filled up with copies of its first row,
and run with the others' program; what belongs to the copies is cut off from the results. That is
right wherever rows do not meet. Where they do, the copies must not count:

- a sum over the batch (and a product that contracts it) adds what comes from the copies as zeros;
- a mean divides by the number of rows there are;
- a number that was computed from the size of the batch is an argument of the program.

Which axes carry the batch, and which numbers depend on its size, is read off two traces of the same
function, for batches of two sizes. Then the graph is gone through op by op: each has a rule for
where the batch is in its result, and for what is in the rows of the copies:

    CLEAN   the value has no rows
    COPY    what is in a real row
    ZERO    zeros
    FINITE  made of zeros, but a number
    WILD    made of zeros, and perhaps not even a number

A sum over anything but zeros asks for a mask, and gets it as early as can be: on the losses of the
samples, say, of which a handful of numbers is then made zero. From there zeros spread by
themselves, for a derivative is linear in what comes in; so the large products of a training step
need no masks, and take no longer. An op that has no rule here, or rows that meet in another way,
and the function has no ragged batches: `ragged` says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.compile.passes.dead_code import DeadCode
from chainrule.compile.passes.expand import ExpandCoarse
from chainrule.compile.ragged_rules import (
    CLEAN,
    COPY,
    ZERO,
    Batch,
    NeedsMask,
    NotRagged,
    Rows,
    rows_of,
)
from chainrule.core.base import TensorBase
from chainrule.core.dtypes import bool_, float64, int64
from chainrule.core.op import Array, Op
from chainrule.core.types import TensorType
from chainrule.ir.graph import Constant, Graph, Node, Value
from chainrule.ops.arithmetic import Add, Div, Mul
from chainrule.ops.broadcasting import Expand
from chainrule.ops.compare import KeepWhere
from chainrule.ops.movement import Reshape
from chainrule.ops.promotion import Cast
from chainrule.ops.reduce import Mean, Sum

__all__ = ["Ragged", "prepared", "ragged", "with_a_row_more"]

_SHAPED = frozenset(
    ["reshape", "expand", "full", "mask", "uniform", "normal", "integers", "sum_to", "unslice"]
)
"""Ops with a shape among their fields, which differs where the batch's size does."""

_MOVES = frozenset(["permute", "reshape", "cast", "clone"])


def prepared(graph: Graph) -> Graph:
    """A traced graph as `ragged` compares it: fine ops only."""
    return DeadCode()(ExpandCoarse()(graph))


def with_a_row_more(batch: Any) -> Any:
    """A batch, which is a tensor or an array, with its first row once more at its end."""
    if not isinstance(batch, TensorBase):
        return np.concatenate([batch, batch[:1]])
    longer = type(batch).around(np.concatenate([batch.value, batch.value[:1]]))
    longer.tracked = batch.tracked
    return longer


@dataclass(frozen=True)
class Ragged:
    """A graph that takes batches of up to so many rows.

    Attributes:
        graph: the graph; behind its own arguments it takes which rows there are (`bool[size]`), how
            many they are, and the numbers that depend on that.
        size: rows of a full batch.
        arguments: places of the arguments whose rows are the batch's.
        results: where the batch is in each result.
        whole: the trace with a full batch, as `prepared`.
        constants: places of its constants that depend on the number of rows.
        advances: places of its nodes that advance the generator, by what may depend on it.
    """

    graph: Graph
    size: int
    arguments: tuple[int, ...]
    results: tuple[Batch | None, ...]
    whole: Graph
    constants: tuple[int, ...]
    advances: tuple[int, ...]

    def extra(self, rows: int, traced: Graph) -> list[Array]:
        """The arguments behind the graph's own, for a batch of so many rows.

        Args:
            rows: how many.
            traced: the function as `prepared` from a trace for that many.

        Raises:
            NotRagged: with so many rows the function is another.
        """
        if traced is not self.whole:
            found = _Comparison(self.whole, traced, self.size, rows)
            if found.constants - {*self.constants} or found.advances - {*self.advances}:
                raise NotRagged("another number depends on the size of the batch")
        here = np.arange(self.size) < rows
        numbers = [np.array(traced.constants[index].array) for index in self.constants]
        steps = [_step_of(traced.nodes[index]) for index in self.advances]
        return [here, np.array(float(rows)), *numbers, *steps]

    def rows(self, arrays: Sequence[Array]) -> int | None:
        """How many rows there are in a call's arguments; None where it is no call for this."""
        wanted = [value.type.shape for value in self.whole.arguments]
        if [each.ndim for each in arrays] != [len(shape) for shape in wanted]:
            return None
        found = {len(arrays[index]) for index in self.arguments}
        count = found.pop()
        fits = all(
            each.shape == ((count, *shape[1:]) if index in self.arguments else shape)
            for index, (each, shape) in enumerate(zip(arrays, wanted, strict=True))
        )
        return count if fits and not found and 0 < count < self.size else None

    def filled(self, array: Array) -> Array:
        """An argument with copies of its first row behind its own."""
        whole = np.empty((self.size, *array.shape[1:]), array.dtype)
        whole[: len(array)] = array
        whole[len(array) :] = array[0]
        return whole

    def cut(self, results: Sequence[Array], rows: int) -> list[Array]:
        """The results without the rows of the copies."""
        made: list[Array] = []
        for array, batch in zip(results, self.results, strict=True):
            if batch is None:
                made.append(array)
                continue
            dim, shape = batch.dim, array.shape
            digits = (*shape[:dim], batch.outer, self.size, batch.inner, *shape[dim + 1 :])
            index = (*[slice(None)] * (dim + 1), slice(0, rows))
            size = batch.outer * rows * batch.inner
            kept = array.reshape(digits)[index].reshape(*shape[:dim], size, *shape[dim + 1 :])
            made.append(np.ascontiguousarray(kept))
        return made


def ragged(whole: Graph, other: Graph, size: int, rows: int) -> Ragged:
    """The graph of a function that takes batches of up to `size` rows.

    Args:
        whole: a trace with a batch of `size` rows, `prepared`.
        other: one with `rows` rows.
        size: rows of a full batch.
        rows: fewer, or more.

    Raises:
        NotRagged: it can't be shown that the rows can be told apart.
    """
    return _Masking(_Comparison(whole, other, size, rows)).run()


class _Comparison:
    """Two graphs of one function, for two sizes of a batch.

    Attributes:
        constants: places of the constants that differ.
        advances: places of the nodes that advance the generator, which may differ.
    """

    def __init__(self, whole: Graph, other: Graph, size: int, rows: int) -> None:
        self.whole, self.other, self.size, self.rows = whole, other, size, rows
        self.types: dict[int, TensorType] = {}
        self.constants: set[int] = set()
        self.advances: set[int] = set()
        self.numbers: dict[int, int] = {}
        self._compare()

    def _compare(self) -> None:
        a, b = self.whole, self.other
        lists = ("arguments", "state", "constants", "nodes", "results", "updates")
        if any(len(getattr(a, name)) != len(getattr(b, name)) for name in lists):
            raise NotRagged("another size of batch gives another graph")
        for x, y in zip((*a.arguments, *a.state), (*b.arguments, *b.state)):
            self._pair(x, y)
        for index, (x, y) in enumerate(zip(a.constants, b.constants)):
            self._pair(x.value, y.value)
            if x.array.shape != y.array.shape:
                raise NotRagged("a constant has rows")
            if not np.array_equal(x.array, y.array, equal_nan=x.array.dtype.kind == "f"):
                self.constants.add(index)
        for index, (x, y) in enumerate(zip(a.nodes, b.nodes)):
            if [self.numbers.get(v.number) for v in x.inputs] != [v.number for v in y.inputs]:
                raise NotRagged("another size of batch gives another graph")
            for one, two in zip(x.outputs, y.outputs, strict=True):
                self._pair(one, two)
            self._compare_ops(index, x, y)
        pairs = [*zip(a.results, b.results)]
        pairs += [p for x, y in zip(a.updates, b.updates) for p in zip(x, y)]
        if any(self.numbers.get(x.number) != y.number for x, y in pairs):
            raise NotRagged("another size of batch gives another graph")

    def _pair(self, x: Value, y: Value) -> None:
        self.numbers[x.number] = y.number
        self.types[x.number] = y.type

    def _compare_ops(self, index: int, x: Node, y: Node) -> None:
        if x.op.name == y.op.name == "advance":  # in whole groups: two sizes may take as many
            self.advances.add(index)
            return
        if x.op == y.op:
            return
        shaped = type(x.op) is type(y.op) and x.op.name in _SHAPED
        if shaped and _with_shape(y.op, x.outputs[0].type.shape) == x.op:
            return
        if x.op.name == y.op.name and x.op.name in ("slice", "unslice") and _are_alike(x, y):
            return
        raise NotRagged(f"{x.op.name} is another for another size of batch")


def _are_alike(x: Node, y: Node) -> bool:
    """Whether two slices take the same, and all of what has another size."""
    keys: list[list[Any]] = []
    for node in (x, y):
        op: Any = node.op
        shape = iter(node.inputs[0].type.shape if op.name == "slice" else op.shape)
        sizes = [None if each is None else next(shape) for each in op.key]
        keys.append(["all" if each == (0, n, 1) else each for each, n in zip(op.key, sizes)])
    return keys[0] == keys[1]


def _with_shape(op: Any, shape: tuple[int, ...]) -> Op | None:
    return replace(op, shape=shape) if hasattr(op, "shape") else None


def _step_of(node: Node) -> Array:
    """By how much a node advances the generator's state."""
    op: Any = node.op
    return op.reference(np.zeros(node.inputs[0].type.shape, np.int64))


class _Masking:
    """Finds the masks that are needed, and writes the graph with them."""

    def __init__(self, compared: _Comparison) -> None:
        self.compared, self.graph, self.size = compared, compared.whole, compared.size
        self.makers = {y.number: node for node in self.graph.nodes for y in node.outputs}
        self.masked: set[int] = set()
        self.rows: dict[int, Rows] = {}

    def run(self) -> Ragged:
        """As many rounds as there are masks."""
        while True:
            try:
                self._follow()
                break
            except NeedsMask as request:
                place = self._early(request.value)
                if place in self.masked:
                    raise NotRagged("rows meet in what a mask can't mend") from request
                self.masked.add(place)
        arguments = [
            index
            for index, value in enumerate(self.graph.arguments)
            if self.rows[value.number].batch is not None
        ]
        results = tuple([self.rows[value.number].batch for value in self.graph.results])
        constants, advances = sorted(self.compared.constants), sorted(self.compared.advances)
        return Ragged(
            _Writer(self, constants, advances).graph(),
            self.size,
            tuple(arguments),
            results,
            self.graph,
            tuple(constants),
            tuple(advances),
        )

    def _early(self, value: Value) -> int:
        """Where to mask: before what only moves elements."""
        while (node := self.makers.get(value.number)) is not None and node.op.name in _MOVES:
            value = node.inputs[0]
        return value.number

    def _follow(self) -> None:
        """Where the batch is in every value, and what is in the rows beyond."""
        self.rows = {}
        for value in self.graph.arguments:
            self._known(value, self._of_argument(value))
        for value in self.graph.state:
            self._known(value, Rows(None, CLEAN))
        for index, each in enumerate(self.graph.constants):
            fixed = index not in self.compared.constants
            self._known(each.value, Rows(None, ZERO if fixed and not each.array.any() else CLEAN))
        for node in self.graph.nodes:
            given = [self.rows[value.number] for value in node.inputs]
            found = rows_of(node, given, self.size, self._fresh(node))
            for value, rows in zip(node.outputs, found, strict=True):
                self._known(value, rows)
        for target, new in self.graph.updates:
            if self.rows[new.number].batch or self.rows[target.number].batch:
                raise NotRagged("what it writes has rows")

    def _of_argument(self, value: Value) -> Rows:
        shape, other = value.type.shape, self.compared.types[value.number].shape
        return Rows(None, CLEAN) if shape == other else Rows(Batch(0, 1, 1), COPY)

    def _fresh(self, node: Node) -> int | None:
        """Of a node that is given no rows: the dimension of its result that has some."""
        (first, *_) = node.outputs
        pairs = zip(first.type.shape, self.compared.types[first.number].shape, strict=True)
        differing = [dim for dim, (a, b) in enumerate(pairs) if a != b]
        return differing[0] if differing else None

    def _known(self, value: Value, rows: Rows) -> None:
        """Note it, and see that the other trace agrees."""
        batch, shape = rows.batch, list(value.type.shape)
        if batch is not None:
            if shape[batch.dim] != batch.outer * self.size * batch.inner:
                raise NotRagged("the batch got lost")
            shape[batch.dim] = batch.outer * self.compared.rows * batch.inner
        if tuple(shape) != self.compared.types[value.number].shape:
            raise NotRagged("the batch got lost")
        if value.number in self.masked and batch is not None:
            rows = Rows(batch, ZERO)
        self.rows[value.number] = rows


class _Writer:
    """Writes the graph with its masks and its further arguments."""

    def __init__(
        self, masking: _Masking, constants: Sequence[int], advances: Sequence[int]
    ) -> None:
        self.masking, self.whole = masking, masking.graph
        numbers = [value.number for value in (*self.whole.arguments, *self.whole.state)]
        numbers += [each.value.number for each in self.whole.constants]
        numbers += [y.number for node in self.whole.nodes for y in node.outputs]
        self.next = max(numbers, default=-1) + 1
        self.nodes: list[Node] = []
        self.constants: list[Constant] = []
        self.known: dict[int, Value] = {}  # what stands for a value now
        self.masks: dict[tuple[int, ...], Value] = {}
        size = masking.size
        self.here = self._new(TensorType((size,), bool_))
        self.count = self._new(TensorType((), float64))
        self.exchanged = {index: self.whole.constants[index].value for index in constants}
        self.steps = {
            index: self._new(TensorType(self.whole.nodes[index].inputs[0].type.shape, int64))
            for index in advances
        }

    def graph(self) -> Graph:
        """The graph."""
        whole = self.whole
        for value in whole.arguments:
            self._masked(value, value)
        for index, node in enumerate(whole.nodes):
            self._node(index, node)
        kept = [each for i, each in enumerate(whole.constants) if i not in self.exchanged]
        further = (self.here, self.count, *self.exchanged.values(), *self.steps.values())
        return replace(
            whole,
            arguments=(*whole.arguments, *further),
            constants=(*kept, *self.constants),
            nodes=tuple(self.nodes),
            results=tuple([self._now(value) for value in whole.results]),
            updates=tuple([(target, self._now(new)) for target, new in whole.updates]),
        )

    def _node(self, index: int, node: Node) -> None:
        inputs = [self._now(value) for value in node.inputs]
        if index in self.steps:
            made = self._add(Add(), inputs[0], self.steps[index], at=node.location)
            self.known[node.outputs[0].number] = made
            return
        batch = self.masking.rows[node.inputs[0].number].batch if node.inputs else None
        if isinstance(node.op, Mean) and batch is not None and batch.dim in node.op.dims:
            self._mean(node, node.op, inputs[0])
            return
        self.nodes.append(replace(node, inputs=tuple(inputs)))
        for value in node.outputs:
            self._masked(value, value)

    def _mean(self, node: Node, op: Mean, x: Value) -> None:
        """The sum, divided by the number of elements that there are."""
        dtype, value = x.type.dtype, node.outputs[0]
        total = self._add(Sum(op.dims, op.keepdim), x, at=node.location)
        each = math.prod([x.type.shape[dim] for dim in op.dims]) // self.masking.size
        count = self.count
        if each != 1:
            count = self._add(Mul(), count, self._constant(np.array(float(each))))
        count = self._add(Cast(dtype), count)
        self.known[value.number] = self._add(Div(), total, count, at=node.location)

    def _masked(self, value: Value, made: Value) -> None:
        if value.number in self.masking.masked:
            batch = self.masking.rows[value.number].batch
            assert batch is not None
            made = self._add(KeepWhere(), made, self._mask(batch, len(value.type.shape)))
        self.known[value.number] = made

    def _mask(self, batch: Batch, rank: int) -> Value:
        """Which rows there are, along the dimension that carries them."""
        size, behind = self.masking.size, rank - 1 - batch.dim
        key = batch.outer, batch.inner, behind
        if key not in self.masks:
            mask = self.here
            if batch.outer != 1 or batch.inner != 1:
                mask = self._add(Reshape((1, size, 1)), mask)
                mask = self._add(Expand((batch.outer, size, batch.inner)), mask)
            length = batch.outer * size * batch.inner
            shape = (length, *[1] * behind)
            self.masks[key] = mask if mask.type.shape == shape else self._add(Reshape(shape), mask)
        return self.masks[key]

    def _now(self, value: Value) -> Value:
        return self.known.get(value.number, value)

    def _add(self, op: Op, *inputs: Value, at: str = "") -> Value:
        rule: Callable[..., TensorType] = op.type_rule
        made = self._new(rule(*[value.type for value in inputs]))
        self.nodes.append(Node(op, inputs, (made,), at))
        return made

    def _constant(self, array: Array) -> Value:
        value = self._new(TensorType(array.shape, float64))
        self.constants.append(Constant(value, array))
        return value

    def _new(self, type_: TensorType) -> Value:
        self.next += 1
        return Value(self.next, type_)
