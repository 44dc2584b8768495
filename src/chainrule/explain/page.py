"""Pages that need nothing but themselves: the walk, and the graph that folds and unfolds.

What is shown is handed over as data; the pages in `pages/` know how to show it. Graphs are laid out
here, once for each state of folding that can be reached by a click.
"""

from __future__ import annotations

import json
import math
import os
import xml.etree.ElementTree as ET
from collections.abc import Collection
from pathlib import Path
from typing import Any

from chainrule.errors import ConfigError
from chainrule.explain.cards import shape_text, spoken
from chainrule.explain.drawing import Picture, picture_of
from chainrule.explain.files import template, write_whole
from chainrule.explain.formulas import number
from chainrule.explain.graph import layers_folded
from chainrule.explain.story import Meeting, Pull, Record, Step
from chainrule.explain.summary import Summary
from chainrule.explain.thumbnails import data_uri
from chainrule.explain.walk import Frame, frames_of

__all__ = ["graph_page", "save_walk", "walk_page"]

STATES = 48
"""The most states of folding that a page holds: past that, all is open or all is folded."""

TABLE = 8
"""A matrix of at most so many rows and columns is shown number by number."""


def save_walk(record: Record, path: str | os.PathLike[str]) -> None:
    """Write the walk's page. See `Story.save`."""
    target = Path(path)
    if target.suffix.lower() != ".html":
        raise ConfigError(
            f"save: the walk is a page, and {target.name!r} is none",
            cure="end it in .html; a picture is saved by story.graph().save(...)",
        )
    write_whole(target, walk_page(record).encode())


def walk_page(record: Record) -> str:
    """The walk as one page of HTML."""
    data = _Data(record)
    frames = [data.frame(frame) for frame in frames_of(record)]
    told: dict[str, Any] = {
        "frames": frames,
        "sources": data.sources,
        "graph": data.graph(layers_folded(record)),
        "tensors": data.tensors,
        "images": data.images,
        "left_out": record.left_out,
    }
    return _filled("walk", told)


def graph_page(record: Record, folded: Collection[int], direction: str = "auto") -> str:
    """The graph as one page of HTML."""
    return _filled("graph_page", {"graph": _Data(record).graph(folded, direction)})


def _filled(name: str, told: dict[str, Any]) -> str:
    """A page with its style, its script and its data put in."""
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )
    page = template(f"{name}.html")
    style = "".join(template(each) for each in ("colors.css", "graph.css", "page.css"))
    script = template("graph.js") + template(f"{name}.js")
    for mark, what in (("/*style*/", style), ("/*script*/", script), ("/*data*/", text)):
        page = page.replace(mark, what, 1)
    return page


class _Data:
    """A record as plain data. What appears often (pictures, sources) is in it once.

    Attributes:
        tensors: what is shown of each array.
        images: thumbnails, as addresses.
        sources: places in the user's code.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.tensors: list[dict[str, Any]] = []
        self.images: list[str] = []
        self.sources: list[dict[str, Any]] = []
        self._tensor_of: dict[int, int] = {}
        self._image_of: dict[str, int] = {}
        self._source_of: dict[Any, int] = {}
        self._users: dict[int, Step] = {}
        for step in reversed(record.steps):
            for value in step.inputs:
                self._users[value] = step
        self._gains = _gains(record)

    # -- frames -------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> dict[str, Any]:
        """One moment of the walk."""
        record = self.record
        step = None if frame.step is None else record.steps[frame.step]
        return {
            "kind": frame.kind,
            "title": frame.title,
            "about": frame.about,
            "formula": frame.formula,
            "parts": [
                {
                    "title": part.title,
                    "rule": part.rule,
                    "lines": part.lines,
                    "signs": part.signs,
                    "exhibits": [
                        {"label": each.label, "role": each.role, "of": self.tensor(each.summary)}
                        for each in part.exhibits
                    ],
                }
                for part in frame.parts
            ],
            "calls": [] if step is None else [str(call) for call in record.calls_of(step)],
            "source": None if step is None else self.source(step),
            "lit": self._lit(frame),
            "seen": frame.seen,
            "gains": self._gains.get((frame.kind, frame.event), ()),
        }

    def _lit(self, frame: Frame) -> list[str]:
        """The ids of the nodes a frame may be about: the first that is shown is the one."""
        record = self.record
        if frame.value is None:
            return []
        value = record.values[frame.value]
        step = record.steps[value.step] if value.step is not None else self._users.get(value.number)
        own = f"v{value.number}" if value.step is None else f"s{value.step}"
        calls = [] if step is None else [f"m{each.number}" for each in record.calls_of(step)]
        return [own, *reversed(calls)]

    def source(self, step: Step) -> int | None:
        """The number of a place in the code."""
        source = step.source
        if source is None or not source.text:
            return None
        if source not in self._source_of:
            self._source_of[source] = len(self.sources)
            self.sources.append(
                {
                    "file": Path(source.file).name,
                    "line": source.line,
                    "expression": source.expression,
                    "around": source.around or ((source.line, source.text),),
                }
            )
        return self._source_of[source]

    def tensor(self, summary: Summary) -> int:
        """The number of an array's description."""
        if id(summary) in self._tensor_of:
            return self._tensor_of[id(summary)]
        told: dict[str, Any] = {"type": summary.type, "shape": shape_text(summary)}
        rows = _rows(summary)
        if summary.scalar is not None:
            told["scalar"] = number(summary.scalar)
        elif rows is not None:
            told["rows"] = rows
            most = max(abs(summary.least), abs(summary.greatest))
            told["most"] = most if math.isfinite(most) else 0
        else:
            told |= self._described(summary)
        self._tensor_of[id(summary)] = len(self.tensors)
        self.tensors.append(told)
        return len(self.tensors) - 1

    def _described(self, summary: Summary) -> dict[str, Any]:
        told: dict[str, Any] = {
            "facts": [
                ["norm", number(summary.norm)],
                ["range", f"{number(summary.least, 3)} … {number(summary.greatest, 3)}"],
                ["mean", f"{number(summary.mean, 3)} ± {number(summary.deviation, 3)}"],
                ["zeros", f"{summary.zeros / max(summary.size, 1):.0%}"],
            ]
        }
        if summary.broken:
            told["facts"].append(["not finite", str(summary.broken)])
        if summary.histogram is not None:
            told["bars"] = summary.histogram.counts
        thumbnail = summary.thumbnail
        if thumbnail is not None:
            uri = data_uri(thumbnail)
            self._image_of.setdefault(uri, len(self._image_of))
            if len(self._image_of) > len(self.images):
                self.images.append(uri)
            told["image"] = [self._image_of[uri], thumbnail.columns, thumbnail.rows]
        return told

    # -- the graph ----------------------------------------------------------------------------

    def graph(self, folded: Collection[int], direction: str = "auto") -> dict[str, Any]:
        """Every node that may be shown, and where it stands at each state of folding."""
        record = self.record
        everything = frozenset(range(len(record.calls)))
        base = _open(record, folded)
        right = picture_of(record, everything - base, direction).right
        told: dict[str, Any] = {
            "nodes": {},
            "states": {},
            "calls": [[call.path, call.kind, call.outer] for call in record.calls],
        }
        for key, opened in _states(record, base).items():
            way = "right" if right else "down"
            picture = picture_of(record, everything - opened, way)
            told["states"][key] = self._state(picture, told["nodes"])
            told["states"][key]["open"] = sorted(opened)
        return told

    def _state(self, picture: Picture, nodes: dict[str, Any]) -> dict[str, Any]:
        for node in picture.graph.nodes:
            if node.id not in nodes:
                card = picture.cards[node.id]
                card.element.attrib.pop("transform", None)
                nodes[node.id] = {
                    "svg": ET.tostring(card.element, encoding="unicode"),
                    "value": node.value,
                    "call": node.call,
                    "width": card.width,
                    "height": card.height,
                    "within": node.within,
                    "name": spoken(self.record, node),
                }
        return {
            "width": round(picture.width),
            "height": round(picture.height),
            "right": picture.right,
            "at": {name: [round(x), round(y)] for name, (x, y) in picture.places.items()},
            "edges": [
                [c.edge.start, c.edge.end, c.curve, c.label, *map(round, c.middle), c.edge.value]
                for c in picture.curves
            ],
            "hulls": [[h.call, *map(round, (h.x, h.y, h.width, h.height))] for h in picture.hulls],
        }


def _rows(summary: Summary) -> list[list[str]] | None:
    """The numbers as rows of text, if they are few enough to be read."""
    numbers = summary.numbers
    if numbers is None or not numbers.size or not 0 < numbers.ndim <= 2:
        return None
    if max(numbers.shape) > TABLE:
        return None
    return [[number(float(x), 3) for x in row] for row in numbers.reshape(-1, numbers.shape[-1])]


def _gains(record: Record) -> dict[tuple[str, int | None], list[int]]:
    """By kind and number of an event, the values whose gradient is complete from then on."""
    meets = {(event.back, event.value) for event in record.back if isinstance(event, Meeting)}
    gains: dict[tuple[str, int | None], list[int]] = {}
    for event in record.back:
        if isinstance(event, Pull):
            whole = [p.value for p in event.passages if (event.back, p.value) not in meets]
            gains["back", event.number] = [*record.steps[event.step].outputs, *whole]
        else:
            gains["meeting", event.number] = [event.value]
    return gains


# -- folding -----------------------------------------------------------------------------------


def _open(record: Record, folded: Collection[int]) -> frozenset[int]:
    """The calls that are open: neither they nor any call around them is folded."""
    opened: set[int] = set()
    for call in record.calls:
        if call.number not in folded and (call.outer is None or call.outer in opened):
            opened.add(call.number)
    return frozenset(opened)


def _states(record: Record, base: frozenset[int]) -> dict[str, frozenset[int]]:
    """What a reader can get to: each state's name, and the calls that are open in it."""
    if not record.calls:
        return {"base": base}
    everything = frozenset(range(len(record.calls)))
    states = {"base": base, "all": everything, "none": frozenset[int]()}
    single: dict[str, frozenset[int]] = {}
    for call in record.calls:
        around: set[int] = {call.number}
        outer = call.outer
        while outer is not None:
            around.add(outer)
            outer = record.calls[outer].outer
        if call.number in base:
            inside = {c.number for c in record.calls if _is_inside(record, c.number, call.number)}
            single[f"-{call.number}"] = base - inside
        else:
            single[f"+{call.number}"] = base | around
    return states if len(single) > STATES else states | single


def _is_inside(record: Record, number: int | None, outer: int) -> bool:
    while number is not None:
        if number == outer:
            return True
        number = record.calls[number].outer
    return False
