"""Operands to tensors of one dtype: PyTorch's promotion, applied in one place.

Ops see only tensors that agree on their dtype; the functions in front of them call `pair`,
`promote` or `floating` first. What converts is an op too (`Cast`), so gradients flow back through
it in the operand's own dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Number
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.base import TensorBase, is_tensor
from chainrule.core.dtypes import (
    FLOAT,
    INTEGER,
    DType,
    bool_,
    float64,
    from_numpy_dtype,
    get_default_dtype,
    int64,
    promote_types,
)
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind, lift
from chainrule.core.location import user_location
from chainrule.core.op import Array, Bars, Needs, Sample
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Cast", "as_tensor_operand", "cast", "floating", "pair", "promote", "result_type"]

_SCALARS = (float, int, bool)
_TENSOR: Any = TensorBase  # for the hot paths: `isinstance` takes a third of `is_tensor`'s time


class Cast(LinearOp):
    """y = x in another dtype; the cotangent goes back in the dtype of x.

    Attributes:
        dtype: the dtype of the result.
    """

    dtype: DType

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Both ways between two floats."""
        yield Sample(op(float64), (np.linspace(-2.0, 2.0, 6).reshape(2, 3),))

    @property
    def differentiable(self) -> bool:  # type: ignore[override]  # other ops know it by their class
        """A cast to integers or bools cuts the gradient."""
        return self.dtype.is_floating_point

    def type_rule(self, x: TensorType) -> TensorType:
        """The same shape in `dtype`."""
        return TensorType(x.shape, self.dtype)

    def reference(self, x: Array) -> Array:
        """`x.astype(dtype)`."""
        return x.astype(self.dtype.numpy)

    def reference_for(self, *types: TensorType) -> Callable[[Array], Array]:
        """The array's own method, called with the dtype."""
        return methodcaller("astype", self.dtype.numpy)

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The cotangent in the input's dtype."""
        return (cast(y_bar, x.dtype),)


def cast(input: Any, dtype: DType) -> Tensor:
    """The tensor in another dtype; itself where nothing changes.

    >>> import chainrule
    >>> x = chainrule.tensor([1])
    >>> cast(x, x.dtype) is x, cast(x, chainrule.float32)
    (True, tensor([1.]))
    """
    return input if input.value.dtype == dtype.numpy else bind(Cast(dtype), input)


def result_type(*operands: Any) -> DType:
    """The dtype that an operation between these tensors and Python numbers computes in.

    >>> import chainrule
    >>> chainrule.result_type(chainrule.ones(3), 2.5)
    chainrule.float32
    >>> chainrule.result_type(chainrule.tensor([1, 2]), 2.5)
    chainrule.float32
    """
    with_dims: DType | None = None
    zero_dim: DType | None = None
    number: DType | None = None
    for operand in operands:
        if is_tensor(operand):
            dtype = from_numpy_dtype(operand.value.dtype)
            if operand.value.shape:
                with_dims = dtype if with_dims is None else promote_types(with_dims, dtype)
            else:
                zero_dim = dtype if zero_dim is None else promote_types(zero_dim, dtype)
        else:
            dtype = _number_dtype(operand)
            number = dtype if number is None else promote_types(number, dtype)
    result: DType | None = None
    for dtype in (with_dims, zero_dim, number):
        if result is None or (dtype is not None and dtype.category > result.category):
            result = dtype
    return result if result is not None else get_default_dtype()


def _number_dtype(number: Any) -> DType:
    if isinstance(number, bool | np.bool_):
        return bool_
    if isinstance(number, int | np.integer):
        return int64
    return get_default_dtype()


def pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of one dtype.

    >>> import chainrule
    >>> pair(chainrule.tensor([1, 2]), 0.5)
    (tensor([1., 2.]), tensor(0.5000))
    """
    try:
        if isinstance(a, _TENSOR):
            if isinstance(b, _TENSOR):
                if a.value.dtype is b.value.dtype:
                    return a, b
            elif type(b) in _SCALARS:
                dtype = a.value.dtype
                if dtype.kind == "f":
                    return a, lift(np.array(b, dtype))
        elif type(a) in _SCALARS and isinstance(b, _TENSOR):
            dtype = b.value.dtype
            if dtype.kind == "f":
                return lift(np.array(a, dtype)), b
    except OverflowError:
        pass  # an integer beyond all floats: `promote` says so
    both: Any = promote(a, b)
    return both


def promote(*operands: Any) -> tuple[Tensor, ...]:
    """Operands (tensors, Python numbers, NumPy arrays) as tensors of their common dtype.

    >>> import chainrule
    >>> [each.dtype for each in promote(chainrule.tensor([True]), chainrule.tensor([1]), 0.5)]
    [chainrule.float32, chainrule.float32, chainrule.float32]
    """
    if len(operands) == 1 and isinstance(operands[0], _TENSOR):
        return operands
    known = [as_tensor_operand(each) for each in operands]
    dtype = result_type(*known)
    return tuple(cast(each, dtype) if is_tensor(each) else _number(each, dtype) for each in known)


_NUMPY_NUMBERS: Any = (np.number, np.bool_)
_ARRAY: Any = np.ndarray
_NUMBER: Any = Number


def python_number(number: Any) -> Any:
    """NumPy's scalars as Python's numbers, anything else as it is."""
    return number.item() if isinstance(number, _NUMPY_NUMBERS) else number


def as_tensor_operand(operand: Any) -> Any:
    """A tensor or a Python number from what a user passes; anything else is a `DTypeError`.

    >>> as_tensor_operand(np.float32(0.5)), as_tensor_operand(np.arange(2))
    (0.5, tensor([0, 1]))
    """
    if is_tensor(operand) or type(operand) in _SCALARS:
        return operand
    if isinstance(operand, _ARRAY):
        array: Array = np.asarray(operand)
        from_numpy_dtype(array.dtype)  # raises for complex, strings, objects
        return lift(array)
    cure = "wrap lists with chainrule.tensor(...)"
    number = python_number(operand)
    if isinstance(number, _NUMBER):
        if not isinstance(number, complex):  # NumPy's scalars promote as Python's numbers do
            return number if isinstance(number, int) else float(number)
        cure = "there are no complex dtypes: keep real and imaginary parts in two tensors"
    raise DTypeError(
        f"expected a tensor or a real number, got {type(number).__name__}",
        cure=cure,
        location=str(user_location() or ""),
    )


def _number(number: Any, dtype: DType) -> Tensor:
    try:
        if dtype.category == INTEGER and isinstance(number, int):
            return lift(np.array(number, np.int64).astype(dtype.numpy))  # wraps as PyTorch's does
        return lift(np.array(number, dtype.numpy))
    except OverflowError:
        raise DTypeError(
            f"an integer of {number.bit_length()} bits does not fit into {dtype}",
            cure="use floats, or smaller numbers",
            location=str(user_location() or ""),
        ) from None


def floating(input: Any) -> Tensor:
    """The operand as a float tensor: integers and bools become the default dtype.

    >>> import chainrule
    >>> floating(chainrule.tensor([1, 2])), floating(chainrule.tensor([1.0]).half()).dtype
    (tensor([1., 2.]), chainrule.float16)
    """
    if isinstance(input, _TENSOR) and input.value.dtype.kind == "f":
        return input
    (tensor,) = promote(input)
    return cast(tensor, get_default_dtype()) if tensor.dtype.category != FLOAT else tensor
