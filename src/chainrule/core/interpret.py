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

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.strangers import refuse_stranger

if TYPE_CHECKING:
    from chainrule.core.base import TensorBase
    from chainrule.core.op import Op
    from chainrule.tensor import Tensor

__all__ = [
    "Base",
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
    "read",
    "together",
    "using",
]

Run = Callable[["Op", tuple["Tensor", ...]], Any]
"""How one interpreter carries out an op: a tensor, or a tuple of them for an op of many outputs."""


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
    """

    __slots__ = ("_without", "base", "layers", "run")

    def __init__(
        self, base: Base, layers: tuple[Interpreter, ...] = (), below: Stack | None = None
    ) -> None:
        self.base = base
        self.layers = layers
        self._without: dict[type[Interpreter], Stack] = {}
        if layers:
            self.run: Run = layers[-1].over(below or Stack(base, layers[:-1]))
        else:
            self.run = base.over(self)

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
