"""Tensors from data: numbers, nested lists, NumPy arrays, the arrays of other libraries.

| | copies | keeps |
|---|---|---|
| `tensor` | always | |
| `as_tensor`, `asarray` | where it must | dtype and memory where it can |
| `from_numpy` | never | NumPy's memory, whatever its strides |
| `from_dlpack` | never | the other library's memory |
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from chainrule.core.base import is_tensor
from chainrule.core.dtypes import (
    INTEGER,
    DType,
    as_dtype,
    from_numpy_dtype,
    get_default_dtype,
    promote_types,
)
from chainrule.core.interpret import lift, read
from chainrule.core.location import user_location
from chainrule.core.op import Array
from chainrule.errors import DTypeError, ShapeError
from chainrule.ops.create import check_device
from chainrule.ops.movement import clone
from chainrule.ops.promotion import cast, result_type

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "as_tensor",
    "asarray",
    "from_dlpack",
    "from_numpy",
    "is_tensor",
    "tensor",
]


def tensor(
    data: Any,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """A tensor with a copy of the data: a number, nested lists of numbers or tensors, an array.

    Python's floats become the default dtype (float32), integers int64, bools bool; arrays and
    tensors keep theirs.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> chainrule.tensor([1, 2.5, True])
    tensor([1.0000, 2.5000, 1.0000])

    Raises:
        ShapeError: lists of unequal lengths.
        DTypeError: something in them is not a real number.
    """
    if type(data) is float and dtype is None and device is None:  # nothing to look into
        y = lift(np.array(data, get_default_dtype().numpy))
        y.tracked = requires_grad  # it is a float: nothing to check
        return y
    check_device(device)
    kind = None if dtype is None else as_dtype(dtype)
    if is_tensor(data):
        y = clone(data.detach())
        y = y if kind is None else cast(y, kind)
    else:
        y = lift(_converted(_array_of(data), kind, data))
    return y.requires_grad_() if requires_grad else y


def _is_array(obj: object) -> TypeGuard[Array]:
    return isinstance(obj, np.ndarray)


def _is_list(obj: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(obj, list | tuple)


def _first_leaf(data: Any) -> Any:
    while _is_list(data) and data:
        data = data[0]
    return data


def _arrays_inside(data: Any) -> Any:
    """Nested lists with the tensors in them as arrays."""
    if is_tensor(data):
        return read(data)
    if _is_list(data):
        return [_arrays_inside(each) for each in data]
    return data


def _array_of(data: Any) -> Array:
    """A new NumPy array of the data."""
    if is_tensor(_first_leaf(data)):
        data = _arrays_inside(data)
    try:
        return np.array(data, subok=False)
    except ValueError:
        raise ShapeError(
            "tensor: lists of unequal lengths are no tensor",
            cure="give all lists on a level the same length, for instance by padding",
            location=str(user_location() or ""),
        ) from None


def _converted(array: Array, kind: DType | None, data: Any) -> Array:
    """The array in the dtype asked for, or in the one that the data asks for."""
    if array.dtype.kind not in "biuf":
        raise _not_numbers(array, data)
    if kind is None:
        nested = _is_list(data)
        plain = not isinstance(data, np.ndarray | np.generic)
        if (
            plain and array.dtype == np.float64 and type(_first_leaf(data)) in (float, int, bool)
        ) or (not array.size and isinstance(data, list | tuple)):
            kind = get_default_dtype()
        elif nested and array.dtype == np.float64:
            kind = _common_dtype(data)  # NumPy makes float64 of a float32 and a Python number
        elif not array.dtype.isnative:
            return array.astype(array.dtype.newbyteorder("="))
    if kind is None:
        _known_dtype(array)
        return array
    if kind.category == INTEGER and array.dtype.kind in "iu" and array.size:
        _check_fits(array, kind)
    if array.dtype == kind.numpy:
        return array
    with np.errstate(all="ignore"):
        return array.astype(kind.numpy)


def _common_dtype(data: Any) -> DType:
    """What nested lists of tensors, arrays and numbers promote to, each leaf with its own dtype."""
    if _is_list(data):
        return reduce(promote_types, map(_common_dtype, data))
    if is_tensor(data):
        return data.dtype
    own: Any = getattr(data, "dtype", None)  # an array's, or that of a scalar of NumPy's
    return result_type(data) if own is None else from_numpy_dtype(own.newbyteorder("="))


def _known_dtype(array: Array) -> None:
    """Refuse what has no counterpart here: uint16, longdouble, ..."""
    try:
        from_numpy_dtype(array.dtype)
    except DTypeError as error:
        error.location = str(user_location() or "")
        raise


def _check_fits(array: Array, kind: DType) -> None:
    limits = np.iinfo(kind.numpy)
    low, high = int(array.min()), int(array.max())
    if low < limits.min or high > limits.max:
        raise DTypeError(
            f"tensor: {low if low < limits.min else high} does not fit into {kind}",
            cure=f"its numbers go from {limits.min} to {limits.max}; choose a wider dtype",
            location=str(user_location() or ""),
        )


def _not_numbers(array: Array, data: Any) -> DTypeError:
    if array.dtype.kind == "c":
        problem = "complex numbers"
        cure = "keep real and imaginary parts in two tensors: array.real and array.imag"
    elif isinstance(_first_leaf(data), int):
        problem, cure = "an integer of more than 64 bits", "use floats, or smaller numbers"
    else:
        problem = f"{type(data).__name__} with NumPy's dtype {array.dtype}"
        cure = "pass numbers, nested lists of numbers, or an array of them"
    return DTypeError(
        f"tensor: no tensor can be made of {problem}",
        cure=cure,
        location=str(user_location() or ""),
    )


def from_numpy(ndarray: Array) -> Tensor:
    """A tensor that shares the memory of a NumPy array.

    Any strides will do, negative ones too. An array that can't be written to gives a tensor whose
    in-place methods raise. An array in the other byte order can't be shared: `tensor` converts it.

    >>> import chainrule, numpy
    >>> array = numpy.zeros(3)
    >>> x = chainrule.from_numpy(array)
    >>> array[0] = 7
    >>> x
    tensor([7., 0., 0.], dtype=chainrule.float64)
    """
    if not _is_array(ndarray):
        raise DTypeError(
            f"from_numpy: expected a NumPy array, got {type(ndarray).__name__}",
            cure="use chainrule.tensor(...) or chainrule.as_tensor(...)",
            location=str(user_location() or ""),
        )
    if not ndarray.dtype.isnative:
        raise DTypeError(
            "from_numpy: the array's bytes are in the other order than this machine's",
            cure="copy it with chainrule.tensor(array)",
            location=str(user_location() or ""),
        )
    if ndarray.dtype.kind not in "biuf":
        raise _not_numbers(ndarray, ndarray)
    _known_dtype(ndarray)
    return lift(np.asarray(ndarray))


def _can_share(array: Array) -> bool:
    return array.dtype.isnative and array.dtype.kind in "biuf"


def as_tensor(data: Any, *, dtype: DType | None = None, device: object = None) -> Tensor:
    """The data as a tensor: a tensor as it is, an array's memory shared, anything else copied.

    >>> import chainrule
    >>> import numpy as np
    >>> array = np.zeros(2)
    >>> shared = chainrule.as_tensor(array)
    >>> array[0] = 1
    >>> shared
    tensor([1., 0.], dtype=chainrule.float64)
    """
    check_device(device)
    if is_tensor(data):
        y: Any = data
    elif _is_array(data) and _can_share(data):
        y = from_numpy(data)
    else:
        return tensor(data, dtype=dtype)
    return y if dtype is None else cast(y, as_dtype(dtype))


def asarray(
    obj: Any,
    *,
    dtype: DType | None = None,
    copy: bool | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """`as_tensor`, which also takes what speaks DLPack, and can be told to copy or not to.

    Args:
        obj: a tensor, an array, anything with `__dlpack__`, numbers or lists of them.
        copy: True always copies, False raises where it would have to, None copies where it must.

    Raises:
        DTypeError: `copy=False`, and its memory can't be shared.

    >>> import chainrule
    >>> x = chainrule.tensor([1, 2])
    >>> chainrule.asarray(x) is x, chainrule.asarray(x, copy=True) is x
    (True, False)
    """
    plain = is_tensor(obj) or _is_array(obj) or not hasattr(obj, "__dlpack__")
    y = as_tensor(obj if plain else from_dlpack(obj), dtype=dtype, device=device)
    shared = y is obj or (_is_array(obj) and np.shares_memory(read(y), obj))
    if copy is False and not shared and plain:
        raise DTypeError(
            "asarray: copy=False, but its memory can't be shared",
            cure="leave copy out",
            location=str(user_location() or ""),
        )
    if copy or (requires_grad and y is obj):
        y = clone(y.detach()) if copy else y.detach()
    return y.requires_grad_() if requires_grad else y


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of another library's, by the DLPack protocol.

    >>> import chainrule, numpy
    >>> chainrule.from_dlpack(numpy.arange(3))
    tensor([0, 1, 2])
    """
    if is_tensor(ext_tensor):
        return ext_tensor.detach()
    if not hasattr(ext_tensor, "__dlpack__"):
        raise DTypeError(
            f"from_dlpack: {type(ext_tensor).__name__} does not speak DLPack",
            cure="pass an object with __dlpack__, or use chainrule.tensor(...)",
            location=str(user_location() or ""),
        )
    try:
        return from_numpy(np.from_dlpack(ext_tensor))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise DTypeError(
            f"from_dlpack: its memory can't be shared: {error}",
            cure="it must be on the CPU, of a dtype that is known here, and require no gradient",
            location=str(user_location() or ""),
        ) from None
