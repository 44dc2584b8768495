"""Hooks of modules: functions of the user's that see what goes into a module and what comes out.

A module without hooks never gets here. Kept apart from `Module` so that both can be read whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from chainrule.autograd.hooks import Hooks, RemovableHandle, add_hook
from chainrule.core.interpret import bind
from chainrule.errors import AutogradError
from chainrule.ops.movement import Reshape
from chainrule.tensor import Tensor

if TYPE_CHECKING:
    from chainrule.nn.module import Module

__all__ = ["ModuleHooks", "call_with_hooks"]

Hook = Callable[..., Any]


class ModuleHooks:
    """The hooks of one module, by when they are called, each in the order of registration.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Identity()
    >>> handle = layer.register_forward_hook(lambda module, args, output: output * 2)
    >>> layer(chainrule.ones(2))
    tensor([2., 2.])
    """

    def __init__(self) -> None:
        self.pre_forward = Hooks()
        self.forward = Hooks()
        self.pre_backward = Hooks()
        self.backward = Hooks()
        self.with_kwargs: set[int] = set()
        self.always: set[int] = set()

    def add(
        self,
        hooks: Hooks,
        hook: Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always: bool = False,
    ) -> RemovableHandle:
        """Add a hook, last or (`prepend`) first."""
        handle = add_hook(hooks, hook)
        if prepend:
            others = {key: each for key, each in hooks.items() if key != handle.id}
            for key in others:
                del hooks[key]
            hooks.update(others)
        if with_kwargs:
            self.with_kwargs.add(handle.id)
        if always:
            self.always.add(handle.id)
        return handle


def call_with_hooks(
    module: Module, hooks: ModuleHooks, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`module.forward` with its hooks before, after, and on the way back."""
    called: set[int] = set()
    try:
        args, kwargs = _before(module, hooks, args, kwargs)
        crossing = None
        if hooks.pre_backward or hooks.backward:
            crossing = _Crossing(module, hooks)
            args = crossing.enter(args)
        result = module.forward(*args, **kwargs)
        for key, hook in list(hooks.forward.items()):
            called.add(key)
            result = _after(module, hooks, key, hook, args, kwargs, result)
        return result if crossing is None else crossing.leave(result)
    except Exception:
        for key, hook in list(hooks.forward.items()):
            if key in hooks.always and key not in called:
                _after(module, hooks, key, hook, args, kwargs, None)
        raise


def _before(
    module: Module, hooks: ModuleHooks, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for key, hook in list(hooks.pre_forward.items()):
        if key in hooks.with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = cast(
                    "tuple[Any, ...]", changed if isinstance(changed, tuple) else (changed,)
                )
    return args, kwargs


def _after(
    module: Module,
    hooks: ModuleHooks,
    key: int,
    hook: Hook,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Any,
) -> Any:
    inputs = (args, kwargs) if key in hooks.with_kwargs else (args,)
    changed = hook(module, *inputs, result)
    return result if changed is None else changed


class _Crossing:
    """One call of a module, as its backward hooks see it.

    Inputs and outputs pass through an identity each (a reshape to their own shape). Gradients
    arrive at those of the outputs first, then at those of the inputs, and are noted there.
    """

    def __init__(self, module: Module, hooks: ModuleHooks) -> None:
        self.module = module
        self.hooks = hooks
        self.grad_input: list[Tensor | None] = []
        self.grad_output: list[Tensor | None] = []
        self.expected = 0  # how many inputs have a gradient
        self.waiting = 0  # how many of these have not arrived yet

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs, each where its gradient will be seen."""
        self.grad_input = [None] * len(args)
        watched: list[Any] = list(args)
        for index, x in enumerate(args):
            if isinstance(x, Tensor) and x.requires_grad:
                watched[index] = bind(Reshape(x.shape), x)
                watched[index].register_hook(partial(self._input_arrives, index))
                self.expected += 1
        self.waiting = self.expected
        return tuple(watched)

    def leave(self, result: Any) -> Any:
        """The outputs, each where its gradient will be seen."""
        many = type(result) in (tuple, list)
        outputs: list[Any] = list(result) if many else [result]
        self.grad_output = [None] * len(outputs)
        for index, y in enumerate(outputs):
            if isinstance(y, Tensor) and y.requires_grad:
                outputs[index] = bind(Reshape(y.shape), y)
                outputs[index].register_hook(partial(self._output_arrives, index))
        if not many:
            return outputs[0]
        return tuple(outputs) if type(result) is tuple else outputs

    def _output_arrives(self, index: int, grad: Tensor) -> Tensor | None:
        self.grad_output[index] = grad
        for hook in list(self.hooks.pre_backward.values()):
            changed = hook(self.module, tuple(self.grad_output))
            if changed is not None:
                self.grad_output[:] = _many(changed)
        if not self.expected:  # no input wants a gradient: this is all there is to see
            self._call(())
        return self.grad_output[index]

    def _input_arrives(self, index: int, grad: Tensor) -> Tensor | None:
        self.grad_input[index] = grad
        self.waiting -= 1
        if self.waiting:
            return None
        self.waiting = self.expected
        return self._call(tuple(self.grad_input), index)

    def _call(self, grad_input: tuple[Any, ...], index: int = 0) -> Tensor | None:
        for hook in list(self.hooks.backward.values()):
            changed = hook(self.module, grad_input or (None,), tuple(self.grad_output))
            if changed is None:
                continue
            listed = _many(changed)
            if self.expected > 1 or len(listed) != len(grad_input):
                raise AutogradError(
                    f"a backward hook of {type(self.module).__name__} returned {len(listed)} "
                    f"gradients; {self.expected} of its {len(grad_input)} inputs have one",
                    cure="gradients can be replaced where one input has one: return it, or None",
                )
            grad_input = listed
        return grad_input[index] if grad_input else None


def _many(changed: Any) -> tuple[Any, ...]:
    """What a hook returned, as a tuple."""
    return cast("tuple[Any, ...]", changed) if isinstance(changed, tuple) else (changed,)
