"""Machine code in pieces: while one text is still being written, others are compiled already.

LLVM takes as long for a program as all that comes before it. It needs no Python meanwhile, so
threads of their own hand it the texts, each with a context and a code generator to itself. Where
there is but one core, all is compiled at the end.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from types import TracebackType

from chainrule.compile.machine_code import assemble_apart
from chainrule.compile.target import LLVM_LOCK, Target

__all__ = ["Assembling"]

_MOST = 3
"""Threads beside the one that writes: more would wait for Python's lock more than they work."""

# A worker is inside LLVM only while it holds its lock, and a fork waits for all of them; what no
# worker has taken up by then is done in the child by the thread that forked.
_AT_WORK = [threading.Lock() for _ in range(_MOST)]


def _hold() -> None:
    for lock in _AT_WORK:
        lock.acquire()


def _let_go() -> None:
    for lock in _AT_WORK:
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)


class Assembling:
    """Compiles texts, in the order in which they are added, as soon as there is a core for it.

    Args:
        target: the processor.
        workers: threads beside this one.

    >>> from chainrule.compile.target import host_target
    >>> with Assembling(host_target(), workers=1) as assembling:
    ...     assembling.add("define i64 @six() { ret i64 6 }")
    ...     assembling.add("define i64 @two() { ret i64 2 }")
    ...     len(assembling.images())
    2
    """

    def __init__(self, target: Target, *, workers: int) -> None:
        self._target = target
        self._wanted = min(workers, _MOST)
        self._texts: deque[tuple[int, str]] = deque()
        self._count = 0
        self._images: dict[int, bytes] = {}
        self._problem: BaseException | None = None
        self._come = threading.Semaphore(0)
        self._workers: list[threading.Thread] = []

    def __enter__(self) -> Assembling:
        LLVM_LOCK.acquire()  # it is this program's turn, its workers' included
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._texts.clear()
            self._send_home()
        finally:
            LLVM_LOCK.release()

    def add(self, text: str) -> None:
        """A module to compile."""
        self._texts.append((self._count, text))
        self._count += 1
        if len(self._workers) < self._wanted:
            self._start()
        self._come.release()

    def images(self) -> list[bytes]:
        """The object files, once all of them are there.

        Raises:
            ChainruleError: LLVM does not accept a text.
        """
        while self._texts and self._problem is None:
            self._next()
        self._send_home()
        if self._problem is not None:
            raise self._problem
        return [self._images[number] for number in range(self._count)]

    def _start(self) -> None:
        index = len(self._workers)
        worker = threading.Thread(target=self._work, args=(_AT_WORK[index],), daemon=True)
        try:
            worker.start()
        except RuntimeError:  # the system, or an interpreter that is ending, gives no threads
            self._wanted = index
        else:
            self._workers.append(worker)

    def _work(self, lock: threading.Lock) -> None:
        while True:
            self._come.acquire()
            with lock:
                if not self._next():
                    return

    def _next(self) -> bool:
        """Compile the text that has waited longest; False where there is none."""
        try:
            number, text = self._texts.popleft()
        except IndexError:
            return False
        try:
            self._images[number] = assemble_apart(text, self._target)
        except BaseException as error:
            self._problem = error
            self._texts.clear()
        return True

    def _send_home(self) -> None:
        for _ in self._workers:
            self._come.release()
        for worker in self._workers:
            worker.join()
        self._workers.clear()
