"""Safetensors files that are not trusted: the header is read and checked before memory is taken.

The format (huggingface/safetensors): 8 bytes with the header's length, little-endian; the header,
a JSON object of name -> {dtype, shape, data_offsets}; then the numbers. No code, unlike a pickle.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from chainrule.data.files import storage_error
from chainrule.errors import CheckpointError

__all__ = ["Arrays", "damaged", "encode", "read_tensors", "write_file"]

Arrays = dict[str, NDArray[Any]]

_MAX_HEADER = 1 << 24  # our own are a few kilobytes
_SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "F16": 2, "I32": 4, "F32": 4, "I64": 8, "F64": 8}


def encode(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The tensors as a safetensors file.

    >>> len(encode({"w": np.zeros(2, np.float32)})) > 8
    True
    """
    from safetensors.numpy import save

    return save({name: np.asarray(array, order="C") for name, array in tensors.items()})


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, and wait until the disk has it.

    Raises:
        StorageError: the disk is full, or refuses.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file(Path(folder, "x.bin"), b"whole")
    ...     Path(folder, "x.bin").read_bytes()
    b'whole'
    """
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(path, error) from error


def read_tensors(path: Path, size: int, sha256: str) -> Arrays:
    """The tensors of a file that is known by its size and digest.

    Raises:
        CheckpointError: it is missing, of another size, changed, or no safetensors file.

    >>> import tempfile
    >>> data = encode({"w": np.ones(2, np.float32)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file(Path(folder, "x"), data)
    ...     read_tensors(Path(folder, "x"), len(data), hashlib.sha256(data).hexdigest())
    {'w': array([1., 1.], dtype=float32)}
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno()).st_size
            if found != size:
                raise damaged(path, f"has {found:,} bytes, {size:,} were written")
            _check_header(path, file.read(8 + _MAX_HEADER), found)
            file.seek(0)
            data = file.read()
    except OSError as error:
        raise damaged(path, f"can't be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise damaged(path, "is not what was written: its SHA-256 differs")
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"is no safetensors file: {error}") from error


def _check_header(path: Path, begin: bytes, size: int) -> None:
    """The header fits into the file, and the tensors it names fill the rest exactly."""
    length = int.from_bytes(begin[:8], "little")
    if len(begin) < 8 or length > min(_MAX_HEADER, size - 8):
        raise damaged(path, f"is no safetensors file: a header of {length:,} bytes in {size:,}")
    try:
        entries = cast("dict[str, Any]", json.loads(begin[8 : 8 + length]))
        total = sum(
            math.prod(entry["shape"]) * _SIZES[entry["dtype"]]
            for name, entry in entries.items()
            if name != "__metadata__"
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"has a garbled header: {error}") from error
    if total != size - 8 - length:
        raise damaged(path, f"names {total:,} bytes of numbers, and holds {size - 8 - length:,}")


def damaged(path: Path, problem: str) -> CheckpointError:
    """The error for a checkpoint's file that can't be used.

    >>> print(damaged(Path("step-7/state.json"), "is empty").problem)
    step-7/state.json is empty
    """
    folder = path.parent
    return CheckpointError(
        f"{path} {problem}",
        cure=f"delete the folder {folder} (another checkpoint beside it is used then), or train "
        "anew with --overwrite",
        path=str(path),
    )
