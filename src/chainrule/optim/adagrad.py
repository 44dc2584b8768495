"""Adagrad: gradients divided by the root of the sum of all their squares."""

from __future__ import annotations

from chainrule.core.dtypes import float64
from chainrule.ops.create import zeros
from chainrule.optim.optimizer import Numbers, Optimizer, ParamGroup, Params, State
from chainrule.tensor import Tensor

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    r"""Adaptive subgradients (Duchi, Hazan and Singer 2011, JMLR 12, fig. 1, diagonal version).

        g ← g + λ θ
        s ← s + g²
        θ ← θ - γ / (1 + (t - 1) η) · g / (√s + ε)

    Args:
        params: the parameters, or groups of them.
        lr: γ.
        lr_decay: η.
        weight_decay: λ.
        initial_accumulator_value: where s starts.
        eps: ε.
        maximize: climb instead.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0], requires_grad=True)
    >>> optimizer = Adagrad([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([2.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """s; and t, the number of steps made."""
        start = group["initial_accumulator_value"]
        return {
            "step": zeros((), dtype=float64),
            "sum": parameter.detach().zeros_like() + start,
        }

    def rule(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """θ - γ g / (√s + ε)."""
        if numbers["weight_decay"] != 0:
            grad = grad + numbers("weight_decay", parameter) * parameter
        squares = state["sum"] + grad * grad
        after = {"step": state["step"] + 1, "sum": squares}
        rate = numbers("lr", parameter)
        if numbers["lr_decay"] != 0:
            rate = numbers.exact("lr") / (1 + state["step"] * numbers.exact("lr_decay"))
            rate = rate.to(parameter.dtype)
        return parameter - rate * grad / (squares.sqrt() + numbers("eps", parameter)), after
