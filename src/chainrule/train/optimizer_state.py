"""An optimizer's state as named arrays and JSON, and back: what a checkpoint keeps of it."""

from __future__ import annotations

from typing import Any

from chainrule.ops.from_data import from_numpy
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor
from chainrule.train.tensor_files import Arrays

__all__ = ["pack_optimizer", "unpack_optimizer"]


def pack_optimizer(optimizer: Optimizer) -> tuple[Arrays, list[dict[str, Any]]]:
    """The state's tensors as `"<parameter>.<name>"`, and the groups' settings."""
    saved = optimizer.state_dict()
    arrays: Arrays = {
        f"{index}.{name}": value.numpy() if isinstance(value, Tensor) else value
        for index, state in saved["state"].items()
        for name, value in state.items()
    }
    return arrays, saved["param_groups"]


def unpack_optimizer(
    optimizer: Optimizer, arrays: Arrays, groups: list[dict[str, Any]]
) -> None:
    """Give an optimizer what `pack_optimizer` took from one over the same parameters."""
    state: dict[int, dict[str, Any]] = {}
    for key, array in arrays.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = from_numpy(array)
    optimizer.load_state_dict({"state": state, "param_groups": [_tuples(each) for each in groups]})


def _tuples(group: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where the settings have tuples (`betas`)."""
    return {
        name: tuple(value) if isinstance(value, list) and name != "params" else value
        for name, value in group.items()
    }
