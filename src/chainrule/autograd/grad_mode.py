"""Turning the tape on and off: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`.

The tape records while it is on the stack of interpreters; these take it off, or put it on. Each is a
context manager and a decorator.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from chainrule.autograd.tape import Tape
from chainrule.core.interpret import Interpreter, Run, Stack, current_stack, enter, leave
from chainrule.core.op import Op

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

P = ParamSpec("P")
R = TypeVar("R")


class _StackMode:
    """Interprets with another stack inside a `with` block, or inside a decorated function."""

    def __init__(self) -> None:
        self._tokens: list[Token[Stack]] = []

    def stack(self, current: Stack) -> Stack:
        """The stack to use instead of `current`."""
        raise NotImplementedError

    def __enter__(self) -> None:
        self._tokens.append(enter(self.stack(current_stack())))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave(self._tokens.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate: every call of the function runs in this mode."""

        @functools.wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            token = enter(self.stack(current_stack()))
            try:
                return function(*args, **kwargs)
            finally:
                leave(token)

        return inside


class no_grad(_StackMode):
    """Run without recording: results do not require gradients.

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


class enable_grad(_StackMode):
    """Record again inside a `no_grad` block."""

    def stack(self, current: Stack) -> Stack:
        """With the tape."""
        return current if current.has(Tape) else current.push(Tape())


class set_grad_enabled(_StackMode):
    """Record or not, by a flag. As in PyTorch, calling it also acts at once, as a plain function.

    Args:
        mode: whether to record.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = mode
        self._tokens.append(enter(self.stack(current_stack())))

    def stack(self, current: Stack) -> Stack:
        """With or without the tape."""
        return (enable_grad if self.mode else no_grad)().stack(current)

    def __enter__(self) -> None:
        """Already in force since it was made."""


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


class inference_mode(_StackMode):
    """`no_grad`, and a promise: what is made inside is never used in recorded work.

    Saving such a tensor for a backward pass raises an `AutogradError`.

    Args:
        mode: False makes it do nothing.
    """

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = mode

    def stack(self, current: Stack) -> Stack:
        """Without the tape, and with the marker on top."""
        return current.without(Tape).push(_Inference()) if self.mode else current


def is_grad_enabled() -> bool:
    """Whether the tape is recording here and now."""
    return current_stack().has(Tape)


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is in force here and now."""
    return current_stack().has(_Inference)
