"""Compiled programs kept on the disk, so that the next process need not compile them.

Each program is one file, named by the digest of all that its machine code depends on: the text, the
processor, LLVM's version and ours. Machine code is run as it is read, so a file counts only if it
is whole, is the one that was asked for, and lies where nobody else can write. Whatever is wrong
with the cache, the program is compiled anew: at worst it takes longer, and says so once.

    magic, format | sizes of meta and payload | key | digest of both | meta (JSON) | payload
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import stat
import struct
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from chainrule.compile.machine_code import assemble, llvm_versions, load
from chainrule.compile.target import Target
from chainrule.errors import ChainruleError, StorageError

if TYPE_CHECKING:
    from chainrule.compile.machine_code import Library

__all__ = [
    "ENVIRONMENT",
    "CacheInfo",
    "ObjectCache",
    "Statistics",
    "compile_cached",
    "key_of",
    "object_cache",
]

ENVIRONMENT = "CHAINRULE_CACHE"
_OFF = "off"
_MAGIC = b"chainrul"
_FORMAT = 1
_HEADER = struct.Struct("<8sIIQ32s32s")
_SUFFIX, _UNFINISHED = ".program", ".unfinished-"
_MOST_META, _MOST_PAYLOAD = 1 << 26, 1 << 28
_LIMIT = 512 << 20
_HOUR = 3600.0


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds.

    Attributes:
        folder: where it is; it need not exist.
        programs: how many programs it holds.
        size: their bytes in all.
        limit: the bytes above which the oldest are removed.
    """

    folder: Path
    programs: int
    size: int
    limit: int


@dataclass
class Statistics:
    """What a cache did in this process: the programs found and not found, and the seconds."""

    hits: int = 0
    misses: int = 0
    seconds_loading: float = 0.0
    seconds_compiling: float = 0.0


class ObjectCache:
    """A folder of compiled programs, of this user and no other.

    Args:
        folder: where; it is made when the first program is put there.
        limit: bytes above which the programs unused for longest are removed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = ObjectCache(Path(folder) / "compiled")
    ...     key = key_of("some text")
    ...     before = cache.get(key)
    ...     kept = cache.put(key, {"results": 2}, b"machine code")
    ...     before, kept, cache.get(key)
    (None, True, ({'results': 2}, b'machine code'))
    """

    def __init__(self, folder: Path, limit: int = _LIMIT) -> None:
        self.folder = folder
        self.limit = limit
        self.statistics = Statistics()
        self._warned: set[str] = set()
        self._trusted: bool | None = None  # None: not yet looked at
        self._size: int | None = None

    def get(self, key: bytes) -> tuple[dict[str, Any], bytes] | None:
        """What was put under a key, or None.

        A file that is damaged, or is another's, is removed with a warning.
        """
        path = self._path(key)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | _NO_LINKS), "rb") as file:
                if not self._is_safe():
                    return None
                found, problem = _read(file, key)
                used = os.fstat(file.fileno()).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._warn("folder", f"{path} can't be read: {error.strerror}")
            return None
        if found is None:
            self.remove(key)
            self._warn(path.name, f"{path} {problem}: it is thrown away, and compiled again")
        elif time.time() - used > _HOUR:
            _quietly(os.utime, path)  # the oldest go first, and this one is in use
        return found

    def put(self, key: bytes, meta: Mapping[str, Any], payload: bytes) -> bool:
        """Keep a program; whether it could be kept.

        The file appears whole or not at all, whoever else writes the same one.
        """
        described = json.dumps(meta).encode()
        if len(described) > _MOST_META or len(payload) > _MOST_PAYLOAD or self._trusted is False:
            return False
        digest = hashlib.sha256(described + payload).digest()
        header = _HEADER.pack(_MAGIC, _FORMAT, len(described), len(payload), key, digest)
        path = self._path(key)
        draft = path.with_name(f"{_UNFINISHED}{os.getpid()}-{os.urandom(6).hex()}")
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if not self._is_safe():
                return False
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(header + described + payload)
            os.replace(draft, path)
        except OSError as error:
            _quietly(os.unlink, draft)
            reason = error.strerror or type(error).__name__
            self._warn("folder", f"compiled programs can't be kept in {self.folder}: {reason}")
            return False
        self._make_room(len(header) + len(described) + len(payload))
        return True

    def remove(self, key: bytes) -> None:
        """Forget one program."""
        _quietly(os.unlink, self._path(key))

    def info(self) -> CacheInfo:
        """What is there."""
        sizes = [entry.size for entry in self._entries()]
        return CacheInfo(self.folder, len(sizes), sum(sizes), self.limit)

    def clear(self) -> CacheInfo:
        """Remove all programs; gives what was there.

        Raises:
            StorageError: some can't be removed.
        """
        before = self.info()
        for entry in self._entries(unfinished=True):
            try:
                entry.path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(
                    f"{entry.path} can't be removed: {error.strerror}",
                    cure="remove the folder as the user who owns it",
                    path=str(entry.path),
                ) from error
        self._size = None
        return before

    def _path(self, key: bytes) -> Path:
        return self.folder / f"{key.hex()}{_SUFFIX}"

    def _entries(self, *, unfinished: bool = False) -> Iterator[_Entry]:
        """The files that are the cache's own."""
        try:
            with os.scandir(self.folder) as listing:
                for file in listing:
                    draft = file.name.startswith(_UNFINISHED)
                    if (file.name.endswith(_SUFFIX) or (draft and unfinished)) and file.is_file(
                        follow_symlinks=False
                    ):
                        facts = file.stat(follow_symlinks=False)
                        yield _Entry(Path(file.path), facts.st_size, facts.st_mtime, draft)
        except OSError:  # there is no folder, or a file went while we looked
            return

    def _make_room(self, added: int) -> None:
        """Remove what has not been used for longest, once there is more than the limit."""
        self._size = self.info().size if self._size is None else self._size + added
        if self._size <= self.limit:
            return
        entries = sorted(self._entries(unfinished=True), key=lambda entry: entry.used)
        size = sum(entry.size for entry in entries)
        for entry in entries:
            young = time.time() - entry.used < _HOUR
            if entry.is_draft and young:  # somebody is writing it
                continue
            if entry.is_draft or size > self.limit * 9 // 10:
                _quietly(os.unlink, entry.path)
                size -= entry.size
        self._size = size

    def _is_safe(self) -> bool:
        """Whether the folder is this user's own: machine code that another wrote is never run."""
        if self._trusted is None:
            problem = _intruder(self.folder)
            self._trusted = not problem
            if problem:
                self._warn("trust", f"compiled programs are not kept in {self.folder}: {problem}")
        return self._trusted

    def _warn(self, subject: str, text: str) -> None:
        if subject not in self._warned:
            self._warned.add(subject)
            warnings.warn(text, RuntimeWarning, stacklevel=3)


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    used: float
    is_draft: bool


_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def _read(file: Any, key: bytes) -> tuple[tuple[dict[str, Any], bytes] | None, str]:
    """The meta and the payload of a file, or why it has none. No more is read than is believed."""
    facts = os.fstat(file.fileno())
    if not stat.S_ISREG(facts.st_mode):
        return None, "is no file"
    if _is_others(facts):
        return None, "is another user's, or can be written by one"
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None, "is cut off"
    magic, version, meta_size, size, found_key, digest = _HEADER.unpack(header)
    if magic != _MAGIC or version != _FORMAT:
        return None, "is no compiled program of this version"
    if found_key != key:
        return None, "is another program than its name says"
    if meta_size > _MOST_META or size > _MOST_PAYLOAD:
        return None, "claims to be larger than any program"
    if facts.st_size != _HEADER.size + meta_size + size:
        return None, "is cut off, or has more in it than it says"
    content = file.read(meta_size + size)
    if hashlib.sha256(content).digest() != digest:
        return None, "is damaged"
    try:
        meta = json.loads(content[:meta_size])
    except (ValueError, RecursionError):
        return None, "is damaged"
    if not isinstance(meta, dict):
        return None, "is damaged"
    return (cast("dict[str, Any]", meta), content[meta_size:]), ""


def _is_others(facts: os.stat_result) -> bool:
    """Whether another user owns this, or may write to it. Windows gives each user a folder."""
    if not hasattr(os, "geteuid"):
        return False
    return facts.st_uid != os.geteuid() or bool(facts.st_mode & 0o022)


def _intruder(folder: Path) -> str:
    """Who else could put a program into this folder; empty if nobody can."""
    facts = os.lstat(folder)
    if not stat.S_ISDIR(facts.st_mode):
        return "it is no folder"
    if _is_others(facts):
        return "another user owns it, or can write there (chmod 700 would mend the latter)"
    if not hasattr(os, "geteuid"):
        return ""
    for parent in folder.absolute().parents:
        facts = os.stat(parent)
        # In a sticky folder, as /tmp is, others can add their own things but not move ours.
        open_to_all = facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX
        if open_to_all or facts.st_uid not in (0, os.geteuid()):
            return f"another user could exchange {parent}"
    return ""


def _quietly(act: Any, path: Path) -> None:
    """Do it if it can be done: tidying is not worth an error."""
    try:
        act(path)
    except OSError:
        pass


def object_cache() -> ObjectCache | None:
    """The cache of this process: in the folder CHAINRULE_CACHE, or the platform's; None if `off`.

    >>> object_cache() is object_cache()
    True
    """
    return _object_cache(os.environ.get(ENVIRONMENT, ""))


@functools.cache
def _object_cache(named: str) -> ObjectCache | None:
    if named == _OFF:
        return None
    if named:
        return ObjectCache(Path(named).expanduser() / "compiled")
    from chainrule.data.cache import cache_folder

    return ObjectCache(cache_folder() / "compiled")


def key_of(text: str, target: Target | None = None) -> bytes:
    """The digest of all that a program depends on.

    Args:
        text: LLVM's text, or that of the graph which the program is made from.
        target: the processor, where the program is machine code.

    >>> key_of("a") == key_of("a"), key_of("a") == key_of("b"), len(key_of("a"))
    (True, False, 32)
    """
    parts = [text, _ourselves()]
    if target is not None:
        parts += [target.key, llvm_versions()]
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.digest()


@functools.cache
def _ourselves() -> str:
    """This compiler: its version, and in case it is being worked on, the state of its sources."""
    import chainrule

    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    rooms = ("compile", "core", "ir", "nn", "ops")  # nn: there are the bodies of coarse ops
    facts = sorted([line for room in rooms for line in _sources(os.path.join(root, room), room)])
    state = "".join(facts)
    return f"{chainrule.__version__} {hashlib.sha256(state.encode()).hexdigest()}"


def _sources(folder: str, name: str) -> Iterator[str]:
    """Each source file below a folder, its size, and when it was written."""
    with os.scandir(folder) as listing:  # `Path.glob` would take ten milliseconds for all
        for file in listing:
            if file.name.endswith(".py"):
                facts = file.stat()
                yield f"{name}/{file.name} {facts.st_size} {facts.st_mtime_ns}\n"
            elif file.is_dir() and file.name != "__pycache__":
                yield from _sources(file.path, f"{name}/{file.name}")


def compile_cached(text: str, target: Target, cache: ObjectCache | None = None) -> Library:
    """The machine code of LLVM's text, from the cache if it is there, and loaded.

    Args:
        text: a module.
        target: the processor to compile for: the one that this process runs on.
        cache: by default, the process's own.

    Raises:
        ChainruleError: LLVM does not accept the text.
        MissingDependencyError: there is no llvmlite.
    """
    cache = object_cache() if cache is None else cache
    if cache is None:
        return load(assemble(text, target))
    start = time.perf_counter()
    key = key_of(text, target)
    found = cache.get(key)
    if found is not None:
        try:
            library = load(found[1])
        except ChainruleError:
            cache.remove(key)  # whole and ours, and yet LLVM refuses it: better a new one
        else:
            cache.statistics.hits += 1
            cache.statistics.seconds_loading += time.perf_counter() - start
            return library
    image = assemble(text, target)
    cache.put(key, {}, image)
    library = load(image)
    cache.statistics.misses += 1
    cache.statistics.seconds_compiling += time.perf_counter() - start
    return library
