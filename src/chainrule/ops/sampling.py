"""Draws from discrete distributions: bernoulli, multinomial, random permutations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import (
    DType,
    int64,
)
from chainrule.core.interpret import bind
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError, OpError
from chainrule.ops.create import check_device, checked_shape
from chainrule.ops.generator import Generator, draw_state
from chainrule.ops.philox import draw_uniform, draw_words
from chainrule.ops.promotion import floating
from chainrule.ops.random import random_mask

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["bernoulli", "multinomial", "randperm"]

_STATE = np.array([42, 3], np.int64)


class Bernoulli(Op):
    """y[i] = 1 with probability p[i], else 0."""

    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """All kinds of probabilities."""
        yield Sample(op(), (np.linspace(0, 1, 12).reshape(3, 4), _STATE), smooth=False)

    def type_rule(self, p: TensorType, state: TensorType) -> TensorType:
        """The type of p."""
        return p

    def reference(self, p: Array, state: Array) -> Array:
        """word < p · 2³²."""
        if not bool(((p >= 0) & (p <= 1)).all()):
            self.fail(
                "a probability is not between 0 and 1",
                cure="pass logits through sigmoid first",
                error=OpError,
            )
        words = draw_words(state, p.size).reshape(p.shape)
        return (words < p.astype(np.float64) * 2.0**32).astype(p.dtype)


class Permutation(Op):
    """y = 0, ..., n - 1 in random order.

    Attributes:
        n: how many.
    """

    n: int
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Some, one, none."""
        for n in (7, 1, 0):
            yield Sample(op(n), (_STATE,), smooth=False)

    def type_rule(self, state: TensorType) -> TensorType:
        """n integers."""
        return TensorType((self.n,), int64)

    def reference(self, state: Array) -> Array:
        """The order of n random 64-bit keys."""
        return np.argsort(draw_words(state, 2 * self.n).view(np.uint64), kind="stable")


class Multinomial(Op):
    """y = indices drawn from each row with probabilities in proportion to the row's weights.

    Attributes:
        num_samples: how many per row.
        replacement: whether an index can be drawn again.
    """

    num_samples: int
    replacement: bool
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """With and without replacement; a vector and a matrix of weights."""
        weights = np.linspace(0.1, 1, 6)
        for replacement in (False, True):
            yield Sample(op(3, replacement), (weights, _STATE), smooth=False)
            yield Sample(op(2, replacement), (weights.reshape(2, 3), _STATE), smooth=False)

    def type_rule(self, weights: TensorType, state: TensorType) -> TensorType:
        """`num_samples` indices for each row."""
        if weights.ndim not in (1, 2):
            self.fail(
                f"weights are a vector or a matrix, not {weights}",
                cure="reshape them to (rows, weights)",
                types=[weights],
            )
        if not self.replacement and self.num_samples > weights.shape[-1]:
            self.fail(
                f"can't draw {self.num_samples} of {weights.shape[-1]} without replacement",
                cure="draw fewer, or pass replacement=True",
                types=[weights],
            )
        return TensorType((*weights.shape[:-1], self.num_samples), int64)

    def reference(self, weights: Array, state: Array) -> Array:
        """The inverse of the cumulative sum; without replacement, a race of exponentials.

        Index i arrives at time -ln(u) / w[i]: the first ones to arrive are a weighted draw.
        """
        rows = np.atleast_2d(weights).astype(np.float64)
        sums = rows.sum(axis=1)
        if not (np.isfinite(rows).all() and (rows >= 0).all() and (sums > 0).all()):
            self.fail(
                "weights must be finite, none negative, and not all zero",
                cure="clamp them at zero; for logits, take softmax first",
                error=OpError,
            )
        shape = (*weights.shape[:-1], self.num_samples)
        if self.replacement:
            count = rows.shape[0] * self.num_samples
            u = draw_uniform(state, count, np.dtype(np.float64)).reshape(rows.shape[0], -1)
            sums = np.cumsum(rows, axis=1)
            found = np.empty(u.shape, np.int64)
            for row, each, out in zip(sums, u, found):
                out[:] = np.searchsorted(row, each * row[-1], side="right")
            return found.reshape(shape)
        if ((rows > 0).sum(axis=1) < self.num_samples).any():
            self.fail(
                "fewer weights above zero than draws without replacement",
                cure="draw fewer, or pass replacement=True",
                error=OpError,
            )
        u = draw_uniform(state, rows.size, np.dtype(np.float64)).reshape(rows.shape)
        with np.errstate(divide="ignore"):
            arrival = -np.log1p(-u) / rows
        arrival[rows == 0] = np.inf
        return np.argsort(arrival, axis=1, kind="stable")[:, : self.num_samples].reshape(shape)


def randperm(
    n: int,
    *,
    dtype: DType | None = None,
    generator: Generator | None = None,
    device: object = None,
) -> Tensor:
    """The integers 0, ..., n - 1 in random order.

    >>> import chainrule
    >>> chainrule.randperm(5).sort().values
    tensor([0, 1, 2, 3, 4])
    """
    check_device(device)
    (count,) = checked_shape("randperm", (n,))
    order = bind(Permutation(count), draw_state(2 * count, generator))
    return order if dtype is None else order.to(dtype)


def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """1 with the probability that each element of `input` says, else 0, in its dtype.

    With `p`, that probability is used everywhere and only the shape and dtype of `input` matter.

    Raises:
        DTypeError: the probabilities are integers or bools.
        OpError: a probability is not between 0 and 1.

    >>> import chainrule
    >>> chainrule.bernoulli(chainrule.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    if p is not None:
        return random_mask(input.value.shape, _probability(p), generator).to(input.dtype)
    if not input.dtype.is_floating_point:
        raise DTypeError(
            f"bernoulli: probabilities are floats, not {input.type}",
            cure="convert them with .float(), or pass p=",
            location=str(user_location() or ""),
        )
    return bind(Bernoulli(), input.detach(), draw_state(input.numel(), generator))


def _probability(p: float) -> float:
    if 0 <= p <= 1:
        return float(p)
    raise OpError(
        f"bernoulli: p={p} is not a probability",
        cure="pass a number from 0 to 1",
        location=str(user_location() or ""),
    )


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with probabilities in proportion to the weights in each row.

    Args:
        input: weights, a vector or a matrix; they need not sum to one.
        num_samples: how many indices per row.
        replacement: whether an index can be drawn again.

    Raises:
        ShapeError: more draws than weights, without replacement.
        OpError: a weight is negative or not finite, or too few are above zero.

    >>> import chainrule
    >>> chainrule.multinomial(chainrule.tensor([[0.0, 3.0], [2.0, 0.0]]), 2, replacement=True)
    tensor([[1, 1],
            [0, 0]])
    """
    weights = floating(input).detach()
    rows = math.prod(weights.value.shape[:-1])
    count = rows * num_samples if replacement else weights.numel()
    op = Multinomial(num_samples, replacement)
    op.type_rule(weights.type, TensorType((2,), int64))
    return bind(op, weights, draw_state(2 * count, generator))
