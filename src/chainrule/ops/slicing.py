"""Basic indexing as ops: a slice of a tensor is a view, and its transpose puts it among zeros.

`indexing.py` reads what stands between the brackets; here is what it comes to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Key", "Range", "Slice", "Unslice", "narrow_to", "pick"]

Range = tuple[int, int, int]
"""Start, stop (not reached) and step (at least 1), all counted from the left and in bounds."""
Key = tuple[int | Range | None, ...]
"""Per dimension a range, or an index (the dimension goes); None makes a new one. What is missing
at the end is taken whole."""


def _numpy_key(key: Key) -> Any:
    return (*[slice(*each) if isinstance(each, tuple) else each for each in key], ...)


def _sliced_shape(shape: tuple[int, ...], key: Key) -> tuple[int, ...]:
    result: list[int] = []
    dim = 0
    for each in key:
        if each is None:
            result.append(1)
            continue
        if isinstance(each, tuple):
            start, stop, step = each
            result.append(max(0, -((start - stop) // step)))
        dim += 1
    return (*result, *shape[dim:])


_CASES: tuple[tuple[tuple[int, ...], Key], ...] = (
    ((4,), ((1, 3, 1),)),
    ((5,), ((0, 5, 2),)),
    ((3,), (1,)),
    ((2, 3), (1, None, (0, 2, 1))),
    ((2, 3), ()),
    ((2, 3, 4), ((0, 2, 1), 2)),
    ((3, 2), ((0, 0, 1),)),
    ((), (None,)),
)


class Slice(LinearOp):
    r"""y = x[key] for indices, ranges and new dimensions: a view.    x_bar = y_bar among zeros

    Attributes:
        key: what is taken of each dimension.
    """

    key: Key
    aliases = True

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Ranges, steps, indices, new dimensions, nothing left."""
        for shape, key in _CASES:
            yield Sample(op(key), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The sizes of the ranges."""
        return TensorType(_sliced_shape(x.shape, self.key), x.dtype)

    def reference(self, x: Array) -> Array:
        """NumPy's basic indexing."""
        return x[_numpy_key(self.key)]

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent in its place, zeros elsewhere."""
        return (bind(Unslice(x.shape, self.key), y_bar),)


class Unslice(LinearOp):
    r"""y = zeros with x at y[key].    x_bar = y_bar[key]

    Attributes:
        shape: the shape of the result.
        key: where x goes.
    """

    shape: tuple[int, ...]
    key: Key

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The cases of `Slice`, the other way."""
        for shape, key in _CASES:
            yield Sample(op(shape, key), (spread(_sliced_shape(shape, key), -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """`shape`."""
        return TensorType(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """Zeros, written to through the slice."""
        y = np.zeros(self.shape, x.dtype)
        y[_numpy_key(self.key)] = x
        return y

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The slice of the cotangent."""
        return (bind(Slice(self.key), y_bar),)


def whole(shape: tuple[int, ...]) -> Key:
    """The key that takes all of each dimension."""
    return tuple([(0, size, 1) for size in shape])


def narrow_to(input: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """Elements `start` to `stop` (not included) of a dimension counted from the left: a view.

    >>> import chainrule
    >>> narrow_to(chainrule.arange(5), 0, 1, 3)
    tensor([1, 2])
    """
    return bind(Slice((*whole(input.shape[:dim]), (start, stop, 1))), input)


def pick(input: Tensor, dim: int, index: int) -> Tensor:
    """One slice along a dimension, which goes; both counted from the left. A view.

    >>> import chainrule
    >>> pick(chainrule.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    return bind(Slice((*whole(input.shape[:dim]), index)), input)
