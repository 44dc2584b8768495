"""The divergence of one distribution from another. Note: docs/derivations/kl_div.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.core.op import Sample
from chainrule.core.samples import spread
from chainrule.nn.functional.pair_loss import PairLoss, pair_loss
from chainrule.nn.functional.reduction import REDUCTIONS, check_reduction

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["kl_div"]


class KlDiv(PairLoss):
    r"""y = t (ln t - x), reduced; x is a log-probability.    dy/dx = -t,  dy/dt = ln t - x + 1

    Attributes:
        log_target: the target is ln t.
    """

    log_target: bool = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Targets as they are and as logarithms, every reduction."""
        for reduction in REDUCTIONS:
            x = spread((2, 3), -3, -0.1)
            yield Sample(op(reduction), (x, spread((2, 3), 0.05, 0.9, seed=1)))
            yield Sample(op(reduction, True), (x, spread((2, 3), -3, -0.1, seed=1)))

    def each(self, x: Tensor, target: Tensor) -> Tensor:
        """t (ln t - x), which is 0 for t = 0."""
        if self.log_target:
            return target.exp() * (target - x)
        some = target > 0
        return (target * target.where(some, 1).log()).where(some, 0) - target * x

    def slope(self, x: Tensor, target: Tensor) -> Tensor:
        """-t."""
        return -target.exp() if self.log_target else -target

    def slope_target(self, x: Tensor, target: Tensor) -> Tensor:
        """ln t - x + 1; by ln t, t (ln t - x + 1)."""
        if self.log_target:
            return target.exp() * (target - x + 1)
        some = target > 0
        return (target.where(some, 1).log() + 1).where(some, 0) - x


def kl_div(
    input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """The Kullback-Leibler divergence of what `input` says from `target`: t (ln t - x).

    Args:
        input: log-probabilities.
        target: probabilities, or their logarithms.
        reduction: "none", "mean", "sum", or "batchmean": the sum over the number of samples, which
            is what the mathematics calls the divergence; the mean divides by the classes too.
        log_target: whether the target is given as logarithms.

    Raises:
        ShapeError: the shapes differ.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> guess, truth = chainrule.tensor([[0.5, 0.5]]), chainrule.tensor([[0.75, 0.25]])
    >>> F.kl_div(guess.log(), truth, reduction="batchmean")
    tensor(0.1308)
    """
    check_reduction("kl_div", reduction, (*REDUCTIONS, "batchmean"))
    if reduction != "batchmean":
        return pair_loss(KlDiv(reduction, log_target), input, target)
    return pair_loss(KlDiv("sum", log_target), input, target) / input.shape[0]
