"""Layer normalisation: each sample's features brought to mean 0 and variance 1, then scaled.

The exemplar of a coarse op. Read it beside its derivation, `docs/derivations/layer_norm.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.core.coarse import CoarseOp
from chainrule.core.op import Bars, Needs, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError
from chainrule.nn.functional.half import apply_wide

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["layer_norm"]


class LayerNorm(CoarseOp):
    r"""y = x̂ ⊙ w + b,  where  x̂ = (x - μ) ρ,  ρ = 1/√(σ² + ε)

    μ and σ² are mean and (biased) variance of x over its last dimensions, one each per position.

        x_bar = ρ (g - mean(g) - x̂ mean(g ⊙ x̂)),    g = y_bar ⊙ w
        w_bar = Σ y_bar ⊙ x̂
        b_bar = Σ y_bar                              (sums over all positions)

    Shapes:
        x, y are (*positions, *shape); w, b are `shape`; μ, ρ are (*positions, 1, ..., 1).
        w may be left out, and b too.

    Attributes:
        shape: the last dimensions, those that are normalised.
        eps: added to the variance, so that a constant input divides by √ε and not by zero.
    """

    shape: tuple[int, ...]
    eps: float = 1e-5
    outputs = 3  # y; the residuals μ and ρ

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """With and without w and b; one and two dimensions; no position, a strided input."""
        x, w, b = spread((4, 5), -2, 2), spread((5,), 0.5, 2, seed=1), spread((5,), -1, 1, seed=2)
        yield Sample(op((5,)), (x, w, b))
        yield Sample(op((5,)), (x, w))
        yield Sample(op((5,), eps=0.1), (x,))
        yield Sample(op((5,)), (x[1], w, b))
        yield Sample(op((5,)), (x[:0], w, b))
        yield Sample(op((4,)), (x.T, w[:4], b[:4]))
        yield Sample(
            op((3, 2)),
            (spread((2, 2, 3, 2), -2, 2), spread((3, 2), 0.5, 2), spread((3, 2), -1, 1)),
        )

    def type_rule(
        self, x: TensorType, weight: TensorType | None = None, bias: TensorType | None = None
    ) -> tuple[TensorType, TensorType, TensorType]:
        """y like x, and one mean and one scale per position."""
        statistics = normalised_type(self, self.shape, x, weight, bias)
        return x, statistics, statistics

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean, variance, normalise, scale, shift."""
        dims = self._dims
        mean = x.mean(dims, keepdim=True)
        centred = x - mean
        variance = (centred * centred).mean(dims, keepdim=True)
        scale = (variance + self.eps).rsqrt()
        y = centred * scale
        if weight is not None:
            y = y * weight
        if bias is not None:
            y = y + bias
        return y, (mean, scale)

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[Tensor, ...],
        x: Tensor,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        *,
        needs: Needs,
    ) -> Bars:
        """Derived in `docs/derivations/layer_norm.md`."""
        mean, scale = residuals
        dims = self._dims
        normalised = (x - mean) * scale
        x_bar = weight_bar = bias_bar = None
        if needs[0]:
            g = y_bar if weight is None else y_bar * weight
            g_mean = g.mean(dims, keepdim=True)
            g_slope = (g * normalised).mean(dims, keepdim=True)
            x_bar = (g - g_mean - normalised * g_slope) * scale
        if weight is not None and needs[1]:
            weight_bar = (y_bar * normalised).sum_to_size(self.shape)
        if bias is not None and needs[2]:
            bias_bar = y_bar.sum_to_size(self.shape)
        return (x_bar, weight_bar, bias_bar)[: len(needs)]

    @property
    def _dims(self) -> tuple[int, ...]:
        """The normalised dimensions, counted from the right."""
        return tuple(range(-len(self.shape), 0))


def normalised_type(
    op: Op, shape: tuple[int, ...], x: TensorType, *parameters: TensorType | None
) -> TensorType:
    """The type of one number per position; raises unless input and parameters fit `shape`."""
    positions = x.ndim - len(shape)
    if not shape or positions < 0 or x.shape[positions:] != shape:
        op.fail(
            f"the last dimensions of {x} are not the shape {list(shape)} to normalise over",
            cure="normalized_shape must be the input's last sizes, such as (x.shape[-1],)",
            types=[x],
        )
    for given in parameters:
        if given is None:
            continue
        if given.shape != shape:
            op.fail(
                f"a parameter is {given}, normalized_shape is {list(shape)}",
                cure=f"give weight and bias of the shape {list(shape)}",
                types=[x, given],
            )
        if given.dtype is not x.dtype:
            op.fail(
                f"dtypes differ: the input is {x}, a parameter {given}",
                cure="convert one of them with .to(dtype)",
                error=DTypeError,
                types=[x, given],
            )
    return TensorType(x.shape[:positions] + (1,) * len(shape), x.dtype)


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalise over the last dimensions: y = (x - μ) / √(σ² + ε) ⊙ weight + bias.

    Args:
        input: (*, *normalized_shape).
        normalized_shape: the last sizes of the input; an int stands for one dimension.
        weight: what to multiply by, of shape `normalized_shape`; 1 if left out.
        bias: what to add, of the same shape; 0 if left out.
        eps: added to the variance.

    Errors:
        ShapeError: the input does not end in `normalized_shape`, or weight or bias is of another.
        DTypeError: weight or bias is of another dtype than the input.

    float16 is computed in float32. The variance is the mean squared deviation (divided by n).

    >>> import chainrule
    >>> from chainrule.nn.functional import layer_norm
    >>> layer_norm(chainrule.tensor([[1.0, 3.0], [5.0, 5.0]]), 2)
    tensor([[-1.0000,  1.0000],
            [ 0.0000,  0.0000]])

    Source: Ba, Kiros, Hinton, *Layer Normalization*, 2016, arXiv:1607.06450, equation 4.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    op = LayerNorm(shape, eps)
    if weight is None:
        y = apply_wide(op, input)
        return y if bias is None else y + bias
    return apply_wide(op, input, weight) if bias is None else apply_wide(op, input, weight, bias)
