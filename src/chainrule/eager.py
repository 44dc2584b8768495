"""The NumPy interpreter: carries an op out, now. The bottom of the stack unless one traces."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from operator import attrgetter
from types import FunctionType
from typing import Any, ClassVar, NoReturn

import numpy as np

from chainrule.autograd.tape import Tape
from chainrule.core.base import TUPLE, TensorBase
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Base, Run, Stack, enter, install, leave, pull_back
from chainrule.core.location import user_location
from chainrule.core.memory import keep_freed_memory
from chainrule.core.op import Array, Op
from chainrule.core.types import Signature, type_of
from chainrule.errors import ChainruleError, DTypeError, OpError, ShapeError
from chainrule.recorded import link, record
from chainrule.tensor import Tensor

__all__ = ["Eager", "forget"]


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

_coarse: set[type[Op]] = set()
"""The coarse ops met so far."""

ONCE, NEVER = 0, 1
_routines: dict[Any, Any] = {}
"""Recordings by what they are recordings of and the types it was met with. The first time is ONCE,
for most of what a script does it does no second time; what can't be recorded is NEVER."""


_stand_ins: dict[type[Op], Any] = {}
"""What stands for an op in the key of its derivative: the class of one without fields, nothing for
one that is not pure; the op itself for the rest, which are not in here."""


def _note_stand_in(op: Op) -> None:
    if not op.pure:
        _stand_ins[type(op)] = None
    elif not op.has_fields:
        _stand_ins[type(op)] = type(op)


class Eager(Base):
    """Values are NumPy arrays; an op is its reference."""

    quiet: ClassVar[bool] = False  # whether NumPy's warnings are off already

    def over(self, below: Stack) -> Run:
        """Run the reference (of a coarse op: its body) and wrap what it gives."""
        around, array, quiet = Tensor.around, np.ndarray, self.quiet  # looked up once, used a lot
        body = self._body

        def run(op: Any, inputs: tuple[Any, ...]) -> Any:
            if type(op) not in _plain:
                return body(op, inputs) if type(op) in _coarse else general(op, inputs)
            try:
                if quiet:
                    result = op.reference(*map(value_of, inputs))
                else:
                    result = _quiet.run(op.reference, *map(value_of, inputs))
            except _FAILURES as error:
                raise _explain(op, inputs, error) from None
            return around(result if type(result) is array else np.asarray(result))

        def general(op: Op, inputs: tuple[Any, ...]) -> Any:
            if isinstance(op, CoarseOp):
                _coarse.add(type(op))
                return body(op, inputs)
            if op.outputs == 1 and not op.aliases:
                _plain.add(type(op))
            try:
                values = map(value_of, inputs)
                result = op.reference(*values) if quiet else _quiet.run(op.reference, *values)
            except _FAILURES as error:
                raise _explain(op, inputs, error) from None
            if op.outputs > 1:
                return tuple([_wrap(each) for each in result])
            y = _wrap(result)
            return link((op,), inputs[0], y) if op.aliases else y

        return run

    def _body(self, op: CoarseOp, inputs: tuple[Any, ...]) -> Any:
        """A coarse op is its body in fine ops."""
        listed: list[Any] = [op]
        for x in inputs:
            value = x.value
            listed += value.shape, value.dtype
        key = tuple(listed)
        routine = _routines.get(key)
        if type(routine) is not FunctionType:
            op.type_rule(*[type_of(x.value) for x in inputs])
            routine = _meet(key, op.name, _run_body, (op, inputs), views=False)
        if type(routine) is not FunctionType:
            return self.together(_run_body, op, inputs)
        try:
            return routine(op, inputs) if self.quiet else _quiet.run(routine, op, inputs)
        except _FAILURES as error:
            raise _explain(op, inputs, error) from None

    def derive(
        self,
        op: Op,
        y_bar: Any,
        y: Any,
        inputs: Sequence[Any],
        types: tuple[Signature, ...],
        needs: tuple[bool, ...],
    ) -> tuple[Any, ...]:
        """The op's derivative, as a recording where it was met with these types before."""
        stands_for = _stand_ins.get(type(op), op)
        first = y_bar[0] if type(y_bar) is TUPLE else y_bar
        if stands_for is None or first is None:
            return pull_back(op, y_bar, y, inputs, types, needs)
        key = stands_for, needs, types, first.value.dtype
        routine = _routines.get(key)
        if type(routine) is not FunctionType:
            _note_stand_in(op)
            args = op, y_bar, y, inputs, types, needs
            routine = _meet(key, f"{op.name}_vjp", pull_back, args) if op.pure else NEVER
            if type(routine) is not FunctionType:
                return self.together(pull_back, *args)
        try:
            if self.quiet:
                return routine(op, y_bar, y, inputs, types, needs)
            return _quiet.run(routine, op, y_bar, y, inputs, types, needs)
        except _FAILURES as error:
            raise _explain(op, (), error) from None

    def update(
        self, key: Any, rule: Callable[..., Any], args: Sequence[Any], targets: Sequence[Any]
    ) -> None:
        """An optimizer's rule, as a recording that writes the targets in place."""
        routine = _routines.get(key)
        if type(routine) is not FunctionType:
            routine = _meet(key, "rule", rule, args, targets)
        if type(routine) is not FunctionType:
            super().update(key, rule, args, targets)
            return
        try:
            routine(*args)
        except _FAILURES:
            _refuse_read_only(targets)
            raise

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
        _refuse_read_only((target,))
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


def _refuse_read_only(targets: Sequence[TensorBase]) -> None:
    if not all(target.value.flags.writeable for target in targets):
        _refuse(
            OpError,
            "this memory can't be written to (an expanded or read-only array)",
            ".clone() it first",
        )


def _wrap(result: Any) -> Tensor:
    return Tensor.around(result if type(result) is np.ndarray else np.asarray(result))


def forget() -> None:
    """Forget all recordings: for whoever exchanges a method of an op while the program runs."""
    _routines.clear()
    _stand_ins.clear()


def _meet(
    key: Any,
    name: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    targets: Sequence[Any] = (),
    *,
    views: bool = True,
) -> Any:
    """The recording, made when this key is met for the second time."""
    found = _routines.get(key)
    if found == ONCE:
        _routines[key] = record(name, function, args, targets, views=views) or NEVER
    elif found is None:
        if len(_routines) >= 10_000:  # sizes that never come back
            _routines.clear()
        _routines[key] = ONCE
    return _routines[key]


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


def _run_body(op: CoarseOp, inputs: Sequence[Any]) -> Any:
    """The body on tensors that nobody else knows: the output, or it and the residuals."""
    y, residuals = op.forward(*[Tensor.around(x.value) for x in inputs])
    y.view_of = None
    return (y, *residuals) if op.outputs > 1 else y


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
