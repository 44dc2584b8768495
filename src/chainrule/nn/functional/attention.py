"""Scaled dot-product attention, in one op. The derivation is `docs/derivations/attention.md`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import bool_
from chainrule.core.interpret import bind
from chainrule.core.op import Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import ConfigError, DTypeError
from chainrule.nn.functional.dropout import check_probability
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.softmax import softmax_body
from chainrule.ops.generator import draw_state
from chainrule.ops.matmul import matmul
from chainrule.ops.random import Mask
from chainrule.ops.sequences import arange

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


class Attention(CoarseOp):
    r"""y = p v,  p = softmax(s),  s = scale q kᵀ + mask.

        v_bar = pᵀ y_bar
        s_bar = p ⊙ (y_bar vᵀ - Σ y_bar ⊙ y)
        q_bar = scale s_bar k,  k_bar = scale s_barᵀ q,  mask_bar = s_bar

    Shapes:
        q is (..., L, E), k (..., S, E), v (..., S, D), y (..., L, D), the mask (..., L, S).

    Attributes:
        scale: what the products are multiplied by.
        causal: position i sees the positions up to i only.
        masked: whether there is a mask: the fourth input, bool (what may be seen) or added to s.
        dropout_p: the chance of a probability to be dropped; the generator's state is then the
            last input.
    """

    scale: float
    causal: bool = False
    masked: bool = False
    dropout_p: float = 0.0
    outputs = 2

    @property
    def constant_in(self) -> tuple[int, ...]:
        """The inputs without a derivative: the generator's state."""
        return (3 + self.masked,) if self.dropout_p else ()

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Plain, in batches, broadcast, causal, masked both ways, with dropout."""
        q, k, v = spread((3, 2), -2, 2), spread((4, 2), -2, 2, seed=1), spread((4, 3), -2, 2)
        yield Sample(op(0.7), (q, k, v))
        yield Sample(op(0.7, True), (q, k, v))
        batch = tuple(spread((2, 2, *x.shape), -2, 2, seed=i) for i, x in enumerate((q, k, v)))
        yield Sample(op(0.5, True), batch)
        yield Sample(op(0.5), (batch[0], k, batch[2][:, :1]))
        seen = np.array([[True, False, True, True], [False, True, True, False], [False] * 4])
        yield Sample(op(0.7, False, True), (q, k, v, seen))
        yield Sample(op(0.7, False, True), (q, k, v, spread((4,), -1, 1, seed=5)))
        state = np.array([7, 3], np.int64)
        yield Sample(op(0.7, False, False, 0.4), (q, k, v, state))
        yield Sample(op(0.7, False, True, 0.4), (*batch, seen, state))

    def type_rule(
        self, q: TensorType, k: TensorType, v: TensorType, *more: TensorType
    ) -> tuple[TensorType, TensorType]:
        """(..., L, D), and the probabilities (..., L, S)."""
        types = (q, k, v)
        if min(x.ndim for x in types) < 2 or q.shape[-1] != k.shape[-1]:
            self.fail(
                f"query {q} and key {k} differ in their last size, or lack dimensions",
                cure="the query is (..., L, E), the key (..., S, E), the value (..., S, D)",
                types=types,
            )
        if k.shape[-2] != v.shape[-2]:
            self.fail(
                f"key {k} and value {v} have different lengths",
                cure="there is one value per key: their second-to-last sizes agree",
                types=types,
            )
        if k.dtype is not q.dtype or v.dtype is not q.dtype:
            self.fail(
                f"dtypes differ: {q}, {k}, {v}",
                cure="convert them to one with .to(dtype)",
                error=DTypeError,
                types=types,
            )
        batch = broadcast_shapes_or_none([x.shape[:-2] for x in types])
        if batch is None:
            self.fail(
                f"batch dimensions do not broadcast: {q}, {k}, {v}",
                cure="all sizes before the last two must agree, or be 1; heads that are shared "
                "need enable_gqa=True",
                types=types,
            )
        scores = TensorType((*batch, q.shape[-2], k.shape[-2]), q.dtype)
        if self.masked:
            self._check_mask(more[0], scores)
        return TensorType((*scores.shape[:-1], v.shape[-1]), q.dtype), scores

    def _check_mask(self, mask: TensorType, scores: TensorType) -> None:
        if broadcast_shapes_or_none([mask.shape, scores.shape]) != scores.shape:
            self.fail(
                f"the mask {mask} does not broadcast to the scores {scores}",
                cure="a mask is (..., L, S): queries by keys",
                types=[mask, scores],
            )
        if mask.dtype is not bool_ and mask.dtype is not scores.dtype:
            self.fail(
                f"the mask is {mask}, the scores are {scores}",
                cure="pass a bool mask (True: may be seen), or numbers of the query's dtype to add",
                error=DTypeError,
                types=[mask, scores],
            )

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, *more: Tensor
    ) -> tuple[Tensor, tuple[Tensor]]:
        """Scores, what may be seen of them, probabilities, and the mean of the values by them."""
        s = matmul(q * self.scale, k.mT)
        s = s.expand((*self._batch(q, k, v), *s.shape[-2:]))
        if self.causal:
            s = s.where(_causal(s.shape), -math.inf)
        if not self.masked:
            p = softmax_body(s, -1)
        else:
            mask = more[0]
            s = s.where(mask, -math.inf) if mask.dtype is bool_ else s + mask
            p = _softmax_or_nothing(s)
        return matmul(self._dropped(p, more), v), (p,)

    def _batch(self, *inputs: Tensor) -> tuple[int, ...]:
        return broadcast_shapes_or_none([x.shape[:-2] for x in inputs]) or ()

    def _dropped(self, p: Tensor, more: tuple[Tensor, ...]) -> Tensor:
        if not self.dropout_p:
            return p
        keep = bind(Mask(p.shape, 1 - self.dropout_p), more[-1])
        return (p * (1 / (1 - self.dropout_p) if self.dropout_p < 1 else 0.0)).where(keep, 0)

    def saves_for(self, needs: Needs) -> Saves:
        """Every input, and the output: `backward` uses Σ y_bar y."""
        return Saves(tuple(range(len(needs))), output=True)

    def backward(
        self,
        y_bar: Tensor,
        y: Tensor,
        residuals: tuple[Tensor],
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *more: Tensor,
        needs: Needs,
    ) -> Bars:
        """Derived in `docs/derivations/attention.md`."""
        (p,) = residuals
        q_bar = k_bar = v_bar = mask_bar = None
        if needs[2]:
            v_bar = matmul(self._dropped(p, more).mT, y_bar).sum_to_size(v.shape)
        if needs[0] or needs[1] or any(needs[3:]):
            p_bar = self._dropped(matmul(y_bar, v.mT), more)
            s_bar = p * (p_bar - (y_bar * y).sum(-1, keepdim=True))
            if needs[0]:
                q_bar = (matmul(s_bar, k) * self.scale).sum_to_size(q.shape)
            if needs[1]:
                k_bar = matmul(s_bar.mT, q * self.scale).sum_to_size(k.shape)
            if self.masked and needs[3]:
                mask_bar = s_bar.sum_to_size(more[0].shape)
        return (q_bar, k_bar, v_bar, mask_bar, None)[: len(needs)]


def _causal(shape: tuple[int, ...]) -> Tensor:
    """Query i may see keys 0 to i."""
    return arange(shape[-2]).reshape(shape[-2], 1) >= arange(shape[-1])


def _softmax_or_nothing(s: Tensor) -> Tensor:
    """The softmax; of a row that sees nothing, zeros, where 0/0 would be NaN."""
    top = s.amax(-1, keepdim=True).detach()
    e = (s - top.where(top > -math.inf, 0)).exp()
    total = e.sum(-1, keepdim=True)
    return e / total.where(top > -math.inf, 1)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Each query's mean of the values, weighed by how well the keys match it.

    Formula: y = softmax(scale q kᵀ + mask) v.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, D); leading dimensions broadcast.
        attn_mask: (..., L, S), broadcast: a bool tensor says what may be seen, numbers are added
            to the scores. A query that may see nothing gives zeros.
        dropout_p: the chance of each probability to be dropped. Pass 0 when not training.
        is_causal: query i sees keys 0 to i; not together with a mask.
        scale: 1/√E unless given.
        enable_gqa: query heads (dimension -3) share fewer heads of keys and values.

    Raises:
        ShapeError: the shapes do not fit.
        ConfigError: a mask and `is_causal`, or a dropout that is no probability.

    Source: Vaswani et al., "Attention Is All You Need", 2017, equation 1.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> q = k = chainrule.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> v = chainrule.tensor([[1.0], [2.0]])
    >>> F.scaled_dot_product_attention(q, k, v, is_causal=True)
    tensor([[1.0000],
            [1.6698]])
    """
    check_probability("scaled_dot_product_attention", dropout_p)
    if attn_mask is not None and is_causal:
        raise ConfigError(
            "scaled_dot_product_attention: both attn_mask and is_causal are given",
            cure="put the triangle into the mask, or leave one of them out",
        )
    if enable_gqa:
        key, value = _shared_heads(query, key), _shared_heads(query, value)
    factor = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else float(scale)
    op = Attention(factor, is_causal, attn_mask is not None, float(dropout_p))
    more = () if attn_mask is None else (attn_mask,)
    if dropout_p:
        scores = op.type_rule(*[x.type for x in (query, key, value, *more)])[1]
        more = (*more, draw_state(scores.size))
    return apply_wide(op, query, key, value, *more)


def _shared_heads(query: Tensor, x: Tensor) -> Tensor:
    """Each head of keys or values as often as there are query heads to it."""
    heads = x.shape[-3] if len(x.shape) > 2 else 1
    if len(query.shape) < 3 or len(x.shape) < 3 or heads == 0 or query.shape[-3] % heads:
        raise ConfigError(
            f"scaled_dot_product_attention: {heads} heads in {x.type} do not divide the heads of "
            f"the query {query.type}",
            cure="with enable_gqa, the query's heads are a multiple of the keys' and values'",
        )
    return x.repeat_interleave(query.shape[-3] // heads, dim=-3)
