"""Functions of one number, applied to every element: powers, roots, exponentials, logarithms.

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
from chainrule.ops.bounds import clamp
from chainrule.ops.promotion import floating

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "abs",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logit",
    "reciprocal",
    "rsqrt",
    "sigmoid",
    "sign",
    "sqrt",
]

LN2, LN10 = float(np.log(2.0)), float(np.log(10.0))

IN_PLACE = (
    "abs",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log10",
    "log1p",
    "log2",
    "logit",
    "reciprocal",
    "rsqrt",
    "sigmoid",
    "sign",
    "sqrt",
)


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


class Exp2(Unary):
    r"""y = 2^x.    dy/dx = y ln 2"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.exp2`."""
        return np.exp2(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """y ln 2."""
        return y * LN2


def exp2(input: Tensor) -> Tensor:
    """2 to the power of every element.

    >>> import chainrule
    >>> chainrule.exp2(chainrule.tensor([3, -1]))
    tensor([8.0000, 0.5000])
    """
    return bind(Exp2(), floating(input))


class Expm1(Unary):
    r"""y = e^x - 1.    dy/dx = y + 1"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.expm1`, exact also where x is tiny."""
        return np.expm1(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """y + 1."""
        return y + 1


def expm1(input: Tensor) -> Tensor:
    """e^x - 1 of every element, exact also near 0.

    >>> import chainrule
    >>> chainrule.expm1(chainrule.tensor([0.0, 1e-10]))
    tensor([0.0000e+00, 1.0000e-10])
    """
    return bind(Expm1(), floating(input))


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
    """The natural logarithm of every element; -inf at 0, NaN below.

    >>> import chainrule
    >>> chainrule.log(chainrule.tensor([1.0, 0.0, -1.0]))
    tensor([0., -inf, nan])
    """
    return bind(Log(), floating(input))


class Log2(Unary):
    r"""y = log₂ x.    dy/dx = 1 / (x ln 2)"""

    samples = unary_samples(low=0.1, high=5)

    def reference(self, x: Array) -> Array:
        """`np.log2`."""
        return np.log2(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / (x ln 2)."""
        return 1 / (x * LN2)


def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2 of every element.

    >>> import chainrule
    >>> chainrule.log2(chainrule.tensor([8, 1]))
    tensor([3., 0.])
    """
    return bind(Log2(), floating(input))


class Log10(Unary):
    r"""y = log₁₀ x.    dy/dx = 1 / (x ln 10)"""

    samples = unary_samples(low=0.1, high=5)

    def reference(self, x: Array) -> Array:
        """`np.log10`."""
        return np.log10(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / (x ln 10)."""
        return 1 / (x * LN10)


def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10 of every element.

    >>> import chainrule
    >>> chainrule.log10(chainrule.tensor([1000.0, 0.0]))
    tensor([3., -inf])
    """
    return bind(Log10(), floating(input))


class Log1p(Unary):
    r"""y = ln(1 + x).    dy/dx = 1 / (1 + x)"""

    samples = unary_samples(low=-0.9, high=5)

    def reference(self, x: Array) -> Array:
        """`np.log1p`, exact also where x is tiny."""
        return np.log1p(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / (1 + x)."""
        return 1 / (x + 1)


def log1p(input: Tensor) -> Tensor:
    """ln(1 + x) of every element, exact also near 0.

    >>> import chainrule
    >>> chainrule.log1p(chainrule.tensor([0.0, 1e-10, -1.0]))
    tensor([0.0000e+00, 1.0000e-10,       -inf])
    """
    return bind(Log1p(), floating(input))


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
    """The square root of every element; NaN below 0, and an infinite slope at 0.

    >>> import chainrule
    >>> chainrule.sqrt(chainrule.tensor([4, 2, -1]))
    tensor([2.0000, 1.4142,    nan])
    """
    return bind(Sqrt(), floating(input))


class Rsqrt(Unary):
    r"""y = 1/√x.    dy/dx = -y³/2"""

    samples = unary_samples(low=0.2, high=5)

    def reference(self, x: Array) -> Array:
        """`1 / np.sqrt`."""
        return 1 / np.sqrt(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """-y³ / 2."""
        return -0.5 * (y * y * y)


def rsqrt(input: Tensor) -> Tensor:
    """One over the square root of every element; inf at 0.

    >>> import chainrule
    >>> chainrule.rsqrt(chainrule.tensor([4.0, 0.0]))
    tensor([0.5000,    inf])
    """
    return bind(Rsqrt(), floating(input))


class Reciprocal(Unary):
    r"""y = 1/x.    dy/dx = -y²"""

    samples = unary_samples(low=0.3, high=3)

    def reference(self, x: Array) -> Array:
        """`1 / x`."""
        return 1 / x

    def partial_x(self, y: Tensor) -> Tensor:
        """-y²."""
        return -(y * y)


def reciprocal(input: Tensor) -> Tensor:
    """One over every element; integers give floats.

    >>> import chainrule
    >>> chainrule.reciprocal(chainrule.tensor([4, 0]))
    tensor([0.2500,    inf])
    """
    return bind(Reciprocal(), floating(input))


class Sigmoid(Unary):
    r"""y = 1 / (1 + e^-x).    dy/dx = y (1 - y)"""

    samples = unary_samples(low=-4, high=4)

    def reference(self, x: Array) -> Array:
        """1 / (1 + e^-x): where e^-x overflows, 1/inf = 0 is right."""
        return 1 / (1 + np.exp(-x))

    def partial_x(self, y: Tensor) -> Tensor:
        """y (1 - y)."""
        return y * (1 - y)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x), the logistic function of every element: from 0 at -inf to 1 at inf.

    >>> import chainrule
    >>> chainrule.sigmoid(chainrule.tensor([0.0, 1.0, -1000.0]))
    tensor([0.5000, 0.7311, 0.0000])
    """
    return bind(Sigmoid(), floating(input))


class Logit(Unary):
    r"""y = ln(x / (1 - x)).    dy/dx = 1 / (x (1 - x))"""

    samples = unary_samples(low=0.05, high=0.95)

    def reference(self, x: Array) -> Array:
        """ln(x / (1 - x))."""
        return np.log(x / (1 - x))

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / (x (1 - x))."""
        return 1 / (x * (1 - x))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """ln(x / (1 - x)) of every element: the inverse of `sigmoid`.

    Args:
        eps: clamp the elements to [eps, 1 - eps] first; without it, what is outside [0, 1] is NaN.

    >>> import chainrule
    >>> chainrule.logit(chainrule.tensor([0.0, 0.5, 1.0, 2.0]))
    tensor([-inf, 0., inf, nan])
    """
    x = floating(input)
    return bind(Logit(), x if eps is None else clamp(x, eps, 1 - eps))


class Abs(Unary):
    r"""y = |x|.    dy/dx = sign x, and 0 at 0"""

    samples = unary_samples(low=-3, high=3, avoid=(0,))

    def reference(self, x: Array) -> Array:
        """`np.abs`."""
        return np.abs(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """sign x."""
        return bind(Sign(), x)


def abs(input: Tensor) -> Tensor:
    """The absolute value of every element; its slope at 0 is taken to be 0.

    >>> import chainrule
    >>> chainrule.abs(chainrule.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
    """
    return bind(Abs(), input)


class Sign(Unary):
    r"""y = -1, 0 or 1.    dy/dx = 0"""

    samples = unary_samples(low=-3, high=3, avoid=(0,))

    def reference(self, x: Array) -> Array:
        """`np.sign`; a bool is its own sign."""
        return x.copy() if x.dtype.kind == "b" else np.sign(x)

    def partial_x(self) -> int:
        """0."""
        return 0


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1 by the sign of every element. NaN stays NaN (PyTorch makes it 0).

    >>> import chainrule
    >>> chainrule.sign(chainrule.tensor([-3.0, 0.0, float("nan")]))
    tensor([-1.,  0., nan])
    """
    return bind(Sign(), input)
