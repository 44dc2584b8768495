"""Smooth activations: silu, mish, softplus and kin. Note: docs/derivations/activations.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.op import Array, Sample
from chainrule.core.samples import spread, unary_samples
from chainrule.errors import ConfigError
from chainrule.nn.functional.activation import Activation, activate, stable_softplus
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["glu", "logsigmoid", "mish", "silu", "softplus", "softsign", "swish"]


class Silu(Activation):
    r"""y = x σ(x).    dy/dx = σ (1 + x (1 - σ))"""

    samples = unary_samples(low=-4, high=4)

    def reference(self, x: Array) -> Array:
        """x / (1 + e^-x)."""
        return x / (1 + np.exp(-x))

    def body(self, x: Tensor) -> Tensor:
        """x σ(x)."""
        return x * x.sigmoid()

    def partial_x(self, x: Tensor) -> Tensor:
        """σ (1 + x (1 - σ))."""
        s = x.sigmoid()
        return s * (x * (1 - s) + 1)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Each number times its sigmoid: y = x / (1 + e^-x).

    Source: Ramachandran et al., "Searching for Activation Functions", 2017 (there called swish).

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.silu(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return activate(Silu(), input, inplace)


swish = silu


class Mish(Activation):
    r"""y = x tanh(softplus x).    dy/dx = t + x σ(x) (1 - t²) with t = tanh(softplus x)"""

    samples = unary_samples(low=-4, high=4)

    def reference(self, x: Array) -> Array:
        """By a softplus that can't overflow."""
        return x * np.tanh(stable_softplus(x))

    def body(self, x: Tensor) -> Tensor:
        """x tanh(ln(1 + e^x))."""
        return x * (x.exp() + 1).log().tanh()

    def partial_x(self, x: Tensor) -> Tensor:
        """t + x σ(x) (1 - t²)."""
        t = softplus(x).tanh()
        return t + x * x.sigmoid() * (1 - t * t)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """y = x tanh(ln(1 + e^x)).

    Source: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.mish(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """
    return activate(Mish(), input, inplace)


class Softplus(Activation):
    r"""y = ln(1 + e^(βx)) / β, or x where βx > threshold.    dy/dx = σ(βx), or 1

    Attributes:
        beta: β.
        threshold: from where on the function is taken to be x.
    """

    beta: float = 1.0
    threshold: float = 20.0

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The usual one, a steep one, and one with its straight part in sight."""
        yield Sample(op(), (spread((3, 4), -4, 4),))
        yield Sample(op(2.5), (spread((3, 4), -3, 3),))
        yield Sample(op(1.0, 2.0), (spread((3, 4), -4, 4, avoid=(2.0,)),))

    def reference(self, x: Array) -> Array:
        """By a softplus that can't overflow."""
        scaled = x if self.beta == 1 else x * self.beta
        curved = stable_softplus(scaled)
        if self.beta != 1:
            curved = curved / self.beta
        return np.where(scaled > self.threshold, x, curved)

    def body(self, x: Tensor) -> Tensor:
        """The two pieces; the exponential is not taken of large numbers."""
        curved = (x * self.beta).where(x * self.beta < self.threshold, self.threshold)
        return x.where(x * self.beta > self.threshold, (curved.exp() + 1).log() / self.beta)

    def partial_x(self, x: Tensor) -> Tensor:
        """σ(βx), or 1."""
        scaled = x if self.beta == 1 else x * self.beta
        return x.ones_like().where(scaled > self.threshold, scaled.sigmoid())


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """A smooth relu: y = ln(1 + e^(βx)) / β; where βx > `threshold` it is x to all digits.

    Source: Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option
    Pricing", 2000.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.softplus(chainrule.tensor([0.0, 1.0, 50.0]), beta=2.0)
    tensor([ 0.3466,  1.0635, 50.0000])
    """
    if beta == 0:
        raise ConfigError("softplus: beta is 0, which divides", cure="pass another beta")
    return activate(Softplus(float(beta), float(threshold)), input)


class Logsigmoid(Activation):
    r"""y = ln σ(x) = -ln(1 + e^-x).    dy/dx = σ(-x)"""

    samples = unary_samples(low=-4, high=4)

    def reference(self, x: Array) -> Array:
        """By a softplus that can't overflow."""
        return -stable_softplus(-x)

    def body(self, x: Tensor) -> Tensor:
        """-ln(1 + e^-x)."""
        return -((-x).exp() + 1).log()

    def partial_x(self, x: Tensor) -> Tensor:
        """σ(-x)."""
        return (-x).sigmoid()


def logsigmoid(input: Tensor) -> Tensor:
    """The logarithm of the sigmoid: y = -ln(1 + e^-x), without overflow or cancellation.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.logsigmoid(chainrule.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """
    return activate(Logsigmoid(), input)


class Softsign(Activation):
    r"""y = x / (1 + |x|).    dy/dx = (1 - |y|)²"""

    samples = unary_samples(low=-4, high=4, avoid=(0.0,))

    def reference(self, x: Array) -> Array:
        """x / (1 + |x|)."""
        return x / (1 + np.abs(x))

    def body(self, x: Tensor) -> Tensor:
        """x / (1 + |x|)."""
        return x / (x.abs() + 1)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / (1 + |x|)²."""
        root = 1 / (x.abs() + 1)
        return root * root


def softsign(input: Tensor) -> Tensor:
    """y = x / (1 + |x|): towards ±1, more slowly than tanh.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.softsign(chainrule.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """
    return activate(Softsign(), input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """One half gates the other: y = a σ(b), where `input` is a and b joined along `dim`.

    Raises:
        ShapeError: the size along `dim` is odd.

    Source: Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2016.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.glu(chainrule.tensor([[3.0, 4.0, 0.0, 100.0]]))
    tensor([[1.5000, 4.0000]])
    """
    axis = one_dim("glu", dim, len(input.shape))
    size = input.shape[axis] if input.shape else 1
    if size % 2:
        refuse(
            "glu",
            f"it halves dimension {dim} of {input.type}, whose size {size} is odd",
            cure="make that size even, or pass another dim",
            types=[input.type],
        )
    values, gate = input.chunk(2, axis)
    return values * gate.sigmoid()
