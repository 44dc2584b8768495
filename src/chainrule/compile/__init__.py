"""The compiler: a function of tensors, traced once, as one native program.

`chainrule.compile(fn)` is this room, called: PyTorch's name for the function is the room's name.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.compile.compiled import Compiled as Compiled
    from chainrule.compile.compiled import compile as compile

__all__ = ["Compiled", "compile"]


class _Room(types.ModuleType):
    """A module that can be called."""

    def __call__(self, fn: Any = None, **settings: Any) -> Any:
        return __getattr__("compile")(fn, **settings)


def __getattr__(name: str) -> Any:
    """What there is, loaded when it is first named."""
    if name not in __all__:
        raise AttributeError(f"module 'chainrule.compile' has no attribute {name!r}")
    from chainrule.compile import compiled

    return getattr(compiled, name)


sys.modules[__name__].__class__ = _Room
