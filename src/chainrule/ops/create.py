"""Tensors from nothing: zeros, ones, full, arange, linspace, eye and kin.

What every one of them takes: `dtype` (the default dtype unless said otherwise), `requires_grad`,
and `device`, which can only be "cpu". PyTorch's `out=` and `layout=` are not there: a result is
always new, and always a dense array.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.base import TensorBase
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
    "arange",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "linspace",
    "logspace",
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
    if isinstance(fill_value, TensorBase):
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
    if isinstance(number, TensorBase):
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
    """A tensor of ones."""
    return _full("ones", size, 1, dtype, requires_grad, device)


def empty(
    *size: Any, dtype: DType | None = None, requires_grad: bool = False, device: object = None
) -> Tensor:
    """A tensor whose elements nobody should rely on. Here they are zeros: ops are pure."""
    return _full("empty", size, 0, dtype, requires_grad, device)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """One number in the shape and dtype of another tensor."""
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
    """Zeros in the shape and dtype of another tensor."""
    kind = input.dtype if dtype is None else dtype
    return _full("zeros_like", (input.value.shape,), 0, kind, requires_grad, device)


def ones_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """Ones in the shape and dtype of another tensor."""
    kind = input.dtype if dtype is None else dtype
    return _full("ones_like", (input.value.shape,), 1, kind, requires_grad, device)


def empty_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """`empty` in the shape and dtype of another tensor."""
    return zeros_like(input, dtype=dtype, requires_grad=requires_grad, device=device)


def scalar_tensor(
    s: Any, *, dtype: DType | None = None, requires_grad: bool = False, device: object = None
) -> Tensor:
    """A number as a zero-dimensional tensor, in the default dtype unless given."""
    number = plain_number("scalar_tensor", s)
    return _full("scalar_tensor", (), number, dtype, requires_grad, device)


class Arange(Op):
    """y[i] = start + i step.

    Attributes:
        start: the first number.
        step: the distance.
        count: how many.
        dtype: the dtype of the result.
    """

    start: float
    step: float
    count: int
    dtype: DType
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Upwards in integers, downwards in floats, none."""
        yield Sample(op(2, 3, 4, int64), ())
        yield Sample(op(1.0, -0.25, 5, float64), ())
        yield Sample(op(1, 1, 0, int64), ())

    def type_rule(self) -> TensorType:
        """`count` numbers."""
        return TensorType((self.count,), self.dtype)

    def reference(self) -> Array:
        """The products, not the running sum: errors do not add up. In float64, then rounded."""
        return (self.start + np.arange(self.count) * self.step).astype(self.dtype.numpy)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """Numbers from start up to, not including, end; `arange(end)` starts at 0.

    There are ⌈(end - start) / step⌉ of them, int64 if all three are integers, else floats.

    >>> import chainrule
    >>> chainrule.arange(1, 2.5, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
    check_device(device)
    numbers = (0, start, step) if end is None else (start, end, step)
    first, last, distance = [plain_number("arange", each) for each in numbers]
    if dtype is None:
        whole = all(isinstance(each, int) for each in (first, last, distance))
        kind = int64 if whole else get_default_dtype()
    else:
        kind = as_dtype(dtype)
    if kind is int64 and all(map(math.isfinite, (first, last, distance))):
        first, last, distance = int(first), int(last), int(distance)
    problem = ""
    if not all(map(math.isfinite, (first, last, distance))):
        problem = "start, end and step must be finite"
    elif distance == 0:
        problem = "step must not be 0"
    elif (last - first) * distance < 0:
        problem = f"step {distance} leads away from end {last}"
    if problem:
        raise ShapeError(
            f"arange({first}, {last}, {distance}): {problem}",
            cure="give step the sign of end - start",
            location=str(user_location() or ""),
        )
    count = _steps(first, last, distance)
    if not kind.is_floating_point:  # PyTorch: narrow integers are counted before they are whole
        first, distance = int(first), int(distance)
    y = bind(Arange(first, distance, count, kind), *())
    return y.requires_grad_() if requires_grad else y


def _steps(first: float, last: float, distance: float) -> int:
    """⌈(last - first) / distance⌉, in integers where all are."""
    if isinstance(first, int) and isinstance(last, int) and isinstance(distance, int):
        return -((first - last) // distance)
    return math.ceil((last - first) / distance)


class Linspace(Op):
    """y[i] = start + i (end - start) / (steps - 1).

    Attributes:
        start: the first number.
        end: the last.
        steps: how many.
        base: None; for `logspace`, the number that is raised to those powers.
        dtype: the dtype of the result.
    """

    start: float
    end: float
    steps: int
    base: float | None
    dtype: DType
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Some, one, none; powers."""
        for steps in (5, 1, 0):
            yield Sample(op(-1.0, 2.0, steps, None, float64), ())
        yield Sample(op(0.0, 2.0, 3, 10.0, float64), ())

    def type_rule(self) -> TensorType:
        """`steps` numbers."""
        return TensorType((self.steps,), self.dtype)

    def reference(self) -> Array:
        """In float64, then rounded; the second half from the end, so that both ends are exact."""
        if self.steps == 1:
            y = np.array([self.start], np.float64)
        else:
            step = (self.end - self.start) / max(self.steps - 1, 1)
            index = np.arange(self.steps)
            from_end = self.end - (self.steps - 1 - index) * step
            y = np.where(index < self.steps // 2, self.start + index * step, from_end)
        return (y if self.base is None else self.base**y).astype(self.dtype.numpy)


def _spaced(name: str, op_values: tuple[Any, Any, Any], base: Any, dtype: Any) -> Any:
    start, end, steps = op_values
    (count,) = checked_shape(name, (steps,))
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    first, last = float(plain_number(name, start)), float(plain_number(name, end))
    power = None if base is None else float(plain_number(name, base))
    return bind(Linspace(first, last, count, power, kind), *())


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """`steps` numbers at equal distances from start to end, both included.

    >>> import chainrule
    >>> chainrule.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check_device(device)
    y = _spaced("linspace", (start, end, steps), None, dtype)
    return y.requires_grad_() if requires_grad else y


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: object = None,
) -> Tensor:
    """`steps` numbers from base^start to base^end, each the same multiple of the one before."""
    check_device(device)
    y = _spaced("logspace", (start, end, steps), base, dtype)
    return y.requires_grad_() if requires_grad else y


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
    """The identity matrix of n rows and m (or n) columns."""
    check_device(device)
    rows, columns = checked_shape("eye", (n, n if m is None else m))
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    y = bind(Eye((rows, columns), kind), *())
    return y.requires_grad_() if requires_grad else y
