"""In-place changes and the tape: a tensor that was written to has a new history.

`y.mul_(x)` puts a new value into y's memory, and y's node becomes the one that made that value. If
y is a view, its base has changed too: the base is then a function of what it was and of what was
written (`WriteView`), and every view of it, y among them, is, when next used, that view of the new
base (`refresh_view`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.autograd.tape import Node, Tape, refresh_view, with_tape
from chainrule.core.base import ViewOf, is_tensor
from chainrule.core.dtypes import can_cast
from chainrule.core.families import LinearOp
from chainrule.core.interpret import assign, bind, current_stack, enter, leave
from chainrule.core.location import user_location
from chainrule.core.op import Array, Bars, Needs, Op, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import AutogradError
from chainrule.ops.movement import Permute, clone
from chainrule.ops.promotion import cast
from chainrule.ops.slicing import Slice

__all__ = ["WriteView", "in_place_method", "put", "replay"]


class WriteView(LinearOp):
    r"""y = base, with the view that `ops` makes of it replaced by `source`.

    base_bar = y_bar with zeros there,  source_bar = that view of y_bar

    Attributes:
        ops: the view ops that lead from the base to the view.
    """

    ops: tuple[Op, ...]

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Through no view, a slice, and a slice of a transposed matrix."""
        for ops, shape in (
            ((), (2, 3)),
            ((Slice((1,)),), (3,)),
            ((Permute((1, 0)), Slice(((0, 2, 1),))), (2, 2)),
        ):
            yield Sample(op(ops), (spread((2, 3), -3, 3), spread(shape, -3, 3, seed=1)))

    def type_rule(self, base: TensorType, source: TensorType) -> TensorType:
        """The base's type."""
        return base

    def reference(self, base: Array, source: Array) -> Array:
        """A copy of the base, written to through the view."""
        copy = base.copy()
        view = self._view(copy)
        if np.may_share_memory(view, copy):
            view[...] = source
        else:  # a reshape had to copy, for this memory is laid out unlike the first base's
            places = self._view(np.arange(copy.size).reshape(copy.shape))
            copy.reshape(-1)[places] = source
        return copy

    def _view(self, x: Any) -> Array:
        for op in self.ops:
            x = op.reference(x)
        return x

    def transpose(self, y_bar: Any, base: Any, source: Any, *, needs: Needs) -> Bars:
        """Zeros where it was overwritten; for the source, what stands there."""
        source_bar = y_bar
        for op in self.ops:
            source_bar = bind(op, source_bar)
        base_bar = bind(self, y_bar, source_bar.zeros_like()) if needs[0] else None
        return base_bar, source_bar if needs[1] else None


def put(target: Any, source: Any, by: str) -> None:
    """Write `source` into `target`'s memory in the name of the in-place op `by`.

    Raises:
        AutogradError: target is a leaf that requires gradients (or a view of one) and the tape is
            recording: its gradient would be lost.
    """
    if source.view_of is not None:
        refresh_view(source)
    if _is_same_place(target, source):
        return
    recording = current_stack().has(Tape)
    base = target.view_of.base if target.view_of is not None else target
    if recording:
        _refuse_leaf(base, by)
        _refuse_leaf(target, by)
    source = _fitted(target, source)
    assign(target, source)
    counter = base.version_counter()
    counter.count += 1
    counter.changed_by = by
    counter.changed_at = user_location()
    if recording and (base.tracked or source.tracked):
        _rebase(target, base, source, by)
    if base.tangents or source.tangents:
        _move_tangents(target, base, source)


def _is_same_place(target: Any, source: Any) -> bool:
    """Whether source is the very memory of target: `x[0] += 1` ends with `x[0] = x[0]`."""
    if source is target:
        return True
    a, b = target.view_of, source.view_of
    return a is not None and b is not None and a.base is b.base and a.ops == b.ops


def _refuse_leaf(tensor: Any, by: str) -> None:
    if tensor.tracked and tensor.node is None:
        raise AutogradError(
            f"{by}: a leaf that requires gradients can't be changed in place while recording",
            cure="do it under chainrule.no_grad(), or use the out-of-place form",
            location=str(user_location() or ""),
        )


def _fitted(target: Any, source: Any) -> Any:
    """The source in the dtype and shape of the target, where PyTorch lets it be written there."""
    have, want = source.value, target.value
    if have.dtype is not want.dtype and can_cast(source.dtype, target.dtype):
        source = cast(source, target.dtype)
    if not source.tracked and source.tangents is None:
        return source  # whoever interprets broadcasts what he writes; only history needs more
    if have.shape != want.shape and (
        broadcast_shapes_or_none([have.shape, want.shape]) == want.shape
    ):
        source = source.expand(want.shape)
    return source


def _rebase(target: Any, base: Any, source: Any, by: str) -> None:
    """Give the base the history that what was written has; its views follow when next used.

    The node of a value just computed for this is simply taken over. What `copy_` copies belongs to
    someone else, whose hooks are not ours, and a constant has none: these get a node of their own.
    """
    known = base.node
    watchers = known.watchers if known else None
    kept = watchers.retained.pop(base.output_index, None) if watchers else None
    if target is base and source.node is not None and by != "copy_":
        base.node, base.output_index = source.node, source.output_index
    else:
        op = WriteView(target.view_of.ops if target is not base else ())
        needs = (base.tracked, source.tracked)
        base.node, base.output_index = Node(op, (base, source), base, needs), 0
    base.tracked = True
    if kept is not None:  # its owner asked to keep the gradient: that of the new value, from now
        base.node.watched().retained[base.output_index] = kept


def _move_tangents(target: Any, base: Any, source: Any) -> None:
    """Forward mode: the base moves as what was written does, and as it did where it was not."""
    moving: dict[int, Any] = base.tangents or {}
    written: dict[int, Any] = source.tangents or {}
    if target is base:
        base.tangents = source.tangents
        return
    op = WriteView(target.view_of.ops)
    base.tangents = {
        level: bind(
            op,
            moving[level] if level in moving else base.zeros_like(),
            written[level] if level in written else source.zeros_like(),
        )
        for level in {*moving, *written}
    }
    refresh_view(target)
    target.tangents = source.tangents


def replay(view: Any, made: ViewOf) -> None:
    """Set a view's history to its view ops applied to its base as that is now."""
    token = enter(with_tape(current_stack()))
    try:
        fresh = made.base
        for op in made.ops:
            fresh = bind(op, fresh)
    finally:
        leave(token)
    view.node, view.output_index, view.tracked = fresh.node, fresh.output_index, fresh.tracked


def in_place_method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The in-place form of an op's function: compute the new value, then put it there.

    The derivative may need the old value, which is about to be overwritten: so if any is recorded,
    it is that of a copy.
    """

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = self
        if current_stack().has(Tape) and any(
            is_tensor(each) and each.tracked for each in (self, *args)
        ):
            before = clone(self)
        put(self, function(before, *args, **kwargs), name)
        return self

    method.__name__, method.__doc__ = name, f"`{function.__name__}`, in place."
    return method
