"""RMSprop: gradients divided by the root of their mean square."""

from __future__ import annotations

from chainrule.optim.optimizer import Numbers, Optimizer, ParamGroup, Params, State
from chainrule.tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    r"""Gradients over a running root mean square (Tieleman and Hinton 2012, lecture 6e, slide 29).

        g ← g + λ θ
        v ← α v + (1 - α) g²
        θ ← θ - γ g / (√v + ε)

    `centered` takes the running mean's square off v (Graves 2013, https://arxiv.org/abs/1308.0850,
    eq. 38-45): a ← α a + (1 - α) g, then √(v - a²). With momentum, b ← μ b + g / (√v + ε) and
    θ ← θ - γ b.

    Args:
        params: the parameters, or groups of them.
        lr: γ.
        alpha: α, the decay of the mean square.
        eps: ε.
        weight_decay: λ.
        momentum: μ.
        centered: divide by an estimate of the standard deviation instead.
        maximize: climb instead.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0], requires_grad=True)
    >>> optimizer = RMSprop([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()  # the mean square starts at 0: g / √(0.01 g²) = 10
    >>> x
    tensor([2.0000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """v = 0; a = 0 where centered, b = 0 with momentum."""
        like = parameter.detach()
        state = {"square_avg": like.zeros_like()}
        if group["centered"]:
            state["grad_avg"] = like.zeros_like()
        if group["momentum"] != 0:
            state["momentum_buffer"] = like.zeros_like()
        return state

    def rule(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """θ - γ g / (√v + ε)."""
        if numbers["weight_decay"] != 0:
            grad = grad + numbers("weight_decay", parameter) * parameter
        rest = numbers.complement("alpha", parameter)
        v = numbers("alpha", parameter) * state["square_avg"] + rest * grad * grad
        after = {"square_avg": v}
        if numbers["centered"]:
            mean = state["grad_avg"]
            mean = after["grad_avg"] = mean + rest * (grad - mean)
            v = v - mean * mean
        direction = grad / (v.sqrt() + numbers("eps", parameter))
        if numbers["momentum"] != 0:
            direction = numbers("momentum", parameter) * state["momentum_buffer"] + direction
            after["momentum_buffer"] = direction
        return parameter - numbers("lr", parameter) * direction, after
