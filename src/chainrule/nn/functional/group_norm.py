"""Group normalisation: groups of a sample's channels brought to mean 0 and variance 1, then scaled.

The derivation is `docs/derivations/group_norm.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.core.coarse import CoarseOp
from chainrule.core.op import Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.nn.functional.batch_norm import beside, check_channels
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.spatial import reject

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["group_norm"]


class GroupNorm(CoarseOp):
    r"""y = x̂ ⊙ w + b,  where  x̂ = (x - μ) ρ,  ρ = 1/√(σ² + ε)

    μ and σ² are mean and (biased) variance over the channels of a group and all places, for each
    sample and group.

        x_bar = ρ (g - mean(g) - x̂ mean(g ⊙ x̂)),    g = y_bar ⊙ w
        w_bar = Σ y_bar ⊙ x̂
        b_bar = Σ y_bar                              (sums over all axes but the channels)

    Shapes:
        x, y are (B, C, ...); w, b are (C) and may be left out, b alone or both;
        μ, ρ are (B, groups, 1, ..., 1).

    Attributes:
        groups: into how many groups the channels are cut.
        eps: added to the variance.
    """

    groups: int
    eps: float = 1e-5
    outputs = 3  # y; the residuals μ and ρ

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """One group, several, as many as channels; with and without parameters."""
        w, b = spread((4,), 0.5, 2, seed=1), spread((4,), -1, 1, seed=2)
        yield Sample(op(2), (spread((3, 4), -2, 2), w, b))
        yield Sample(op(1), (spread((2, 4, 3), -2, 2), w, b))
        yield Sample(op(4, 0.1), (spread((2, 4, 2, 2), -2, 2), w))
        yield Sample(op(2), (spread((2, 4, 3), -2, 2),))
        yield Sample(op(2), (spread((0, 4, 3), -2, 2), w, b))

    def type_rule(self, x: TensorType, *parameters: TensorType) -> tuple[TensorType, ...]:
        """y like x, and two statistics per sample and group."""
        check_channels(self.name, x, *parameters)
        if x.shape[1] % self.groups:
            self.fail(
                f"the {x.shape[1]} channels of {x} can't be cut into {self.groups} groups",
                cure="num_groups must divide the number of channels",
                types=[x],
            )
        shape = (x.shape[0], self.groups, *(1,) * (x.ndim - 1))
        return x, TensorType(shape, x.dtype), TensorType(shape, x.dtype)

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean, variance, normalise, scale, shift."""
        grouped, dims = self._grouped(x), tuple(range(2, x.ndim + 1))
        mean = grouped.mean(dims, keepdim=True)
        centred = grouped - mean
        variance = (centred * centred).mean(dims, keepdim=True)
        scale = (variance + self.eps).rsqrt()
        y = (centred * scale).reshape(x.shape)
        if weight is not None:
            y = y * beside(weight, x.ndim)
        if bias is not None:
            y = y + beside(bias, x.ndim)
        return y, (mean, scale)

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[Tensor, ...],
        x: Tensor,
        weight: Tensor | None = None,
        bias: Any = None,
        *,
        needs: Needs,
    ) -> Bars:
        """Derived in `docs/derivations/group_norm.md`."""
        mean, scale = residuals
        normalised = (self._grouped(x) - mean) * scale
        x_bar = weight_bar = bias_bar = None
        if needs[0]:
            dims = tuple(range(2, x.ndim + 1))
            g = self._grouped(y_bar if weight is None else y_bar * beside(weight, x.ndim))
            g_mean = g.mean(dims, keepdim=True)
            g_slope = (g * normalised).mean(dims, keepdim=True)
            x_bar = ((g - g_mean - normalised * g_slope) * scale).reshape(x.shape)
        others = (0, *range(2, x.ndim))
        if weight is not None and needs[1]:
            weight_bar = (y_bar * normalised.reshape(x.shape)).sum(others)
        if bias is not None and needs[2]:
            bias_bar = y_bar.sum(others)
        return (x_bar, weight_bar, bias_bar)[: len(needs)]

    def _grouped(self, x: Tensor) -> Tensor:
        """(B, C, ...) as (B, groups, C/groups, ...): a view, whatever the memory's order."""
        return x.reshape(x.shape[0], self.groups, x.shape[1] // self.groups, *x.shape[2:])


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalise groups of channels of each sample: y = (x - μ) / √(σ² + ε) · weight + bias.

    Args:
        input: (B, C, ...).
        num_groups: into how many groups the channels are cut: 1 normalises each sample, C each
            of its channels.
        weight: (C), what to multiply by; 1 if left out.
        bias: (C), what to add; 0 if left out.
        eps: added to the variance.

    Errors:
        ShapeError: the groups do not divide the channels, or a parameter's size is not C.

    float16 is computed in float32.

    >>> import chainrule
    >>> from chainrule.nn.functional import group_norm
    >>> group_norm(chainrule.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])

    Source: Wu, He, *Group Normalization*, 2018, arXiv:1803.08494, equation 7.
    """
    if num_groups < 1:
        reject(f"group_norm: num_groups is {num_groups}", "pass a positive number")
    op = GroupNorm(num_groups, eps)
    if weight is None:
        y = apply_wide(op, input)
        return y if bias is None else y + beside(bias, input.ndim)
    return apply_wide(op, input, weight) if bias is None else apply_wide(op, input, weight, bias)
