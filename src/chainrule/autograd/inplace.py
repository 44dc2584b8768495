"""In-place changes and the tape: a tensor that was written to has a new history.

`y.mul_(x)` puts a new value into y's memory, and y's node becomes the one that made that value. If y
is a view, its base has changed too: the base is then a function of what it was and of what was
written (`WriteView`), and every other view of it is, when next used, that view of the new base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.autograd.tape import Node, Tape
from chainrule.core.base import TensorBase, ViewOf
from chainrule.core.families import LinearOp
from chainrule.core.interpret import assign, bind, current_stack, enter, leave
from chainrule.core.location import user_location
from chainrule.core.op import Array, Bars, Needs, Op
from chainrule.core.types import TensorType
from chainrule.errors import AutogradError

__all__ = ["WriteView", "put", "replay"]


@dataclass(frozen=True)
class WriteView(LinearOp):
    r"""y = base, with the view that `ops` makes of it replaced by `source`.

    base_bar = y_bar with zeros there,  source_bar = that view of y_bar

    Attributes:
        ops: the view ops that lead from the base to the view.
    """

    ops: tuple[Op, ...]

    def type_rule(self, base: TensorType, source: TensorType) -> TensorType:
        """The base's type."""
        return base

    def reference(self, base: Array, source: Array) -> Array:
        """A copy of the base, written to through the view."""
        copy = base.copy()
        view = copy
        for op in self.ops:
            view = op.reference(view)
        view[...] = source
        return copy

    def transpose(self, y_bar: Any, base: Any, source: Any, *, needs: Needs) -> Bars:
        """Zeros where it was overwritten; for the source, what stands there."""
        source_bar = y_bar
        for op in self.ops:
            source_bar = bind(op, source_bar)
        base_bar = bind(self, y_bar, source_bar.zeros_like()) if needs[0] else None
        return base_bar, source_bar


def put(target: Any, source: Any, by: str) -> None:
    """Write `source` into `target`'s memory in the name of the in-place op `by`.

    Raises:
        AutogradError: target is a leaf that requires gradients (or a view of one) and the tape is
            recording: its gradient would be lost.
    """
    recording = current_stack().has(Tape)
    base = target.view_of.base if target.view_of is not None else target
    if recording and base.tracked and base.node is None:
        raise AutogradError(
            f"{by}: a leaf that requires gradients can't be changed in place while the tape records",
            cure="do it under chainrule.no_grad(), or use the out-of-place form",
            location=str(user_location() or ""),
        )
    assign(target, source)
    counter = base.version_counter()
    counter.count += 1
    counter.changed_by = by
    counter.changed_at = user_location()
    if recording and (base.tracked or source.tracked):
        _rebase(target, base, source)


def _rebase(target: Any, base: Any, source: Any) -> None:
    """Give target and base the history that what was written has."""
    if target is base:
        target.node, target.output_index = source.node or _identity(source), source.output_index
        target.tracked = source.tracked
        return
    op = WriteView(target.view_of.ops)
    base.node, base.output_index, base.tracked = Node(op, (base, source), base), 0, True
    target.view_of.version = base.version
    replay(target, target.view_of)


def _identity(source: TensorBase) -> Any:
    """A node for a leaf that was copied as it is; none for a constant."""
    if not source.tracked:
        return None
    return bind(WriteView(()), source.detach(), source).node  # type: ignore[attr-defined]


def replay(view: Any, made: ViewOf) -> None:
    """Set a view's history to its view ops applied to its base as that is now."""
    token = enter(current_stack().without(Tape).push(Tape()))
    try:
        fresh = made.base
        for op in made.ops:
            fresh = bind(op, fresh)
    finally:
        leave(token)
    view.node, view.output_index, view.tracked = fresh.node, fresh.output_index, fresh.tracked
