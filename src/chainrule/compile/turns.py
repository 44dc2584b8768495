"""`Turns`: one thread after the other; and never one thread twice, for that would wait for ever."""

from __future__ import annotations

import threading

from chainrule.errors import CompileError

__all__ = ["Turns"]


class Turns:
    """A lock for what a signal's handler may ask for again amid its own use.

    Python runs a handler between two steps of the main thread, whatever that holds. A plain lock
    would then wait for itself; this one says what is wrong.

    Args:
        what: what there are turns of.

    Raises:
        CompileError: on entering, where this thread is inside already.

    >>> turns = Turns("a program")
    >>> with turns:
    ...     with turns:
    ...         pass
    Traceback (most recent call last):
    chainrule.errors.CompileError: a program is running in this thread already...
    """

    __slots__ = ("_inside", "_lock", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        # Of the kind that its holder may take again: a handler that comes before `_inside` is set,
        # or after, finds nothing begun, and runs whole.
        self._lock = threading.RLock()
        self._inside = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._inside:
            self._lock.release()
            raise CompileError(
                f"{self._what} is running in this thread already: a signal's handler has called it "
                "amid a call",
                cure="let the handler set a flag, and call it when the call has returned",
            )
        self._inside = True

    def __exit__(self, *problem: object) -> None:
        self._inside = False
        self._lock.release()
