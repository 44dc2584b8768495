"""The files of this room: templates that are read, and pages and pictures that are written."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from chainrule.errors import StorageError

__all__ = ["template", "write_whole"]


@cache
def template(name: str) -> str:
    """A template that comes with the package.

    >>> template("graph.css").startswith(".cr-paper")
    True
    """
    return (files("chainrule.explain") / "pages" / name).read_text(encoding="utf-8")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        StorageError: it can't be written there.
    """
    try:
        _write(path, data)
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {error.strerror or error}",
            cure="give a file in a folder that you may write to",
        ) from error


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
