"""`Attributes`: what a traced function assigned to attributes of modules and other objects.

    self.mean = 0.9 * self.mean + 0.1 * x.mean()

What stands there after the trace is a symbol, and must not stay. Where the old tensor was read, the
assignment becomes an update of its memory: so the next call reads the new value. Where it was not,
each run of the program assigns a tensor anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.compile.symbol import Symbol
from chainrule.compile.trace import Trace
from chainrule.core.base import is_tensor
from chainrule.core.types import type_of
from chainrule.errors import CompileError

__all__ = ["Attributes"]

KINDS = ("_parameters", "_buffers", "_modules")
"""Where a module has what is registered in it; it stands among its attributes, too."""


class Attributes:
    """The attributes of some objects, as they were.

    Args:
        holders: the objects.
    """

    def __init__(self, holders: Iterable[Any]) -> None:
        self._before = [(holder, _copied(holder.__dict__)) for holder in holders]

    def settle(self, trace: Trace) -> list[tuple[Any, str, Any]]:
        """Make updates of assignments where the old tensor was read; give all others.

        Returns:
            objects, names, and the tensors that were assigned.
        """
        met = {id(each.array) for each in trace.state}
        left: list[tuple[Any, str, Any]] = []
        for holder, before in self._before:
            for name, new in list(holder.__dict__.items()):
                old = before.get(name)
                if new is old or not is_tensor(new) or not isinstance(new.value, Symbol):
                    continue
                if not is_tensor(old) or id(old.value) not in met:
                    left.append((holder, name, new))
                elif type_of(old.value) == type_of(new.value):
                    trace.assign(old, new)
                else:
                    raise CompileError(
                        f"{type(holder).__name__}.{name} was {type_of(old.value)} and is assigned "
                        f"{type_of(new.value)} in a compiled function, which reads it, too",
                        cure="keep its type, or pass it as an argument and return it",
                    )
        return left

    def restore(self) -> None:
        """Put the tensors back that were there before; what else was assigned stays."""
        for holder, before in self._before:
            _put_back(holder.__dict__, before)


def _copied(own: dict[str, Any]) -> dict[str, Any]:
    copy = dict(own)
    copy.update({kind: dict(own[kind]) for kind in KINDS if type(own.get(kind)) is dict})
    return copy


def _put_back(own: dict[str, Any], before: dict[str, Any]) -> None:
    for name, value in list(own.items()):
        if name in KINDS and name in before and type(value) is dict:
            _put_back(own[name], before[name])
        elif is_tensor(value) and isinstance(value.value, Symbol):
            if name in before:
                own[name] = before[name]
            else:
                del own[name]
