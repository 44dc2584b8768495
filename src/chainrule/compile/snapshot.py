"""`Snapshot`: tensors as they were before a trace, to be put back when it is over.

A trace runs the user's code on the user's own parameters. It writes no numbers, but the tape, the
version counters and `.grad` are kept on the tensors themselves, and must not show that a trace ever
was.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Kept", "Snapshot"]

FIELDS = ("counter", "gradient", "inference", "node", "output_index", "tracked", "value", "view_of")


class Kept:
    """One tensor as it was.

    Attributes:
        tensor: the tensor.
        gradient: its `.grad` before.
        accumulated: whether the trace added something to its `.grad`.
    """

    __slots__ = ("_fields", "_hooks", "_version", "_view_version", "accumulated", "tensor")

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor
        self.accumulated = False
        self._fields = [getattr(tensor, name) for name in FIELDS]
        counter, view = tensor.counter, tensor.view_of
        self._version = counter and (counter.count, counter.changed_by, counter.changed_at)
        self._view_version = None if view is None else view.version
        self._hooks = tensor.post_accumulate_hooks
        if tensor.tracked and tensor.node is None:
            tensor.post_accumulate_hooks = {**(self._hooks or {}), self: self._note}

    @property
    def gradient(self) -> Any:
        """Its `.grad` before the trace."""
        return self._fields[FIELDS.index("gradient")]

    @property
    def value(self) -> Any:
        """Its array before the trace."""
        return self._fields[FIELDS.index("value")]

    @property
    def tracked(self) -> bool:
        """Whether it required gradients before the trace."""
        return self._fields[FIELDS.index("tracked")]

    def _note(self, tensor: Any) -> None:
        self.accumulated = True

    def restore(self) -> None:
        """Make it what it was."""
        tensor = self.tensor
        for name, value in zip(FIELDS, self._fields, strict=True):
            setattr(tensor, name, value)
        counter, view = tensor.counter, tensor.view_of
        if self._version is not None:
            counter.count, counter.changed_by, counter.changed_at = self._version
        if view is not None:
            view.version = self._view_version
        if tensor.post_accumulate_hooks is not self._hooks:
            tensor.post_accumulate_hooks = self._hooks


class Snapshot:
    """All tensors that a trace can change.

    >>> import chainrule
    >>> x, snapshot = chainrule.ones(2), Snapshot()
    >>> snapshot.keep(x)
    >>> x.requires_grad = True
    >>> snapshot.restore()
    >>> x.requires_grad
    False
    """

    def __init__(self) -> None:
        self.kept: dict[int, Kept] = {}

    def keep(self, tensor: Any) -> None:
        """Remember a tensor, if it is not known yet; and those it is a view of."""
        if id(tensor) in self.kept:
            return
        self.kept[id(tensor)] = Kept(tensor)
        if tensor.view_of is not None:
            self.keep(tensor.view_of.base)
        if tensor.gradient is not None:
            self.keep(tensor.gradient)

    def restore(self) -> None:
        """Make every tensor what it was."""
        for each in self.kept.values():
            each.restore()
