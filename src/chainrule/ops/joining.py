"""Tensors put together and taken apart: cat, stack, split, chunk, unbind, meshgrid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.base import is_tensor
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError, DTypeError
from chainrule.ops.promotion import promote
from chainrule.ops.slicing import narrow_to, pick

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "cartesian_prod",
    "cat",
    "chunk",
    "concat",
    "concatenate",
    "dstack",
    "hstack",
    "meshgrid",
    "split",
    "stack",
    "tensor_split",
    "unbind",
    "vstack",
]


class Joined(LinearOp, family=True):
    """Several tensors put together along one dimension.

    Attributes:
        dim: which, counted from the left.
    """

    dim: int


class Cat(Joined):
    r"""y = the inputs, end to end along a dimension they have.    x_bar = its part of y_bar"""

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """One, two and three inputs, one of them empty, along both ends."""
        for dim, shapes in (
            (0, ((2,), (3,))),
            (1, ((2, 1), (2, 3), (2, 2))),
            (0, ((2, 3), (0, 3))),
            (0, ((2, 2),)),
        ):
            yield Sample(op(dim), tuple(spread(s, -3, 3, seed=i) for i, s in enumerate(shapes)))

    def type_rule(self, *types: TensorType) -> TensorType:
        """The sizes along the dimension add up; the others agree."""
        first = types[0]

        def others(shape: tuple[int, ...]) -> tuple[int, ...]:
            return (*shape[: self.dim], *shape[self.dim + 1 :])

        for each in types[1:]:
            if each.ndim != first.ndim or others(each.shape) != others(first.shape):
                self.fail(
                    f"{first} and {each} differ in other dimensions than {self.dim}",
                    cure="all sizes but that one must agree",
                    types=types,
                )
        length = sum(each.shape[self.dim] for each in types)
        shape = (*first.shape[: self.dim], length, *first.shape[self.dim + 1 :])
        return TensorType(shape, first.dtype)

    def reference(self, *inputs: Array) -> Array:
        """`np.concatenate`."""
        return np.concatenate(inputs, self.dim)

    def transpose(self, y_bar: Tensor, *types: TensorType, needs: Needs) -> Bars:
        """Cut at the same places."""
        bars: list[Any] = []
        start = 0
        for each, need in zip(types, needs):
            stop = start + each.shape[self.dim]
            bars.append(narrow_to(y_bar, self.dim, start, stop) if need else None)
            start = stop
        return tuple(bars)


class Stack(Joined):
    r"""y = the inputs, along a new dimension.    x_bar = its slice of y_bar"""

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Scalars, vectors and matrices, in front, at the end, between."""
        for dim, shape, count in ((0, (), 3), (1, (2,), 2), (1, (2, 3), 2), (0, (2,), 1)):
            yield Sample(op(dim), tuple(spread(shape, -3, 3, seed=i) for i in range(count)))

    def type_rule(self, *types: TensorType) -> TensorType:
        """One more dimension, as long as there are inputs; they share one shape."""
        first = types[0]
        for each in types[1:]:
            if each.shape != first.shape:
                self.fail(
                    f"{first} and {each} differ in shape",
                    cure="stack takes equal shapes; cat joins along a dimension they have",
                    types=types,
                )
        shape = (*first.shape[: self.dim], len(types), *first.shape[self.dim :])
        return TensorType(shape, first.dtype)

    def reference(self, *inputs: Array) -> Array:
        """`np.stack`."""
        return np.stack(inputs, self.dim)

    def transpose(self, y_bar: Tensor, *types: TensorType, needs: Needs) -> Bars:
        """A slice for each."""
        return tuple(
            pick(y_bar, self.dim, index) if need else None for index, need in enumerate(needs)
        )


def _some(op: str, tensors: Any) -> tuple[Tensor, ...]:
    """The tensors of a list, promoted to one dtype; at least one."""
    listed: tuple[Any, ...] = tuple(tensors)
    if not listed:
        Cat(0).fail(f"{op}: there are no tensors", cure="pass a list of at least one")
    kinds = {each.value.dtype for each in listed if is_tensor(each)}
    if len(kinds) == 1 and all(is_tensor(each) for each in listed):
        return listed  # as nearly always, and promote looks at everything twice
    return promote(*listed)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, end to end along a dimension. An empty vector fits everywhere, as in PyTorch.

    >>> import chainrule
    >>> chainrule.cat([chainrule.tensor([1]), chainrule.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    listed = _some("cat", tensors)
    if any(each.ndim == 0 for each in listed):
        Cat(0).fail(
            "a scalar can't be concatenated",
            cure="use stack, or .reshape(1) it",
            types=[each.type for each in listed],
        )
    kept = tuple([each for each in listed if each.shape != (0,)]) or listed[:1]
    return bind(Cat(one_dim("cat", dim, kept[0].ndim)), *kept)


def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`cat` by another name."""
    return cat(tensors, dim)


def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`cat` by another name."""
    return cat(tensors, dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new dimension.

    >>> import chainrule
    >>> chainrule.stack([chainrule.tensor([1, 2]), chainrule.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    listed = _some("stack", tensors)
    return bind(Stack(one_dim("stack", dim, listed[0].ndim + 1)), *listed)


def _listed(tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    """`f(x, y)` and `f([x, y])` mean the same."""
    return tuple(tensors[0]) if len(tensors) == 1 and type(tensors[0]) in (list, tuple) else tensors


def atleast_1d(*tensors: Any) -> Any:
    """Scalars as vectors of one element; several tensors give a tuple."""

    def grown(x: Any) -> Any:
        return x.reshape(1) if x.ndim == 0 else x

    return _each(tensors, grown)


def atleast_2d(*tensors: Any) -> Any:
    """Scalars and vectors as matrices of one row; several tensors give a tuple."""

    def grown(x: Any) -> Any:
        return x.reshape(1, -1) if x.ndim < 2 else x

    return _each(tensors, grown)


def atleast_3d(*tensors: Any) -> Any:
    """With a dimension in front and one behind where there are fewer than three."""

    def grown(x: Any) -> Any:
        wide = x.reshape(1, -1) if x.ndim < 2 else x
        return wide.unsqueeze(-1) if wide.ndim == 2 else wide

    return _each(tensors, grown)


def _each(tensors: tuple[Any, ...], grown: Callable[[Any], Any]) -> Any:
    results = tuple([grown(each) for each in _listed(tensors)])
    return results[0] if len(tensors) == 1 and type(tensors[0]) not in (list, tuple) else results


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along the second dimension, vectors along their only one."""
    listed = [atleast_1d(each) for each in tensors]
    return cat(listed, 0 if listed and listed[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One above the other: along the first dimension, vectors as rows."""
    return cat([atleast_2d(each) for each in tensors], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: along the third dimension."""
    return cat([atleast_3d(each) for each in tensors], 2)


# ---- taken apart -----------------------------------------------------------------------------


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
            Cat(at).fail(
                f"split: {input.type} can't be cut into pieces of {given}",
                cure="give a size of at least 1",
                types=[input.type],
            )
        count = max(1, -(-length // given)) if given else 1
        return _cut(input, at, [min(given, length - i * given) for i in range(count)])
    if sum(given) != length or any(size < 0 for size in given):
        Cat(at).fail(
            f"split: the sizes {list(given)} do not add up to {length}, the size of dimension "
            f"{at} of {input.type}",
            cure="give sizes that do",
            types=[input.type],
        )
    return _cut(input, at, given)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size, of which the last may be smaller, as views."""
    at = one_dim("chunk", dim, input.ndim)
    if chunks < 1 or input.ndim == 0:
        Cat(at).fail(
            f"chunk: {input.type} can't be cut into {chunks} chunks",
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
    """As many pieces as asked for, sizes differing by at most one; or cut at the indices given."""
    at = one_dim("tensor_split", dim, input.ndim)
    given = indices_or_sections
    if input.ndim == 0 or (isinstance(given, int) and given < 1):
        Cat(at).fail(f"tensor_split: {input.type} can't be cut into {given}", types=[input.type])
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
    """All slices along a dimension, which goes, as views."""
    at = one_dim("unbind", dim, input.ndim)
    if input.ndim == 0:
        Cat(at).fail("unbind: a scalar has no slices", error=DimensionError, types=[input.type])
    return tuple([pick(input, at, index) for index in range(input.shape[at])])


# ---- grids -----------------------------------------------------------------------------------


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid: each vector spread out along a dimension of its own, as views.

    Args:
        tensors: vectors (or scalars), or one list of them.
        indexing: `"ij"`, or `"xy"` to swap the first two dimensions.
    """
    listed: list[Any] = [atleast_1d(each) for each in _listed(tensors)]
    if indexing not in ("ij", "xy"):
        Stack(0).fail(f'meshgrid: indexing={indexing!r} is neither "ij" nor "xy"')
    if any(each.ndim > 1 for each in listed):
        Stack(0).fail("meshgrid: takes vectors", types=[each.type for each in listed])
    if any(each.dtype is not listed[0].dtype for each in listed):
        Stack(0).fail(
            "meshgrid: takes vectors of one dtype",
            error=DTypeError,
            types=[each.type for each in listed],
        )
    swap = indexing == "xy" and len(listed) > 1
    ordered = [listed[1], listed[0], *listed[2:]] if swap else listed
    shape = [each.shape[0] for each in ordered]
    grids = [
        each.reshape(*[1] * axis, -1, *[1] * (len(shape) - axis - 1)).expand(shape)
        for axis, each in enumerate(ordered)
    ]
    if swap:
        grids = [grids[1], grids[0], *grids[2:]]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of the vectors' elements, a row each."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([grid.reshape(-1) for grid in meshgrid(*tensors)], 1)
