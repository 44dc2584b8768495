"""Optimizers' states as named arrays and JSON, and back: what a checkpoint keeps of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from chainrule.errors import CheckpointError
from chainrule.ops.from_data import from_numpy
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor
from chainrule.train.tensor_files import Arrays

__all__ = ["pack_optimizers", "unpack_optimizers"]

Groups = list[dict[str, Any]]


def pack_optimizers(optimizers: Sequence[Optimizer]) -> tuple[Arrays, list[Groups]]:
    """The tensors as `"<optimizer>.<parameter>.<name>"`, and the settings of each one's groups.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0], requires_grad=True)
    >>> optimizer = chainrule.optim.Adam([x], lr=0.1)
    >>> x.sum().backward()
    >>> optimizer.step()
    >>> sorted(pack_optimizers([optimizer])[0])
    ['0.0.exp_avg', '0.0.exp_avg_sq', '0.0.step']
    """
    arrays: Arrays = {}
    groups: list[Groups] = []
    for number, optimizer in enumerate(optimizers):
        saved = optimizer.state_dict()
        groups.append(saved["param_groups"])
        for index, state in saved["state"].items():
            for name, value in state.items():
                array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
                arrays[f"{number}.{index}.{name}"] = array
    return arrays, groups


def unpack_optimizers(
    optimizers: Sequence[Optimizer], arrays: Arrays, groups: Sequence[Groups]
) -> None:
    """Give optimizers what `pack_optimizers` took from such over the same parameters.

    Raises:
        CheckpointError: there is another number of them.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0], requires_grad=True)
    >>> optimizer, other = chainrule.optim.Adam([x], lr=0.1), chainrule.optim.Adam([x], lr=0.5)
    >>> x.sum().backward()
    >>> optimizer.step()
    >>> unpack_optimizers([other], *pack_optimizers([optimizer]))
    >>> other.param_groups[0]["lr"], other.state[x]["step"].item()
    (0.1, 1.0)
    """
    if len(groups) != len(optimizers):
        raise CheckpointError(
            f"the checkpoint is of {len(groups)} optimizers, there are {len(optimizers)}"
        )
    states: list[dict[int, dict[str, Any]]] = [{} for _ in optimizers]
    for key, array in arrays.items():
        number, index, name = key.split(".", 2)
        states[int(number)].setdefault(int(index), {})[name] = from_numpy(array)
    for optimizer, state, saved in zip(optimizers, states, groups):
        restored = [_tuples(group) for group in saved]
        optimizer.load_state_dict({"state": state, "param_groups": restored})


def _tuples(group: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where the settings have tuples (`betas`)."""
    return {
        name: tuple(cast("list[Any]", value))
        if isinstance(value, list) and name != "params"
        else value
        for name, value in group.items()
    }
