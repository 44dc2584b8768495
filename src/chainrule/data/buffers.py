"""Memory for batches, used again once nobody holds it.

A batch of pictures is larger than what the C allocator keeps for itself: each new one would be
memory fresh from the system, and touching it costs more than the arithmetic done in it. So a few
buffers are kept, and one is handed out again when its reference count says that the last array,
view or Tensor over it is gone. Nothing that is still reachable is ever written to.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np

__all__ = ["fresh"]

Array = np.ndarray[Any, Any]

_KEPT = 4  # the batch in hand, the one before it, the one being made, and one to spare
_SMALLEST = 1 << 14  # bytes; below it the allocator is quick
_LARGEST = 1 << 26  # bytes; above it keeping four is a waste
_LINE = 64  # bytes in a cache line
_ONLY_OURS = 4  # the list's entry, its array, the loop's variable and getrefcount's argument
_KINDS = 8  # shapes and dtypes remembered: full and last batches of a few loaders

# Without the interpreter's lock a reference count says nothing of other threads.
_COUNTS = getattr(sys, "_is_gil_enabled", lambda: True)() and hasattr(sys, "getrefcount")


class _Kept(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[tuple[tuple[int, ...], Any], list[tuple[Array, Array]]] = {}


_kept = _Kept()


def fresh(shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialised array that shares memory with nothing reachable.

    >>> fresh((2, 3), np.float32).shape
    (2, 3)
    """
    kept = _kept.buffers.get((shape, dtype))
    if kept is None:
        kept = _room_for(shape, dtype)
        if kept is None:
            return np.empty(shape, dtype)
    for memory, array in kept:
        if sys.getrefcount(memory) == _ONLY_OURS:
            return array[...]
    memory, array = _aligned(shape, dtype)
    kept.append((memory, array))
    if len(kept) > _KEPT:
        del kept[0]
    return array[...]


def _room_for(shape: tuple[int, ...], dtype: Any) -> list[tuple[Array, Array]] | None:
    """A new list for buffers of this kind, or None where keeping them would not help."""
    size = np.dtype(dtype).itemsize * math.prod(shape)
    if not _COUNTS or not _SMALLEST <= size <= _LARGEST:
        return None
    if len(_kept.buffers) >= _KINDS:
        _kept.buffers.clear()
    return _kept.buffers.setdefault((shape, dtype), [])


def _aligned(shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """Memory and an array in it that begins on a cache line: wide stores that straddle two lines
    cost double. Every view of the array refers to the memory, which is what is counted.
    """
    size = np.dtype(dtype).itemsize * math.prod(shape)
    memory = np.empty(size + _LINE, np.uint8)
    return memory, np.ndarray(shape, dtype, memory, -memory.ctypes.data % _LINE)
