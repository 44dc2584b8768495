"""`capture`: run a function under the trace once, and gather all that its runs will need.

Beside the graph that is: which tensors its state is, what has to be as it was for the graph to be
the right one (the guards), what the function gives back, and which gradients it leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.compile.attributes import Attributes
from chainrule.compile.captured import (
    ARGUMENT,
    CLEAR,
    OBJECT,
    RESULT,
    Bound,
    Captured,
    Gradient,
    Guards,
    Output,
)
from chainrule.compile.pullback import Pullback, trace_pullback
from chainrule.compile.signature import Leaf, flatten, rebuild
from chainrule.compile.snapshot import Kept, Snapshot
from chainrule.compile.surroundings import Surroundings
from chainrule.compile.symbol import Symbol
from chainrule.compile.trace import StateMet, Trace
from chainrule.core.base import TensorBase
from chainrule.core.dtypes import get_default_dtype
from chainrule.core.interpret import Stack, enter, leave
from chainrule.core.location import user_location
from chainrule.core.op import Array
from chainrule.errors import CompileError
from chainrule.ir.graph import Graph, Value
from chainrule.nn.parameter import Parameter
from chainrule.tensor import Tensor

__all__ = ["capture"]


def capture(
    function: Callable[..., Any],
    structure: Any,
    leaves: list[Leaf],
    stack: Stack,
    *,
    name: str,
    keep_gradients: bool | None,
    scalars: frozenset[int] = frozenset(),
) -> Captured:
    """Trace a function.

    Args:
        function: the function.
        structure: how its arguments are nested: `[args, kwargs]`.
        leaves: their leaves.
        stack: the interpreters in force; the trace takes the place of the lowest.
        name: what the graph is called.
        keep_gradients: see `compile`.
        scalars: leaves that are floats, and are to be arguments of the graph.
    """
    return _Capture(function, structure, leaves, name, keep_gradients, scalars).run(stack)


class _Capture:
    def __init__(
        self,
        function: Callable[..., Any],
        structure: Any,
        leaves: list[Leaf],
        name: str,
        keep_gradients: bool | None,
        scalars: frozenset[int],
    ) -> None:
        self.function = function
        self.structure = structure
        self.leaves = leaves
        self.name = name
        self.keep_gradients = keep_gradients
        self.scalars = scalars
        objects = {leaf.path: leaf.value for leaf in leaves if not _is_array_like(leaf.value)}
        self.around = Surroundings(function, objects)
        self.snapshot = Snapshot()
        self.attributes = Attributes(self.around.holders)
        self.trace = Trace(self.snapshot.keep, self._guard, self.around.tensors)
        self.twins: dict[int, Any] = {}  # by the index of the leaf
        self.leaf_of: dict[int, Any] = {}  # by the id of its gradient's array
        self.results: list[Value] = []

    def run(self, stack: Stack) -> Captured:
        choices = [dict(group) for _, group in self.around.groups]
        for tensor in self.around.leaves():
            self.snapshot.keep(tensor)
        inputs = [self._input(index, leaf.value) for index, leaf in enumerate(self.leaves)]
        args, kwargs = rebuild(self.structure, iter(inputs))
        below = Stack(self.trace)
        for layer in stack.layers:
            below = below.push(layer)
        token = enter(below)
        try:
            given = self.function(*args, **kwargs)
            return self._gather(given)
        except BaseException:
            for (_, group), before in zip(self.around.groups, choices, strict=True):
                dict[str, Any].update(group, before)
            raise
        finally:
            leave(token)
            self.snapshot.restore()
            self.attributes.restore()

    def _guard(self, array: Array) -> None:
        """Nobody steps a schedule inside: it would be stepped once, while tracing."""
        setting = self.around.settings.get(id(array))
        if setting is not None:
            raise CompileError(
                f"{setting} is set inside a compiled function, which would happen only once",
                cure="step schedules, and set learning rates, outside of it",
                location=str(user_location() or ""),
            )

    def _input(self, index: int, value: Any) -> Any:
        """What the function is called with in place of an argument."""
        if index in self.scalars:
            value = np.array(value, get_default_dtype().numpy)
        elif not _is_array_like(value):
            return value
        tracked = isinstance(value, TensorBase) and value.tracked
        array: Any = value.value if isinstance(value, TensorBase) else value
        twin = Tensor.around(self.trace.argument(array))
        twin.tracked = tracked
        self.twins[index] = twin
        return twin

    # -- what it all comes to -----------------------------------------------------------------

    def _gather(self, given: Any) -> Captured:
        self.around.look_again()
        for kept in self.snapshot.kept.values():
            if kept.gradient is not None:
                self.leaf_of[id(kept.gradient.value)] = kept.tensor
        for variable in self.around.variables:
            variable.value = variable.now()  # as the function left it
        self._write_exchanged()
        assigned = self.attributes.settle(self.trace)
        leaves: list[Leaf] = []
        structure = flatten(given, "", leaves)
        outputs = [self._output(leaf.value) for leaf in leaves]
        attributes = [(holder, name, self._output(each)) for holder, name, each in assigned]
        gradients, dropped = self._gradients()
        pullback = self._pullback(leaves, outputs)
        graph = self.trace.graph(self.name, self.results)
        met = {each.value.number: each for each in self.trace.state}
        updated = {target.number for target, _ in graph.updates}
        state = [self._bound(met[value.number], updated) for value in graph.state]
        names = {bound.value.number: bound.name for bound in state if bound.name}
        return Captured(
            _with_names(graph, names),
            tuple(self.twins),
            tuple(state),
            structure,
            tuple(outputs),
            tuple(gradients),
            tuple(attributes),
            self._guards(state),
            tuple(dropped),
            pullback,
            self._inputs(pullback),
        )

    def _pullback(self, leaves: list[Leaf], outputs: list[Output]) -> Pullback | None:
        """The way back from the results that require gradients."""
        ys = [
            (place, leaf.value)
            for place, (leaf, output) in enumerate(zip(leaves, outputs, strict=True))
            if output.kind == RESULT and leaf.value.requires_grad
        ]
        if not ys:
            return None
        twins = [self.twins[index] for index in self.twins]
        targets = [
            (symbol.value, twin)
            for symbol, twin in zip(self.trace.arguments, twins, strict=True)
            if twin.tracked
        ]
        for met in self.trace.state:
            tensor = self.around.tensors.get(id(met.array), met.tensor)
            if tensor.tracked:
                targets.append((met.value, tensor))
        found = trace_pullback(self.trace, self.name, ys, targets) if targets else None
        if found is not None:
            self.results += found.residuals
        return found

    def _inputs(self, pullback: Pullback | None) -> tuple[Any, ...]:
        if pullback is None:
            return ()
        places = list(self.twins)
        found: dict[int, Any] = {
            symbol.value.number: place
            for place, symbol in zip(places, self.trace.arguments, strict=True)
        }
        for met in self.trace.state:
            found[met.value.number] = self.around.tensors.get(id(met.array), met.tensor)
        return tuple([found[each.number] for each in pullback.inputs])

    def _write_exchanged(self) -> None:
        """`p.data = new` gave a tensor other memory: here it is the old memory's new contents."""
        for kept in self.snapshot.kept.values():
            now = kept.tensor.value
            if now is not kept.value and isinstance(now, Symbol):
                kept.tensor.value = kept.value
                self.trace.assign(kept.tensor, Tensor.around(now))

    def _result(self, value: Value) -> Output:
        """A result of the graph; the same value twice is one result in two memories."""
        self.results.append(value)
        return Output(RESULT, len(self.results) - 1)

    def _output(self, value: Any) -> Output:
        if not isinstance(value, TensorBase):
            if isinstance(value, Symbol):
                raise CompileError("a compiled function can't return the memory of a tensor")
            return Output(OBJECT, value)
        for index, twin in self.twins.items():
            if value is twin and index not in self.scalars:
                return Output(ARGUMENT, index)
        array = value.value
        if isinstance(array, Symbol):
            return self._result(self.trace.value(array))
        return Output(OBJECT, value)  # a state, or one that shares its memory

    def _bound(self, met: StateMet, updated: set[int]) -> Bound:
        key = id(met.array)
        name = self.around.names.get(key, "")
        is_updated = met.value.number in updated
        leaf = self.leaf_of.get(key)
        if leaf is not None and key not in self.around.tensors:
            owner = self.around.names.get(id(leaf.value), "")
            return Bound(leaf, True, f"{owner}.grad".strip("."), met.value, is_updated)
        tensor = self.around.tensors.get(key, met.tensor)
        return Bound(tensor, False, name, met.value, is_updated)

    # -- gradients ----------------------------------------------------------------------------

    def _gradients(self) -> tuple[list[Gradient], list[str]]:
        """What the function leaves in `.grad`, and the names of those that are not kept."""
        found: list[Gradient] = []
        dropped: list[str] = []
        written = {
            id(met.array) for met in self.trace.state if met.symbol.memory.value is not met.value
        }
        for kept in list(self.snapshot.kept.values()):
            leaf, before, now = kept.tensor, kept.gradient, kept.tensor.gradient
            if now is before or (before is not None and now is not None and _same(before, now)):
                continue
            keep = self.keep_gradients
            if now is not None and (keep is False or (keep is None and id(leaf.value) in written)):
                dropped.append(self.around.names.get(id(leaf.value), "a tensor"))
                now = None
            found.append(Gradient(leaf, Output(CLEAR, None) if now is None else self._output(now)))
        for index, twin in self.twins.items():
            if twin.gradient is not None:
                found.append(Gradient(index, self._output(twin.gradient)))
        return found, dropped

    def _guards(self, state: list[Bound]) -> Guards:
        names = self.around.names
        met = {id(bound.owner) for bound in state if bound.is_gradient}
        watched: list[tuple[str, Any, bool]] = []
        tracked: list[tuple[str, Any, bool]] = []
        for kept in self.snapshot.kept.values():
            name = names.get(id(kept.tensor.value), "a tensor")
            if self._matters(kept, met):
                watched.append((name, kept.tensor, kept.gradient is not None))
        for bound in state:
            if not bound.is_gradient and bound.value.type.dtype.is_floating_point:
                before = self.snapshot.kept.get(id(bound.owner))
                flag = bound.owner.tracked if before is None else before.tracked
                if flag or isinstance(bound.owner, Parameter):  # an average stays what it is
                    tracked.append((bound.name or "a tensor", bound.owner, flag))
        kept_of = [(name, each, _state_of(each)) for name, each in self.around.optimizers]
        used = {id(bound.owner) for bound in state}
        return Guards(
            tuple([(name, module, module.training) for name, module in self.around.modules]),
            tuple(self.around.parts),
            tuple([(name, group, group.choices) for name, group in self.around.groups]),
            tuple([each for each in kept_of if used & {id(x) for x in _tensors_in(each[2])}]),
            tuple(self.around.variables),
            tuple(tracked),
            tuple(watched),
        )

    def _matters(self, kept: Kept, met: set[int]) -> bool:
        """Whether the trace would be another one, had this leaf had a gradient, or none, before."""
        if kept.gradient is None:
            return kept.accumulated
        return id(kept.tensor) in met


def _is_array_like(value: Any) -> bool:
    return isinstance(value, TensorBase | np.ndarray)


def _state_of(optimizer: Any) -> dict[Any, dict[str, Any]]:
    return {parameter: dict(state) for parameter, state in optimizer.state.items()}


def _tensors_in(state: dict[Any, dict[str, Any]]) -> list[Any]:
    return [tensor for kept in state.values() for tensor in kept.values()]


def _same(before: Any, now: Any) -> bool:
    return before.value is now.value


def _with_names(graph: Graph, names: dict[int, str]) -> Graph:
    return Graph(
        graph.name,
        graph.arguments,
        graph.state,
        graph.constants,
        graph.nodes,
        graph.results,
        graph.updates,
        names,
    )
