"""Adam, and AdamW: the same with the weight decay kept apart from the gradient."""

from __future__ import annotations

from chainrule.core.dtypes import float64
from chainrule.errors import ConfigError
from chainrule.ops.create import zeros
from chainrule.optim.optimizer import Numbers, Optimizer, ParamGroup, Params, State
from chainrule.tensor import Tensor

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    r"""Adaptive moments (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, Algorithm 1).

        g ← g + λ θ
        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - γ / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)

    With `amsgrad` the largest v so far takes the place of v (Reddi et al. 2018).

    Args:
        params: the parameters, or groups of them.
        lr: γ.
        betas: (β₁, β₂), the decay of the two moments.
        eps: ε.
        weight_decay: λ, added to the gradient; see `AdamW` for the decoupled one.
        amsgrad: use the largest v so far.
        maximize: climb instead.
        decoupled_weight_decay: as in `AdamW`.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0], requires_grad=True)
    >>> optimizer = Adam([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([2.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if len(betas) != 2:
            raise ConfigError(
                f"{type(self).__name__}: betas={betas}, but there are two",
                cure="the defaults are (0.9, 0.999)",
            )
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """t = 0, m = v = 0."""
        like = parameter.detach()
        state = {
            "step": zeros((), dtype=float64),
            "exp_avg": like.zeros_like(),
            "exp_avg_sq": like.zeros_like(),
        }
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = like.zeros_like()
        return state

    def rule(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """θ - γ m̂ / (√v̂ + ε)."""
        if numbers["weight_decay"] != 0:
            if numbers["decoupled_weight_decay"]:
                parameter = parameter * numbers.shrinkage(parameter)
            else:
                grad = grad + numbers("weight_decay", parameter) * parameter
        step = state["step"] + 1
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m = m + numbers.complement("betas.0", m) * (grad - m)
        v = numbers("betas.1", v) * v + numbers.complement("betas.1", v) * grad * grad
        after = {"step": step, "exp_avg": m, "exp_avg_sq": v}
        if numbers["amsgrad"]:
            v = after["max_exp_avg_sq"] = state["max_exp_avg_sq"].maximum(v)
        # 1 - βᵗ loses most of its digits in float32: these few numbers are computed in float64
        step_size = numbers.exact("lr") / (1 - numbers.exact("betas.0") ** step)
        correction = (1 - numbers.exact("betas.1") ** step).sqrt()
        dtype = parameter.dtype
        denominator = v.sqrt() / correction.to(dtype) + numbers("eps", parameter)
        return parameter - step_size.to(dtype) * m / denominator, after


class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    θ ← θ - γ λ θ before the step of `Adam`; the gradient stays as it is.

    Args:
        params: the parameters, or groups of them.
        lr: γ.
        betas: (β₁, β₂), the decay of the two moments.
        eps: ε.
        weight_decay: λ.
        amsgrad: use the largest v so far.
        maximize: climb instead.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0], requires_grad=True)
    >>> optimizer = chainrule.optim.AdamW([x], lr=0.1, weight_decay=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([2.7500], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )
