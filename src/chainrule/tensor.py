"""`Tensor`: PyTorch's names and conventions over the ops.

A tensor is a value (a NumPy array, or a symbol under a trace) and what the tape knows of it. This
file has what is a tensor's own: how it is made, read, written to and differentiated. Its
mathematics are the functions of `ops`, attached as methods at the bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.autograd import backward as run_backward
from chainrule.autograd.inplace import put
from chainrule.autograd.tape import refresh_view
from chainrule.core.base import TensorBase
from chainrule.core.dtypes import DType, as_dtype, from_numpy_dtype, get_default_dtype
from chainrule.core.interpret import lift, read
from chainrule.core.location import user_location
from chainrule.core.op import Array
from chainrule.core.types import TensorType
from chainrule.errors import AutogradError, DTypeError, ShapeError
from chainrule.ops.promotion import cast
from chainrule.tensor_methods import TensorMethods

__all__ = ["Tensor", "as_tensor", "from_numpy", "tensor"]


class Tensor(TensorMethods):
    """An n-dimensional array that gradients can flow through.

    Make one with `chainrule.tensor(...)`, `zeros`, `randn`, `from_numpy` and kin.

    >>> import chainrule
    >>> x = chainrule.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    grad: Tensor | None = None
    __array_priority__ = 1000  # so that array + tensor asks the tensor

    def __init__(self, data: Any = (), *, requires_grad: bool = False) -> None:
        self.value = tensor(data).value if not isinstance(data, TensorBase) else data.value
        if requires_grad:
            self.requires_grad = True

    @classmethod
    def from_value(cls, value: Any) -> Tensor:
        """A tensor around a value of the current interpreter, without a copy or a check."""
        y = Tensor.__new__(Tensor)
        y.value = value
        return y

    # -- what it is ---------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return self.value.shape

    @property
    def dtype(self) -> DType:
        """The dtype of its elements."""
        return from_numpy_dtype(self.value.dtype)

    @property
    def type(self) -> TensorType:
        """Shape and dtype together, printed as `f32[32,784]`."""
        return TensorType(self.value.shape, from_numpy_dtype(self.value.dtype))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.value.shape)

    def numel(self) -> int:
        """The number of elements."""
        return self.type.size

    def __len__(self) -> int:
        if not self.shape:
            raise DTypeError("a zero-dimensional tensor has no length")
        return self.shape[0]

    @property
    def mT(self) -> Tensor:
        """The last two dimensions swapped: a view."""
        return ops.movement.transpose(self, -2, -1)

    @property
    def T(self) -> Tensor:
        """All dimensions in reverse order: a view."""
        return ops.movement.permute(self, *reversed(range(self.ndim)))

    # -- reading it ---------------------------------------------------------------------------

    def numpy(self) -> Array:
        """The NumPy array that is its memory: shared, not copied.

        Raises:
            AutogradError: it requires gradients; `.detach()` it first.
        """
        if self.tracked:
            raise AutogradError(
                "numpy: this tensor requires gradients, and NumPy would not know",
                cure="use .detach().numpy()",
                location=str(user_location() or ""),
            )
        return read(self)

    def item(self) -> Any:
        """Its one element as a Python number."""
        if self.numel() != 1:
            raise ShapeError(
                f"item: only a tensor of one element is a number, not {self.type}",
                cure="index or reduce it first; .tolist() gives nested lists",
                location=str(user_location() or ""),
            )
        return read(self).item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers; a number for a zero-dimensional tensor."""
        return read(self).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[Tensor]:
        for index in range(len(self)):
            yield self[index]

    def __repr__(self) -> str:
        from chainrule.printing import tensor_text

        return tensor_text(self)

    # -- writing to it ------------------------------------------------------------------------

    def put_(self, source: Tensor, by: str = "copy_") -> Tensor:
        """Write `source` into this tensor's memory in the name of the in-place method `by`."""
        put(self, source, by)
        return self

    def copy_(self, src: Any) -> Tensor:
        """Copy the elements of `src`, broadcast, in its dtype converted."""
        (source,) = ops.promotion.promote(src)
        return self.put_(cast(source, self.dtype).expand(self.shape), "copy_")

    # -- differentiating it -------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it."""
        if self.view_of is not None:
            refresh_view(self)
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients, or no longer."""
        if requires_grad and self.value.dtype.kind != "f":
            raise DTypeError(
                f"requires_grad: only float tensors have gradients, not {self.type}",
                cure="convert it with .float()",
                location=str(user_location() or ""),
            )
        if not requires_grad and self.node is not None:
            raise AutogradError(
                "requires_grad: it can be turned off for leaves only",
                cure="use .detach()",
                location=str(user_location() or ""),
            )
        self.tracked = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made it."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Any:
        """The tape's record of the op that made it; None for a leaf."""
        if self.view_of is not None:
            refresh_view(self)
        return self.node

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add d(self)/d(leaf) to the `.grad` of every leaf it depends on."""
        run_backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same memory, cut off from the tape."""
        y = Tensor.__new__(Tensor)
        y.value = self.value
        y.counter = self.version_counter()
        return y

    def accumulate_grad(self, bar: Tensor, shared: set[int], create_graph: bool) -> None:
        """Add a cotangent to `.grad`; memory that someone else holds too is copied first."""
        if bar.value.shape != self.value.shape:
            raise ShapeError(
                f"backward: a gradient of {bar.type} arrived at a leaf of {self.type}",
                cure="the backward of the op that sent it is wrong",
            )
        known = self.grad
        if known is not None:
            if create_graph:
                self.grad = known + bar
            else:
                put(known, known + bar, "backward")
            return
        if not create_graph:
            array = bar.value
            if bar.view_of is not None or id(array) in shared:
                bar = bar.clone()
            shared.add(id(array))
        self.grad = bar

    # -- operators ----------------------------------------------------------------------------

    __add__ = __radd__ = ops.arithmetic.add
    __sub__ = ops.arithmetic.sub
    __mul__ = __rmul__ = ops.arithmetic.mul
    __truediv__ = ops.arithmetic.div
    __pow__ = ops.arithmetic.pow
    __invert__ = ops.compare.logical_not
    __neg__ = ops.arithmetic.neg
    __matmul__ = ops.matmul.matmul
    __gt__ = ops.compare.gt
    __lt__ = ops.compare.lt
    __eq__ = ops.compare.eq

    def __rsub__(self, other: Any) -> Tensor:
        return ops.arithmetic.sub(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.arithmetic.div(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.arithmetic.pow(other, self)

    def where(self, condition: Tensor, other: Tensor | float) -> Tensor:
        """Its own elements where the condition holds, else `other`'s."""
        return ops.compare.where(condition, self, other)

    def to(self, dtype: DType) -> Tensor:
        """Converted to a dtype; itself where nothing changes."""
        return cast(self, as_dtype(dtype))


def tensor(data: Any, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of the data: numbers, nested lists, arrays.

    Floats become the default dtype (float32), integers int64, bools bool; NumPy arrays keep theirs.
    """
    array = np.array(read(data) if isinstance(data, TensorBase) else data)
    if dtype is not None:
        array = array.astype(dtype.numpy)
    elif array.dtype == np.float64 and not isinstance(data, np.ndarray | np.generic):
        array = array.astype(get_default_dtype().numpy)
    from_numpy_dtype(array.dtype)
    y = lift(array)
    return y.requires_grad_() if requires_grad else y


def from_numpy(array: Array) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    from_numpy_dtype(array.dtype)
    return lift(array)


def as_tensor(data: Any, *, dtype: DType | None = None) -> Tensor:
    """The data as a tensor, shared where it can be, copied where it must."""
    if isinstance(data, Tensor):
        y = data
    else:
        y = from_numpy(data) if type(data) is np.ndarray else tensor(data)
    return y if dtype is None else y.to(dtype)


def _in_place(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The in-place form of an op's function: compute the new value, then put it there."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        put(self, function(self, *args, **kwargs), name)
        return self

    method.__name__, method.__doc__ = name, f"`{function.__name__}`, in place."
    return method


def _attach_methods() -> None:
    for name, function in ops.methods().items():
        if name not in Tensor.__dict__:
            setattr(Tensor, name, function)
    for name, function in ops.in_place_methods().items():
        setattr(Tensor, name, _in_place(name, function))


_attach_methods()
