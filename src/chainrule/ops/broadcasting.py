"""Broadcasting, asked for by name: a tensor seen as a larger one, without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.ops.movement import shape_of
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["broadcast_tensors", "broadcast_to", "expand", "expand_as"]


class Expand(LinearOp):
    r"""y = x repeated along its dimensions of size 1, and along new ones in front, without a copy.

    x_bar = y_bar summed over them.

    Attributes:
        shape: the shape to broadcast to.
    """

    shape: tuple[int, ...]
    aliases = True

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Inner and new dimensions, and none at all."""
        for shape, target in (((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 2)), ((2,), (2,))):
            yield Sample(op(target), (spread(shape, -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """`shape`, if x broadcasts to it."""
        extra = len(self.shape) - x.ndim
        if extra < 0 or any(
            given not in (1, size) for given, size in zip(x.shape, self.shape[extra:], strict=True)
        ):
            self.fail(
                f"{x} can't be expanded to {list(self.shape)}",
                cure="only dimensions of size 1, and new ones in front, can be expanded",
                types=[x],
            )
        return TensorType(self.shape, x.dtype)

    def reference(self, x: Array) -> Array:
        """`np.broadcast_to`: a view with stride 0."""
        return np.broadcast_to(x, self.shape)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent summed over what was repeated."""
        return (y_bar.sum_to_size(x.shape),)


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Broadcast to a larger shape without a copy; -1 keeps a size.

    Raises:
        ShapeError: a size other than 1 would change, or -1 stands for a new dimension.

    >>> import chainrule
    >>> chainrule.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    target = shape_of(sizes)
    if input.value.shape == target:
        return input
    extra = len(target) - input.ndim
    shape = tuple(
        [
            input.shape[axis - extra] if size == -1 and axis >= extra >= 0 else size
            for axis, size in enumerate(target)
        ]
    )
    if shape and min(shape) < 0:
        refuse(
            "expand",
            f"{input.type} can't be expanded to {list(target)}",
            cure="-1 keeps the size of a dimension there is; a new one in front needs its own",
            types=[input.type],
        )
    return bind(Expand(shape), input)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Broadcast to the shape of `other` without a copy.

    >>> import chainrule
    >>> chainrule.tensor([1, 2]).expand_as(chainrule.zeros(3, 2)).shape
    (3, 2)
    """
    return expand(input, other.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Broadcast to a larger shape without a copy.

    >>> import chainrule
    >>> chainrule.broadcast_to(chainrule.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, size)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, each broadcast to the shape that all fit; no copies.

    Raises:
        ShapeError: no shape fits all.

    >>> import chainrule
    >>> a, b = chainrule.broadcast_tensors(chainrule.zeros(3, 1), chainrule.zeros(2))
    >>> a.shape, b.shape
    ((3, 2), (3, 2))
    """
    many = len(tensors) == 1 and isinstance(tensors[0], list | tuple)
    listed: tuple[Tensor, ...] = tuple(tensors[0]) if many else tensors
    shape = broadcast_shapes_or_none([each.shape for each in listed])
    if shape is None:
        types = [each.type for each in listed]
        refuse(
            "broadcast_tensors",
            "shapes do not broadcast: " + " and ".join(map(str, types)),
            cure="aligned at the right, two sizes must be equal or one of them 1",
            types=types,
        )
    return tuple([expand(each, shape) for each in listed])
