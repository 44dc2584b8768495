"""Tensors taken apart, into views: split, chunk, tensor_split, unbind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule.core.axes import one_dim
from chainrule.errors import DimensionError
from chainrule.ops.refusal import refuse
from chainrule.ops.slicing import narrow_to, pick

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["chunk", "split", "tensor_split", "unbind"]


def _cut(input: Tensor, dim: int, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    pieces: list[Tensor] = []
    start = 0
    for size in sizes:
        pieces.append(narrow_to(input, dim, start, start + size))
        start += size
    return tuple(pieces)


def split(
    input: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Pieces of one size (the last may be smaller), or of the sizes given, as views.

    >>> import chainrule
    >>> [piece.tolist() for piece in chainrule.arange(5).split(2)]
    [[0, 1], [2, 3], [4]]
    """
    at = one_dim("split", dim, input.ndim)
    length = input.shape[at] if input.ndim else 0
    given = split_size_or_sections
    if isinstance(given, int):
        if input.ndim == 0 or given < 0 or (given == 0 and length):
            refuse(
                "split",
                f"{input.type} can't be cut into pieces of {given}",
                cure="give a size of at least 1",
                types=[input.type],
            )
        count = max(1, -(-length // given)) if given else 1
        return _cut(input, at, [min(given, length - i * given) for i in range(count)])
    if sum(given) != length or any(size < 0 for size in given):
        refuse(
            "split",
            f"the sizes {list(given)} do not add up to {length}, the size of dimension "
            f"{at} of {input.type}",
            cure="give sizes that do",
            types=[input.type],
        )
    return _cut(input, at, given)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size, of which the last may be smaller, as views.

    >>> import chainrule
    >>> [piece.tolist() for piece in chainrule.arange(5).chunk(4)]  # 3, of at most ⌈5 / 4⌉
    [[0, 1], [2, 3], [4]]
    """
    at = one_dim("chunk", dim, input.ndim)
    if chunks < 1 or input.ndim == 0:
        refuse(
            "chunk",
            f"{input.type} can't be cut into {chunks} chunks",
            cure="ask for at least 1, of a tensor with dimensions",
            types=[input.type],
        )
    length = input.shape[at]
    if length == 0:
        return _cut(input, at, [0] * chunks)
    return split(input, -(-length // chunks), at)


def tensor_split(
    input: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """As many pieces as asked for, sizes differing by at most one; or cut at the indices given.

    >>> import chainrule
    >>> [piece.tolist() for piece in chainrule.arange(5).tensor_split(4)]
    [[0, 1], [2], [3], [4]]
    """
    at = one_dim("tensor_split", dim, input.ndim)
    given = indices_or_sections
    if input.ndim == 0 or (isinstance(given, int) and given < 1):
        refuse(
            "tensor_split",
            f"{input.type} can't be cut into {given}",
            cure="ask for at least 1, of a tensor with dimensions",
            types=[input.type],
        )
    length = input.shape[at]
    if isinstance(given, int):
        size, more = divmod(length, given)
        return _cut(input, at, [size + 1] * more + [size] * (given - more))
    bounds = [slice(None, each).indices(length)[1] for each in given]
    return tuple(
        narrow_to(input, at, start, max(start, stop))
        for start, stop in zip([0, *bounds], [*bounds, length])
    )


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along a dimension, which goes, as views.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]]).unbind(1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    at = one_dim("unbind", dim, input.ndim)
    if input.ndim == 0:
        refuse(
            "unbind",
            "a scalar has no slices",
            cure="reshape it to (1,) first",
            error=DimensionError,
            types=[input.type],
        )
    return tuple([pick(input, at, index) for index in range(input.shape[at])])
