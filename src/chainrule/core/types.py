"""`TensorType`: shape and dtype, all that a type rule, an error or a graph needs to know."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from chainrule.core.dtypes import BY_NUMPY, DType

__all__ = ["Signature", "TensorType", "broadcast_shapes_or_none", "signature_of", "type_of"]


@dataclass(slots=True, unsafe_hash=True)
class TensorType:
    """What a tensor is, without its values. Never changed once made.

    (Not `frozen`, which would triple the time to make one: the backward pass makes many.)

    >>> from chainrule.core.dtypes import float32
    >>> TensorType((32, 784), float32)
    f32[32,784]
    """

    shape: tuple[int, ...]
    dtype: DType

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of its elements."""
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"{self.dtype.short}[{','.join(map(str, self.shape))}]"


Signature = tuple[tuple[int, ...], np.dtype[Any]]
"""The shape and the NumPy dtype of an array: what a `TensorType` says, in less time."""

signature_of: Callable[[Any], Signature] = attrgetter("value.shape", "value.dtype")
"""The signature of a tensor's value."""


def type_of(value: Any) -> TensorType:
    """The type of a value: of a tensor's array, or of what stands for it under a trace."""
    return TensorType(value.shape, BY_NUMPY[value.dtype])


def broadcast_shapes_or_none(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The shape that all `shapes` broadcast to, or None where they do not fit.

    Aligned at the right, two sizes fit when they are equal or one of them is 1.

    >>> broadcast_shapes_or_none([(3, 1), (4,)])
    (3, 4)
    """
    ndim = max((len(shape) for shape in shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for axis, size in enumerate(shape, ndim - len(shape)):
            if size == 1 or size == result[axis]:
                continue
            if result[axis] != 1:
                return None
            result[axis] = size
    return tuple(result)
