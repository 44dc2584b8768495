"""Random tensors: rand, randn, randint, randperm, bernoulli, multinomial and kin.

Every op here is pure: what it draws is a function of a *state*, an int64 tensor (seed, offset) that
comes in as its input. A `Generator` holds such a state and moves it on; it does so with ops, so a
traced training step takes the generator along as state and draws fresh numbers each time it runs.
The numbers themselves are `philox.py`'s.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import (
    DType,
    as_dtype,
    bool_,
    float64,
    get_default_dtype,
    int64,
)
from chainrule.core.interpret import bind, lift, read
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError, ShapeError
from chainrule.ops.movement import clone, shape_of
from chainrule.ops.philox import GROUP, draw_normal, draw_uniform, draw_words
from chainrule.ops.promotion import cast, floating, promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "initial_seed",
    "manual_seed",
    "multinomial",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "random_mask",
    "randperm",
    "seed",
]

_STATE = np.array([42, 3], np.int64)


# ---- the ops: what is drawn, from a state ----------------------------------------------------


@dataclass(frozen=True)
class Draw(Op, family=True):
    """Numbers that are a function of a state (seed, offset).

    Attributes:
        shape: the shape of the result.
        dtype: the dtype of the result.
    """

    shape: tuple[int, ...]
    dtype: DType
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A matrix, a scalar, nothing."""
        for shape in ((3, 4), (), (0, 2)):
            yield Sample(op(shape, float64), (_STATE,), smooth=False)

    def type_rule(self, state: TensorType, *inputs: TensorType) -> TensorType:
        """The shape and dtype asked for."""
        return TensorType(self.shape, self.dtype)


class Uniform(Draw):
    """y ~ U[0, 1)."""

    def reference(self, state: Array) -> Array:
        """One word per number; two for float64."""
        numbers = draw_uniform(state, math.prod(self.shape), self.dtype.numpy)
        return numbers.reshape(self.shape)


class Normal(Draw):
    """y ~ N(0, 1)."""

    def reference(self, state: Array) -> Array:
        """One word per number; two for float64."""
        numbers = draw_normal(state, math.prod(self.shape), self.dtype.numpy)
        return numbers.reshape(self.shape)


@dataclass(frozen=True)
class Integers(Draw):
    """y uniform over low, ..., high - 1.

    Attributes:
        low: the smallest.
        high: the bound, not reached.
    """

    low: int
    high: int

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A small range, and one that takes more than 32 bits."""
        yield Sample(op((3, 4), int64, -2, 5), (_STATE,), smooth=False)
        yield Sample(op((5,), int64, 0, 1 << 40), (_STATE,), smooth=False)

    def reference(self, state: Array) -> Array:
        """⌊range · u / 2⁶⁴⌋ of 64 random bits u, and so within range · 2⁻⁶⁴ of uniform.

        A range above 2³² takes the remainder instead, as PyTorch does.
        """
        count, width = math.prod(self.shape), self.high - self.low
        words = draw_words(state, 2 * count)
        if width <= 1 << 32:
            low, high = words[0::2].astype(np.uint64), words[1::2].astype(np.uint64)
            span, half = np.uint64(width), np.uint64(32)
            drawn = (high * span + (low * span >> half)) >> half
        else:
            drawn = words.view(np.uint64) % np.uint64(width)
        numbers = drawn.astype(np.int64) + np.int64(self.low)
        return numbers.astype(self.dtype.numpy).reshape(self.shape)


@dataclass(frozen=True)
class Mask(Op):
    """y = true with one probability, everywhere: what dropout keeps.

    Attributes:
        shape: the shape of the result.
        probability: of being true, exact to 2⁻³².
    """

    shape: tuple[int, ...]
    probability: float
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Always, never, sometimes."""
        for probability in (0.0, 0.3, 1.0):
            yield Sample(op((4, 5), probability), (_STATE,), smooth=False)

    def type_rule(self, state: TensorType) -> TensorType:
        """Bools of the shape."""
        return TensorType(self.shape, bool_)

    def reference(self, state: Array) -> Array:
        """word < probability · 2³², in integers."""
        threshold = round(self.probability * 2**32)
        if threshold >= 2**32:
            return np.ones(self.shape, np.bool_)
        words = draw_words(state, math.prod(self.shape))
        return (words < np.uint32(threshold)).reshape(self.shape)


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
                error=DistributionError,
            )
        words = draw_words(state, p.size).reshape(p.shape)
        return (words < p.astype(np.float64) * 2.0**32).astype(p.dtype)


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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
            self.fail(f"weights are a vector or a matrix, not {weights}", types=[weights])
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
                error=DistributionError,
            )
        shape = (*weights.shape[:-1], self.num_samples)
        if self.replacement:
            count = rows.shape[0] * self.num_samples
            u = draw_uniform(state, count, np.dtype(np.float64)).reshape(rows.shape[0], -1)
            sums = np.cumsum(rows, axis=1)
            found = [
                np.searchsorted(row, each * row[-1], side="right") for row, each in zip(sums, u)
            ]
            return np.array(found, np.int64).reshape(shape)
        if ((rows > 0).sum(axis=1) < self.num_samples).any():
            self.fail(
                "fewer weights above zero than draws without replacement",
                cure="draw fewer, or pass replacement=True",
                error=DistributionError,
            )
        u = draw_uniform(state, rows.size, np.dtype(np.float64)).reshape(rows.shape)
        with np.errstate(divide="ignore"):
            arrival = -np.log1p(-u) / rows
        arrival[rows == 0] = np.inf
        return np.argsort(arrival, axis=1, kind="stable")[:, : self.num_samples].reshape(shape)


@dataclass(frozen=True)
class Advance(Op):
    """y = the state after a draw: (seed, offset + groups).

    Attributes:
        groups: how many groups of 64 words were drawn.
    """

    groups: int
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A few groups on."""
        yield Sample(op(5), (_STATE,), smooth=False)

    def type_rule(self, state: TensorType) -> TensorType:
        """The state's type."""
        return state

    def reference(self, state: Array) -> Array:
        """The second number grows."""
        return state + np.array([0, self.groups], np.int64)


# ---- generators: who holds a state, and moves it on ------------------------------------------

_lock = threading.Lock()


class Generator:
    """A stream of random numbers: a seed, and how far it has been read.

    >>> import chainrule
    >>> one, same = chainrule.Generator().manual_seed(7), chainrule.Generator().manual_seed(7)
    >>> a, b = chainrule.rand(3, generator=one), chainrule.rand(3, generator=same)
    >>> bool((a == b).all())
    True

    Args:
        device: `"cpu"`, the only one there is.
    """

    def __init__(self, device: str = "cpu") -> None:
        check_device(device)
        self.device = "cpu"
        self._seed = DEFAULT_SEED
        self._state: Tensor | None = None

    @property
    def state(self) -> Tensor:
        """The state itself, an int64 tensor (seed, offset); draws write to it."""
        if self._state is None:
            self._state = lift(np.array([_signed(self._seed), 0], np.int64))
        return self._state

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of a seed; any integer of 64 bits, signed or not."""
        if not -(1 << 63) <= int(seed) < 1 << 64:
            raise DTypeError(
                f"manual_seed: {seed} does not fit into 64 bits",
                cure="pass an integer from -2**63 to 2**64 - 1",
                location=str(user_location() or ""),
            )
        self._seed = int(seed) % (1 << 64)
        self.state.put_(lift(np.array([_signed(self._seed), 0], np.int64)), "manual_seed")
        return self

    def seed(self) -> int:
        """Start the stream of a seed that nobody knows, from the system; return it."""
        fresh = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(fresh)
        return fresh

    def initial_seed(self) -> int:
        """The seed of the stream."""
        return int(read(self.state)[0]) % (1 << 64)

    def get_state(self) -> Tensor:
        """A copy of the state, int64 (seed, offset): enough to go on from here another day."""
        return clone(self.state)

    def set_state(self, new_state: Tensor) -> None:
        """Go on from a state that `get_state` gave."""
        if new_state.shape != (2,) or new_state.dtype is not int64:
            raise ShapeError(
                f"set_state: a state is i64[2], not {new_state.type}",
                cure="pass what get_state() returned",
                location=str(user_location() or ""),
            )
        self.state.put_(new_state, "set_state")


def check_device(device: object) -> None:
    """Accept None and `"cpu"`; anything else is a `ConfigError`."""
    if device is None or str(device) in ("cpu", "cpu:0"):
        return
    raise ConfigError(
        f"device={device!r}: tensors live in the computer's main memory only",
        cure='leave device out, or pass "cpu"',
        location=str(user_location() or ""),
    )
