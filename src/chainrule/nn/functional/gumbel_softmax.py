"""Samples of classes that gradients flow through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.core.axes import one_dim
from chainrule.errors import ConfigError
from chainrule.nn.functional.softmax import softmax
from chainrule.ops.promotion import floating
from chainrule.ops.random import rand_like
from chainrule.ops.sequences import arange

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["gumbel_softmax"]


def gumbel_softmax(logits: Tensor, tau: float = 1.0, hard: bool = False, dim: int = -1) -> Tensor:
    """softmax((logits + g) / tau) with Gumbel noise g = -ln(-ln u): nearly a one-hot sample.

    Its largest element is each class with the probability that the logits give it. The smaller
    `tau`, the closer to one-hot. With `hard` it is one-hot, with the gradient of the soft one.

    Raises:
        ConfigError: `tau` is not above 0.

    Source: Jang et al., "Categorical Reparameterization with Gumbel-Softmax", 2016.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> y = F.gumbel_softmax(chainrule.zeros(1000, 4), hard=True)
    >>> y.unique(), y.sum()
    (tensor([0., 1.]), tensor(1000.))
    """
    if tau <= 0:
        raise ConfigError(f"gumbel_softmax: tau is {tau}", cure="pass a tau above 0")
    x = floating(logits)
    axis = one_dim("gumbel_softmax", dim, len(x.shape))
    noise = -(-(1 - rand_like(x)).log()).log()  # u in (0, 1]: no logarithm of 0 but of -ln 1
    y = softmax((x + noise.clamp(max=50)) / tau, axis)
    if not hard:
        return y
    places = [1] * len(x.shape)
    places[axis] = x.shape[axis]
    best = arange(x.shape[axis]).reshape(places) == y.argmax(axis, keepdim=True)
    return best.to(y.dtype) - y.detach() + y
