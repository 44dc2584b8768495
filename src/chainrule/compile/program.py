"""`Program`: a captured function with something that carries it out, bound to its state.

Here is what happens at each call of a compiled function: see that everything is as it was, hand the
arrays over, wrap what comes back. All that can be done once is done when the program is made; the
rest is written out as Python code for this one program, in `fast_path.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any, Protocol

import numpy as np

from chainrule.autograd.inplace import put
from chainrule.compile.captured import ARGUMENT, CLEAR, RESULT, Captured, Output
from chainrule.compile.entry import Entry, Given, Inside, has_entries
from chainrule.compile.fast_path import watched_fields, write_fast_path
from chainrule.compile.kinds import array_of
from chainrule.compile.pullback import Returner
from chainrule.compile.ragged import Ragged
from chainrule.compile.reference import ReferenceExecutable
from chainrule.compile.signature import Leaf, rebuild
from chainrule.compile.surroundings import registered
from chainrule.compile.trace import memory_of
from chainrule.compile.turns import Turns
from chainrule.core.base import TensorBase
from chainrule.core.interpret import Stack
from chainrule.core.location import Location
from chainrule.core.op import Array
from chainrule.core.types import type_of
from chainrule.errors import MissingDependencyError
from chainrule.ir.graph import Graph
from chainrule.ir.graph_text import format_graph
from chainrule.nn.registry import Changes
from chainrule.tensor import Tensor

__all__ = ["BACKENDS", "Executable", "Program", "build_executable"]


class Executable(Protocol):
    """Carries out a graph."""

    def run(self, arguments: Sequence[Array], state: Sequence[Array], /) -> list[Array]:
        """Run once: write the updates in place, give the results in memory of their own.

        All arrays lie in order, without gaps. Whenever an array of the state is another one,
        `state` is another list. It may be called from several threads at once.
        """
        ...

    def describe(self) -> str:
        """What runs, and how: for people."""
        ...


BACKENDS = (None, "native", "numpy")
"""What carries a graph out: machine code where it can be made; always machine code; or NumPy."""


def build_executable(graph: Graph, backend: str | None) -> Executable:
    """What carries out a graph.

    Raises:
        MissingDependencyError: native code was asked for, and there is no compiler for it.
    """
    if backend != "numpy":
        try:
            from chainrule.compile.native import build

            return build(graph)
        except (ImportError, MissingDependencyError):
            if backend is not None:
                raise
    return ReferenceExecutable(graph)


class Program:
    """A function, compiled for one kind of call.

    Args:
        captured: the function as a graph, and what belongs to it.
        build: makes what carries a graph out.
        stack: the interpreters that were in force.
        leaves: what it was called with.
        structure: how that was nested.
        home: where the function is defined.
        ragged: the same for batches of fewer rows, if it can be.

    Attributes:
        graph: the graph as it was traced.
        executable: what carries it out.
        extra: arguments of the graph behind those of the call: of a full batch.
        fast: `fast(args)`, the way of most calls; it gives `fast_path.MISS` for any other.
    """

    def __init__(
        self,
        captured: Captured,
        build: Callable[[Graph], Executable],
        stack: Stack,
        structure: Any,
        leaves: Sequence[Leaf],
        home: Location | None = None,
        ragged: Ragged | None = None,
    ) -> None:
        self.captured = captured
        self.ragged = ragged
        self.graph = captured.graph if ragged is None else ragged.graph
        self.extra = [] if ragged is None else ragged.extra(ragged.size, ragged.whole)
        self.executable = build(self.graph)
        self.stack = stack
        self._lock = Turns(self.graph.name)
        self.structure = structure
        self.leaves = list(leaves)
        numbers = {value.number: i for i, value in enumerate(self.graph.arguments)}
        self.written = [
            numbers[target.number] for target, _ in self.graph.updates if target.number in numbers
        ]
        self._home = home
        self._updated = [bound for bound in captured.state if bound.updated]
        self.state: list[Array] = []
        self.owners: set[int] = set()
        self.environment: dict[str, Any] = {
            "owners": self.owners,
            "state": self.state,
            "changes": Changes.count,
        }
        self._strided: list[int] = []
        self.fast: Callable[[tuple[Any, ...]], Any] | None = None
        self._returner = captured.pullback and Returner(captured.pullback, build)
        self._bound = False
        self.entry = None if self.written else self._entry()
        self.bind()
        if not self._strided and self._returner is None:
            self.fast = write_fast_path(self)

    def host_ops(self) -> list[str]:
        """The names of the ops that are not native, where the others are."""
        names: Callable[[], list[str]] | None = getattr(self.executable, "host_ops", None)
        return [] if names is None else names()

    def _entry(self) -> Entry | None:
        """The native entry, where there can be one."""
        inside: Callable[[], Inside | None] | None = getattr(self.executable, "inside", None)
        found = None if inside is None else inside()
        if found is None or not has_entries():
            return None
        leaves = [*[self.leaves[index].value for index in self.captured.arguments], *self.extra]
        return Entry(
            found,
            [
                Given(isinstance(leaf, TensorBase), each.type.shape, each.type.dtype.numpy)
                for leaf, each in zip(leaves, self.graph.arguments, strict=True)
            ],
        )

    # -- is it the right one? -----------------------------------------------------------------

    def misfit(self) -> str:
        """Why it can't be used now, "" if it can: something beside the arguments has changed."""
        guards = self.captured.guards
        for name, module, training in guards.modules:
            if module.training is not training:
                modes = ("training", "evaluation") if training else ("evaluation", "training")
                return f"{name or 'the model'} was in {modes[0]} mode, is in {modes[1]} mode"
        for variable in guards.variables:
            if variable.now() is not variable.value:
                return f"the variable {variable.name} is another"
        for name, module, parts in guards.parts:
            now = registered(module)
            if len(now) != len(parts) or not all(map(is_, now, parts)):
                return f"{name or 'the model'} has other parts"
        self.environment["changes"] = Changes.count
        for name, optimizer, state in guards.optimizers:
            if not _same_state(optimizer.state, state):
                return f"the state of {name} is another"
        for name, group, choices in guards.groups:
            if not _same_choices(group.choices, choices):
                return f"the settings of {name} have changed"
        for name, tensor, flag in guards.tracked:
            if tensor.tracked is not flag:
                return f"requires_grad of {name} was {flag}, is {not flag}"
        for name, leaf, flag in guards.gradients:
            if (leaf.gradient is not None) is not flag:
                return f"{name}.grad was {'there' if flag else 'None'}, and now is not"
        for bound in self.captured.state:
            tensor = bound.tensor
            if tensor is None:
                return f"{bound.name} was there, and now is not"
            kind = type_of(tensor.value)
            if kind != bound.value.type:
                return f"{bound.name or 'a tensor'} was {bound.value.type}, is {kind}"
        return ""

    def bind(self) -> None:
        """Take the arrays that the state's tensors have now."""
        tensors = [bound.tensor for bound in self.captured.state]
        arrays = [tensor.value for tensor in tensors]
        known = self.state
        if self._bound and len(arrays) == len(known) and all(map(is_, arrays, known)):
            return
        self._bound = True
        self._strided = [i for i, array in enumerate(arrays) if not array.flags.c_contiguous]
        # Another list, for an executable knows the state by its list; the fast path looks all of
        # this up in its environment.
        self.state = self.environment["state"] = arrays
        self.owners = (
            {id(memory_of(array)) for array in arrays} if self.written or self._updated else set()
        )
        self.environment["owners"] = self.owners
        for index, array in enumerate(arrays):
            self.environment[f"v{index}"] = array
        for index, (bound, tensor) in enumerate(zip(self.captured.state, tensors)):
            if bound.updated:
                counter = tensor.version_counter()
                counter.changed_by = f"the compiled {self.graph.name}"
                counter.changed_at = self._home
                self.environment[f"n{index}"] = counter
        if self.entry is not None and not self._strided:
            self.entry.fill(list(watched_fields(self.captured, arrays)), sorted(self.owners))
            self.environment["enter"] = self.entry.enter

    def overlaps(self, arrays: Sequence[Array]) -> bool:
        """Whether memory that is written to is given twice, so that order would matter."""
        if not self.owners and not self.written:
            return False
        for index, array in enumerate(arrays):
            others = [*self.state, *arrays[:index], *arrays[index + 1 :]] if self.written else [
                array for array, bound in zip(self.state, self.captured.state) if bound.updated
            ]  # fmt: skip
            if any(np.may_share_memory(array, other) for other in others):
                return True
        return False

    # -- running it ---------------------------------------------------------------------------

    def run(
        self, leaves: Sequence[Any], arrays: Sequence[Array], extra: Sequence[Array] | None = None
    ) -> Any:
        """Run for a call that is of its kind; the slow way, which is right for every one.

        Args:
            leaves: the leaves of the call's arguments.
            arrays: the arrays of those that are arguments of the graph.
            extra: of a ragged batch, what `Ragged.extra` gives.
        """
        rows = None if extra is None or self.ragged is None else self.ragged.rows(arrays)
        given = [np.ascontiguousarray(each).reshape(each.shape) for each in arrays]
        if self.ragged is not None and rows is not None:
            for index in self.ragged.arguments:
                given[index] = self.ragged.filled(given[index])
        with self._lock:
            results = self._run_alone([*given, *(self.extra if extra is None else extra)])
            if self.ragged is not None and rows is not None:
                results = self.ragged.cut(results, rows)
            for index in self.written:
                if given[index] is not arrays[index]:
                    arrays[index][...] = given[index]
        for bound in self._updated:
            bound.tensor.version_counter().count += 1
        for index in self.written:
            self._bump(leaves[self.captured.arguments[index]])
        self._leave_gradients(results, leaves)
        for holder, name, output in self.captured.attributes:
            setattr(holder, name, self._output(output, results, leaves))
        outputs = [self._output(each, results, leaves) for each in self.captured.outputs]
        if self._returner is not None:
            self._attach(self._returner, results, leaves, outputs)
        return rebuild(self.captured.structure, iter(outputs))

    def _run_alone(self, given: list[Array]) -> list[Array]:
        """Run with the state as it is now, while nobody else works in the program's memory."""
        if self.entry is not None:
            self.entry.busy(True)
        self.bind()
        state = self.state
        if self._strided:
            state = [np.ascontiguousarray(each).reshape(each.shape) for each in state]
        try:
            results = self.executable.run(given, state)
        finally:
            if self.entry is not None:
                self.entry.busy(False)
        for index in self._strided:
            if self.captured.state[index].updated:
                self.state[index][...] = state[index]
        return results

    def _attach(
        self, returner: Returner, results: list[Array], leaves: Sequence[Any], outputs: list[Any]
    ) -> None:
        """Hang the call's node on the results that require gradients."""
        plan = returner.plan
        inputs = [leaves[each] if type(each) is int else each for each in self.captured.inputs]
        inputs = [each if isinstance(each, TensorBase) else Tensor.around(each) for each in inputs]
        residuals = results[len(results) - len(plan.residuals) :]
        returner.attach(inputs, [outputs[place] for place in plan.outputs], residuals)

    def _bump(self, argument: Any) -> None:
        if isinstance(argument, TensorBase):
            counter = argument.version_counter()
            counter.count += 1
            counter.changed_by, counter.changed_at = f"the compiled {self.graph.name}", self._home

    def _output(self, output: Output, results: list[Array], leaves: Sequence[Any]) -> Any:
        if output.kind == RESULT:
            return Tensor.around(results[output.what])
        return leaves[output.what] if output.kind == ARGUMENT else output.what

    def _leave_gradients(self, results: list[Array], leaves: Sequence[Any]) -> None:
        for each in self.captured.gradients:
            is_argument = type(each.leaf) is int
            leaf = leaves[each.leaf] if is_argument else each.leaf
            if not isinstance(leaf, TensorBase):
                continue  # an array has no gradient
            if each.what.kind == CLEAR:
                leaf.gradient = None
                continue
            gradient = self._output(each.what, results, leaves)
            if is_argument and leaf.gradient is not None:
                put(leaf.gradient, leaf.gradient + gradient, "backward")
            else:
                leaf.gradient = gradient

    # -- showing it ---------------------------------------------------------------------------

    def stages(self) -> dict[str, str]:
        """The stages on the way to what runs, by name, as text."""
        shown = {"traced": format_graph(self.graph, locations=True)}
        more: Any = getattr(self.executable, "stages", dict[str, str])
        return shown | more()

    def explain(self, *, measure: bool = False) -> str:
        """What it is called with, what it reads and writes, what it gives, and what runs.

        Args:
            measure: time each kernel, with the arguments of the first call.
        """
        graph, captured = self.graph, self.captured
        lines = [f"{graph.name}({', '.join(self._told_arguments())})"]
        for bound in captured.state:
            mark = "updated" if bound.updated else "read"
            lines.append(f"  {mark:8}{bound.value.type!s:18} {bound.name}".rstrip())
        results = [str(value.type) for value in graph.results]
        lines.append(f"  gives   {', '.join(results) or 'nothing'}")
        if captured.dropped:
            lines.append(
                f"  gradients of {', '.join(captured.dropped)} are used up inside, and left None: "
                "compile(..., keep_gradients=True) keeps them"
            )
        return "\n".join([*lines, self._described(measure)])

    def _described(self, measure: bool) -> str:
        measured: Callable[..., str] | None = getattr(self.executable, "measured", None)
        if not measure:
            return self.executable.describe()
        if measured is None:
            return f"{self.executable.describe()}; there are no kernels to measure"
        values = [array_of(self.leaves[index].value) for index in self.captured.arguments]
        with self._lock:
            self.bind()
            state = [np.ascontiguousarray(each).reshape(each.shape) for each in self.state]
            given = [np.ascontiguousarray(x).reshape(x.shape) for x in values]
            return measured([*given, *self.extra], state)

    def _told_arguments(self) -> list[str]:
        kinds = dict(zip(self.captured.arguments, self.graph.arguments))
        return [
            f"{leaf.path}: {kinds[index].type}"
            if index in kinds
            else f"{leaf.path}={leaf.value!r:.40}"
            for index, leaf in enumerate(self.leaves)
        ]


def _same_state(now: Any, before: Any) -> bool:
    """Whether an optimizer keeps the same tensors."""
    return len(now) == len(before) and all(
        parameter in now
        and len(now[parameter]) == len(kept)
        and all(now[parameter].get(key) is tensor for key, tensor in kept.items())
        for parameter, kept in before.items()
    )


def _same_choices(now: Any, before: Any) -> bool:
    """Whether a group's settings ask for the same ops. (Whether lr is zero decides nothing.)"""
    if now is before:
        return True
    if now is None or before is None:
        return False
    return [each for each in now if each[0] != "lr"] == [each for each in before if each[0] != "lr"]
