"""Losses as layers: how far an output is from its target. The formulas are in `nn/functional`.

PyTorch's deprecated `size_average` and `reduce` are left out; what stands behind them is given by
name. `reduction` is "mean", "sum" or "none", everywhere.
"""

from __future__ import annotations

from chainrule.nn import functional as F
from chainrule.nn.layer import Layer
from chainrule.tensor import Tensor

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
]


class Loss(Layer):
    """What losses share: how they are reduced to one number."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction


class _WeightedLoss(Loss):
    """A loss whose weights are part of its state."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """Minus the log-probability that softmax of the logits gives to the target, on the mean.

    Args:
        weight: what each class counts (C).
        ignore_index: a target index that counts for nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: ε: the target becomes (1 - ε) of itself and ε/C of every class.

    >>> import chainrule
    >>> from chainrule import nn
    >>> logits, target = chainrule.zeros(4, 10), chainrule.tensor([1, 2, 3, 4])
    >>> nn.CrossEntropyLoss()(logits, target)
    tensor(2.3026)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (N, C, ...) for class indices (N, ...), or for probabilities."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """Minus the log-probability of the target: what `CrossEntropyLoss` is after `LogSoftmax`.

    Args:
        weight: what each class counts (C).
        ignore_index: a target index that counts for nothing.
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> scores = chainrule.tensor([[0.7, 0.3], [0.5, 0.5]]).log()
    >>> nn.NLLLoss(reduction="none")(scores, chainrule.tensor([0, 1]))
    tensor([0.3567, 0.6931])
    """

    def __init__(
        self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities (N, C, ...) for class indices (N, ...)."""
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class BCELoss(_WeightedLoss):
    """The cross-entropy of probabilities: -t ln x - (1 - t) ln(1 - x).

    Args:
        weight: what each element counts.
        reduction: "mean", "sum" or "none".

    Raises:
        OpError: an input is not between 0 and 1.

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.BCELoss(reduction="none")
    >>> loss(chainrule.tensor([0.9, 0.9]), chainrule.tensor([1.0, 0.0]))
    tensor([0.1054, 2.3026])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities for targets in [0, 1]."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """The cross-entropy of logits: `BCELoss` of their sigmoid, safe for any size.

    Args:
        weight: what each element counts.
        reduction: "mean", "sum" or "none".
        pos_weight: what a positive target counts.

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.BCEWithLogitsLoss(reduction="none", pos_weight=chainrule.tensor(3.0))
    >>> loss(chainrule.tensor([0.0, 0.0, 100.0]), chainrule.tensor([1.0, 0.0, 0.0]))
    tensor([  2.0794,   0.6931, 100.0000])
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits for targets in [0, 1]."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class MSELoss(Loss):
    """The squared error (x - t)².

    Args:
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.MSELoss()(chainrule.tensor([1.0, 2.0]), chainrule.tensor([0.0, 4.0]))
    tensor(2.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """The absolute error |x - t|.

    Args:
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.L1Loss()(chainrule.tensor([1.0, 2.0]), chainrule.tensor([0.0, 4.0]))
    tensor(1.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """(x - t)²/(2 β) where |x - t| < β, else |x - t| - β/2.

    Args:
        beta: β.
        reduction: "mean", "sum" or "none".

    Source: Girshick, "Fast R-CNN", 2015, arXiv:1504.08083.

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.SmoothL1Loss(reduction="none", beta=2.0)
    >>> loss(chainrule.tensor([1.0, 5.0]), chainrule.zeros(2))
    tensor([0.2500, 4.0000])
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """(x - t)²/2 where |x - t| < δ, else δ (|x - t| - δ/2).

    Args:
        delta: δ.
        reduction: "mean", "sum" or "none".

    Source: Huber, "Robust Estimation of a Location Parameter", 1964.

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.HuberLoss(reduction="none", delta=2.0)
    >>> loss(chainrule.tensor([1.0, 5.0]), chainrule.zeros(2))
    tensor([0.5000, 8.0000])
    """

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence, pointwise t (ln t - x), of log-probabilities x.

    `reduction="batchmean"` is the one that is the divergence.

    Args:
        log_target: the targets are log-probabilities too.
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> guess, truth = chainrule.tensor([[0.5, 0.5]]), chainrule.tensor([[1.0, 0.0]])
    >>> nn.KLDivLoss(reduction="batchmean")(guess.log(), truth)
    tensor(0.6931)
    """

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """e^x - t x: counts t whose expectation is e^x.

    Args:
        log_input: False takes x for the expectation itself: x - t ln(x + ε).
        full: add Stirling's approximation of ln t!.
        eps: ε.
        reduction: "mean", "sum" or "none".

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss = nn.PoissonNLLLoss(reduction="none", log_input=False)
    >>> loss(chainrule.tensor([1.0, 2.0, 3.0]), chainrule.tensor([2.0, 2.0, 2.0]))
    tensor([1.0000, 0.6137, 0.8028])
    """

    def __init__(
        self,
        *,
        reduction: str = "mean",
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(reduction=reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.poisson_nll_loss(
            input, target, self.log_input, self.full, self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(Loss):
    """½ (ln v + (x - t)²/v): numbers t with mean x and variance v.

    Shapes:
        x and t (N, ...); v the same, or without the last dimension, or that with size 1.

    Args:
        full: add ln √(2π).
        eps: the least variance.
        reduction: "mean", "sum" or "none".

    Source: Nix and Weigend, "Estimating the Mean and Variance of the Target Probability
    Distribution", 1994.

    >>> import chainrule
    >>> from chainrule import nn
    >>> loss, off = nn.GaussianNLLLoss(reduction="none"), chainrule.tensor([2.0, 2.0])
    >>> loss(off, chainrule.zeros(2), chainrule.tensor([1.0, 4.0]))
    tensor([2.0000, 1.1931])
    """

    def __init__(self, *, reduction: str = "mean", full: bool = False, eps: float = 1e-6) -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor) -> Tensor:
        """The loss."""
        return F.gaussian_nll_loss(
            input, target, var, self.full, self.eps, reduction=self.reduction
        )
