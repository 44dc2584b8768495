"""Where nodes stand and how edges run: a layered layout, by fast-sugiyama.

The library orders nodes in layers so that few edges cross, and leads long edges around what stands
between. It knows points only: how large nodes are is dealt with here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chainrule.errors import ConfigError, MissingDependencyError

__all__ = ["Layout", "place"]

GAP, LABELLED_GAP = 56.0, 88.0
"""Between layers; and where numbers stand at edges."""

SIDE_GAP = 22.0
"""Between the nodes of one layer."""

MARGIN = 28.0
SHORT = 7
"""So many layers still go to the right; more go down."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is.

    Attributes:
        centres: each node's.
        paths: for each edge, the points it goes through between the two nodes' centres.
        width, height: of it all.
        right: whether it runs to the right, rather than down.
    """

    centres: Mapping[str, Point]
    paths: Mapping[tuple[str, str], tuple[Point, ...]]
    width: float
    height: float
    right: bool


def place(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    direction: str = "auto",
    *,
    labelled: bool = False,
) -> Layout:
    """Lay out a graph without cycles.

    Args:
        sizes: each node's width and height.
        edges: from, to.
        direction: "right", "down", or "auto".
        labelled: whether numbers stand at edges.

    Raises:
        ConfigError: another direction.
        MissingDependencyError: fast-sugiyama is not installed.
    """
    if direction not in ("auto", "right", "down"):
        raise ConfigError(
            f"graph: direction is {direction!r}", cure='pass "right", "down" or "auto"'
        )
    names = list(sizes)
    ranks, chains = _layers(names, edges)
    layers = 1 + int(max((rank for rank, _ in ranks.values()), default=0))
    right = direction == "right" or (direction == "auto" and layers <= SHORT)
    along, across = (0, 1) if right else (1, 0)
    thick: list[float] = [0.0] * layers
    for name in names:
        rank = int(ranks[name][0])
        thick[rank] = max(thick[rank], sizes[name][along])
    starts = _starts(thick, LABELLED_GAP if labelled and right else GAP)
    unit = max((size[across] for size in sizes.values()), default=0.0) + SIDE_GAP
    low = min((place for _, place in ranks.values()), default=0.0)

    def point(rank: float, place: float) -> Point:
        first, size = starts[round(rank)]
        main, cross = first + size / 2, (place - low) * unit
        return (main, cross) if right else (cross, main)

    centres = {name: point(*ranks[name]) for name in names}
    paths = {ends: tuple(point(*at) for at in chain) for ends, chain in chains.items()}
    return _moved(sizes, centres, paths, right)


def _layers(
    names: list[str], edges: Sequence[tuple[str, str]]
) -> tuple[dict[str, Point], dict[tuple[str, str], list[Point]]]:
    """For each node its layer and its place in it; for each edge those it goes through."""
    linked = {name for pair in edges for name in pair}
    apart = [name for name in names if name not in linked]
    names = [name for name in names if name in linked]  # above them, the library numbers bends
    numbers = {name: index for index, name in enumerate(names)}
    pairs = tuple(dict.fromkeys((numbers[a], numbers[b]) for a, b in edges))
    ranks: dict[str, Point] = {}
    chains: dict[tuple[str, str], list[Point]] = {}
    edge = 0.0
    for positions, links in _solved(pairs):
        top = max(y for _, (_, y) in positions)  # the library counts layers upwards
        left = min(x for _, (x, _) in positions)
        at = {node: (float(round(top - y)), edge + x - left) for node, (x, y) in positions}
        edge = max(place for _, place in at.values()) + 1
        ranks |= {names[node]: where for node, where in at.items() if node < len(names)}
        for a, b, bends in _unbroken(links, len(names)):
            chains[names[a], names[b]] = [at[bend] for bend in bends]
    for name in apart:
        ranks[name] = (0, edge)
        edge += 1
    return ranks, chains


Component = tuple[list[tuple[int, Point]], list[tuple[int, int]]]
"""The nodes and bends of a connected part, each with its place; and the edges between them."""


def _solved(pairs: tuple[tuple[int, int], ...]) -> list[Component]:
    try:
        from fast_sugiyama import from_edges
    except ImportError as error:
        raise MissingDependencyError(
            "drawing a graph needs fast-sugiyama", cure="pip install 'chainrule[explain]'"
        ) from error
    return _solve(from_edges, pairs) if pairs else []


@lru_cache(64)
def _solve(from_edges: Callable[..., Any], pairs: tuple[tuple[int, int], ...]) -> list[Component]:
    """Let the library lay out a graph of points, one apart from the other."""
    found = from_edges(list(pairs), vertex_spacing=1, dummy_vertices=True, ranking_type="minimize")
    return [(list(positions), list(links or pairs)) for positions, _, _, links in found]


def _unbroken(links: list[tuple[int, int]], nodes: int) -> Iterator[tuple[int, int, list[int]]]:
    """Each edge from node to node, with the bends it goes through: their numbers are `nodes` up."""
    after: dict[int, list[int]] = {}
    for a, b in links:
        after.setdefault(a, []).append(b)
    for a in [each for each in after if each < nodes]:
        for b in after[a]:
            bends: list[int] = []
            while b >= nodes:
                bends.append(b)
                b = after[b][0]
            yield a, b, bends


def _starts(thick: list[float], gap: float) -> list[tuple[float, float]]:
    """Where each layer begins, and how thick it is."""
    starts: list[tuple[float, float]] = []
    begin = 0.0
    for each in thick:
        starts.append((begin, each))
        begin += each + gap
    return starts


def _moved(
    sizes: Mapping[str, tuple[float, float]],
    centres: dict[str, Point],
    paths: dict[tuple[str, str], tuple[Point, ...]],
    right: bool,
) -> Layout:
    """The same, moved so that all of it is inside the margins."""
    if not centres:
        return Layout({}, {}, 2 * MARGIN, 2 * MARGIN, right)
    left = min(x - sizes[n][0] / 2 for n, (x, _) in centres.items()) - MARGIN
    top = min(y - sizes[n][1] / 2 for n, (_, y) in centres.items()) - MARGIN
    width = max(x + sizes[n][0] / 2 for n, (x, _) in centres.items()) - left + MARGIN
    height = max(y + sizes[n][1] / 2 for n, (_, y) in centres.items()) - top + MARGIN
    return Layout(
        {name: (x - left, y - top) for name, (x, y) in centres.items()},
        {ends: tuple((x - left, y - top) for x, y in path) for ends, path in paths.items()},
        width,
        height,
        right,
    )
