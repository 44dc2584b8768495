"""Copies of a tensor's elements in another order, or several times over: flip, roll, repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import all_dims, one_dim
from chainrule.core.base import is_tensor
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind, lift, read
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError
from chainrule.ops.indexing import index_select
from chainrule.ops.movement import shape_of
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile"]


class Flip(LinearOp):
    r"""y = x with some dimensions reversed.    x_bar = y_bar, reversed back

    Attributes:
        dims: which.
    """

    dims: tuple[int, ...]

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """One dimension, two, none."""
        for shape, dims in (((4,), (0,)), ((2, 3), (0, 1)), ((2, 3), (1,)), ((), ()), ((0,), (0,))):
            yield Sample(op(dims), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same type."""
        return x

    def reference(self, x: Array) -> Array:
        """`np.flip`, copied."""
        return np.flip(x, self.dims).copy()

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The same reversal."""
        return (bind(self, y_bar),)


def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the elements along `dims` in reverse order.

    >>> import chainrule
    >>> chainrule.arange(3).flip(0)
    tensor([2, 1, 0])
    """
    listed = shape_of(dims)
    return bind(Flip(all_dims("flip", listed, input.ndim) if listed else ()), input)


def fliplr(input: Tensor) -> Tensor:
    """A copy with the second dimension reversed.

    >>> import chainrule
    >>> chainrule.fliplr(chainrule.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """A copy with the first dimension reversed.

    >>> import chainrule
    >>> chainrule.flipud(chainrule.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    return flip(input, 0)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned by k quarter turns, from dimension `dims[0]` towards `dims[1]`.

    >>> import chainrule
    >>> chainrule.rot90(chainrule.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    first, second = (one_dim("rot90", dim, input.ndim) for dim in dims)
    if first == second:
        refuse(
            "rot90",
            f"dims {tuple(dims)} are the same dimension of {input.type}",
            cure="name two different ones",
            error=DimensionError,
            types=[input.type],
        )
    turns = k % 4
    if turns == 0:
        return input.clone()
    if turns == 2:
        return flip(input, first, second)
    return flip(input, second if turns == 1 else first).transpose(first, second)


class Roll(LinearOp):
    r"""y[i + shift] = x[i], around the end.    x_bar = y_bar, shifted back

    Attributes:
        shifts: how far, for each of `dims`.
        dims: along which dimensions.
    """

    shifts: tuple[int, ...]
    dims: tuple[int, ...]

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Forwards, backwards, more than once around, nothing."""
        for shape, shifts, dims in (
            ((4,), (1,), (0,)),
            ((2, 3), (-1, 5), (0, 1)),
            ((0, 3), (1,), (0,)),
        ):
            yield Sample(op(shifts, dims), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same type."""
        return x

    def reference(self, x: Array) -> Array:
        """`np.roll`."""
        return np.roll(x, self.shifts, self.dims)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """Shifted back."""
        return (bind(Roll(tuple(-shift for shift in self.shifts), self.dims), y_bar),)


def roll(
    input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Tensor:
    """A copy with the elements moved on by `shifts` along `dims`, around the end.

    Without `dims` the tensor is rolled as if it were flat.

    >>> import chainrule
    >>> chainrule.arange(4).roll(1)
    tensor([3, 0, 1, 2])
    """
    steps = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None:
        if len(steps) != 1:
            Roll(steps, ()).fail("without dims there is one shift", cure="pass dims=")
        return bind(Roll(steps, (0,)), input.reshape(-1)).reshape(input.shape)
    listed = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(steps) != len(listed):
        Roll(steps, listed).fail(
            f"{len(steps)} shifts for {len(listed)} dims", cure="give one shift per dimension"
        )
    return bind(Roll(steps, tuple(one_dim("roll", dim, input.ndim) for dim in listed)), input)


class Repeat(LinearOp):
    r"""y = x laid side by side.    x_bar = the sum of y_bar over the copies

    Attributes:
        repeats: how often along each dimension of the result; as many as x has, or more.
    """

    repeats: tuple[int, ...]

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """More dimensions, as many, none, and no copies at all."""
        for shape, repeats in (
            ((2,), (3,)),
            ((2, 3), (2, 1)),
            ((3,), (2, 2)),
            ((), (2,)),
            ((), ()),
            ((2,), (0,)),
        ):
            yield Sample(op(repeats), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """Sizes times repeats."""
        if len(self.repeats) < x.ndim or any(each < 0 for each in self.repeats):
            self.fail(
                f"{list(self.repeats)} does not say how often to repeat each dimension of {x}",
                cure=f"give at least {x.ndim} counts, none of them negative",
                types=[x],
            )
        return TensorType(
            tuple(size * each for size, each in zip(self._padded(x.shape), self.repeats)), x.dtype
        )

    def _padded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,) * (len(self.repeats) - len(shape)) + shape

    def reference(self, x: Array) -> Array:
        """`np.tile`."""
        return np.tile(x, self.repeats)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """Summed over the copies."""
        shape = self._padded(x.shape)
        split = tuple(each for pair in zip(self.repeats, shape) for each in pair)
        copies = tuple(range(0, len(split), 2))
        x_bar = y_bar.reshape(split).sum(copies) if copies else y_bar
        return (x_bar.reshape(x.shape),)


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The tensor copied `repeats` times along each dimension, with new ones in front if need be.

    >>> import chainrule
    >>> chainrule.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    op = Repeat(tuple(shape_of(repeats)))
    op.type_rule(input.type)  # NumPy would take too few
    return bind(op, input)


def tile(input: Tensor, *dims: Any) -> Tensor:
    """As `repeat`; counts that are missing in front are 1.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2]]).tile(2)
    tensor([[1, 2, 1, 2]])
    """
    counts = tuple(shape_of(dims))
    return bind(Repeat((1,) * (input.ndim - len(counts)) + counts), input)


def repeat_interleave(
    input: Tensor,
    repeats: int | Tensor,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Each element (or slice along `dim`) repeated in place: [1, 2] becomes [1, 1, 2, 2].

    Args:
        repeats: how often; a tensor says it for each slice. Such a tensor is read now: the shape
            of the result depends on it.
        dim: along which dimension; None takes the tensor as flat.
        output_size: the size of the result along `dim`, where the caller knows it; not needed.

    >>> import chainrule
    >>> chainrule.tensor([1, 2, 3]).repeat_interleave(chainrule.tensor([2, 0, 1]))
    tensor([1, 1, 3])
    """
    if dim is None:
        return repeat_interleave(input.reshape(-1), repeats, 0)
    at = one_dim("repeat_interleave", dim, input.ndim)
    shape = input.shape
    if is_tensor(repeats):
        counts = read(repeats)
        if counts.ndim > 1 or counts.size not in (1, shape[at]) or (counts < 0).any():
            refuse(
                "repeat_interleave",
                f"repeats {repeats.type} do not fit dimension {at} of {input.type}",
                cure="give one count of 0 or more per slice",
                types=[input.type, repeats.type],
            )
        index = np.repeat(np.arange(shape[at]), counts)
        return index_select(input, at, lift(index))
    count: Any = repeats
    if count < 0:
        refuse("repeat_interleave", "a count can't be negative", cure="give 0 or more")
    wide = input.unsqueeze(at + 1).expand(*shape[: at + 1], count, *shape[at + 1 :])
    flat = (*shape[:at], shape[at] * count, *shape[at + 1 :])
    return wide.clone().reshape(flat)
