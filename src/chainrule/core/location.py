"""Where in the user's code something happened: the first frame outside this package."""

from __future__ import annotations

import os
import sys
from types import CodeType

__all__ = ["Location", "user_location"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Location:
    """A point in some source file. Cheap to take: the line is looked up when it is asked for."""

    __slots__ = ("code", "instruction")

    def __init__(self, code: CodeType, instruction: int) -> None:
        self.code = code
        self.instruction = instruction

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


def user_location() -> Location | None:
    """The innermost frame that is not this package's own, or None if there is none."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # inspect's takes 20x as long
    while frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return Location(frame.f_code, frame.f_lasti)
