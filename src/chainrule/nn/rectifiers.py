"""Activations made of pieces, as layers.

Their formulas are in `nn/functional/`: `rectifiers.py`, `hard_activations.py`, `shrink.py`.
"""

from __future__ import annotations

from typing import Any

from chainrule.core.dtypes import DType
from chainrule.nn import functional as F
from chainrule.nn.activation import InPlace
from chainrule.nn.layer import Layer
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import full
from chainrule.tensor import Tensor

__all__ = [
    "CELU",
    "ELU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "ReLU6",
    "Softshrink",
    "Threshold",
]


class ReLU(InPlace):
    """y = max(x, 0)

    Args:
        inplace: put the result into the input's memory.

    Source: Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", 2010.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.ReLU()(chainrule.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.relu(input, inplace=self.inplace)


class ReLU6(InPlace):
    """y = min(max(x, 0), 6)

    Source: Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.ReLU6()(chainrule.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.relu6(input, inplace=self.inplace)


class LeakyReLU(InPlace):
    """y = x where x > 0, else a x

    Args:
        negative_slope: a.
        inplace: put the result into the input's memory.

    Source: Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.LeakyReLU(0.1)(chainrule.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """The settings."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class PReLU(Layer):
    """y = x where x > 0, else w x, with a slope w that is learned.

    Parameters:
        weight (num_parameters), `init` at first.

    Args:
        num_parameters: 1 slope for all, or one for each channel.
        init: the slope at first.
        device: "cpu" or None.
        dtype: of the slope.

    Source: He et al., "Delving Deep into Rectifiers", 2015.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.PReLU()(chainrule.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000], grad_fn=<PreluBackward0>)
    >>> [tuple(weight.shape) for weight in nn.PReLU(3).parameters()]
    [(3,)]
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), dtype=dtype, device=device))

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The number of slopes."""
        return f"num_parameters={self.num_parameters}"


class ELU(InPlace):
    """y = x where x > 0, else α (e^x - 1)

    Args:
        alpha: α.
        inplace: put the result into the input's memory.

    Source: Clevert et al., "Fast and Accurate Deep Network Learning by ELUs", 2015.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.ELU()(chainrule.tensor([-100.0, -1.0, 2.0]))
    tensor([-1.0000, -0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The settings."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class SELU(InPlace):
    """y = s x where x > 0, else s α (e^x - 1), with s = 1.0507, α = 1.6733

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.SELU()(chainrule.tensor([-100.0, 0.0, 1.0]))
    tensor([-1.7581,  0.0000,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.selu(input, inplace=self.inplace)


class CELU(InPlace):
    """y = x where x > 0, else α (e^(x/α) - 1)

    Args:
        alpha: α.
        inplace: put the result into the input's memory.

    Source: Barron, "Continuously Differentiable Exponential Linear Units", 2017.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.CELU(alpha=2.0)(chainrule.tensor([-100.0, -1.0, 2.0]))
    tensor([-2.0000, -0.7869,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The settings."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class Hardtanh(InPlace):
    """y = min(max(x, low), high)

    Args:
        min_val: low.
        max_val: high.
        inplace: put the result into the input's memory.

    Raises:
        ConfigError: the bounds are in the wrong order.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Hardtanh(-2.0, 2.0)(chainrule.tensor([-3.0, 1.5, 3.0]))
    tensor([-2.0000,  1.5000,  2.0000])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """The settings."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (
            ", inplace=True" if self.inplace else ""
        )


class Hardsigmoid(InPlace):
    """y = min(max(x + 3, 0), 6)/6

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Hardsigmoid()(chainrule.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.hardsigmoid(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        """Nothing, as in PyTorch."""
        return ""


class Hardswish(InPlace):
    """y = x min(max(x + 3, 0), 6)/6

    Source: Howard et al., "Searching for MobileNetV3", 2019.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Hardswish()(chainrule.tensor([-1.0, 1.0, 4.0]))
    tensor([-0.3333,  0.6667,  4.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.hardswish(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        """Nothing, as in PyTorch."""
        return ""


class Threshold(InPlace):
    """y = x where x > t, else v

    Args:
        threshold: t.
        value: v.
        inplace: put the result into the input's memory.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Threshold(0.1, 20.0)(chainrule.tensor([0.0, 0.1, 0.2]))
    tensor([20.0000, 20.0000,  0.2000])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """The settings."""
        return f"threshold={self.threshold}, value={self.value}" + (
            ", inplace=True" if self.inplace else ""
        )


class Hardshrink(Layer):
    """y = x where |x| > λ, else 0

    Args:
        lambd: λ.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Hardshrink()(chainrule.tensor([-0.6, 0.5, 0.6]))
    tensor([-0.6000,  0.0000,  0.6000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.lambd}"


class Softshrink(Layer):
    """y = x ∓ λ where |x| > λ, else 0

    Args:
        lambd: λ.

    Raises:
        ConfigError: λ is negative.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Softshrink()(chainrule.tensor([-0.6, 0.5, 2.0]))
    tensor([-0.1000,  0.0000,  1.5000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Every element."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.lambd}"
