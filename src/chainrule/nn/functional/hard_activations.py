"""Activations made of straight pieces that end at both sides: hardtanh and its kin, relu6.

Every gate below is a comparison, so that a NaN is passed on rather than hidden.
The derivations are in `docs/derivations/activations.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.op import Array, Sample
from chainrule.core.samples import spread, unary_samples
from chainrule.errors import ConfigError
from chainrule.nn.functional.activation import Activation, activate

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "relu6"]


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

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.hardtanh(chainrule.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ConfigError(
            f"hardtanh: min_val {min_val} is above max_val {max_val}", cure="swap the two"
        )
    return activate(Hardtanh(float(min_val), float(max_val)), input, inplace)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, in place.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.hardtanh_(chainrule.tensor([-3.0, 0.5, 3.0]), 0.0, 2.0)
    tensor([0.0000, 0.5000, 2.0000])
    """
    return hardtanh(input, min_val, max_val, inplace=True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu` that ends at 6: y = min(max(x, 0), 6).

    Source: Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.relu6(chainrule.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """
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
    """A sigmoid of three straight pieces: y = min(max(x + 3, 0), 6) / 6.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.hardsigmoid(chainrule.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
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

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.hardswish(chainrule.tensor([-1.0, 1.0, 4.0]))
    tensor([-0.3333,  0.6667,  4.0000])
    """
    return activate(Hardswish(), input, inplace)
