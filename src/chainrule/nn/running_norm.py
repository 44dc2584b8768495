"""Normalisation layers with running statistics: batch and instance normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.autograd import no_grad
from chainrule.core.dtypes import DType, float64, int64
from chainrule.core.location import user_location
from chainrule.errors import ShapeError
from chainrule.nn import functional as F
from chainrule.nn import init
from chainrule.nn.layer import Layer
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import ones, zeros
from chainrule.tensor import Tensor

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "InstanceNorm1d",
    "InstanceNorm2d",
]


class _RunningNorm(Layer):
    """Parameters and running statistics, one each per channel."""

    ndims: ClassVar[tuple[int, ...]]
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def _set_up(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: DType | None,
        bias: bool,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        given: dict[str, Any] = {"dtype": dtype, "device": device}
        self.register_parameter(
            "weight", Parameter(ones(num_features, **given)) if affine else None
        )
        self.register_parameter(
            "bias", Parameter(zeros(num_features, **given)) if affine and bias else None
        )
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **given) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **given) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=int64) if tracked else None)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches.

        >>> import chainrule
        >>> from chainrule import nn
        >>> layer = nn.BatchNorm1d(1)
        >>> y = layer(chainrule.tensor([[1.0], [3.0]]))
        >>> layer.reset_running_stats()
        >>> layer.running_mean, layer.num_batches_tracked
        (tensor([0.]), tensor(0))
        """
        if self.running_mean is not None and self.running_var is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
        if self.num_batches_tracked is not None:
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and the statistics as at the start."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check(self, input: Tensor) -> None:
        if input.ndim not in self.ndims:
            raise ShapeError(
                f"{type(self).__name__}: the input is {input.type}",
                cure=f"it takes {' or '.join(map(str, self.ndims))} dimensions",
                location=str(user_location() or ""),
            )

    def _count(self) -> float | Tensor:
        """Note one more batch; how much it counts in the running statistics."""
        if not (self.training and self.num_batches_tracked is not None):
            return self.momentum or 0.0
        with no_grad():
            self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            return self.momentum
        return 1 / self.num_batches_tracked.to(float64)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_RunningNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self._set_up(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalised by the batch in training, by the running statistics in use."""
        self._check(input)
        momentum = self._count()
        by_batch = self.training or self.running_mean is None
        follow = self.training and self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if follow or not by_batch else None,
            self.running_var if follow or not by_batch else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of rows (B, C) or sequences (B, C, L). See `BatchNorm2d`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.BatchNorm1d(1)
    >>> layer(chainrule.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    >>> layer.running_mean, layer.running_var
    (tensor([0.2000]), tensor([1.1000]))
    """

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    r"""Batch normalisation of pictures (B, C, H, W), channel by channel.

        y = (x - μ) / √(σ² + ε) · weight + bias

    In training μ and σ² are those of the batch, and running statistics follow them; in use (`eval`)
    they are these running statistics.

    Parameters:
        weight (C), 1 at first, and bias (C), 0. Buffers: running_mean (C), 0 at first,
        running_var (C), 1, and num_batches_tracked.

    Args:
        num_features: C.
        eps: ε.
        momentum: how much of each batch there is in the running statistics; None takes the mean
            over all batches.
        affine: False leaves weight and bias out.
        track_running_stats: False always normalises by the batch.
        device: "cpu" or None.
        dtype: of parameters and statistics.
        bias: False leaves the bias out.

    Raises:
        ShapeError: the input has not 4 dimensions, or not C channels.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.BatchNorm2d(3)
    >>> y = layer(chainrule.randn(8, 3, 4, 4) * 5 + 2)
    >>> bool((y.mean((0, 2, 3)).abs() < 1e-5).all())
    True
    """

    ndims = (4,)


class _InstanceNorm(_RunningNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self._set_up(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Each channel of each sample normalised; a single sample may come without its batch."""
        self._check(input)
        alone = input.ndim == self.ndims[0]
        x = input.reshape(1, *input.shape) if alone else input
        y = F.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.reshape(y.shape[1:]) if alone else y


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of sequences (B, C, L). See `InstanceNorm2d`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.InstanceNorm1d(2)(chainrule.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """

    ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each picture (B, C, H, W) brought to mean 0 and variance 1.

        y = (x - μ) / √(σ² + ε) · weight + bias

    Args:
        num_features: C.
        eps: ε.
        momentum: how much of each batch there is in the running statistics.
        affine: with weight (C) and bias (C).
        track_running_stats: keep running statistics, and use them in `eval`.
        device: "cpu" or None.
        dtype: of parameters and statistics.
        bias: False leaves the bias out.

    Raises:
        ShapeError: the input has neither 4 dimensions nor, for one picture, 3.

    Source: Ulyanov et al., "Instance Normalization", 2016, arXiv:1607.08022.

    >>> import chainrule
    >>> from chainrule import nn
    >>> y = nn.InstanceNorm2d(3)(chainrule.randn(8, 3, 4, 4) * 5 + 2)
    >>> bool((y.mean((2, 3)).abs() < 1e-5).all())
    True
    """

    ndims = (3, 4)
