"""Padding: a border of one number, of the mirrored inside, of the edge, or of the other side.

Behind `nn.functional.pad`; here, because a border is movement and knows nothing of layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.interpret import bind, lift
from chainrule.core.op import Array, Bars, Needs, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import OpError
from chainrule.ops.advanced import Index
from chainrule.ops.slicing import Slice, narrow_to

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["pad"]


class Pad(Op):
    r"""y = x with a border of one number.    x_bar = the inside of y_bar

    Attributes:
        borders: per dimension, how wide before and after it.
        value: the number.
    """

    borders: tuple[tuple[int, int], ...]
    value: float = 0

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A vector, a matrix with borders on some sides, of zeros and of another number."""
        for shape, borders, value in (
            ((3,), ((1, 2),), 0),
            ((2, 3), ((0, 0), (2, 0)), 1.5),
            ((2, 2), ((1, 1), (0, 3)), 0),
            ((), (), 0),
        ):
            yield Sample(op(borders, value), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """Each size with its borders."""
        shape = tuple(before + size + after for size, (before, after) in zip(x.shape, self.borders))
        return TensorType(shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """Written into the inside of a full array."""
        y = np.full(
            [before + size + after for size, (before, after) in zip(x.shape, self.borders)],
            self.value,
            x.dtype,
        )
        y[
            tuple(slice(before, before + size) for size, (before, _) in zip(x.shape, self.borders))
        ] = x
        return y

    def vjp(self, y_bar: Tensor, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """The inside of the cotangent."""
        (x,) = inputs
        inside = tuple(
            (before, before + size, 1) for size, (before, _) in zip(x.shape, self.borders)
        )
        return (bind(Slice(inside), y_bar),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: Bars) -> Any:
        """The tangent with a border of zeros."""
        (x_dot,) = tangents
        return None if x_dot is None else bind(Pad(self.borders), x_dot)


def _sources(mode: str, size: int, before: int, after: int) -> Array:
    """Where each element of a padded dimension comes from."""
    places = np.arange(-before, size + after)
    if mode == "replicate":
        return places.clip(0, size - 1)
    if mode == "circular":
        return places % size
    return size - 1 - np.abs(size - 1 - np.abs(places))  # reflect: the edge is not repeated


def _borders(input: Tensor, pad: Sequence[int]) -> list[tuple[int, int]]:
    """Per dimension; `pad` lists them in pairs from the last dimension backwards."""
    if len(pad) % 2 or len(pad) // 2 > input.ndim:
        Pad(()).fail(
            f"{list(pad)} does not fit {input.type}",
            cure="give (before, after) for the last dimension, then for the one before it, ...",
            types=[input.type],
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (input.ndim - len(pairs)) + pairs[::-1]


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """The tensor with a border.

    Args:
        pad: how wide it is before and after, from the last dimension backwards:
            (left, right, top, bottom, ...). Negative widths cut off instead.
        mode: `"constant"`, `"reflect"` (mirrored at the edge, which is not repeated),
            `"replicate"` (the edge repeated) or `"circular"` (the other side).
        value: the number, for `"constant"`; 0 unless given.

    >>> import chainrule
    >>> from chainrule.ops.padding import pad
    >>> pad(chainrule.tensor([1, 2, 3]), (2, 1), mode="reflect")
    tensor([3, 2, 1, 2, 3, 2])
    """
    borders = _borders(input, pad)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        Pad(()).fail(
            f"the mode {mode!r} is unknown",
            cure='use "constant", "reflect", "replicate" or "circular"',
            error=OpError,
        )
    for dim, (before, after) in enumerate(borders):
        size = input.shape[dim]
        if before < 0 or after < 0:
            start, stop = max(0, -before), size - max(0, -after)
            if start > stop:
                Pad(()).fail(
                    f"cuts off more than there is of {input.type}",
                    cure=f"dimension {dim} has {size} to cut off",
                    types=[input.type],
                )
            input = narrow_to(input, dim, start, stop)
    grown = tuple((max(0, before), max(0, after)) for before, after in borders)
    if mode == "constant":
        return bind(Pad(grown, 0 if value is None else value), input)
    for dim, (before, after) in enumerate(grown):
        size = input.shape[dim]
        limit = {"reflect": size - 1, "circular": size}.get(mode, max(before, after))
        if before > limit or after > limit or (before + after and not size):
            Pad(grown).fail(
                f"a {mode} border of {before} and {after} is wider than dimension {dim} of "
                f"{input.type} allows",
                cure=f"it can be at most {limit}",
                types=[input.type],
            )
        if before or after:
            index = lift(_sources(mode, size, before, after))
            input = bind(Index((dim,), dim), input, index)
    return input
