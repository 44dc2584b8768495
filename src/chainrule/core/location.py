"""Where in the user's code something happened: the first frame outside this package."""

from __future__ import annotations

import os
import sys
from types import CodeType
from typing import Any

__all__ = ["Location", "current_frame", "user_location"]

current_frame = sys._getframe  # pyright: ignore[reportPrivateUsage]  # inspect's takes 20x as long
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class _Ours(dict[str, bool]):
    """Whether a source file belongs to this package; found out once for each."""

    def __missing__(self, filename: str) -> bool:
        ours = self[filename] = filename.startswith(_PACKAGE)
        return ours


_ours = _Ours()


class Location(tuple[CodeType, int]):
    """A point in some source file. Cheap to take: the line is looked up when it is asked for.

    A tuple of the code and the instruction in it.
    """

    __slots__ = ()

    @property
    def code(self) -> CodeType:
        """The code."""
        return self[0]

    @property
    def instruction(self) -> int:
        """The offset of the instruction in it."""
        return self[1]

    @property
    def filename(self) -> str:
        """The source file."""
        return self.code.co_filename

    @property
    def line(self) -> int:
        """The line number, counted from 1."""
        for start, end, line in self.code.co_lines():
            if start <= self.instruction < end and line is not None:
                return line
        return self.code.co_firstlineno

    @property
    def text(self) -> str:
        """The source line itself, stripped; empty where the source is not at hand."""
        import linecache

        return linecache.getline(self.filename, self.line).strip()

    def __str__(self) -> str:
        text = self.text
        return f"{self.filename}:{self.line}" + (f": {text}" if text else "")


def user_location(depth: int = 1) -> Location | None:
    """The innermost frame that is not this package's own, or None if there is none.

    Args:
        depth: how many frames are this package's for certain, this function's among them.
    """
    frame: Any = current_frame(depth)
    try:
        while _ours[frame.f_code.co_filename]:
            frame = frame.f_back
    except AttributeError:  # there is no frame beyond the last
        return None
    return Location((frame.f_code, frame.f_lasti))
