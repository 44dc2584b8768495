"""Triangles of matrices: tril, triu and their indices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import DType, int64
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind, lift
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["tril", "tril_indices", "triu", "triu_indices"]

IN_PLACE = ("tril", "triu")


class Triangle(LinearOp, family=True):
    """y = x on one side of a diagonal of the last two dimensions, zeros on the other.

    Attributes:
        diagonal: how far above the main diagonal the last one kept (tril) or the first (triu) is.
    """

    diagonal: int = 0

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Square, oblong, batched, and all or nothing kept."""
        for shape, diagonal in (((3, 3), 0), ((2, 4), 1), ((2, 3, 2), -1), ((2, 2), 7)):
            yield Sample(op(diagonal), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same type, a matrix or a batch of them."""
        if x.ndim < 2:
            self.fail(f"takes matrices, not {x}", cure="it needs two dimensions", types=[x])
        return x

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The same triangle."""
        return (bind(self, y_bar),)


class Tril(Triangle):
    r"""y[i, j] = x[i, j] where j <= i + diagonal, else 0.    x_bar = y_bar there"""

    def reference(self, x: Array) -> Array:
        """`np.tril`."""
        return np.tril(x, self.diagonal)


class Triu(Triangle):
    r"""y[i, j] = x[i, j] where j >= i + diagonal, else 0.    x_bar = y_bar there"""

    def reference(self, x: Array) -> Array:
        """`np.triu`."""
        return np.triu(x, self.diagonal)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix, zeros above.

    >>> import chainrule
    >>> chainrule.ones(2, 2).tril()
    tensor([[1., 0.],
            [1., 1.]])
    """
    op = Tril(diagonal)
    op.type_rule(input.type)  # NumPy would make a matrix of a vector
    return bind(op, input)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix, zeros below.

    >>> import chainrule
    >>> chainrule.ones(2, 3).triu(1)
    tensor([[0., 1., 1.],
            [0., 0., 1.]])
    """
    op = Triu(diagonal)
    op.type_rule(input.type)
    return bind(op, input)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: DType = int64) -> Tensor:
    """Row and column of each element of a lower triangle, in a tensor of two rows.

    >>> import chainrule
    >>> chainrule.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return lift(np.stack(np.tril_indices(row, offset, col)).astype(dtype.numpy))


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: DType = int64) -> Tensor:
    """Row and column of each element of an upper triangle, in a tensor of two rows.

    >>> import chainrule
    >>> chainrule.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return lift(np.stack(np.triu_indices(row, offset, col)).astype(dtype.numpy))
