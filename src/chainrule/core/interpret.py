"""`bind`, and the stack of interpreters: who carries an op out.

An op says what it is; an *interpreter* says what happens when it is met. At the bottom of the stack
is one that produces values: eager execution (NumPy, now) or a trace (a node of a graph). Above it
stand those that watch: the tape remembers what `backward()` needs, forward mode pushes tangents
along. Each one hands the op to the one below it and adds its own part:

    bind(Mul(), x, y)  ->  tape  ->  eager  ->  np.multiply

So no op, layer or optimizer knows who is looking. A stack is immutable; the current one is a
context variable, so every thread (and every asynchronous task) has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import BY_NUMPY
from chainrule.core.strangers import refuse_stranger
from chainrule.core.types import Signature, TensorType, type_of

if TYPE_CHECKING:
    from chainrule.core.base import TensorBase
    from chainrule.core.op import Op
    from chainrule.tensor import Tensor

__all__ = [
    "Base",
    "Derive",
    "Interpreter",
    "Run",
    "Stack",
    "assign",
    "bind",
    "copy",
    "current_stack",
    "enter",
    "install",
    "leave",
    "lift",
    "prepare",
    "pull_back",
    "read",
    "together",
    "update",
    "using",
]

Run = Callable[["Op", tuple["Tensor", ...]], Any]
"""How one interpreter carries out an op: a tensor, or a tuple of them for an op of many outputs."""


Derive = Callable[
    ["Op", Any, Any, Sequence[Any], tuple[Signature, ...], tuple[bool, ...]], tuple[Any, ...]
]
"""How the cotangents of an op's inputs are found. See `pull_back`."""


def pull_back(
    op: Op,
    y_bar: Any,
    y: Any,
    inputs: Sequence[Any],
    types: tuple[Signature, ...],
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    """The cotangents of an op's inputs: its own `vjp`, given what was kept of the forward pass.

    Args:
        op: the op.
        y_bar: the cotangent of its output; a tuple for an op of several.
        y: the output if it was kept, else None; likewise.
        inputs: each a tensor if it was kept, else None.
        types: their signatures.
        needs: which inputs want a cotangent.
    """
    if op.outputs == 1:
        y = type_of(y_bar.value) if y is None else y
    elif type(y) is tuple and y[0] is None:
        y = (type_of(y_bar[0].value), *y[1:])
    known = [
        TensorType(kind[0], BY_NUMPY[kind[1]]) if x is None else x
        for x, kind in zip(inputs, types, strict=True)
    ]
    return op.vjp(y_bar, y, *known, needs=needs)


class Interpreter:
    """One that watches ops go by. Subclasses say what they add to the one below."""

    def over(self, below: Stack) -> Run:
        """How to run an op, when `below` is what lies beneath this interpreter."""
        raise NotImplementedError


class Base(Interpreter):
    """The bottom of a stack: where values come from."""

    def lift(self, value: Any) -> Tensor:
        """A tensor around a constant array, or around a value that is this interpreter's own."""
        raise NotImplementedError

    def copy(self, tensor: TensorBase) -> Tensor:
        """The same value in memory of its own, and no history."""
        raise NotImplementedError

    def assign(self, target: TensorBase, source: TensorBase) -> None:
        """Put the value of `source` into `target`, in place: every view of it sees the change."""
        raise NotImplementedError

    def together(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of many ops that only this interpreter sees.

        What it does once per op, it may do once for all of them.
        """
        return function(*args, **kwargs)

    def derive(
        self,
        op: Op,
        y_bar: Any,
        y: Any,
        inputs: Sequence[Any],
        types: tuple[Signature, ...],
        needs: tuple[bool, ...],
    ) -> tuple[Any, ...]:
        """`pull_back`, which is a pure function of many ops where `op.pure` says so."""
        return pull_back(op, y_bar, y, inputs, types, needs)

    def update(
        self, key: Any, rule: Callable[..., Any], args: Sequence[Any], targets: Sequence[Any]
    ) -> bool:
        """Put the results of a pure function into `targets`, all at once; False: not done.

        Args:
            key: stands for the function and whatever it depends on beside the values of its
                arguments.
            rule: takes the arguments, gives one result for each target.
            args: tensors, and tuples of them.
            targets: the tensors to write into, which are among the arguments.
        """
        return False

    def prepare(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function that makes what outlives the step: the state of an optimizer.

        A trace has it made now, once; its ops are no part of the step that is traced.
        """
        return function(*args)

    def read(self, tensor: TensorBase) -> np.ndarray[Any, Any]:
        """The numbers, for Python to look at (`.item()`, `.numpy()`, `if tensor:`)."""
        raise NotImplementedError


class Stack:
    """An immutable pile of interpreters, the base first.

    Attributes:
        layers: the interpreters from the bottom up.
        run: carries out an op, from the top.
        derive: `pull_back`, as the base does it.
    """

    __slots__ = ("_without", "base", "derive", "layers", "run")

    def __init__(
        self, base: Base, layers: tuple[Interpreter, ...] = (), below: Stack | None = None
    ) -> None:
        self.base = base
        self.layers = layers
        self._without: dict[type[Interpreter], Stack] = {}
        if layers:
            self.run: Run = layers[-1].over(below or Stack(base, layers[:-1]))
            self.derive: Derive = pull_back  # someone wants to see each op
        else:
            self.run = base.over(self)
            self.derive = base.derive

    def push(self, interpreter: Interpreter) -> Stack:
        """The same pile with one more on top."""
        return Stack(self.base, (*self.layers, interpreter), below=self)

    def without(self, kind: type[Interpreter]) -> Stack:
        """The same pile with every interpreter of that kind taken out."""
        found = self._without.get(kind)
        if found is None:
            kept = tuple(each for each in self.layers if not isinstance(each, kind))
            found = self if len(kept) == len(self.layers) else Stack(self.base, kept)
            self._without[kind] = found
        return found

    def has(self, kind: type[Interpreter]) -> bool:
        """Whether an interpreter of that kind is in the pile."""
        return self.without(kind) is not self


_current: ContextVar[Stack] = ContextVar("chainrule_interpreters")


def install(stack: Stack) -> None:
    """Make `stack` the one that every thread starts with. Called once, when the package loads."""
    global _current
    _current = ContextVar("chainrule_interpreters", default=stack)


def current_stack() -> Stack:
    """The interpreters in force here and now."""
    return _current.get()


def bind(op: Op, *inputs: Tensor) -> Any:
    """Hand an op and its inputs to whoever is interpreting."""
    try:
        return _current.get().run(op, inputs)
    except AttributeError as error:
        refuse_stranger(error, op.name, inputs)
        raise


def lift(value: Any) -> Tensor:
    """A tensor around a constant array, or around a value of the current base interpreter."""
    return _current.get().base.lift(value)


def copy(tensor: TensorBase) -> Tensor:
    """The same value in memory of its own: `clone` without the way through an op."""
    return _current.get().base.copy(tensor)


def assign(target: TensorBase, source: TensorBase) -> None:
    """Put the value of `source` into `target` in place; who interprets decides what that means."""
    _current.get().base.assign(target, source)


def read(tensor: TensorBase) -> np.ndarray[Any, Any]:
    """The numbers of a tensor, for Python to look at; a trace refuses this at the user's line."""
    return _current.get().base.read(tensor)


def prepare(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that makes state, which outlives the step. See `Base.prepare`."""
    return _current.get().base.prepare(function, *args)


def update(key: Any, rule: Callable[..., Any], args: Sequence[Any], targets: Sequence[Any]) -> bool:
    """Whether who interprets put a pure function's results into tensors. See `Base.update`."""
    stack = _current.get()
    return not stack.layers and stack.base.update(key, rule, args, targets)


def enter(stack: Stack) -> Token[Stack]:
    """Interpret with `stack` from here on; `leave` with the token ends it. `using`, but lean."""
    return _current.set(stack)


def leave(token: Token[Stack]) -> None:
    """End what `enter` began."""
    _current.reset(token)


def together(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of many ops: a derivative, an update rule. See `Base.together`."""
    stack = _current.get()
    if stack.layers:
        return function(*args, **kwargs)  # someone wants to see each op
    return stack.base.together(function, *args, **kwargs)


@contextmanager
def using(stack: Stack) -> Generator[Stack]:
    """Interpret with `stack` inside the block."""
    token = _current.set(stack)
    try:
        yield stack
    finally:
        _current.reset(token)
