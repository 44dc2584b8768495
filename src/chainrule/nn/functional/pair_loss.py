"""Losses that compare two tensors element by element: what they all share.

A loss of this family is one number per pair, then reduced. It writes `each`, the loss of a pair,
and its slopes; type rule, reduction and backward are here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from chainrule.core.coarse import CoarseOp
from chainrule.core.op import Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.reduction import REDUCTIONS, check_reduction, reduced, reduced_bar
from chainrule.ops.promotion import cast, floating, pair, promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["PairLoss", "pair_loss", "pair_samples"]


def pair_samples(
    low: float = -3,
    high: float = 3,
    *,
    low_target: float | None = None,
    high_target: float | None = None,
) -> Any:
    """Samples for a loss without further parameters: every reduction, several shapes, and none."""

    def make(op: type[Any]) -> Iterator[Sample]:
        for reduction in REDUCTIONS:
            for shape in ((4,), (2, 3), ()):
                yield Sample(op(reduction), _pair(shape, low, high, low_target, high_target))
        yield Sample(op("sum"), _pair((0, 3), low, high, low_target, high_target))
        yield Sample(op("none"), _pair((0, 3), low, high, low_target, high_target))

    return make


def _pair(
    shape: tuple[int, ...], low: float, high: float, low_t: float | None, high_t: float | None
) -> tuple[Any, Any]:
    target = spread(
        shape, low if low_t is None else low_t, high if high_t is None else high_t, seed=7
    )
    return spread(shape, low, high, seed=3), target


class PairLoss(CoarseOp, family=True):
    """A loss per element of an input and a target of the same shape, reduced.

    Attributes:
        reduction: "none", "mean" or "sum".
    """

    reduction: str = "mean"

    each: ClassVar[Callable[..., Any]]
    """`each(x, target, ...)`: the losses, in fine ops."""

    slope: ClassVar[Callable[..., Any]]
    """`slope(x, target, ...)`: d each / dx, by hand."""

    def slope_target(self, x: Tensor, target: Tensor) -> Tensor:
        """d each / d target: -slope, as for every loss of the difference x - target."""
        return -self.slope(x, target)

    def type_rule(self, x: TensorType, target: TensorType, *more: TensorType) -> TensorType:
        """Two equal shapes give that shape, or a scalar."""
        if x.shape != target.shape:
            self.fail(
                f"the input is {x}, the target {target}",
                cure="give them the same shape (.squeeze(-1) or .unsqueeze(-1) one of them?); "
                "broadcasting would compare each element with many",
                types=[x, target],
            )
        if any(each.dtype is not x.dtype for each in (target, *more)):
            self.fail(
                f"dtypes differ: {x}, {target}",
                cure="convert the target",
                error=DTypeError,
                types=[x, target],
            )
        return TensorType(x.shape if self.reduction == "none" else (), x.dtype)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, tuple[()]]:
        """The losses, reduced."""
        return reduced(self.each(*inputs), self.reduction), ()

    def backward(
        self, y_bar: Tensor, y: Any, residuals: tuple[()], *inputs: Tensor, needs: Needs
    ) -> Bars:
        """x_bar = slope · y_bar, over the number of elements for the mean."""
        bar = reduced_bar(y_bar, inputs[0].shape, self.reduction)
        slopes = (self.slope, self.slope_target)
        return tuple(
            slope(*inputs) * bar if need else None
            for slope, need in zip(slopes, needs, strict=True)
        )


def pair_loss(op: PairLoss, input: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Apply a loss to two tensors, converted to their common float dtype.

    With a weight (broadcast to the shape of the losses), each loss is multiplied by it before the
    reduction, which stays what it was: the mean divides by the number of elements.
    """
    check_reduction(op.name, op.reduction)
    x, t = pair(input, target)
    if x.value.dtype.kind != "f":
        x, t = floating(x), floating(t)
    if weight is None:
        return apply_wide(op, x, t)
    losses = apply_wide(replace(op, reduction="none"), x, t)
    return reduced(losses * cast(promote(weight)[0], losses.dtype), op.reduction)
