"""Root-mean-square normalisation: layer normalisation without the mean.

The derivation is `docs/derivations/rms_norm.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import finfo, float16, float32
from chainrule.core.op import Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.nn.functional.half import apply_wide
from chainrule.nn.functional.layer_norm import normalised_type

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["rms_norm"]


class RMSNorm(CoarseOp):
    r"""y = x̂ ⊙ w,  where  x̂ = x ρ,  ρ = 1/√(mean(x²) + ε)

    The mean is over the last dimensions, one per position.

        x_bar = ρ (g - x̂ mean(g ⊙ x̂)),    g = y_bar ⊙ w
        w_bar = Σ y_bar ⊙ x̂                (a sum over all positions)

    Shapes:
        x, y are (*positions, *shape); w is `shape` and may be left out;
        ρ is (*positions, 1, ..., 1).

    Attributes:
        shape: the last dimensions, those that are normalised.
        eps: added to the mean square.
    """

    shape: tuple[int, ...]
    eps: float = 1e-5
    name = "rms_norm"
    outputs = 2  # y; the residual ρ

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """With and without w; one and two dimensions; no position."""
        x, w = spread((4, 5), -2, 2), spread((5,), 0.5, 2, seed=1)
        yield Sample(op((5,)), (x, w))
        yield Sample(op((5,), 0.1), (x,))
        yield Sample(op((5,)), (x[:0], w))
        yield Sample(op((3, 2)), (spread((2, 3, 2), -2, 2), spread((3, 2), 0.5, 2)))

    def type_rule(
        self, x: TensorType, weight: TensorType | None = None
    ) -> tuple[TensorType, TensorType]:
        """y like x, and one scale per position."""
        return x, normalised_type(self, self.shape, x, weight)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> tuple[Tensor, tuple[Tensor]]:
        """Mean square, normalise, scale."""
        scale = ((x * x).mean(self._dims, keepdim=True) + self.eps).rsqrt()
        y = x * scale
        return y if weight is None else y * weight, (scale,)

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[Tensor],
        x: Tensor,
        weight: Tensor | None = None,
        *,
        needs: Needs,
    ) -> Bars:
        """Derived in `docs/derivations/rms_norm.md`."""
        (scale,) = residuals
        normalised = x * scale
        x_bar = weight_bar = None
        if needs[0]:
            g = y_bar if weight is None else y_bar * weight
            g_slope = (g * normalised).mean(self._dims, keepdim=True)
            x_bar = (g - normalised * g_slope) * scale
        if weight is not None and needs[1]:
            weight_bar = (y_bar * normalised).sum_to_size(self.shape)
        return (x_bar, weight_bar)[: len(needs)]

    @property
    def _dims(self) -> tuple[int, ...]:
        """The normalised dimensions, counted from the right."""
        return tuple(range(-len(self.shape), 0))


def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    r"""Divide by the root mean square of the last dimensions: y = x / √(mean(x²) + ε) ⊙ weight.

    Args:
        input: (*, *normalized_shape).
        normalized_shape: the last sizes of the input; an int stands for one dimension.
        weight: what to multiply by, of shape `normalized_shape`; 1 if left out.
        eps: added to the mean square; None stands for the input dtype's `finfo.eps` (float32's,
            for float16, which is computed in float32).

    Errors:
        ShapeError: the input does not end in `normalized_shape`, or the weight is of another.
        DTypeError: the weight is of another dtype than the input.

    >>> import chainrule
    >>> from chainrule.nn.functional import rms_norm
    >>> rms_norm(chainrule.tensor([[3.0, 4.0]]), 2)
    tensor([[0.8485, 1.1314]])

    Source: Zhang, Sennrich, *Root Mean Square Layer Normalization*, 2019, arXiv:1910.07467.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if eps is None:
        eps = float(finfo(float32 if input.dtype is float16 else input.dtype).eps)
    op = RMSNorm(shape, eps)
    return apply_wide(op, input) if weight is None else apply_wide(op, input, weight)
