"""Cross-entropy of yes and no: of probabilities, and of their logits.

The derivation is `docs/derivations/binary_cross_entropy.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread, unary_samples
from chainrule.core.types import TensorType
from chainrule.errors import OpError
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.pair_loss import PairLoss, pair_loss, pair_samples
from chainrule.nn.functional.reduction import (
    REDUCTIONS,
    check_reduction,
    reduced,
    reduced_bar,
)
from chainrule.nn.functional.smooth_activations import Logsigmoid
from chainrule.ops.promotion import cast, floating, pair, promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]

_LOGSIGMOID = Logsigmoid()
_LOWEST_LOG = -100.0  # as in PyTorch: a loss of 100, not of infinity, for a certain wrong answer


class Probability(Unary):
    r"""y = x, and an error if an x is not between 0 and 1.    dy/dx = 1"""

    samples = unary_samples(low=0.01, high=0.99)

    def reference(self, x: Array) -> Array:
        """x, looked at. A NaN passes: it is to be seen in the loss."""
        wrong = (x < 0) | (x > 1)
        if wrong.any():
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            self.fail(
                f"element {list(first)} is {x[first]:.6g}; a probability lies between 0 and 1",
                cure="pass the input through a sigmoid, or use binary_cross_entropy_with_logits",
                error=OpError,
            )
        return x.copy()  # no view: memory that is an op's own may be written into

    def partial_x(self) -> int:
        """1."""
        return 1


class BinaryCrossEntropy(PairLoss):
    r"""y = -t ln x - (1 - t) ln(1 - x), reduced.    dy/dx = (x - t) / (x (1 - x))"""

    samples = pair_samples(0.05, 0.95)

    def each(self, x: Tensor, target: Tensor) -> Tensor:
        """The two logarithms, none of them below -100."""
        yes, no = self._logs(bind(Probability(), x))
        return -(target * yes + (1 - target) * no)

    def _logs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.log().clamp(_LOWEST_LOG), (1 - x).log().clamp(_LOWEST_LOG)

    def slope(self, x: Tensor, target: Tensor) -> Tensor:
        """(x - t) / (x (1 - x)), the divisor kept off 0."""
        return (x - target) / (x * (1 - x)).clamp(1e-12)

    def slope_target(self, x: Tensor, target: Tensor) -> Tensor:
        """ln(1 - x) - ln x."""
        yes, no = self._logs(x)
        return no - yes


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The cross-entropy of probabilities: -t ln x - (1 - t) ln(1 - x), by default its mean.

    Logarithms stop at -100. Prefer `binary_cross_entropy_with_logits`, which needs no such stop.

    Args:
        input: probabilities.
        target: what is to be, between 0 and 1, of the same shape.
        weight: multiplies each loss before the reduction; broadcast.
        reduction: "none", "mean" or "sum".

    Raises:
        OpError: an input is not between 0 and 1.
        ShapeError: the shapes differ.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x, target = chainrule.tensor([0.9, 0.0]), chainrule.tensor([1.0, 1.0])
    >>> F.binary_cross_entropy(x, target, reduction="none")
    tensor([  0.1054, 100.0000])
    """
    return pair_loss(BinaryCrossEntropy(reduction), input, target, weight)


class BinaryCrossEntropyWithLogits(PairLoss):
    r"""y = (1 - t) x - (1 + (p - 1) t) ln σ(x), reduced.

    dy/dx = (1 - t) - (1 + (p - 1) t) σ(-x); without p, that is σ(x) - t.

    Attributes:
        pos_weight: whether there is a p; it is the third input.
    """

    pos_weight: bool = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """With and without a weight of the positive, every reduction."""
        for reduction in REDUCTIONS:
            x, t = spread((3, 4), -3, 3), spread((3, 4), 0, 1, seed=1)
            yield Sample(op(reduction), (x, t))
            yield Sample(op(reduction, True), (x, t, spread((4,), 0.5, 3, seed=2)))

    def type_rule(self, x: TensorType, target: TensorType, *more: TensorType) -> TensorType:
        """Two equal shapes; the weight broadcasts to them."""
        y = super().type_rule(x, target, *more)
        if more:
            self._check_weight(x, more[0])
        return y

    def _check_weight(self, x: TensorType, weight: TensorType) -> None:
        pairs = zip(reversed(weight.shape), reversed(x.shape), strict=False)
        if weight.ndim > x.ndim or any(given not in (1, size) for given, size in pairs):
            self.fail(
                f"pos_weight {weight} does not broadcast to the input {x}",
                cure="give it one element per class: the input's last dimension",
                types=[x, weight],
            )

    def each(self, x: Tensor, target: Tensor, *pos_weight: Tensor) -> Tensor:
        """(1 - t) x - (1 + (p - 1) t) ln σ(x), which can't overflow."""
        log = bind(_LOGSIGMOID, x)
        if pos_weight:
            log = log * ((pos_weight[0] - 1) * target + 1)
        return (1 - target) * x - log

    def backward(
        self, y_bar: Tensor, y: Any, residuals: tuple[()], *inputs: Tensor, needs: Needs
    ) -> Bars:
        """Three slopes, times the cotangent of each loss."""
        x, t, *weight = inputs
        bar = reduced_bar(y_bar, x.shape, self.reduction)
        if not weight:
            return (
                (x.sigmoid() - t) * bar if needs[0] else None,
                -x * bar if needs[1] else None,
            )
        p = weight[0]
        log = bind(_LOGSIGMOID, x) if needs[1] or needs[2] else x
        return (
            ((1 - t) - ((p - 1) * t + 1) * (-x).sigmoid()) * bar if needs[0] else None,
            -(x + (p - 1) * log) * bar if needs[1] else None,
            (-(t * log) * bar).sum_to_size(p.shape) if needs[2] else None,
        )


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of σ(input), computed from the logits, so that nothing overflows.

    Formula: y = -(p t ln σ(x) + (1 - t) ln(1 - σ(x))).

    Args:
        input: logits: any numbers.
        target: what is to be, between 0 and 1, of the same shape.
        weight: multiplies each loss before the reduction; broadcast.
        reduction: "none", "mean" or "sum".
        pos_weight: p, what a positive counts against a negative; broadcast.

    Raises:
        ShapeError: the shapes differ.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> logits, target = chainrule.tensor([0.0, 1000.0]), chainrule.tensor([1.0, 1.0])
    >>> F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    tensor([0.6931, 0.0000])
    """
    name = BinaryCrossEntropyWithLogits.name
    check_reduction(name, reduction)
    x, t = pair(input, target)
    x, t = floating(x), floating(t)
    more = () if pos_weight is None else (cast(promote(pos_weight)[0], x.dtype),)
    inner = reduction if weight is None else "none"
    losses = apply_wide(BinaryCrossEntropyWithLogits(inner, bool(more)), x, t, *more)
    if weight is None:
        return losses
    return reduced(losses * cast(promote(weight)[0], losses.dtype), reduction)
