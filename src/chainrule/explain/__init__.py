"""See backward happen: what a computation did, forwards and back, as a record to look at.

`with chainrule.explain() as story:` is this room, called. What happens inside is recorded op by
op: values, local derivatives, gradients, and where gradients meet. The story then draws itself
(`story.graph()`), is walked through (`story.save("walk.html")`, `story.walk()`), or read
(`story.record`).

An interpreter above the tape sees the ops, hooks on the tape's nodes see the gradients: who doesn't
ask for a story pays nothing for it.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.explain.block import explain as explain
    from chainrule.explain.story import Story as Story

__all__ = ["Story", "explain"]

_ROOMS = {"Story": "chainrule.explain.story", "explain": "chainrule.explain.block"}


class _Room(types.ModuleType):
    """A module that can be called."""

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return __getattr__("explain")(*args, **settings)


def __getattr__(name: str) -> Any:
    """What there is, loaded when it is first named."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'chainrule.explain' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ROOMS[name]), name)


sys.modules[__name__].__class__ = _Room
