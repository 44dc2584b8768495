"""Writing a file whole or not at all, and saying in a typed error why it could not be.

A room of its own because the IDX writer and the downloads both end the same way: bytes in a
temporary file of the same folder, flushed to the disk, then renamed over the target.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from chainrule.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["atomic_file", "make_folder", "storage_error"]

_CURES = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some of your quota, or choose a folder on another disk",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
}


def storage_error(path: str | os.PathLike[str], error: OSError) -> StorageError:
    """Translate the operating system's refusal to write `path`.

    >>> raise storage_error("run/x.bin", OSError(28, "No space left on device"))
    Traceback (most recent call last):
        ...
    chainrule.errors.StorageError: run/x.bin: can't be written: No space ...
    """
    reason = error.strerror or type(error).__name__
    cure = _CURES.get(error.errno or 0, "choose another folder")
    return StorageError(f"{path}: can't be written: {reason}", cure=cure, path=str(path))


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        StorageError: it can't be created, or a file is in the way.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folder(Path(folder) / "a" / "b")
    ...     (Path(folder) / "a" / "b").is_dir()
    True
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Generator[IO[bytes]]:
    """Open a binary file that replaces `path` when the block ends well, and vanishes otherwise.

    Raises:
        StorageError: the folder or the disk refuses.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(f"{folder}/x.bin") as file:
    ...         count = file.write(b"whole")
    ...         early = Path(folder, "x.bin").exists()
    ...     early, Path(folder, "x.bin").read_bytes()
    (False, b'whole')
    """
    target = Path(path)
    make_folder(target.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise storage_error(target, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a data file has the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and not isinstance(error, StorageError):
            raise storage_error(target, error) from error
        raise
