"""Hooks: functions of the user's that see, and may change, gradients on their way back.

In the order in which the backward pass calls them, for one tensor and the node that made it:

1. the tensor's hooks (`register_hook`), as they were registered: each may return another gradient;
2. what `retain_grad` keeps;
3. the node's pre-hooks, with the gradients of all its outputs (`Node.register_prehook`);
4. the op's derivative;
5. the node's hooks, with the gradients of its inputs and outputs (`Node.register_hook`);
6. for a leaf, once its `.grad` is up to date, `register_post_accumulate_grad_hook`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any

from chainrule.core.base import as_tuple, is_tensor
from chainrule.core.location import user_location
from chainrule.errors import AutogradError, ShapeError

__all__ = [
    "Hooks",
    "RemovableHandle",
    "add_hook",
    "register_hook",
    "register_post_accumulate_grad_hook",
    "retain_grad",
    "run_output_hooks",
    "run_post_hooks",
    "run_pre_hooks",
    "run_tensor_hooks",
]


class Hooks(dict[int, Callable[..., Any]]):
    """Hooks in the order of their registration. (A plain dict can't be referred to weakly.)

    >>> import chainrule
    >>> x = chainrule.tensor(3.0, requires_grad=True)
    >>> handle = x.register_hook(print)
    >>> len(x.hooks)
    1
    """

    __slots__ = ("__weakref__",)


_ids = count()


class RemovableHandle:
    """What registering a hook returns; `remove()`, or leaving its `with` block, takes it out.

    >>> import chainrule
    >>> x = chainrule.tensor(3.0, requires_grad=True)
    >>> with x.register_hook(lambda grad: grad * 2):
    ...     (x * x).backward()
    >>> (x * x).backward()
    >>> x.grad
    tensor(18.)
    """

    def __init__(self, hooks: Hooks) -> None:
        self.id = next(_ids)
        self._hooks = weakref.ref(hooks)

    def remove(self) -> None:
        """Take the hook out; a second time does nothing."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()


def add_hook(hooks: Hooks, hook: Callable[..., Any]) -> RemovableHandle:
    """Put a hook last, and give what removes it.

    >>> hooks = Hooks()
    >>> handle = add_hook(hooks, print)
    >>> handle.remove()
    >>> hooks
    {}
    """
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _require_grad(tensor: Any, what: str) -> None:
    if not tensor.requires_grad:
        raise AutogradError(
            f"{what}: the tensor ({tensor.type}) does not require gradients, so none will come",
            cure="call .requires_grad_() on it, or on what it is computed from, first",
            location=str(user_location() or ""),
        )


def register_hook(tensor: Any, hook: Callable[[Any], Any]) -> RemovableHandle:
    """Call `hook(grad)` whenever the gradient of this tensor is known.

    It must not change `grad` in place; what it returns, unless that is None, takes its place.

    >>> import chainrule
    >>> from chainrule.autograd.hooks import register_hook
    >>> x = chainrule.tensor(3.0, requires_grad=True)
    >>> handle = register_hook(x, lambda grad: grad * 2)
    >>> (x * x).backward()
    >>> x.grad
    tensor(12.)

    Raises:
        AutogradError: the tensor does not require gradients.
    """
    _require_grad(tensor, "register_hook")
    node = tensor.grad_fn
    if node is None:
        if tensor.hooks is None:
            tensor.hooks = Hooks()
        return add_hook(tensor.hooks, hook)
    by_output: dict[int, Hooks] = node.watched().by_output
    return add_hook(by_output.setdefault(tensor.output_index, Hooks()), hook)


def register_post_accumulate_grad_hook(tensor: Any, hook: Callable[[Any], None]) -> RemovableHandle:
    """Call `hook(tensor)` after a backward pass has brought the `.grad` of this leaf up to date.

    Raises:
        AutogradError: the tensor is no leaf, or does not require gradients.

    >>> import chainrule
    >>> x = chainrule.tensor([3.0, 4.0], requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad.norm()))
    >>> (x * x / 2).sum().backward()
    tensor(5.)
    """
    _require_grad(tensor, "register_post_accumulate_grad_hook")
    if tensor.grad_fn is not None:
        raise AutogradError(
            "register_post_accumulate_grad_hook: only a leaf accumulates gradients, and this is "
            f"the result of {tensor.grad_fn.name}",
            cure="use .register_hook(), or register on the leaves",
            location=str(user_location() or ""),
        )
    if tensor.post_accumulate_hooks is None:
        tensor.post_accumulate_hooks = Hooks()
    return add_hook(tensor.post_accumulate_hooks, hook)


def retain_grad(tensor: Any) -> None:
    """Keep the gradient of a tensor that is no leaf in its `.grad`; a leaf's is kept anyway.

    Raises:
        AutogradError: the tensor does not require gradients.

    >>> import chainrule
    >>> x = chainrule.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> y.retain_grad()
    >>> (2 * y).backward()
    >>> y.grad
    tensor(2.)
    """
    _require_grad(tensor, "retain_grad")
    node = tensor.grad_fn
    if node is not None:
        node.watched().retained[tensor.output_index] = weakref.ref(tensor)


def run_tensor_hooks(hooks: Hooks, bar: Any) -> Any:
    """The gradient after a tensor's hooks have seen, and perhaps replaced, it."""
    for hook in list(hooks.values()):
        changed = hook(bar)
        if changed is None:
            continue
        if getattr(changed, "shape", None) != bar.shape:
            raise ShapeError(
                f"hook {getattr(hook, '__name__', hook)!r} was given a gradient of {bar.type} and "
                f"returned {getattr(changed, 'type', type(changed).__name__)}",
                cure="return a tensor of the same shape, or None to leave it as it is",
            )
        bar = changed.reshape(changed.shape)  # a view: its memory is the user's
    return bar


def run_output_hooks(watchers: Any, y_bar: Any) -> Any:
    """Steps 1 and 2, for every output of a node: a gradient, or a list of them."""
    y_bars = list(as_tuple(y_bar))
    for index, hooks in watchers.by_output.items():
        if y_bars[index] is not None:
            y_bars[index] = run_tensor_hooks(hooks, y_bars[index])
    for index, reference in watchers.retained.items():
        tensor, bar = reference(), y_bars[index]
        if tensor is not None and bar is not None:
            tensor.grad = bar.clone() if tensor.grad is None else tensor.grad + bar
    return _like(y_bar, y_bars)


def run_pre_hooks(hooks: Hooks, y_bar: Any) -> Any:
    """Step 3, for the gradients of all outputs of a node."""
    y_bars = as_tuple(y_bar)
    for hook in list(hooks.values()):
        changed = hook(y_bars)
        y_bars = y_bars if changed is None else _as_many(hook, changed, y_bars)
    return _like(y_bar, list(y_bars))


def run_post_hooks(hooks: Hooks, x_bars: Any, y_bar: Any) -> Any:
    """Step 5, for the gradients of all inputs of a node."""
    y_bars = as_tuple(y_bar)
    for hook in list(hooks.values()):
        changed = hook(tuple(x_bars), y_bars)
        x_bars = x_bars if changed is None else _as_many(hook, changed, x_bars)
    return x_bars


def _like(y_bar: Any, y_bars: list[Any]) -> Any:
    """One cotangent or a list of them, as it came."""
    return y_bars[0] if is_tensor(y_bar) else y_bars


def _as_many(hook: Any, changed: Any, bars: Any) -> tuple[Any, ...]:
    listed = as_tuple(changed)
    if len(listed) != len(bars):
        raise AutogradError(
            f"hook {getattr(hook, '__name__', hook)!r} was given {len(bars)} gradients and "
            f"returned {len(listed)}",
            cure="return as many (None for one that is zero), or None to leave them as they are",
        )
    return listed
