"""Ctrl-C: the first lets the step end and saves; the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupted", "Interruption"]


class Interrupted(KeyboardInterrupt):
    """The user stopped a run, which has been saved.

    Attributes:
        signum: which signal it was.
        step: how many steps were done.

    >>> str(Interrupted(2, step=40))
    'stopped after step 40'
    """

    def __init__(self, signum: int, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.signum = signum
        self.step = step


class Interruption:
    """Within the block SIGINT and SIGTERM only leave a note; a second one is a KeyboardInterrupt.

    Python delivers signals to the main thread: in another one, the block changes nothing.

    Args:
        notice: called when the first one comes.

    >>> with Interruption(lambda: print("stopping after this step")) as interruption:
    ...     signal.raise_signal(signal.SIGINT)
    stopping after this step
    >>> interruption.signum == signal.SIGINT
    True
    """

    def __init__(self, notice: Callable[[], None]) -> None:
        self.signum = 0
        self._notice = notice
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.signum:
            raise KeyboardInterrupt
        self.signum = signum
        self._notice()
