"""Keeping gradients in bounds between `backward()` and `optimizer.step()`.

PyTorch has these in `nn.utils`; here they are `chainrule.nn.clip_grad_norm_` and so on.
"""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.autograd import no_grad
from chainrule.errors import ConfigError, NumericalError
from chainrule.ops.create import zeros
from chainrule.ops.joining import stack
from chainrule.ops.norms import vector_norm
from chainrule.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """The norm of all elements of all tensors, as if they were one long vector.

    Args:
        tensors: one tensor, or several.
        norm_type: p of the p-norm; `inf` for the largest magnitude.
        error_if_nonfinite: raise where the norm is NaN or infinite.

    Raises:
        NumericalError: that.

    >>> import chainrule
    >>> get_total_norm([chainrule.tensor([3.0]), chainrule.tensor([[4.0]])])
    tensor(5.)
    """
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not given:
        return zeros(())
    p = _norm_type(norm_type)
    each = [vector_norm(tensor, p) for tensor in given]
    total = each[0] if len(each) == 1 else vector_norm(stack(each), p)
    if error_if_nonfinite and not total.isfinite():
        raise NumericalError(
            f"the total norm of order {p:g} is {total.item()}: it can't be clipped",
            cure="look for the NaN or infinity in the loss, or pass error_if_nonfinite=False",
            norm=total.item(),
        )
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor so that their total norm is at most `max_norm`, in place.

        g ← g · min(1, max_norm / (|g| + 1e-6))          (Pascanu et al. 2013, Algorithm 1)

    https://arxiv.org/abs/1211.5063. Parameters without a gradient are passed over.

    Args:
        parameters: whose gradients are scaled.
        max_norm: the largest norm allowed.
        norm_type: p of the p-norm; `inf` for the largest magnitude.
        error_if_nonfinite: raise where the norm is NaN or infinite.

    Returns:
        The norm before.

    Raises:
        NumericalError: the norm is not finite. Nothing has been changed then.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_norm_([x], 1.0)
    tensor(5.)
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    with no_grad():
        total = get_total_norm(_gradients(listed), norm_type, error_if_nonfinite)
        clip_grads_with_norm_(listed, max_norm, total)
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor
) -> None:
    """Scale all gradients by min(1, max_norm / (total_norm + 1e-6)), in place.

    Args:
        parameters: whose gradients are scaled.
        max_norm: the largest norm allowed.
        total_norm: what `get_total_norm` gave.

    Raises:
        ConfigError: `max_norm` is negative, or not a number.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grads_with_norm_([x], 1.0, get_total_norm([x.grad]))
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    bound = _bound("max_norm", max_norm)
    with no_grad():
        factor = (bound / (total_norm + 1e-6)).clamp(max=1.0)  # no `if`: a trace can read it
        for grad in _gradients(parameters):
            grad.mul_(factor.to(grad.dtype))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clamp every element of every gradient to [-clip_value, clip_value], in place.

    Args:
        parameters: whose gradients are clamped.
        clip_value: the largest magnitude allowed.

    Raises:
        ConfigError: it is negative, or not a number.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0, 0.5], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_value_([x], 1.0)
    >>> x.grad
    tensor([1.0000, 0.5000])
    """
    bound = _bound("clip_value", clip_value)
    with no_grad():
        for grad in _gradients(parameters):
            grad.clamp_(-bound, bound)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else parameters
    return [each.grad for each in listed if each.grad is not None]


def _norm_type(norm_type: float | str) -> float:
    try:
        p = float(norm_type)
    except (TypeError, ValueError):
        p = -1.0
    if p > 0:
        return p
    raise ConfigError(
        f"norm_type={norm_type!r}, but it must be above 0", cure="the default is 2.0; inf is one"
    )


def _bound(name: str, value: float) -> float:
    try:
        bound = float(value)
    except (TypeError, ValueError):
        bound = -1.0
    if bound >= 0:
        return bound
    raise ConfigError(f"{name}={value!r}, but it must be at least 0", cure="pass a float such as 1")
