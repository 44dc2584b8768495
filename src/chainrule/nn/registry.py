"""`Registry`: how a module notices what is assigned to it, and finds all of it again by name.

What is registered stands twice: in the instance's dictionary, where Python finds it at full speed,
and in `_parameters`, `_buffers` or `_modules`, which know the order. `_register` alone writes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from chainrule.core.location import user_location
from chainrule.errors import ModuleError
from chainrule.nn.parameter import Buffer, Parameter
from chainrule.tensor import Tensor

if TYPE_CHECKING:
    from chainrule.nn.module import Module

__all__ = ["Changes", "Registry"]

KINDS = ("_parameters", "_buffers", "_modules")


class Changes:
    """Counts how often anything was registered, or taken away, in any module.

    Whoever holds parts of modules (a compiled function) need look for others only after a change.
    """

    count: int = 0


class _Misspelled(ModuleError):
    """No such attribute. What may have been meant is looked for only if somebody reads it.

    `hasattr` and `getattr` with a default raise and drop one of these each time.
    """

    def __init__(self, module: Registry, name: str) -> None:
        super().__init__(f"{type(module).__name__} has no attribute {name!r}")
        self.module = module
        self.attribute = name

    @property
    def cure(self) -> str:
        """The nearest name there is."""
        near = difflib.get_close_matches(self.attribute, dir(self.module), n=1)
        return f"did you mean {near[0]!r}?" if near else "assign it in __init__"

    @cure.setter
    def cure(self, value: str) -> None:
        """Of no interest: it is looked for."""

    def __reduce__(self) -> tuple[object, ...]:
        return (ModuleError, (self.problem,), {"cure": self.cure})


# A traceback shows this name: the one that can be imported and caught.
_Misspelled.__name__ = _Misspelled.__qualname__ = ModuleError.__qualname__
_Misspelled.__module__ = ModuleError.__module__


class Registry:
    """The part of `Module` that holds parameters, buffers and other modules.

    >>> import chainrule
    >>> from chainrule import nn
    >>> module = nn.Module()
    >>> module.scale, module.inner = nn.Parameter(chainrule.ones(1)), nn.Linear(3, 2)
    >>> [name for name, _ in module.named_parameters()]
    ['scale', 'inner.weight', 'inner.bias']
    """

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent: set[str]

    def __init__(self) -> None:
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, _non_persistent=set[str]())

    # -- what is registered -------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Register parameters, buffers and modules; anything else is a plain attribute."""
        own = self.__dict__
        if isinstance(value, Parameter):
            self._register("_parameters", name, value)
        elif isinstance(value, Registry):
            self._register("_modules", name, value)
        elif isinstance(value, Buffer):
            self._register("_buffers", name, value)
            self._keep(name, value.persistent)
        elif name in own.get("_parameters", ()) or name in own.get("_modules", ()):
            kind = "_parameters" if name in self._parameters else "_modules"
            if value is not None:
                what = "parameter" if kind == "_parameters" else "module"
                raise ModuleError(
                    f"{type(self).__name__}.{name} is a {what}; "
                    f"a {type(value).__name__} can't take its place",
                    cure="wrap a tensor in nn.Parameter(...), or `del` the attribute first",
                    location=str(user_location() or ""),
                )
            self._register(kind, name, None)
        elif name in own.get("_buffers", ()) and (value is None or isinstance(value, Tensor)):
            self._register("_buffers", name, value)
        else:
            object.__setattr__(self, name, value)

    def _register(self, kind: str, name: str, value: Any) -> None:
        own = self.__dict__
        Changes.count += 1
        if "_modules" not in own:
            raise ModuleError(
                f"{type(self).__name__}.{name} was set before the module was ready for it",
                cure=f"call super().__init__() first in {type(self).__name__}.__init__",
                location=str(user_location() or ""),
            )
        for other in KINDS:
            if other != kind:
                own[other].pop(name, None)
        own[kind][name] = value
        own[name] = value

    def _keep(self, name: str, persistent: bool) -> None:
        if persistent:
            self._non_persistent.discard(name)
        else:
            self._non_persistent.add(name)

    def __delattr__(self, name: str) -> None:
        Changes.count += 1
        for kind in KINDS:
            self.__dict__[kind].pop(name, None)
        self._non_persistent.discard(name)
        object.__delattr__(self, name)

    if not TYPE_CHECKING:  # so that type checkers know a misspelled name from a declared one

        def __getattr__(self, name: str) -> Any:
            """Reached only by a name that is not there: say so, and what may have been meant."""
            owner = type(self).__name__
            if name.startswith("__"):
                raise AttributeError(name)
            if name == "forward":
                raise ModuleError(
                    f"{owner} has no forward",
                    cure=f"define forward(self, x) in {owner}: what the module computes",
                    location=str(user_location() or ""),
                )
            raise _Misspelled(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def _check_name(self, what: str, name: Any) -> None:
        known = {each for kind in KINDS for each in self.__dict__.get(kind, ())}
        problem = (
            f"a {what}'s name is a string, not {type(name).__name__}"
            if not isinstance(name, str)
            else f"a {what}'s name can't be {name!r}: dots separate the levels"
            if not name or "." in name
            else f"{type(self).__name__} has an attribute {name!r} already"
            if name not in known and (name in self.__dict__ or hasattr(type(self), name))
            else ""
        )
        if problem:
            raise ModuleError(
                problem, cure="choose another name", location=str(user_location() or "")
            )

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter by name; None keeps the name without a parameter (a missing bias)."""
        self._check_name("parameter", name)
        _check_kind(f"parameter {name!r}", param, Parameter, "wrap it in nn.Parameter(...)")
        self._register("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but not learned.

        Args:
            name: the attribute it is found under.
            tensor: the tensor; None keeps the name.
            persistent: whether `state_dict()` has it.
        """
        self._check_name("buffer", name)
        _check_kind(f"buffer {name!r}", tensor, Tensor, "pass a tensor")
        self._register("_buffers", name, tensor)
        self._keep(name, persistent)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child by name."""
        self._check_name("module", name)
        _check_kind(
            f"{type(self).__name__}: child {name!r}",
            module,
            Registry,
            "pass an nn.Module: nn.ReLU() where F.relu was meant",
        )
        self._register("_modules", name, module)

    register_module = add_module

    # -- walking through it -------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules assigned to this one, with their names; a shared one once."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules assigned to this one."""
        for _, child in self.named_children():
            yield child

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names; a shared one once."""
        seen: set[Module] = set() if memo is None else memo
        this = cast("Module", self)
        if this in seen:
            return
        if remove_duplicate:
            seen.add(this)
        yield prefix, this
        for name, child in self._modules.items():
            if child is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(seen, below, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def _named(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        """What is registered as `kind`, here and (`recurse`) below; each tensor once."""
        seen: set[int] = set()
        found = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in found if recurse else [(prefix, self)]:
            for name, value in module.__dict__[kind].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names; a shared one once, under its first name."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters: what an optimizer takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module under a dotted name; "" is this one.

        Raises:
            ModuleError: there is none.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            found = getattr(module, name)
            if not isinstance(found, Registry):
                raise ModuleError(
                    f"{type(module).__name__}.{name} is no module but a {type(found).__name__}",
                    cure="named_modules() lists the names there are",
                    location=str(user_location() or ""),
                )
            module = found
        return module

    def _get_registered(self, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path) if path else self
        registered = module.__dict__[kind]
        if name not in registered:
            raise ModuleError(
                f"{type(module).__name__} has no {kind[1:-1]} {name!r}",
                cure=f"it has {', '.join(registered) or 'none'}",
                location=str(user_location() or ""),
            )
        return registered[name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter under a dotted name."""
        return self._get_registered("_parameters", target)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer under a dotted name."""
        return self._get_registered("_buffers", target)

    def _own_state(self) -> list[tuple[str, Tensor]]:
        """The parameters and persistent buffers of this very module."""
        found: list[tuple[str, Any]] = list(self._parameters.items())
        found += [each for each in self._buffers.items() if each[0] not in self._non_persistent]
        return [(name, tensor) for name, tensor in found if tensor is not None]


def _check_kind(what: str, given: object, kind: type, cure: str) -> None:
    """Refuse what is neither None nor of this kind: callers may not be type-checked."""
    if given is not None and not isinstance(given, kind):
        raise ModuleError(
            f"{what} is a {type(given).__name__}", cure=cure, location=str(user_location() or "")
        )
