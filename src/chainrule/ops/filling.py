"""Methods that overwrite a tensor: with another's elements, a number, or random numbers.

They are methods only, and each is `put_`: an op makes the new value, then it is written into the
tensor's memory, so that views see it and the tape hears of it. Like every in-place method they
refuse a leaf that requires gradients while the tape records: `with chainrule.no_grad():`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.base import is_tensor
from chainrule.core.dtypes import BOOL, FLOAT, float64
from chainrule.core.location import user_location
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError, OpError, ShapeError
from chainrule.ops.create import full_like, zeros_like
from chainrule.ops.generator import Generator
from chainrule.ops.promotion import cast, promote
from chainrule.ops.random import integers, rand, randn
from chainrule.ops.sampling import bernoulli

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__: list[str] = []

METHODS = (
    "bernoulli_",
    "copy_",
    "exponential_",
    "fill_",
    "normal_",
    "random_",
    "uniform_",
    "zero_",
)


def copy_(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Take over the elements of `src`, broadcast, converted to this dtype; gradients flow to it.

    >>> import chainrule
    >>> chainrule.zeros(2, 2, dtype=chainrule.int64).copy_(chainrule.tensor([1.7, -1.7]))
    tensor([[ 1, -1],
            [ 1, -1]])
    """
    (source,) = promote(src)
    return input.put_(cast(source, input.dtype).expand(input.value.shape), "copy_")


def zero_(input: Tensor) -> Tensor:
    """Fill with zeros.

    >>> import chainrule
    >>> chainrule.tensor([1, 2]).zero_()
    tensor([0, 0])
    """
    return input.put_(zeros_like(input), "zero_")


def fill_(input: Tensor, value: Any) -> Tensor:
    """Fill with a number, or with the element of a zero-dimensional tensor.

    Raises:
        ShapeError: a tensor with dimensions.

    >>> import chainrule
    >>> chainrule.tensor([1, 2]).fill_(2.7)
    tensor([2, 2])
    """
    if not is_tensor(value):
        return input.put_(full_like(input, value), "fill_")
    if value.value.shape:
        kind = TensorType(value.value.shape, input.dtype)
        raise ShapeError(
            f"fill_: one number fills a tensor, not {kind}",
            cure="use copy_ to take over many elements",
            location=str(user_location() or ""),
        )
    source: Any = cast(value, input.dtype)
    return input.put_(source.expand(input.value.shape), "fill_")


def _floats(input: Tensor, by: str, least: Any, name: str, *, strict: bool) -> None:
    if input.dtype.category != FLOAT:
        raise DTypeError(
            f"{by}: only float tensors can hold its numbers, not {input.type}",
            cure="use random_ for integers, bernoulli_ for bools",
            location=str(user_location() or ""),
        )
    if not (least > 0 or (least == 0 and not strict)):
        raise OpError(
            f"{by}: {name} must be {'above' if strict else 'at least'} 0, not {least}",
            cure="check the order of the arguments",
            location=str(user_location() or ""),
        )


def uniform_(
    input: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers uniform over [from_, to).

    Raises:
        DTypeError: not a float tensor.
        OpError: `to` is less than `from_`.

    >>> import chainrule
    >>> x = chainrule.empty(1000).uniform_(-1, 1)
    >>> bool(((x >= -1) & (x < 1)).all())
    True
    """
    _floats(input, "uniform_", to - from_, "to - from", strict=False)
    u = rand(input.value.shape, dtype=input.dtype, generator=generator)
    return input.put_(u * (to - from_) + from_, "uniform_")


def normal_(
    input: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers.

    Raises:
        DTypeError: not a float tensor.
        OpError: a negative `std`.

    >>> import chainrule
    >>> chainrule.empty(2).normal_(5, 0)
    tensor([5., 5.])
    """
    _floats(input, "normal_", std, "std", strict=False)
    z = randn(input.value.shape, dtype=input.dtype, generator=generator)
    return input.put_(z * std + mean, "normal_")


def exponential_(input: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of the density λ exp(-λ x), of mean 1 / λ.

    Raises:
        DTypeError: not a float tensor.
        OpError: `lambd` is not above 0.

    >>> import chainrule
    >>> bool((chainrule.empty(1000).exponential_(2.0) >= 0).all())
    True
    """
    _floats(input, "exponential_", lambd, "lambd", strict=True)
    # In float64 at least: u in [0, 1) then never rounds to a 1 whose logarithm would be infinite.
    u = rand(input.value.shape, dtype=float64, generator=generator)
    return input.put_(cast((1 - u).log() * (-1 / lambd), input.dtype), "exponential_")


def bernoulli_(input: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones, of probability p (a number, or a tensor that broadcasts), and zeros.

    >>> import chainrule
    >>> chainrule.empty(2, 2).bernoulli_(chainrule.tensor([0.0, 1.0]))
    tensor([[0., 1.],
            [0., 1.]])
    """
    if is_tensor(p):
        drawn = bernoulli(p.expand(input.value.shape), generator=generator)
    else:
        drawn = bernoulli(input.detach(), p, generator=generator)
    return input.put_(cast(drawn, input.dtype), "bernoulli_")


def random_(
    input: Tensor,
    from_: int | None = None,
    to: int | None = None,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with integers uniform over from_, ..., to - 1; `random_(to)` starts at 0.

    Without bounds: over all that an integer dtype holds from 0 on, or all up to which a float
    dtype holds every integer.

    >>> import chainrule
    >>> chainrule.zeros(100).random_(1, 4).unique()
    tensor([1., 2., 3.])
    """
    low, high = (0, from_) if to is None else (from_ or 0, to)
    kind = input.dtype
    if high is None:
        if kind.category == BOOL:
            high = 2
        elif kind.category == FLOAT:
            high = 2 ** (np.finfo(kind.numpy).nmant + 1) + 1
        else:
            high = np.iinfo(kind.numpy).max + (kind.itemsize < 8)
    return input.put_(integers(input.value.shape, low, high, kind, generator), "random_")
