"""Softmax and log-softmax: scores to probabilities along one dimension.

Both subtract the largest score first, which changes nothing (numerator and denominator shrink
alike) and keeps every exponential at or below 1. The derivation is `docs/derivations/softmax.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.core.axes import one_dim
from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import DType
from chainrule.core.op import Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.nn.functional.half import apply_wide
from chainrule.ops.promotion import cast, floating

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["log_softmax", "log_softmax_body", "softmax", "softmax_body", "softmin"]


def softmax_body(x: Tensor, dim: int) -> Tensor:
    """e^(x - max) over its sum along `dim`, in fine ops.

    >>> import chainrule
    >>> softmax_body(chainrule.tensor([0.0, 1000.0]), 0)
    tensor([0., 1.])
    """
    e = (x - x.amax(dim, keepdim=True).detach()).exp()
    return e / e.sum(dim, keepdim=True)


def log_softmax_body(x: Tensor, dim: int) -> Tensor:
    """x - max less the logarithm of the sum of its exponentials along `dim`, in fine ops.

    >>> import chainrule
    >>> log_softmax_body(chainrule.tensor([0.0, 1000.0]), 0)
    tensor([-1000.,     0.])
    """
    z = x - x.amax(dim, keepdim=True).detach()
    return z - z.exp().sum(dim, keepdim=True).log()


def _samples(op: type[Any]) -> Iterator[Sample]:
    for shape, dim in (((4,), 0), ((2, 3), 1), ((2, 3), 0), ((2, 3, 2), 1), ((0, 3), 1)):
        yield Sample(op(dim), (spread(shape, -3, 3, seed=dim),))
    yield Sample(op(1), (spread((3, 4), -3, 3)[:, ::-2],))


class SoftmaxOp(CoarseOp, family=True):
    """An op that normalises scores along one dimension.

    Attributes:
        dim: which, counted from the left.
    """

    dim: int
    saves = Saves(output=True)
    samples = _samples

    def type_rule(self, x: TensorType) -> TensorType:
        """The same type."""
        return x


class Softmax(SoftmaxOp):
    r"""y = e^x / Σ e^x.    x_bar = y (y_bar - Σ y y_bar)"""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        """The exponentials over their sum."""
        return softmax_body(x, self.dim), ()

    def backward(
        self, y_bar: Tensor, y: Tensor, residuals: tuple[()], x: TensorType, *, needs: Needs
    ) -> Bars:
        """y (y_bar - Σ y y_bar)."""
        weighted = y * y_bar
        return (weighted - y * weighted.sum(self.dim, keepdim=True),)


class LogSoftmax(SoftmaxOp):
    r"""y = x - ln Σ e^x.    x_bar = y_bar - e^y Σ y_bar"""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        """The scores less the logarithm of the sum of their exponentials."""
        return log_softmax_body(x, self.dim), ()

    def backward(
        self, y_bar: Tensor, y: Tensor, residuals: tuple[()], x: TensorType, *, needs: Needs
    ) -> Bars:
        """y_bar - e^y Σ y_bar."""
        return (y_bar - y.exp() * y_bar.sum(self.dim, keepdim=True),)


def _normalised(op: type[SoftmaxOp], input: Tensor, dim: int, dtype: DType | None) -> Tensor:
    x = floating(input) if dtype is None else cast(input, dtype)
    axis = one_dim(op.name, dim, len(x.shape))
    if x.shape:
        return apply_wide(op(axis), x)
    return apply_wide(op(axis), x.reshape(1)).reshape(())  # a scalar counts as one score


def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """Scores to probabilities along `dim`: y = e^x / Σ e^x.

    A difference from PyTorch: `dim` has to be given.

    Args:
        input: the scores.
        dim: the dimension along which the results sum to 1.
        dtype: convert the scores to this dtype first.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.softmax(chainrule.tensor([0.0, 0.0, 1000.0]), dim=0)
    tensor([0., 0., 1.])
    """
    return _normalised(Softmax, input, dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """The logarithm of the softmax along `dim`: y = x - ln Σ e^x, exact where softmax gives 0.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.log_softmax(chainrule.tensor([0.0, 1000.0]), 0)
    tensor([-1000.,     0.])
    """
    return _normalised(LogSoftmax, input, dim, dtype)


def softmin(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """The softmax of -x: y[i] = e^-x[i] / Σ e^-x[j]; the smallest gets the most.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.softmin(chainrule.tensor([1.0, 2.0, 3.0]), 0)
    tensor([0.6652, 0.2447, 0.0900])
    """
    return softmax(-floating(input), dim, dtype)
