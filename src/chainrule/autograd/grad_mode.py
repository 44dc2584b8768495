"""Turning the tape on and off: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`.

The tape records while it is on the stack of interpreters; these take it off, or put it on. Each is
a context manager, and a decorator of functions, generators and coroutines. A new thread starts with
the tape on, whatever the mode of the thread that started it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, TypeVar, cast

from chainrule.autograd.tape import Tape, with_tape
from chainrule.core.interpret import Interpreter, Run, Stack, current_stack, enter, leave
from chainrule.core.op import Op

__all__ = [
    "StackMode",
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

F = TypeVar("F", bound=Callable[..., Any])

GENERATOR, COROUTINE = 0x20, 0x80  # flags of a code object; `inspect` has them, and is slow to load


class StackMode:
    """Interprets with another stack inside a `with` block, or inside a decorated function.

    >>> import chainrule
    >>> class untaped(StackMode):
    ...     def stack(self, current):
    ...         return current.without(Tape)
    >>> with untaped():
    ...     chainrule.is_grad_enabled()
    False
    >>> untaped()(chainrule.is_grad_enabled)()
    False
    """

    def __init__(self) -> None:
        self._before: list[Stack] = []

    def stack(self, current: Stack) -> Stack:
        """The stack to use instead of `current`."""
        raise NotImplementedError

    def __enter__(self) -> None:
        before = current_stack()
        enter(self.stack(before))
        self._before.append(before)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not by a token: a generator may be closed in another context than it was entered in.
        enter(self._before.pop())

    def __call__(self, function: F) -> F:
        """Decorate: every call of the function runs in this mode."""
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & GENERATOR:
            return self._around_generator(function)
        if flags & COROUTINE:
            return self._around_coroutine(function)

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            token = enter(self.stack(current_stack()))
            try:
                return function(*args, **kwargs)
            finally:
                leave(token)

        return cast("F", inside)

    def _around_generator(self, function: Any) -> Any:
        """In this mode while the generator runs, not while it waits."""

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            steps = function(*args, **kwargs)
            resume: Callable[[], Any] = functools.partial(steps.send, None)
            while True:
                token = enter(self.stack(current_stack()))
                try:
                    value = resume()
                except StopIteration as stop:
                    return stop.value
                finally:
                    leave(token)
                try:
                    resume = functools.partial(steps.send, (yield value))
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(steps.throw, error)

        return inside

    def _around_coroutine(self, function: Any) -> Any:
        @functools.wraps(function)
        async def inside(*args: Any, **kwargs: Any) -> Any:
            before = current_stack()
            enter(self.stack(before))
            try:
                return await function(*args, **kwargs)
            finally:
                enter(before)

        return inside


class _PlainMode(StackMode):
    """A mode without settings: `@no_grad` decorates as `@no_grad()` does."""

    def __new__(cls, orig_func: Any = None) -> Any:
        return super().__new__(cls) if orig_func is None else cls()(orig_func)

    def __init__(self, orig_func: Any = None) -> None:
        super().__init__()


class no_grad(_PlainMode):
    """Run without recording: results do not require gradients. Forward mode goes on.

    >>> import chainrule
    >>> x = chainrule.ones(2, requires_grad=True)
    >>> with chainrule.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def stack(self, current: Stack) -> Stack:
        """Without the tape."""
        return current.without(Tape)


class enable_grad(_PlainMode):
    """Record again inside a `no_grad` block.

    >>> import chainrule
    >>> x = chainrule.ones(2, requires_grad=True)
    >>> with chainrule.no_grad(), chainrule.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    def stack(self, current: Stack) -> Stack:
        """With the tape."""
        return with_tape(current)


class set_grad_enabled(StackMode):
    """Record or not, by a flag. As in PyTorch, calling it also acts at once, as a plain function.

    Args:
        mode: whether to record.

    >>> import chainrule
    >>> with chainrule.set_grad_enabled(False):
    ...     chainrule.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = mode
        super().__enter__()
        self._acted = True

    def stack(self, current: Stack) -> Stack:
        """With or without the tape."""
        return with_tape(current) if self.mode else current.without(Tape)

    def __enter__(self) -> None:
        """In force already since it was made, the first time."""
        if self._acted:
            self._acted = False
        else:
            super().__enter__()

    def __call__(self, function: F) -> F:
        """Decorate; making the decorator changes nothing by itself."""
        if self._acted:
            self.__exit__(None, None, None)
            self._acted = False
        return super().__call__(function)


class _Inference(Interpreter):
    """Marks every result as made in inference mode."""

    def over(self, below: Stack) -> Run:
        """Run below, then mark the outputs."""
        run_below = below.run

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            outputs = run_below(op, inputs)
            for y in (outputs,) if op.outputs == 1 else outputs:
                y.inference = True
            return outputs

        return run


class inference_mode(StackMode):
    """`no_grad`, and a promise: what is made inside is never used in recorded work.

    Saving such a tensor for a backward pass raises an `AutogradError`.

    Args:
        mode: False makes it do nothing.

    >>> import chainrule
    >>> with chainrule.inference_mode():
    ...     y = chainrule.ones(2, requires_grad=True) * 2
    >>> y.requires_grad
    False
    >>> y * chainrule.ones(2, requires_grad=True)
    Traceback (most recent call last):
        ...
    chainrule.errors.AutogradError: mul: an inference tensor can't be saved for backward
    ...
    """

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = mode

    def stack(self, current: Stack) -> Stack:
        """Without the tape, and with the marker on top."""
        return current.without(Tape).push(_Inference()) if self.mode else current


def is_grad_enabled() -> bool:
    """Whether the tape is recording here and now.

    >>> import chainrule
    >>> with chainrule.no_grad():
    ...     print(chainrule.is_grad_enabled())
    False
    >>> chainrule.is_grad_enabled()
    True
    """
    return current_stack().has(Tape)


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is in force here and now.

    >>> import chainrule
    >>> with chainrule.inference_mode():
    ...     chainrule.is_inference_mode_enabled()
    True
    """
    return current_stack().has(_Inference)
