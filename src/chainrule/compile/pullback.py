"""The way back through a compiled function, when `backward()` is called outside of it.

    loss = compiled(x, y)
    loss.backward()

While the function is traced, its derivative is traced too, right behind it, and the trace is cut in
two there: the first graph also gives what the second one wants to see again (the *residuals*), the
second pulls the cotangents of the results back. On the tape the whole call is one node; the second
graph is compiled when somebody goes back through it for the first time.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autograd.grad_mode import is_grad_enabled
from chainrule.autograd.reverse import grad
from chainrule.autograd.tape import Node
from chainrule.compile.trace import Trace
from chainrule.core.base import as_tuple
from chainrule.core.interpret import lift
from chainrule.core.location import user_location
from chainrule.core.op import Array, Bars, Needs, Op, Saves
from chainrule.errors import AutogradError
from chainrule.ir.graph import Graph, Value
from chainrule.ir.graph import Node as GraphNode
from chainrule.tensor import Tensor

__all__ = ["Input", "Pullback", "Returner", "trace_pullback"]


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that the node on the tape leads on to, or whose value it wants to see again.

    Attributes:
        number: of the value that was in it before, in the first graph.
        result: which result of the second graph is its cotangent; None where there is none.
        is_seen: whether the second graph is given its value.
    """

    number: int
    result: int | None
    is_seen: bool


@dataclass(frozen=True, slots=True)
class Pullback:
    """The second graph, and where its arguments come from.

    Attributes:
        graph: its arguments are the residuals, the inputs it sees, the cotangents of the outputs.
        residuals: what the first graph gives for it.
        outputs: which leaves of what the function gives are differentiated.
        inputs: the node's inputs.
    """

    graph: Graph
    residuals: tuple[Value, ...]
    outputs: tuple[int, ...]
    inputs: tuple[Input, ...]


def trace_pullback(
    trace: Trace,
    name: str,
    outputs: Sequence[tuple[int, Any]],
    targets: Sequence[tuple[Value, Any]],
) -> Pullback | None:
    """Trace the derivative of what was traced; None where the tape was used up inside.

    Args:
        trace: the trace; its list of nodes stays as it was.
        name: what the function is called.
        outputs: the tensors to start from, each with its place among the outputs.
        targets: the tensors to arrive at, each with the value that was in it before.
    """
    cut = len(trace.nodes)
    bars = [trace.placeholder(y.type) for _, y in outputs]
    try:
        found = grad(
            [y for _, y in outputs],
            [x for _, x in targets],
            [Tensor.around(bar) for bar in bars],
            retain_graph=True,
            allow_unused=True,
        )
        x_bars = [None if bar is None else trace.value(trace.symbol(bar)) for bar in found]
        after = trace.nodes[cut:]
    except AutogradError:
        return None
    finally:
        del trace.nodes[cut:]
    given = [value for value in x_bars if value is not None]
    nodes, outside = _alive(after, given)
    constants = [each for each in trace.constants if each.value in outside]
    bar_values = [bar.value for bar in bars]
    known = [each.value for each in constants] + bar_values
    entries = trace.untouched()
    seen = [value for value in outside if value not in known and value.number in entries]
    residuals = [value for value in outside if value not in known and value not in seen]
    places = {id(value): index for index, value in enumerate(given)}
    results = {
        before.number: places[id(value)]
        for (before, _), value in zip(targets, x_bars, strict=True)
        if value is not None
    }
    numbers = dict.fromkeys([*[value.number for value in seen], *results])
    inputs = [
        Input(number, results.get(number), any(value.number == number for value in seen))
        for number in numbers
    ]
    arguments = (*residuals, *seen, *bar_values)
    graph = Graph(
        f"{name} backward", arguments, (), tuple(constants), tuple(nodes), tuple(given), (), {}
    )
    return Pullback(graph, tuple(residuals), tuple([place for place, _ in outputs]), tuple(inputs))


def _alive(nodes: list[GraphNode], given: list[Value]) -> tuple[list[GraphNode], list[Value]]:
    """The nodes that the values depend on, and the values from outside that these are given."""
    wanted = {value.number: value for value in given}
    kept: list[GraphNode] = []
    for node in reversed(nodes):
        if any(y.number in wanted for y in node.outputs):
            kept.append(node)
            wanted |= {x.number: x for x in node.inputs}
    made = {y.number for node in kept for y in node.outputs}
    return kept[::-1], [value for number, value in wanted.items() if number not in made]


class Returner:
    """Hangs the node of a call on its outputs.

    Args:
        plan: the second graph.
        build: compiles it.
    """

    def __init__(self, plan: Pullback, build: Callable[[Graph], Any]) -> None:
        self.plan = plan
        self._build = build
        self._lock = threading.RLock()
        self._executable: Any = None
        seen = [index for index, each in enumerate(plan.inputs) if each.is_seen]
        self.saves = Saves(tuple(seen))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run the second graph; compile it, the first time."""
        with self._lock:
            if self._executable is None:
                self._executable = self._build(self.plan.graph)
        given = [np.ascontiguousarray(each).reshape(each.shape) for each in arrays]
        return self._executable.run(given, ())

    def attach(
        self, inputs: Sequence[Any], outputs: Sequence[Any], residuals: Sequence[Array]
    ) -> None:
        """Make the outputs of a call the outputs of one node on the tape."""
        op = _op_of(self.plan.graph.name, len(outputs))(self, tuple(residuals))
        node = _CallNode(op, tuple(inputs), outputs)
        for index, y in enumerate(outputs):
            y.node, y.output_index, y.tracked = node, index, True


class _Call(Op, family=True):
    """A call of a compiled function, as the tape sees it.

    Attributes:
        returner: knows the second graph.
        residuals: what this call left for it.
    """

    returner: Returner
    residuals: tuple[Array, ...]

    def saves_for(self, needs: Needs) -> Saves:
        """The inputs that the second graph sees."""
        return self.returner.saves

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """Run the second graph."""
        plan = self.returner.plan
        if is_grad_enabled():
            raise AutogradError(
                f"{plan.graph.name}: what is compiled can't be differentiated twice from outside",
                cure="compile the function that takes both derivatives",
                location=str(user_location() or ""),
            )
        kinds = [value.type for value in plan.graph.arguments[-len(plan.outputs) :]]
        bars = [
            np.zeros(kind.shape, kind.dtype.numpy) if bar is None else bar.value
            for bar, kind in zip(as_tuple(y_bar), kinds, strict=True)
        ]
        seen = [x.value for x, each in zip(inputs, plan.inputs, strict=True) if each.is_seen]
        results = self.returner.run([*self.residuals, *seen, *bars])
        return tuple(
            [
                lift(results[each.result]) if need and each.result is not None else None
                for each, need in zip(plan.inputs, needs, strict=True)
            ]
        )


@functools.cache
def _op_of(name: str, outputs: int) -> type[_Call]:
    """An op class of that name, with as many outputs."""
    return type(name, (_Call,), {"outputs": outputs, "__module__": __name__}, family=True)


class _CallNode(Node):
    """The node of a call: it keeps residuals, not outputs."""

    def __init__(self, op: _Call, inputs: tuple[Any, ...], outputs: Sequence[Any]) -> None:
        given: Any = tuple(outputs) if len(outputs) > 1 else outputs[0]
        super().__init__(op, inputs, given, tuple([x.tracked for x in inputs]))
        self.saved_outputs = None
        self.keeps = True
        self.location = user_location()

    def free(self) -> None:
        """Forget the residuals, too."""
        super().free()
        object.__setattr__(self.op, "residuals", ())
