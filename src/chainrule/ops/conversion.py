"""Methods that convert: `to`, `float`, `long` and kin; `new_zeros` and kin, in a tensor's dtype.

These are methods only: `chainrule.float` is a dtype, and `x.float()` converts to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.core import dtypes
from chainrule.core.base import is_tensor
from chainrule.core.dtypes import DType, as_dtype
from chainrule.core.location import user_location
from chainrule.errors import DTypeError
from chainrule.ops.create import check_device, full, zeros
from chainrule.ops.from_data import tensor
from chainrule.ops.movement import clone, shape_of
from chainrule.ops.promotion import cast

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__: list[str] = []

METHODS = (
    "bool",
    "byte",
    "char",
    "cpu",
    "double",
    "float",
    "half",
    "int",
    "long",
    "new_empty",
    "new_full",
    "new_ones",
    "new_tensor",
    "new_zeros",
    "short",
    "to",
    "type_as",
)


def to(
    input: Tensor,
    *args: Any,
    dtype: Any = None,
    device: object = None,
    copy: Any = False,
    non_blocking: Any = False,
) -> Tensor:
    """Converted: `to(dtype)`, `to(other)` for another tensor's dtype, `to("cpu")`.

    Itself where nothing changes, unless `copy` asks for a copy. Gradients flow through it.

    >>> import chainrule
    >>> chainrule.tensor([1.7, -1.7]).to(chainrule.int64)
    tensor([ 1, -1])
    """
    for each in args:
        if isinstance(each, DType | type):
            dtype = each
        elif is_tensor(each):
            dtype = dtypes.from_numpy_dtype(each.value.dtype)
        elif isinstance(each, str) or each is None:
            device = each
        else:
            raise DTypeError(
                f"to: {each!r} is neither a dtype nor a tensor nor a device",
                cure="pass chainrule.float32, another tensor, or dtype=",
                location=str(user_location() or ""),
            )
    if device is not None:
        check_device(device)
    y = input if dtype is None else cast(input, as_dtype(dtype))
    return clone(y) if copy and y is input else y


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """In the dtype of another tensor."""
    return cast(input, other.dtype)


def float(input: Tensor) -> Tensor:
    """In float32."""
    return cast(input, dtypes.float32)


def double(input: Tensor) -> Tensor:
    """In float64."""
    return cast(input, dtypes.float64)


def half(input: Tensor) -> Tensor:
    """In float16."""
    return cast(input, dtypes.float16)


def long(input: Tensor) -> Tensor:
    """In int64."""
    return cast(input, dtypes.int64)


def int(input: Tensor) -> Tensor:
    """In int32."""
    return cast(input, dtypes.int32)


def short(input: Tensor) -> Tensor:
    """In int16."""
    return cast(input, dtypes.int16)


def char(input: Tensor) -> Tensor:
    """In int8."""
    return cast(input, dtypes.int8)


def byte(input: Tensor) -> Tensor:
    """In uint8."""
    return cast(input, dtypes.uint8)


def bool(input: Tensor) -> Tensor:
    """In bool: whether each element is not zero."""
    return cast(input, dtypes.bool_)


def cpu(input: Tensor) -> Tensor:
    """Itself: there is no other device."""
    return input


def new_tensor(
    input: Tensor, data: Any, *, dtype: DType | None = None, requires_grad: Any = False
) -> Tensor:
    """`chainrule.tensor(data)` in this tensor's dtype."""
    kind = input.dtype if dtype is None else dtype
    return tensor(data, dtype=kind, requires_grad=requires_grad)


def new_full(
    input: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    requires_grad: Any = False,
    device: object = None,
) -> Tensor:
    """`chainrule.full` in this tensor's dtype."""
    kind = input.dtype if dtype is None else dtype
    return full(size, fill_value, dtype=kind, requires_grad=requires_grad, device=device)


def new_zeros(
    input: Tensor,
    *size: Any,
    dtype: DType | None = None,
    requires_grad: Any = False,
    device: object = None,
) -> Tensor:
    """`chainrule.zeros` in this tensor's dtype."""
    kind = input.dtype if dtype is None else dtype
    return zeros(*size, dtype=kind, requires_grad=requires_grad, device=device)


def new_ones(
    input: Tensor,
    *size: Any,
    dtype: DType | None = None,
    requires_grad: Any = False,
    device: object = None,
) -> Tensor:
    """`chainrule.ones` in this tensor's dtype."""
    return new_full(
        input, shape_of(size), 1, dtype=dtype, requires_grad=requires_grad, device=device
    )


def new_empty(
    input: Tensor,
    *size: Any,
    dtype: DType | None = None,
    requires_grad: Any = False,
    device: object = None,
) -> Tensor:
    """`chainrule.empty` in this tensor's dtype."""
    return new_zeros(input, *size, dtype=dtype, requires_grad=requires_grad, device=device)
