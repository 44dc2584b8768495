"""A compiled program as it can be kept in a file: machine code, and where everything goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from chainrule.compile.kernels import Kernels, Planned, plan_kernels
from chainrule.compile.lowering import Guard, Host
from chainrule.compile.machine_code import assemble
from chainrule.compile.module_text import external_buffers, write_module
from chainrule.compile.object_cache import key_of, object_cache
from chainrule.compile.target import Target
from chainrule.compile.views import View
from chainrule.core.op import Op
from chainrule.ir.graph import Graph
from chainrule.ir.graph_text import format_graph

__all__ = ["Binary", "Place", "compiled_binary", "segment_functions"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """An array's place: in the arena, at an offset in bytes, or at an entry of the table."""

    kind: str
    at: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NativeSegment:
    """Kernels that run without a pause.

    Attributes:
        function: the name of their function.
        parallel: whether some of the work is for several threads.
        flags: offsets of the bytes that are 0 where a guard has stopped it.
    """

    function: str
    parallel: bool
    flags: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HostSegment:
    """An op that NumPy carries out."""

    op: Op
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    reason: str
    location: str


@dataclass(frozen=True, slots=True)
class Binary:
    """A program without its memory.

    Attributes:
        image: the object file.
        arena_bytes: how much memory it needs of its own.
        small: arguments that are copied into the arena, and where to.
        external: what the table of addresses holds after the arena's: ("argument", 3), ...
        results: where the results are.
        segments: what to run, in order.
        constants: arrays that the code reads.
    """

    image: bytes
    arena_bytes: int
    small: tuple[tuple[int, Place], ...]
    external: tuple[tuple[str, int], ...]
    results: tuple[Place, ...]
    segments: tuple[NativeSegment | HostSegment, ...]
    constants: tuple[Array, ...] = ()

    def to_json(self) -> dict[str, Any] | None:
        """All but the image; None where it holds what JSON does not (ops, arrays)."""
        native = [each for each in self.segments if isinstance(each, NativeSegment)]
        if self.constants or len(native) < len(self.segments):
            return None
        return {
            "arena_bytes": self.arena_bytes,
            "small": [[index, _listed(place)] for index, place in self.small],
            "external": [list(each) for each in self.external],
            "results": [_listed(place) for place in self.results],
            "segments": [[each.function, each.parallel, list(each.flags)] for each in native],
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], image: bytes) -> Binary:
        """What `to_json` gave, and the image."""
        return cls(
            image,
            facts["arena_bytes"],
            tuple([(index, _place(listed)) for index, listed in facts["small"]]),
            tuple([(kind, index) for kind, index in facts["external"]]),
            tuple([_place(listed) for listed in facts["results"]]),
            tuple([NativeSegment(name, p, tuple(flags)) for name, p, flags in facts["segments"]]),
        )


def _listed(place: Place) -> list[Any]:
    return [place.kind, place.at, place.dtype, list(place.shape)]


def _place(listed: Any) -> Place:
    kind, at, dtype, shape = listed
    return Place(kind, at, dtype, tuple(shape))


def compiled_binary(
    graph: Graph, target: Target, *, anew: bool = False
) -> tuple[Binary, Kernels | None]:
    """The program of a graph: from the cache if it is there, else made, and put there.

    Args:
        graph: the graph.
        target: the processor.
        anew: don't take what is in the cache.

    Returns:
        the program, and how it was made if it was.
    """
    cache = object_cache()
    key = key_of(format_graph(graph), target)
    if cache is not None and not anew:
        found = cache.get(key)
        if found is not None:
            try:
                return Binary.from_json(found[0], found[1]), None
            except (KeyError, TypeError, ValueError):
                cache.remove(key)
    kernels = plan_kernels(graph, target)
    text = write_module(kernels, segment_functions(kernels), target)
    binary = _binary(kernels, assemble(text, target))
    facts = binary.to_json()
    if cache is not None and facts is not None:
        cache.put(key, cast("dict[str, Any]", json.loads(json.dumps(facts))), binary.image)
    return binary, kernels


def segment_functions(kernels: Kernels) -> list[tuple[str, list[Planned | Guard]]]:
    """The native segments and the names of their functions."""
    return [
        (f"segment{index}", segment)
        for index, segment in enumerate(kernels.segments)
        if not isinstance(segment, Host)
    ]


def _binary(kernels: Kernels, image: bytes) -> Binary:
    buffers, offsets = kernels.lowered.buffers, kernels.offsets
    external = external_buffers(kernels)

    def place(view: View) -> Place:
        dtype, shape = view.dtype.numpy.str, view.shape
        if view.buffer in offsets:
            return Place("arena", offsets[view.buffer], dtype, shape)
        buffer = buffers[view.buffer]
        return Place(buffer.kind, buffer.index, dtype, shape)

    segments: list[NativeSegment | HostSegment] = []
    for index, segment in enumerate(kernels.segments):
        if isinstance(segment, Host):
            inputs, outputs = map(place, segment.inputs), map(place, segment.outputs)
            segments.append(
                HostSegment(
                    segment.op, tuple(inputs), tuple(outputs), segment.reason, segment.location
                )
            )
            continue
        parallel = any(isinstance(s, Planned) and bool(s.schedule.split) for s in segment)
        flags = tuple([offsets[s.flag] for s in segment if isinstance(s, Guard)])
        segments.append(NativeSegment(f"segment{index}", parallel, flags))
    small = [
        (
            buffer.index,
            Place(
                "arena",
                offsets[name],
                buffer.dtype.numpy.str,
                kernels.graph.arguments[buffer.index].type.shape,
            ),
        )
        for name, buffer in buffers.items()
        if buffer.kind == "argument" and name in offsets
    ]
    return Binary(
        image,
        kernels.arena_bytes,
        tuple(small),
        tuple([(buffers[name].kind, buffers[name].index) for name in external]),
        tuple([place(view) for view in kernels.lowered.results]),
        tuple(segments),
        tuple(kernels.lowered.constants),
    )
