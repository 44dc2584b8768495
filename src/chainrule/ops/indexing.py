"""What stands between the brackets: `x[1:, None, mask] = v`, read and written.

Ints, slices, None and Ellipsis are *basic*: together one `Slice`, a view, so that writing goes
through it. Tensors, arrays, lists and bool masks are *advanced*: one `Index` or `IndexPut` on top
of that view. A mask becomes the indices of its true elements, which has to look at its values.

As in PyTorch: an int takes its dimension away before advanced indices are placed; these stand where
the first of them was if they are neighbours, else in front. Unlike in PyTorch, a zero-dimensional
index tensor gathers (so that a trace can follow it): the result is a copy and not a view.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.base import TensorBase
from chainrule.core.dtypes import bool_, int64, uint8
from chainrule.core.interpret import bind, lift, read
from chainrule.core.location import user_location
from chainrule.core.types import TensorType
from chainrule.errors import ChainruleError, DimensionError, DTypeError, ShapeError
from chainrule.ops.advanced import Index, IndexAdd, IndexPut
from chainrule.ops.compare import where
from chainrule.ops.promotion import cast, promote
from chainrule.ops.slicing import Key, Range, Slice

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_select",
    "masked_select",
    "narrow",
    "nonzero",
    "select",
    "take",
]

IN_PLACE = ("index_add", "index_copy", "index_fill", "index_put")


class Advanced(NamedTuple):
    """The advanced part of a key: index tensors, and the dimensions of the view they go with."""

    dims: tuple[int, ...]
    at: int
    indices: tuple[Tensor, ...]


def _fail(
    problem: str, cure: str, error: type[ChainruleError] = DimensionError, **facts: object
) -> NoReturn:
    raise error(
        f"index: {problem}", cure=cure, location=str(user_location() or ""), op="index", **facts
    )


# ---- reading the key -------------------------------------------------------------------------


def _item(item: Any) -> Any:
    """One item of a key: an int, a slice, None, Ellipsis, or a tensor of int64 or bool."""
    index: Any = item
    if item is None or item is Ellipsis or type(item) in (int, slice):
        return item
    if isinstance(item, TensorBase):
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
            _fail(
                f"{type(item).__name__} is no index",
                "use ints, slices, None, ..., or tensors, arrays and lists of ints or bools",
                DTypeError,
            )
    dtype = index.dtype
    if dtype is bool_ or dtype is int64:
        return index
    if dtype.is_floating_point or dtype is uint8:
        _fail(
            f"a tensor of {dtype.name} is no index",
            "convert it: .long() for positions, .bool() for a mask",
            DTypeError,
        )
    return cast(index, int64)


def _index_kind(array: Any) -> Any:
    return array.dtype if array.dtype == np.bool_ else np.int64


def _items(key: Any) -> list[Any]:
    """The items of a key as `_item` gives them, without the Ellipsis if it stands at the end."""
    items: list[Any] = []
    items += key if type(key) is tuple else (key,)
    return [_item(each) for each in items]


def _whole_dims(items: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The items with the Ellipsis, or the missing end, spelled out as full slices."""
    used = 0
    ellipses: list[int] = []
    for place, item in enumerate(items):
        if item is Ellipsis:
            ellipses.append(place)
        elif isinstance(item, TensorBase):
            used += item.value.ndim if item.value.dtype == np.bool_ else 1
        elif item is not None:
            used += 1
    if used > len(shape):
        _fail(
            f"{used} indices for a tensor of {len(shape)} dimensions, {list(shape)}",
            "leave some out, or .unsqueeze it",
        )
    if len(ellipses) > 1:
        _fail("an index can have only one ...", "write : for the other dimensions")
    rest: list[Any] = [slice(None)] * (len(shape) - used)
    if not ellipses:
        return items + rest
    return items[: ellipses[0]] + rest + items[ellipses[0] + 1 :]


def _range(item: slice, size: int) -> Range:
    start, stop, step = item.indices(size) if item.step is None or item.step > 0 else (0, 0, 0)
    if step < 1:
        _fail(
            f"a slice needs a step of at least 1, not {item.step}",
            "use .flip(dim) to go backwards",
            ShapeError,
        )
    return (start, max(start, stop), step)


def _position(item: int, size: int, dim: int) -> int:
    if not -size <= item < size:
        _fail(
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
        _fail(
            f"the mask is {mask.type}, the dimensions from {dim} on that it stands for are "
            f"{list(covered)}",
            "a mask has the shape of what it selects from",
        )
    return [lift(each) for each in read(mask).nonzero()]


def parse(key: Any, shape: tuple[int, ...]) -> tuple[Key, Advanced | None]:
    """The basic part of a key, and the advanced part that goes on top of it if there is one."""
    items = _whole_dims(_items(key), shape)
    basic: list[int | Range | None] = []
    advanced: list[tuple[int, Any]] = []
    dim = out = 0
    for item in items:
        if item is None:
            basic.append(None)
        elif type(item) is int:
            basic.append(_position(item, shape[dim], dim))
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


def _is_whole(key: Key, shape: tuple[int, ...]) -> bool:
    return all(each == (0, size, 1) for each, size in zip(key, shape)) and len(key) <= len(shape)


# ---- x[key] and x[key] = value ---------------------------------------------------------------


def getitem(input: Tensor, key: Any) -> Tensor:
    """`input[key]`: a view for ints, slices, None and ..., else a copy."""
    shape = input.value.shape
    if type(key) is int and shape:  # the loop over a tensor
        return bind(Slice((_position(key, shape[0], 0),)), input)
    basic, advanced = parse(key, shape)
    if advanced is None:
        return bind(Slice(basic), input)
    view = input if _is_whole(basic, shape) else bind(Slice(basic), input)
    return bind(Index(advanced.dims, advanced.at), view, *advanced.indices)


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """`input[key] = value`, broadcast, converted to the dtype of `input`."""
    source = _value(value, input)
    mask = _one_mask(key, input)
    if mask is not None and source.ndim == 0:
        input.put_(where(mask, source, input), "__setitem__")
        return
    shape = input.value.shape
    basic, advanced = parse(key, shape)
    view = input if advanced and _is_whole(basic, shape) else bind(Slice(basic), input)
    if advanced is None:
        view.put_(source if source.ndim == 0 else _fitted(source, view.type), "__setitem__")
        return
    view.put_(put_at(view, advanced, source), "__setitem__")


def _value(value: Any, input: Tensor) -> Tensor:
    """What is to be written, in the dtype of what it is written into."""
    if type(value) in (int, float, bool):
        return lift(np.array(value).astype(input.value.dtype))
    (given,) = promote(value)
    return cast(given, input.dtype)


def _one_mask(key: Any, input: Tensor) -> Any:
    """The mask, broadcast-ready, of `x[mask] = number`: no need to know where it is true."""
    if not isinstance(key, TensorBase) or key.value.dtype != np.bool_:
        return None
    mask: Any = key
    if mask.ndim == 0 or mask.shape != input.shape[: mask.ndim]:
        return None
    return mask.reshape(*mask.shape, *[1] * (input.ndim - mask.ndim))


def _fitted(source: Tensor, target: TensorType) -> Tensor:
    """The source without leading ones, expanded to the target's shape."""
    extra = source.ndim - target.ndim
    if extra > 0 and all(size == 1 for size in source.shape[:extra]):
        source = source.reshape(source.shape[extra:])
    try:
        return source.expand(target.shape)
    except ShapeError:
        _fail(
            f"a value of {source.type} does not fit into the {target} that was indexed",
            "give a value that broadcasts to that shape",
            ShapeError,
            types=(source.type, target),
        )


def put_at(view: Tensor, advanced: Advanced, source: Tensor) -> Tensor:
    """The view with the source written at the indices."""
    op = IndexPut(advanced.dims, advanced.at)
    shape = op.indexed_shape(view.shape, [each.type for each in advanced.indices])
    fitted = _fitted(source, TensorType(shape, view.dtype))
    return bind(op, view, fitted, *advanced.indices)


# ---- by name ---------------------------------------------------------------------------------


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` along `dim`, which goes: a view."""
    at = one_dim("select", dim, input.ndim)
    return getitem(input, (*[slice(None)] * at, int(index)))


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Elements `start` to `start + length` along `dim`: a view.

    >>> import chainrule
    >>> chainrule.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    at = one_dim("narrow", dim, input.ndim)
    size = input.shape[at]
    first = start + size if start < 0 else start
    if not 0 <= first <= size or length < 0 or first + length > size:
        _fail(
            f"narrow: start {start} and length {length} do not lie in dimension {at} of size "
            f"{size}",
            "start + length can be at most the size",
        )
    return getitem(input, (*[slice(None)] * at, slice(first, first + length)))


def _along(op: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, int, Tensor]:
    """The input with a dimension at least, the dimension, and a vector of indices along it."""
    at = one_dim(op, dim, input.ndim)
    if index.ndim > 1 or index.dtype.is_floating_point or index.dtype is bool_:
        _fail(
            f"{op}: the index is {index.type}",
            "give a vector of integers",
            DTypeError if index.ndim <= 1 else DimensionError,
        )
    wide = input if input.ndim else input.reshape(1)
    places = cast(index, int64)
    return wide, at, places if places.ndim else places.reshape(1)


def _like(y: Tensor, input: Tensor) -> Tensor:
    """A scalar was given a dimension to be indexed by; away with it."""
    return y if input.ndim else y.reshape(input.shape)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along `dim` that `index` names, in that order.

    Negative indices are errors here, as in PyTorch.

    >>> import chainrule
    >>> chainrule.tensor([10, 20, 30]).index_select(0, chainrule.tensor([2, 0]))
    tensor([30, 10])
    """
    wide, at, places = _along("index_select", input, dim, index)
    return _like(bind(Index((at,), at, False), wide, places), input)


def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """`input` with `alpha` times each slice of `source` added to the slice that `index` names.

    >>> import chainrule
    >>> x, index = chainrule.zeros(3), chainrule.tensor([2, 2])
    >>> x.index_add(0, index, chainrule.ones(2))
    tensor([0., 0., 2.])
    """
    wide, at, places = _along("index_add", input, dim, index)
    op = IndexAdd((at,), at, False, wide.shape)
    given = cast(source if source.ndim else source.reshape(1), input.dtype)
    op.type_rule(given.type, places.type)
    added = _like(bind(op, given, places), input)
    return input + (added if alpha == 1 else added * alpha)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`input` with the slices that `index` names replaced by those of `source`."""
    wide, at, places = _along("index_copy", input, dim, index)
    given = cast(source if source.ndim else source.reshape(1), input.dtype)
    op = IndexPut((at,), at, False)
    op.type_rule(wide.type, given.type, places.type)
    return _like(bind(op, wide, given, places), input)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Tensor | float) -> Tensor:
    """`input` with the slices that `index` names filled with one number."""
    wide, at, places = _along("index_fill", input, dim, index)
    number = _value(value, input)
    shape = (*wide.shape[:at], places.shape[0], *wide.shape[at + 1 :])
    given = number.expand(shape)
    return _like(bind(IndexPut((at,), at), wide, given, places), input)


def index_put(
    input: Tensor, indices: tuple[Any, ...], values: Tensor, accumulate: bool = False
) -> Tensor:
    """`input` with `input[indices] = values` done to a copy.

    Args:
        indices: as many as would stand between the brackets; None takes a dimension whole.
        values: broadcast to the shape of `input[indices]`.
        accumulate: add the values instead; where indices repeat, all of them count.
    """
    key = tuple(slice(None) if each is None else each for each in indices)
    _, advanced = parse(key, input.shape)
    if advanced is None:
        _fail("index_put: there is no index tensor", "use x[...] = value")
    source = cast(values, input.dtype)
    if not accumulate:
        return put_at(input, advanced, source)
    op = IndexAdd(advanced.dims, advanced.at, True, input.shape)
    shape = op.indexed_shape(input.shape, [each.type for each in advanced.indices])
    return input + bind(op, _fitted(source, TensorType(shape, input.dtype)), *advanced.indices)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these positions of the flattened tensor, in the shape of `index`."""
    return bind(Index((0,), 0), input.reshape(-1), _item(index))


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, in one dimension; both are broadcast."""
    flag = cast(mask, bool_)
    ones = input.expand(np.broadcast_shapes(input.shape, flag.shape))
    return getitem(ones, flag.expand(ones.shape)).reshape(-1)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of all elements that are not zero: a row each.

    Args:
        as_tuple: give a tensor per dimension instead, as `x[...]` takes them.

    >>> import chainrule
    >>> chainrule.nonzero(chainrule.tensor([0.0, 3.0, 4.0]))
    tensor([[1],
            [2]])
    """
    array = read(input)
    if as_tuple:
        return tuple(lift(each) for each in np.atleast_1d(array).nonzero())
    return lift(np.argwhere(array))
