"""What stands between the brackets of `x[1:, None, mask]`, taken apart.

Ints, slices, None and Ellipsis are *basic*; tensors, arrays, lists and bool masks are *advanced*. A
mask becomes the indices of its true elements, which has to look at its values.

As in PyTorch: an int takes its dimension away before advanced indices are placed; these stand where
the first of them was if they are neighbours, else in front. Unlike in PyTorch, a zero-dimensional
index tensor gathers (so that a trace can follow it): the result is a copy and not a view.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from chainrule.core.base import is_tensor
from chainrule.core.dtypes import bool_, int64, uint8
from chainrule.core.interpret import lift, read
from chainrule.core.location import user_location
from chainrule.errors import ChainruleError, DimensionError, DTypeError, ShapeError
from chainrule.ops.promotion import cast
from chainrule.ops.slicing import Key, Range

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Advanced", "as_index", "is_whole", "parse", "position", "refuse"]


class Advanced(NamedTuple):
    """The advanced part of a key: index tensors, and the dimensions of the view they go with."""

    dims: tuple[int, ...]
    at: int
    indices: tuple[Tensor, ...]


def refuse(
    problem: str, cure: str, error: type[ChainruleError] = DimensionError, **facts: object
) -> NoReturn:
    """Raise the error that a key is wrong.

    >>> try:
    ...     refuse("it is wrong", "put it right")
    ... except DimensionError as error:
    ...     print(error.cure)
    put it right
    """
    raise error(
        f"index: {problem}", cure=cure, location=str(user_location() or ""), op="index", **facts
    )


def as_index(item: Any) -> Any:
    """One item of a key: an int, a slice, None, Ellipsis, or a tensor of int64 or bool.

    >>> as_index([0, 2]), as_index(slice(3))
    (tensor([0, 2]), slice(None, 3, None))
    """
    index: Any = item
    if item is None or item is Ellipsis or type(item) in (int, slice):
        return item
    if is_tensor(item):
        pass
    elif type(item) in (bool, np.bool_):
        index = lift(np.array(item, np.bool_))
    elif isinstance(item, np.ndarray | list | tuple | range):
        array: Any = np.asarray(index)
        index = lift(array if array.size else array.astype(_index_kind(array)))
    else:
        try:
            return operator.index(item)
        except TypeError:
            refuse(
                f"{type(item).__name__} is no index",
                "use ints, slices, None, ..., or tensors, arrays and lists of ints or bools",
                DTypeError,
            )
    dtype = index.dtype
    if dtype is bool_ or dtype is int64:
        return index
    if dtype.is_floating_point or dtype is uint8:
        refuse(
            f"a tensor of {dtype.name} is no index",
            "convert it: .long() for positions, .bool() for a mask",
            DTypeError,
        )
    return cast(index, int64)


def _index_kind(array: Any) -> Any:
    return array.dtype if array.dtype == np.bool_ else np.int64


def _items(key: Any) -> list[Any]:
    """The items of a key as `as_index` gives them, without the Ellipsis if it stands at the end."""
    items: list[Any] = []
    items += key if type(key) is tuple else (key,)
    return [as_index(each) for each in items]


def _whole_dims(items: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The items with the Ellipsis, or the missing end, spelled out as full slices."""
    used = 0
    ellipses: list[int] = []
    for place, item in enumerate(items):
        if item is Ellipsis:
            ellipses.append(place)
        elif is_tensor(item):
            used += len(item.value.shape) if item.value.dtype == np.bool_ else 1
        elif item is not None:
            used += 1
    if used > len(shape):
        refuse(
            f"{used} indices for a tensor of {len(shape)} dimensions, {list(shape)}",
            "leave some out, or .unsqueeze it",
        )
    if len(ellipses) > 1:
        refuse("an index can have only one ...", "write : for the other dimensions")
    rest: list[Any] = [slice(None)] * (len(shape) - used)
    if not ellipses:
        return items + rest
    return items[: ellipses[0]] + rest + items[ellipses[0] + 1 :]


def _range(item: slice, size: int) -> Range:
    start, stop, step = item.indices(size) if item.step is None or item.step > 0 else (0, 0, 0)
    if step < 1:
        refuse(
            f"a slice needs a step of at least 1, not {item.step}",
            "use .flip(dim) to go backwards",
            ShapeError,
        )
    return (start, max(start, stop), step)


def position(item: int, size: int, dim: int) -> int:
    """An index along a dimension, counted from the front.

    >>> position(-1, 3, dim=0)
    2
    """
    if not -size <= item < size:
        refuse(
            f"index {item} is out of range for dimension {dim} of size {size}",
            f"valid indices are from {-size} to {size - 1}" if size else "it is empty",
            index=item,
            dim=dim,
            size=size,
        )
    return item % size


def _true_places(mask: Any, shape: tuple[int, ...], dim: int) -> list[Any]:
    """The indices of a mask's true elements, a tensor per dimension of it."""
    covered = shape[dim : dim + mask.ndim]
    if mask.shape != covered:
        refuse(
            f"the mask is {mask.type}, the dimensions from {dim} on that it stands for are "
            f"{list(covered)}",
            "a mask has the shape of what it selects from",
        )
    return [lift(each) for each in read(mask).nonzero()]


def parse(key: Any, shape: tuple[int, ...]) -> tuple[Key, Advanced | None]:
    """The basic part of a key, and the advanced part that goes on top of it if there is one.

    >>> parse((0, slice(1, None)), (2, 3))
    ((0, (1, 3, 1)), None)
    """
    items = _whole_dims(_items(key), shape)
    basic: list[int | Range | None] = []
    advanced: list[tuple[int, Any]] = []
    dim = out = 0
    for item in items:
        if item is None:
            basic.append(None)
        elif type(item) is int:
            basic.append(position(item, shape[dim], dim))
            dim, out = dim + 1, out - 1
        elif type(item) is slice:
            basic.append(_range(item, shape[dim]))
            dim += 1
        elif item.dtype is bool_ and item.ndim == 0:  # a new dimension, of size 1 or 0 at once
            basic.append(None)
            advanced.append((out, lift(np.zeros(int(read(item)), np.int64))))
        else:
            places = _true_places(item, shape, dim) if item.dtype is bool_ else [item]
            for place in places:
                basic.append((0, shape[dim], 1))
                advanced.append((out, place))
                dim, out = dim + 1, out + 1
            out -= 1
        out += 1
    return tuple(basic), _placed(advanced)


def _placed(advanced: list[tuple[int, Any]]) -> Advanced | None:
    """Where the dimensions of the indices go: PyTorch's rule, see above."""
    if not advanced:
        return None
    dims = tuple([dim for dim, _ in advanced])
    scalars = {dim for dim, index in advanced if index.ndim == 0}
    wide = [dim - sum(each < dim for each in scalars) for dim in dims if dim not in scalars]
    neighbours = bool(wide) and wide[-1] - wide[0] == len(wide) - 1
    return Advanced(dims, wide[0] if neighbours else 0, tuple([index for _, index in advanced]))


def is_whole(key: Key, shape: tuple[int, ...]) -> bool:
    """Whether a basic key takes everything, in order.

    >>> is_whole(((0, 2, 1),), (2, 3)), is_whole(((1, 2, 1),), (2, 3))
    (True, False)
    """
    return all(each == (0, size, 1) for each, size in zip(key, shape)) and len(key) <= len(shape)
