"""Keep freed memory at hand: a training step frees and takes the same arrays, over and over.

By default glibc gives a large array back to the system when it is freed, and the next one of the
same size is mapped in again, page by page, each page a fault. On an MLP with 784 inputs that was a
fifth of an epoch's time (docs/decisions/0008-freed-memory-is-kept.md). So blocks below 32 MB come
from the heap, and up to 64 MB of it stay when they are free. Other C libraries are left as they
are, and so is a process whose environment sets glibc's own MALLOC_* variables.
"""

from __future__ import annotations

import os
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of parameters in <malloc.h>


def keep_freed_memory(blocks_below: int = 32 << 20, at_most: int = 64 << 20) -> bool:
    """Ask glibc's allocator to keep what is freed; whether it agreed.

    Args:
        blocks_below: blocks of fewer bytes than this come from the heap.
        at_most: bytes that stay at the heap's end when they are free.
    """
    if not sys.platform.startswith("linux"):
        return False
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    import ctypes  # NumPy has loaded it already

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, blocks_below) and mallopt(_TRIM_THRESHOLD, at_most))
