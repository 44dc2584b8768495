"""What the commands share in talking to a terminal: the console, and downloads' progress."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

__all__ = ["Downloads", "bar", "blocks", "console"]

_BLOCK = " ░▒▓█"


def console() -> Console:
    """Standard output, as wide as it is; where it is no terminal, plain text."""
    return Console(highlight=False)


class Downloads:
    """Shows downloads while they last: a bar each; nothing where nothing is downloaded.

    Call it with (file name, bytes so far, bytes in all), as `chainrule.data` does.
    """

    def __init__(self, screen: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=screen,
            transient=True,
        )
        self._screen = screen
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tasks:
            self._progress.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Bytes have come."""
        if name not in self._tasks:
            if not self._tasks and self._screen.is_terminal:
                self._progress.start()
            elif not self._screen.is_terminal:
                self._screen.print(f"downloading {name}, {total / 1e6:.1f} MB", markup=False)
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done)


def blocks(picture: Any) -> str:
    """A picture [28, 28] of bytes as text: each character is two pixels, one above the other."""
    rows = picture.astype(float)
    pairs = (rows[0::2] + rows[1::2]) / 2
    levels = (pairs / 255 * (len(_BLOCK) - 1) + 0.5).astype(int)
    return "\n".join("".join(_BLOCK[level] for level in row) for row in levels)


def bar(part: float, width: int = 24) -> str:
    """A part of 1 as a bar of blocks, to an eighth of a character."""
    eighths = round(part * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
