"""Tensors from nothing: zeros, ones, full, eye and kin.

What every one of them takes: `dtype` (the default dtype unless said otherwise), `requires_grad`,
and `device`, which can only be "cpu". PyTorch's `out=` and `layout=` are not there: a result is
always new, and always a dense array.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.base import is_tensor
from chainrule.core.dtypes import (
    INTEGER,
    DType,
    as_dtype,
    bool_,
    float64,
    get_default_dtype,
    int64,
)
from chainrule.core.interpret import bind, read
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import TensorType
from chainrule.errors import ConfigError, DTypeError, ShapeError
from chainrule.ops.movement import shape_of
from chainrule.ops.promotion import cast

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "ones",
    "ones_like",
    "scalar_tensor",
    "zeros",
    "zeros_like",
]


def check_device(device: object) -> None:
    """Accept None and `"cpu"`; anything else is a `ConfigError`."""
    if device is None or str(device) in ("cpu", "cpu:0"):
        return
    raise ConfigError(
        f"device={device!r}: tensors live in main memory, and the CPU works on them",
        cure='leave device out, or pass "cpu"',
        location=str(user_location() or ""),
    )


def checked_shape(name: str, sizes: Any) -> tuple[int, ...]:
    """Sizes as a tuple of Python integers, none negative."""
    try:
        shape = tuple(map(operator.index, shape_of(sizes)))
    except TypeError:
        raise DTypeError(
            f"{name}: sizes are integers, and {sizes!r} are not",
            cure=f"pass {name}(2, 3) or {name}((2, 3))",
            location=str(user_location() or ""),
        ) from None
    if any(size < 0 for size in shape):
        raise ShapeError(
            f"{name}: there is no shape {list(shape)}",
            cure="sizes are zero or more",
            location=str(user_location() or ""),
        )
    return shape


class Full(Op):
    """y = one number everywhere.

    Attributes:
        shape: the shape of the result.
        fill_value: the number.
        dtype: the dtype of the result.
    """

    shape: tuple[int, ...]
    fill_value: float
    dtype: DType
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A matrix, a scalar, nothing."""
        for shape, value in (((2, 3), 1.5), ((), 0), ((0, 2), 1)):
            yield Sample(op(shape, value, float64), ())

    def type_rule(self) -> TensorType:
        """The shape and dtype asked for."""
        return TensorType(self.shape, self.dtype)

    def reference(self) -> Array:
        """`np.full`; for zero `np.zeros`, which takes fresh pages from the system as they are."""
        if self.fill_value == 0:
            return np.zeros(self.shape, self.dtype.numpy)
        return np.full(self.shape, self.fill_value, self.dtype.numpy)


def _full(
    name: str, size: Any, value: float, dtype: Any, requires_grad: bool, device: object
) -> Tensor:
    if device is not None:
        check_device(device)
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    if kind.category == INTEGER:
        value = int(value)
        limits = np.iinfo(kind.numpy)
        if not limits.min <= value <= limits.max:
            raise DTypeError(
                f"{name}: {value} does not fit into {kind}",
                cure=f"its numbers go from {limits.min} to {limits.max}; choose a wider dtype",
                location=str(user_location() or ""),
            )
    y = bind(Full(checked_shape(name, size), value, kind), *())
    return y.requires_grad_() if requires_grad else y


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """A tensor filled with one number; its dtype is the number's unless given.

    >>> import chainrule
    >>> chainrule.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if is_tensor(fill_value):
        return _filled_with(fill_value, checked_shape("full", (size,)), dtype, requires_grad)
    number = plain_number("full", fill_value)
    if dtype is None:
        dtype = bool_ if number is True or number is False else None
        dtype = int64 if dtype is None and isinstance(number, int) else dtype
    return _full("full", (size,), number, dtype, requires_grad, device)


def _filled_with(
    value: Any, shape: tuple[int, ...], dtype: DType | None, requires_grad: bool
) -> Tensor:
    """A zero-dimensional tensor's number everywhere, without looking at it."""
    y = value.detach().expand(shape).clone()
    y = y if dtype is None else cast(y, as_dtype(dtype))
    return y.requires_grad_() if requires_grad else y


def plain_number(name: str, number: Any) -> Any:
    """A Python number; a tensor of one element is read, NumPy's scalars are made plain."""
    if is_tensor(number):
        number = read(number)
    if hasattr(number, "item") and number.size == 1:
        number = number.item()
    if isinstance(number, bool | int | float):
        return number
    cure = "pass a number"
    if isinstance(number, complex):
        cure = "there are no complex dtypes: keep real and imaginary parts in two tensors"
    raise DTypeError(
        f"{name}: {number!r} is not a real number", cure=cure, location=str(user_location() or "")
    )


def zeros(
    *size: Any, dtype: DType | None = None, requires_grad: bool = False, device: object = None
) -> Tensor:
    """A tensor of zeros.

    >>> import chainrule
    >>> chainrule.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return _full("zeros", size, 0, dtype, requires_grad, device)


def ones(
    *size: Any, dtype: DType | None = None, requires_grad: bool = False, device: object = None
) -> Tensor:
    """A tensor of ones; the size is a sequence, or numbers one by one.

    >>> import chainrule
    >>> chainrule.ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    return _full("ones", size, 1, dtype, requires_grad, device)


def empty(
    *size: Any, dtype: DType | None = None, requires_grad: bool = False, device: object = None
) -> Tensor:
    """A tensor whose elements nobody should rely on. Here they are zeros: ops are pure.

    >>> import chainrule
    >>> chainrule.empty((2, 0)).shape
    (2, 0)
    """
    return _full("empty", size, 0, dtype, requires_grad, device)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """One number in the shape and dtype of another tensor.

    >>> import chainrule
    >>> chainrule.full_like(chainrule.tensor([[1, 2]]), 7)
    tensor([[7, 7]])
    """
    kind = input.dtype if dtype is None else dtype
    number = plain_number("full_like", fill_value)
    return _full("full_like", (input.value.shape,), number, kind, requires_grad, device)


def zeros_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """Zeros in the shape and dtype of another tensor.

    >>> import chainrule
    >>> chainrule.zeros_like(chainrule.tensor([1, 2]), dtype=chainrule.float32)
    tensor([0., 0.])
    """
    kind = input.dtype if dtype is None else dtype
    return _full("zeros_like", (input.value.shape,), 0, kind, requires_grad, device)


def ones_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """Ones in the shape and dtype of another tensor.

    >>> import chainrule
    >>> chainrule.ones_like(chainrule.tensor([[0.5], [0.5]]))
    tensor([[1.],
            [1.]])
    """
    kind = input.dtype if dtype is None else dtype
    return _full("ones_like", (input.value.shape,), 1, kind, requires_grad, device)


def empty_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """`empty` in the shape and dtype of another tensor.

    >>> import chainrule
    >>> chainrule.empty_like(chainrule.tensor([1, 2])).dtype
    chainrule.int64
    """
    return zeros_like(input, dtype=dtype, requires_grad=requires_grad, device=device)


def scalar_tensor(
    s: Any, *, dtype: DType | None = None, requires_grad: bool = False, device: object = None
) -> Tensor:
    """A number as a zero-dimensional tensor, in the default dtype unless given.

    >>> import chainrule
    >>> chainrule.scalar_tensor(3)
    tensor(3.)
    """
    number = plain_number("scalar_tensor", s)
    return _full("scalar_tensor", (), number, dtype, requires_grad, device)


class Eye(Op):
    """y = ones on the main diagonal, zeros elsewhere.

    Attributes:
        shape: rows and columns.
        dtype: the dtype of the result.
    """

    shape: tuple[int, int]
    dtype: DType
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Square, wide, empty."""
        for shape in ((3, 3), (2, 4), (0, 0)):
            yield Sample(op(shape, float64), ())

    def type_rule(self) -> TensorType:
        """A matrix."""
        return TensorType(self.shape, self.dtype)

    def reference(self) -> Array:
        """`np.eye`."""
        return np.eye(*self.shape, dtype=self.dtype.numpy)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """The identity matrix of n rows and m (or n) columns.

    >>> import chainrule
    >>> chainrule.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    check_device(device)
    rows, columns = checked_shape("eye", (n, n if m is None else m))
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    y = bind(Eye((rows, columns), kind), *())
    return y.requires_grad_() if requires_grad else y
