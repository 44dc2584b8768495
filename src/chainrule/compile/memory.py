"""Where in the arena each buffer is: those that are never in use at once may share their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Life", "plan"]

ALIGN = 64  # bytes: a cache line, and the widest vector


@dataclass(frozen=True, slots=True)
class Life:
    """How long a buffer is in use.

    Attributes:
        name: the buffer.
        size: in bytes.
        first: the step that writes to it first.
        last: the step that uses it last.
    """

    name: str
    size: int
    first: int
    last: int


def plan(lives: Sequence[Life]) -> tuple[dict[str, int], int]:
    """Offsets of the buffers, and the size of the arena: the largest first, each as low as it fits.

    >>> plan([Life("a", 64, 0, 1), Life("b", 128, 1, 2), Life("c", 64, 2, 3)])
    ({'b': 0, 'a': 128, 'c': 128}, 192)
    """
    placed: list[tuple[int, int, Life]] = []
    offsets: dict[str, int] = {}
    total = 0
    for life in sorted(lives, key=lambda each: -each.size):
        size = -(-life.size // ALIGN) * ALIGN
        start = 0
        for begin, end, other in sorted(placed, key=lambda each: each[0]):
            apart = other.last < life.first or life.last < other.first
            if not apart and begin < start + size and start < end:
                start = end
        placed.append((start, start + size, life))
        offsets[life.name] = start
        total = max(total, start + size)
    return offsets, total
