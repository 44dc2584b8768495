"""Functions of one number, applied to every element: exp, log, tanh, sqrt and kin.

Each op is one class: what it computes, its derivative, its samples. `partial_x` names what it needs
of the output `y` and the input `x`, and that is all that is kept for the backward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.families import Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array
from chainrule.core.samples import unary_samples
from chainrule.ops.promotion import floating

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["exp", "log", "sqrt", "tanh"]

IN_PLACE = ("exp", "log", "sqrt", "tanh")


class Exp(Unary):
    r"""y = e^x.    dy/dx = y"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.exp`."""
        return np.exp(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """y."""
        return y


def exp(input: Tensor) -> Tensor:
    """e to the power of every element.

    >>> import chainrule
    >>> chainrule.exp(chainrule.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return bind(Exp(), floating(input))


class Log(Unary):
    r"""y = ln x.    dy/dx = 1/x"""

    samples = unary_samples(low=0.1, high=5)

    def reference(self, x: Array) -> Array:
        """`np.log`."""
        return np.log(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / x."""
        return 1 / x


def log(input: Tensor) -> Tensor:
    """The natural logarithm of every element; -inf at 0, NaN below."""
    return bind(Log(), floating(input))


class Sqrt(Unary):
    r"""y = √x.    dy/dx = 1/(2y)"""

    samples = unary_samples(low=0.1, high=5)

    def reference(self, x: Array) -> Array:
        """`np.sqrt`."""
        return np.sqrt(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """1 / (2 y)."""
        return 0.5 / y


def sqrt(input: Tensor) -> Tensor:
    """The square root of every element; NaN below 0, and an infinite slope at 0."""
    return bind(Sqrt(), floating(input))


class Tanh(Unary):
    r"""y = tanh x.    dy/dx = 1 - y²"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.tanh`."""
        return np.tanh(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """1 - y²."""
        return 1 - y * y


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent of every element."""
    return bind(Tanh(), floating(input))
