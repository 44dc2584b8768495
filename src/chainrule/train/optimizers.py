"""The optimizers by the names that the command line knows."""

from __future__ import annotations

from typing import Any

from chainrule import optim
from chainrule.errors import ConfigError
from chainrule.nn import Module
from chainrule.optim import Optimizer

__all__ = ["build_optimizer"]

_CLASSES = {
    "sgd": ("SGD", {"momentum": 0.9}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "rmsprop": ("RMSprop", {}),
    "adagrad": ("Adagrad", {}),
    "lion": ("Lion", {}),
    "muon": ("Muon", {}),
}


def build_optimizer(name: str, model: Module, lr: float, weight_decay: float) -> Optimizer:
    """The optimizer of that name over all parameters of a network.

    Raises:
        ConfigError: there is no such optimizer.
    """
    class_name, extra = _CLASSES.get(name, ("", {}))
    rule: Any = getattr(optim, class_name, None)
    if rule is None:
        known = [each for each, (which, _) in _CLASSES.items() if hasattr(optim, which)]
        raise ConfigError(
            f"there is no optimizer {name!r}",
            cure=f"choose one of {', '.join(known)}",
            optimizer=name,
        )
    return rule(model.parameters(), lr=lr, weight_decay=weight_decay, **extra)
