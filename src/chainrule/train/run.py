"""A run's folder: what it was asked, what happened, what came out, and where it can go on.

runs/mnist-mlp-20260131-142501/
    config.json      the settings
    metrics.jsonl    a line for each logging interval and each epoch
    observations.jsonl    norms, dead units and times, now and then
    summary.json     the result; there once the run is finished
    checkpoints/     the last one and the best one
    events/          the same numbers for TensorBoard, if asked for
    report.html      what came of it, to look at; its pictures in report/
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

from chainrule.data.files import atomic_file, make_folder, storage_error
from chainrule.errors import CheckpointError, ConfigError
from chainrule.train.checkpoint import Checkpoint, find_checkpoints, read_checkpoint
from chainrule.train.config import TrainConfig

__all__ = ["RunFolder"]

_OURS = (
    *("config.json", "metrics.jsonl", "observations.jsonl", "summary.json", "checkpoints"),
    *("events", "report.html", "report", "comparison.html", "comparison"),
)
_MAX_JSON = 1 << 20


class RunFolder:
    """One run's folder; `create` a new one, or `open` one that is there.

    >>> import tempfile
    >>> import chainrule
    >>> config = chainrule.train.TrainConfig.of("drawn", "mlp")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = RunFolder.create(f"{folder}/run", config, overwrite=False)
    ...     sorted(each.name for each in RunFolder.open(run.path).path.iterdir())
    ['checkpoints', 'config.json']
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"
        self.observations = path / "observations.jsonl"
        self.events = path / "events"
        self._claimed = False

    @classmethod
    def create(cls, path: str | Path | None, config: TrainConfig, overwrite: bool) -> RunFolder:
        """A folder for a new run, with its `config.json` in it.

        Args:
            path: where; None: `runs/<dataset>-<model>-<time>`.
            config: the settings.
            overwrite: whether to delete a run that is there.

        Raises:
            ConfigError: another run, or something else, is there.
            StorageError: the folder can't be written.
        """
        run = cls.plan(path, config, overwrite)
        run.begin(config, overwrite)
        return run

    @classmethod
    def plan(cls, path: str | Path | None, config: TrainConfig, overwrite: bool) -> RunFolder:
        """What `create` does before it writes: find out whether a run may have this folder.

        Raises:
            ConfigError: another run, or something else, is there.
            StorageError: the folder can't be written.
        """
        run = cls(Path(path) if path is not None else _new_name(config))
        _check_writable(run.path)
        found = sorted(each.name for each in run.path.iterdir()) if run.path.is_dir() else []
        if found and not overwrite:
            run._refuse(found)
        if overwrite:
            strangers = [name for name in found if name not in _OURS]
            if strangers and "config.json" not in found:
                run._refuse(found)
        return run

    def begin(self, config: TrainConfig, overwrite: bool) -> None:
        """Make the folder, and write the settings into it.

        Raises:
            ConfigError: another process has begun a run there since `plan`.
            StorageError: the disk refuses.
        """
        if overwrite:
            self._clear()
        elif (self.path / "config.json").exists():
            self._refuse(["config.json"])
        make_folder(self.checkpoints)
        self.write_json("config.json", config.to_dict())

    @contextlib.contextmanager
    def claimed(self) -> Generator[None]:
        """Within the block no other process may train in this folder.

        The folder itself is locked, not a file in it: the lock ends with the process, however that
        ends, and leaves nothing behind. Where a file system knows no locks, there is none.

        Raises:
            ConfigError: another process is training there.
            StorageError: the folder can't be made.
        """
        if self._claimed:
            yield
            return
        make_folder(self.path)
        lock = _lock(self.path)
        self._claimed = True
        try:
            yield
        finally:
            self._claimed = False
            if lock is not None:
                os.close(lock)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """The folder of a run that is there.

        Raises:
            CheckpointError: it is no run's folder.
        """
        run = cls(Path(path))
        if not (run.path / "config.json").is_file():
            what = "no run's folder: config.json is not there" if run.path.is_dir() else "no folder"
            raise CheckpointError(
                f"{run.path} is {what}",
                cure="name a folder that `chainrule train` made, such as runs/mnist-mlp-...",
                path=str(run.path),
            )
        return run

    @classmethod
    def latest(cls, dataset: str, model: str, root: Path | None = None) -> RunFolder:
        """The newest unfinished run of a model on a data set, in `runs/`.

        Raises:
            CheckpointError: there is none.
        """
        root = root or Path("runs")
        found = sorted(root.glob(f"{dataset}-{model}-*/config.json"))
        open_runs = [each.parent for each in found if not (each.parent / "summary.json").exists()]
        if not open_runs:
            raise CheckpointError(
                f"there is no unfinished run of {model} on {dataset} in {root}/ to resume",
                cure="name its folder with --out, or leave out --resume to start one",
            )
        return cls(open_runs[-1])

    # -- what is in it ------------------------------------------------------------------------

    @property
    def config(self) -> TrainConfig:
        """The run's settings.

        Raises:
            CheckpointError: `config.json` is not what was written.
        """
        try:
            return TrainConfig.from_dict(self.read_json("config.json"))
        except ConfigError as error:
            raise CheckpointError(
                f"{self.path / 'config.json'}: {error.problem}", cure=error.cure
            ) from error

    @property
    def summary(self) -> dict[str, Any] | None:
        """The result; None while the run is not finished."""
        there = (self.path / "summary.json").is_file()
        return self.read_json("summary.json") if there else None

    def checkpoint(self, which: str = "last", *, optimizer: bool = True) -> Checkpoint:
        """The run's `last` or `best` checkpoint.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        steps = find_checkpoints(self.checkpoints)
        if not steps:
            raise CheckpointError(
                f"{self.path} has no checkpoint",
                cure="train anew: the run was stopped before its first one was written",
                path=str(self.path),
            )
        last = read_checkpoint(self.checkpoints, steps[-1], optimizer=optimizer)
        best = last.state.get("position", {}).get("best_step")
        if which == "last" or best not in steps or best == last.step:
            return last
        return read_checkpoint(self.checkpoints, best, optimizer=optimizer)

    def read_json(self, name: str) -> dict[str, Any]:
        """One of the folder's JSON files.

        Raises:
            CheckpointError: it can't be read, or is no JSON object.
        """
        path = self.path / name
        try:
            with path.open("rb") as file:
                value: Any = json.loads(file.read(_MAX_JSON))
        except OSError as error:
            raise CheckpointError(
                f"{path} can't be read: {error.strerror or error}", cure="name another run"
            ) from error
        except (ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is no JSON: {error}", cure="restore the file, or train anew"
            ) from error
        if not isinstance(value, dict):
            raise CheckpointError(f"{path} holds no object", cure="restore it, or train anew")
        return cast("dict[str, Any]", value)

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write one of the folder's JSON files, whole or not at all.

        Raises:
            StorageError: the disk refuses.
        """
        with atomic_file(self.path / name) as file:
            file.write((json.dumps(value, indent=2) + "\n").encode())

    def _refuse(self, found: list[str]) -> None:
        if "summary.json" in found:
            what, cure = "a finished run", "give another --out, or --overwrite to replace it"
        elif "config.json" in found:
            what = "an unfinished run"
            cure = "go on with --resume, give another --out, or --overwrite to replace it"
        else:
            what = "other files, such as " + found[0]
            cure = "give an --out that is empty or does not exist"
        raise ConfigError(f"{self.path} holds {what}", cure=cure, path=str(self.path))

    def _clear(self) -> None:
        """Delete a run's files, and no others."""
        for name in _OURS:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _check_writable(path: Path) -> None:
    """Whether the folder, or the one that it would be made in, can be written: before the work."""
    try:
        there = next(each for each in (path, *path.absolute().parents) if each.exists())
    except OSError as error:  # such as a name that is too long
        raise storage_error(path, error) from error
    if not there.is_dir():
        raise storage_error(path, NotADirectoryError(errno.ENOTDIR, f"{there} is a file"))
    if not os.access(there, os.W_OK | os.X_OK):
        raise storage_error(path, PermissionError(errno.EACCES, f"{there} is read-only"))


def _lock(path: Path) -> int | None:
    """A lock on a folder, held until the descriptor is closed; None where there is none to have."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConfigError(
            f"another process is training in {path}",
            cure="wait until it has ended, or give another --out",
            path=str(path),
        ) from error
    except OSError:  # some network file systems refuse
        os.close(descriptor)
        return None
    return descriptor


def _new_name(config: TrainConfig) -> Path:
    base = f"runs/{config.dataset}-{config.model}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = Path(base), 2
    while path.exists():
        path, number = Path(f"{base}-{number}"), number + 1
    return path
