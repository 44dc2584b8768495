"""What a captured function consists of: plain records, made by `capture.py`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chainrule.compile.pullback import Pullback
from chainrule.compile.surroundings import Variable
from chainrule.ir.graph import Graph, Value

__all__ = [
    "ARGUMENT",
    "CLEAR",
    "OBJECT",
    "RESULT",
    "Bound",
    "Captured",
    "Gradient",
    "Guards",
    "Output",
]

ARGUMENT, CLEAR, OBJECT, RESULT = "argument", "clear", "object", "result"


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a state's array is found.

    Attributes:
        owner: the tensor; or the leaf whose gradient it is.
        is_gradient: whether it is that leaf's gradient.
        name: what it is called.
        value: what it is in the graph.
        updated: whether it is written to.
    """

    owner: Any
    is_gradient: bool
    name: str
    value: Value
    updated: bool

    @property
    def tensor(self) -> Any:
        """The tensor as it is now; None for a gradient that is not there."""
        return self.owner.gradient if self.is_gradient else self.owner


@dataclass(frozen=True, slots=True)
class Output:
    """One leaf of what the function gives back.

    Attributes:
        kind: an argument as it is, a result of the graph, or an object (a state, a number).
        what: its index, or the object.
    """

    kind: str
    what: Any


@dataclass(frozen=True, slots=True)
class Gradient:
    """What is done to the `.grad` of a leaf at the end.

    Attributes:
        leaf: the tensor, or the index of an argument.
        what: as an `Output`; or it is cleared.
    """

    leaf: Any
    what: Output


@dataclass(frozen=True, slots=True)
class Guards:
    """What has to be as it was.

    Attributes:
        modules: names, modules, whether they were training.
        parts: names, modules, what was registered in them.
        groups: names, parameter groups, their choices.
        optimizers: names, optimizers, the state that they kept of each parameter.
        variables: closure cells and globals.
        tracked: names, tensors, whether they required gradients.
        gradients: names, leaves, whether they had a gradient.
    """

    modules: tuple[tuple[str, Any, bool], ...]
    parts: tuple[tuple[str, Any, Any], ...]
    groups: tuple[tuple[str, Any, Any], ...]
    optimizers: tuple[tuple[str, Any, Any], ...]
    variables: tuple[Variable, ...]
    tracked: tuple[tuple[str, Any, bool], ...]
    gradients: tuple[tuple[str, Any, bool], ...]

    @contextmanager
    def untouched(self) -> Generator[None]:
        """What is counted in variables and in modules' attributes inside is as before behind."""
        variables = [(each, each.now()) for each in self.variables]
        attributes: list[tuple[dict[str, Any], dict[str, Any]]] = [
            (vars(module), {**vars(module)}) for _, module, _ in self.modules
        ]
        try:
            yield
        finally:
            for variable, value in variables:
                if variable.now() is not value:
                    variable.put(value)
            for now, before in attributes:
                for name in now.keys() - before.keys():
                    del now[name]
                for name, value in before.items():
                    if now.get(name) is not value:  # others may look at the module meanwhile
                        now[name] = value


@dataclass(frozen=True, slots=True)
class Captured:
    """A function, captured for one kind of call.

    Attributes:
        graph: what it computes.
        arguments: which leaves of the call are the graph's arguments.
        state: what the graph's state is.
        structure: how the outputs are nested.
        outputs: their leaves.
        gradients: what is done to gradients.
        attributes: objects, names, and what is assigned to them at the end.
        guards: what has to be as it was.
        dropped: names of parameters whose gradients are not kept.
        pullback: the way back through it, where results require gradients.
        inputs: the tensors that it needs, as leaves of the call by index, or as they are.
    """

    graph: Graph
    arguments: tuple[int, ...]
    state: tuple[Bound, ...]
    structure: Any
    outputs: tuple[Output, ...]
    gradients: tuple[Gradient, ...]
    attributes: tuple[tuple[Any, str, Output], ...]
    guards: Guards
    dropped: tuple[str, ...]
    pullback: Pullback | None
    inputs: tuple[Any, ...]
