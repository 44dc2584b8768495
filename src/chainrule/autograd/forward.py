"""Forward mode: an interpreter that pushes tangents along with the values.

A *dual* tensor carries its tangent in `Tensor.tangents`, by level. `ForwardMode` lets the
interpreter below carry an op out, asks the op how its output moves (`Op.jvp`), and hangs that on
the output. The tangent is computed by whoever is below: so the tape records it, an outer level
pushes its own tangents through it, and derivatives nest in any order. Each level has a number of
its own, never used again: a perturbation of one can't be taken for that of another.

A coarse op is its body here: the tangent of the whole is that of its parts.

What cuts a tangent: `detach()`, an op that has no derivative, an integer. What does not: `no_grad`,
which is about the tape alone (as in PyTorch).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule.autograd.tape import SavedOutput
from chainrule.core.base import as_tuple
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Interpreter, Run, Stack, current_stack, enter, leave, using
from chainrule.core.location import user_location
from chainrule.core.op import Op
from chainrule.errors import AutogradError, DTypeError, ShapeError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["ForwardMode", "UnpackedDualTensor", "dual_level", "make_dual", "unpack_dual"]

_levels = count(1)
_innermost: ContextVar[tuple[int, ...]] = ContextVar("chainrule_dual_levels", default=())


class UnpackedDualTensor(NamedTuple):
    """A dual tensor taken apart; its tangent is None where nothing moves it.

    >>> import chainrule
    >>> from chainrule.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     forward_ad.unpack_dual(chainrule.tensor(3.0))
    UnpackedDualTensor(primal=tensor(3.), tangent=None)
    """

    primal: Tensor
    tangent: Tensor | None


class ForwardMode(Interpreter):
    """The interpreter that pushes the tangents of one level.

    Attributes:
        level: whose tangents it pushes.

    >>> import chainrule
    >>> from chainrule.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     current_stack().has(ForwardMode)
    True
    """

    def __init__(self, level: int) -> None:
        self.level = level

    def over(self, below: Stack) -> Run:
        """Run the op below; if an input has a tangent, give the output one."""
        run_below, level = below.run, self.level

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            tangents = tuple(
                [None if x.tangents is None else x.tangents.get(level) for x in inputs]
            )
            if not op.differentiable or all(x_dot is None for x_dot in tangents):
                return run_below(op, inputs)
            for x in inputs:
                if x.view_of is not None and x.view_of.version != x.view_of.base.version:
                    _refuse_stale_view(op)
            if isinstance(op, CoarseOp):
                return self._run_body(op, inputs, below)
            outputs = run_below(op, inputs)
            token = enter(below)
            try:
                y_dot = op.jvp(outputs, inputs, tangents)
            finally:
                leave(token)
            if y_dot is not None:
                self._hang(outputs if op.outputs == 1 else outputs[0], y_dot)
            return outputs

        return run

    def _run_body(self, op: CoarseOp, inputs: tuple[Any, ...], below: Stack) -> Any:
        op.type_rule(*[x.type for x in inputs])
        with using(below.push(self)):
            y, residuals = op.forward(*inputs)
        return (y, *residuals) if op.outputs > 1 else y

    def _hang(self, y: Any, y_dot: Any) -> None:
        """Give y its tangent, and tell its node: what that saved of y was saved without it."""
        known: dict[int, Any] = y.tangents or {}
        y.tangents = {**known, self.level: y_dot}
        if y.node is not None:
            saved = as_tuple(y.node.saved_outputs)[y.output_index]
            if isinstance(saved, SavedOutput):
                saved.tangents = y.tangents


def _refuse_stale_view(op: Op) -> None:
    raise AutogradError(
        f"{op.name}: the base of this view was changed in place, which forward mode can't follow",
        cure="take the view after the change, or use the out-of-place form",
        location=str(user_location() or ""),
    )


@contextmanager
def dual_level() -> Generator[int]:
    """Push tangents inside the block; levels nest.

    >>> import chainrule
    >>> from chainrule.autograd import forward
    >>> with forward.dual_level():
    ...     x = forward.make_dual(chainrule.tensor(3.0), chainrule.tensor(1.0))
    ...     y = forward.unpack_dual(x * x).tangent
    >>> y
    tensor(6.)
    """
    level = next(_levels)
    token = _innermost.set((*_innermost.get(), level))
    try:
        with using(current_stack().push(ForwardMode(level))):
            yield level
    finally:
        _innermost.reset(token)


def _level(asked: int | None, what: str) -> int:
    known = _innermost.get()
    if asked is None and known:
        return known[-1]
    if asked is None or asked not in known:
        raise AutogradError(
            f"{what}: no such level of forward mode is open",
            cure="open one: with chainrule.autograd.forward_ad.dual_level():",
            location=str(user_location() or ""),
        )
    return asked


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """The tensor with a tangent: what is computed from it at this level gets one too.

    Args:
        tensor: the value, a float tensor.
        tangent: of the same shape and dtype.
        level: of those open, the innermost unless given.

    Raises:
        ShapeError: the tangent has another shape.
        DTypeError: it has another dtype, or that is no float.
        AutogradError: no such level is open.

    >>> import chainrule
    >>> from chainrule.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(chainrule.tensor([2.0, 3.0]), chainrule.tensor([1.0, 0.0]))
    ...     y, y_dot = forward_ad.unpack_dual(x.prod())
    >>> y_dot
    tensor(3.)
    """
    number = _level(level, "make_dual")
    if tangent.shape != tensor.shape:
        raise ShapeError(
            f"make_dual: the tangent is {tangent.type}, the tensor {tensor.type}",
            cure="a tangent has the shape of what it belongs to",
            location=str(user_location() or ""),
        )
    if tangent.dtype is not tensor.dtype or not tensor.dtype.is_floating_point:
        raise DTypeError(
            f"make_dual: the tangent is {tangent.type}, the tensor {tensor.type}",
            cure="both are float tensors of one dtype",
            location=str(user_location() or ""),
        )
    dual = tensor.reshape(tensor.shape)  # a tensor of its own, with the same history
    dual.tangents = {**(dual.tangents or {}), number: tangent}
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The tensor without its tangent of this level, and that tangent (None: it is zero).

    Raises:
        AutogradError: no such level is open.

    >>> import chainrule
    >>> from chainrule.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(chainrule.tensor(0.0), chainrule.tensor(2.0))
    ...     forward_ad.unpack_dual(x.exp()).tangent, forward_ad.unpack_dual(x.detach()).tangent
    (tensor(2.), None)
    """
    number = _level(level, "unpack_dual")
    tangents = tensor.tangents or {}
    if number not in tangents:
        return UnpackedDualTensor(tensor, None)
    primal = tensor.reshape(tensor.shape)
    primal.tangents = {each: t for each, t in tangents.items() if each != number} or None
    return UnpackedDualTensor(primal, tangents[number])
