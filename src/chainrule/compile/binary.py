"""A compiled program as it can be kept in a file: machine code, and where everything goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compile.object_cache import key_of, object_cache
from chainrule.compile.target import Target
from chainrule.core.op import Op
from chainrule.errors import VerifyError
from chainrule.ir.graph import Graph
from chainrule.ir.graph_text import format_graph, format_op, parse_op

if TYPE_CHECKING:
    from chainrule.compile.kernels import Kernels

__all__ = ["Binary", "HostSegment", "NativeSegment", "Place", "compiled_binary"]

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


@dataclass(frozen=True, slots=True)
class Binary:
    """A program without its memory.

    Attributes:
        images: the object files.
        arena_bytes: how much memory it needs of its own.
        small: arguments that are copied into the arena, and where to.
        external: what the table of addresses holds after the arena's: ("argument", 3), ...
        results: where the results are.
        segments: what to run, in order.
        constants: arrays that the code reads.
    """

    images: tuple[bytes, ...]
    arena_bytes: int
    small: tuple[tuple[int, Place], ...]
    external: tuple[tuple[str, int], ...]
    results: tuple[Place, ...]
    segments: tuple[NativeSegment | HostSegment, ...]
    constants: tuple[Array, ...] = ()

    def to_file(self) -> tuple[dict[str, Any], bytes] | None:
        """The facts, for JSON, and all bytes; None where an op of the host is no text."""
        segments = [_segment_listed(each) for each in self.segments]
        if None in segments:
            return None
        facts = {
            "images": [len(each) for each in self.images],
            "constants": [[each.dtype.str, list(each.shape)] for each in self.constants],
            "arena_bytes": self.arena_bytes,
            "small": [[index, _listed(place)] for index, place in self.small],
            "external": [list(each) for each in self.external],
            "results": [_listed(place) for place in self.results],
            "segments": segments,
        }
        arrays = [np.ascontiguousarray(each).tobytes() for each in self.constants]
        return facts, b"".join([*self.images, *arrays])

    @classmethod
    def from_file(cls, facts: Mapping[str, Any], content: bytes) -> Binary:
        """What `to_file` gave.

        Raises:
            KeyError, TypeError, ValueError, VerifyError: it is no such thing.
        """
        parts = _Parts(content)
        images = tuple([parts.take(size) for size in facts["images"]])
        constants = tuple([parts.array(dtype, shape) for dtype, shape in facts["constants"]])
        parts.end()
        return cls(
            images,
            facts["arena_bytes"],
            tuple([(index, _place(listed)) for index, listed in facts["small"]]),
            tuple([(kind, index) for kind, index in facts["external"]]),
            _places(facts["results"]),
            tuple([_segment(listed) for listed in facts["segments"]]),
            constants,
        )


class _Parts:
    """The bytes of a file, from the first to the last."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, size: int) -> bytes:
        part = self._content[self._at : self._at + size]
        if size < 0 or len(part) != size:
            raise ValueError("there is less than it says")
        self._at += size
        return part

    def array(self, dtype: str, shape: Sequence[int]) -> Array:
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        return np.frombuffer(bytearray(self.take(size)), kind).reshape(shape)

    def end(self) -> None:
        if self._at != len(self._content):
            raise ValueError("there is more than it says")


def _listed(place: Place) -> list[Any]:
    return [place.kind, place.at, place.dtype, list(place.shape)]


def _place(listed: Any) -> Place:
    kind, at, dtype, shape = listed
    return Place(kind, at, dtype, tuple(shape))


def _places(listed: Any) -> tuple[Place, ...]:
    return tuple([_place(each) for each in listed])


def _segment_listed(segment: NativeSegment | HostSegment) -> list[Any] | None:
    if isinstance(segment, NativeSegment):
        return [segment.function, segment.parallel, list(segment.flags)]
    try:
        text = format_op(segment.op)
        if parse_op(text) != segment.op:
            return None
    except (VerifyError, TypeError, ValueError):  # its fields are no literals
        return None
    return [text, *([_listed(each) for each in some] for some in (segment.inputs, segment.outputs))]


def _segment(listed: Any) -> NativeSegment | HostSegment:
    first, second, third = listed
    if isinstance(second, bool):
        return NativeSegment(first, second, tuple(third))
    return HostSegment(parse_op(first), _places(second), _places(third))


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
    cache = object_cache() if _is_told_by_its_text(graph) else None
    key = b"" if cache is None else key_of(format_graph(graph), target)
    if cache is not None and not anew:
        found = cache.get(key)
        if found is not None:
            try:
                return Binary.from_file(*found), None
            except (KeyError, TypeError, ValueError, VerifyError):
                cache.remove(key)
    from chainrule.compile.building import build_binary

    binary, kernels = build_binary(graph, target)
    kept = None if cache is None else binary.to_file()
    if cache is not None and kept is not None:
        cache.put(key, *kept)
    return binary, kernels


def _is_told_by_its_text(graph: Graph) -> bool:
    """Whether the ops are this package's: the text has only the names of others."""
    return all(type(node.op).pure for node in graph.nodes)
