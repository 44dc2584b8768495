"""Layers of matrix products, and those that only rearrange: Linear, Bilinear, Identity, Flatten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.core.dtypes import DType
from chainrule.nn import functional as F
from chainrule.nn import init
from chainrule.nn.layer import Layer
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import zeros
from chainrule.tensor import Tensor

__all__ = ["Bilinear", "Flatten", "Identity", "Linear", "Unflatten"]


class Linear(Layer):
    """The affine map of every row: y = x Wᵀ + b.

    Shapes:
        x (..., in_features), y (..., out_features).

    Parameters:
        weight (out_features, in_features) and bias (out_features), both drawn from U(-k, k) with
        k = 1/√in_features.

    Args:
        in_features: numbers in each row of the input.
        out_features: numbers in each row of the output.
        bias: False leaves b out.
        device: "cpu" or None.
        dtype: of the parameters; the default dtype unless given.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Linear(3, 2)
    >>> layer(chainrule.zeros(4, 3)).shape
    (4, 2)
    """

    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(zeros(out_features, in_features, dtype=dtype, device=device))
        bias_ = Parameter(zeros(out_features, dtype=dtype)) if bias else None
        self.register_parameter("bias", bias_)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """x Wᵀ + b."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Layer):
    """A form of two inputs: y[k] = x1ᵀ W[k] x2 + b[k].

    Shapes:
        x1 (..., in1), x2 (..., in2), y (..., out).

    Parameters:
        weight (out, in1, in2) and bias (out), both drawn from U(-k, k) with k = 1/√in1.

    Args:
        in1_features: the size of x1.
        in2_features: the size of x2.
        out_features: the size of y.
        bias: False leaves b out.
        device: "cpu" or None.
        dtype: of the parameters.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Bilinear(3, 4, 2)
    >>> layer(chainrule.zeros(8, 3), chainrule.zeros(8, 4)).shape
    (8, 2)
    """

    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(
            zeros(out_features, in1_features, in2_features, dtype=dtype, device=device)
        )
        bias_ = Parameter(zeros(out_features, dtype=dtype)) if bias else None
        self.register_parameter("bias", bias_)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """The form of both."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Identity(Layer):
    """y = x: a place that something else may take. Arguments are ignored.

    >>> import chainrule
    >>> from chainrule import nn
    >>> x = chainrule.ones(2)
    >>> nn.Identity(54, unused=True)(x) is x
    True
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input itself."""
        return input


class Flatten(Layer):
    """Several dimensions as one: (B, C, H, W) becomes (B, C·H·W). A view.

    Args:
        start_dim: the first of them.
        end_dim: the last.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Flatten()(chainrule.zeros(8, 3, 4, 4)).shape
    (8, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The input in its new shape."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Layer):
    """One dimension as several: the reverse of `Flatten`.

    Args:
        dim: which.
        unflattened_size: the sizes to make of it; one of them may be -1.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Unflatten(1, (3, -1))(chainrule.zeros(8, 48)).shape
    (8, 3, 16)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """The input in its new shape."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The dimension and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
