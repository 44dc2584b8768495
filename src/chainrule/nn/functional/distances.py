"""Lengths and angles: normalize, cosine_similarity, pairwise_distance. Made of fine ops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.ops.broadcasting import broadcast_tensors
from chainrule.ops.promotion import floating, pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def _length(x: Tensor, p: float, dim: int, keepdim: bool) -> Tensor:
    """The p-norm along `dim`. Of a vector of zeros it has the slope 0, not 0/0."""
    size = x.abs()
    if p == math.inf:
        return size.amax(dim, keepdim=keepdim)
    if p == 1:
        return size.sum(dim, keepdim=keepdim)
    total = (size**p).sum(dim, keepdim=keepdim)
    some = total > 0
    return (total.where(some, 1) ** (1 / p)).where(some, total)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors along `dim` brought to length 1: y = x / max(‖x‖ₚ, eps).

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.normalize(chainrule.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    x = floating(input)
    return x / _length(x, p, dim, keepdim=True).clamp(eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`: ⟨a, b⟩ / (max(‖a‖, eps) max(‖b‖, eps)).

    The two are broadcast against each other.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> a, b = chainrule.tensor([[1.0, 0.0]]), chainrule.tensor([[3.0, 4.0], [-2.0, 0.0]])
    >>> F.cosine_similarity(a, b)
    tensor([ 0.6000, -1.0000])
    """
    a, b = broadcast_tensors(*pair(floating(x1), floating(x2)))
    lengths = [(x * x).sum(dim, keepdim=True).clamp(eps * eps).sqrt() for x in (a, b)]
    return (a / lengths[0] * (b / lengths[1])).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The distance of vectors along the last dimension: ‖a - b + eps‖ₚ, broadcast.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.pairwise_distance(chainrule.tensor([3.0, 4.0]), chainrule.zeros(2), p=1)
    tensor(7.0000)
    """
    a, b = pair(floating(x1), floating(x2))
    return _length(a - b + eps, p, -1, keepdim)
