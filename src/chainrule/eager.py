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
from chainrule.core.dtypes import BY_NUMPY
from chainrule.core.interpret import Base, Run, Stack, enter, install, leave, pull_back
from chainrule.core.location import user_location
from chainrule.core.memory import keep_freed_memory
from chainrule.core.op import Array, Op
from chainrule.core.types import Signature, TensorType, signature_of, type_of
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
_is_writeable = attrgetter("value.flags.writeable")


_FAILURES = (ValueError, TypeError, IndexError, OverflowError, MemoryError)
_plain: set[type[Op]] = set()
"""The ops met so far that are no coarse op, and have one output in memory of its own: most."""

_coarse: set[type[Op]] = set()
"""The coarse ops met so far."""

ONCE, NEVER = 0, 1
_routines: dict[Any, Any] = {}
"""Recordings by what they are recordings of and the types it was met with. The first time is ONCE,
for most of what a script does it does no second time; what can't be recorded is NEVER."""


IMPURE, WITH_FIELDS = "impure", "with fields"
_kinds: dict[type[Op], Any] = {}
"""What the key of an op's derivative holds of the op: the class of one without fields, else the op
itself (WITH_FIELDS), and nothing for one that can't be recorded (IMPURE)."""


def _kind_of(op: Op) -> Any:
    kind = _kinds[type(op)] = IMPURE if not op.pure else WITH_FIELDS if op.has_fields else type(op)
    return kind


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
                raise _explain(op, [type_of(x.value) for x in inputs], error) from None
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
                raise _explain(op, [type_of(x.value) for x in inputs], error) from None
            if op.outputs > 1:
                return tuple([_wrap(each) for each in result])
            y = _wrap(result)
            return link((op,), inputs[0], y) if op.aliases else y

        return run

    def _body(self, op: CoarseOp, inputs: tuple[Any, ...]) -> Any:
        """A coarse op is its body in fine ops."""
        if not op.pure:
            op.type_rule(*[type_of(x.value) for x in inputs])
            return self.together(_run_body, op, inputs)
        key = op, *map(signature_of, inputs)
        routine = _routines.get(key)
        if type(routine) is not FunctionType:
            op.type_rule(*[type_of(x.value) for x in inputs])
            routine = _meet(key, op.name, _run_body, (op, inputs), views=False)
            if type(routine) is not FunctionType:
                return self.together(_run_body, op, inputs)
        try:
            return routine(op, inputs) if self.quiet else _quiet.run(routine, op, inputs)
        except _FAILURES as error:
            raise _explain(op, [type_of(x.value) for x in inputs], error) from None

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
        kind = _kinds.get(type(op)) or _kind_of(op)
        first = y_bar[0] if type(y_bar) is TUPLE else y_bar
        if kind is IMPURE or first is None:
            return pull_back(op, y_bar, y, inputs, types, needs)
        key = op if kind is WITH_FIELDS else kind, needs, types, first.value.dtype
        routine = _routines.get(key)
        if type(routine) is not FunctionType:
            args = op, y_bar, y, inputs, types, needs
            routine = _meet(key, f"{op.name}_vjp", pull_back, args)
            if type(routine) is not FunctionType:
                return self.together(pull_back, *args)
        try:
            if self.quiet:
                return routine(op, y_bar, y, inputs, types, needs)
            return _quiet.run(routine, op, y_bar, y, inputs, types, needs)
        except _FAILURES as error:
            known = [TensorType(shape, BY_NUMPY[dtype]) for shape, dtype in types]
            raise _explain(op, known, error) from None

    def update(
        self, key: Any, rule: Callable[..., Any], args: Sequence[Any], targets: Sequence[Any]
    ) -> bool:
        """An optimizer's rule, as a recording that writes the targets in place."""
        routine = _routines.get(key)
        if type(routine) is not FunctionType:
            routine = _meet(key, "rule", rule, args, targets)
            if type(routine) is not FunctionType:
                return False
        _refuse_read_only(targets)
        try:
            routine(*args)
        except _FAILURES as error:
            raise OpError(
                f"step: {error}",
                cure=MEMORY if isinstance(error, MemoryError) else "",
                location=str(user_location() or ""),
            ) from None
        return True

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
    if not all(map(_is_writeable, targets)):
        _refuse(
            OpError,
            "this memory can't be written to (an expanded or read-only array)",
            ".clone() it first",
        )


def _wrap(result: Any) -> Tensor:
    return Tensor.around(result if type(result) is np.ndarray else np.asarray(result))


def forget() -> None:
    """Forget all recordings.

    For whoever exchanges a method of an op, or an optimizer's rule, while the program runs: what is
    recorded already would go on as it was.

    >>> from chainrule.eager import forget
    >>> forget()
    """
    _routines.clear()
    _kinds.clear()


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
    if found == NEVER:
        return NEVER
    if found is None:
        if len(_routines) >= 10_000:  # sizes that never come back
            _routines.clear()
        made: Any = ONCE
    else:
        made = record(name, function, args, targets, views=views) or NEVER
    _routines[key] = made
    return made


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


def _explain(op: Op, types: list[TensorType], error: Exception) -> ChainruleError:
    """What went wrong, in the words of the op's type rule if it has any to say."""
    if isinstance(error, ChainruleError):
        return error
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
