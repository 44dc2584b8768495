"""The circular and hyperbolic functions, and their inverses. Angles are in radians."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.families import Binary, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array
from chainrule.core.samples import binary_samples, unary_samples
from chainrule.ops.promotion import floating, pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
]

IN_PLACE = (
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
)


class Sin(Unary):
    r"""y = sin x.    dy/dx = cos x"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.sin`."""
        return np.sin(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """cos x."""
        return bind(Cos(), x)


def sin(input: Tensor) -> Tensor:
    """The sine of every element.

    >>> import chainrule
    >>> chainrule.sin(chainrule.tensor([0, 1]))
    tensor([0.0000, 0.8415])
    """
    return bind(Sin(), floating(input))


class Cos(Unary):
    r"""y = cos x.    dy/dx = -sin x"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.cos`."""
        return np.cos(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """-sin x."""
        return -bind(Sin(), x)


def cos(input: Tensor) -> Tensor:
    """The cosine of every element.

    >>> import chainrule
    >>> chainrule.cos(chainrule.tensor([0, 1]))
    tensor([1.0000, 0.5403])
    """
    return bind(Cos(), floating(input))


class Tan(Unary):
    r"""y = tan x.    dy/dx = 1 + y²"""

    samples = unary_samples(low=-1.3, high=1.3)

    def reference(self, x: Array) -> Array:
        """`np.tan`."""
        return np.tan(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """1 + y²."""
        return y * y + 1


def tan(input: Tensor) -> Tensor:
    """The tangent of every element.

    >>> import chainrule
    >>> chainrule.tan(chainrule.tensor([0, 1]))
    tensor([0.0000, 1.5574])
    """
    return bind(Tan(), floating(input))


class Asin(Unary):
    r"""y = arcsin x.    dy/dx = 1 / √(1 - x²)"""

    samples = unary_samples(low=-0.9, high=0.9)

    def reference(self, x: Array) -> Array:
        """`np.arcsin`."""
        return np.arcsin(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / √(1 - x²)."""
        return (1 - x * x).rsqrt()


def asin(input: Tensor) -> Tensor:
    """The angle in [-π/2, π/2] whose sine is the element; NaN outside [-1, 1].

    >>> import chainrule
    >>> chainrule.asin(chainrule.tensor([1.0, -1.0, 2.0]))
    tensor([ 1.5708, -1.5708,     nan])
    """
    return bind(Asin(), floating(input))


class Acos(Unary):
    r"""y = arccos x.    dy/dx = -1 / √(1 - x²)"""

    samples = unary_samples(low=-0.9, high=0.9)

    def reference(self, x: Array) -> Array:
        """`np.arccos`."""
        return np.arccos(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """-1 / √(1 - x²)."""
        return -(1 - x * x).rsqrt()


def acos(input: Tensor) -> Tensor:
    """The angle in [0, π] whose cosine is the element; NaN outside [-1, 1].

    >>> import chainrule
    >>> chainrule.acos(chainrule.tensor([1.0, -1.0, 2.0]))
    tensor([0.0000, 3.1416,    nan])
    """
    return bind(Acos(), floating(input))


class Atan(Unary):
    r"""y = arctan x.    dy/dx = 1 / (1 + x²)"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.arctan`."""
        return np.arctan(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / (1 + x²)."""
        return 1 / (x * x + 1)


def atan(input: Tensor) -> Tensor:
    """The angle in (-π/2, π/2) whose tangent is the element.

    >>> import chainrule
    >>> chainrule.atan(chainrule.tensor([1.0, float("-inf")]))
    tensor([ 0.7854, -1.5708])
    """
    return bind(Atan(), floating(input))


class Sinh(Unary):
    r"""y = sinh x.    dy/dx = cosh x"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.sinh`."""
        return np.sinh(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """cosh x."""
        return bind(Cosh(), x)


def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine of every element.

    >>> import chainrule
    >>> chainrule.sinh(chainrule.tensor([0, 1]))
    tensor([0.0000, 1.1752])
    """
    return bind(Sinh(), floating(input))


class Cosh(Unary):
    r"""y = cosh x.    dy/dx = sinh x"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.cosh`."""
        return np.cosh(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """sinh x."""
        return bind(Sinh(), x)


def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine of every element.

    >>> import chainrule
    >>> chainrule.cosh(chainrule.tensor([0, 1]))
    tensor([1.0000, 1.5431])
    """
    return bind(Cosh(), floating(input))


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
    """The hyperbolic tangent of every element.

    >>> import chainrule
    >>> chainrule.tanh(chainrule.tensor([0.0, 1.0, 100.0]))
    tensor([0.0000, 0.7616, 1.0000])
    """
    return bind(Tanh(), floating(input))


class Asinh(Unary):
    r"""y = arsinh x.    dy/dx = 1 / √(x² + 1)"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """`np.arcsinh`."""
        return np.arcsinh(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / √(x² + 1)."""
        return (x * x + 1).rsqrt()


def asinh(input: Tensor) -> Tensor:
    """The inverse hyperbolic sine of every element.

    >>> import chainrule
    >>> chainrule.asinh(chainrule.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    return bind(Asinh(), floating(input))


class Acosh(Unary):
    r"""y = arcosh x.    dy/dx = 1 / √(x² - 1)"""

    samples = unary_samples(low=1.2, high=4)

    def reference(self, x: Array) -> Array:
        """`np.arccosh`."""
        return np.arccosh(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / √(x² - 1)."""
        return (x * x - 1).rsqrt()


def acosh(input: Tensor) -> Tensor:
    """The inverse hyperbolic cosine of every element; NaN below 1.

    >>> import chainrule
    >>> chainrule.acosh(chainrule.tensor([1.0, 2.0, 0.5]))
    tensor([0.0000, 1.3170,    nan])
    """
    return bind(Acosh(), floating(input))


class Atanh(Unary):
    r"""y = artanh x.    dy/dx = 1 / (1 - x²)"""

    samples = unary_samples(low=-0.9, high=0.9)

    def reference(self, x: Array) -> Array:
        """`np.arctanh`."""
        return np.arctanh(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """1 / (1 - x²)."""
        return 1 / (1 - x * x)


def atanh(input: Tensor) -> Tensor:
    """The inverse hyperbolic tangent of every element; ±inf at ±1, NaN beyond.

    >>> import chainrule
    >>> chainrule.atanh(chainrule.tensor([0.5, 1.0, 2.0]))
    tensor([0.5493,    inf,    nan])
    """
    return bind(Atanh(), floating(input))


class Sinc(Unary):
    r"""y = sin(πx) / (πx), and 1 at 0.    dy/dx = (cos(πx) - y) / x, and 0 at 0"""

    samples = unary_samples(low=-3, high=3, avoid=(0,))

    def reference(self, x: Array) -> Array:
        """`np.sinc`."""
        return np.sinc(x).astype(x.dtype, copy=False)

    def partial_x(self, y: Tensor, x: Tensor) -> Tensor:
        """(cos(πx) - y) / x, with the 0 / 0 at 0 kept out of its own derivative too."""
        elsewhere = x != 0
        return ((cos(x * np.pi) - y) / x.where(elsewhere, 1)).where(elsewhere, 0)


def sinc(input: Tensor) -> Tensor:
    """sin(πx) / (πx) of every element, and 1 at 0.

    >>> import chainrule
    >>> chainrule.sinc(chainrule.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    return bind(Sinc(), floating(input))


def deg2rad(input: Tensor) -> Tensor:
    """Degrees to radians: every element times π / 180.

    >>> import chainrule
    >>> chainrule.deg2rad(chainrule.tensor([180, 90]))
    tensor([3.1416, 1.5708])
    """
    return floating(input) * (np.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians to degrees: every element times 180 / π.

    >>> import chainrule
    >>> chainrule.rad2deg(chainrule.tensor([0, 1]))
    tensor([ 0.0000, 57.2958])
    """
    return floating(input) * (180 / np.pi)


class Hypot(Binary):
    r"""y = √(a² + b²).    dy/da = a/y,  dy/db = b/y"""

    samples = binary_samples(low=0.3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.hypot`, which does not overflow on the way."""
        return np.hypot(a, b)

    def partial_a(self, y: Tensor, a: Tensor) -> Tensor:
        """a / y."""
        return a / y

    def partial_b(self, y: Tensor, b: Tensor) -> Tensor:
        """b / y."""
        return b / y


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """√(input² + other²): the hypotenuse of a right triangle, element by element, broadcast.

    >>> import chainrule
    >>> chainrule.hypot(chainrule.tensor([[3.0], [5.0]]), chainrule.tensor([4.0, 12.0]))
    tensor([[ 5.0000, 12.3693],
            [ 6.4031, 13.0000]])
    """
    a, b = pair(input, other)
    return bind(Hypot(), floating(a), floating(b))


class Atan2(Binary):
    r"""y = the angle of the point (b, a).    dy/da = b / (a² + b²),  dy/db = -a / (a² + b²)"""

    samples = binary_samples(low=0.3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.arctan2`."""
        return np.arctan2(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """b / (a² + b²), and 0 at the origin."""
        return b / _off_zero(a * a + b * b)

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """-a / (a² + b²), and 0 at the origin."""
        return -a / _off_zero(a * a + b * b)


def _off_zero(square: Tensor) -> Tensor:
    return square.where(square != 0, 1)


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle in (-π, π] of the point with y = `input`, x = `other`, broadcast.

    >>> import chainrule
    >>> chainrule.atan2(chainrule.tensor(1.0), chainrule.tensor(1.0))  # π / 4
    tensor(0.7854)
    """
    a, b = pair(input, other)
    return bind(Atan2(), floating(a), floating(b))
