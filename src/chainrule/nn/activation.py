"""Activations as layers: the smooth ones here, those made of pieces in `rectifiers.py`.

What each computes, and its derivative, is in `nn/functional`.
"""

from __future__ import annotations

from chainrule.nn import functional as F
from chainrule.nn.layer import Layer
from chainrule.tensor import Tensor

__all__ = [
    "GELU",
    "GLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]


class InPlace(Layer):
    """An activation that can put its result into the input's memory."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Whether it is in place."""
        return "inplace=True" if self.inplace else ""


class GELU(Layer):
    """y = x Φ(x), Φ the normal distribution's cumulative function

    Args:
        approximate: "none", or "tanh" for the approximation that GPT-2 uses.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """The settings."""
        return f"approximate={self.approximate!r}"


class GLU(Layer):
    """y = a σ(b), where x is a and b joined along `dim`

    Args:
        dim: the dimension that is halved.

    Source: Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2016.
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"


class LogSigmoid(Layer):
    """y = ln σ(x)"""

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.logsigmoid(input)


class LogSoftmax(Layer):
    """y = ln softmax(x).

    A difference from PyTorch: `dim` has to be given.

    Args:
        dim: the dimension along which is summed.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"


class Mish(InPlace):
    """y = x tanh(ln(1 + e^x))

    Source: Misra, "Mish", 2019.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.mish(input, inplace=self.inplace)


class Sigmoid(Layer):
    """y = σ(x) = 1/(1 + e^-x)"""

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.sigmoid(input)


class SiLU(InPlace):
    """y = x σ(x)

    Source: Ramachandran et al., "Searching for Activation Functions", 2017.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.silu(input, inplace=self.inplace)


class Softmax(Layer):
    """y[i] = e^x[i] / Σ e^x[j]: positive, and 1 in sum.

    A difference from PyTorch: `dim` has to be given.

    Args:
        dim: the dimension along which is summed.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"


class Softmax2d(Layer):
    """Softmax over the channels of pictures (B, C, H, W), or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """At every place."""
        return F.softmax(input, -3)


class Softmin(Layer):
    """y = softmax(-x).

    A difference from PyTorch: `dim` has to be given.

    Args:
        dim: the dimension along which is summed.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.softmin(input, self.dim)

    def extra_repr(self) -> str:
        """The settings."""
        return f"dim={self.dim}"


class Softplus(Layer):
    """y = ln(1 + e^(β x))/β, and x where β x is above the threshold

    Args:
        beta: β.
        threshold: from where on it is taken to be x.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The settings."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Layer):
    """y = x/(1 + |x|)"""

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.softsign(input)


class Tanh(Layer):
    """y = tanh x"""

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.tanh(input)


class Tanhshrink(Layer):
    """y = x - tanh x"""

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.tanhshrink(input)
