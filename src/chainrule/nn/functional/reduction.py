"""What `reduction="none" | "mean" | "sum"` means, for every loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.core.location import user_location
from chainrule.errors import ConfigError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["REDUCTIONS", "check_reduction", "reduced", "reduced_bar"]

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(name: str, reduction: Any, allowed: tuple[str, ...] = REDUCTIONS) -> str:
    """The reduction, if it is one of those allowed; else a `ConfigError` that names them.

    >>> check_reduction("mse_loss", "median")
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: mse_loss: reduction is ...
    """
    if reduction in allowed:
        return reduction
    location = user_location()
    raise ConfigError(
        f"{name}: reduction is {reduction!r}",
        cure="pass one of " + ", ".join(map(repr, allowed)),
        location=str(location) if location else "",
        given=reduction,
    )


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The losses themselves, their mean or their sum. The mean of none is NaN.

    >>> import chainrule
    >>> reduced(chainrule.tensor([1.0, 4.0]), "sum"), reduced(chainrule.zeros(0), "mean")
    (tensor(5.), tensor(nan))
    """
    if reduction == "none":
        return loss
    total = loss.sum()
    return total if reduction == "sum" else total / _count(loss.shape)


def reduced_bar(y_bar: Tensor, shape: tuple[int, ...], reduction: str) -> Tensor:
    """The cotangent of each loss, of shape `shape` or a scalar for all, from the reduced one's.

    >>> import chainrule
    >>> reduced_bar(chainrule.tensor(1.0), (4,), "mean")
    tensor(0.2500)
    """
    return y_bar / _count(shape) if reduction == "mean" else y_bar


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
