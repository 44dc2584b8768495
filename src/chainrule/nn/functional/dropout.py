"""Dropout: some elements, chosen by chance, become 0 while training.

Which ones is a pure function of the state of a generator (a tensor of seed and offset), so that
every engine drops the same. The derivation is `docs/derivations/dropout.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import bool_
from chainrule.core.interpret import bind
from chainrule.core.op import Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import ConfigError, ShapeError
from chainrule.ops.generator import draw_state
from chainrule.ops.promotion import floating
from chainrule.ops.random import Mask, random_mask

if TYPE_CHECKING:
    from chainrule.ops.generator import Generator
    from chainrule.tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d"]


class Dropout(CoarseOp):
    r"""y = m ⊙ x / (1 - p), with m = 1 by chance 1 - p, else 0.    x_bar = m ⊙ y_bar / (1 - p)

    The second input is the generator's state, from which m is drawn.

    Attributes:
        p: the chance of an element to be dropped.
        whole: how many of the leading dimensions have a chance of their own; those after them are
            dropped or kept as one. None: every element has its own.
    """

    p: float = 0.5
    whole: int | None = None
    outputs = 2
    saves = Saves()
    constant_residuals = True
    constant_in: ClassVar[tuple[int, ...]] = (1,)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Never, sometimes, always; whole channels; nothing to drop."""
        state = np.array([7, 3], np.int64)
        for p in (0.0, 0.3, 1.0):
            yield Sample(op(p), (spread((4, 5), -3, 3), state))
        yield Sample(op(0.5, 2), (spread((2, 3, 2, 2), -3, 3), state))
        yield Sample(op(0.5), (spread((0, 3), -3, 3), state))

    def type_rule(self, x: TensorType, state: TensorType) -> tuple[TensorType, TensorType]:
        """The same type, and the mask."""
        return x, TensorType(mask_shape(x.shape, self.whole), bool_)

    @property
    def scale(self) -> float:
        """1 / (1 - p), so that the expectation stays; where nothing is kept it does not matter."""
        return 1 / (1 - self.p) if self.p < 1 else 0.0

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        """What is kept, scaled."""
        keep = bind(Mask(mask_shape(x.shape, self.whole), 1 - self.p), state)
        return (x * self.scale).where(keep, 0), (keep,)

    def backward(
        self, y_bar: Tensor, y: Any, residuals: tuple[Tensor], x: Any, state: Any, *, needs: Needs
    ) -> Bars:
        """The cotangent of what was kept, scaled."""
        return (y_bar * self.scale).where(residuals[0], 0), None


def mask_shape(shape: tuple[int, ...], whole: int | None) -> tuple[int, ...]:
    """The mask's shape: 1 along the dimensions that are dropped as one."""
    return shape if whole is None else shape[:whole] + (1,) * (len(shape) - whole)


def _drop(
    name: str,
    input: Tensor,
    p: float,
    training: bool,
    inplace: bool,
    whole: int | None,
    generator: Generator | None,
) -> Tensor:
    check_probability(name, p)
    if not training or p == 0:
        return input
    x = floating(input)
    state = draw_state(math.prod(mask_shape(x.shape, whole)), generator)
    y = Dropout(float(p), whole).apply(x, state)
    return input.put_(y, f"{name}_") if inplace else y


def check_probability(name: str, p: float) -> None:
    """p is a probability, else a `ConfigError`."""
    if not 0 <= p <= 1:
        raise ConfigError(f"{name}: p is {p}", cure="pass a probability from 0 to 1")


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each element becomes 0 with chance p; the others are divided by 1 - p.

    The expectation stays what it was. When not training, the input is returned as it is.

    Args:
        input: any shape.
        p: the chance of an element to become 0.
        training: whether to do anything.
        inplace: put the result into the input's memory.
        generator: what to draw from; the default one unless given.

    Raises:
        ConfigError: p is no probability.

    Source: Srivastava et al., "Dropout", 2014; scaled while training, as everybody does since.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.dropout(chainrule.ones(3), p=0.5, training=False)
    tensor([1., 1., 1.])
    """
    return _drop("dropout", input, p, training, inplace, None, generator)


def _drop_channels(
    name: str, ndims: tuple[int, int], input: Tensor, p: float, training: bool, inplace: bool
) -> Tensor:
    ndim = len(input.shape)
    if ndim not in ndims:
        raise ShapeError(
            f"{name}: the input {input.type} has {ndim} dimensions",
            cure=f"it takes {ndims[0]} (one sample) or {ndims[1]} (a batch)",
        )
    return _drop(name, input, p, training, inplace, ndim - ndims[0] + 1, None)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, L) or (C, L) become 0 with chance p.

    Raises:
        ConfigError: p is no probability.
        ShapeError: the input has another number of dimensions.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> y = F.dropout1d(chainrule.ones(4, 3, 8))
    >>> bool((y == y[:, :, :1]).all())
    True
    """
    return _drop_channels("dropout1d", (2, 3), input, p, training, inplace)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, H, W) or (C, H, W) become 0 with chance p.

    A difference from PyTorch, which takes three dimensions to be (N, C, L): use `dropout1d`.

    Raises:
        ConfigError: p is no probability.
        ShapeError: the input has another number of dimensions.

    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> y = F.dropout2d(chainrule.ones(4, 3, 8, 8))
    >>> bool((y == y[:, :, :1, :1]).all())
    True
    """
    return _drop_channels("dropout2d", (3, 4), input, p, training, inplace)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) become 0 with chance p.

    Raises:
        ConfigError: p is no probability.
        ShapeError: the input has another number of dimensions.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> y = F.dropout3d(chainrule.ones(2, 3, 4, 4, 4))
    >>> bool((y == y[:, :, :1, :1, :1]).all())
    True
    """
    return _drop_channels("dropout3d", (4, 5), input, p, training, inplace)


_SELU_FLOOR = -1.7580993408473766  # where selu levels off: -scale · alpha


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout for `selu`: dropped elements take its lowest value; mean and variance stay.

    y = a (m ⊙ x + (1 - m) α') + b, a = ((1 - p)(1 + p α'²))^(-1/2), b = -a p α', α' = -1.7581.

    Raises:
        ConfigError: p is no probability.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.alpha_dropout(chainrule.zeros(99), p=0.5, training=True).unique()
    tensor([-0.7792,  0.7792])
    >>> F.alpha_dropout(chainrule.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    check_probability("alpha_dropout", p)
    if not training or p == 0:
        return input
    x = floating(input)
    keep = random_mask(x.shape, 1 - p)
    scale = 0.0 if p == 1 else ((1 - p) * (1 + p * _SELU_FLOOR**2)) ** -0.5
    y = x.where(keep, _SELU_FLOOR) * scale - scale * p * _SELU_FLOOR
    return input.put_(y, "alpha_dropout_") if inplace else y
