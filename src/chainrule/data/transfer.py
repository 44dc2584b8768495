"""Downloading one published file: mirrors, resume, digests, and an atomic end.

The bytes go to `NAME.part` beside the target, under a lock, so two processes that want the same
file fetch it once; the finished file appears by a rename, and only if its size and digests are the
publisher's. What breaks half-way is continued from where it broke, at the next mirror if need be.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import IO, TYPE_CHECKING, Any

from chainrule.data.files import make_folder, storage_error
from chainrule.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from chainrule.data.catalog import RemoteFile

    Progress = Callable[[str, int, int], None]

__all__ = ["download"]

_CHUNK = 1 << 16
_ATTEMPTS = 3  # tries of one mirror, each going on where the last one broke


class _Setback(Exception):
    """Why one attempt ended, and whether what has arrived is worth keeping."""

    def __init__(self, reason: str, *, keep: bool) -> None:
        super().__init__(reason)
        self.keep = keep


def download(
    remote: RemoteFile,
    folder: Path,
    *,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """Fetch `remote` into `folder` and return its path; a file that is there already is kept.

    Args:
        remote: what to fetch, and from where.
        folder: made if it is missing.
        progress: called with (name, bytes so far, bytes in all) as they arrive.
        timeout: seconds without a byte after which an attempt is given up.

    Raises:
        DownloadError: every mirror failed; the message lists why.
        StorageError: the disk is full or the folder can't be written. What has arrived stays in
            `NAME.part`, and the next call goes on from there.
    """
    target = folder / remote.name
    make_folder(folder)
    setbacks: list[str] = []
    with _exclusive(folder, remote.name) as part:
        for url in remote.urls:
            if target.exists():
                break
            for _ in range(_ATTEMPTS):
                try:
                    _attempt(remote, url, part, progress, timeout)
                    _finish(remote, part, target)
                    break
                except _Setback as setback:
                    setbacks.append(f"{url}: {setback}")
                    if not setback.keep:
                        _empty(part)
                        break
    if not target.exists():
        raise DownloadError(
            f"{remote.name} could not be downloaded:\n  " + "\n  ".join(dict.fromkeys(setbacks)),
            cure="check the network, or put the file into the folder by hand",
            name=remote.name,
            urls=remote.urls,
        )
    return target


@contextlib.contextmanager
def _exclusive(folder: Path, name: str) -> Generator[Path]:
    """The path of the partial file, which no other process touches meanwhile."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows: each process has a partial file of its own
        yield folder / f"{name}.{os.getpid()}.part"
        return
    lock = folder / f".{name}.lock"
    try:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise storage_error(lock, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder / f"{name}.part"
    finally:
        os.close(handle)


def _attempt(
    remote: RemoteFile, url: str, part: Path, progress: Progress | None, timeout: float
) -> None:
    """Append to `part` what it still lacks of the file."""
    have = part.stat().st_size if part.exists() else 0
    if have > remote.size:
        _empty(part)
        have = 0
    if have == remote.size:
        return
    with _open(url, have, timeout) as response:
        start = _start(response, have, remote.size)
        try:
            file = part.open("ab")
        except OSError as error:
            raise storage_error(part, error) from error
        with _closing(file, part):
            _write(file, part, b"", start)
            _receive(remote, response, file, part, start, progress)


def _receive(
    remote: RemoteFile,
    response: Any,
    file: IO[bytes],
    part: Path,
    done: int,
    progress: Progress | None,
) -> None:
    while True:
        # One byte more than is due shows a file that is too long, without taking all of it.
        data = _read(response, min(_CHUNK, remote.size - done + 1))
        if not data:
            break
        done += len(data)
        if done > remote.size:
            raise _Setback(f"sent more than the expected {remote.size} bytes", keep=False)
        _write(file, part, data, None)
        if progress is not None:
            progress(remote.name, done, remote.size)
    if done < remote.size:
        raise _Setback(f"broke off after {done} of {remote.size} bytes", keep=True)


@contextlib.contextmanager
def _open(url: str, have: int, timeout: float) -> Generator[Any]:
    """The server's answer; `have` bytes are asked to be left out."""
    import http.client
    import urllib.error
    import urllib.request

    headers = {"User-Agent": "chainrule", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        with error:
            # 416: the server finds nothing beyond what we have, so ours is not its file.
            raise _Setback(f"HTTP {error.code} {error.reason}", keep=error.code != 416) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _Setback(f"{type(error).__name__}: {reason}", keep=True) from error
    with response:
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise _Setback(f"redirected to an insecure address, {response.url}", keep=True)
        yield response


def _start(response: Any, have: int, size: int) -> int:
    """Where the answer's first byte belongs: a server may ignore the Range it was sent."""
    if response.status != 206:
        return 0
    span = response.headers.get("Content-Range", "")
    if not span.startswith(f"bytes {have}-") or span.rpartition("/")[2] not in (str(size), "*"):
        raise _Setback(f"answered with the wrong range, {span!r}", keep=False)
    return have


def _read(response: Any, count: int) -> bytes:
    import http.client

    try:
        return response.read(count)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Setback(f"{type(error).__name__}: {error}", keep=True) from error


def _write(file: IO[bytes], part: Path, data: bytes, start: int | None) -> None:
    try:
        if start is not None:
            file.truncate(start)
        file.write(data)
    except OSError as error:
        raise storage_error(part, error) from error


@contextlib.contextmanager
def _closing(file: IO[bytes], part: Path) -> Generator[None]:
    """Close `file`, saying in a typed error when the last buffered bytes find no room."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()
        raise
    try:
        file.close()
    except OSError as error:
        raise storage_error(part, error) from error


def _finish(remote: RemoteFile, part: Path, target: Path) -> None:
    """Check the digests and give the file its name."""
    md5 = hashlib.md5(usedforsecurity=False)
    sha256 = hashlib.sha256()
    with part.open("rb") as file:
        while data := file.read(1 << 20):
            md5.update(data)
            sha256.update(data)
        for digest, expected in ((md5, remote.md5), (sha256, remote.sha256)):
            if expected and digest.hexdigest() != expected:
                found = digest.hexdigest()
                raise _Setback(f"{digest.name.upper()} is {found}, expected {expected}", keep=False)
        os.fsync(file.fileno())
    try:
        os.replace(part, target)
    except OSError as error:
        raise storage_error(target, error) from error


def _empty(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(part, error) from error
