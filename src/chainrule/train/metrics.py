"""`metrics.jsonl`: one JSON object a line, for each logging interval and each epoch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from chainrule.data.files import storage_error

__all__ = ["MetricsFile", "read_metrics"]


class MetricsFile:
    """A file of lines that only grows; on resuming, what came after the checkpoint is cut off.

    Args:
        path: the file.
        keep: how many bytes of it belong to the run so far.

    Raises:
        StorageError: it can't be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     metrics = MetricsFile(Path(folder) / "metrics.jsonl")
    ...     metrics.write(step=1, loss=0.5)
    ...     metrics.close()
    ...     read_metrics(metrics.path)
    [{'step': 1, 'loss': 0.5}]
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        self.path = path
        try:
            self._file = path.open("ab")
            self._file.truncate(min(keep, path.stat().st_size))
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise storage_error(path, error) from error

    def write(self, **fields: Any) -> None:
        """Append a line."""
        line = json.dumps({key: _rounded(value) for key, value in fields.items()})
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise storage_error(self.path, error) from error

    def flushed(self) -> int:
        """How many bytes are on the disk, now that they are."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()
        except OSError as error:
            raise storage_error(self.path, error) from error

    def close(self) -> None:
        """Let go of the file; what could not be written was reported before."""
        try:
            self._file.close()
        except OSError:
            pass


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last one that was cut short is left out.

    >>> read_metrics(Path("no such file"))
    []
    """
    if not path.is_file():
        return []
    lines: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
