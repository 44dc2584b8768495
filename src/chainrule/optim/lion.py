"""Lion: steps of one size, in the direction of the sign of a momentum."""

from __future__ import annotations

from chainrule.errors import ConfigError
from chainrule.optim.optimizer import Numbers, Optimizer, ParamGroup, Params, State
from chainrule.tensor import Tensor

__all__ = ["Lion"]


class Lion(Optimizer):
    r"""Evolved sign momentum (Chen et al. 2023, https://arxiv.org/abs/2302.06675, Algorithm 2).

        c ← β₁ m + (1 - β₁) g
        θ ← θ - γ (sign c + λ θ)
        m ← β₂ m + (1 - β₂) g

    Every element moves by γ: it wants a rate 3 to 10 times smaller than Adam's, and a weight decay
    larger by as much. PyTorch has no Lion; arguments and defaults are the paper's.

    Args:
        params: the parameters, or groups of them.
        lr: γ.
        betas: (β₁, β₂), the decay of what is stepped along and of what is remembered.
        weight_decay: λ, decoupled as in `AdamW`.
        maximize: climb instead.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = Lion([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 2.9000, -3.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        if len(betas) != 2:
            raise ConfigError(
                f"Lion: betas={betas}, but there are two", cure="the defaults are (0.9, 0.99)"
            )
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """m = 0."""
        return {"exp_avg": parameter.detach().zeros_like()}

    def rule(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """θ - γ sign c."""
        m = state["exp_avg"]
        change = grad - m
        direction = (m + numbers.complement("betas.0", m) * change).sign()
        if numbers["weight_decay"] != 0:
            parameter = parameter * numbers.shrinkage(parameter)
        moved = parameter - numbers("lr", parameter) * direction
        return moved, {"exp_avg": m + numbers.complement("betas.1", m) * change}
