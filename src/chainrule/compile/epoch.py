"""`run_epoch`: a compiled function over all batches of a data set, and its results stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.compile.signature import Leaf, flatten, rebuild
from chainrule.core.base import TensorBase
from chainrule.data.dataset import TensorDataset
from chainrule.data.loader import DataLoader
from chainrule.ops.from_data import from_numpy

__all__ = ["run_epoch"]


def run_epoch(
    step: Callable[..., Any],
    data: tuple[Any, ...],
    batch_size: int,
    shuffle: bool,
    generator: Any,
    drop_last: bool,
) -> Any:
    """Call `step` on every batch; see `Compiled.over`."""
    first: Any = data[0]
    is_set = len(data) == 1 and not isinstance(data[0], TensorBase | np.ndarray)
    dataset: Any = first if is_set else TensorDataset(*data)
    loader = DataLoader(dataset, batch_size, shuffle, generator=generator, drop_last=drop_last)
    columns: list[list[Any]] = []
    structure: Any = None
    for batch in loader:
        leaves: list[Leaf] = []
        given = step(*batch) if isinstance(batch, list | tuple) else step(batch)
        structure = flatten(given, "", leaves)
        columns = columns or [[] for _ in leaves]
        for column, leaf in zip(columns, leaves, strict=True):
            column.append(leaf.value)
    return rebuild(structure, iter([_stacked(column) for column in columns])) if columns else None


def _stacked(column: list[Any]) -> Any:
    """One leaf of all results: tensors of one type as one tensor, anything else as a list."""
    if not all(isinstance(each, TensorBase) for each in column):
        return column
    if len({(each.value.shape, each.value.dtype) for each in column}) > 1:
        return column
    return from_numpy(np.stack([each.value for each in column]))
