"""Special functions: the error function and kin, the gamma function and kin, x ln y."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import Binary, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample
from chainrule.core.samples import binary_samples, spread, unary_samples
from chainrule.errors import OpError
from chainrule.ops import error_function, gamma_function
from chainrule.ops.promotion import floating, pair
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["digamma", "erf", "erfc", "erfinv", "lgamma", "polygamma", "xlogy"]

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)

IN_PLACE = ("digamma", "erf", "erfc", "erfinv", "lgamma", "xlogy")


class Erf(Unary):
    r"""y = 2/√π ∫₀ˣ e^-t² dt.    dy/dx = 2/√π e^-x²"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """Rational approximations; see `error_function`."""
        return error_function.erf(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """2/√π e^-x²."""
        return (x * x).neg().exp() * TWO_OVER_ROOT_PI


def erf(input: Tensor) -> Tensor:
    """The error function of every element: from -1 at -inf to 1 at inf.

    >>> import chainrule
    >>> chainrule.erf(chainrule.tensor([0.0, 1.0, float("inf")]))
    tensor([0.0000, 0.8427, 1.0000])
    """
    return bind(Erf(), floating(input))


class Erfc(Unary):
    r"""y = 1 - erf x.    dy/dx = -2/√π e^-x²"""

    samples = unary_samples(low=-3, high=3)

    def reference(self, x: Array) -> Array:
        """Rational approximations; see `error_function`."""
        return error_function.erfc(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """-2/√π e^-x²."""
        return (x * x).neg().exp() * -TWO_OVER_ROOT_PI


def erfc(input: Tensor) -> Tensor:
    """1 - erf of every element, exact also where erf is close to 1.

    >>> import chainrule
    >>> chainrule.erfc(chainrule.tensor([0.0, 5.0]))
    tensor([1.0000e+00, 1.5375e-12])
    """
    return bind(Erfc(), floating(input))


class Erfinv(Unary):
    r"""y with erf y = x.    dy/dx = √π/2 e^y²"""

    samples = unary_samples(low=-0.9, high=0.9)

    def reference(self, x: Array) -> Array:
        """Halley's method on the error function."""
        return error_function.erfinv(x)

    def partial_x(self, y: Tensor) -> Tensor:
        """√π/2 e^y²."""
        return (y * y).exp() / TWO_OVER_ROOT_PI


def erfinv(input: Tensor) -> Tensor:
    """The inverse of the error function: ±inf at ±1, NaN beyond.

    >>> import chainrule
    >>> chainrule.erfinv(chainrule.tensor([0.0, 0.5, 1.0, 2.0]))
    tensor([0.0000, 0.4769,    inf,    nan])
    """
    return bind(Erfinv(), floating(input))


class Digamma(Unary):
    r"""y = Γ'(x) / Γ(x).    dy/dx = polygamma(1, x)"""

    samples = unary_samples(low=0.3, high=5)

    def reference(self, x: Array) -> Array:
        """A series and a recurrence; see `gamma_function`."""
        return gamma_function.digamma(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """polygamma(1, x)."""
        return bind(Polygamma(1), x)


def digamma(input: Tensor) -> Tensor:
    """The derivative of `lgamma` of every element.

    >>> import chainrule
    >>> chainrule.digamma(chainrule.tensor([1.0, 0.0, -1.0]))  # minus Euler's constant first
    tensor([-0.5772,    -inf,     nan])
    """
    return bind(Digamma(), floating(input))


class Lgamma(Unary):
    r"""y = ln |Γ(x)|.    dy/dx = digamma x"""

    samples = unary_samples(low=0.3, high=5)

    def reference(self, x: Array) -> Array:
        """A series and a recurrence; see `gamma_function`."""
        return gamma_function.lgamma(x)

    def partial_x(self, x: Tensor) -> Tensor:
        """digamma x."""
        return bind(Digamma(), x)


def lgamma(input: Tensor) -> Tensor:
    """The logarithm of |Γ| of every element; Γ(n + 1) = n!.

    >>> import chainrule
    >>> chainrule.lgamma(chainrule.tensor([5, 0])).exp()
    tensor([24., inf])
    """
    return bind(Lgamma(), floating(input))


class Polygamma(Unary):
    r"""y = the n-th derivative of digamma.    dy/dx = polygamma(n + 1, x)

    Attributes:
        n: from 1 on.
    """

    n: int

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The first three."""
        for n in (1, 2, 3):
            yield Sample(op(n), (spread((5,), 0.5, 5),))

    def reference(self, x: Array) -> Array:
        """Hurwitz' zeta function; see `gamma_function`."""
        return gamma_function.polygamma(self.n, x)

    def partial_x(self, x: Tensor) -> Tensor:
        """polygamma(n + 1, x)."""
        return bind(Polygamma(self.n + 1), x)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of `digamma` at every element; n = 0 is `digamma` itself.

    Raises:
        OpError: n is negative, or no whole number.

    >>> import chainrule
    >>> chainrule.polygamma(1, chainrule.tensor([1.0]))  # π² / 6
    tensor([1.6449])
    """
    if n < 0 or n != int(n):
        refuse("polygamma", f"n is {n}", cure="pass 0, 1, 2, ...", error=OpError)
    return digamma(input) if n == 0 else bind(Polygamma(n), floating(input))


class Xlogy(Binary):
    r"""y = a ln b, and 0 where a = 0.    dy/da = ln b,  dy/db = a / b"""

    samples = binary_samples(low=0.3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`a * np.log(b)`, with 0 ln 0 = 0."""
        return np.where((a == 0) & ~np.isnan(b), np.zeros_like(a), a * np.log(b))

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """ln b, and 0 where a = 0 and b has no logarithm."""
        return b.where((a != 0) | (b > 0), 1).log()

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """a / b."""
        return a / b


def xlogy(input: Tensor | float, other: Tensor | float) -> Tensor:
    """`input * ln(other)`, and 0 where `input` is 0: the terms of an entropy.

    >>> import chainrule
    >>> chainrule.xlogy(chainrule.tensor([0.0, 1.0]), chainrule.tensor([0.0, 2.0]))
    tensor([0.0000, 0.6931])
    """
    a, b = pair(input, other)
    return bind(Xlogy(), floating(a), floating(b))
