"""`TensorBase`: the fields that interpreters keep on a tensor.

`Tensor`, with all its methods, is built on top of the ops; what lies below it needs only this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeGuard

if TYPE_CHECKING:
    from chainrule.core.location import Location
    from chainrule.core.op import Op
    from chainrule.tensor import Tensor

__all__ = ["TUPLE", "TensorBase", "VersionCounter", "ViewOf", "as_tuple", "is_tensor"]


_new = object.__new__

TUPLE: Any = tuple
"""For `type(x) is TUPLE` on hot paths: the fastest test, of which type checkers make too much."""


class VersionCounter:
    """Counts the in-place changes of one piece of memory; a tensor and its views share one."""

    __slots__ = ("changed_at", "changed_by", "count")

    def __init__(self) -> None:
        self.count = 0
        self.changed_by = ""
        self.changed_at: Location | None = None


class ViewOf:
    """How a view was made: its base, the ops from the base to it, and the base's version then."""

    __slots__ = ("base", "ops", "version")

    def __init__(self, base: Any, ops: tuple[Op, ...], version: int) -> None:
        self.base = base
        self.ops = ops
        self.version = version


class TensorBase:
    """One value, and what the tape knows of it.

    Attributes:
        value: the NumPy array; under a trace, a symbol with the same `shape` and `dtype`.
        tracked: whether gradients flow to it (`requires_grad`, without the checks).
        node: the tape's record of the op that made it; None for a leaf. `grad_fn` is this, brought
            up to date where the tensor is a view of something changed in place.
        output_index: which output of that op it is.
        counter: its version counter, made when it is first needed.
        view_of: set where it shares the memory of another tensor.
        tangents: forward mode's tangent of this value, by level.
        hooks: functions that see this leaf's gradient on the way back.
        post_accumulate_hooks: functions called with this leaf once its `.grad` is up to date.
        gradient: what backward passes have added up; a leaf's, unless asked to be kept. `grad` is
            this, checked when it is set.
        inference: made under `inference_mode`, and so unknown to the tape for ever.
    """

    # Slots, filled when a tensor is made: attributes that are sometimes the class's and sometimes
    # the instance's are looked up the slow way every time, and the tape looks at these always.
    __slots__ = (
        "counter",
        "gradient",
        "hooks",
        "inference",
        "node",
        "output_index",
        "tracked",
        "value",
        "view_of",
    )

    value: Any
    tracked: bool
    node: Any
    output_index: int
    counter: VersionCounter | None
    view_of: ViewOf | None
    inference: bool
    hooks: Any
    gradient: Any
    tangents: dict[int, Any] | None
    post_accumulate_hooks: Any

    @classmethod
    def around(cls, value: Any) -> Self:
        """A new tensor around a value of the current interpreter: no copy, no check, no history."""
        self = _new(cls)
        self.value = value
        self.tracked = self.inference = False
        self.node = self.counter = self.view_of = self.hooks = self.gradient = None
        self.output_index = 0
        return self

    def version_counter(self) -> VersionCounter:
        """The counter of this memory: the base's, for a view."""
        counter = self.counter
        if counter is None:
            view = self.view_of
            counter = VersionCounter() if view is None else view.base.version_counter()
            self.counter = counter
        return counter

    @property
    def version(self) -> int:
        """How often this memory was changed in place since it was made."""
        if self.counter is None and self.view_of is None:
            return 0
        return self.version_counter().count


def is_tensor(obj: object) -> TypeGuard[Tensor]:
    """Whether `obj` is a tensor."""
    return isinstance(obj, TensorBase)


def as_tuple(given: Any) -> tuple[Any, ...]:
    """One thing, or a tuple or a list of them, as a tuple."""
    return tuple(given) if issubclass(type(given), tuple | list) else (given,)
