"""gelu, the activation of GPT and BERT, exact and as those approximate it.

The derivation is in `docs/derivations/activations.md`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.op import Array
from chainrule.core.samples import unary_samples
from chainrule.errors import ConfigError
from chainrule.nn.functional.activation import Activation, activate
from chainrule.ops.special import Erfc

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["gelu"]

_ERFC = Erfc()
_SQRT_HALF = math.sqrt(0.5)
_GAUSS = 1 / math.sqrt(2 * math.pi)
_SQRT_2_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


class Gelu(Activation):
    r"""y = x Φ(x), with Φ(x) = erfc(-x/√2) / 2.    dy/dx = Φ(x) + x φ(x)"""

    samples = unary_samples(low=-4, high=4)

    def reference(self, x: Array) -> Array:
        """By erfc: far below 0, 1 + erf would cancel to nothing."""
        return x * (0.5 * _ERFC.reference(x * -_SQRT_HALF))

    def body(self, x: Tensor) -> Tensor:
        """x Φ(x)."""
        return x * (x * -_SQRT_HALF).erfc() * 0.5

    def partial_x(self, x: Tensor) -> Tensor:
        """Φ(x) + x φ(x), with the density φ(x) = e^(-x²/2) / √(2π)."""
        cumulative = (x * -_SQRT_HALF).erfc() * 0.5
        return cumulative + x * ((x * x * -0.5).exp() * _GAUSS)


class GeluTanh(Activation):
    r"""y = x (1 + tanh u) / 2, u = √(2/π) (x + 0.044715 x³).

    dy/dx = (1 + t) / 2 + x (1 - t²) u' / 2 with t = tanh u
    """

    samples = unary_samples(low=-4, high=4)

    def reference(self, x: Array) -> Array:
        """By the hyperbolic tangent."""
        return 0.5 * x * (1 + np.tanh(_SQRT_2_PI * x * (1 + _CUBIC * x * x)))

    def body(self, x: Tensor) -> Tensor:
        """x (1 + tanh u) / 2."""
        return x * (((x + x * x * x * _CUBIC) * _SQRT_2_PI).tanh() + 1) * 0.5

    def partial_x(self, x: Tensor) -> Tensor:
        """(1 + t) / 2 + x (1 - t²) u' / 2."""
        square = x * x
        t = (x * (square * _CUBIC + 1) * _SQRT_2_PI).tanh()
        u_slope = (square * (3 * _CUBIC) + 1) * _SQRT_2_PI
        return ((t + 1) + x * (1 - t * t) * u_slope) * 0.5


_GELU = {"none": Gelu(), "tanh": GeluTanh()}


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Each number times the chance that a standard normal one is below it: y = x Φ(x).

    Args:
        approximate: `"none"`, or `"tanh"` for the approximation that GPT-2 uses.

    Raises:
        ConfigError: any other `approximate`.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, sections 2 and 5.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.gelu(chainrule.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    op = _GELU.get(approximate)
    if op is None:
        raise ConfigError(
            f"gelu: approximate is {approximate!r}", cure='pass "none" or "tanh"', given=approximate
        )
    return activate(op, input)
