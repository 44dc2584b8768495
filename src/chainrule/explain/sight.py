"""Looking out of an op at the user's code: which line, in which module, and what things are called.

Nothing in the library says so: the call stack does. It is looked at only while a story is recorded.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple, cast

import chainrule
from chainrule.core.base import is_tensor
from chainrule.core.location import current_frame
from chainrule.explain.story import Source
from chainrule.nn.module import Module

__all__ = ["Sight", "look", "tensors_in", "user_frame", "variable"]

_PACKAGE = os.path.dirname(os.path.abspath(chainrule.__file__)) + os.sep
_CALL = Module.__call__.__code__
AROUND = 3
"""How many lines before and after the user's are kept."""

_MEMBERS = 100
"""Lists longer than this are not searched for tensors that have no name of their own."""


class Sight(NamedTuple):
    """What stands around an op.

    Attributes:
        source: the user's line.
        frame: the frame it is in.
        direct: whether the user's line itself ran the op, with no module between.
        modules: the frames of the module calls under way, from the outermost in, each with the
            user's frame that called it.
        rooms: the parts of this package that were gone through.
    """

    source: Source | None
    frame: FrameType | None
    direct: bool
    modules: tuple[tuple[FrameType, FrameType | None], ...]
    rooms: frozenset[str]

    def passes(self, *rooms: str) -> bool:
        """Whether it came through one of these parts of the package."""
        return any(room.startswith(rooms) for room in self.rooms)


def look(depth: int = 1) -> Sight:
    """Look from here up to the outermost frame."""
    frame: FrameType | None = current_frame(depth)
    innermost: FrameType | None = None
    direct = True
    modules: list[list[FrameType | None]] = []
    rooms: set[str] = set()
    while frame is not None:
        filename = frame.f_code.co_filename
        if filename.startswith(_PACKAGE):
            rooms.add(filename[len(_PACKAGE) :])
            if frame.f_code is _CALL:
                modules.append([frame, None])
                direct = direct and innermost is not None
        else:
            innermost = innermost or frame
            if modules and modules[-1][1] is None:
                modules[-1][1] = frame
        frame = frame.f_back
    calls: Any = tuple((call, caller) for call, caller in reversed(modules))
    source = None if innermost is None else _source(innermost.f_code, innermost.f_lasti)
    return Sight(source, innermost, direct, calls, frozenset(rooms))


def user_frame() -> FrameType | None:
    """The innermost frame that is not this package's."""
    frame: FrameType | None = current_frame(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame


@lru_cache(4096)
def _source(code: CodeType, instruction: int) -> Source:
    """The place in the source of one instruction."""
    place = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    first, last, start, end = place
    line = first or code.co_firstlineno
    lines = linecache.getlines(code.co_filename)
    near = range(max(line - AROUND, 1), min(line + AROUND, len(lines)) + 1)
    expression = ""
    if first and last and start is not None and end is not None and last <= len(lines):
        raw = "".join(lines[first - 1 : last]).encode()
        tail = len(lines[last - 1].encode()) - end
        expression = " ".join(raw[start : len(raw) - tail].decode(errors="replace").split())
    return Source(
        file=code.co_filename,
        line=line,
        text=lines[line - 1].strip() if line <= len(lines) else "",
        function="" if code.co_name == "<module>" else code.co_name,
        expression=expression,
        around=tuple((number, lines[number - 1].rstrip("\n")) for number in near),
    )


def tensors_in(names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tensors among variables, in lists and dictionaries, and in objects' attributes."""
    for name, held in list(names.items()):
        if name.startswith("__"):
            continue
        for label, each in _members(name, held):
            if is_tensor(each):
                yield label, each


def _members(name: str, held: Any) -> Iterator[tuple[str, Any]]:
    """What a variable holds: itself, its elements, or what it is made of."""
    if is_tensor(held):
        yield name, held
    elif isinstance(held, (list, tuple)):
        elements = cast("Sequence[Any]", held)[:_MEMBERS]
        yield from ((f"{name}[{index}]", each) for index, each in enumerate(elements))
    elif isinstance(held, dict):
        entries = islice(cast("dict[Any, Any]", held).items(), _MEMBERS)
        yield from ((f"{name}[{key!r}]", each) for key, each in entries)
    elif name == "self" and not isinstance(held, Module):
        yield from islice(getattr(held, "__dict__", {}).items(), _MEMBERS)


def variable(frame: FrameType | None, wanted: object) -> str:
    """What an object is called where a frame is; "" where it has no name there."""
    if frame is None:
        return ""
    for names in (frame.f_locals, frame.f_globals):
        for name, held in list(names.items()):
            if held is wanted and not name.startswith("_"):
                return name
    holder = frame.f_locals.get("self")
    for name, held in getattr(holder, "__dict__", {}).items():
        if held is wanted:
            return name
    return ""
