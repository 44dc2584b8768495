"""What all passes are written with: a graph that is taken over node by node.

A pass walks through a graph in order. Each node is kept, or its outputs are said to be other values
(`replace`); whatever comes later then sees those. What is not touched keeps its number, so that a
listing before a pass and one after it can be laid side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dtypes import BY_NUMPY
from chainrule.core.op import Array, Op
from chainrule.core.types import TensorType
from chainrule.ir.graph import Constant, Graph, Node, Value
from chainrule.ops.broadcasting import Expand

__all__ = ["Rewriter"]


class Rewriter:
    """A graph in the making, from another one.

    Attributes:
        graph: the graph it is made from.
        nodes: its nodes so far.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self._makers: dict[int, Node] = {}
        self._constants = {each.value.number: each for each in graph.constants}
        self._instead: dict[int, Value] = {}
        outside = (*graph.arguments, *graph.state, *(each.value for each in graph.constants))
        self._last = max(
            max([value.number for value in outside], default=-1),
            max([value.number for node in graph.nodes for value in node.outputs], default=-1),
        )

    # -- looking --

    def value(self, old: Value) -> Value:
        """What a value of the old graph is now."""
        return self._instead.get(old.number, old)

    def inputs(self, node: Node) -> tuple[Value, ...]:
        """What the inputs of a node of the old graph are now."""
        instead = self._instead
        return tuple([instead.get(each.number, each) for each in node.inputs])

    def maker(self, value: Value) -> Node | None:
        """The node that makes a value; None for one from outside."""
        return self._makers.get(value.number)

    def made_by(self, value: Value, kind: type[Op]) -> Node | None:
        """The node that makes a value, if its op is of that class."""
        node = self._makers.get(value.number)
        return node if node is not None and type(node.op) is kind else None

    def constant(self, value: Value) -> Array | None:
        """The numbers of a value that is known."""
        found = self._constants.get(value.number)
        return None if found is None else found.array

    def uniform(self, value: Value) -> Any:
        """The number that a value consists of, as NumPy's scalar; None where that is not known."""
        node = self.made_by(value, Expand)
        array = self.constant(value if node is None else node.inputs[0])
        return None if array is None or array.size != 1 else array.reshape(-1)[0]

    # -- making --

    def fresh(self, kind: TensorType) -> Value:
        """A value with a number that no other has."""
        self._last += 1
        return Value(self._last, kind)

    def keep(self, node: Node) -> None:
        """Take a node over, with what its inputs are now."""
        inputs = self.inputs(node) if self._instead else node.inputs
        if inputs != node.inputs:
            node = Node(node.op, inputs, node.outputs, node.location)
        self.nodes.append(node)
        for each in node.outputs:
            self._makers[each.number] = node

    def add(
        self, op: Op, inputs: tuple[Value, ...], location: str, kind: TensorType | None = None
    ) -> Value:
        """A new node of one output; its type is the type rule's unless given."""
        y = self.fresh(kind or op.type_rule(*[each.type for each in inputs]))
        node = Node(op, inputs, (y,), location)
        self.nodes.append(node)
        self._makers[y.number] = node
        return y

    def known(self, array: Array) -> Value:
        """A new constant. The array is the graph's from now on."""
        array = np.ascontiguousarray(array).reshape(array.shape)
        array.flags.writeable = False
        value = self.fresh(TensorType(array.shape, BY_NUMPY[array.dtype]))
        self._constants[value.number] = Constant(value, array)
        return value

    def replace(self, old: Value, new: Value) -> None:
        """Whoever used `old` uses `new` from here on."""
        self._instead[old.number] = new

    def finish(self) -> Graph:
        """The new graph."""
        old = self.graph
        return Graph(
            old.name,
            old.arguments,
            old.state,
            tuple(self._constants.values()),
            tuple(self.nodes),
            tuple([self.value(each) for each in old.results]),
            tuple([(target, self.value(each)) for target, each in old.updates]),
            old.names,
        )
