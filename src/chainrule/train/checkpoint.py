"""Checkpoints: a folder each, that is there as a whole or not at all.

    checkpoints/step-00000859/
        model.safetensors       the weights, under the names that PyTorch uses
        optimizer.safetensors   what the optimizer remembers
        state.json              the rest: position, random numbers, sizes and digests of the above

A checkpoint is written into a temporary folder, flushed to the disk, and renamed: whatever
interrupts this, the one before is still there. When it is read, every file must be what was
written, byte by byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from chainrule.data.files import make_folder, storage_error
from chainrule.errors import CheckpointError, NumericalError
from chainrule.train.tensor_files import Arrays, damaged, encode, read_tensors, write_file

__all__ = [
    "Checkpoint",
    "find_checkpoints",
    "folder_of",
    "keep_only",
    "read_checkpoint",
    "write_checkpoint",
]

FORMAT = "chainrule checkpoint 1"
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"

_MAX_STATE = 1 << 24
_PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training run.

    Attributes:
        step: how many steps were done.
        model: the network's state dict.
        optimizer: the optimizer's tensors; empty when only the model was asked for.
        state: everything else, in values that JSON can hold.

    >>> saved = Checkpoint(7, {"w": np.ones(2, np.float32)}, {}, {"epoch": 1})
    >>> saved.step, list(saved.model)
    (7, ['w'])
    """

    step: int
    model: Arrays
    optimizer: Arrays
    state: dict[str, Any]


def folder_of(root: Path, step: int) -> Path:
    """Where the checkpoint of a step is kept.

    >>> folder_of(Path("run/checkpoints"), 100).name
    'step-00000100'
    """
    return root / f"{_PREFIX}{step:08d}"


def find_checkpoints(root: Path) -> list[int]:
    """The steps of all checkpoints that are there, in order.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in (20, 7):
    ...         _ = write_checkpoint(Path(folder), Checkpoint(step, {}, {}, {}))
    ...     find_checkpoints(Path(folder))
    [7, 20]
    """
    if not root.is_dir():
        return []
    names = [entry.name.removeprefix(_PREFIX) for entry in root.iterdir() if entry.is_dir()]
    return sorted(int(name) for name in names if name.isdigit())


def write_checkpoint(root: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint as a whole; return its folder.

    Raises:
        NumericalError: a weight is NaN or infinite; nothing is written.
        StorageError: the disk is full, or refuses; nothing is left of it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = Checkpoint(7, {"w": np.ones(2, np.float32)}, {}, {"epoch": 1})
    ...     sorted(file.name for file in write_checkpoint(Path(folder), saved).iterdir())
    ...     read_checkpoint(Path(folder), 7).state["epoch"]
    ['model.safetensors', 'optimizer.safetensors', 'state.json']
    1
    """
    for name, array in checkpoint.model.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NumericalError(
                f"after step {checkpoint.step} the weights {name} hold NaN or infinity",
                cure="lower --lr; no checkpoint was written, the one before is still there",
                step=checkpoint.step,
            )
    make_folder(root)
    target = folder_of(root, checkpoint.step)
    files = {MODEL: encode(checkpoint.model), OPTIMIZER: encode(checkpoint.optimizer)}
    files[STATE] = _encode_state(checkpoint, files)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=root))
    except OSError as error:
        raise storage_error(target, error) from error
    try:
        for name, data in files.items():
            write_file(temporary / name, data)
        os.chmod(temporary, 0o777 & ~_umask())  # mkdtemp's folders are private
        _flush_folder(temporary)
        if target.exists():  # the same step of the same run, written again
            os.replace(target, tempfile.mkdtemp(prefix=".writing-", dir=root))
        os.replace(temporary, target)
        _flush_folder(root)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, RuntimeError):  # a StorageError is both
            raise
        raise storage_error(target, error) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target


def read_checkpoint(root: Path, step: int, *, optimizer: bool = True) -> Checkpoint:
    """Read and check a checkpoint; without the optimizer's part, if that isn't asked for.

    Raises:
        CheckpointError: a file is missing, truncated, changed or foreign; the error names it.

    >>> read_checkpoint(Path("no such run"), 7)
    Traceback (most recent call last):
        ...
    chainrule.errors.CheckpointError: ...
    """
    folder = folder_of(root, step)
    state = _read_state(folder / STATE)
    parts: list[Arrays] = []
    for name in (MODEL, OPTIMIZER) if optimizer else (MODEL,):
        try:
            size, digest = int(state["files"][name]["size"]), str(state["files"][name]["sha256"])
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(folder / STATE, f"says nothing of {name}") from error
        parts.append(read_tensors(folder / name, size, digest))
    if state.get("step") != step:
        raise damaged(folder / STATE, f"is of step {state.get('step')}")
    return Checkpoint(step, parts[0], parts[1] if optimizer else {}, state)


def keep_only(root: Path, steps: set[int]) -> None:
    """Delete the other checkpoints, and what interrupted writing has left.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in (7, 20):
    ...         _ = write_checkpoint(Path(folder), Checkpoint(step, {}, {}, {}))
    ...     keep_only(Path(folder), {20})
    ...     find_checkpoints(Path(folder))
    [20]
    """
    for step in find_checkpoints(root):
        if step not in steps:
            shutil.rmtree(folder_of(root, step), ignore_errors=True)
    for left in root.glob(".writing-*"):
        shutil.rmtree(left, ignore_errors=True)


def _encode_state(checkpoint: Checkpoint, files: Mapping[str, bytes]) -> bytes:
    described = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    state = {
        "format": FORMAT,
        **checkpoint.state,
        "step": checkpoint.step,
        "files": described,
    }
    return (json.dumps({**state, "sha256": _digest(state)}, indent=1) + "\n").encode()


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _read_state(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_STATE + 1)
        state: Any = json.loads(text)
    except OSError as error:
        raise damaged(path, f"can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"is no JSON: {error}") from error
    if not isinstance(state, dict) or "format" not in state:
        raise damaged(path, "is no checkpoint's state")
    given = cast("dict[str, Any]", state)
    if given["format"] != FORMAT:
        raise CheckpointError(
            f"{path} is of the format {given['format']!r}, this version reads {FORMAT!r}",
            cure="use the version of chainrule that wrote it",
            path=str(path),
        )
    if given.pop("sha256", None) != _digest(given):
        raise damaged(path, "is not what was written: its SHA-256 differs")
    return given


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _flush_folder(folder: Path) -> None:
    """Make a folder's names survive a power cut; systems that can't be told, see to it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
