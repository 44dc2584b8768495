"""Activations made of two pieces: relu and its kin. The corners' slopes are PyTorch's choice.

Every gate below is a comparison, so that a NaN is passed on rather than hidden.
The derivations are in `docs/derivations/activations.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import Elementwise
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample
from chainrule.core.samples import spread, unary_samples
from chainrule.errors import ConfigError
from chainrule.nn.functional.activation import Activation, activate

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "celu",
    "elu",
    "elu_",
    "leaky_relu",
    "leaky_relu_",
    "prelu",
    "relu",
    "relu_",
    "selu",
    "threshold",
    "threshold_",
]

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


class Relu(Activation):
    r"""y = max(x, 0).    dy/dx = [y > 0]"""

    samples = unary_samples(low=-3, high=3, avoid=(0.0,))

    def reference(self, x: Array) -> Array:
        """`np.maximum`, which passes NaN on."""
        return np.maximum(x, 0)

    def body(self, x: Tensor) -> Tensor:
        """x where x > 0, else 0."""
        return x.where(x > 0, 0)

    def partial_x(self, y: Tensor) -> Tensor:
        """[y > 0]: a mask. At the corner the slope is 0."""
        return y > 0


_RELU = Relu()


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Negative numbers become 0: y = max(x, 0). Its slope at 0 is 0.

    Integers stay integers. NaN stays NaN.

    Source: Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", 2010.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.relu(chainrule.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    y = bind(_RELU, input)
    return input.put_(y, "relu_") if inplace else y


def relu_(input: Tensor) -> Tensor:
    """`relu`, in place.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x = chainrule.tensor([-1.0, 2.0])
    >>> F.relu_(x) is x
    True
    >>> x
    tensor([0., 2.])
    """
    return relu(input, inplace=True)


class LeakyRelu(Activation):
    r"""y = x where x > 0, else a x.    dy/dx = 1 where x > 0, else a

    Attributes:
        negative_slope: a.
    """

    negative_slope: float = 0.01

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A small slope and a negative one."""
        for slope in (0.01, -0.5):
            yield Sample(op(slope), (spread((3, 4), -3, 3, avoid=(0.0,)),))

    def reference(self, x: Array) -> Array:
        """`np.where`."""
        return np.where(x > 0, x, x * self.negative_slope)

    def body(self, x: Tensor) -> Tensor:
        """The two pieces."""
        return x.where(x > 0, x * self.negative_slope)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 or a."""
        return x.ones_like().where(x > 0, self.negative_slope)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Negative numbers are scaled down: y = x where x > 0, else `negative_slope` x.

    Source: Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.leaky_relu(chainrule.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return activate(LeakyRelu(float(negative_slope)), input, inplace)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, in place.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.leaky_relu_(chainrule.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return leaky_relu(input, negative_slope, inplace=True)


class Prelu(Elementwise):
    r"""y = x where x > 0, else w x.    dy/dx = 1 or w,  dy/dw = 0 or x"""

    operands = ("x", "weight")

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """One weight, and one per channel."""
        for shape, weight in (((5,), (1,)), ((2, 3), (1, 3)), ((2, 3, 2), (1, 3, 1))):
            yield Sample(op(), (spread(shape, -3, 3, avoid=(0.0,)), spread(weight, -1, 1, seed=1)))

    def reference(self, x: Array, weight: Array) -> Array:
        """`np.where`."""
        return np.where(x > 0, x, weight * x)

    def partial_x(self, x: Tensor, weight: Tensor) -> Tensor:
        """1 or w."""
        return weight.ones_like().where(x > 0, weight)

    def partial_weight(self, x: Tensor) -> Tensor:
        """0 or x."""
        return x.zeros_like().where(x > 0, x)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`leaky_relu` with a slope that is learned: one for all, or one per channel (dimension 1).

    Raises:
        ShapeError: the weight has neither one element nor one per channel.

    Source: He et al., "Delving Deep into Rectifiers", 2015, section 2.1.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.prelu(-chainrule.ones(1, 2), chainrule.tensor([0.25, 0.5]))
    tensor([[-0.2500, -0.5000]])
    """
    channels = input.shape[1] if len(input.shape) > 1 else 1
    count = weight.shape[0] if len(weight.shape) == 1 else 1
    if len(weight.shape) > 1 or count not in (1, channels):
        Prelu().fail(
            f"the weight {weight.type} fits neither all of {input.type} nor its channels",
            cure=f"pass a weight of shape [1] or [{channels}]",
            types=[input.type, weight.type],
        )
    if len(input.shape) > 1:
        weight = weight.reshape(1, count, *[1] * (len(input.shape) - 2))
    elif len(input.shape) == 0:
        weight = weight.reshape(())
    return bind(Prelu(), input, weight)


class Elu(Activation):
    r"""y = s x where x > 0, else s α (e^(c x) - 1).    dy/dx = s or c (y + s α)

    Attributes:
        alpha: α; the function goes to -s α.
        scale: s.
        input_scale: c.
    """

    alpha: float = 1.0
    scale: float = 1.0
    input_scale: float = 1.0

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """As elu, selu and celu use it."""
        for each in (op(), op(0.5), op(_SELU_ALPHA, _SELU_SCALE), op(2.0, 1.0, 0.5)):
            yield Sample(each, (spread((3, 4), -3, 3, avoid=(0.0,)),))

    def reference(self, x: Array) -> Array:
        """`np.expm1`, which does not cancel near 0; of positive numbers it is not taken."""
        below = self.scale * self.alpha * np.expm1(np.minimum(x, 0) * self.input_scale)
        return np.where(x > 0, x * self.scale, below)

    def body(self, x: Tensor) -> Tensor:
        """The two pieces."""
        low = x.where(x < 0, 0) * self.input_scale
        return (x * self.scale).where(x > 0, (low.exp() - 1) * (self.scale * self.alpha))

    def partial_x(self, y: Tensor, x: Tensor) -> Tensor:
        """s, or c (y + s α)."""
        below = (y + self.scale * self.alpha) * self.input_scale
        return x.full_like(self.scale).where(x > 0, below)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """A rectifier that levels off: y = x where x > 0, else α (e^x - 1).

    Source: Clevert et al., "Fast and Accurate Deep Network Learning by ELUs", 2015.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.elu(chainrule.tensor([-100.0, -1.0, 2.0]), alpha=2.0)
    tensor([-2.0000, -1.2642,  2.0000])
    """
    return activate(Elu(float(alpha)), input, inplace)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, in place.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.elu_(chainrule.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return elu(input, alpha, inplace=True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` scaled so that activations keep mean 0 and variance 1: s = 1.0507, α = 1.6733.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017, equation 2.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.selu(chainrule.tensor([-100.0, 0.0, 1.0]))
    tensor([-1.7581,  0.0000,  1.0507])
    """
    return activate(Elu(_SELU_ALPHA, _SELU_SCALE), input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`elu` with a continuous slope: y = x where x > 0, else α (e^(x/α) - 1).

    Source: Barron, "Continuously Differentiable Exponential Linear Units", 2017.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.celu(chainrule.tensor([-100.0, -1.0, 2.0]), alpha=2.0)
    tensor([-2.0000, -0.7869,  2.0000])
    """
    if alpha == 0:
        raise ConfigError("celu: alpha is 0, which divides the input", cure="pass another alpha")
    return activate(Elu(float(alpha), 1.0, 1.0 / alpha), input, inplace)


class Threshold(Activation):
    r"""y = x where x > t, else v.    dy/dx = [x > t]

    Attributes:
        threshold: t.
        value: v.
    """

    threshold: float
    value: float

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A jump."""
        yield Sample(op(0.5, -2.0), (spread((3, 4), -3, 3, avoid=(0.5,)),))

    def reference(self, x: Array) -> Array:
        """`np.where`."""
        return np.where(x <= self.threshold, np.asarray(self.value, x.dtype), x)

    def body(self, x: Tensor) -> Tensor:
        """The two pieces."""
        return x.where(x > self.threshold, self.value)

    def partial_x(self, x: Tensor) -> Tensor:
        """[x > t]: a mask."""
        return x > self.threshold


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Numbers up to a threshold are replaced: y = x where x > `threshold`, else `value`.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.threshold(chainrule.tensor([0.0, 0.1, 0.2]), 0.1, 20.0)
    tensor([20.0000, 20.0000,  0.2000])
    """
    return activate(Threshold(float(threshold), float(value)), input, inplace)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, in place.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.threshold_(chainrule.tensor([-1.0, 2.0]), 0.0, 20.0)
    tensor([20.,  2.])
    """
    return activate(Threshold(float(threshold), float(value)), input, inplace=True)
