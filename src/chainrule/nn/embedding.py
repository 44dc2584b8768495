"""The embedding layer: a table whose rows are looked up by index."""

from __future__ import annotations

from typing import Any, Self

from chainrule.autograd import no_grad
from chainrule.core.dtypes import DType
from chainrule.errors import ConfigError
from chainrule.nn import functional as F
from chainrule.nn import init
from chainrule.nn.layer import Layer
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import zeros
from chainrule.tensor import Tensor

__all__ = ["Embedding"]


class Embedding(Layer):
    """Rows of a table: y[...] = W[i[...]].

    Shapes:
        i any shape of integers, y (*i.shape, embedding_dim).

    Parameters:
        weight (num_embeddings, embedding_dim) drawn from N(0, 1); the row `padding_idx` is zero.

    Args:
        num_embeddings: rows of the table.
        embedding_dim: numbers in a row.
        padding_idx: a row that stays zero and gets no gradient.
        max_norm: not supported, an error: as are `scale_grad_by_freq` and `sparse`.
        norm_type: goes with max_norm.
        scale_grad_by_freq: not supported.
        sparse: not supported.
        device: "cpu" or None.
        dtype: of the table.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Embedding(10, 4)(chainrule.tensor([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if max_norm is not None or scale_grad_by_freq or sparse:
            raise ConfigError(
                "Embedding: max_norm, scale_grad_by_freq and sparse are not supported",
                cure="leave them out; clip the table's rows under no_grad() instead of max_norm",
            )
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ConfigError(
                f"Embedding: padding_idx is {padding_idx}, the table has {num_embeddings} rows",
                cure=f"pass one from {-num_embeddings} to {num_embeddings - 1}, or None",
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(
            zeros(num_embeddings, embedding_dim, dtype=dtype, device=device)
            if _weight is None
            else _weight,
            requires_grad=not _freeze,
        )
        if _weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                init.zeros_(self.weight[self.padding_idx])

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None
    ) -> Self:
        """A layer around a table there is already; frozen unless told otherwise.

        >>> import chainrule
        >>> from chainrule import nn
        >>> layer = nn.Embedding.from_pretrained(chainrule.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> layer(chainrule.tensor([1])), layer.weight.requires_grad
        (tensor([[3., 4.]]), False)
        """
        rows, width = embeddings.shape
        return cls(rows, width, padding_idx, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Tensor) -> Tensor:
        """The rows."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """The sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
