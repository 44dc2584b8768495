"""Batch normalisation: each channel brought to mean 0 and variance 1 over the batch, then scaled.

The derivation is `docs/derivations/batch_norm.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.autograd.grad_mode import no_grad
from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import float16, float32
from chainrule.core.interpret import bind
from chainrule.core.location import user_location
from chainrule.core.op import Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError, ShapeError
from chainrule.ops.promotion import cast
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["batch_norm", "instance_norm"]


def check_channels(function: str, x: TensorType, *per_channel: TensorType) -> None:
    """Raise unless the input is (B, C, ...) and each of the others is (C)."""
    if x.ndim < 2:
        refuse(function, f"the input is {x}", cure="it needs a batch and a channel axis", types=[x])
    for each in per_channel:
        if each.shape != x.shape[1:2]:
            refuse(
                function,
                f"the input {x} has {x.shape[1]} channels; a parameter or statistic is {each}",
                cure=f"each must have the shape [{x.shape[1]}]",
                types=[x, each],
            )
        if each.dtype is not x.dtype:
            refuse(
                function,
                f"dtypes differ: the input is {x}, a parameter or statistic {each}",
                cure="convert one of them with .to(dtype)",
                error=DTypeError,
                types=[x, each],
            )


def beside(per_channel: Tensor, ndim: int) -> Tensor:
    """(C) as (C, 1, ..., 1), to broadcast against (B, C, ...)."""
    return per_channel.reshape(-1, *(1,) * (ndim - 2))


class BatchNorm(CoarseOp):
    r"""y = x̂ ⊙ w + b,  where  x̂ = (x - μ) ρ,  ρ = 1/√(σ² + ε)

    μ and σ² are mean and (biased) variance of each channel over the batch and all places.

        x_bar = w ρ (y_bar - mean(y_bar) - x̂ mean(y_bar ⊙ x̂))
        w_bar = Σ y_bar ⊙ x̂
        b_bar = Σ y_bar                              (sums over all axes but the channels)

    Shapes:
        x, y are (B, C, ...); w, b, μ, σ² are (C). w and b may be left out, both.

    Attributes:
        eps: added to the variance.
    """

    eps: float = 1e-5
    outputs = 3  # y; the residuals μ and σ²

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Features, sequences, pictures; with and without parameters."""
        w, b = spread((3,), 0.5, 2, seed=1), spread((3,), -1, 1, seed=2)
        yield Sample(op(), (spread((5, 3), -2, 2), w, b))
        yield Sample(op(0.1), (spread((2, 3, 4), -2, 2), w, b))
        yield Sample(op(), (spread((2, 3, 2, 3), -2, 2), w, b))
        yield Sample(op(), (spread((4, 2), -2, 2),))

    def type_rule(self, x: TensorType, *parameters: TensorType) -> tuple[TensorType, ...]:
        """y like x, and two statistics per channel."""
        check_channels(self.name, x, *parameters)
        if x.size == x.shape[1]:
            self.fail(
                f"the input {x} has one number per channel, so that it is its own mean",
                cure="train on more than one sample at a time, or switch to .eval()",
                types=[x],
            )
        statistic = TensorType(x.shape[1:2], x.dtype)
        return x, statistic, statistic

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean, variance, normalise and scale, shift."""
        dims = _all_but_channels(x)
        mean = x.mean(dims)
        centred = x - beside(mean, x.ndim)
        variance = (centred * centred).mean(dims)
        scale = (variance + self.eps).rsqrt()
        y = centred * beside(scale if weight is None else scale * weight, x.ndim)
        return y if bias is None else y + beside(bias, x.ndim), (mean, variance)

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[Tensor, ...],
        x: Tensor,
        weight: Tensor | None = None,
        bias: Any = None,
        *,
        needs: Needs,
    ) -> Bars:
        """Derived in `docs/derivations/batch_norm.md`."""
        mean, variance = residuals
        dims, ndim = _all_but_channels(x), x.ndim
        count = math.prod(x.shape) // x.shape[1]
        scale = (variance + self.eps).rsqrt()
        centred = x - beside(mean, ndim)
        total = y_bar.sum(dims)
        slope = (y_bar * centred).sum(dims) * scale
        x_bar = None
        if needs[0]:
            # ρ and 1/count are moved into the numbers per channel: fewer passes over all of x
            along = centred * beside(slope * scale * (1 / count), ndim)
            inner = y_bar - along - beside(total * (1 / count), ndim)
            x_bar = inner * beside(scale if weight is None else scale * weight, ndim)
        weight_bar = slope if len(needs) > 1 and needs[1] else None
        bias_bar = total if len(needs) > 2 and needs[2] else None
        return (x_bar, weight_bar, bias_bar)[: len(needs)]


class FixedNorm(CoarseOp):
    r"""y = (x - m) ρ ⊙ w + b,  ρ = 1/√(v + ε):  batch normalisation with known statistics.

        x_bar = y_bar w ρ,  m_bar = -Σ y_bar w ρ,  v_bar = -½ Σ y_bar w (x - m) ρ³
        w_bar = Σ y_bar (x - m) ρ,  b_bar = Σ y_bar

    Shapes:
        x, y are (B, C, ...); m, v, w, b are (C). w and b may be left out, both.

    Attributes:
        eps: added to the variance.
    """

    eps: float = 1e-5

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Features and pictures; with and without parameters; a single sample; none."""
        m, v = spread((3,), -1, 1, seed=1), spread((3,), 0.5, 2, seed=2)
        w, b = spread((3,), 0.5, 2, seed=3), spread((3,), -1, 1, seed=4)
        yield Sample(op(), (spread((5, 3), -2, 2), m, v, w, b))
        yield Sample(op(0.1), (spread((2, 3, 2, 2), -2, 2), m, v, w, b))
        yield Sample(op(), (spread((1, 3), -2, 2), m, v))
        yield Sample(op(), (spread((0, 3), -2, 2), m, v))

    def type_rule(self, x: TensorType, *per_channel: TensorType) -> TensorType:
        """Like x."""
        check_channels(BatchNorm.name, x, *per_channel)  # what the user called
        return x

    def forward(
        self,
        x: Tensor,
        mean: Tensor,
        variance: Tensor,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> tuple[Tensor, tuple[()]]:
        """Normalise and scale, shift."""
        scale = (variance + self.eps).rsqrt()
        scale = scale if weight is None else scale * weight
        y = (x - beside(mean, x.ndim)) * beside(scale, x.ndim)
        return y if bias is None else y + beside(bias, x.ndim), ()

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[()],
        x: Tensor,
        mean: Tensor,
        variance: Tensor,
        weight: Tensor | None = None,
        bias: Any = None,
        *,
        needs: Needs,
    ) -> Bars:
        """An affine map of x; the statistics have derivatives like any input."""
        dims, ndim = _all_but_channels(x), x.ndim
        scale = (variance + self.eps).rsqrt()
        slope = scale if weight is None else scale * weight
        x_bar = y_bar * beside(slope, ndim) if needs[0] else None
        total = y_bar.sum(dims) if any(needs[1:]) else None
        centred = None
        if any(needs[2:4]):
            centred = (y_bar * (x - beside(mean, ndim))).sum(dims)
        mean_bar = -(total * slope) if needs[1] and total is not None else None
        variance_bar = weight_bar = None
        if centred is not None:
            variance_bar = centred * slope * scale * scale * -0.5
            weight_bar = centred * scale
        return (x_bar, mean_bar, variance_bar, weight_bar, total)[: len(needs)]


def _all_but_channels(x: Tensor) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalise each channel over the batch: y = (x - μ) / √(σ² + ε) · weight + bias.

    In training, μ and σ² are those of the batch, and the running statistics follow them:

        running_mean ← (1 - momentum) running_mean + momentum μ
        running_var  ← (1 - momentum) running_var  + momentum σ² n/(n - 1)     (unbiased)

    Otherwise μ and σ² are the running statistics.

    Args:
        input: (B, C) or (B, C, ...).
        running_mean: (C), changed in place in training; None: not kept.
        running_var: (C), likewise.
        weight: (C), what to multiply by; 1 if left out.
        bias: (C), what to add; 0 if left out.
        training: take the batch's statistics.
        momentum: how much of the new there is in the running statistics; a tensor of no
            dimensions where that changes from step to step.
        eps: added to the variance.

    Errors:
        ShapeError: a parameter's size is not C; one value per channel in training; no running
            statistics although not training.

    float16 is computed in float32.

    >>> import chainrule
    >>> from chainrule.nn.functional import batch_norm
    >>> x, mean, var = chainrule.tensor([[1.0], [3.0]]), chainrule.zeros(1), chainrule.ones(1)
    >>> batch_norm(x, mean, var, training=True), mean, var
    (tensor([[-1.0000],
            [ 1.0000]]), tensor([0.2000]), tensor([1.1000]))

    Source: Ioffe, Szegedy, *Batch Normalization*, 2015, arXiv:1502.03167, algorithm 1.
    """
    half = input.dtype is float16
    x = cast(input, float32) if half else input
    parameters = _parameters(x, weight, bias)
    if training:
        y, mean, variance = bind(BatchNorm(eps), x, *parameters)
        count = x.numel() // x.shape[1]
        _follow(running_mean, mean, momentum)
        _follow(running_var, variance * (count / (count - 1)), momentum)
    else:
        if running_mean is None or running_var is None:
            raise ShapeError(
                "batch_norm: there are no running statistics to normalise by",
                cure="pass running_mean and running_var, or training=True",
                location=str(user_location() or ""),
            )
        y = FixedNorm(eps).apply(x, *_as(x, running_mean, running_var), *parameters)
    return cast(y, float16) if half else y


def _as(x: Tensor, *others: Tensor) -> list[Tensor]:
    """float16 parameters widened with their input; any other dtype is left for the type rule."""
    return [cast(each, x.dtype) if each.dtype is float16 else each for each in others]


def _parameters(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> list[Tensor]:
    """Weight and bias, both or none: the one that is missing does nothing."""
    if weight is None and bias is None:
        return []
    known = weight if weight is not None else bias
    assert known is not None
    return _as(
        x,
        known.detach().ones_like() if weight is None else weight,
        known.detach().zeros_like() if bias is None else bias,
    )


def _follow(running: Tensor | None, new: Tensor, momentum: float | Tensor) -> None:
    """Move a running statistic towards the batch's, in place."""
    if running is None:
        return
    with no_grad():
        kept = running.detach()
        step = cast(new.detach(), running.dtype) * momentum
        running.put_(kept * (1 - momentum) + step, "batch_norm")


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample over its places.

    It is `batch_norm` with every channel of every sample as a channel of its own; the running
    statistics follow the mean over the samples.

    Args:
        input: (B, C, ...), with at least one axis of places.
        running_mean: (C), changed in place where `use_input_stats`; None: not kept.
        running_var: (C), likewise.
        weight: (C), what to multiply by.
        bias: (C), what to add.
        use_input_stats: False normalises by the running statistics.
        momentum: how much of the new there is in the running statistics.
        eps: added to the variance.

    Raises:
        ShapeError: there is no axis of places, or a parameter is not (C).

    Source: Ulyanov, Vedaldi, Lempitsky, *Instance Normalization*, 2016, arXiv:1607.08022.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.instance_norm(chainrule.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    half = input.dtype is float16
    x = cast(input, float32) if half else input
    if not use_input_stats:
        _check_instances(x, 2, running_mean, running_var, weight, bias)
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_instances(x, 3, weight, bias)
    batch, channels, *places = x.shape
    parameters = _parameters(x, weight, bias)
    flat = x.reshape(1, batch * channels, *places)
    y, mean, variance = bind(BatchNorm(eps), flat)
    y = y.reshape(x.shape)
    if parameters:
        y = y * beside(parameters[0], x.ndim) + beside(parameters[1], x.ndim)
    count = math.prod(places)
    _follow(running_mean, mean.reshape(batch, channels).mean(0), momentum)
    unbiased = variance.reshape(batch, channels).mean(0) * (count / (count - 1))
    _follow(running_var, unbiased, momentum)
    return cast(y, float16) if half else y


def _check_instances(x: Tensor, least: int, *per_channel: Tensor | None) -> None:
    """What `batch_norm` would refuse in its own name; `least` is how many dimensions x needs."""
    if x.ndim < least or (least == 3 and math.prod(x.shape[2:]) == 1):
        refuse(
            "instance_norm",
            f"the input is {x.type}; one number per channel is its own mean",
            cure="it needs (B, C) and axes with several places, or use_input_stats=False",
            types=[x.type],
        )
    given = _as(x, *[each for each in per_channel if each is not None])
    check_channels("instance_norm", x.type, *[each.type for each in given])
