"""`Function`: an operation of the user's, with a derivative of the user's own.

    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x ** 3

        @staticmethod
        def backward(ctx, y_bar):
            (x,) = ctx.saved_tensors
            return y_bar * 3 * x ** 2

    y = Cube.apply(x)

`forward` runs unrecorded; its outputs get one node, whose derivative is `backward`. Since that is
written in tensor operations, it is recorded in its turn when a second derivative is wanted. With
`setup_context(ctx, inputs, output)` beside it, `forward` takes no ctx, as in PyTorch. `jvp(ctx,
*tangents)` is the derivative for forward mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from chainrule.autograd.forward import ForwardMode
from chainrule.autograd.function_context import FunctionCtx, fail
from chainrule.autograd.grad_mode import is_grad_enabled, no_grad
from chainrule.autograd.tape import Node, SavedOutput, Tape
from chainrule.core.base import as_tuple, is_tensor
from chainrule.core.families import LinearOp
from chainrule.core.interpret import Stack, bind, current_stack, lift, using
from chainrule.core.location import user_location
from chainrule.core.op import Array, Bars, Needs, Op
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import DTypeError, ShapeError
from chainrule.ops.promotion import cast

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class _Custom(Op, family=True):
    """What a custom function is to the tape; made for each call.

    Attributes:
        function: the `Function`.
        ctx: what its forward left.
        argument_of_input: the position among the arguments of each tensor.
        arguments: how many arguments there were.
        output_types: the type of each output; None for one that is no tensor.
    """

    function: type[Function]
    ctx: FunctionCtx
    argument_of_input: tuple[int, ...]
    arguments: int
    output_types: tuple[TensorType | None, ...]

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """What `backward` makes of the cotangents, checked."""
        bars: list[Any] = list(as_tuple(y_bar))
        if self.ctx.materialize_grads:
            bars = [
                lift(np.zeros(kind.shape, kind.dtype.numpy))
                if bar is None and kind is not None
                else bar
                for bar, kind in zip(bars, self.output_types, strict=True)
            ]
        given = self.function.backward(self.ctx, *bars)
        listed = list(as_tuple(given))
        while len(listed) > self.arguments and listed[-1] is None:
            listed.pop()
        if len(listed) != self.arguments:
            fail(
                f"{self.function.__name__}.backward returned {len(listed)} gradients for "
                f"{self.arguments} arguments of forward",
                "return one per argument, None for what has no gradient",
            )
        for position, bar in enumerate(listed):
            if bar is not None and position not in self.argument_of_input:
                fail(
                    f"{self.function.__name__}.backward returned a gradient for argument "
                    f"{position}, which is not a tensor",
                    "return None for it",
                )
        return tuple(
            self._checked(position, listed[position], x) if need else None
            for position, x, need in zip(self.argument_of_input, inputs, needs, strict=True)
        )

    def _checked(self, position: int, bar: Any, x: TensorType) -> Any:
        """One gradient in the shape and dtype of its input."""
        if bar is None:
            return None
        what = f"{self.function.__name__}.backward"
        if not is_tensor(bar):
            raise DTypeError(
                f"{what} returned a {type(bar).__name__} as the gradient of argument {position}",
                cure="return tensors, or None",
            )
        tensor: Any = bar
        if broadcast_shapes_or_none([x.shape, tensor.shape]) != tensor.shape:
            raise ShapeError(
                f"{what} returned a gradient of {tensor.type} for argument {position}, "
                f"which is {x}",
                cure="a gradient has the shape of what it belongs to",
                function=self.function.__name__,
            )
        # A view, so that whoever accumulates it knows that the memory is somebody's.
        tensor = cast(tensor.sum_to_size(x.shape), x.dtype)
        return tensor.reshape(x.shape)


@functools.cache
def _custom_op(name: str, outputs: int) -> type[_Custom]:
    """An op class under the function's name, with as many outputs."""
    return type(name, (_Custom,), {"outputs": outputs, "__module__": __name__}, family=True)


class FunctionNode(Node):
    """The node of a custom function: its derivative is `backward`, what it saved is in `ctx`."""

    def __init__(self, op: _Custom, inputs: tuple[Any, ...], outputs: Any) -> None:
        super().__init__(op, inputs, outputs, tuple([x.tracked for x in inputs]))
        self.ctx = op.ctx
        self.saved_outputs = None
        self.keeps = True
        self.location = user_location()
        self.differentiable: list[bool] = []

    @property
    def name(self) -> str:
        """As PyTorch prints it: `CubeBackward`."""
        return f"{type(self.op).__name__}Backward"

    def restore(self, index: int, kept: SavedOutput) -> Any:
        """One of its outputs as a tensor again."""
        y = lift(kept.value)
        y.tangents, y.counter = kept.tangents, kept.counter
        if self.differentiable[index]:
            y.node, y.output_index, y.tracked = self, index, True
        return y

    def free(self) -> None:
        """Forget the saved tensors."""
        if self.ctx.saved:
            self.ctx.saved = None


class Function:
    """A custom operation: subclass it, define `forward` and `backward`, call `apply`.

    >>> import chainrule
    >>> class Cube(chainrule.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, y_bar):
    ...         (x,) = ctx.saved_tensors
    ...         return y_bar * 3 * x**2
    >>> x = chainrule.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    forward: ClassVar[Callable[..., Any]]
    """`forward(ctx, *args)`, or `forward(*args)` where there is a `setup_context`."""

    setup_context: ClassVar[Callable[..., None] | None] = None
    """`setup_context(ctx, inputs, output)`: what to keep, apart from what to compute."""

    jvp: ClassVar[Callable[..., Any] | None] = None
    """`jvp(ctx, *tangents)`: the outputs' tangents; None stands for one that is zero."""

    def __init__(self) -> None:
        fail(
            f"{type(self).__name__}: a Function is not instantiated",
            f"call {type(self).__name__}.apply(...)",
        )

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient per argument of forward."""
        fail(
            "Function: there is no backward, and a gradient is wanted",
            "define a static method backward(ctx, *grad_outputs)",
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` on the arguments; gradients will go back through `backward`."""
        inputs = {i: x for i, x in enumerate(args) if is_tensor(x)}
        recording = is_grad_enabled()
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(
            i in inputs and args[i].requires_grad for i in range(len(args))
        )
        result = cls._run(ctx, args)
        outputs = _own(list(as_tuple(result)), inputs, ctx)
        if recording and any(ctx.needs_input_grad):
            cls._record(ctx, inputs, len(args), outputs)
        for index, layer in enumerate(current_stack().layers):
            if isinstance(layer, ForwardMode):
                cls._push(ctx, layer.level, index, args, outputs)
        ctx.saved_for_forward = ()  # used; an output among them would hold itself
        return tuple(outputs) if issubclass(type(result), tuple | list) else outputs[0]

    @classmethod
    def _run(cls, ctx: FunctionCtx, args: tuple[Any, ...]) -> Any:
        """The outputs, with neither tape nor forward mode looking."""
        with using(current_stack().without(Tape).without(ForwardMode)):
            if cls.setup_context is None:
                return cls.forward(ctx, *args)
            result = cls.forward(*args)
            cls.setup_context(ctx, args, result)
            return result

    @classmethod
    def _record(
        cls, ctx: FunctionCtx, inputs: dict[int, Any], arguments: int, outputs: list[Any]
    ) -> None:
        """Hang a node on the outputs."""
        types = tuple(y.type if is_tensor(y) else None for y in outputs)
        op = _custom_op(cls.__name__, len(outputs))(cls, ctx, tuple(inputs), arguments, types)
        some = next(iter(inputs.values()))  # stands in for an output that is no tensor
        blank = [y if is_tensor(y) else some for y in outputs]
        node = FunctionNode(op, tuple(inputs.values()), blank if len(blank) > 1 else blank.pop())
        ctx.keep_for(outputs, node)
        for index, y in enumerate(outputs):
            differentiable = (
                is_tensor(y) and y.value.dtype.kind == "f" and id(y) not in ctx.non_differentiable
            )
            node.differentiable.append(differentiable)
            if differentiable:
                y.node, y.output_index, y.tracked = node, index, True

    @classmethod
    def _push(
        cls, ctx: FunctionCtx, level: int, index: int, args: tuple[Any, ...], outputs: list[Any]
    ) -> None:
        """Give the outputs their tangents of one level of forward mode."""
        tangents: list[Any] = [
            x.tangents.get(level) if is_tensor(x) and x.tangents else None for x in args
        ]
        if all(tangent is None for tangent in tangents):
            return
        if cls.jvp is None:
            fail(
                f"{cls.__name__}: there is no jvp, and forward mode asks for one",
                "define a static method jvp(ctx, *tangents)",
            )
        stack = current_stack()
        with using(Stack(stack.base, stack.layers[:index])):
            y_dots = cls.jvp(ctx, *tangents)
        for y, y_dot in zip(outputs, as_tuple(y_dots), strict=True):
            if y_dot is not None:
                y.tangents = {**(y.tangents or {}), level: y_dot}


def _own(outputs: list[Any], inputs: dict[int, Any], ctx: FunctionCtx) -> list[Any]:
    """The outputs as tensors that a node can be hung on: an input returned as it is gets a twin."""
    dirty = {id(x) for x in ctx.dirty_tensors}
    if not dirty <= {id(y) for y in outputs}:
        fail(
            "mark_dirty: an input that was changed in place is not among the outputs",
            "return it",
        )
    owned: list[Any] = []
    seen: set[int] = {id(x) for x in inputs.values()} - dirty
    for y in outputs:
        if not is_tensor(y):
            owned.append(y)
            continue
        tensor: Any = y
        if id(y) in dirty:
            _check_dirty(tensor)
        elif id(y) in seen or y.tracked or y.view_of is not None:
            tensor = tensor.detach()
            if id(y) in ctx.non_differentiable:
                ctx.non_differentiable.add(id(tensor))
            ctx.to_save = tuple(tensor if x is y and id(y) not in seen else x for x in ctx.to_save)
        seen.add(id(y))
        owned.append(tensor)
    return owned


def _check_dirty(x: Any) -> None:
    if x.view_of is not None or (x.tracked and x.node is None):
        fail(
            "mark_dirty: a view, or a leaf that requires gradients, can't be changed in place here",
            "return a new tensor instead",
        )


class _Once(LinearOp, family=True):
    """y = x, once differentiated: the derivative of this raises."""

    function: str

    def type_rule(self, x: TensorType, *others: TensorType) -> TensorType:
        """The same type."""
        return x

    def reference(self, x: Array, *others: Array) -> Array:
        """The same numbers."""
        return x.copy()

    def transpose(self, y_bar: Any, *inputs: Any, needs: Needs) -> Bars:
        """There is none."""
        fail(
            f"{self.function} is marked once_differentiable, and was differentiated twice",
            "write its backward in tensor operations and take the mark away",
        )


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `backward` that can't be differentiated in its turn: it runs unrecorded.

    A second derivative then raises an `AutogradError`, also where it would go through what was
    saved only (PyTorch's is silently zero there).

    >>> import chainrule
    >>> from chainrule.autograd.function import Function, once_differentiable
    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, y_bar):
    ...         return 2 * ctx.saved_tensors[0] * y_bar
    >>> x = chainrule.tensor(3.0, requires_grad=True)
    >>> (slope,) = chainrule.autograd.grad(Square.apply(x), x, create_graph=True)
    >>> slope.detach()
    tensor(6.)
    >>> slope.backward()
    Traceback (most recent call last):
        ...
    chainrule.errors.AutogradError: Square.backward is marked once_differentiable, and ...
    """

    @functools.wraps(fn)
    def inside(ctx: Any, *bars: Any) -> Any:
        with no_grad():
            given = fn(ctx, *bars)
        roots = [x for x in (*bars, *ctx.saved_tensors) if is_tensor(x) and x.tracked]
        if not is_grad_enabled() or not roots:
            return given
        op = _Once(fn.__qualname__)
        return tuple(
            None if bar is None else bind(op, bar.detach(), *roots) for bar in as_tuple(given)
        )

    return inside
