"""The graph: a traced function as typed values, each made once, by an op or from outside.

A graph is immutable; a pass makes a new one. It prints as text, `parse_graph` reads that text
again, and `verify` raises unless every value is made before it is used and every op agrees with its
type rule.

    graph step(%0: f32[8,6], %1: i64[8]):
      state %2: f32[4,6] "0.weight"
      %3: f32[6,4] = permute(%2) dims=(1, 0)
      %4: f32[8,4] = matmul(%0, %3)
      ...
      update %2 = %9
      return %7
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.op import Op
from chainrule.core.types import TensorType

__all__ = ["Constant", "Graph", "Node", "Value"]


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its number, by which it is known in a graph, and its type."""

    number: int
    type: TensorType

    def __repr__(self) -> str:
        return f"%{self.number}: {self.type}"


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value that is known: an array of the graph's own, that nobody writes to."""

    value: Value
    array: np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One op and its values.

    Attributes:
        op: the op.
        inputs: the values it is given.
        outputs: the values it makes, as many as the op has outputs.
        location: the line of the user's code that it comes from, if known.
    """

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    location: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A function of tensors.

    Attributes:
        name: the function's name.
        arguments: what it is called with.
        state: tensors that it reads, and may write to, which are not arguments.
        constants: values that are known.
        nodes: the ops, in an order in which they can be run.
        results: what it gives back.
        updates: pairs of a state (or argument) and the value that is in its memory at the end.
        names: what the state is called, where that is known, by the value's number.
    """

    name: str
    arguments: tuple[Value, ...]
    state: tuple[Value, ...]
    constants: tuple[Constant, ...]
    nodes: tuple[Node, ...]
    results: tuple[Value, ...]
    updates: tuple[tuple[Value, Value], ...]
    names: dict[int, str]

    def __str__(self) -> str:
        from chainrule.ir.graph_text import format_graph  # it reads graphs, too: it knows this file

        return format_graph(self)
