"""Modules that hold modules: in a row (`Sequential`), as a list, as a dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, cast, overload

from chainrule.core.location import user_location
from chainrule.errors import DimensionError
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class _Listed(Module):
    """Modules under the names "0", "1", ...: what `Sequential` and `ModuleList` share."""

    def entries(self) -> list[tuple[str, Module]]:
        """The modules in order with their names; one that stands there twice comes twice."""
        return cast("list[tuple[str, Module]]", list(self._modules.items()))

    def _listed(self) -> list[Module]:
        return [module for _, module in self.entries()]

    def _relist(self, modules: Iterable[Module], names: Iterable[str] | None = None) -> None:
        """Register these modules, and no others, under their numbers or the names given."""
        kept = list(modules)
        for name in list(self._modules):
            delattr(self, name)
        for name, module in zip(names or map(str, range(len(kept))), kept):
            self.add_module(name, module)

    def _name_at(self, index: int) -> str:
        names = list(self._modules)
        if not -len(names) <= index < len(names):
            raise DimensionError(
                f"{type(self).__name__}: index {index}, of {len(names)} modules",
                cure="index from 0, or from -1 backwards",
                location=str(user_location() or ""),
            )
        return names[index]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._listed())

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        gone = names[index] if isinstance(index, slice) else [self._name_at(index)]
        kept = [(name, each) for name, each in zip(names, self._listed()) if name not in gone]
        numbered = all(name.isdigit() for name in names)
        self._relist([each for _, each in kept], None if numbered else [name for name, _ in kept])

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before another one; those behind it are renumbered."""
        modules = self._listed()
        modules.insert(index, module)
        self._relist(modules)
        return self

    def pop(self, key: int) -> Module:
        """Take a module out and return it."""
        module = self._listed()[key]
        del self[key]
        return module


class Sequential(_Listed):
    """Modules in a row: each takes what the one before gives.

        y = f_n(... f_2(f_1(x)))

    Its derivative is the chain rule itself, and so a Sequential of layers can be trained with no
    tape: see `LayerEngine`.

    Args:
        args: the modules in order, or one dictionary of them by name.

    >>> import chainrule
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    >>> model(chainrule.zeros(2, 28, 28)).shape
    (2, 10)
    >>> model
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=784, out_features=10, bias=True)
    )
    """

    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            named = list(args[0].items())
        else:
            named = cast(
                "list[tuple[str, Module]]", [(str(i), each) for i, each in enumerate(args)]
            )
        for name, module in named:
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        """Through all of them."""
        for module in cast("dict[str, Module]", self._modules).values():  # none of them is None
            input = module(input)
        return input

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(self.entries()[index]))
        return cast("Module", self._modules[self._name_at(index)])

    def __add__(self, other: Sequential) -> Sequential:
        return Sequential(*self, *other)


class ModuleList(_Listed):
    """A list whose modules are registered. It has no `forward`: say yourself how they are used.

    Args:
        modules: the modules.

    >>> from chainrule import nn
    >>> layers = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 4)])
    >>> [name for name, _ in layers.named_parameters()]
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return ModuleList(self._listed()[index])
        return cast("Module", self._modules[self._name_at(index)])

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Equal modules in a row are shown once: `(0-2): 3 x ReLU()`."""
        texts = [repr(each) for each in self]
        if not texts:
            return f"{type(self).__name__}()"
        lines: list[str] = []
        first = 0
        for index, text in enumerate(texts):
            if index + 1 < len(texts) and texts[index + 1] == text:
                continue
            count = index + 1 - first
            name = f"({index})" if count == 1 else f"({first}-{index})"
            times = "" if count == 1 else f"{count} x "
            lines.append(f"{name}: {times}" + text.replace("\n", "\n  "))
            first = index + 1
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """A dictionary whose modules are registered.

    Args:
        modules: the modules by name.

    >>> from chainrule import nn
    >>> choices = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> choices["tanh"]
    Tanh()
    """

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Module:
        return cast("Module", self._modules[key])

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        self._modules[key]  # a KeyError for what is not there
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take all out."""
        for key in list(self._modules):
            del self[key]

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return cast("Iterable[Module]", self._modules.values())

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return cast("Iterable[tuple[str, Module]]", self._modules.items())

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules by name, in their order."""
        for name, module in dict(modules).items():
            self[name] = module


class ParameterList(Module):
    """A list whose parameters are registered; plain tensors become parameters.

    Args:
        values: the parameters.

    >>> import chainrule
    >>> from chainrule import nn
    >>> weights = nn.ParameterList([chainrule.zeros(2), chainrule.zeros(3)])
    >>> weights
    ParameterList(
        (0): Parameter containing: [float32 of size 2]
        (1): Parameter containing: [float32 of size 3]
    )
    >>> len(list(weights.parameters()))
    2
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def append(self, value: Any) -> Self:
        """Add a parameter at the end."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several at the end."""
        for value in values:
            self.append(value)
        return self

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(cast("list[Parameter]", list(self._parameters.values())))

    def __getitem__(self, index: int) -> Parameter:
        return list(self)[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self.register_parameter(list(self._parameters)[index], _parameter(value))

    def extra_repr(self) -> str:
        """A line for each parameter."""
        return _parameters_text(self._parameters)


class ParameterDict(Module):
    """A dictionary whose parameters are registered; plain tensors become parameters.

    Args:
        parameters: the parameters by name.

    >>> import chainrule
    >>> from chainrule import nn
    >>> weights = nn.ParameterDict({"scale": chainrule.ones(2), "shift": chainrule.zeros(2)})
    >>> [name for name, _ in weights.named_parameters()]
    ['scale', 'shift']
    """

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, key: object) -> bool:
        return key in self._parameters

    def __getitem__(self, key: str) -> Parameter:
        return cast("Parameter", self._parameters[key])

    def __setitem__(self, key: str, value: Any) -> None:
        self.register_parameter(key, _parameter(value))

    def __delitem__(self, key: str) -> None:
        self._parameters[key]  # a KeyError for what is not there
        delattr(self, key)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._parameters.keys()

    def values(self) -> Iterable[Parameter]:
        """The parameters."""
        return cast("Iterable[Parameter]", self._parameters.values())

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """Names and parameters."""
        return cast("Iterable[tuple[str, Parameter]]", self._parameters.items())

    def update(self, parameters: Mapping[str, Any]) -> None:
        """Add parameters by name."""
        for key, value in parameters.items():
            self[key] = value

    def extra_repr(self) -> str:
        """A line for each parameter."""
        return _parameters_text(self._parameters)


def _parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)


def _parameters_text(parameters: Mapping[str, Any]) -> str:
    """As PyTorch prints a `ParameterList`, its indentation included."""
    lines: list[str] = []
    for name, each in parameters.items():
        dtype, size = str(each.dtype).rpartition(".")[-1], "x".join(map(str, each.shape))
        lines.append(f"  ({name}): Parameter containing: [{dtype} of size {size}]")
    return "\n".join(lines)
