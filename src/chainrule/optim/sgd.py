"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.core.dtypes import float64
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
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; Nesterov's look ahead needs a momentum, and no dampening."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            self.param_groups.pop()
            raise ConfigError(
                f"SGD: nesterov with momentum={group['momentum']} and "
                f"dampening={group['dampening']}",
                cure="give it a momentum above 0, and no dampening",
            )

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """With momentum: the velocity v; with dampening also the step, for the first is another."""
        if group["momentum"] == 0:
            return {}
        state = {"momentum_buffer": parameter.detach().zeros_like()}
        if group["dampening"] != 0:
            state["step"] = zeros((), dtype=float64)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state dict; a velocity without a step count (PyTorch's) is past the first.

        Raises:
            StateDictError: it does not match the parameters. Nothing has been changed then.
        """
        states: dict[Any, dict[str, Any]] = state_dict.get("state", {})
        counted = {
            name: {"step": 1.0, **state} if state.get("momentum_buffer") is not None else state
            for name, state in states.items()
        }
        super().load_state_dict({**state_dict, "state": counted} if states else state_dict)

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
            velocity = where(
                first, grad, velocity + numbers.complement("dampening", parameter) * grad
            )
            after["step"] = state["step"] + 1
        else:
            velocity = velocity + grad
        after["momentum_buffer"] = velocity
        direction = grad + momentum * velocity if numbers["nesterov"] else velocity
        return parameter - numbers("lr", parameter) * direction, after
