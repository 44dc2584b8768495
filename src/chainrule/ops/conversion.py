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
    """In the dtype of another tensor.

    >>> import chainrule
    >>> chainrule.tensor([1.7]).type_as(chainrule.tensor([1]))
    tensor([1])
    """
    return cast(input, other.dtype)


def float(input: Tensor) -> Tensor:
    """In float32.

    >>> import chainrule
    >>> chainrule.tensor([1, 2]).float()
    tensor([1., 2.])
    """
    return cast(input, dtypes.float32)


def double(input: Tensor) -> Tensor:
    """In float64.

    >>> import chainrule
    >>> chainrule.tensor([1.0]).double().dtype
    chainrule.float64
    """
    return cast(input, dtypes.float64)


def half(input: Tensor) -> Tensor:
    """In float16: 11 significant bits, up to 65504; beyond that, infinite.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 70000.0]).half()
    tensor([1., inf], dtype=chainrule.float16)
    """
    return cast(input, dtypes.float16)


def long(input: Tensor) -> Tensor:
    """In int64: fractions are cut off.

    >>> import chainrule
    >>> chainrule.tensor([1.7, -1.7]).long()
    tensor([ 1, -1])
    """
    return cast(input, dtypes.int64)


def int(input: Tensor) -> Tensor:
    """In int32: fractions are cut off.

    >>> import chainrule
    >>> chainrule.tensor([2.9]).int()
    tensor([2], dtype=chainrule.int32)
    """
    return cast(input, dtypes.int32)


def short(input: Tensor) -> Tensor:
    """In int16; what does not fit wraps around.

    >>> import chainrule
    >>> chainrule.tensor([40000]).short()
    tensor([-25536], dtype=chainrule.int16)
    """
    return cast(input, dtypes.int16)


def char(input: Tensor) -> Tensor:
    """In int8; what does not fit wraps around.

    >>> import chainrule
    >>> chainrule.tensor([127, 128]).char()
    tensor([ 127, -128], dtype=chainrule.int8)
    """
    return cast(input, dtypes.int8)


def byte(input: Tensor) -> Tensor:
    """In uint8; what does not fit wraps around.

    >>> import chainrule
    >>> chainrule.tensor([255, 256]).byte()
    tensor([255,   0], dtype=chainrule.uint8)
    """
    return cast(input, dtypes.uint8)


def bool(input: Tensor) -> Tensor:
    """In bool: whether each element is not zero.

    >>> import chainrule
    >>> chainrule.tensor([0.0, 0.5]).bool()
    tensor([False,  True])
    """
    return cast(input, dtypes.bool_)


def cpu(input: Tensor) -> Tensor:
    """Itself: there is no other device.

    >>> import chainrule
    >>> x = chainrule.tensor([1.0])
    >>> x.cpu() is x
    True
    """
    return input


def new_tensor(
    input: Tensor, data: Any, *, dtype: DType | None = None, requires_grad: Any = False
) -> Tensor:
    """`chainrule.tensor(data)` in this tensor's dtype.

    >>> import chainrule
    >>> chainrule.tensor([0.5]).new_tensor([1, 2])
    tensor([1., 2.])
    """
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
    """`chainrule.full` in this tensor's dtype.

    >>> import chainrule
    >>> chainrule.tensor([1]).new_full((2,), 7)
    tensor([7, 7])
    """
    kind = input.dtype if dtype is None else dtype
    return full(size, fill_value, dtype=kind, requires_grad=requires_grad, device=device)


def new_zeros(
    input: Tensor,
    *size: Any,
    dtype: DType | None = None,
    requires_grad: Any = False,
    device: object = None,
) -> Tensor:
    """`chainrule.zeros` in this tensor's dtype.

    >>> import chainrule
    >>> chainrule.tensor([1]).new_zeros(2, 2)
    tensor([[0, 0],
            [0, 0]])
    """
    kind = input.dtype if dtype is None else dtype
    return zeros(*size, dtype=kind, requires_grad=requires_grad, device=device)


def new_ones(
    input: Tensor,
    *size: Any,
    dtype: DType | None = None,
    requires_grad: Any = False,
    device: object = None,
) -> Tensor:
    """`chainrule.ones` in this tensor's dtype.

    >>> import chainrule
    >>> chainrule.tensor([True]).new_ones(2)
    tensor([True, True])
    """
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
    """`chainrule.empty` in this tensor's dtype.

    >>> import chainrule
    >>> chainrule.tensor([0.5]).new_empty(2, 3).shape
    (2, 3)
    """
    return new_zeros(input, *size, dtype=dtype, requires_grad=requires_grad, device=device)
