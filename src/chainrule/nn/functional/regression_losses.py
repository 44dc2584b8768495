"""Losses for numbers: squared, absolute, and between the two. Notes: docs/derivations/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.core.op import Sample
from chainrule.core.samples import spread
from chainrule.errors import ConfigError
from chainrule.nn.functional.pair_loss import PairLoss, pair_loss, pair_samples
from chainrule.nn.functional.reduction import REDUCTIONS

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


class MseLoss(PairLoss):
    r"""y = (x - t)², reduced.    dy/dx = 2 (x - t)"""

    samples = pair_samples()

    def each(self, x: Tensor, target: Tensor) -> Tensor:
        """(x - t)²."""
        d = x - target
        return d * d

    def slope(self, x: Tensor, target: Tensor) -> Tensor:
        """2 (x - t)."""
        return (x - target) * 2


def mse_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """The squared error (x - t)², by default its mean.

    A difference from PyTorch: shapes that differ are an error, where PyTorch warns and broadcasts.
    (N) against (N, 1) compares every sample with every other, trains, and never gets good.

    Args:
        input: the predictions.
        target: the numbers to hit, of the same shape.
        reduction: "none", "mean" or "sum".
        weight: multiplies each loss before the reduction.

    Raises:
        ShapeError: the shapes differ.
        ConfigError: another reduction.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.mse_loss(chainrule.tensor([1.0, 2.0]), chainrule.tensor([1.0, 4.0]))
    tensor(2.)
    """
    return pair_loss(MseLoss(reduction), input, target, weight)


def _difference_samples(op: type[Any]) -> Iterator[Sample]:
    """Differences off every corner that the family has: at 0, and where pieces meet at 0.5."""
    target = spread((3, 4), -1, 1, seed=5)
    x = target + spread((3, 4), -2, 2, avoid=(-1.0, -0.5, 0.0, 0.5, 1.0), seed=6)
    for reduction in REDUCTIONS:
        yield Sample(op(reduction), (x, target))
    if not issubclass(op, L1Loss):
        yield Sample(op("mean", 0.5), (x, target))


class L1Loss(PairLoss):
    r"""y = |x - t|, reduced.    dy/dx = sign(x - t)"""

    samples = _difference_samples

    def each(self, x: Tensor, target: Tensor) -> Tensor:
        """|x - t|."""
        return (x - target).abs()

    def slope(self, x: Tensor, target: Tensor) -> Tensor:
        """The sign of x - t: 0 where they are equal."""
        return (x - target).sign()


def l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """The absolute error |x - t|, by default its mean. Shapes must be equal, see `mse_loss`."""
    return pair_loss(L1Loss(reduction), input, target, weight)


class SmoothL1Loss(PairLoss):
    r"""y = d² / 2β where |d| < β, else |d| - β/2, with d = x - t.    dy/dx = d/β or sign d

    Attributes:
        beta: β.
    """

    beta: float = 1.0
    samples = _difference_samples

    def each(self, x: Tensor, target: Tensor) -> Tensor:
        """The two pieces."""
        d = x - target
        size = d.abs()
        return (d * d * (0.5 / self.beta)).where(size < self.beta, size - 0.5 * self.beta)

    def slope(self, x: Tensor, target: Tensor) -> Tensor:
        """d/β, kept between -1 and 1."""
        return ((x - target) * (1 / self.beta)).clamp(-1, 1)


def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """Squared where the error is below `beta`, absolute above: slopes between -1 and 1.

    Raises:
        ConfigError: `beta` is negative.

    Source: Girshick, "Fast R-CNN", 2015, equation 3 (β = 1).
    """
    if beta < 0:
        raise ConfigError(f"smooth_l1_loss: beta is {beta}", cure="pass a beta of at least 0")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return pair_loss(SmoothL1Loss(reduction, float(beta)), input, target)


class HuberLoss(PairLoss):
    r"""y = d² / 2 where |d| ≤ δ, else δ (|d| - δ/2), with d = x - t.    dy/dx = d or δ sign d

    Attributes:
        delta: δ.
    """

    delta: float = 1.0
    samples = _difference_samples

    def each(self, x: Tensor, target: Tensor) -> Tensor:
        """The two pieces."""
        d = x - target
        size = d.abs()
        return (d * d * 0.5).where(size < self.delta, (size - 0.5 * self.delta) * self.delta)

    def slope(self, x: Tensor, target: Tensor) -> Tensor:
        """d, kept between -δ and δ."""
        return (x - target).clamp(-self.delta, self.delta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    *,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Squared where the error is below `delta`, absolute above: slopes between -δ and δ.

    Raises:
        ConfigError: `delta` is not positive.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    if delta <= 0:
        raise ConfigError(f"huber_loss: delta is {delta}", cure="pass a delta above 0")
    return pair_loss(HuberLoss(reduction, float(delta)), input, target, weight)
