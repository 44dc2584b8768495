"""Stochastic gradient descent."""

from __future__ import annotations

from chainrule.errors import ConfigError
from chainrule.ops.compare import where
from chainrule.ops.create import zeros
from chainrule.optim.optimizer import Numbers, Optimizer, ParamGroup, Params, State
from chainrule.tensor import Tensor

__all__ = ["SGD"]


class SGD(Optimizer):
    r"""Gradient descent, with momentum (Polyak 1964, Sutskever et al. 2013) if asked for.

        g ← g + λ θ
        v ← μ v + (1 - τ) g        (in the first step v ← g)
        θ ← θ - γ v                (Nesterov: θ ← θ - γ (g + μ v))

    with the learning rate γ, momentum μ, dampening τ and weight decay λ.

    Args:
        params: the parameters, or groups of them.
        lr: γ.
        momentum: μ.
        dampening: τ.
        weight_decay: λ.
        nesterov: look ahead; needs a momentum and no dampening.
        maximize: climb instead.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0], requires_grad=True)
    >>> optimizer = SGD([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([2.4000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ConfigError(
                f"SGD: nesterov with momentum={momentum} and dampening={dampening}",
                cure="give it a momentum above 0, and no dampening",
            )
        defaults = {
            "lr": float(lr),
            "momentum": float(momentum),
            "dampening": float(dampening),
            "weight_decay": float(weight_decay),
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """With momentum: the velocity v; with dampening also the step, for the first is another."""
        if group["momentum"] == 0:
            return {}
        state = {"momentum_buffer": parameter.detach().zeros_like()}
        if group["dampening"] != 0:
            state["step"] = zeros((), dtype=parameter.dtype)
        return state

    def rule(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """θ - γ v."""
        if numbers["weight_decay"] != 0:
            grad = grad + numbers("weight_decay", parameter) * parameter
        if numbers["momentum"] == 0:
            return parameter - numbers("lr", parameter) * grad, {}
        momentum = numbers("momentum", parameter)
        after: State = {}
        velocity = momentum * state["momentum_buffer"]
        if "step" in state:  # v ← g in the first step, whatever the dampening
            first = state["step"] == 0
            velocity = where(first, grad, velocity + (1 - numbers("dampening", parameter)) * grad)
            after["step"] = state["step"] + 1
        else:
            velocity = velocity + grad
        after["momentum_buffer"] = velocity
        direction = grad + momentum * velocity if numbers["nesterov"] else velocity
        return parameter - numbers("lr", parameter) * direction, after
