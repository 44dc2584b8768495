"""A graph drawn: nodes laid out, edges between them, as SVG, and from that as a page or a PNG."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from chainrule.errors import ConfigError, MissingDependencyError
from chainrule.explain.cards import RADIUS, Card, card_of
from chainrule.explain.files import template, write_whole
from chainrule.explain.formulas import number
from chainrule.explain.graph import Edge, Graph, build_graph, folded_calls, meeting_parts
from chainrule.explain.layout import Layout, Point, place
from chainrule.explain.story import Record

__all__ = ["Curve", "Drawing", "Hull", "Picture", "draw", "picture_of", "style_of", "to_svg"]

SVG = "http://www.w3.org/2000/svg"
THEMES = ("auto", "light", "dark")
PIXELS = 1 << 27
"""The most of a PNG: four bytes each, 512 MiB in all."""

HULL = 16.0
"""How far the frame around an open module is from what is in it."""

PORT = 12.0
"""How far edges that end at one node are apart."""


@dataclass(frozen=True, slots=True)
class Curve:
    """An edge as a curve; its label, if it has one, stands at `middle`."""

    edge: Edge
    curve: str
    middle: Point
    label: str


@dataclass(frozen=True, slots=True)
class Hull:
    """The frame around an open module."""

    call: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph with everything in its place, before it becomes SVG.

    Attributes:
        graph: the graph.
        cards: each node's card, by its id.
        places: where each card's top left corner is.
        curves: the edges.
        hulls: the open modules, the outermost first.
        width, height: of it all.
        right: whether it runs to the right, rather than down.
    """

    graph: Graph
    cards: dict[str, Card]
    places: dict[str, Point]
    curves: tuple[Curve, ...]
    hulls: tuple[Hull, ...]
    width: float
    height: float
    right: bool


@dataclass(frozen=True)
class Drawing:
    """A drawn graph. A notebook shows it; `save` writes it.

    Attributes:
        svg: the picture as SVG text.
    """

    svg: str = field(repr=False)
    record: Record = field(repr=False)
    folded: frozenset[int] = field(repr=False)
    direction: str = "auto"
    theme: str = "auto"

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str], *, scale: float = 2.0) -> None:
        """Write the picture; it appears whole or not at all.

        Args:
            path: ends in `.svg`; in `.html`, for a page on which modules fold and unfold; or in
                `.png`, whose text needs a font that is installed (DejaVu, if it is there).
            scale: pixels of a PNG per unit of the drawing.

        Raises:
            ConfigError: it ends in something else, or the PNG would have too many pixels.
            MissingDependencyError: a PNG needs resvg-py, which is not installed.
            StorageError: it can't be written there.
        """
        target = Path(path)
        if target.suffix.lower() == ".svg":
            write_whole(target, self.svg.encode())
        elif target.suffix.lower() == ".png":
            theme = "light" if self.theme == "auto" else self.theme
            picture = picture_of(self.record, self.folded, self.direction)
            _check_pixels(picture, scale)
            write_whole(target, _rendered(to_svg(self.record, picture, theme), scale))
        elif target.suffix.lower() == ".html":
            from chainrule.explain.page import graph_page

            write_whole(target, graph_page(self.record, self.folded, self.direction).encode())
        else:
            raise ConfigError(
                f"save: {target.name!r} has no ending that says what to write",
                cure="end it in .svg, .html or .png",
            )


def draw(record: Record, *, fold: bool | Collection[str], direction: str, theme: str) -> Drawing:
    """Draw the graph of a record. See `Story.graph`."""
    if theme not in THEMES:
        raise ConfigError(f"graph: theme is {theme!r}", cure='pass "light", "dark" or "auto"')
    folded = folded_calls(record, fold)
    picture = picture_of(record, folded, direction)
    return Drawing(to_svg(record, picture, theme), record, folded, direction, theme)


# -- from nodes to places ----------------------------------------------------------------------


def picture_of(record: Record, folded: Collection[int], direction: str = "auto") -> Picture:
    """Lay out the graph with these module calls folded."""
    graph = build_graph(record, folded)
    ends = [(edge.start, edge.end) for edge in graph.edges]
    cards = {node.id: card_of(record, node) for node in graph.nodes}
    labelled = any(part is not None for part in meeting_parts(record).values())
    layout = place(_sizes(cards), ends, direction, labelled=labelled)
    if not layout.right:
        cards = {node.id: card_of(record, node, right=False) for node in graph.nodes}
        layout = place(_sizes(cards), ends, "down")
    places = {
        name: (x - cards[name].width / 2, y - cards[name].height / 2)
        for name, (x, y) in layout.centres.items()
    }
    curves = tuple(_curves(record, graph, cards, layout))
    hulls = tuple(_hulls(graph, cards, places))
    return Picture(graph, cards, places, curves, hulls, layout.width, layout.height, layout.right)


def _sizes(cards: dict[str, Card]) -> dict[str, tuple[float, float]]:
    return {name: (card.width, card.height) for name, card in cards.items()}


def _curves(record: Record, graph: Graph, cards: dict[str, Card], layout: Layout) -> list[Curve]:
    """The edges; those that end at one node end side by side, in the order they come from."""
    across = 1 if layout.right else 0
    parts = meeting_parts(record)
    arriving: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        arriving.setdefault(edge.end, []).append(edge)
    curves: list[Curve] = []
    for edges in arriving.values():
        edges.sort(key=lambda edge: _before(edge, layout)[across])
        for index, edge in enumerate(edges):
            spread = (index - (len(edges) - 1) / 2) * PORT
            points = _points(edge, cards, layout, spread)
            part = parts.get((edge.value, edge.step))
            middle = points[len(points) // 2 - 1 : len(points) // 2 + 1]
            curves.append(
                Curve(
                    edge,
                    _smooth(points, layout.right),
                    ((middle[0][0] + middle[1][0]) / 2, (middle[0][1] + middle[1][1]) / 2),
                    "" if part is None else number(part),
                )
            )
    return curves


def _before(edge: Edge, layout: Layout) -> Point:
    """The last point of an edge before its end."""
    path = layout.paths.get((edge.start, edge.end), ())
    return path[-1] if path else layout.centres[edge.start]


def _points(edge: Edge, cards: dict[str, Card], layout: Layout, spread: float) -> list[Point]:
    """Where an edge goes through, from one card's edge to the other's."""
    (x0, y0), (x1, y1) = layout.centres[edge.start], layout.centres[edge.end]
    start, end = cards[edge.start], cards[edge.end]
    through = layout.paths.get((edge.start, edge.end), ())
    gap = RADIUS + 4 if end.badge else 5.0
    if end.badge:  # around the circle: the further out, the further back
        spread = max(-RADIUS + 2, min(RADIUS - 2, spread))
        gap = (RADIUS**2 - spread**2) ** 0.5 + 5
    if layout.right:
        first, last = (x0 + start.width / 2, y0), (x1 - end.width / 2 - gap, y1 + spread)
    else:
        first, last = (x0, y0 + start.height / 2), (x1 + spread, y1 - end.height / 2 - gap)
    return [first, *through, last]


def _smooth(points: list[Point], right: bool) -> str:
    """A curve through points that leaves and arrives along the layout's direction."""
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        if right:
            bend = (x1 - x0) / 2
            text += f"C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        else:
            bend = (y1 - y0) / 2
            text += f"C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}"
    return text


def _hulls(graph: Graph, cards: dict[str, Card], places: dict[str, Point]) -> list[Hull]:
    """Frames around open modules, but for those that would enclose what is not theirs."""
    hulls: list[Hull] = []
    for call in graph.open_calls:
        inside = [node.id for node in graph.nodes if call in node.within]
        if len(inside) == 1:
            continue  # the node says whose it is
        depth = max(node.within[::-1].index(call) for node in graph.nodes if call in node.within)
        margin = HULL - 4 + 8 * depth
        left = min(places[n][0] for n in inside) - margin
        top = min(places[n][1] for n in inside) - margin - 12
        right = max(places[n][0] + cards[n].width for n in inside) + margin
        bottom = max(places[n][1] + cards[n].height for n in inside) + margin
        strangers = [
            name
            for name, (x, y) in places.items()
            if name not in inside
            and x < right
            and x + cards[name].width > left
            and y < bottom
            and y + cards[name].height > top
        ]
        if not strangers:
            hulls.append(Hull(call, left, top, right - left, bottom - top))
    return hulls


# -- from places to SVG ------------------------------------------------------------------------


def style_of(theme: str) -> str:
    """The drawing's style sheet: with colours that follow the reader's system, or with one set."""
    colors, rules = template("colors.css"), template("graph.css")
    if theme == "auto":
        return colors + rules
    light, _, dark = colors.partition("@media")
    values = dict(re.findall(r"--([\w-]+): ([^;]+);", dark if theme == "dark" else light))
    rules = re.sub(r"var\(--([\w-]+)\)", lambda name: values[name[1]], rules)
    return re.sub(
        r"^[^{}\n]+(?=\{)", lambda rule: _scoped(rule[0], f".cr-{theme}"), rules, flags=re.M
    )


def _scoped(selectors: str, scope: str) -> str:
    """The same rule for one theme only: two drawings may stand on one page, each in its own."""
    parts = (each.strip() for each in selectors.split(","))
    return ", ".join(
        scope + each.removeprefix(".cr-graph")
        if each.startswith(".cr-graph")
        else f"{scope} {each}"
        for each in parts
    )


def to_svg(record: Record, picture: Picture, theme: str = "auto") -> str:
    """The picture as SVG text that needs nothing else."""
    width, height = f"{picture.width:.0f}", f"{picture.height:.0f}"
    root = ET.Element(
        "svg",
        {
            "xmlns": SVG,
            "class": "chainrule cr-graph" if theme == "auto" else f"cr-graph cr-{theme}",
            "viewBox": f"0 0 {width} {height}",
            "width": width,
            "height": height,
            "style": "max-width: 100%; height: auto",  # on a page that is narrower
            "role": "graphics-document",
            "aria-roledescription": "computation graph",
            "aria-labelledby": "cr-name cr-about",
        },
    )
    ET.SubElement(root, "title", {"id": "cr-name"}).text = "Computation graph"
    ET.SubElement(root, "desc", {"id": "cr-about"}).text = _about(record, picture)
    ET.SubElement(root, "style").text = style_of(theme)
    definitions = ET.SubElement(root, "defs")
    marker = ET.SubElement(
        definitions,
        "marker",
        {
            "id": "cr-tip",
            "viewBox": "0 0 8 8",
            "refX": "6",
            "refY": "4",
            "markerWidth": "10",
            "markerHeight": "10",
            "markerUnits": "userSpaceOnUse",
            "orient": "auto",
        },
    )
    ET.SubElement(marker, "path", {"class": "cr-arrow", "d": "M0 0L8 4L0 8Z"})
    ET.SubElement(root, "rect", {"class": "cr-paper", "width": width, "height": height})
    for hull in picture.hulls:
        _draw_hull(root, record, hull)
    for curve in picture.curves:
        _draw_curve(root, curve)
    for name, (x, y) in picture.places.items():
        element = picture.cards[name].element
        element.set("transform", f"translate({x:.1f} {y:.1f})")
        root.append(element)
    return ET.tostring(root, encoding="unicode")


def _about(record: Record, picture: Picture) -> str:
    """What a screen reader says of the whole."""
    return (
        f"{len(record.steps)} operations in {len(picture.graph.nodes)} nodes. Each node shows a "
        "value and the gradient of the result with respect to it."
    )


def _draw_hull(root: ET.Element, record: Record, hull: Hull) -> None:
    call = record.calls[hull.call]
    group = ET.SubElement(root, "g", {"class": "cr-group", "role": "presentation"})
    box = {"x": hull.x, "y": hull.y, "width": hull.width, "height": hull.height, "rx": 12}
    ET.SubElement(group, "rect", {name: f"{value:.1f}" for name, value in box.items()})
    at = {"x": f"{hull.x + 12:.1f}", "y": f"{hull.y + 16:.1f}"}
    ET.SubElement(group, "text", at).text = str(call)


def _draw_curve(root: ET.Element, curve: Curve) -> None:
    edge = curve.edge
    group = ET.SubElement(root, "g", {"class": "cr-link", "role": "presentation"})
    line = {"class": "cr-edge", "d": curve.curve, "marker-end": "url(#cr-tip)"}
    ET.SubElement(group, "path", {**line, "data-from": edge.start, "data-to": edge.end})
    if curve.label:
        x, y = curve.middle
        at = {"class": "cr-part cr-mono", "x": f"{x:.1f}", "y": f"{y - 4:.1f}"}
        ET.SubElement(group, "text", at).text = curve.label


def _check_pixels(picture: Picture, scale: float) -> None:
    """Refuse what has no pixels, or more than the renderer can hold: it would end the process."""
    width, height = picture.width * scale, picture.height * scale
    if not (width >= 1 and height >= 1):
        raise ConfigError(f"save: the scale is {scale}", cure="pass a scale such as 2.0")
    if width * height > PIXELS:
        raise ConfigError(
            f"save: the PNG would have {width:.0f} × {height:.0f} pixels",
            cure="save it as .svg or .html, fold modules, or pass a smaller scale",
        )


def _rendered(svg: str, scale: float) -> bytes:
    """SVG text as a PNG file."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise MissingDependencyError(
            "a graph as PNG needs resvg-py", cure="pip install 'chainrule[explain]'"
        ) from error
    return bytes(
        svg_to_bytes(
            svg_string=svg,
            zoom=scale,
            monospace_family="DejaVu Sans Mono",
            sans_serif_family="DejaVu Sans",
            image_rendering="optimize_speed",
        )
    )
