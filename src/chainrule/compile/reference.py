"""`ReferenceExecutable`: a graph carried out op by op, in NumPy. What a native program must equal.

It is slow and simple: the oracle of the tests, and how a graph runs where nothing native is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.compile.turns import Turns
from chainrule.core.base import as_tuple
from chainrule.core.interpret import Stack, bind, enter, leave
from chainrule.core.op import Array
from chainrule.eager import Eager
from chainrule.ir.graph import Graph
from chainrule.tensor import Tensor

__all__ = ["ReferenceExecutable"]

_EAGER = Stack(Eager())


class ReferenceExecutable:
    """Carries out the ops of a graph one after the other.

    Args:
        graph: the graph.

    >>> from chainrule.ir.graph_text import parse_graph
    >>> graph = parse_graph('''
    ... graph count(%0: f32[2]):
    ...   state %1: f32[2] "seen"
    ...   %2: f32[2] = add(%1, %0)
    ...   update %1 = %2
    ...   return %1
    ... ''')
    >>> seen = np.zeros(2, np.float32)
    >>> ReferenceExecutable(graph).run([np.ones(2, np.float32)], [seen])
    [array([0., 0.], dtype=float32)]
    >>> seen
    array([1., 1.], dtype=float32)
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._lock = Turns(graph.name)  # two runs at once would mix their updates
        self._inputs = [value.number for value in (*graph.arguments, *graph.state)]
        self._constants = {each.value.number: Tensor.around(each.array) for each in graph.constants}
        last: dict[int, int] = {}
        for index, node in enumerate(graph.nodes):
            last |= {value.number: index for value in (*node.inputs, *node.outputs)}
        kept = {value.number for value in graph.results}
        kept |= {new.number for _, new in graph.updates}
        kept |= {*self._inputs, *self._constants}
        self._lines = [
            (
                node.op,
                [value.number for value in node.inputs],
                [value.number for value in node.outputs],
                [number for number, at in last.items() if at == index and number not in kept],
            )
            for index, node in enumerate(graph.nodes)
        ]

    def run(self, arguments: Sequence[Array], state: Sequence[Array], /) -> list[Array]:
        """Run the graph once.

        Args:
            arguments: the arguments' arrays.
            state: the state's arrays. They are written to at the very end, when all is computed.

        Returns:
            the results, in memory of their own.
        """
        with self._lock:
            return self._run(arguments, state)

    def _run(self, arguments: Sequence[Array], state: Sequence[Array]) -> list[Array]:
        given = zip(self._inputs, map(Tensor.around, (*arguments, *state)), strict=True)
        known: dict[int, Any] = self._constants | dict(given)
        token = enter(_EAGER)
        try:
            for op, inputs, outputs, gone in self._lines:
                ys = as_tuple(bind(op, *[known[number] for number in inputs]))
                known.update(zip(outputs, ys, strict=True))
                for number in gone:
                    del known[number]
        finally:
            leave(token)
        results = [np.array(known[value.number].value) for value in self.graph.results]
        updates = [
            (known[target.number].value, np.array(known[new.number].value))
            for target, new in self.graph.updates
        ]
        for target, new in updates:
            target[...] = new
        return results

    def describe(self) -> str:
        """What runs, and how."""
        return f"{len(self.graph.nodes)} ops, one after the other, in NumPy"
