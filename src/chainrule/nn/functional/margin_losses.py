"""Losses that want a margin, and some of statistics. Made of fine ops, reduced like all losses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.errors import ConfigError
from chainrule.nn.functional.class_targets import check_index_types, class_dim, class_hits
from chainrule.nn.functional.distances import cosine_similarity, pairwise_distance
from chainrule.nn.functional.nll_loss import NllLoss, index_operands
from chainrule.nn.functional.reduction import check_reduction, reduced
from chainrule.nn.functional.smooth_activations import logsigmoid
from chainrule.ops.promotion import floating

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "cosine_embedding_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
    "poisson_nll_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
]


def _finish(name: str, losses: Tensor, reduction: str) -> Tensor:
    return reduced(losses, check_reduction(name, reduction))


def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """ln(1 + e^(-t x)), for targets t of 1 and -1.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x, target = chainrule.tensor([2.0, 2.0]), chainrule.tensor([1.0, -1.0])
    >>> F.soft_margin_loss(x, target, reduction="none")
    tensor([0.1269, 2.1269])
    """
    return _finish("soft_margin_loss", -logsigmoid(input * target), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> distance, target = chainrule.tensor([0.4, 0.4, 2.0]), chainrule.tensor([1, -1, -1])
    >>> F.hinge_embedding_loss(distance, target, reduction="none")
    tensor([0.4000, 0.6000, 0.0000])
    """
    far = (margin - input).clamp(0)
    losses = input.where(target == 1, 0) + far.where(target == -1, 0)
    return _finish("hinge_embedding_loss", losses, reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, -t (x1 - x2) + margin): a target of 1 wants x1 above x2, of -1 below.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x1, x2 = chainrule.tensor([2.0, 1.0]), chainrule.tensor([1.0, 2.0])
    >>> F.margin_ranking_loss(x1, x2, chainrule.tensor([1, 1]), margin=0.5, reduction="none")
    tensor([0.0000, 1.5000])
    """
    losses = (-target * (input1 - input2) + margin).clamp(0)
    return _finish("margin_ranking_loss", losses, reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    The vectors (N, C), or (C), lie along the last dimension; the targets are (N), or a scalar.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> a, b = chainrule.tensor([[1.0, 0.0]] * 2), chainrule.tensor([[3.0, 4.0]] * 2)
    >>> F.cosine_embedding_loss(a, b, chainrule.tensor([1, -1]), reduction="none")
    tensor([0.4000, 0.6000])
    """
    cosine = cosine_similarity(input1, input2, dim=-1)
    losses = (1 - cosine).where(target == 1, 0) + (cosine - margin).clamp(0).where(target == -1, 0)
    return _finish("cosine_embedding_loss", losses, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin).

    With `swap`, the negative's distance is the smaller of those to the anchor and to the positive.

    Source: Schroff et al., "FaceNet", 2015, arXiv:1503.03832; `swap`: Balntas et al., 2016.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> anchor, near, far = (chainrule.tensor([[x]]) for x in (0.0, 1.0, 1.5))
    >>> F.triplet_margin_loss(anchor, near, far)
    tensor(0.5000)
    """
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return _finish("triplet_margin_loss", (near - far + margin).clamp(0), reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    *,
    reduction: str = "mean",
) -> Tensor:
    """e^x - t x (or x - t ln(x + eps)): counts t against a rate; `full` adds Stirling's ln t!.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> rate, count = chainrule.tensor([1.0, 2.0, 3.0]), chainrule.full((3,), 2.0)
    >>> F.poisson_nll_loss(rate, count, log_input=False, reduction="none")
    tensor([1.0000, 0.6137, 0.8028])
    """
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        some = target > 1
        t = floating(target).where(some, 1)
        stirling = t * t.log() - t + 0.5 * (2 * math.pi * t).log()
        losses = losses + stirling.where(some, 0)
    return _finish("poisson_nll_loss", losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    *,
    reduction: str = "mean",
) -> Tensor:
    """(ln v + (x - t)² / v) / 2, v = max(var, eps): a prediction with its own uncertainty.

    The floor `eps` holds the value, not the gradient back, as in PyTorch. `full` adds ln √(2π).

    Raises:
        ConfigError: `var` is a number below 0.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> off, var = chainrule.tensor([2.0, 2.0]), chainrule.tensor([1.0, 4.0])
    >>> F.gaussian_nll_loss(off, chainrule.zeros(2), var, reduction="none")
    tensor([2.0000, 1.1931])
    """
    if isinstance(var, int | float):
        if var < 0:
            raise ConfigError(f"gaussian_nll_loss: var is {var}", cure="a variance is not negative")
        variance = input.full_like(float(var))
    else:
        variance = var if var.shape in ((), input.shape) else _per_sample(var, input)
    variance = variance + (variance.detach().clamp(eps) - variance.detach())
    d = input - target
    losses = 0.5 * (variance.log() + d * d / variance)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return _finish("gaussian_nll_loss", losses, reduction)


def _per_sample(var: Tensor, input: Tensor) -> Tensor:
    """One variance per sample, given without or with a last dimension of size 1."""
    return var.reshape((*var.shape, 1)) if var.shape == input.shape[:-1] else var


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy with logits of every class, its mean over the classes (the last).

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x, target = chainrule.tensor([[0.0, 50.0]]), chainrule.tensor([[1.0, 0.0]])
    >>> F.multilabel_soft_margin_loss(x, target)
    tensor(25.3466)
    """
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return _finish("multilabel_soft_margin_loss", losses.mean(-1), reduction)


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """Σ max(0, margin - x[t] + x[c])ᵖ / C over the classes c ≠ t.

    Raises:
        DimensionError: a target is no class.
        ConfigError: p is neither 1 nor 2.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x = chainrule.tensor([[1.0, 0.5, -1.0]])
    >>> F.multi_margin_loss(x, chainrule.tensor([0]))
    tensor(0.1667)
    """
    if p not in (1, 2):
        raise ConfigError(f"multi_margin_loss: p is {p}", cure="pass 1 or 2")
    dim = class_dim(len(input.shape))
    x, indices, _ = index_operands(input, target, None)
    check_index_types(NllLoss(), x.type, indices.type)
    _, hits = class_hits(x, indices, None)
    own = x.where(hits, 0).sum(dim, keepdim=True)
    short = (margin - own + x).clamp(0).where(~hits, 0)
    losses = (short if p == 1 else short * short).mean(dim)
    return _finish("multi_margin_loss", losses, reduction)
