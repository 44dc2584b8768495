"""The tape: what each op was, what it was given, and what its derivative will need.

The tape is an interpreter. It lets the one below carry an op out, and if a gradient may flow
through it, hangs a `Node` on the output: the op, the edges to what made its inputs, and the values
its derivative names. There is no list of nodes: the outputs hold the nodes and the nodes hold each
other, so whatever nobody can reach any more is freed at once.

`reverse.py` walks it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NoReturn

from chainrule.autograd.hooks import Hooks, RemovableHandle, add_hook
from chainrule.core.base import TensorBase, VersionCounter
from chainrule.core.dtypes import BY_NUMPY
from chainrule.core.interpret import Interpreter, Run, Stack, lift
from chainrule.core.location import Location, user_location
from chainrule.core.op import Op
from chainrule.core.types import TensorType, type_of
from chainrule.errors import AutogradError

__all__ = ["Edge", "Node", "SavedOutput", "Tape", "newest", "refresh_view", "with_tape"]

Edge = tuple[Any, int]
"""Where a cotangent goes on: a node and which of its outputs, or a leaf tensor and 0."""

_sequence = count(1)


class SavedOutput:
    """An output's value as its own node keeps it: without the tensor, which holds the node."""

    __slots__ = ("counter", "tangents", "value", "version")

    def __init__(self, tensor: TensorBase) -> None:
        self.value = tensor.value
        self.tangents = tensor.tangents
        self.counter = tensor.version_counter()
        self.version = self.counter.count


class Node:
    """One op on the tape.

    Attributes:
        op: the op that ran.
        edges: per input, where its cotangent goes on; None where none is wanted.
        sequence: grows with every node, so sorting by it is a topological order.
        saved: per input, the tensor if the derivative needs it, else its type.
        needs: which inputs want a cotangent.
        saved_outputs: per output, its value if the derivative needs it, else its type.
        versions: the index and the version of each saved input.
        location: the user's line that ran the op, where anything was saved.
        output_hooks, pre_hooks, post_hooks: functions called with cotangents on the way back.
        retained: outputs that asked to keep their gradient, by output index.
    """

    hooked = False  # whether there are output_hooks, or outputs that retain their gradient
    output_hooks: dict[int, Hooks] | None = None
    pre_hooks: Hooks | None = None
    post_hooks: Hooks | None = None
    retained: dict[int, Any] | None = None
    location: Location | None = None
    recompute: Callable[[], None] | None = None  # brings back what a checkpoint did not keep

    def __init__(self, op: Op, inputs: tuple[TensorBase, ...], outputs: Any) -> None:
        self.op = op
        self.sequence = next(_sequence)
        edges: list[Edge | None] = []
        needs: list[bool] = []
        for x in inputs:
            edges.append((x.node or x, x.output_index) if x.tracked else None)
            needs.append(x.tracked)
        self.edges = edges
        self.needs = tuple(needs)
        saves = op.saves_for(self.needs)
        saved: list[Any] = []
        versions: list[tuple[int, int]] = []
        for index, x in enumerate(inputs):
            if index not in saves.inputs:
                saved.append(TensorType(x.value.shape, BY_NUMPY[x.value.dtype]))  # `type_of`, lean
                continue
            if x.inference:
                self._refuse_inference()
            saved.append(x)
            fresh = x.counter is None and x.view_of is None
            versions.append((index, 0 if fresh else x.version))
        self.saved: Any = saved
        self.versions = versions
        if op.outputs > 1:  # residuals are kept always, the output itself if it is asked for
            self.saved_outputs: Any = [
                SavedOutput(y) if index or saves.output else type_of(y.value)
                for index, y in enumerate(outputs)
            ]
        elif saves.output:
            self.saved_outputs = SavedOutput(outputs)
        else:
            self.saved_outputs = type_of(outputs.value)
            if not saves.inputs:
                return
        self.location = user_location()

    def _refuse_inference(self) -> NoReturn:
        raise AutogradError(
            f"{self.op.name}: an inference tensor can't be saved for backward",
            cure="make it outside inference_mode, or .clone() it here",
            location=str(user_location() or ""),
        )

    @property
    def name(self) -> str:
        """As `grad_fn` prints it: `MulBackward0`."""
        return f"{type(self.op).__name__}Backward0"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Where the cotangents go: pairs of a node (or a leaf tensor) and an output index."""
        return tuple(edge if edge is not None else (None, 0) for edge in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def register_hook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call `fn(grad_inputs, grad_outputs)` after its derivative; it may return others."""
        if self.post_hooks is None:
            self.post_hooks = Hooks()
        return add_hook(self.post_hooks, fn)

    def register_prehook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call `fn(grad_outputs)` before its derivative; it may return others."""
        if self.pre_hooks is None:
            self.pre_hooks = Hooks()
        return add_hook(self.pre_hooks, fn)

    def free(self) -> None:
        """Forget what was saved: the backward pass has used it. What saved nothing stays usable."""
        if self.versions or type(self.saved_outputs) is not TensorType:
            self.saved = self.saved_outputs = None
            if self.recompute is not None:
                self.recompute = None

    def unpack(self) -> tuple[Any, list[Any]]:
        """The outputs and the inputs as the derivative wants them, checked to be unchanged."""
        if self.saved is None and self.recompute is not None:
            self.recompute()
        if self.saved is None:
            raise AutogradError(
                f"{self.op.name}: the graph was freed by an earlier backward pass",
                cure="call that backward with retain_graph=True, or run the forward pass again",
                location=str(self.location or ""),
                op=self.op.name,
            )
        for index, version in self.versions:
            x = self.saved[index]
            fresh = x.counter is None and x.view_of is None
            if (0 if fresh else x.version) != version:
                self._changed(x.version_counter(), "an input")
        if self.op.outputs == 1:
            y = self.saved_outputs
            return (y if type(y) is TensorType else self._unpack_output(0, y)), self.saved
        outputs = [self._unpack_output(index, y) for index, y in enumerate(self.saved_outputs)]
        return tuple(outputs), self.saved

    def _unpack_output(self, index: int, saved: Any) -> Any:
        if type(saved) is TensorType:
            return saved
        if saved.counter.count != saved.version:
            self._changed(saved.counter, "the output")
        y = lift(saved.value)
        y.tangents = saved.tangents
        y.counter = saved.counter
        if index == 0:
            y.node, y.tracked = self, True
        return y

    def _changed(self, counter: VersionCounter, what: str) -> None:
        raise AutogradError(
            f"{self.op.name}: {what} that its derivative needs was changed in place by "
            f"{counter.changed_by} at {counter.changed_at}",
            cure="use the out-of-place form there, or .clone() before it",
            location=str(self.location or ""),
            op=self.op.name,
            changed_by=counter.changed_by,
            changed_at=str(counter.changed_at),
        )


class Tape(Interpreter):
    """The interpreter that remembers ops for `backward()`."""

    def over(self, below: Stack) -> Run:
        """Run the op below; if a gradient may flow, hang a node on its output."""
        run_below = below.run

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            tracked = False
            for x in inputs:
                if x.view_of is not None:
                    refresh_view(x)
                if x.tracked:
                    tracked = True
            outputs = run_below(op, inputs)
            if not tracked or not op.differentiable:
                return outputs
            first = outputs if op.outputs == 1 else outputs[0]
            if first.tracked:
                return outputs  # recorded already: an op of its own made this one
            first.node = Node(op, inputs, outputs)
            first.tracked = True
            return outputs

        return run


def newest() -> int:
    """A number above that of every node there is, and below that of every node to come."""
    return next(_sequence)


def with_tape(stack: Stack) -> Stack:
    """The same pile with a tape, at its place right above the base: what others do is recorded."""
    return stack if stack.has(Tape) else Stack(stack.base, (Tape(), *stack.layers))


def refresh_view(view: Any) -> None:
    """Bring the history of a view up to date after its base was changed in place.

    A view is a function of its base: where the base has a new history, the view's is that function
    applied to it.
    """
    made = view.view_of
    version = made.base.version
    if made.version == version:
        return
    made.version = version
    if made.base.tracked and (view.node is not None or not view.tracked):  # else it is a leaf
        from chainrule.autograd.inplace import replay

        replay(view, made)
