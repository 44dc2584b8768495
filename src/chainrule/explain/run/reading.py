"""A run's files, read with suspicion: what comes out is whole, and of the types it is said to be.

A run that still goes on, or was stopped, is as good as a finished one: its files end earlier, and
the last line of one may be cut short. A line that is no such line anywhere else is damage.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chainrule.errors import CheckpointError
from chainrule.train.config import TrainConfig
from chainrule.train.run import RunFolder

__all__ = ["Inside", "RunRecord", "read_run"]

_MOST_BYTES = 64 << 20
"""More than that is no file of ours: a line an interval, and few would read a thousand of them."""

Numbers = dict[str, float]
"""A line's numbers, by name. One that is not finite is NaN: a gap."""


@dataclass(frozen=True)
class Inside:
    """What an observer saw after a step; see `chainrule.train.observations`.

    Attributes:
        step, epoch: when, both from 1.
        parameters: by name the norms `weight`, `gradient` and `update`.
        dead: by layer how many units are dead, and how many there are.
    """

    step: int
    epoch: int
    parameters: dict[str, Numbers]
    dead: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class RunRecord:
    """What a run's folder says.

    Attributes:
        path: the folder.
        config: the settings.
        summary: the result; None while the run is not finished.
        steps: the lines of the logging intervals.
        epochs: the lines of the epochs.
        insides: the observations; none, if nobody observed.
        phases: by epoch the seconds that each phase took.
        cut: the files whose last line was cut short, by name.
    """

    path: Path
    config: TrainConfig
    summary: dict[str, Any] | None
    steps: tuple[Numbers, ...]
    epochs: tuple[Numbers, ...]
    insides: tuple[Inside, ...]
    phases: tuple[tuple[int, Numbers], ...]
    cut: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the run is called: its folder's name."""
        return self.path.name or self.path.resolve().name or str(self.path)

    @property
    def last_step(self) -> int:
        """The last step that is told of."""
        return int(max((line["step"] for line in (*self.steps, *self.epochs)), default=0))


def read_run(path: str | Path) -> RunRecord:
    """Read a run's settings, metrics, observations and summary.

    Raises:
        CheckpointError: it is no run's folder, nothing is told in it yet, or a file is damaged.

    >>> read_run("no such run")
    Traceback (most recent call last):
        ...
    chainrule.errors.CheckpointError: no such run is no folder...
    """
    folder = RunFolder.open(path)
    config, summary = folder.config, folder.summary
    if summary is not None:
        _check_summary(folder.path / "summary.json", summary)
    metrics, cut = _lines(folder.metrics)
    observed, cut_too = _lines(folder.observations)
    steps: list[Numbers] = []
    epochs: list[Numbers] = []
    insides: list[Inside] = []
    phases: list[tuple[int, Numbers]] = []
    _sort(metrics, {"step": (_step, steps), "epoch": (_epoch, epochs)})
    _sort(observed, {"inside": (_inside, insides), "phases": (_phases, phases)})
    if not steps and not epochs:
        raise CheckpointError(
            f"{folder.path} has nothing to report yet: there is no line in metrics.jsonl",
            cure="wait until its first epoch has ended, or go on with `chainrule train --resume`",
            path=str(folder.path),
        )
    names = ("metrics.jsonl",) * cut + ("observations.jsonl",) * cut_too
    return RunRecord(
        folder.path,
        config,
        summary,
        tuple(steps),
        tuple(epochs),
        tuple(insides),
        tuple(phases),
        names,
    )


Kinds = Mapping[str, tuple[Callable[[Any], Any], list[Any]]]
Line = tuple[Path, int, dict[str, Any]]


def _sort(lines: list[Line], kinds: Kinds) -> None:
    """Each line, made into what its kind is, to the others of this kind."""
    for path, number, line in lines:
        kind = line.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            raise _damaged(path, number, f"is of the kind {_short(kind)}")
        make, others = kinds[kind]
        try:
            others.append(make(line))
        except KeyError as error:
            raise _damaged(path, number, f"lacks {_short(error.args[0])}") from error
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise _damaged(path, number, f"does not hold what it should: {error}") from error


def _lines(path: Path) -> tuple[list[Line], bool]:
    """The objects in a file of JSON lines; and whether the last line is cut short."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return [], False
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be read: {error.strerror or error}", cure="name another run"
        ) from error
    if len(data) > _MOST_BYTES:
        raise CheckpointError(
            f"{path} is larger than {_MOST_BYTES >> 20} MiB",
            cure="train with a larger --log-every, or name another run",
        )
    *whole, rest = data.split(b"\n")
    return [(path, number, _object(path, number, each)) for number, each in enumerate(whole, 1)], (
        rest != b""
    )


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, number, f"is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise _damaged(path, number, "is no object")
    return cast("dict[str, Any]", value)


def _damaged(path: Path, number: int, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged: line {number} {what}",
        cure="restore the file from a copy, or train anew",
        path=str(path),
        line=number,
    )


# -- what is in a line ----------------------------------------------------------------------------


def _step(line: dict[str, Any]) -> Numbers:
    names = ("step", "epoch", "loss", "accuracy", "lr", "images_per_second")
    return _counted({name: _number(line[name]) for name in names})


def _epoch(line: dict[str, Any]) -> Numbers:
    names = ["step", "epoch", "train_loss", "train_accuracy", "images_per_second", "seconds"]
    if "validation_loss" in line or "validation_accuracy" in line:
        names += ["validation_loss", "validation_accuracy"]
    return _counted({name: _number(line[name]) for name in names})


def _inside(line: dict[str, Any]) -> Inside:
    parameters = {
        name: {kind: _number(norms[kind]) for kind in ("weight", "gradient", "update")}
        for name, norms in line["parameters"].items()
    }
    dead = {name: (_count(pair[0]), _count(pair[1])) for name, pair in line["dead"].items()}
    return Inside(_count(line["step"]), _count(line["epoch"]), parameters, dead)


def _phases(line: dict[str, Any]) -> tuple[int, Numbers]:
    seconds = {name: _number(value) for name, value in line["seconds"].items()}
    return _count(line["epoch"]), seconds


def _counted(numbers: Numbers) -> Numbers:
    for name in ("step", "epoch"):
        _count(numbers[name])
    return numbers


def _number(value: Any) -> float:
    """A number; NaN for one that is not finite (`null`, too, is what became of such a one)."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{_short(value)} is no number")
    return float(value) if math.isfinite(value) else math.nan


def _count(value: Any) -> int:
    number = _number(value)
    if not 0 <= number <= 1 << 53 or number != int(number):
        raise ValueError(f"{_short(value)} counts nothing")
    return int(number)


def _check_summary(path: Path, summary: dict[str, Any]) -> None:
    for name in ("test_accuracy", "test_loss", "seconds_train", "seconds_total", "parameters"):
        try:
            _number(summary[name])
        except (KeyError, TypeError, OverflowError) as error:
            raise CheckpointError(
                f"{path} is damaged: {name} is {_short(summary.get(name))}, expected a number",
                cure="restore the file from a copy, or train anew",
                path=str(path),
            ) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
