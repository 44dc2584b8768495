"""Embeddings: rows of a table, looked up by index.

The derivation is `docs/derivations/embedding.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import bool_, int64
from chainrule.core.interpret import bind, read
from chainrule.core.op import Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import ConfigError, DTypeError
from chainrule.nn.functional.class_targets import ClassIndex
from chainrule.ops.advanced import Index, IndexAdd
from chainrule.ops.promotion import cast
from chainrule.ops.refusal import refuse
from chainrule.ops.sequences import arange

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["embedding", "one_hot"]

_LOOK_UP = Index((0,), 0, False)


class Embedding(CoarseOp):
    r"""y[...] = W[i[...]].    W_bar[r] = Σ y_bar over the places where i = r

    Shapes:
        W is (rows, D), i any shape of integers, y (*i.shape, D).

    Attributes:
        padding_idx: the row that gets no gradient; None for none.
    """

    padding_idx: int | None = None
    saves = Saves((0,))

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Rows that come twice, no place at all, one place; a padding row (not a derivative)."""
        weight = spread((4, 3), -1, 1)
        for index in ([0, 2, 2, 1], [[3, 0], [3, 3]], 1, np.zeros((0, 2), np.int64)):
            yield Sample(op(), (np.asarray(index), weight))
        yield Sample(op(2), (np.array([0, 2, 2, 1]), weight), smooth=False)

    def type_rule(self, index: TensorType, weight: TensorType) -> TensorType:
        """The index's shape, and the width of the table."""
        if weight.ndim != 2:
            self.fail(
                f"the table is {weight}, not a matrix",
                cure="a weight has shape [num_embeddings, embedding_dim]",
                types=[index, weight],
            )
        if index.dtype is not int64:
            self.fail(
                f"the indices are {index}, not integers",
                cure="convert them with .long()",
                error=DTypeError,
                types=[index, weight],
            )
        return TensorType((*index.shape, weight.shape[1]), weight.dtype)

    def saves_for(self, needs: Needs) -> Saves:
        """The indices."""
        return self.saves

    def forward(self, index: Tensor, weight: Tensor) -> tuple[Tensor, tuple[()]]:
        """The rows; what comes from the padding row is cut off from the tape."""
        y = bind(_LOOK_UP, weight, index)
        if self.padding_idx is not None:
            y = y.where(self._counts(index), y.detach())
        return y, ()

    def _counts(self, index: Tensor) -> Tensor:
        return (index != self.padding_idx).reshape((*index.shape, 1))

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[()],
        index: Tensor,
        weight: Any,
        *,
        needs: Needs,
    ) -> Bars:
        """Each row's cotangents, added up where the row came from."""
        if self.padding_idx is not None:
            y_bar = y_bar.where(self._counts(index), 0)
        return None, bind(IndexAdd((0,), 0, False, weight.shape), y_bar, index)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table: y[...] = weight[input[...]].

    Args:
        input: indices of any shape, from 0 to num_embeddings - 1.
        weight: the table (num_embeddings, embedding_dim).
        padding_idx: a row that gets no gradient; negative counts from the end.
        max_norm: not supported, see below; `norm_type`, `scale_grad_by_freq` and `sparse` neither.

    Differences from PyTorch: `max_norm` would change the table in a forward pass, and is an error
    here, as are the two options for sparse gradients.

    Raises:
        DimensionError: an index out of range.
        ConfigError: an option that is not supported.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> table = chainrule.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> F.embedding(chainrule.tensor([1, 0]), table)
    tensor([[2., 3.],
            [0., 1.]])
    """
    for name, given in (
        ("max_norm", max_norm),
        ("scale_grad_by_freq", scale_grad_by_freq),
        ("sparse", sparse),
    ):
        if given:
            raise ConfigError(
                f"embedding: {name} is not supported",
                cure="leave it out; clip the table's rows under no_grad() instead"
                if name == "max_norm"
                else "leave it out; gradients are dense here",
            )
    rows = weight.shape[0] if weight.shape else 0
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ConfigError(
            f"embedding: padding_idx is {padding_idx}, the table has {rows} rows",
            cure=f"pass one from {-rows} to {rows - 1}, or None",
        )
    if padding_idx is not None and padding_idx < 0:
        padding_idx += rows
    index = cast(input, int64) if input.value.dtype.kind in "iu" else input
    return Embedding(padding_idx).apply(index, weight)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Indices as rows with a single 1: y[..., c] = [input = c], in int64.

    With `num_classes` -1 the largest index is looked up, which a compiled step can't do.

    Raises:
        DTypeError: the input holds no integers.
        DimensionError: an index is negative, or not below `num_classes`.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.one_hot(chainrule.tensor([2, 0]), 3)
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if input.dtype.is_floating_point or input.dtype is bool_:
        refuse(
            "one_hot",
            f"takes integers, not {input.type}",
            cure="convert with .long()",
            error=DTypeError,
        )
    index = cast(input, int64)
    if num_classes == -1:
        num_classes = int(read(index).max(initial=-1)) + 1
    checked = bind(ClassIndex(num_classes), index)
    return (checked.reshape((*checked.shape, 1)) == arange(num_classes)).to(int64)
