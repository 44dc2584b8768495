"""The NumPy interpreter: carries an op out, now. The bottom of the stack unless one traces."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar, NoReturn

import numpy as np

from chainrule.autograd.tape import Tape
from chainrule.core.base import TensorBase, ViewOf
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Base, Run, Stack, enter, install, leave
from chainrule.core.location import user_location
from chainrule.core.memory import keep_freed_memory
from chainrule.core.op import Array, Op
from chainrule.core.types import type_of
from chainrule.errors import ChainruleError, DTypeError, OpError, ShapeError
from chainrule.tensor import Tensor

__all__ = ["Eager"]


class _Quiet(threading.local):
    """Runs NumPy without its floating-point warnings: 1/0 is inf here, as everywhere in this field.

    Entering `np.errstate` for every op costs more than most small ops; a context in which it was
    set once costs a tenth of that, and leaves the user's own settings alone.
    """

    def __init__(self) -> None:
        context = contextvars.copy_context()
        context.run(lambda: np.seterr(all="ignore"))
        self.run = context.run


_quiet = _Quiet()
value_of = attrgetter("value")


_FAILURES = (ValueError, TypeError, IndexError, OverflowError, MemoryError)
_plain: set[type[Op]] = set()
"""The ops met so far that are no coarse op, and have one output in memory of its own: most."""


def _quiet_call(quiet: bool, reference: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    values = map(value_of, inputs)
    return reference(*values) if quiet else _quiet.run(reference, *values)


class Eager(Base):
    """Values are NumPy arrays; an op is its reference."""

    quiet: ClassVar[bool] = False  # whether NumPy's warnings are off already

    def over(self, below: Stack) -> Run:
        """Run the reference (of a coarse op: its body) and wrap what it gives."""
        around, array, quiet = Tensor.around, np.ndarray, self.quiet  # looked up once, used a lot

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            if type(op) not in _plain:
                return general(op, inputs)
            try:
                if quiet:
                    result = op.reference(*map(value_of, inputs))
                else:
                    result = _quiet.run(op.reference, *map(value_of, inputs))
            except _FAILURES as error:
                raise _explain(op, inputs, error) from None
            return around(result if type(result) is array else np.asarray(result))

        def general(op: Op, inputs: tuple[Any, ...]) -> Any:
            reference: Any = None
            if isinstance(op, CoarseOp):
                _check_types(op, inputs)
                reference = getattr(op, "in_numpy", None)
                if reference is None:
                    return self.together(_run_body, op, inputs)
            elif op.outputs == 1 and not op.aliases:
                _plain.add(type(op))
            try:
                result = _quiet_call(quiet, reference or op.reference, inputs)
            except _FAILURES as error:
                raise _explain(op, inputs, error) from None
            if op.outputs > 1:
                return tuple([_wrap(each) for each in result])
            y = _wrap(result)
            if op.aliases:
                _link(op, inputs[0], y)
            return y

        return run

    def together(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of many ops with NumPy's warnings turned off once for all of them."""
        return _quiet.run(_with_stack, _inside, function, *args, **kwargs)

    def lift(self, value: Any) -> Tensor:
        """The array as a tensor that shares its memory."""
        return Tensor.around(value)

    def copy(self, tensor: TensorBase) -> Tensor:
        """A copy of the array."""
        return Tensor.around(tensor.value.copy())

    def assign(self, target: TensorBase, source: TensorBase) -> None:
        """Write through the memory, so that every view sees it."""
        value, new = target.value, source.value
        if new.dtype is not value.dtype and type_of(new).dtype.category > (
            type_of(value).dtype.category
        ):
            _refuse(
                DTypeError,
                f"a {type_of(new)} result can't be written into a {type_of(value)} tensor",
                "use the out-of-place form, or convert with .to(dtype)",
            )
        if not value.flags.writeable:
            _refuse(
                OpError,
                "this memory can't be written to (an expanded or read-only array)",
                ".clone() it first",
            )
        try:
            np.copyto(value, new, casting="unsafe")
        except ValueError:
            _refuse(
                ShapeError,
                f"a {type_of(new)} result does not fit into a {type_of(value)} tensor",
                "the tensor written to must already have the broadcast shape",
            )

    def read(self, tensor: TensorBase) -> Array:
        """The memory itself."""
        return tensor.value


def _refuse(error: type[OpError], problem: str, cure: str) -> NoReturn:
    """Refuse an in-place change."""
    raise error(f"in-place: {problem}", cure=cure, location=str(user_location() or ""))


def _wrap(result: Any) -> Tensor:
    return Tensor.around(result if type(result) is np.ndarray else np.asarray(result))


def _link(op: Op, x: Any, y: Any) -> None:
    """Note that y is a view of x, if it is: reshape, for one, copies where it has to."""
    root = x.value if x.value.base is None else x.value.base
    if y.value.base is not root and not np.may_share_memory(y.value, x.value):
        return  # (an array over foreign memory, and a strided trick, have other bases)
    if x.view_of is None:
        y.view_of = ViewOf(x, (op,), x.version)
    else:
        y.view_of = ViewOf(x.view_of.base, (*x.view_of.ops, op), x.version)


class _Inside(Eager):
    """Eager execution where the warnings are off already."""

    quiet = True

    def together(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Just call it."""
        return function(*args, **kwargs)


_inside = Stack(_Inside())


def _with_stack(stack: Stack, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = enter(stack)
    try:
        return function(*args, **kwargs)
    finally:
        leave(token)


def _run_body(op: CoarseOp, inputs: tuple[Any, ...]) -> Any:
    """A coarse op is its body in fine ops, run on tensors that nobody else knows."""
    y, residuals = op.forward(*[Tensor.around(x.value) for x in inputs])
    y.view_of = None
    return (y, *residuals) if op.outputs > 1 else y


_checked: set[Any] = set()


def _check_types(op: CoarseOp, inputs: tuple[Any, ...]) -> None:
    """Apply the type rule, once for each op and types: a training step repeats itself."""
    key = (op, *[(x.value.shape, x.value.dtype) for x in inputs])
    if key in _checked:
        return
    op.type_rule(*[type_of(x.value) for x in inputs])
    if len(_checked) >= 10_000:  # sizes that never come back
        _checked.clear()
    _checked.add(key)


MEMORY = "work on parts of it (smaller batches, .split), or in a smaller dtype"


def _explain(op: Op, inputs: tuple[Any, ...], error: Exception) -> ChainruleError:
    """What went wrong, in the words of the op's type rule if it has any to say."""
    if isinstance(error, ChainruleError):
        return error
    types = [type_of(x.value) for x in inputs]
    try:
        op.type_rule(*types)
    except ChainruleError as better:
        return better
    return OpError(
        f"{op.name}({', '.join(map(str, types))}): {error}",
        cure=MEMORY if isinstance(error, MemoryError) else "",
        location=str(user_location() or ""),
        op=op.name,
        types=tuple(types),
    )


keep_freed_memory()
_eager = Stack(Eager())
install(_eager.push(Tape()))
