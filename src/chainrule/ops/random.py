"""Random tensors: rand, randn, randint, normal, and the mask of dropout.

Every op here is pure: what it draws is a function of a *state*, an int64 tensor (seed, offset) that
comes in as its input. `generator.py` has who holds the state and moves it on; the numbers
themselves are `philox.py`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.base import is_tensor
from chainrule.core.dtypes import (
    DType,
    as_dtype,
    bool_,
    float64,
    get_default_dtype,
    int64,
)
from chainrule.core.interpret import bind
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import DTypeError, OpError, ShapeError
from chainrule.ops.create import check_device, checked_shape
from chainrule.ops.generator import Generator, draw_state
from chainrule.ops.movement import shape_of
from chainrule.ops.philox import draw_normal, draw_uniform, draw_words
from chainrule.ops.promotion import result_type

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
]

_STATE = np.array([42, 3], np.int64)


# ---- the ops: what is drawn, from a state ----------------------------------------------------


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


# ---- the functions ---------------------------------------------------------------------------


def words_for(count: int, dtype: DType) -> int:
    """How many 32-bit words a draw of `count` floats takes."""
    return 2 * count if dtype.itemsize == 8 else count


def random_mask(
    shape: tuple[int, ...], probability: float, generator: Generator | None = None
) -> Tensor:
    """Bools, each true with the same probability: what dropout keeps."""
    state = draw_state(math.prod(shape), generator)
    return bind(Mask(shape, float(probability)), state)


def _draw(
    op: type[Draw],
    size: Any,
    dtype: DType | None,
    requires_grad: bool,
    generator: Generator | None,
    device: object,
) -> Tensor:
    check_device(device)
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    shape = checked_shape(op.name, shape_of(size))
    if not kind.is_floating_point:
        raise DTypeError(
            f"{op.name}: {kind} holds no fractions",
            cure="draw floats, or use randint",
            location=str(user_location() or ""),
        )
    y = bind(op(shape, kind), draw_state(words_for(math.prod(shape), kind), generator))
    return y.requires_grad_() if requires_grad else y


def rand(
    *size: Any,
    dtype: DType | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: object = None,
) -> Tensor:
    """Floats uniform over [0, 1).

    >>> import chainrule
    >>> x = chainrule.rand(2, 3)
    >>> x.shape, bool(((x >= 0) & (x < 1)).all())
    ((2, 3), True)
    """
    return _draw(Uniform, size, dtype, requires_grad, generator, device)


def randn(
    *size: Any,
    dtype: DType | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: object = None,
) -> Tensor:
    """Floats from the standard normal distribution, mean 0 and variance 1.

    >>> import chainrule
    >>> x = chainrule.randn(10_000)
    >>> bool(x.mean().abs() < 0.1), bool((x.std() - 1).abs() < 0.1)
    (True, True)
    """
    return _draw(Normal, size, dtype, requires_grad, generator, device)


def rand_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """`rand` in the shape and dtype of another tensor.

    >>> import chainrule
    >>> chainrule.rand_like(chainrule.zeros(2, 3, dtype=chainrule.float64)).type
    f64[2,3]
    """
    kind = input.dtype if dtype is None else dtype
    return _draw(Uniform, (input.shape,), kind, requires_grad, generator, None)


def randn_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """`randn` in the shape and dtype of another tensor.

    >>> import chainrule
    >>> chainrule.randn_like(chainrule.zeros(2, 3, dtype=chainrule.float16)).type
    f16[2,3]
    """
    kind = input.dtype if dtype is None else dtype
    return _draw(Normal, (input.shape,), kind, requires_grad, generator, None)


def integers(
    shape: tuple[int, ...], low: int, high: int, dtype: DType, generator: Generator | None
) -> Tensor:
    """Integers uniform over low, ..., high - 1, checked to fit."""
    if not -(1 << 63) <= low < high <= 1 << 63:
        raise ShapeError(
            f"randint: no 64-bit integers from {low} up to, not including, {high}",
            cure="high must be greater than low",
            location=str(user_location() or ""),
        )
    op = Integers(shape, dtype, low, high)
    return bind(op, draw_state(2 * math.prod(shape), generator))


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: object = None,
) -> Tensor:
    """Integers uniform over low, ..., high - 1; `randint(high, size)` starts at 0.

    >>> import chainrule
    >>> chainrule.randint(3, (100,)).unique()
    tensor([0, 1, 2])
    """
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    if size is None or isinstance(size, int):
        raise ShapeError(
            "randint: the size is missing",
            cure="pass it as a tuple: randint(high, (2, 3)) or randint(low, high, (2, 3))",
            location=str(user_location() or ""),
        )
    kind = int64 if dtype is None else as_dtype(dtype)
    shape = checked_shape("randint", tuple(size))
    y = integers(shape, int(low), int(high), kind, generator)
    return y.requires_grad_() if requires_grad else y


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: DType | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """`randint` in the shape and dtype of another tensor.

    >>> import chainrule
    >>> chainrule.randint_like(chainrule.zeros(100), 3).unique()
    tensor([0., 1., 2.])
    """
    first, last = (0, low) if high is None else (low, high)
    kind = input.dtype if dtype is None else as_dtype(dtype)
    return integers(input.value.shape, int(first), int(last), kind, generator)


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    dtype: DType | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers: of the shape of `mean` and `std`, or of `size` where both are numbers.

    As in PyTorch, no gradient flows to mean or std; `mean + std * randn_like(mean)` has one.

    Raises:
        ShapeError: both are numbers, and there is no size.
        OpError: `std` is a negative number.

    >>> import chainrule
    >>> chainrule.normal(chainrule.tensor([0.0, 100.0]), 0.0)
    tensor([  0., 100.])
    """
    mu = mean.detach() if is_tensor(mean) else mean
    sigma = std.detach() if is_tensor(std) else std
    tensors = [each for each in (mu, sigma) if is_tensor(each)]
    if isinstance(std, int | float) and std < 0:
        raise OpError(
            f"normal: std={std} is negative",
            cure="a standard deviation is 0 or more",
            location=str(user_location() or ""),
        )
    if tensors:
        shape = broadcast_shapes_or_none([each.value.shape for each in tensors]) or ()
        kind = result_type(*tensors) if dtype is None else dtype
        return randn(shape, dtype=kind, generator=generator) * sigma + mu
    if size is None:
        raise ShapeError(
            "normal: the size is missing",
            cure="pass size=(...), or a tensor for mean or std",
            location=str(user_location() or ""),
        )
    return randn(*shape_of((size,)), dtype=dtype, generator=generator) * sigma + mu
