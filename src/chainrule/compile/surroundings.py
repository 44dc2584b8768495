"""`Surroundings`: what a function can reach beside its arguments.

A compiled function is traced once, and holds what it met. So one has to know when something it
depends on, and that is no tensor, has changed: a model that was switched to `eval()`, another model
under the same name, a number in a closure. This is looked for where functions keep such things:
in the variables of the enclosing function, in the globals it names, in its defaults, in the object
whose method it is; and in functions, and objects' attributes, found there. What is found also
gives the state its names.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from chainrule.core.base import is_tensor
from chainrule.nn.module import Module
from chainrule.ops.generator import Generator, default_generator
from chainrule.optim.optimizer import Optimizer, ParamGroup

__all__ = ["Surroundings", "Variable", "registered"]

SCALARS = (bool, int, float, str, type(None))
DEPTH = 6
MANY = 10_000
"""Lists longer than this are data, not layers."""


class Variable:
    """A variable that the function reads: a cell of a closure, or a global.

    Attributes:
        name: its name.
        holder: the cell, or the dictionary of globals.
        value: what was in it.
        is_global: whether it is a global.
    """

    __slots__ = ("holder", "is_global", "name", "value")

    def __init__(self, name: str, holder: Any, value: Any) -> None:
        self.name = name
        self.holder = holder
        self.value = value
        self.is_global = isinstance(holder, dict)

    def now(self) -> Any:
        """What is in it now."""
        if self.is_global:
            return self.holder.get(self.name)
        try:
            return self.holder.cell_contents
        except ValueError:  # it is empty: the variable was deleted
            return None

    def put(self, value: Any) -> None:
        """Set it."""
        if self.is_global:
            self.holder[self.name] = value
        else:
            self.holder.cell_contents = value


class Surroundings:
    """What was found.

    Args:
        function: whatever is called.
        arguments: arguments that are no tensors, by name: a model, an optimizer.

    Attributes:
        tensors: tensors by the ids of their arrays: parameters, buffers, optimizers' state.
        names: what they are called, by the same ids.
        modules: all modules, each with its name.
        parts: what was registered in each of them.
        optimizers: all optimizers, each with its name.
        groups: the parameter groups of all optimizers, each with its name.
        settings: the ids of the arrays that mirror numbers of optimizers, with their names.
        holders: modules and other objects that have attributes.
        variables: variables with numbers, tensors, modules and optimizers in them.
    """

    def __init__(self, function: Any, arguments: Mapping[str, Any]) -> None:
        self.tensors: dict[int, Any] = {}
        self.names: dict[int, str] = {}
        self.modules: list[tuple[str, Module]] = []
        self.parts: list[tuple[str, Module, list[Any]]] = []
        self.groups: list[tuple[str, ParamGroup]] = []
        self.settings: dict[int, str] = {}
        self.holders: list[Any] = []
        self.variables: list[Variable] = []
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self.optimizers: list[tuple[str, Optimizer]] = []
        self._roots: list[str] = []
        for name, value in arguments.items():
            self._visit(name, value, 0)
        self._visit("", function, 0)
        self._visit("generator", default_generator, 0)
        for name, optimizer in self.optimizers:  # last: they take their parameters' names
            self._visit_optimizer(name, optimizer)
        if len(self._roots) == 1:  # the one model needs no name
            prefix = f"{self._roots[0]}."
            self.names = {key: name.removeprefix(prefix) for key, name in self.names.items()}

    # -- walking ------------------------------------------------------------------------------

    def _visit(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, SCALARS) or depth > DEPTH or id(value) in self._seen:
            return
        self._seen.add(id(value))
        self._kept.append(value)
        if is_tensor(value):
            self._add(name, value)
        elif isinstance(value, Module):
            self._visit_module(name, value)
        elif isinstance(value, Optimizer):
            self.optimizers.append((name, value))
        elif isinstance(value, Generator):
            self._add(name, value.state)
        elif isinstance(value, dict):
            self._visit_items(name, value, value.keys(), depth)
        elif isinstance(value, list | tuple):
            self._visit_items(name, value, range(value.__len__()), depth)
        elif isinstance(value, types.FunctionType):
            self._visit_function(value, depth)
        elif isinstance(value, types.MethodType):
            self._visit("self", value.__self__, depth + 1)
            self._visit(name, value.__func__, depth + 1)
        elif isinstance(value, partial):
            self._visit(name, (value.func, value.args, value.keywords), depth)
        elif not isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
            self._visit_object(name, value, depth)

    def _visit_items(self, name: str, value: Any, keys: Any, depth: int) -> None:
        if len(keys) > MANY:
            return
        for key in list(keys):
            self._visit(f"{name}.{key}" if name else str(key), value[key], depth + 1)

    def _visit_object(self, name: str, value: Any, depth: int) -> None:
        """An object of a class of the user's: a trainer, a schedule."""
        if str(type(value).__module__).partition(".")[0] in ("builtins", "numpy"):
            return
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, Callable):  # a function compiled or decorated already
            self._visit(name, wrapped, depth + 1)
            return
        attributes: dict[str, Any] = getattr(value, "__dict__", {})
        if type(attributes) is dict:
            self.holders.append(value)
        for key, each in list(attributes.items()):
            self._visit(f"{name}.{key}" if name else key, each, depth + 1)

    def _visit_function(self, function: types.FunctionType, depth: int) -> None:
        if str(function.__module__).partition(".")[0] == "chainrule":
            cells = _cells(function)  # a wrapper of ours may hold a function of the user's
            for variable in cells:
                self._visit(variable.name, variable.value, depth + 1)
            return
        for variable in (*_cells(function), *_globals(function)):
            value = variable.value
            if isinstance(value, (*SCALARS, Module, Optimizer)) or is_tensor(value):
                self.variables.append(variable)
            self._visit(variable.name, value, depth + 1)
        defaults = (function.__defaults__, function.__kwdefaults__, _wrapped(function))
        for each in defaults:
            self._visit("default", each, depth + 1)

    def _visit_module(self, name: str, module: Module) -> None:
        self._roots.append(name)
        found = list(module.named_modules())
        self._seen.update([id(each) for _, each in found])
        for path, each in found:
            full = f"{name}.{path}" if path else name
            self.modules.append((full, each))
            self.holders.append(each)
            self.parts.append((full, each, registered(each)))
            for kind in ("_parameters", "_buffers"):
                for key, tensor in each.__dict__[kind].items():
                    if tensor is not None:
                        self._add(f"{full}.{key}" if full else key, tensor)
            for key, value in list(vars(each).items()):
                if key not in ("_parameters", "_buffers", "_modules"):
                    self._visit(f"{full}.{key}" if full else key, value, 1)

    def _visit_optimizer(self, name: str, optimizer: Optimizer) -> None:
        groups = optimizer.param_groups
        for index, group in enumerate(groups):
            prefix = f"{name}.{index}" if len(groups) > 1 else name
            self.groups.append((prefix, group))
            for key, number in group.numbers.items():
                self._add(f"{prefix}.{key}", number)
                self.settings[id(number.value)] = f"{prefix}.{key}"
            for place, parameter in enumerate(group["params"]):
                self._add(f"{prefix}.params.{place}", parameter)
        self._add_optimizer_state(name, optimizer)

    def _add_optimizer_state(self, name: str, optimizer: Optimizer) -> None:
        for parameter, state in optimizer.state.items():
            owner = self.names.get(id(parameter.value), name)
            for key, tensor in state.items():
                self._add(f"{owner}.{key}", tensor)

    def look_again(self) -> None:
        """Find what was made by the function itself: an optimizer's state, in its first step."""
        for name, optimizer in self.optimizers:
            self._add_optimizer_state(name, optimizer)

    def _add(self, name: str, tensor: Any) -> None:
        array = tensor.value
        if id(array) not in self.tensors:
            self.tensors[id(array)] = tensor
            self.names[id(array)] = name.strip(".")
            self._kept.append(array)

    def leaves(self) -> Iterator[Any]:
        """The tensors found."""
        return iter(list(self.tensors.values()))


def registered(module: Module) -> list[Any]:
    """All that is registered in a module itself, in order."""
    own = module.__dict__
    return [*own["_parameters"].values(), *own["_buffers"].values(), *own["_modules"].values()]


def _wrapped(function: Any) -> Any:
    return getattr(function, "__wrapped__", None)


def _cells(function: types.FunctionType) -> list[Variable]:
    """The variables of the enclosing function."""
    found: list[Variable] = []
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        try:
            found.append(Variable(name, cell, cell.cell_contents))
        except ValueError:  # not assigned yet
            continue
    return found


def _globals(function: types.FunctionType) -> list[Variable]:
    """The globals that the function, or one inside it, names."""
    names: list[str] = []
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        names += [
            line.argval for line in dis.get_instructions(code) if line.opname == "LOAD_GLOBAL"
        ]  # `co_names` has the attributes, too: a loop's `step` is not `optimizer.step`
        pending += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    space = function.__globals__
    return [Variable(name, space, space[name]) for name in dict.fromkeys(names) if name in space]
