"""Loading a module's state by name: checked as a whole before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from chainrule.autograd import no_grad
from chainrule.core.location import user_location
from chainrule.errors import ChainruleError, StateDictError
from chainrule.ops.from_data import from_numpy
from chainrule.tensor import Tensor

if TYPE_CHECKING:
    from chainrule.nn.module import Module

__all__ = ["IncompatibleKeys", "Loading"]

OPTIONAL = "num_batches_tracked"  # a state dict without it (older, or of another library) is whole


class IncompatibleKeys(NamedTuple):
    """Names that did not match.

    Attributes:
        missing_keys: those of the module that the state dict did not have.
        unexpected_keys: those of the state dict that the module does not have.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Linear(3, 2, bias=False)
    >>> layer.load_state_dict({"bias": chainrule.zeros(2)}, strict=False)
    IncompatibleKeys(missing_keys=['weight'], unexpected_keys=['bias'])
    """

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class Loading:
    """One call of `load_state_dict`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Linear(3, 2)
    >>> Loading(layer, layer.state_dict(), strict=True, assign=False).run()
    <All keys matched successfully>
    """

    def __init__(self, module: Module, state: Any, strict: bool, assign: bool) -> None:
        self.module = module
        self.strict = strict
        self.assign = assign
        if not isinstance(state, Mapping):
            raise StateDictError(
                f"{type(module).__name__}: a state dict is a mapping of names to tensors, not a "
                f"{type(state).__name__}",
                cure="pass what state_dict() returned, or a dictionary of arrays",
                location=str(user_location() or ""),
            )
        self.given = cast("Mapping[str, Any]", state)

    def run(self) -> IncompatibleKeys:
        """Compare, then raise or copy."""
        wanted = self.module.state_dict(keep_vars=True)
        missing = [
            name
            for name in wanted
            if name not in self.given and name.rpartition(".")[2] != OPTIONAL
        ]
        unexpected = [name for name in self.given if name not in wanted]
        values: dict[str, Tensor] = {}
        misfits: list[str] = []
        for name, target in wanted.items():
            if name in self.given:
                self._check(name, target, values, misfits)
        if misfits or (self.strict and (missing or unexpected)):
            self._refuse(missing, unexpected, misfits)
        with no_grad():
            for name, source in values.items():
                self._write(wanted[name], source)
        return IncompatibleKeys(missing, unexpected)

    def _check(
        self, name: str, target: Tensor, values: dict[str, Tensor], misfits: list[str]
    ) -> None:
        try:
            source = _as_tensor(self.given[name])
        except (ChainruleError, TypeError, ValueError):
            kind = type(self.given[name]).__name__
            misfits.append(f"{name}: given a {kind}, expected a tensor or array")
            return
        if source.shape == target.shape:
            values[name] = source
        elif source.shape == (1,) and target.shape == ():  # as very old files have scalars
            values[name] = source.reshape(())
        else:
            misfits.append(f"{name}: given {source.type}, expected {target.type}")

    def _write(self, target: Tensor, source: Tensor) -> None:
        if self.assign and source.dtype is not target.dtype:
            target.value = source.detach().clone().value
        else:
            target.copy_(source.detach())

    def _refuse(self, missing: list[str], unexpected: list[str], misfits: list[str]) -> None:
        parts: list[str] = []
        if misfits:
            parts.append("these do not fit:\n    " + "\n    ".join(misfits))
        if self.strict and missing:
            parts.append("missing: " + ", ".join(missing))
        if self.strict and unexpected:
            parts.append("unexpected: " + ", ".join(unexpected))
        raise StateDictError(
            f"{type(self.module).__name__}: the state dict does not match; nothing was loaded\n  "
            + "\n  ".join(parts),
            cure=_cure(missing, unexpected, misfits),
            location=str(user_location() or ""),
            missing_keys=tuple(missing),
            unexpected_keys=tuple(unexpected),
            misfits=tuple(misfits),
        )


def _as_tensor(value: Any) -> Tensor:
    """A tensor as it is; arrays, numbers and other libraries' tensors through NumPy."""
    return value if isinstance(value, Tensor) else from_numpy(np.asarray(value))


def _cure(missing: list[str], unexpected: list[str], misfits: list[str]) -> str:
    cut: list[tuple[str, Callable[[str], bool]]] = [
        ("module.", lambda name: name.startswith("module.")),
        ("_orig_mod.", lambda name: name.startswith("_orig_mod.")),
    ]
    for prefix, has in cut:
        if missing and unexpected and all(map(has, unexpected)):
            return f"take the prefix {prefix!r} off the names: name.removeprefix({prefix!r})"
    if misfits:
        return "build the module with the sizes that the state was saved with"
    return "build the same module as was saved, or pass strict=False to load what matches"
