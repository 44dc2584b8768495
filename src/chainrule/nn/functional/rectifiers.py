"""Activations made of pieces: relu and its kin. The corners' slopes are PyTorch's choice.

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
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "prelu",
    "relu",
    "relu6",
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
    """`relu`, in place."""
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
    """Negative numbers are scaled down: y = x where x > 0, else `negative_slope` x."""
    return activate(LeakyRelu(float(negative_slope)), input, inplace)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, in place."""
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

    def body(self, x: Tensor, weight: Tensor) -> Tensor:
        """The two pieces."""
        return x.where(x > 0, weight * x)

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
    """
    return activate(Elu(float(alpha)), input, inplace)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, in place."""
    return elu(input, alpha, inplace=True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` scaled so that activations keep mean 0 and variance 1: s = 1.0507, α = 1.6733.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017, equation 2.
    """
    return activate(Elu(_SELU_ALPHA, _SELU_SCALE), input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`elu` with a continuous slope: y = x where x > 0, else α (e^(x/α) - 1).

    Source: Barron, "Continuously Differentiable Exponential Linear Units", 2017.
    """
    if alpha == 0:
        raise ConfigError("celu: alpha is 0, which divides the input", cure="pass another alpha")
    return activate(Elu(float(alpha), 1.0, 1.0 / alpha), input, inplace)


class Hardtanh(Activation):
    r"""y = x, kept between two bounds.    dy/dx = [min < x < max]

    Attributes:
        min_val: the lower bound.
        max_val: the upper bound.
    """

    min_val: float = -1.0
    max_val: float = 1.0

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The usual bounds and relu6's."""
        yield Sample(op(), (spread((3, 4), -3, 3, avoid=(-1.0, 1.0)),))
        yield Sample(op(0.0, 6.0), (spread((3, 4), -3, 9, avoid=(0.0, 6.0)),))

    def reference(self, x: Array) -> Array:
        """The larger of the lower bound and x, the smaller of that and the upper."""
        return np.minimum(np.maximum(x, self.min_val), self.max_val)

    def body(self, x: Tensor) -> Tensor:
        """The three pieces."""
        return x.where(x > self.min_val, self.min_val).where(x < self.max_val, self.max_val)

    def partial_x(self, y: Tensor) -> Tensor:
        """[min < y < max]: a mask."""
        return (y > self.min_val) & (y < self.max_val)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """The numbers kept between two bounds: y = min(max(x, min_val), max_val).

    Raises:
        ConfigError: the bounds are in the wrong order.
    """
    if min_val > max_val:
        raise ConfigError(
            f"hardtanh: min_val {min_val} is above max_val {max_val}", cure="swap the two"
        )
    return activate(Hardtanh(float(min_val), float(max_val)), input, inplace)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu` that ends at 6: y = min(max(x, 0), 6)."""
    return activate(Hardtanh(0.0, 6.0), input, inplace)


class Hardsigmoid(Activation):
    r"""y = min(max(x + 3, 0), 6) / 6.    dy/dx = 1/6 where -3 < x < 3, else 0"""

    samples = unary_samples(low=-5, high=5, avoid=(-3.0, 3.0))

    def reference(self, x: Array) -> Array:
        """A ramp from -3 to 3."""
        return np.minimum(np.maximum(x + 3, 0), 6) / 6

    def body(self, x: Tensor) -> Tensor:
        """The three pieces."""
        return ((x + 3) / 6).where(x > -3, 0).where(x < 3, 1)

    def partial_x(self, x: Tensor) -> Tensor:
        """1/6 on the ramp."""
        return x.full_like(1 / 6).where((x > -3) & (x < 3), 0)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """A sigmoid of three straight pieces: y = min(max(x + 3, 0), 6) / 6."""
    return activate(Hardsigmoid(), input, inplace)


class Hardswish(Activation):
    r"""y = x min(max(x + 3, 0), 6) / 6.    dy/dx = 0, x/3 + 1/2, or 1"""

    samples = unary_samples(low=-5, high=5, avoid=(-3.0, 3.0))

    def reference(self, x: Array) -> Array:
        """x times the ramp from -3 to 3, whose height is 1: 6 x could overflow."""
        return x * (np.minimum(np.maximum(x + 3, 0), 6) / 6)

    def body(self, x: Tensor) -> Tensor:
        """x times the three pieces."""
        return x * ((x + 3) / 6).where(x > -3, 0).where(x < 3, 1)

    def partial_x(self, x: Tensor) -> Tensor:
        """0 left of the ramp, x/3 + 1/2 on it, 1 right of it."""
        return (x / 3 + 0.5).where(x > -3, 0).where(x < 3, 1)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`silu` with a sigmoid of straight pieces: y = x min(max(x + 3, 0), 6) / 6.

    Source: Howard et al., "Searching for MobileNetV3", 2019, section 5.2.
    """
    return activate(Hardswish(), input, inplace)


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
    """Numbers up to a threshold are replaced: y = x where x > `threshold`, else `value`."""
    return activate(Threshold(float(threshold), float(value)), input, inplace)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, in place."""
    return activate(Threshold(float(threshold), float(value)), input, inplace=True)
