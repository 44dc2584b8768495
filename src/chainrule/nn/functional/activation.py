"""What all activations are: functions of one number, applied to every element.

An activation is one op, not a chain of fine ops: one pass over memory forward, one node on the
tape. It is written three times, and tests hold the three together:

- `reference`, the NumPy text, arranged so that nothing overflows;
- `body`, what it means, in fine ops: what autodiff checks the derivative with, and what a compiler
  may put in its place;
- `partial_x`, the derivative by hand; its parameters say what is kept for the backward pass.

The derivations of all of them are in `docs/derivations/activations.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from chainrule.core.families import Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array
from chainrule.ops.promotion import floating

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Activation", "activate", "stable_softplus"]


class Activation(Unary, family=True):
    """y[i] = f(x[i]), with a body in fine ops beside the reference.

    Attributes:
        body: `body(x)`, the same function in fine ops, differentiable by autodiff everywhere but
            at its corners.
    """

    body: ClassVar[Callable[..., Any]]


def activate(op: Activation, input: Tensor, inplace: bool = False) -> Tensor:
    """Apply an activation; with `inplace`, put the result into the input's memory.

    Where the derivative needs the input again, that is copied before it is overwritten.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x = chainrule.tensor([-1.0, 2.0])
    >>> activate(F.rectifiers.Relu(), x, inplace=True) is x
    True
    """
    x = floating(input)
    if not inplace:
        return bind(op, x)
    return input.put_(bind(op, x.clone() if op.saves_for((True,)).inputs else x), f"{op.name}_")


def stable_softplus(x: Array) -> Array:
    """ln(1 + e^x) as max(x, 0) + ln(1 + e^-|x|), whose exponential can't overflow.

    >>> stable_softplus(np.array([-1000.0, 0.0, 1000.0])).round(4).tolist()
    [0.0, 0.6931, 1000.0]
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
