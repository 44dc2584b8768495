"""Tensors put together: cat, stack and kin; vectors that span a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.base import is_tensor
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError, OpError
from chainrule.ops.promotion import promote
from chainrule.ops.refusal import refuse
from chainrule.ops.slicing import narrow_to, pick

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "cartesian_prod",
    "cat",
    "concat",
    "concatenate",
    "dstack",
    "hstack",
    "meshgrid",
    "stack",
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
        refuse(op, "there are no tensors", cure="pass a list of at least one")
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
        refuse(
            "cat",
            "a scalar can't be concatenated",
            cure="use stack, or .reshape(1) it",
            types=[each.type for each in listed],
        )
    kept = tuple([each for each in listed if each.shape != (0,)]) or listed[:1]
    return bind(Cat(one_dim("cat", dim, kept[0].ndim)), *kept)


def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`cat` by another name.

    >>> import chainrule
    >>> chainrule.concat([chainrule.zeros(2, 1), chainrule.ones(2, 2)], 1).shape
    (2, 3)
    """
    return cat(tensors, dim)


def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`cat` by another name.

    >>> import chainrule
    >>> chainrule.concatenate([chainrule.tensor([1]), chainrule.tensor([2.5])])
    tensor([1.0000, 2.5000])
    """
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
    """Scalars as vectors of one element; several tensors give a tuple.

    Raises:
        DTypeError: one is no tensor: as in PyTorch, a number is to be wrapped.

    >>> import chainrule
    >>> chainrule.atleast_1d(chainrule.tensor(5))
    tensor([5])
    """

    return _each("atleast_1d", tensors, _vector)


def _vector(x: Any) -> Any:
    return x.reshape(1) if x.ndim == 0 else x


def atleast_2d(*tensors: Any) -> Any:
    """Scalars and vectors as matrices of one row; several tensors give a tuple.

    >>> import chainrule
    >>> [x.shape for x in chainrule.atleast_2d(chainrule.tensor(5), chainrule.zeros(3))]
    [(1, 1), (1, 3)]
    """

    return _each("atleast_2d", tensors, _matrix)


def _matrix(x: Any) -> Any:
    return x.reshape(1, -1) if x.ndim < 2 else x


def atleast_3d(*tensors: Any) -> Any:
    """With a dimension in front and one behind where there are fewer than three.

    >>> import chainrule
    >>> [x.shape for x in chainrule.atleast_3d(chainrule.zeros(3), chainrule.zeros(2, 3))]
    [(1, 3, 1), (2, 3, 1)]
    """

    return _each("atleast_3d", tensors, _block)


def _block(x: Any) -> Any:
    wide = _matrix(x)
    return wide.unsqueeze(-1) if wide.ndim == 2 else wide


def _each(function: str, tensors: tuple[Any, ...], grown: Callable[[Any], Any]) -> Any:
    results = _all_grown(function, _listed(tensors), grown)
    alone = len(tensors) == 1 and type(tensors[0]) not in (list, tuple)
    return results[0] if alone else tuple(results)


def _all_grown(function: str, given: Iterable[Any], grown: Callable[[Any], Any]) -> list[Any]:
    listed = list(given)
    for each in listed:
        if not is_tensor(each):
            refuse(
                function,
                f"takes tensors, not a {type(each).__name__}",
                cure="wrap it with chainrule.tensor(...)",
                error=DTypeError,
            )
    return [grown(each) for each in listed]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along the second dimension, vectors along their only one.

    >>> import chainrule
    >>> chainrule.hstack([chainrule.tensor([[1], [2]]), chainrule.tensor([[3], [4]])])
    tensor([[1, 3],
            [2, 4]])
    """
    listed = _all_grown("hstack", tensors, _vector)
    return cat(listed, 0 if listed and listed[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One above the other: along the first dimension, vectors as rows.

    >>> import chainrule
    >>> chainrule.vstack([chainrule.tensor([1, 2]), chainrule.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(_all_grown("vstack", tensors, _matrix), 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: along the third dimension.

    >>> import chainrule
    >>> chainrule.dstack([chainrule.zeros(2, 3), chainrule.ones(2, 3)]).shape
    (2, 3, 2)
    """
    return cat(_all_grown("dstack", tensors, _block), 2)


# ---- grids -----------------------------------------------------------------------------------


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid: each vector spread out along a dimension of its own, as views.

    Args:
        tensors: vectors (or scalars), or one list of them.
        indexing: `"ij"`, or `"xy"` to swap the first two dimensions.

    Raises:
        OpError: there is no such `indexing`.
        ShapeError: one has several dimensions.
        DTypeError: their dtypes differ.

    >>> import chainrule
    >>> rows, columns = chainrule.meshgrid(chainrule.arange(2), chainrule.arange(3))
    >>> rows.tolist(), columns.tolist()
    ([[0, 0, 0], [1, 1, 1]], [[0, 1, 2], [0, 1, 2]])
    """
    listed = _all_grown("meshgrid", _listed(tensors), _vector)
    types = [each.type for each in listed]
    if indexing not in ("ij", "xy"):
        refuse(
            "meshgrid",
            f"indexing is {indexing!r}",
            cure='pass "ij", or "xy" to swap the first two dimensions',
            error=OpError,
        )
    if any(each.ndim > 1 for each in listed):
        refuse(
            "meshgrid",
            "takes vectors, not " + " and ".join(map(str, types)),
            cure="flatten each with .ravel()",
            types=types,
        )
    if any(each.dtype is not listed[0].dtype for each in listed):
        refuse(
            "meshgrid",
            "takes vectors of one dtype, not " + " and ".join(map(str, types)),
            cure="convert the others with .to(dtype)",
            error=DTypeError,
            types=types,
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
    """All combinations of the vectors' elements, a row each.

    >>> import chainrule
    >>> chainrule.cartesian_prod(chainrule.tensor([1, 2]), chainrule.tensor([3, 4])).tolist()
    [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    if len(tensors) == 1:
        return tensors[0]
    return stack([grid.reshape(-1) for grid in meshgrid(*tensors)], 1)
