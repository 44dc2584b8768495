"""`Tensor`: PyTorch's names and conventions over the ops.

A tensor is a value (a NumPy array, or a symbol under a trace) and what the tape knows of it. This
file has what is a tensor's own: how it is made, read, written to and differentiated. Its
mathematics are the functions of `ops`, attached as methods at the bottom.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from chainrule import ops
from chainrule.autograd import backward as run_backward
from chainrule.autograd import hooks
from chainrule.autograd.inplace import in_place_method, put
from chainrule.autograd.tape import refresh_view
from chainrule.core.base import TensorBase, is_tensor
from chainrule.core.dtypes import DType, from_numpy_dtype
from chainrule.core.interpret import lift, read
from chainrule.core.location import user_location
from chainrule.core.op import Array
from chainrule.core.types import TensorType
from chainrule.errors import AutogradError, ChainruleError, DTypeError, ShapeError
from chainrule.ops.description import Size
from chainrule.ops.from_data import tensor
from chainrule.tensor_methods import TensorMethods

__all__ = ["Tensor"]


class Tensor(TensorMethods):
    """An n-dimensional array that gradients can flow through.

    Make one with `chainrule.tensor(...)`, `zeros`, `randn`, `from_numpy` and kin.

    >>> import chainrule
    >>> x = chainrule.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_priority__ = 1000  # so that array + tensor asks the tensor

    def __init__(self, data: Any = (), *, requires_grad: bool = False) -> None:
        fresh = TensorBase.around((data if is_tensor(data) else tensor(data)).value)
        for name in TensorBase.__slots__:
            setattr(self, name, getattr(fresh, name))
        if requires_grad:
            self.requires_grad_()

    # -- what it is ---------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return Size(self.value.shape)

    @property
    def dtype(self) -> DType:
        """The dtype of its elements."""
        return from_numpy_dtype(self.value.dtype)

    @property
    def type(self) -> TensorType:
        """Shape and dtype together, printed as `f32[32,784]`.

        A property, where PyTorch has a method that converts to a type by its name: use `.to()`.
        """
        return TensorType(self.value.shape, from_numpy_dtype(self.value.dtype))

    @property
    def device(self) -> str:
        """`"cpu"`, always."""
        return "cpu"

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.value.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.value.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.type.nbytes

    @property
    def mT(self) -> Tensor:
        """The last two dimensions swapped: a view."""
        return ops.movement.transpose(self, -2, -1)

    @property
    def T(self) -> Tensor:
        """All dimensions in reverse order: a view."""
        return ops.movement.permute(self, *reversed(range(self.ndim)))

    # -- reading it ---------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> Array:
        """The NumPy array that is its memory: shared, not copied.

        Args:
            force: also where gradients are required, as `.detach().numpy()`.

        Raises:
            AutogradError: it requires gradients.

        >>> import chainrule
        >>> x = chainrule.zeros(2)
        >>> x.numpy()[0] = 5
        >>> x
        tensor([5., 0.])
        """
        if self.tracked and not force:
            _fail(
                AutogradError,
                "numpy: this tensor requires gradients, and NumPy would not know",
                "use .detach().numpy()",
            )
        return read(self)

    def item(self) -> Any:
        """Its one element as a Python number.

        Raises:
            ShapeError: there is not exactly one element.

        >>> import chainrule
        >>> chainrule.tensor([[1.5]]).item()
        1.5
        """
        if self.numel() != 1:
            _fail(
                ShapeError,
                f"item: only a tensor of one element is a number, not {self.type}",
                "index or reduce it first; .tolist() gives nested lists",
            )
        return read(self).item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers; a number for a zero-dimensional tensor.

        >>> import chainrule
        >>> chainrule.tensor([[1, 2], [3, 4]]).tolist(), chainrule.tensor(5).tolist()
        ([[1, 2], [3, 4]], 5)
        """
        return read(self).tolist()

    def __bool__(self) -> bool:
        return ops.description.is_nonzero(self)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.value.dtype.kind not in "biu" or self.numel() != 1:
            _fail(
                DTypeError,
                f"only an integer tensor of one element can be an index, not {self.type}",
                "convert it with .item() or .long() first",
            )
        return int(self.item())

    def __len__(self) -> int:
        if not self.value.shape:
            _fail(DTypeError, "a zero-dimensional tensor has no length", "use .item()")
        return self.value.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.value.shape:
            _fail(DTypeError, "a zero-dimensional tensor can't be iterated over", "use .item()")
        return (self[index] for index in range(self.value.shape[0]))

    def __contains__(self, element: Any) -> bool:
        return bool(read(ops.compare.eq(self, element)).any())

    def __repr__(self) -> str:
        from chainrule.printing import tensor_text

        return tensor_text(self)

    def __format__(self, format_spec: str) -> str:
        return format(repr(self) if self.value.shape else self.item(), format_spec)

    # -- other libraries, copies --------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_wrap__(self, array: Array, context: Any = None, return_scalar: bool = False) -> Any:
        return lift(np.asarray(array))  # numpy.sin(tensor) is a tensor

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**{k: v for k, v in options.items() if v is not None})

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # kDLCPU

    def __copy__(self) -> Tensor:
        return self._rebuilt(self.value, dict(self.__dict__))

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        from copy import deepcopy

        known = memo.get(id(self))
        if known is not None:
            return known
        if not self.is_leaf:
            _fail(
                AutogradError,
                "deepcopy: only a leaf can be copied, and this is the result of "
                f"{self.grad_fn.name}",
                "copy its values with .detach().clone()",
            )
        y = memo[id(self)] = self._rebuilt(read(self).copy(), {})
        y.__dict__.update(deepcopy(self.__dict__, memo))
        y.grad = deepcopy(self.grad, memo)
        return y

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (self.__class__, read(self), self.requires_grad, dict(self.__dict__))

    def _rebuilt(self, value: Any, attributes: dict[str, Any]) -> Tensor:
        return _rebuild(self.__class__, value, self.requires_grad, attributes)

    # -- writing to it ------------------------------------------------------------------------

    def put_(self, source: Tensor, by: str = "copy_") -> Tensor:
        """Write `source` into this tensor's memory in the name of the in-place method `by`."""
        put(self, source, by)
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, unknown to the tape: changes made through it are not noticed.

        Assigning to it exchanges the memory. Prefer `detach()` and `no_grad()`, which are safe.
        """
        return Tensor.around(self.value)

    @data.setter
    def data(self, new: Tensor) -> None:
        if new.value.dtype != self.value.dtype:
            _fail(
                DTypeError,
                f"data: a {self.type} tensor can't take over the memory of {new.type}",
                "convert it to the same dtype first",
            )
        self.value = new.value

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
        """Ask for gradients (of floats only), or no longer (of leaves only).

        >>> import chainrule
        >>> x = chainrule.tensor([1.0]).requires_grad_()
        >>> (x * x).requires_grad
        True
        """
        if requires_grad and self.value.dtype.kind != "f":
            _fail(
                DTypeError,
                f"requires_grad: only float tensors have gradients, not {self.type}",
                "convert it with .float()",
            )
        if not requires_grad and self.node is not None:
            _fail(
                AutogradError,
                "requires_grad: it can be turned off for leaves only",
                "use .detach()",
            )
        self.tracked = requires_grad
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward passes have added up; None before the first.

        Assigning another shape or dtype is a `ShapeError`.
        """
        return self.gradient

    @grad.setter
    def grad(self, grad: Tensor | None) -> None:
        if grad is not None:
            new, own = grad.value, self.value
            if new.shape != own.shape or new.dtype != own.dtype:
                _fail(
                    ShapeError,
                    f"grad: {grad.type} can't be the gradient of {self.type}",
                    "a gradient has the shape and the dtype of its tensor",
                )
        self.gradient = grad

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
        """Add d(self)/d(leaf) to the `.grad` of every leaf it depends on.

        Args:
            gradient: what to start from, of its shape; a scalar starts from 1.
            retain_graph: keep what the ops saved, for another pass; `create_graph` unless given.
            create_graph: record the pass itself, for derivatives of derivatives.
            inputs: the tensors whose `.grad` to add to; None for all leaves.

        Raises:
            AutogradError: it is no scalar and has no `gradient`, nothing in it requires gradients,
                or what the ops saved is gone.

        >>> import chainrule
        >>> x = chainrule.tensor([1.0, 2.0], requires_grad=True)
        >>> (x**3).backward(chainrule.tensor([1.0, 10.0]))
        >>> x.grad
        tensor([  3., 120.])
        """
        run_backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same memory, cut off from the tape.

        What is written to it is seen by both.

        >>> import chainrule
        >>> x = chainrule.tensor([1.0], requires_grad=True)
        >>> (x * 2).detach().requires_grad
        False
        """
        y = Tensor.around(self.value)
        y.counter = self.version_counter()
        return y

    def detach_(self) -> Tensor:
        """Cut it off from the tape: a leaf from now on. A view can't be: `AutogradError`."""
        if self.view_of is not None:
            _fail(AutogradError, "detach_: a view can't be detached in place", "use .detach()")
        self.node, self.output_index, self.tracked = None, 0, False
        return self

    retain_grad = hooks.retain_grad
    register_hook = hooks.register_hook
    register_post_accumulate_grad_hook = hooks.register_post_accumulate_grad_hook

    @property
    def retains_grad(self) -> bool:
        """Whether it keeps its gradient although it is no leaf."""
        node = self.grad_fn
        watchers = node.watchers if node is not None else None
        return watchers is not None and self.output_index in watchers.retained

    # -- operators ----------------------------------------------------------------------------

    __add__ = __radd__ = ops.arithmetic.plus
    __sub__ = ops.arithmetic.minus
    __rsub__ = ops.arithmetic.rsub
    __mul__ = __rmul__ = ops.arithmetic.times
    __truediv__ = ops.arithmetic.div
    __floordiv__ = ops.division.floor_divide
    __mod__ = ops.division.remainder
    __pow__ = ops.powers.pow
    __matmul__ = ops.matmul.matmul
    __getitem__ = ops.indexing.getitem
    __setitem__ = ops.indexing.setitem
    __neg__ = ops.arithmetic.neg
    __pos__ = ops.arithmetic.positive
    __abs__ = ops.elementwise.abs
    __and__ = __rand__ = ops.bitwise.bitwise_and
    __or__ = __ror__ = ops.bitwise.bitwise_or
    __xor__ = __rxor__ = ops.bitwise.bitwise_xor
    __invert__ = ops.bitwise.bitwise_not
    __lshift__ = ops.bitwise.bitwise_left_shift
    __rshift__ = ops.bitwise.bitwise_right_shift
    __gt__ = ops.compare.gt
    __ge__ = ops.compare.ge
    __lt__ = ops.compare.lt
    __le__ = ops.compare.le

    __hash__ = object.__hash__  # a tensor is itself, whatever its elements

    def __eq__(self, other: Any) -> Any:
        return ops.compare.eq(self, other) if _is_operand(other) else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return ops.compare.ne(self, other) if _is_operand(other) else NotImplemented

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.arithmetic.div(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.division.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.division.remainder(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.powers.pow(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul.matmul(other, self)

    def __rlshift__(self, other: Any) -> Tensor:
        return ops.bitwise.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Tensor:
        return ops.bitwise.bitwise_right_shift(other, self)

    def where(self, condition: Tensor, other: Tensor | float) -> Tensor:
        """Its own elements where the condition holds, else `other`'s.

        >>> import chainrule
        >>> x = chainrule.tensor([1, -2])
        >>> x.where(x > 0, 0)
        tensor([1, 0])
        """
        return ops.compare.where(condition, self, other)


def _is_operand(value: Any) -> bool:
    """Whether `==` compares it element by element; anything else (None, a string) just differs."""
    return isinstance(value, TensorBase | int | float | np.generic | np.ndarray)


def _fail(error: type[ChainruleError], problem: str, cure: str) -> NoReturn:
    raise error(problem, cure=cure, location=str(user_location() or ""))


def _rebuild(
    kind: type[Tensor], value: Any, requires_grad: bool, attributes: dict[str, Any]
) -> Tensor:
    """A leaf around a value: what copying and unpickling make."""
    y = kind.around(value)
    y.tracked = requires_grad
    y.__dict__.update(attributes)
    return y


IN_PLACE_OPERATORS = {
    "__iadd__": "add_",
    "__isub__": "sub_",
    "__imul__": "mul_",
    "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_",
    "__imod__": "remainder_",
    "__ipow__": "pow_",
    "__iand__": "bitwise_and_",
    "__ior__": "bitwise_or_",
    "__ixor__": "bitwise_xor_",
    "__ilshift__": "bitwise_left_shift_",
    "__irshift__": "bitwise_right_shift_",
}
"""`x += y` is `x.add_(y)`, and so on."""


def _attach_methods() -> None:
    for name, function in ops.methods().items():
        if name not in Tensor.__dict__:
            setattr(Tensor, name, function)
    for name, function in ops.in_place_methods().items():
        setattr(Tensor, name, in_place_method(name, function))
    for operator, name in IN_PLACE_OPERATORS.items():
        setattr(Tensor, operator, getattr(Tensor, name))


_attach_methods()
