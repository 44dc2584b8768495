"""How a node looks: a card with what it is called, its value and its gradient.

Scalars show both numbers; tensors a thumbnail and the norm of each. A card can be read aloud: it
has a title and a description.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from chainrule.explain.formulas import number
from chainrule.explain.graph import Node
from chainrule.explain.story import Record, Value
from chainrule.explain.summary import Summary
from chainrule.explain.thumbnails import data_uri

__all__ = ["GLYPHS", "Card", "card_of", "shape_text", "spoken"]

GLYPHS = {
    "add": "+", "sub": "-", "mul": "×", "div": "÷", "neg": "-", "matmul": "@", "pow": "^",
    "pow_number": "^", "square": "²", "sqrt": "√", "sum": "Σ", "exp": "eˣ", "log": "ln",
    "reciprocal": "1/x", "abs": "|x|", "sin": "sin", "cos": "cos", "tanh": "tanh",
    "maximum": "max", "minimum": "min", "mean": "mean", "prod": "Π", "sigmoid": "σ",
}  # fmt: skip
"""What stands in the circle of an op that has a sign of its own."""

RADIUS = 15.0
CHARACTER = 7.9  # the width of one, in a title
WIDE = 224.0
FRAME = (96.0, 64.0)
LISTED = 4
"""So many parameters of a folded module are listed."""


@dataclass(frozen=True, slots=True)
class Card:
    """A node, drawn with its top left corner at the origin.

    Attributes:
        element: the SVG group.
        width, height: its size.
        badge: whether an op's sign stands on its near edge, for edges to end at.
    """

    element: ET.Element
    width: float
    height: float
    badge: bool


def shape_text(summary: Summary) -> str:
    """A shape for people: `8×6×28×28`."""
    return "×".join(map(str, summary.shape)) or "scalar"


def spoken(record: Record, node: Node) -> str:
    """What a screen reader says of a node."""
    value = record.values[node.value]
    parts = [f"{_kind(record, node)} {_title(record, node)}"]
    for what, summary in (("value", value.summary), ("gradient", value.gradient)):
        if summary is not None:
            number_ = summary.scalar
            told = (
                f"of shape {shape_text(summary)}, norm {number(summary.norm)}"
                if number_ is None
                else number(number_)
            )
            parts.append(f"{what} {told}")
    return ", ".join(parts)


def card_of(record: Record, node: Node, *, right: bool = True) -> Card:
    """Draw a node.

    Args:
        record: what it is a node of.
        node: the node.
        right: whether edges come from the left, rather than from above.
    """
    value = record.values[node.value]
    scalar = value.summary.scalar is not None and not (node.call is not None and node.held)
    width, height = _size(record, node, value, scalar, right)
    kind = "module" if node.call is not None else "step" if node.step is not None else "source"
    group = ET.Element(
        "g",
        {
            "class": f"cr-node cr-{kind} cr-{value.origin}",
            "id": f"cr-{node.id}",
            "role": "graphics-symbol",
            "aria-label": spoken(record, node),
        },
    )
    _add(group, "title", {}, f"{_kind(record, node)} {_title(record, node)}")
    _add(group, "desc", {}, _described(record, node))
    card = {"class": "cr-card", "width": _f(width), "height": _f(height), "rx": "9"}
    _add(group, "rect", card)
    title = _cut(_title(record, node), width - (44 if node.call is not None else 20))
    glyph = _glyph(record, node)
    indent = 8.0 if glyph and right else 0.0
    x = width / 2 + indent / 2 if scalar else 12.0 + indent
    middle = {"text-anchor": "middle"} if scalar else {}
    top = 21.0 + (9.0 if glyph and not right else 0.0)
    _text(group, "cr-title cr-mono", x, top, title, **middle)
    if scalar:
        _scalar_rows(group, value, width, top, indent)
    else:
        _text(group, "cr-sub", x, top + 16, _subtitle(record, node))
        _tensor_rows(group, value, top + 26)
        _parameters(group, record, node, top + 26 + FRAME[1] + 34)
    if glyph:
        _badge(group, glyph, (0.0, height / 2) if right else (width / 2, 0.0))
    return Card(group, width, height, bool(glyph))


def _size(
    record: Record, node: Node, value: Value, scalar: bool, right: bool
) -> tuple[float, float]:
    raised = 9.0 if _glyph(record, node) and not right else 0.0
    if scalar:
        length = len(_title(record, node)) * CHARACTER
        return min(max(length + 40.0, 128.0), 230.0), 74.0 + raised
    held = len(_held(record, node))
    return WIDE, 71.0 + FRAME[1] + 15.0 * held + (8.0 if held else 0.0) + raised


def _scalar_rows(group: ET.Element, value: Value, width: float, top: float, indent: float) -> None:
    rows = (("value", value.summary, "cr-value"), ("grad", value.gradient, "cr-grad"))
    for index, (label, summary, style) in enumerate(rows):
        if summary is None or summary.scalar is None:
            continue
        row = _add(group, "g", {"class": style})
        y = top + 22 + 18 * index
        _text(row, "cr-label", 12 + indent, y, label)
        _text(row, "cr-number cr-mono cr-end", width - 12, y, number(summary.scalar))


def _tensor_rows(group: ET.Element, value: Value, top: float) -> None:
    rows = (("value", value.summary, "cr-value"), ("grad", value.gradient, "cr-grad"))
    for index, (label, summary, style) in enumerate(rows):
        if summary is None:
            continue
        part = _add(group, "g", {"class": style})
        left = 12.0 + index * (FRAME[0] + 8.0)
        frame = {"x": _f(left), "y": _f(top), "width": _f(FRAME[0]), "height": _f(FRAME[1])}
        _add(part, "rect", {"class": "cr-frame", "rx": "4", **frame})
        if summary.thumbnail is not None:
            _image(part, summary, left, top)
        told = _norm(summary.norm)
        _text(part, "cr-label", left, top + FRAME[1] + 14, label)
        _text(part, "cr-norm cr-mono cr-end", left + FRAME[0], top + FRAME[1] + 14, f"‖{told}‖")


def _image(part: ET.Element, summary: Summary, left: float, top: float) -> None:
    """The thumbnail, as large as fits: pixels stay square, but for a row of numbers."""
    thumbnail = summary.thumbnail
    assert thumbnail is not None
    width, height = FRAME[0] - 6, FRAME[1] - 6
    scale = min(width / thumbnail.columns, height / thumbnail.rows)
    across, down = thumbnail.columns * scale, thumbnail.rows * scale
    down = min(max(down, 10.0 if thumbnail.rows == 1 else 30.0), height)
    across = min(max(across, 10.0 if thumbnail.columns == 1 else 30.0), width)
    _add(
        part,
        "image",
        {
            "class": "cr-image",
            "href": data_uri(thumbnail),
            "x": _f(left + (FRAME[0] - across) / 2),
            "y": _f(top + (FRAME[1] - down) / 2),
            "width": _f(across),
            "height": _f(down),
            "preserveAspectRatio": "none",
            "style": "image-rendering: pixelated",
        },
    )


def _parameters(group: ET.Element, record: Record, node: Node, top: float) -> None:
    """The parameters folded into a module, with their norms."""
    held = _held(record, node)
    if held:
        rule = {"x1": "12", "x2": _f(WIDE - 12), "y1": _f(top - 12), "y2": _f(top - 12)}
        _add(group, "line", {"class": "cr-rule", **rule})
    for index, value in enumerate(held):
        y = top + 2 + 15 * index
        name = value.name.rpartition(".")[2]
        _text(group, "cr-label", 12, y, f"{name} {shape_text(value.summary)}")
        pair = _add(group, "g", {"class": "cr-value"})
        told = _norm(value.summary.norm)
        _text(pair, "cr-norm cr-mono cr-end", WIDE - 72, y, f"‖{told}‖")
        if value.gradient is not None:
            pair = _add(group, "g", {"class": "cr-grad"})
            told = _norm(value.gradient.norm)
            _text(pair, "cr-norm cr-mono cr-end", WIDE - 12, y, f"‖{told}‖")


def _badge(group: ET.Element, glyph: str, at: tuple[float, float]) -> None:
    x, y = at
    circle = {"class": "cr-badge", "cx": _f(x), "cy": _f(y), "r": _f(RADIUS)}
    _add(group, "circle", circle)
    size = {} if len(glyph) < 2 else {"style": f"font-size: {17 - 2.3 * len(glyph):.1f}px"}
    _text(group, "cr-glyph", x, y + 5.2 - 0.5 * (len(glyph) - 1), glyph, **size)


# -- words -------------------------------------------------------------------------------------


def _glyph(record: Record, node: Node) -> str:
    return "" if node.step is None else GLYPHS.get(record.steps[node.step].op, "")


def _title(record: Record, node: Node) -> str:
    if node.call is not None:
        return record.calls[node.call].path
    value = record.values[node.value]
    return value.name


def _norm(value: float) -> str:
    """Two digits that count, or a whole number."""
    return number(round(value)) if 99.5 <= value < 1e5 else number(value, 2)


def _kind(record: Record, node: Node) -> str:
    if node.call is not None:
        return f"module {record.calls[node.call].kind}"
    if node.step is not None:
        return f"result of {record.steps[node.step].op}:"
    return record.values[node.value].origin


def _subtitle(record: Record, node: Node) -> str:
    summary = record.values[node.value].summary
    if node.call is not None:
        what = record.calls[node.call].kind
    elif node.step is not None:
        what = record.steps[node.step].op
    else:
        what = record.values[node.value].origin
    return f"{what}  ·  {shape_text(summary)}"


def _described(record: Record, node: Node) -> str:
    told = [spoken(record, node)]
    if node.step is not None:
        step = record.steps[node.step]
        told.append(step.formula.meaning)
        told += step.formula.derivative
        if step.source is not None and step.source.text:
            told.append(f"line {step.source.line}: {step.source.text}")
    if node.call is not None:
        told.append("ops: " + ", ".join(record.steps[each].op for each in node.steps))
        told += [_listed(record.values[each]) for each in node.held]
    return ". ".join(told)


def _listed(value: Value) -> str:
    grad = "" if value.gradient is None else f", gradient norm {number(value.gradient.norm)}"
    return f"{value.name} {value.summary.type}, norm {number(value.summary.norm)}{grad}"


def _held(record: Record, node: Node) -> list[Value]:
    values = [record.values[each] for each in node.held]
    return [each for each in values if each.origin == "parameter"][:LISTED]


def _cut(text: str, width: float) -> str:
    most = max(int(width / CHARACTER), 4)
    return text if len(text) <= most else text[: most - 1] + "…"


# -- SVG ---------------------------------------------------------------------------------------


def _f(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _add(parent: ET.Element, tag: str, attributes: dict[str, str], text: str = "") -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text or None
    return child


def _text(parent: ET.Element, kind: str, x: float, y: float, text: str, **more: str) -> None:
    attributes = {name.replace("_", "-"): value for name, value in more.items()}
    _add(parent, "text", {"class": kind, "x": _f(x), "y": _f(y), **attributes}, text)
