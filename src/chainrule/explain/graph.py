"""The graph of a record: what is a node, what is an edge, at any state of folding.

An op and its result are one node; a value that no op made is another. A module that is folded is
one node for all that happened in it, its parameters and constants included.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from chainrule.errors import ConfigError
from chainrule.explain.story import Meeting, Record

__all__ = [
    "Edge",
    "Graph",
    "Node",
    "build_graph",
    "folded_calls",
    "layers_folded",
    "meeting_parts",
]

MOST = 40
"""Above so many nodes, more than the innermost modules are folded at first."""

_HIDDEN = ("parameter", "constant")


@dataclass(frozen=True, slots=True)
class Node:
    """Something to draw.

    Attributes:
        id: `v3`, a value; `s2`, a step and its result; `m1`, a folded module call.
        value: the number of the value it shows: its own, or the module's last result.
        step: the number of the step, if it is one.
        call: the number of the module call, if it is one.
        steps: the numbers of all the steps it stands for.
        within: the numbers of the open module calls around it, from the outermost in.
        held: the numbers of the values that are folded into it.
    """

    id: str
    value: int
    step: int | None = None
    call: int | None = None
    steps: tuple[int, ...] = ()
    within: tuple[int, ...] = ()
    held: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """A value goes from the node that has it to one that uses it.

    Attributes:
        start, end: the nodes' ids.
        value: the value's number.
        step: the number of the step that uses it.
    """

    start: str
    end: str
    value: int
    step: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and edges, in the order in which they came about."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    open_calls: tuple[int, ...]


def build_graph(record: Record, folded: Collection[int]) -> Graph:
    """The graph with these module calls folded, and all others open."""
    chains = [[call.number for call in record.calls_of(step)] for step in record.steps]
    home = [_home(chain, folded) for chain in chains]
    users: dict[int, list[int]] = {}
    for step in record.steps:
        for number in step.inputs:
            users.setdefault(number, []).append(step.number)
    where: dict[int, str] = {}  # a value's node
    held: dict[int, list[int]] = {}
    for value in record.values:
        if value.step is not None:
            call = home[value.step]
            where[value.number] = f"s{value.step}" if call is None else f"m{call}"
            continue
        homes = {home[step] for step in users.get(value.number, ())}
        only = next(iter(homes)) if len(homes) == 1 else None
        if only is not None and value.origin in _HIDDEN:
            where[value.number] = f"m{only}"
            held.setdefault(only, []).append(value.number)
        else:
            where[value.number] = f"v{value.number}"
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str, int], Edge] = {}
    for step in record.steps:
        call = home[step.number]
        chain = chains[step.number]
        within = tuple(chain if call is None else chain[: chain.index(call)])
        here = f"s{step.number}" if call is None else f"m{call}"
        for number in step.inputs:
            start = where[number]
            if start not in nodes and start.startswith("v"):
                nodes[start] = Node(
                    start, number, within=_around(record, users[number], chains, number)
                )
            if start != here:
                edges.setdefault((start, here, number), Edge(start, here, number, step.number))
        known = nodes.get(here)
        steps = (*(known.steps if known else ()), step.number)
        nodes[here] = Node(
            here,
            step.outputs[0],
            step=step.number if call is None else None,
            call=call,
            steps=steps,
            within=within,
            held=tuple(held.get(call, ())) if call is not None else (),
        )
    shown = {number for node in nodes.values() for number in node.within}
    return Graph(tuple(nodes.values()), tuple(edges.values()), tuple(sorted(shown)))


def _home(chain: list[int], folded: Collection[int]) -> int | None:
    """The outermost folded call that a step is in."""
    return next((number for number in chain if number in folded), None)


def _around(
    record: Record, users: list[int], chains: list[list[int]], number: int
) -> tuple[int, ...]:
    """The calls that all users of a parameter are in; anything else comes from outside."""
    if record.values[number].origin not in _HIDDEN:
        return ()
    shared = chains[users[0]]
    for step in users[1:]:
        same = [a for a, b in zip(shared, chains[step], strict=False) if a == b]
        shared = shared[: len(same)]
    return tuple(shared)


def layers_folded(record: Record) -> frozenset[int]:
    """What is folded at first: the innermost modules, and more of them where that is too much."""
    outer = {call.outer for call in record.calls}
    depth: list[int] = []
    for call in record.calls:
        depth.append(0 if call.outer is None else depth[call.outer] + 1)
    leaves = frozenset(call.number for call in record.calls if call.number not in outer)
    if len(build_graph(record, leaves).nodes) <= MOST:
        return leaves
    for level in range(max(depth, default=0), -1, -1):
        deep = frozenset(n for n, d in enumerate(depth) if d >= level) | leaves
        if len(build_graph(record, deep).nodes) <= MOST or level == 1:
            return deep
    return leaves


def folded_calls(record: Record, fold: bool | Collection[str]) -> frozenset[int]:
    """The module calls that a `fold` argument names.

    Raises:
        ConfigError: a path that no module has, or nothing of that kind.
    """
    if fold is True:
        return layers_folded(record)
    if fold is False:
        return frozenset()
    if not isinstance(cast(object, fold), Collection):
        raise ConfigError(
            f"graph: fold is {fold!r}",
            cure="pass True, False, or the paths of the modules to show as one node",
        )
    asked = {fold} if isinstance(fold, str) else set(fold)
    unknown = sorted(asked - {call.path for call in record.calls})
    if unknown:
        paths = sorted({call.path for call in record.calls})
        raise ConfigError(
            f"graph: no module is called {unknown[0]!r}",
            cure=f"fold some of {', '.join(paths)}" if paths else "there are no modules to fold",
        )
    return frozenset(call.number for call in record.calls if call.path in asked)


def meeting_parts(record: Record) -> dict[tuple[int, int], float | None]:
    """Where gradients meet: by value and step, the number that this path brought, if it is one."""
    parts: dict[tuple[int, int], float | None] = {}
    for event in record.back:
        if isinstance(event, Meeting):
            for step, gradient in event.parts:
                parts[event.value, step] = gradient.scalar
    return parts
