"""Normalisation layers: numbers brought to mean 0 and variance 1, then scaled and shifted.

| layer | mean and variance of | one for each |
|---|---|---|
| `BatchNorm` | a channel over the batch (and in use: over all that was seen) | channel |
| `InstanceNorm` | a channel of one sample | sample and channel |
| `GroupNorm` | a group of channels of one sample | sample and group |
| `LayerNorm`, `RMSNorm` | the last dimensions | position |

The first two, with running statistics, are in `running_norm.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.core.dtypes import DType
from chainrule.core.location import user_location
from chainrule.errors import ConfigError
from chainrule.nn import functional as F
from chainrule.nn.layer import Layer
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import ones, zeros
from chainrule.tensor import Tensor

__all__ = [
    "GroupNorm",
    "LayerNorm",
    "RMSNorm",
]


class GroupNorm(Layer):
    """Groups of channels of each sample brought to mean 0 and variance 1: (B, C, ...).

        y = (x - μ) / √(σ² + ε) · weight + bias

    Parameters:
        weight (C), 1 at first, and bias (C), 0.

    Args:
        num_groups: how many groups the channels are cut into.
        num_channels: C.
        eps: ε.
        affine: False leaves weight and bias out.
        device: "cpu" or None.
        dtype: of the parameters.
        bias: False leaves the bias out.

    Raises:
        ConfigError: the channels can't be cut into so many groups.

    Source: Wu and He, "Group Normalization", 2018, arXiv:1803.08494.

    >>> import chainrule
    >>> from chainrule import nn
    >>> y = nn.GroupNorm(2, 4)(chainrule.arange(8.0).reshape(1, 4, 2))
    >>> y.reshape(2, 4)
    tensor([[-1.3416, -0.4472,  0.4472,  1.3416],
            [-1.3416, -0.4472,  0.4472,  1.3416]], grad_fn=<ReshapeBackward0>)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ConfigError(
                f"GroupNorm: {num_channels} channels can't be cut into {num_groups} groups",
                cure="num_channels must be a multiple of num_groups",
                location=str(user_location() or ""),
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        given: dict[str, Any] = {"dtype": dtype, "device": device}
        self.register_parameter(
            "weight", Parameter(ones(num_channels, **given)) if affine else None
        )
        self.register_parameter(
            "bias", Parameter(zeros(num_channels, **given)) if affine and bias else None
        )

    def forward(self, input: Tensor) -> Tensor:
        """Normalised, scaled, shifted."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


def _sizes(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(normalized_shape, int):
        return (normalized_shape,)
    return tuple(normalized_shape)


class LayerNorm(Layer):
    """The last dimensions brought to mean 0 and variance 1: y = (x - μ)/√(σ² + ε) ⊙ w + b.

    Parameters:
        weight, 1 at first, and bias, 0, both of the shape `normalized_shape`.

    Args:
        normalized_shape: the last sizes of the input; an int stands for one dimension.
        eps: ε.
        elementwise_affine: False leaves weight and bias out.
        bias: False leaves the bias out.
        device: "cpu" or None.
        dtype: of the parameters.

    Source: Ba, Kiros, Hinton, "Layer Normalization", 2016, arXiv:1607.06450.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.LayerNorm(2)(chainrule.tensor([[1.0, 3.0], [10.0, 30.0]]))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]], grad_fn=<LayerNormBackward0>)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        given: dict[str, Any] = {"dtype": dtype, "device": device}
        affine = elementwise_affine
        self.register_parameter("weight", Parameter(ones(shape, **given)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(shape, **given)) if affine and bias else None
        )

    def forward(self, input: Tensor) -> Tensor:
        """Normalised, scaled, shifted."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Layer):
    """The last dimensions divided by their root mean square: y = x/√(mean(x²) + ε) ⊙ w.

    Parameters:
        weight, 1 at first, of the shape `normalized_shape`.

    Args:
        normalized_shape: the last sizes of the input; an int stands for one dimension.
        eps: ε; the dtype's machine epsilon unless given.
        elementwise_affine: False leaves the weight out.
        device: "cpu" or None.
        dtype: of the weight.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.RMSNorm(2)(chainrule.tensor([[1.0, 7.0], [10.0, 70.0]]))
    tensor([[0.2000, 1.4000],
            [0.2000, 1.4000]], grad_fn=<RMSNormBackward0>)
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = ones(self.normalized_shape, dtype=dtype, device=device)
        self.register_parameter("weight", Parameter(made) if elementwise_affine else None)

    def forward(self, input: Tensor) -> Tensor:
        """Normalised and scaled."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
