"""Activations that pull towards zero: softshrink, hardshrink, tanhshrink.

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

__all__ = ["hardshrink", "softshrink", "tanhshrink"]


def _shrink_samples(op: type[Any]) -> Iterator[Sample]:
    for lambd in (0.5, 1.5):
        yield Sample(op(lambd), (spread((3, 4), -3, 3, avoid=(-lambd, lambd)),))


class Shrink(Activation, family=True):
    """An activation that is 0 between -λ and λ.

    Attributes:
        lambd: λ.
    """

    lambd: float = 0.5
    samples = _shrink_samples


class Softshrink(Shrink):
    r"""y = x - λ above λ, x + λ below -λ, else 0.    dy/dx = [y ≠ 0]"""

    def reference(self, x: Array) -> Array:
        """x less its nearest number in [-λ, λ]."""
        return x - np.minimum(np.maximum(x, -self.lambd), self.lambd)

    def body(self, x: Tensor) -> Tensor:
        """The three pieces."""
        return (x - self.lambd).where(x > self.lambd, (x + self.lambd).where(x < -self.lambd, 0))

    def partial_x(self, x: Tensor) -> Tensor:
        """[|x| > λ]: a mask."""
        return x.abs() > self.lambd


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Numbers move towards 0 by λ, and stop there: y = x ∓ λ where |x| > λ, else 0.

    Raises:
        ConfigError: λ is negative.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.softshrink(chainrule.tensor([-0.6, 0.5, 2.0]))
    tensor([-0.1000,  0.0000,  1.5000])
    """
    if lambd < 0:
        raise ConfigError(f"softshrink: lambd is {lambd}", cure="pass a lambd of at least 0")
    return activate(Softshrink(float(lambd)), input)


class Hardshrink(Shrink):
    r"""y = x where |x| > λ, else 0.    dy/dx = [|x| > λ]"""

    def reference(self, x: Array) -> Array:
        """`np.where`."""
        return np.where(np.abs(x) <= self.lambd, x.dtype.type(0), x)

    def body(self, x: Tensor) -> Tensor:
        """The pieces."""
        return x.where(x.abs() > self.lambd, 0)

    def partial_x(self, x: Tensor) -> Tensor:
        """[|x| > λ]: a mask."""
        return x.abs() > self.lambd


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Numbers between -λ and λ become 0; the others stay: y = x where |x| > λ, else 0.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.hardshrink(chainrule.tensor([-0.6, 0.5, 0.6]))
    tensor([-0.6000,  0.0000,  0.6000])
    """
    return activate(Hardshrink(float(lambd)), input)


class Tanhshrink(Activation):
    r"""y = x - tanh x.    dy/dx = tanh² x"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """x - tanh x."""
        return x - np.tanh(x)

    def body(self, x: Tensor) -> Tensor:
        """x - tanh x."""
        return x - x.tanh()

    def partial_x(self, x: Tensor) -> Tensor:
        """tanh² x."""
        t = x.tanh()
        return t * t


def tanhshrink(input: Tensor) -> Tensor:
    """Each number less its hyperbolic tangent: y = x - tanh x.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.tanhshrink(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2384,  0.0000,  0.2384])
    """
    return activate(Tanhshrink(), input)
