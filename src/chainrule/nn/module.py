"""`Module`: what has parameters, and a `forward`.

A module notices what is assigned to it: a `Parameter`, another `Module`, a `Buffer`. So parameters
can be listed, moved, saved and loaded by name, however deeply modules are nested.

How it notices is in `registry.py`; hooks are in `hooks.py`, loading in `state.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from chainrule.autograd.hooks import RemovableHandle
from chainrule.core.dtypes import DType, as_dtype, float16, float32, float64
from chainrule.core.location import user_location
from chainrule.core.strangers import refuse_stranger
from chainrule.errors import ConfigError
from chainrule.nn.hooks import ModuleHooks, call_with_hooks
from chainrule.nn.registry import Registry
from chainrule.nn.state import IncompatibleKeys, Loading
from chainrule.tensor import Tensor

__all__ = ["Module"]


class Module(Registry):
    """The base class of all layers and networks.

    Subclasses call `super().__init__()` first, assign parameters and other modules to attributes,
    and define `forward`.

    Attributes:
        training: whether layers such as dropout behave as in training; set by `train`, `eval`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> class Perceptron(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(784, 128)
    ...         self.output = nn.Linear(128, 10)
    ...
    ...     def forward(self, x):
    ...         return self.output(self.hidden(x).relu())
    >>> model = Perceptron()
    >>> [name for name, _ in model.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'output.weight', 'output.bias']
    """

    training: bool
    _hooks: ModuleHooks | None = None  # set when the first one is registered

    def __init__(self) -> None:
        super().__init__()
        self.training = True

    # -- calling it ---------------------------------------------------------------------------

    forward: Callable[..., Any]
    """`forward(*inputs)`: what the module computes. Call the module itself, so that hooks run."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`, and the hooks if there are any."""
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return call_with_hooks(self, self._hooks, args, kwargs)
        except AttributeError as error:
            if hasattr(Tensor, error.name or ""):
                refuse_stranger(error, type(self).__name__, args)
            raise

    # -- changing it --------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module below, then on this one: for initialisation."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Behave as in training, or (`mode=False`) as in use; and all below."""
        if type(mode) is not bool:
            raise ConfigError(
                f"train: mode is {mode!r}",
                cure="pass True or False; train(x) is not how a model is trained on x",
                location=str(user_location() or ""),
            )
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Behave as in use: dropout passes everything, batch norm takes its running statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients of all parameters, or (False) freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients: set them to None, or to zeros in place."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def to(self, *args: Any, dtype: DType | None = None, device: Any = None) -> Self:
        """Convert all floating-point parameters and buffers to a dtype, in place.

        `to(dtype)`, `to("cpu")`, `to("cpu", dtype)` and `to(tensor)` are understood; the only
        device there is, is the CPU. Integers (a count of batches) stay as they are.

        Raises:
            ConfigError: another device, or a dtype that has no fractions.
        """
        for each in args:
            if isinstance(each, DType):
                dtype = each
            elif isinstance(each, Tensor):
                dtype = each.dtype
            elif each is not None and not isinstance(each, bool):
                device = each
        if device is not None and str(device) != "cpu":
            raise ConfigError(
                f"to: there is no device {str(device)!r}",
                cure='pass "cpu", or leave it out',
                location=str(user_location() or ""),
            )
        if dtype is None:
            return self
        kind = as_dtype(dtype)
        if not kind.is_floating_point:
            raise ConfigError(
                f"to: parameters can't be {kind}",
                cure="pass float32, float64 or float16",
                location=str(user_location() or ""),
            )
        for tensor in (*self.parameters(), *self.buffers()):
            _convert(tensor, kind)
        return self

    def float(self) -> Self:
        """All floating-point parameters and buffers as float32."""
        return self.to(float32)

    def double(self) -> Self:
        """All floating-point parameters and buffers as float64."""
        return self.to(float64)

    def half(self) -> Self:
        """All floating-point parameters and buffers as float16."""
        return self.to(float16)

    def cpu(self) -> Self:
        """Where it is already."""
        return self

    # -- saving and loading -------------------------------------------------------------------

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Tensor]:
        """All parameters and persistent buffers by their dotted names, sharing their memory.

        Args:
            destination: a dictionary to put them into.
            prefix: what their names begin with.
            keep_vars: give the parameters themselves, not detached from the tape.
        """
        state: dict[str, Tensor] = {} if destination is None else destination
        for name, tensor in self._own_state():
            state[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def load_state_dict(
        self, state_dict: Any, strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values by name into parameters and buffers: tensors or NumPy arrays.

        Nothing is changed unless everything fits.

        Args:
            state_dict: what `state_dict()` of such a module gave, or arrays under the same names.
            strict: raise where names are missing or left over; False returns them.
            assign: take the given tensors' dtypes as well as their values.

        Returns:
            `(missing_keys, unexpected_keys)`.

        Raises:
            StateDictError: names that do not match, or shapes: all of them, in one error.
        """
        return Loading(self, state_dict, strict, assign).run()

    # -- hooks --------------------------------------------------------------------------------

    def _own_hooks(self) -> ModuleHooks:
        if self._hooks is None:
            self._hooks = ModuleHooks()
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; what it returns replaces the inputs."""
        own = self._own_hooks()
        return own.add(own.pre_forward, hook, prepend=prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns replaces the output.

        Args:
            hook: the function.
            prepend: before the hooks there are, not after.
            with_kwargs: call `hook(module, args, kwargs, output)`.
            always_call: also when `forward` raised.
        """
        own = self._own_hooks()
        return own.add(
            own.forward, hook, prepend=prepend, with_kwargs=with_kwargs, always=always_call
        )

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the module's gradients are computed."""
        own = self._own_hooks()
        return own.add(own.pre_backward, hook, prepend=prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` once these are known.

        What it returns, unless that is None, replaces `grad_input` (of a module with one input
        that has a gradient).
        """
        own = self._own_hooks()
        return own.add(own.backward, hook, prepend=prepend)

    # -- how it looks -------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands in the parentheses of its repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self._modules.items()
        ]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return "\n  ".join([f"{self._get_name()}(", *lines, *children]) + "\n)"


def _convert(tensor: Tensor, dtype: DType) -> None:
    """Convert a floating-point tensor, and its gradient, and leave it the same object.

    An optimizer holds the parameter itself: it must be that one which changes.
    """
    if not tensor.dtype.is_floating_point:
        return
    tensor.value = tensor.detach().to(dtype).value
    grad = tensor.grad
    if grad is not None:
        tensor.grad = grad.detach().to(dtype)
