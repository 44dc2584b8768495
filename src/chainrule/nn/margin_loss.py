"""Losses with a margin, which compare pairs or triplets, and the distances they are made of."""

from __future__ import annotations

from chainrule.nn import functional as F
from chainrule.nn.layer import Layer
from chainrule.nn.loss import Loss
from chainrule.tensor import Tensor

__all__ = [
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "PairwiseDistance",
    "SoftMarginLoss",
    "TripletMarginLoss",
]


class SoftMarginLoss(Loss):
    """ln(1 + e^(-t x)), with t = ±1.

    Args:
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.SoftMarginLoss(reduction="none")
    >>> loss(chainrule.tensor([2.0, 2.0]), chainrule.tensor([1.0, -1.0]))
    tensor([0.1269, 2.1269])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(Loss):
    """x where t = 1, max(0, margin - x) where t = -1.

    Args:
        margin: from where on a pair counts as far apart.
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.HingeEmbeddingLoss(reduction="none")
    >>> loss(chainrule.tensor([0.4, 0.4, 2.0]), chainrule.tensor([1.0, -1.0, -1.0]))
    tensor([0.4000, 0.6000, 0.0000])
    """

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(Loss):
    """max(0, -t (x1 - x2) + margin): which of two is the larger.

    Args:
        margin: by how much it must be.
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.MarginRankingLoss(margin=0.5, reduction="none")
    >>> x1, x2 = chainrule.tensor([2.0, 1.0]), chainrule.tensor([1.0, 2.0])
    >>> loss(x1, x2, chainrule.tensor([1.0, 1.0]))
    tensor([0.0000, 1.5000])
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1.

    Shapes:
        x1 and x2 (N, C), t (N); or without N.

    Args:
        margin: the cosine that different ones may have.
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> x1, x2 = chainrule.tensor([[1.0, 0.0]] * 2), chainrule.tensor([[3.0, 4.0]] * 2)
    >>> nn.CosineEmbeddingLoss(reduction="none")(x1, x2, chainrule.tensor([1, -1]))
    tensor([0.4000, 0.6000])
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.cosine_embedding_loss(
            input1, input2, target, self.margin, reduction=self.reduction
        )


class TripletMarginLoss(Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin).

    Shapes:
        all three (N, C), or (C).

    Args:
        margin: by how much nearer the positive must be.
        p: which norm the distance is.
        eps: keeps the distance from zero.
        swap: take the positive's distance from the negative if that is smaller.
        reduction: "mean", "sum" or "none".

    Source: Schroff et al., "FaceNet", 2015, arXiv:1503.03832; `swap`: Balntas et al., 2016.

    >>> import chainrule
    >>> from chainrule import nn
    >>> anchor, near, far = (chainrule.tensor([[x]]) for x in (0.0, 1.0, 1.5))
    >>> nn.TripletMarginLoss()(anchor, near, far)
    tensor(0.5000)
    >>> nn.TripletMarginLoss(swap=True)(anchor, near, far)
    tensor(1.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss."""
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            self.margin,
            self.p,
            self.eps,
            self.swap,
            reduction=self.reduction,
        )


class CosineSimilarity(Layer):
    """x1 · x2 / (|x1| |x2|) along a dimension.

    Args:
        dim: the dimension.
        eps: the least product of lengths.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.CosineSimilarity()(chainrule.tensor([[1.0, 0.0]]), chainrule.tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The cosines."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Layer):
    """The p-norm of x1 - x2 + ε along the last dimension.

    Args:
        p: which norm.
        eps: ε.
        keepdim: keep the last dimension, with size 1.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.PairwiseDistance()(chainrule.tensor([[3.0, 4.0]]), chainrule.zeros(1, 2))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The distances."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
