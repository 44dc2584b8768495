"""Coarse ops: a whole layer's mathematics as one op, with a backward derived by hand.

A coarse op is one node on the tape and one node in a graph. It is written twice, on purpose:

- `forward` is its body in fine ops, which is what it *means*;
- `backward` is its derivative, derived by hand (the derivation stands in `docs/derivations/`).

Three witnesses judge the backward: autodiff of the body, finite differences, and PyTorch. And since
both are pure functions, a network of coarse ops can be trained with no tape at all:

    y, residuals = op.forward(x, weight, bias)
    x_bar, weight_bar, bias_bar = op.backward(y_bar, y, residuals, x, weight, bias, needs=...)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from chainrule.core.base import TUPLE
from chainrule.core.interpret import bind
from chainrule.core.op import Bars, Needs, Op, Saves

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["CoarseOp"]


ALL_INPUTS = Saves()
"""What a coarse op saves unless it says otherwise: as many inputs as it is given."""


class CoarseOp(Op, family=True):
    """An op with a body in fine ops and a hand-derived backward.

    *Residuals* are what the forward pass computed and the backward pass can use again (a mean, a
    mask, where the maxima were). They are further outputs of the node, without derivatives of
    their own: for a second derivative the residuals are computed again from the inputs, in ops
    that can be differentiated.

    `outputs` is 1 + the number of residuals.

    Attributes:
        constant_residuals: the residuals are indices or masks, constant almost everywhere, so
            that a second derivative can take them as they are.
    """

    constant_residuals: ClassVar[bool] = False

    saves = ALL_INPUTS

    def saves_for(self, needs: Needs) -> Saves:
        """What `saves` says; else all inputs, not the output (people change it in place)."""
        return self.saves if self.saves is not ALL_INPUTS else Saves(tuple(range(len(needs))))

    forward: ClassVar[Callable[..., tuple[Any, tuple[Any, ...]]]]
    """`forward(*inputs)`: the output, and a tuple of residuals; in fine ops."""

    backward: ClassVar[Callable[..., Bars]]
    """`backward(y_bar, y, residuals, *inputs, needs=...)`: the cotangent of each input wanted;
    in ops, derived by hand."""

    def apply(self, *inputs: Tensor) -> Tensor:
        """Bind the op and return its output without the residuals."""
        outputs = bind(self, *inputs)
        return outputs[0] if type(outputs) is TUPLE else outputs

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """The hand-derived backward, given the output(s) as the tape keeps them."""
        if self.outputs == 1:
            return self.backward(y_bar, y, (), *inputs, needs=needs)
        return self.backward(y_bar[0], y[0], y[1:], *inputs, needs=needs)
