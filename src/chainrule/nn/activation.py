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

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.GELU()(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
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

    Raises:
        ShapeError: the size along `dim` is odd.

    Source: Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2016.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.GLU()(chainrule.tensor([[3.0, 4.0, 0.0, 100.0]]))
    tensor([[1.5000, 4.0000]])
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
    """y = ln σ(x)

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.LogSigmoid()(chainrule.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.logsigmoid(input)


class LogSoftmax(Layer):
    """y = ln softmax(x).

    A difference from PyTorch: `dim` has to be given.

    Args:
        dim: the dimension along which is summed.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.LogSoftmax(dim=1)(chainrule.tensor([[0.0, 1000.0]]))
    tensor([[-1000.,     0.]])
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

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Mish()(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.mish(input, inplace=self.inplace)


class Sigmoid(Layer):
    """y = σ(x) = 1/(1 + e^-x)

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Sigmoid()(chainrule.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1192, 0.5000, 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.sigmoid(input)


class SiLU(InPlace):
    """y = x σ(x)

    Source: Ramachandran et al., "Searching for Activation Functions", 2017.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.SiLU()(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.silu(input, inplace=self.inplace)


class Softmax(Layer):
    """y[i] = e^x[i] / Σ e^x[j]: positive, and 1 in sum.

    A difference from PyTorch: `dim` has to be given.

    Args:
        dim: the dimension along which is summed.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Softmax(dim=1)(chainrule.tensor([[1.0, 1.0], [0.0, 1000.0]]))
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
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
    """Softmax over the channels of pictures (B, C, H, W), or (C, H, W).

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Softmax2d()(chainrule.zeros(4, 1, 2))[0]
    tensor([[0.2500, 0.2500]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """At every place."""
        return F.softmax(input, -3)


class Softmin(Layer):
    """y = softmax(-x).

    A difference from PyTorch: `dim` has to be given.

    Args:
        dim: the dimension along which is summed.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Softmin(dim=0)(chainrule.tensor([1.0, 2.0, 3.0]))
    tensor([0.6652, 0.2447, 0.0900])
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

    Source: Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option
    Pricing", 2000.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Softplus()(chainrule.tensor([-1.0, 0.0, 1.0, 100.0]))
    tensor([  0.3133,   0.6931,   1.3133, 100.0000])
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
    """y = x/(1 + |x|)

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Softsign()(chainrule.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.softsign(input)


class Tanh(Layer):
    """y = tanh x

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Tanh()(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.tanh(input)


class Tanhshrink(Layer):
    """y = x - tanh x

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Tanhshrink()(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2384,  0.0000,  0.2384])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.tanhshrink(input)
