"""Numbers in a row: arange, linspace, logspace. They take what the functions of `create` take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import DType, as_dtype, float64, get_default_dtype, int64
from chainrule.core.interpret import bind
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import TensorType
from chainrule.errors import ShapeError
from chainrule.ops.create import check_device, checked_shape, plain_number

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["arange", "linspace", "logspace"]


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
    problem, cure = "", "give step the sign of end - start"
    if not all(map(math.isfinite, (first, last, distance))):
        problem, cure = "start, end and step must be finite", "give numbers that are"
    elif distance == 0:
        problem = "step must not be 0"
    elif (last - first) * distance < 0:
        problem = f"step {distance} leads away from end {last}"
    if problem:
        raise ShapeError(
            f"arange({first}, {last}, {distance}): {problem}",
            cure=cure,
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
    """`steps` numbers from base^start to base^end, each the same multiple of the one before.

    >>> import chainrule
    >>> chainrule.logspace(0, 4, 3, base=2)
    tensor([ 1.,  4., 16.])
    """
    check_device(device)
    y = _spaced("logspace", (start, end, steps), base, dtype)
    return y.requires_grad_() if requires_grad else y
