"""Tensors from nothing: zeros, ones, full, arange and kin, and from data: tensor, from_numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import DType, as_dtype, from_numpy_dtype, get_default_dtype
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Op
from chainrule.core.types import TensorType
from chainrule.ops.movement import shape_of

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["arange", "full", "full_like", "ones", "ones_like", "zeros", "zeros_like"]


@dataclass(frozen=True)
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

    def type_rule(self) -> TensorType:
        """The shape and dtype asked for."""
        return TensorType(self.shape, self.dtype)

    def reference(self) -> Array:
        """`np.full`."""
        return np.full(self.shape, self.fill_value, self.dtype.numpy)


def _full(shape: Any, value: float, dtype: Any, requires_grad: bool) -> Tensor:
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    y = bind(Full(tuple(shape), value, kind), *())
    return y.requires_grad_() if requires_grad else y


def full(
    size: Any, fill_value: float, *, dtype: DType | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor filled with one number; its dtype is the number's unless given."""
    kind = from_numpy_dtype(np.asarray(fill_value).dtype) if dtype is None else dtype
    if dtype is None and kind.is_floating_point:
        kind = get_default_dtype()
    return _full(size, fill_value, kind, requires_grad)


def zeros(*size: Any, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return _full(shape_of(size), 0, dtype, requires_grad)


def ones(*size: Any, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return _full(shape_of(size), 1, dtype, requires_grad)


def full_like(input: Tensor, fill_value: float, *, dtype: DType | None = None) -> Tensor:
    """One number in the shape and dtype of another tensor."""
    return _full(input.shape, fill_value, input.dtype if dtype is None else dtype, False)


def zeros_like(input: Tensor, *, dtype: DType | None = None) -> Tensor:
    """Zeros in the shape and dtype of another tensor."""
    return full_like(input, 0, dtype=dtype)


def ones_like(input: Tensor, *, dtype: DType | None = None) -> Tensor:
    """Ones in the shape and dtype of another tensor."""
    return full_like(input, 1, dtype=dtype)


@dataclass(frozen=True)
class Arange(Op):
    """y[i] = start + i step.

    Attributes:
        start: the first number.
        stop: the bound, not reached.
        step: the distance.
        dtype: the dtype of the result.
    """

    start: float
    stop: float
    step: float
    dtype: DType
    differentiable = False

    def type_rule(self) -> TensorType:
        """⌈(stop - start) / step⌉ numbers."""
        count = max(0, int(np.ceil((self.stop - self.start) / self.step)))
        return TensorType((count,), self.dtype)

    def reference(self) -> Array:
        """`np.arange`."""
        (count,) = self.type_rule().shape
        return (self.start + np.arange(count) * self.step).astype(self.dtype.numpy)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: DType | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from start up to, not including, end; `arange(end)` starts at 0."""
    first, last = (0, start) if end is None else (start, end)
    if dtype is None:
        whole = all(isinstance(each, int) for each in (first, last, step))
        dtype = as_dtype(int) if whole else get_default_dtype()
    y = bind(Arange(first, last, step, dtype), *())
    return y.requires_grad_() if requires_grad else y
