"""An extension of griffe, which reads the docstrings for the site: examples are put into fences."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object
from tools.docsite.fences import with_fences

__all__ = ["Examples"]


class Examples(Extension):
    """Puts fences around the examples of every docstring that is read."""

    def on_instance(self, *, obj: Object, **kwargs: Any) -> None:
        """An object was read."""
        if obj.docstring is not None:
            obj.docstring.value = with_fences(obj.docstring.value)
