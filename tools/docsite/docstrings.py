"""An extension of griffe, which reads the docstrings for the site: they become Markdown."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object
from tools.docsite.markdown import docstring

__all__ = ["Examples"]


class Examples(Extension):
    """Prepares every docstring that is read."""

    def on_instance(self, *, obj: Object, **kwargs: Any) -> None:
        """An object was read."""
        if obj.docstring is not None:
            obj.docstring.value = docstring(obj.docstring.value)
