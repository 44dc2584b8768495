"""Muon: the momentum of a weight matrix, made orthogonal."""

from __future__ import annotations

from math import sqrt
from typing import Any

from chainrule.errors import ConfigError
from chainrule.optim.optimizer import Numbers, Optimizer, ParamGroup, Params, State
from chainrule.tensor import Tensor

__all__ = ["Muon", "orthogonalized"]


class Muon(Optimizer):
    r"""Momentum orthogonalised by Newton-Schulz (Jordan 2024).

    Source: https://kellerjordan.github.io/posts/muon/

        m ← μ m + (1 - μ) g
        u ← (1 - μ) g + μ m          (without Nesterov: m)
        θ ← θ - γ λ θ - γ s NS(u)

    NS(u) brings all singular values near 1 (`orthogonalized`). s, for a matrix [A, B], is
    √max(1, A/B), or with `"match_rms_adamw"` 0.2 √max(A, B) (Liu et al. 2025,
    https://arxiv.org/abs/2502.16982), so that rates and decays tuned for AdamW can be kept.

    For the matrices of hidden layers; give biases, norms, embeddings and heads to `AdamW`. PyTorch
    iterates in bfloat16, and this in the parameter's own dtype.

    Args:
        params: the parameters, matrices all, or groups of them.
        lr: γ.
        weight_decay: λ, decoupled.
        momentum: μ.
        nesterov: look ahead.
        ns_coefficients: a, b, c of the iteration's polynomial.
        eps: the least norm divided by.
        ns_steps: iterations, fewer than 100.
        adjust_lr_fn: `"original"` (also None) or `"match_rms_adamw"`.

    Raises:
        ConfigError: a parameter is no matrix, or a setting is out of its range.

    >>> import chainrule
    >>> x = chainrule.tensor([[3.0, 0.0], [0.0, 0.1]], requires_grad=True)
    >>> optimizer = Muon([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()  # both directions count, the weak one too
    >>> x < chainrule.tensor([[2.95, 1.0], [1.0, 0.05]])
    tensor([[True, True],
            [True, True]])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ConfigError(
                f"Muon: adjust_lr_fn={adjust_lr_fn!r}",
                cure='pass "original" or "match_rms_adamw"',
            )
        if not 0 <= ns_steps < 100:
            raise ConfigError(
                f"Muon: ns_steps={ns_steps}, but it must be in [0, 100)", cure="the default is 5"
            )
        if len(ns_coefficients) != 3:
            raise ConfigError(
                f"Muon: ns_coefficients={ns_coefficients}, but there are three",
                cure="the defaults are (3.4445, -4.7750, 2.0315)",
            )
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of matrices."""
        super().add_param_group(param_group)
        for parameter in self.param_groups[-1]["params"]:
            if parameter.ndim != 2:
                self.param_groups.pop()
                raise ConfigError(
                    f"Muon moves matrices, and {parameter.type} is none",
                    cure="give the other parameters to AdamW",
                )

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """m = 0."""
        return {"momentum_buffer": parameter.detach().zeros_like()}

    def rule(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """θ - γ s NS(u)."""
        momentum = state["momentum_buffer"]
        momentum = momentum + numbers.complement("momentum", grad) * (grad - momentum)
        update = momentum
        if numbers["nesterov"]:
            update = grad + numbers("momentum", grad) * (momentum - grad)
        update = orthogonalized(
            update, numbers["ns_coefficients"], numbers["ns_steps"], numbers["eps"]
        )
        rows, columns = parameter.shape
        if numbers["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * sqrt(max(rows, columns))
        else:
            scale = sqrt(max(1.0, rows / columns))
        if numbers["weight_decay"] != 0:
            parameter = parameter * numbers.shrinkage(parameter)
        rate = numbers("lr", parameter) * scale
        return parameter - rate * update, {"momentum_buffer": momentum}


def orthogonalized(
    matrix: Tensor,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
) -> Tensor:
    """U Vᵀ of the singular value decomposition U S Vᵀ, roughly: S becomes about 0.7 to 1.2.

        X ← X / max(|X|, ε),  then `steps` times  X ← a X + (b A + c A²) X  with A = X Xᵀ

    The polynomial a s + b s³ + c s⁵ acts on each singular value alone. These coefficients have the
    steepest slope at 0, at the price of never settling at 1.

    Source: Jordan, 2024, https://kellerjordan.github.io/posts/muon/.

    >>> import chainrule
    >>> q = orthogonalized(chainrule.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    >>> [0.7 < q[i, i].item() < 1.2 for i in range(2)]
    [True, True]
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix  # A is the smaller of the two Gram matrices
    x = x / (x * x).sum().sqrt().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
