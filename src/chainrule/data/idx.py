"""IDX files, the format of MNIST: read with suspicion, written atomically.

An IDX file is a magic number (two zero bytes, a dtype code, the number of dimensions), each size as
a big-endian 32-bit integer, then the elements, big-endian, last dimension fastest. (LeCun, Cortes
and Burges, "The MNIST database")

Nothing in a file is believed before it is checked: the header is read first, the size that it
claims is computed in Python's unbounded integers and compared with what is allowed and with what
the file can hold, and only then is memory taken. A gzip stream is decompressed up to that size and
one byte more, so a decompression bomb costs what an honest file would.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from chainrule.data.files import atomic_file
from chainrule.errors import DataError, DTypeError

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import DTypeLike, NDArray

    StrPath = str | os.PathLike[str]

__all__ = ["read_idx", "read_idx_pair", "write_idx"]

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _DTYPES.items()}
_KINDS = ", ".join(f"0x{code:02x} {np.dtype(name).name}" for code, name in _DTYPES.items())
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 22
MAX_BYTES = 4 << 30  # EMNIST's largest part is 0.55 GB


def read_idx(
    path: StrPath,
    *,
    ndim: int | None = None,
    dtype: DTypeLike | None = None,
    count: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> NDArray[Any]:
    """Read one IDX file, plain or gzip (told by its first bytes, not by its name).

    Args:
        path: the file.
        ndim: the number of dimensions expected: 3 for images, 1 for labels.
        dtype: the dtype expected.
        count: the first size expected.
        max_bytes: the most bytes of elements that may be taken into memory.

    Returns:
        A new array in the machine's byte order.

    Raises:
        DataError: the file is missing, a folder, empty, truncated, too long, damaged, or not what
            was expected; the message names the file, what was expected and what was found.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(folder + "/labels.gz", np.array([7, 2, 1], np.uint8))
    ...     read_idx(folder + "/labels.gz", ndim=1)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with _stream(path) as (stream, compressed):
        code, sizes = _header(path, stream)
        found = np.dtype(_DTYPES[code])
        _expect_kind(path, sizes, found, ndim, dtype, count)
        total = found.itemsize
        for size in sizes:
            total *= size
        head = 4 + 4 * len(sizes)
        _expect_size(path, sizes, total, head, max_bytes, compressed=compressed)
        data = _body(path, stream, total, sizes)
    return data.view(found).astype(found.newbyteorder("="), copy=False).reshape(sizes)


def read_idx_pair(
    images: StrPath, labels: StrPath, *, classes: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images uint8 [n, H, W] and their labels uint8 [n], and check that they belong together.

    Raises:
        DataError: either file is bad, the counts differ, or a label is not below `classes`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/x", np.zeros((2, 28, 28), np.uint8))
    ...     write_idx(f"{folder}/y", np.array([3, 9], np.uint8))
    ...     images, labels = read_idx_pair(f"{folder}/x", f"{folder}/y", classes=10)
    >>> images.shape, labels
    ((2, 28, 28), array([3, 9], dtype=uint8))
    """
    pictures = read_idx(images, ndim=3, dtype=np.uint8)
    names = read_idx(labels, ndim=1, dtype=np.uint8)
    if len(pictures) != len(names):
        raise DataError(
            f"{labels}: expected {len(pictures)} labels, one for each image of {images}, "
            f"found {len(names)}",
            cure="take both files from the same data set and the same part (train or test)",
            path=str(labels),
            expected=len(pictures),
            found=len(names),
        )
    if classes is not None and names.size and int(names.max()) >= classes:
        raise DataError(
            f"{labels}: expected labels below {classes}, found {int(names.max())}",
            cure="check that the file belongs to this data set",
            path=str(labels),
            expected=classes,
            found=int(names.max()),
        )
    return pictures, names


def write_idx(path: StrPath, array: NDArray[Any]) -> None:
    """Write `array` as an IDX file, gzip if the name ends in `.gz`; the file appears whole or not.

    Raises:
        DTypeError: IDX has no such dtype (it has uint8, int8, int16, int32, float32, float64).
        DataError: there are no dimensions, more than 255, or one too long for 32 bits.
        StorageError: the file can't be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/x.gz", np.arange(3, dtype=np.int32))
    ...     read_idx(f"{folder}/x.gz")
    array([0, 1, 2], dtype=int32)
    """
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        raise DTypeError(f"write_idx: IDX has no code for {array.dtype}; it has {_KINDS}")
    if not 1 <= array.ndim <= 255 or any(size >= 1 << 32 for size in array.shape):
        raise DataError(f"write_idx: shape {array.shape} does not fit the format's header")
    header = bytes((0, 0, code, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    body = np.ascontiguousarray(array, np.dtype(_DTYPES[code])).tobytes()
    with atomic_file(path) as file:
        if str(path).endswith(".gz"):
            import gzip

            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                packed.write(header + body)
        else:
            file.write(header + body)


@contextlib.contextmanager
def _stream(path: Path) -> Generator[tuple[IO[bytes], bool]]:
    """The file's (decompressed) bytes, with every way it can fail turned into a DataError."""
    try:
        with path.open("rb") as file:
            magic = file.read(2)
            file.seek(0)
            if magic != _GZIP_MAGIC:
                yield file, False
                return
            yield cast("IO[bytes]", _Unpacked(file)), True
    except DataError:
        raise
    except IsADirectoryError as error:
        raise _bad(path, "an IDX file", "a folder") from error
    except FileNotFoundError as error:
        raise _bad(path, "an IDX file", "no such file") from error
    except EOFError as error:
        raise _bad(path, "a whole gzip stream", "one that ends early (truncated)") from error
    except (OSError, ValueError, _zlib_error()) as error:
        raise _bad(path, "a readable IDX file", f"{type(error).__name__}: {error}") from error


class _Unpacked:
    """What a gzip file holds, by as few calls of zlib as there are reads.

    Python's own reader makes a call for each 32 KB, and may wait for the interpreter's lock after
    each, where another thread computes while this one reads.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._packed = b""
        self._inflate = _inflater()

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only at the end, where the CRC and the length have been checked.

        Raises:
            EOFError: the stream ends early.
            OSError: what was unpacked is not what was packed.
        """
        parts: list[bytes] = []
        while size > 0 and (not self._inflate.eof or self._has_another_member()):
            self._packed = self._packed or self._file.read(_CHUNK)
            at_end = not self._packed
            part = self._inflated(size)
            if at_end and not part and not self._inflate.eof:
                raise EOFError("the stream ends before its end was marked")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _has_another_member(self) -> bool:
        """Whether packed bytes follow on a member's end; zeros may pad a file."""
        left = (self._inflate.unused_data or self._packed).lstrip(b"\0")
        while not left and (more := self._file.read(_CHUNK)):
            left = more.lstrip(b"\0")
        self._packed = left
        if left:
            self._inflate = _inflater()
        return bool(left)

    def _inflated(self, size: int) -> bytes:
        try:
            part = self._inflate.decompress(self._packed, size)
        except _zlib_error() as error:
            if "check" not in str(error):
                raise
            raise OSError(f"the CRC or the length is another: {error}") from error
        self._packed = self._inflate.unconsumed_tail
        return part


def _inflater() -> Any:
    """What unpacks one member, its header and its CRC included."""
    import zlib

    return zlib.decompressobj(wbits=31)


def _zlib_error() -> type[Exception]:
    import zlib

    return zlib.error


def _header(path: Path, stream: IO[bytes]) -> tuple[int, tuple[int, ...]]:
    magic = stream.read(4)
    if not magic:
        raise _bad(path, "an IDX file", "an empty file")
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise _bad(path, "the IDX magic number 00 00 TYPE NDIM", magic.hex(" "))
    code, ndim = magic[2], magic[3]
    if code not in _DTYPES:
        raise _bad(path, f"an IDX dtype code ({_KINDS})", f"0x{code:02x}")
    if ndim == 0 or ndim > 32:
        raise _bad(path, "1 to 32 dimensions", f"{ndim}")
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise _bad(path, f"a header of {4 + 4 * ndim} bytes", f"{4 + len(sizes)} (truncated)")
    return code, struct.unpack(f">{ndim}I", sizes)


def _expect_kind(
    path: Path,
    sizes: tuple[int, ...],
    found: np.dtype[Any],
    ndim: int | None,
    dtype: DTypeLike | None,
    count: int | None,
) -> None:
    if ndim is not None and len(sizes) != ndim:
        names = {1: " (labels)", 3: " (images)"}
        raise _bad(
            path,
            f"{ndim} dimensions{names.get(ndim, '')}",
            f"{len(sizes)}{names.get(len(sizes), '')}: sizes {sizes}",
            "check that images and labels have not been swapped or renamed",
        )
    if dtype is not None and found.newbyteorder("=") != np.dtype(dtype):
        raise _bad(path, f"elements of {np.dtype(dtype).name}", found.name)
    if count is not None and sizes[0] != count:
        raise _bad(path, f"{count} items", f"{sizes[0]}")


def _expect_size(
    path: Path, sizes: tuple[int, ...], total: int, head: int, limit: int, *, compressed: bool
) -> None:
    if total > limit:
        raise _bad(path, f"at most {limit} bytes of elements", f"{total} claimed by sizes {sizes}")
    held = path.stat().st_size
    if not compressed and held != head + total:
        what = "truncated" if held < head + total else "too long"
        raise _bad(path, f"{head + total} bytes for sizes {sizes}", f"{held} ({what})")
    # Deflate can't pack better than about 1032 to 1: more is a claim that the file can't keep.
    if compressed and head + total > held * 1040 + 1024:
        raise _bad(
            path, f"{head + total} bytes for sizes {sizes}", f"{held} compressed (truncated)"
        )


def _body(path: Path, stream: IO[bytes], total: int, sizes: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        data = np.empty(total, np.uint8)
    except MemoryError as error:
        raise _bad(path, f"{total} bytes of free memory", "less") from error
    done = 0
    while done < total:
        part = stream.read(min(_CHUNK, total - done))
        if not part:
            raise _bad(path, f"{total} bytes of elements for sizes {sizes}", f"{done} (truncated)")
        data[done : done + len(part)] = np.frombuffer(part, np.uint8)
        done += len(part)
    # Reading on to the end also makes gzip check its CRC and length.
    if stream.read(1):
        raise _bad(path, f"{total} bytes of elements for sizes {sizes}", "more (trailing bytes)")
    return data


def _bad(path: Path, expected: str, found: str, cure: str = "") -> DataError:
    return DataError(
        f"{path}: expected {expected}, found {found}",
        cure=cure or "delete the file and fetch it again, or point to a sound copy",
        path=str(path),
        expected=expected,
        found=found,
    )
