"""From arrays to Tensors: the one place where this room touches the layer above NumPy.

Everything else in `data` works on arrays; what a loader or a data set hands out passes through
`to_tensor` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from chainrule.errors import DataError
from chainrule.ops.from_data import from_numpy
from chainrule.tensor import Tensor

__all__ = ["default_collate", "default_convert", "to_array", "to_tensor"]


def to_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """The array as a Tensor that shares its memory.

    >>> array = np.zeros(2)
    >>> x = to_tensor(array)
    >>> array[0] = 1
    >>> x
    tensor([1., 0.], dtype=chainrule.float64)
    """
    return from_numpy(array)


def to_array(data: object) -> np.ndarray[Any, Any]:
    """A Tensor's or anything array-like's values as a NumPy array, shared where possible.

    Raises:
        DataError: it is ragged or holds Python objects.

    >>> to_array([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if isinstance(data, Tensor):
        return data.numpy()
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DataError(f"expected an array, found ragged data: {error}") from error
    if array.dtype == object:
        raise DataError(
            f"expected an array of numbers, found Python objects ({type(data).__name__})",
            cure="convert the samples to equal shapes of one numeric dtype first",
        )
    return array


def default_convert(sample: Any) -> Any:
    """Arrays inside a sample become Tensors; everything else stays (what a loader without
    batches does).

    >>> default_convert({"x": np.arange(3), "name": "three"})
    {'x': tensor([0, 1, 2]), 'name': 'three'}
    """
    if isinstance(sample, np.ndarray | np.generic):
        return to_tensor(np.asarray(cast("Any", sample)))
    return _map_structure(default_convert, sample)


def default_collate(samples: Sequence[Any]) -> Any:
    """Stack samples into a batch along a new first axis.

    Arrays, Tensors and numbers become one Tensor (Python floats float64, ints int64, as in
    PyTorch); strings stay a list; tuples, lists and mappings are collated item by item.

    Raises:
        DataError: there are no samples, or they differ in shape, length or keys.

    >>> default_collate([(1, "a"), (2, "b")])[0].shape
    (2,)
    """
    if len(samples) == 0:
        raise DataError("default_collate: expected at least one sample, found none")
    first = samples[0]
    if isinstance(first, Tensor | np.ndarray | np.generic | bool | int | float):
        return to_tensor(_stack([to_array(sample) for sample in samples]))
    if isinstance(first, str | bytes):
        return list(samples)
    if isinstance(first, Mapping):
        keys = cast("Mapping[Any, Any]", first)
        if any(sample.keys() != keys.keys() for sample in samples):
            raise DataError("default_collate: the samples of one batch have different keys")
        return {key: default_collate([sample[key] for sample in samples]) for key in keys}
    if isinstance(first, Sequence):
        if len({len(sample) for sample in samples}) > 1:
            raise DataError("default_collate: the samples of one batch have different lengths")
        columns = [default_collate(column) for column in zip(*samples, strict=True)]
        return _like(cast("Sequence[Any]", first), columns)
    raise DataError(
        f"default_collate: samples of type {type(first).__name__} can't be stacked",
        cure="return arrays, numbers, strings, tuples, lists or dicts, or pass a collate_fn",
    )


def _stack(arrays: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        listed = ", ".join(map(str, sorted(shapes)[:4]))
        raise DataError(
            f"default_collate: the samples of one batch have different shapes: {listed}",
            cure="crop or pad them to one shape, or pass a collate_fn",
        )
    return np.stack(arrays)


def _map_structure(function: Any, sample: Any) -> Any:
    if isinstance(sample, str | bytes | Tensor):
        return sample
    if isinstance(sample, Mapping):
        items = cast("Mapping[Any, Any]", sample)
        return {key: function(value) for key, value in items.items()}
    if isinstance(sample, Sequence):
        values = cast("Sequence[Any]", sample)
        return _like(values, [function(value) for value in values])
    return sample


def _like(template: Sequence[Any], values: list[Any]) -> Any:
    """The values as a named tuple where the template is one, else a list, as in PyTorch."""
    make = getattr(template, "_make", None)
    return make(values) if make is not None else values
