"""`x[1:, None, mask] = v`, read and written, and its forms that have names.

The basic part of a key (see `keys`) is one `Slice`, a view, so that writing goes through it; the
advanced part is one `Index` or `IndexPut` on top of that view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.base import is_tensor
from chainrule.core.dtypes import bool_, int64
from chainrule.core.interpret import bind, lift, read
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import DimensionError, DTypeError, ShapeError
from chainrule.ops import refusal
from chainrule.ops.advanced import Index, IndexAdd, IndexPut
from chainrule.ops.compare import where
from chainrule.ops.keys import Advanced, as_index, is_whole, parse, position, refuse
from chainrule.ops.promotion import cast, promote
from chainrule.ops.slicing import Slice

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


# ---- x[key] and x[key] = value ---------------------------------------------------------------

_ROWS = Index((0,), 0)  # made once: every batch of a loop is picked so


def getitem(input: Tensor, key: Any) -> Tensor:
    """`input[key]`: a view for ints, slices, None and ..., else a copy."""
    shape = input.value.shape
    if type(key) is int and shape:  # the loop over a tensor
        return bind(Slice((position(key, shape[0], 0),)), input)
    if shape and is_tensor(key) and key.value.dtype == np.int64 and key.value.shape:
        return bind(_ROWS, input, key)  # a batch, picked by number
    basic, advanced = parse(key, shape)
    if advanced is None:
        return bind(Slice(basic), input)
    view = input if is_whole(basic, shape) else bind(Slice(basic), input)
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
    view = input if advanced and is_whole(basic, shape) else bind(Slice(basic), input)
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
    if not is_tensor(key) or key.value.dtype != np.bool_:
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
        refuse(
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
    """The slice at `index` along `dim`, which goes: a view.

    >>> import chainrule
    >>> chainrule.arange(6).view(2, 3).select(1, -1)
    tensor([2, 5])
    """
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
        refuse(
            f"narrow: start {start} and length {length} do not lie in dimension {at} of size "
            f"{size}",
            "start + length can be at most the size",
        )
    return getitem(input, (*[slice(None)] * at, slice(first, first + length)))


def _along(op: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, int, Tensor]:
    """The input with a dimension at least, the dimension, and a vector of indices along it."""
    at = one_dim(op, dim, input.ndim)
    if index.ndim > 1 or index.dtype.is_floating_point or index.dtype is bool_:
        refuse(
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
    """`input` with the slices that `index` names replaced by those of `source`.

    >>> import chainrule
    >>> chainrule.zeros(3).index_copy(0, chainrule.tensor([2, 0]), chainrule.tensor([8.0, 9.0]))
    tensor([9., 0., 8.])
    """
    wide, at, places = _along("index_copy", input, dim, index)
    given = cast(source if source.ndim else source.reshape(1), input.dtype)
    op = IndexPut((at,), at, False)
    op.type_rule(wide.type, given.type, places.type)
    return _like(bind(op, wide, given, places), input)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Tensor | float) -> Tensor:
    """`input` with the slices that `index` names filled with one number.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]]).index_fill(1, chainrule.tensor([0]), -1)
    tensor([[-1,  2],
            [-1,  4]])
    """
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

    >>> import chainrule
    >>> index = chainrule.tensor([0, 0])
    >>> chainrule.zeros(3).index_put((index,), chainrule.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    key = tuple(slice(None) if each is None else each for each in indices)
    _, advanced = parse(key, input.shape)
    if advanced is None:
        refuse("index_put: there is no index tensor", "use x[...] = value")
    source = cast(values, input.dtype)
    if not accumulate:
        return put_at(input, advanced, source)
    op = IndexAdd(advanced.dims, advanced.at, True, input.shape)
    shape = op.indexed_shape(input.shape, [each.type for each in advanced.indices])
    return input + bind(op, _fitted(source, TensorType(shape, input.dtype)), *advanced.indices)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these positions of the flattened tensor, in the shape of `index`.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]]).take(chainrule.tensor([[0, -1]]))
    tensor([[1, 4]])
    """
    return bind(Index((0,), 0), input.reshape(-1), as_index(index))


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, in one dimension; both are broadcast.

    >>> import chainrule
    >>> x = chainrule.tensor([[1, 2], [3, 4]])
    >>> x.masked_select(x > 1)
    tensor([2, 3, 4])
    """
    shape = broadcast_shapes_or_none([input.shape, mask.shape])
    if shape is None:
        refusal.refuse(
            "masked_select",
            f"the mask is {mask.type}, the input {input.type}",
            cure="aligned at the right, two sizes must be equal or one of them 1",
            types=(input.type, mask.type),
        )
    return getitem(input.expand(shape), cast(mask, bool_).expand(shape)).reshape(-1)


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
