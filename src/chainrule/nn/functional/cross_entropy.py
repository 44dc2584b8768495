"""Cross-entropy of logits, in one op: log-softmax and the loss of it.

The derivative is nearly nothing, probabilities minus targets, and known as soon as the loss is: the
backward pass is one product. The derivation is `docs/derivations/cross_entropy.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.op import Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import ConfigError
from chainrule.nn.functional.class_targets import (
    along_classes,
    check_index_types,
    class_dim,
    class_hits,
    per_class,
    place_shape,
    place_weights,
)
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.nll_loss import class_samples, index_operands
from chainrule.nn.functional.reduction import REDUCTIONS, check_reduction
from chainrule.nn.functional.softmax import log_softmax_body
from chainrule.ops.promotion import cast

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["cross_entropy"]

_index_samples = class_samples(-3, 3)


class CrossEntropy(CoarseOp):
    r"""y = -w[t] ln p[t], p = softmax x, reduced.    x_bar = w[t] y_bar (p - [c = t])

    The residual is the *slope*, x_bar for y_bar = 1.

    With label smoothing ε each loss is (1 - ε) of this, and ε/C of the sum of all classes' -w ln p.

    Attributes:
        reduction: "none", "mean" or "sum"; the mean is over the weights of the targets.
        ignore_index: the target that counts for nothing.
        weighted: whether there are weights per class; they are the third input.
        label_smoothing: ε.
    """

    reduction: str = "mean"
    ignore_index: int = -100
    weighted: bool = False
    label_smoothing: float = 0.0
    outputs = 2
    constant_in: ClassVar[tuple[int, ...]] = (2,)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Those of `nll_loss`, and label smoothing with and without weights."""
        yield from _index_samples(op)
        x, target = spread((4, 3), -3, 3), np.array([0, 2, -100, 1])
        weight = spread((3,), 0.2, 2, seed=9)
        for reduction in REDUCTIONS:
            yield Sample(op(reduction, -100, False, 0.2), (x, target))
            yield Sample(op(reduction, -100, True, 0.2), (x, target, weight))

    def type_rule(
        self, x: TensorType, target: TensorType, *weight: TensorType
    ) -> tuple[TensorType, ...]:
        """The loss, and its slope: how it changes with each logit."""
        check_index_types(self, x, target, *weight)
        places = TensorType(place_shape(x), x.dtype)
        return places if self.reduction == "none" else TensorType((), x.dtype), x

    def forward(self, x: Tensor, target: Tensor, *weight: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        """Minus the log-probability of the target's class; and the slope, p - [c = t]."""
        dim = class_dim(len(x.shape))
        index, hits = class_hits(x, target, self.ignore_index)
        weights = place_weights(x, index, hits, *weight)
        z = x - x.amax(dim, keepdim=True).detach()
        powers = z.exp()
        total = powers.sum(dim, keepdim=True)
        log_p, p = z - total.log(), powers / total
        scores = log_p * per_class(weight[0], len(x.shape)) if weight else log_p
        chosen = scores.keep_where(hits)
        slope = (p - hits.to(x.dtype)) * along_classes(weights, x.shape)
        if self.label_smoothing:
            counted = along_classes(index > -1, x.shape)
            chosen, slope = self._smoothed(chosen, slope, scores, p, counted, *weight)
        y = 0 - (chosen.sum(dim) if self.reduction == "none" else chosen.sum())  # and not -0.0
        if self.reduction == "mean":
            count = weights.sum()
            y, slope = y / count, slope / count
        return y, (slope,)

    def _smoothed(
        self, chosen: Tensor, slope: Tensor, scores: Tensor, p: Tensor, counted: Tensor, *w: Tensor
    ) -> tuple[Tensor, Tensor]:
        """1 - ε of these, and ε/C of w ln p and of p Σ w - w where the target is not ignored."""
        ndim = len(p.shape)
        classes = p.shape[class_dim(ndim)]
        share, rest = self.label_smoothing / classes, 1 - self.label_smoothing
        even = p * w[0].sum() - per_class(w[0], ndim) if w else p * classes - 1
        return (
            chosen * rest + (scores * share).keep_where(counted),
            slope * rest + (even * share).keep_where(counted),
        )

    def backward(
        self,
        y_bar: Tensor,
        y: Tensor,
        residuals: tuple[Tensor],
        x: Tensor,
        target: Tensor,
        *weight: Tensor,
        needs: Needs,
    ) -> Bars:
        """y_bar times the slope."""
        (slope,) = residuals
        bars = along_classes(y_bar, x.shape) if self.reduction == "none" else y_bar
        return (slope * bars, None, *[None] * len(weight))


_cross_entropy = lru_cache(CrossEntropy)  # a training step asks for the same one each time


class CrossEntropyProbabilities(CoarseOp):
    r"""y = -Σ w q ln p, p = softmax x, q = (1 - ε) t + ε/C, reduced; the mean is over places.

    x_bar = y_bar (p Σ w q - w q),  t_bar = -y_bar (1 - ε) w ln p

    Attributes:
        reduction: "none", "mean" or "sum".
        weighted: whether there are weights per class; they are the third input.
        label_smoothing: ε.
    """

    reduction: str = "mean"
    weighted: bool = False
    label_smoothing: float = 0.0
    outputs = 2
    constant_in: ClassVar[tuple[int, ...]] = (2,)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Shapes of all kinds, with and without weights and smoothing."""
        for reduction in REDUCTIONS:
            for shape in ((4, 3), (3,), (2, 3, 2)):
                x, t = spread(shape, -3, 3), spread(shape, 0.05, 0.9, seed=1)
                yield Sample(op(reduction), (x, t))
                yield Sample(op(reduction, True, 0.2), (x, t, spread((3,), 0.2, 2, seed=2)))

    def type_rule(
        self, x: TensorType, target: TensorType, *weight: TensorType
    ) -> tuple[TensorType, TensorType]:
        """The loss, and the log-probabilities."""
        if x.ndim == 0 or target != x:
            self.fail(
                f"the input is {x}, the target {target}",
                cure="give one probability per class, in the input's shape, or class indices",
                types=[x, target],
            )
        classes = x.shape[class_dim(x.ndim)]
        if weight and weight[0].shape != (classes,):
            self.fail(
                f"the weight is {weight[0]}, the input {x} has {classes} classes",
                cure="give one weight per class",
                types=[x, target, *weight],
            )
        return TensorType(place_shape(x) if self.reduction == "none" else (), x.dtype), x

    def forward(self, x: Tensor, target: Tensor, *weight: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        """-Σ w q ln p."""
        dim = class_dim(len(x.shape))
        log_p = log_softmax_body(x, dim)
        losses = -(self._q(target, *weight) * log_p).sum(dim)
        if self.reduction != "none":
            losses = losses.sum()
        return (losses / self._places(x) if self.reduction == "mean" else losses), (log_p,)

    def _q(self, target: Tensor, *weight: Tensor) -> Tensor:
        """The target smoothed and weighed: w ((1 - ε) t + ε/C)."""
        ndim, epsilon = len(target.shape), self.label_smoothing
        q = target
        if epsilon:
            q = target * (1 - epsilon) + epsilon / target.shape[class_dim(ndim)]
        return q * per_class(weight[0], ndim) if weight else q

    def _places(self, x: Tensor) -> int:
        return math.prod(x.shape) // max(x.shape[class_dim(len(x.shape))], 1)

    def backward(
        self,
        y_bar: Tensor,
        y: Tensor,
        residuals: tuple[Tensor],
        x: Tensor,
        target: Tensor,
        *weight: Tensor,
        needs: Needs,
    ) -> Bars:
        """x_bar = y_bar (p Σ w q - w q),  t_bar = -y_bar (1 - ε) w ln p."""
        (log_p,) = residuals
        ndim, dim = len(x.shape), class_dim(len(x.shape))
        bars = y_bar / self._places(x) if self.reduction == "mean" else y_bar
        if self.reduction == "none":
            bars = along_classes(bars, x.shape)
        x_bar = target_bar = None
        if needs[0]:
            q = self._q(target, *weight)
            x_bar = (log_p.exp() * q.sum(dim, keepdim=True) - q) * bars
        if needs[1]:
            target_bar = log_p * bars * (self.label_smoothing - 1)
            if weight:
                target_bar = target_bar * per_class(weight[0], ndim)
        return x_bar, target_bar, *([None] * len(weight))


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of logits: minus the log-probability that softmax gives to the target.

    Formula: y = -w[t] (x[t] - ln Σ e^x); logits of any size are safe.

    Args:
        input: logits (N, C), (N, C, d1, ...) or (C): the classes lie along dimension 1.
        target: class indices (N), (N, d1, ...) or (); or a probability per class, in the shape of
            the input.
        weight: what each class counts (C).
        ignore_index: a target index that counts for nothing.
        reduction: "none", "sum", or "mean": Σ loss / Σ w[t] for indices, over the number of
            places for probabilities.
        label_smoothing: ε in [0, 1]: the target becomes (1 - ε) of itself and ε/C of every class.

    Raises:
        DimensionError: a target index is no class; the error says which.
        ShapeError: the shapes do not fit.
        ConfigError: an option out of range.

    Source: label smoothing is section 7 of Szegedy et al., "Rethinking the Inception
    Architecture for Computer Vision", 2015.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> logits = chainrule.tensor([[0.0, 0.0], [0.0, 1000.0]])
    >>> F.cross_entropy(logits, chainrule.tensor([1, 1]), reduction="none")
    tensor([0.6931, 0.0000])
    """
    check_reduction("cross_entropy", reduction)
    if not 0 <= label_smoothing <= 1:
        raise ConfigError(
            f"cross_entropy: label_smoothing is {label_smoothing}", cure="pass a number in [0, 1]"
        )
    smoothing = float(label_smoothing)
    x, indices, more = index_operands(input, target, weight)
    if target.value.dtype.kind != "f" or target.shape != x.shape:
        op = _cross_entropy(reduction, ignore_index, bool(more), smoothing)
        return apply_wide(op, x, indices, *more)
    if ignore_index >= 0:
        raise ConfigError(
            f"cross_entropy: ignore_index is {ignore_index}, and the target holds probabilities",
            cure="leave ignore_index alone, or pass class indices",
        )
    soft = CrossEntropyProbabilities(reduction, bool(more), smoothing)
    return apply_wide(soft, x, cast(target, x.dtype), *more)
