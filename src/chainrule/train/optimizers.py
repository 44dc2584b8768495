"""The optimizers by the names that the command line knows."""

from __future__ import annotations

from typing import Any

from chainrule import optim
from chainrule.errors import ConfigError
from chainrule.nn import Module
from chainrule.nn.parameter import Parameter
from chainrule.optim import Optimizer

__all__ = ["build_optimizers"]

_CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"momentum": 0.9}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "rmsprop": ("RMSprop", {}),
    "adagrad": ("Adagrad", {}),
    "lion": ("Lion", {}),
    "muon": ("Muon", {}),
}

_BESIDE_MUON = 0.1  # AdamW's rate as a part of Muon's, whose steps have another size


def build_optimizers(name: str, model: Module, lr: float, weight_decay: float) -> list[Optimizer]:
    """The optimizer of that name over all parameters of a network.

    Muon moves matrices only: beside it, AdamW moves the rest, so that there are two.

    Raises:
        ConfigError: there is no such optimizer.

    >>> import chainrule
    >>> model = chainrule.nn.Linear(3, 2)
    >>> built = build_optimizers("muon", model, lr=0.02, weight_decay=0.0)
    >>> [type(each).__name__ for each in built]
    ['Muon', 'AdamW']
    """
    if name not in _CLASSES:
        raise ConfigError(
            f"there is no optimizer {name!r}",
            cure=f"choose one of {', '.join(_CLASSES)}",
            optimizer=name,
        )
    parameters = list(model.parameters())
    if name != "muon":
        return [_build(name, parameters, lr, weight_decay)]
    matrices = [each for each in parameters if each.ndim == 2]
    others = [each for each in parameters if each.ndim != 2]
    return [
        _build("muon", matrices, lr, weight_decay),
        _build("adamw", others, lr * _BESIDE_MUON, weight_decay),
    ]


def _build(name: str, parameters: list[Parameter], lr: float, weight_decay: float) -> Optimizer:
    class_name, extra = _CLASSES[name]
    rule: Any = getattr(optim, class_name)
    return rule(parameters, lr=lr, weight_decay=weight_decay, **extra)
