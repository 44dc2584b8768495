"""Dropout layers: in training, some numbers become 0 by chance; in use they do nothing."""

from __future__ import annotations

from chainrule.core.location import user_location
from chainrule.errors import ConfigError
from chainrule.nn import functional as F
from chainrule.nn.layer import Layer
from chainrule.tensor import Tensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"]


class _Dropout(Layer):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ConfigError(
                f"{type(self).__name__}: p is {p}",
                cure="pass a probability from 0 to 1",
                location=str(user_location() or ""),
            )
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training each number becomes 0 with chance p, the others are divided by 1 - p.

    Args:
        p: the chance.
        inplace: put the result into the input's memory.

    Source: Srivastava et al., "Dropout", 2014.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Dropout().eval()(chainrule.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some numbers dropped, in training."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of sequences (B, C, L).

    >>> import chainrule
    >>> from chainrule import nn
    >>> y = nn.Dropout1d(0.5)(chainrule.ones(4, 3, 8))
    >>> bool((y == y[:, :, :1]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some channels dropped, in training."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of pictures (B, C, H, W).

    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.

    >>> import chainrule
    >>> from chainrule import nn
    >>> y = nn.Dropout2d(0.5)(chainrule.ones(4, 3, 8, 8))
    >>> bool((y == y[:, :, :1, :1]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some channels dropped, in training."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """`Dropout` of whole channels of volumes (B, C, D, H, W).

    >>> import chainrule
    >>> from chainrule import nn
    >>> y = nn.Dropout3d(0.5)(chainrule.ones(2, 3, 4, 4, 4))
    >>> bool((y == y[:, :, :1, :1, :1]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some channels dropped, in training."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that goes with `SELU`: mean and variance stay what they were.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017.

    >>> import chainrule
    >>> from chainrule import nn
    >>> y = nn.AlphaDropout(0.2)(chainrule.randn(100, 100))
    >>> abs(y.mean().item()) < 0.1, abs(y.std().item() - 1) < 0.1
    (True, True)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Some numbers at SELU's floor, in training."""
        return F.alpha_dropout(input, self.p, self.training, self.inplace)
