"""The loss of log-probabilities against class indices: minus the target's.

The derivation is `docs/derivations/nll_loss.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import bool_, int64
from chainrule.core.op import Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.nn.functional.class_targets import (
    along_classes,
    check_index_types,
    class_dim,
    class_hits,
    place_shape,
    place_weights,
)
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.reduction import REDUCTIONS, check_reduction
from chainrule.ops.promotion import cast, floating

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["NllLoss", "class_samples", "index_operands", "nll_loss", "place_bars", "reduce_places"]


def class_samples(low: float, high: float) -> Any:
    """Samples for a loss with the fields reduction, ignore_index, weighted."""

    def make(op: type[Any]) -> Iterator[Sample]:
        for reduction in REDUCTIONS:
            for seed, (shape, target) in enumerate(_TARGETS):
                x = spread(shape, low, high, seed=seed)
                classes = shape[class_dim(len(shape))]
                weight = spread((classes,), 0.2, 2, seed=9)
                yield Sample(op(reduction), (x, np.array(target)))
                yield Sample(op(reduction, -100, True), (x, np.array(target), weight))
        x, target = spread((2, 3), low, high), np.array([1, 0])
        yield Sample(op("mean", 0), (x, target))
        yield Sample(op("sum"), (spread((0, 3), low, high), np.zeros(0, np.int64)))

    return make


_TARGETS: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((4, 3), [0, 2, -100, 1]),
    ((3,), 2),
    ((2, 3, 2), [[0, 2], [1, -100]]),
)


def reduce_places(losses: Tensor, weights: Tensor, reduction: str) -> Tensor:
    """The losses, their sum, or that over the sum of the weights.

    >>> import chainrule
    >>> losses, weights = chainrule.tensor([1.0, 4.0]), chainrule.tensor([1.0, 2.0])
    >>> reduce_places(losses, weights, "mean")
    tensor(1.6667)
    """
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / weights.sum()


def place_bars(y_bar: Tensor, weights: Tensor, reduction: str) -> Tensor:
    """The cotangent of each place's loss before its weight, times the weight.

    >>> import chainrule
    >>> place_bars(chainrule.tensor(1.0), chainrule.tensor([1.0, 3.0]), "mean")
    tensor([0.2500, 0.7500])
    """
    return weights * (y_bar / weights.sum() if reduction == "mean" else y_bar)


class NllLoss(CoarseOp):
    r"""y = -w[t] x[t], reduced; the mean is over the weights.    x_bar[c] = -w[t] y_bar [c = t]

    Attributes:
        reduction: "none", "mean" or "sum".
        ignore_index: the target that counts for nothing.
        weighted: whether there are weights per class; they are the third input.
    """

    reduction: str = "mean"
    ignore_index: int = -100
    weighted: bool = False
    outputs = 3
    saves = Saves()
    constant_residuals = True
    constant_in: ClassVar[tuple[int, ...]] = (2,)
    samples = class_samples(-3, -0.1)

    def type_rule(
        self, x: TensorType, target: TensorType, *weight: TensorType
    ) -> tuple[TensorType, ...]:
        """A loss per place, or a scalar; the mask of the targets; the weight of each place."""
        check_index_types(self, x, target, *weight)
        places = TensorType(place_shape(x), x.dtype)
        y = places if self.reduction == "none" else TensorType((), x.dtype)
        return y, TensorType(x.shape, bool_), places

    def forward(
        self, x: Tensor, target: Tensor, *weight: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Minus what stands at the target's class."""
        index, hits = class_hits(x, target, self.ignore_index)
        weights = place_weights(x, index, hits, *weight)
        losses = 0 - x.where(hits, 0).sum(class_dim(len(x.shape)))  # and not -0.0
        if weight:
            losses = losses * weights
        return reduce_places(losses, weights, self.reduction), (hits, weights)

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[Tensor, Tensor],
        x: TensorType,
        *rest: Any,
        needs: Needs,
    ) -> Bars:
        """-w[t] y_bar at the target's class, 0 elsewhere."""
        hits, weights = residuals
        bars = along_classes(place_bars(y_bar, weights, self.reduction), x.shape)
        return (-bars.expand(x.shape)).where(hits, 0), *([None] * len(rest))


def index_operands(
    input: Tensor, target: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Float scores, int64 indices (from any integer dtype), and the weight in the scores' dtype.

    >>> import chainrule
    >>> x, target = chainrule.zeros(2, 3), chainrule.tensor([0, 2]).to(chainrule.uint8)
    >>> index_operands(x, target, None)[1].dtype
    chainrule.int64
    """
    x = floating(input)
    indices = cast(target, int64) if target.value.dtype.kind in "iu" else target
    return x, indices, () if weight is None else (cast(weight, x.dtype),)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of the target's class.

    Args:
        input: log-probabilities (N, C), (N, C, d1, ...) or (C).
        target: class indices (N), (N, d1, ...) or ().
        weight: what each class counts (C).
        ignore_index: a target that counts for nothing.
        reduction: "none", "sum", or "mean": the weighted mean, Σ w[t] loss / Σ w[t].

    Raises:
        DimensionError: a target is no class; the error says which.
        ShapeError: the shapes do not fit.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> log_p = chainrule.tensor([[-1.0, -2.0], [-3.0, -4.0]])
    >>> F.nll_loss(log_p, chainrule.tensor([0, 1]))
    tensor(2.5000)
    """
    check_reduction("nll_loss", reduction)
    x, indices, more = index_operands(input, target, weight)
    return apply_wide(NllLoss(reduction, ignore_index, bool(more)), x, indices, *more)
