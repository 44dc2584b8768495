"""`TrainConfig`: everything that decides what a training run computes, as one checked value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from chainrule.errors import ConfigError

__all__ = ["DATASETS", "ENGINES", "MODELS", "OPTIMIZERS", "SCHEDULES", "TrainConfig"]

DATASETS = ("mnist", "fashion-mnist", "kmnist", "emnist", "drawn")
"""What `chainrule train` takes; EMNIST's splits are `emnist-letters` and so on."""

ENGINES = ("tape", "layers", "compiled")
MODELS = ("mlp", "lenet", "cnn", "small")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", "muon")
SCHEDULES = ("one-cycle", "cosine", "constant")

_RECIPES: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 5, "batch_size": 128, "lr": 5e-3},
    "lenet": {"epochs": 3, "batch_size": 64, "lr": 3e-3},
    "cnn": {"epochs": 3, "batch_size": 64, "lr": 2e-3},
    "small": {"epochs": 2, "batch_size": 64, "lr": 1e-2},
}
"""Measured on MNIST with Adam: what reaches the model's accuracy on every seed, in short time."""

_RATES = {"sgd": 0.1, "rmsprop": 1e-3, "adagrad": 1e-2, "lion": 3e-4, "muon": 2e-2}
"""Learning rates of the other rules; a rate means another thing to each of them."""


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one run. Two runs of equal settings, on equal data, give equal bits.

    `TrainConfig.of("mnist", "lenet")` fills in what suits the model.

    Args:
        dataset: `mnist`, `fashion-mnist`, `kmnist`, `emnist` (or `emnist-SPLIT`), `drawn`.
        model: `mlp`, `lenet`, `cnn` or `small`; see `build_model`.
        engine: `tape` (autograd) or `layers` (the layer engine): the same bits either way;
            `compiled`: the whole step as machine code, which differs by rounding.
        epochs: passes over the training part.
        batch_size: samples in a step.
        optimizer: `sgd` (with momentum 0.9), `adam`, `adamw`, `rmsprop`, `adagrad`, `lion`, `muon`.
        lr: the highest learning rate of the schedule.
        weight_decay: passed to the optimizer.
        schedule: how the learning rate goes: `one-cycle`, `cosine` or `constant`.
        validation: samples held out of the training part, to judge each epoch by.
        seed: of the initial weights, the order of the data, and dropout.
        limit: use only so many training samples (and test samples); None: all.
        checkpoint_every: steps between checkpoints; 0: one after each epoch.
        log_every: steps between lines in the metrics.

    Raises:
        ConfigError: a value that is not one of those allowed.

    >>> TrainConfig.of("mnist", "lenet", epochs=1).batch_size
    64
    """

    dataset: str = "mnist"
    model: str = "mlp"
    engine: str = "tape"
    epochs: int = 5
    batch_size: int = 128
    optimizer: str = "adam"
    lr: float = 5e-3
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    validation: int = 5000
    seed: int = 0
    limit: int | None = None
    checkpoint_every: int = 0
    log_every: int = 50

    def __post_init__(self) -> None:
        for name, (allowed, what) in _CHECKS.items():
            value = getattr(self, name)
            if not allowed(value):
                raise ConfigError(
                    f"{name} is {value!r}, expected {what}",
                    cure=f"change {name}, or leave it out: there is a default that suits",
                    setting=name,
                    value=value,
                )

    @classmethod
    def of(cls, dataset: str = "mnist", model: str = "mlp", **given: Any) -> TrainConfig:
        """The settings that suit a model, with those given instead; None stands for "not given"."""
        settings = {key: value for key, value in given.items() if value is not None}
        recipe = dict(_RECIPES.get(model, {}))
        rule = settings.get("optimizer")
        if isinstance(rule, str) and rule in _RATES:
            recipe["lr"] = _RATES[rule]
        limit = settings.get("limit")
        if isinstance(limit, int) and limit > 0:  # a small set can't spare 5000
            recipe["validation"] = min(cls.validation, limit // 6)
        return cls.from_dict({**recipe, "dataset": dataset, "model": model, **settings})

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainConfig:
        """The settings by name.

        Raises:
            ConfigError: a name that is no setting, or a value that is not allowed.
        """
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(settings) - set(names))
        if unknown:
            raise ConfigError(
                f"there is no setting {', '.join(map(repr, unknown))}",
                cure=f"the settings are {', '.join(names)}",
                unknown=tuple(unknown),
            )
        return cls(**settings)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """The settings that `to_json` wrote.

        Raises:
            ConfigError: it is no JSON object, or see `from_dict`.
        """
        try:
            settings = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"the settings are no JSON: {error}") from error
        if not isinstance(settings, dict):
            raise ConfigError(f"the settings are a {type(settings).__name__}, expected an object")
        return cls.from_dict(settings)  # pyright: ignore[reportUnknownArgumentType]  # JSON

    def to_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self)

    def to_json(self) -> str:
        """The settings as JSON, for people to read too."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


Check = tuple[Callable[[Any], bool], str]


def _one_of(choices: tuple[str, ...]) -> Check:
    return (lambda value: value in choices), f"one of {', '.join(choices)}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(low: int, high: int = 1 << 53) -> Check:
    return (lambda value: _is_whole(value) and low <= value <= high), f"a whole number from {low}"


def _number(allowed: Callable[[float], bool], what: str) -> Check:
    def check(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and allowed(value)

    return check, what


def _is_dataset(value: Any) -> bool:
    from chainrule.data import CATALOG

    return isinstance(value, str) and (value in DATASETS or value in CATALOG)


_CHECKS: dict[str, Check] = {
    "dataset": (_is_dataset, f"one of {', '.join(DATASETS)}, or emnist-SPLIT"),
    "model": _one_of(MODELS),
    "engine": _one_of(ENGINES),
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "optimizer": _one_of(OPTIMIZERS),
    "lr": _number(lambda x: x > 0, "a number above 0"),
    "weight_decay": _number(lambda x: x >= 0, "a number from 0"),
    "schedule": _one_of(SCHEDULES),
    "validation": _whole(0),
    "seed": _whole(0),
    "limit": (lambda value: value is None or _whole(1)[0](value), "a whole number from 1, or None"),
    "checkpoint_every": _whole(0),
    "log_every": _whole(1),
}
