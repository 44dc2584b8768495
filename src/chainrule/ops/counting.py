"""Counting: unique values, histograms. What comes out has as many elements as the data say.

So these look at the numbers themselves, can't be part of a compiled step, and have no gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.interpret import lift, read
from chainrule.core.location import user_location
from chainrule.errors import DTypeError, OpError
from chainrule.ops.promotion import promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["bincount", "histc", "unique", "unique_consecutive"]


def _with_extras(values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool):
    extras = ([lift(inverse)] if return_inverse else []) + ([lift(counts)] if return_counts else [])
    return (lift(values), *extras) if extras else lift(values)


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, in order; with `dim`, the different slices along it.

    Args:
        input: a tensor.
        sorted: they are sorted either way.
        return_inverse: also give, for every element, the index of its value.
        return_counts: also give how often each value occurs.
        dim: take slices along this dimension as the elements.

    Returns:
        the values, or a tuple with what was asked for besides.

    >>> import chainrule
    >>> chainrule.tensor([3, 1, 3]).unique()
    tensor([1, 3])
    """
    axis = None if dim is None else one_dim("unique", dim, input.ndim)
    values, inverse, counts = np.unique(
        read(input), return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    inverse = inverse.reshape(input.shape if axis is None else (-1,))
    return _with_extras(values, inverse, counts, return_inverse, return_counts)


def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements (or slices along `dim`) with each run of equal ones made one.

    >>> import chainrule
    >>> chainrule.tensor([1, 1, 2, 1]).unique_consecutive()
    tensor([1, 2, 1])
    """
    axis = 0 if dim is None else one_dim("unique_consecutive", dim, input.ndim)
    x = read(input)
    rows = np.moveaxis(x.reshape(-1) if dim is None else x, axis, 0)
    new = np.ones(len(rows), np.bool_)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=tuple(range(1, rows.ndim)))
    inverse = np.cumsum(new) - 1
    counts = np.diff(np.append(np.flatnonzero(new), len(rows)))
    values = np.moveaxis(rows[new], 0, axis)
    inverse = inverse.reshape(input.shape) if dim is None else inverse
    return _with_extras(values, inverse, counts, return_inverse, return_counts)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in a one-dimensional tensor of integers.

    Args:
        input: integers, none of them negative.
        weights: what each counts, instead of 1.
        minlength: the least length of the result.

    >>> import chainrule
    >>> chainrule.tensor([0, 2, 2]).bincount()
    tensor([1, 0, 2])
    """
    x = read(input)
    if x.ndim != 1 or x.dtype.kind not in "iu" or (x.size and x.min() < 0) or minlength < 0:
        raise OpError(
            f"bincount: expected one dimension of integers, none of them negative, and a minlength "
            f"of at least 0, got {input.type} and {minlength}",
            cure="flatten() it, and shift what it counts to 0 and up",
            location=str(user_location() or ""),
        )
    if weights is None:
        try:
            return lift(np.bincount(x, minlength=minlength))
        except MemoryError as error:
            raise OpError(
                f"bincount: {input.type} holds numbers up to {x.max(initial=0)}: {error}",
                cure="count them with unique(return_counts=True)",
                location=str(user_location() or ""),
            ) from None
    heavy = read(weights)
    if heavy.shape != x.shape:
        raise OpError(
            f"bincount: {input.type} has weights of another shape, {weights.type}",
            cure="give one weight per element",
            location=str(user_location() or ""),
        )
    counts = np.bincount(x, heavy, minlength)
    return lift(counts.astype(np.float32) if heavy.dtype == np.float32 else counts)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts of [min, max].

    Args:
        input: a float tensor.
        bins: how many parts.
        min: where the first begins; elements below it are not counted.
        max: where the last ends; with both 0, they are the least and greatest element.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 2.0, 1.0]).histc(bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    (tensor,) = promote(input)
    x = read(tensor).reshape(-1)
    if x.dtype.kind != "f":
        raise DTypeError(f"histc: expected floats, got {tensor.type}", cure=".float() it first")
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if bins < 1 or not low < high or not np.isfinite([low, high]).all():
        raise OpError(
            f"histc: {bins} bins from {low} to {high}",
            cure="ask for at least one bin, between two finite numbers, the lesser first",
            location=str(user_location() or ""),
        )
    counts, _ = np.histogram(x[np.isfinite(x)], bins, (low, high))
    return lift(counts.astype(x.dtype))
