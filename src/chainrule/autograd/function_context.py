"""`FunctionCtx`: what the forward of a custom `Function` leaves for its backward."""

from __future__ import annotations

import weakref
from typing import Any, NoReturn

from chainrule.autograd.tape import Node, SavedOutput
from chainrule.core.base import is_tensor
from chainrule.core.location import user_location
from chainrule.errors import AutogradError, DTypeError

__all__ = ["FunctionCtx", "fail"]


def fail(problem: str, cure: str) -> NoReturn:
    """Raise an `AutogradError` with the user's line.

    >>> fail("x is freed", "keep it")
    Traceback (most recent call last):
        ...
    chainrule.errors.AutogradError: x is freed
    ...
    """
    raise AutogradError(problem, cure=cure, location=str(user_location() or ""))


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, and attributes of any kind.

    Attributes:
        needs_input_grad: for each argument of `apply`, whether a gradient is wanted.

    >>> import chainrule
    >>> class Scaled(chainrule.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x, factor):
    ...         ctx.factor = factor
    ...         return x * factor
    ...
    ...     @staticmethod
    ...     def backward(ctx, y_bar):
    ...         return y_bar * ctx.factor, None
    >>> x = chainrule.tensor(2.0, requires_grad=True)
    >>> Scaled.apply(x, 3.0).backward()
    >>> x.grad
    tensor(3.)
    """

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self.to_save: tuple[Any, ...] = ()
        self.saved: list[Any] | None = []
        self._node: Any = None
        self.non_differentiable: set[int] = set()
        self.dirty_tensors: tuple[Any, ...] = ()
        self.materialize_grads = True
        self.saved_for_forward: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs or outputs (or None) for `backward`; a later call replaces an earlier one.

        A tensor changed in place before `backward` asks for it is an `AutogradError` then.
        """
        for each in tensors:
            if each is not None and not is_tensor(each):
                raise DTypeError(
                    f"save_for_backward: only tensors can be saved, not {type(each).__name__}",
                    cure="keep other things as attributes: ctx.name = value",
                    location=str(user_location() or ""),
                )
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`, which finds them in `ctx.saved_for_forward`."""
        self.saved_for_forward = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say that these outputs have no gradient (they are indices, counts, masks).

        >>> import chainrule
        >>> class Doubled(chainrule.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         whole = x.floor()
        ...         ctx.mark_non_differentiable(whole)
        ...         return 2 * x, whole
        ...
        ...     @staticmethod
        ...     def backward(ctx, y_bar, _):
        ...         return 2 * y_bar
        >>> y, whole = Doubled.apply(chainrule.ones(2, requires_grad=True))
        >>> y.requires_grad, whole.requires_grad
        (True, False)
        """
        self.non_differentiable = {id(y) for y in outputs}

    def mark_dirty(self, *inputs: Any) -> None:
        """Say that these inputs were changed in place, and are returned.

        >>> import chainrule
        >>> class Doubled(chainrule.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.mark_dirty(x)
        ...         return x.mul_(2)
        ...
        ...     @staticmethod
        ...     def backward(ctx, y_bar):
        ...         return 2 * y_bar
        >>> x = chainrule.ones(2, requires_grad=True)
        >>> y = x * 3
        >>> _ = Doubled.apply(y)
        >>> y.sum().backward()
        >>> x.grad
        tensor([6., 6.])
        """
        self.dirty_tensors = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (True) or None for an output that nothing depends on."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept."""
        if self._node is None:
            return self.to_save
        if self.saved is None:
            fail(
                "Function: the saved tensors were freed by an earlier backward pass",
                "call that backward with retain_graph=True, or run the forward pass again",
            )
        return tuple([self._restore(each) for each in self.saved])

    def keep_for(self, outputs: list[Any], node: Node) -> None:
        """Take hold of what is saved; an output without its node, which holds this."""
        self._node = weakref.ref(node)
        self.saved = []
        for x in self.to_save:
            if x is None:
                self.saved.append(None)
                continue
            index = next((i for i, y in enumerate(outputs) if y is x), None)
            self.saved.append(
                (None, SavedOutput(x), index) if index is not None else (x, x.version, None)
            )
        self.to_save = ()

    def _restore(self, saved: Any) -> Any:
        if saved is None:
            return None
        x, kept, index = saved
        counter = x.version_counter() if index is None else kept.counter
        node = self._node()
        if counter.count != (kept if index is None else kept.version):
            fail(
                f"{node.name}: a saved tensor was changed in place by {counter.changed_by} "
                f"at {counter.changed_at}",
                "use the out-of-place form there, or .clone() before it",
            )
        return x if index is None else node.restore(index, kept)
