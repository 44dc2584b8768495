"""The tape: what each op was, what it was given, and what its derivative will need.

The tape is an interpreter. It lets the one below carry an op out, and if a gradient may flow through
it, hangs a `Node` on the output: the op, the edges to what made its inputs, and the values its
derivative names. There is no list of nodes: the outputs hold the nodes and the nodes hold each
other, so whatever nobody can reach any more is freed at once.

`reverse.py` walks it.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from chainrule.core.base import TensorBase, VersionCounter
from chainrule.core.dtypes import from_numpy_dtype
from chainrule.core.interpret import Interpreter, Run, Stack
from chainrule.core.location import Location, user_location
from chainrule.core.op import Op
from chainrule.core.types import TensorType
from chainrule.errors import AutogradError

__all__ = ["Edge", "Node", "SavedOutput", "Tape", "refresh_view"]

Edge = tuple[Any, int]
"""Where a cotangent goes on: a node and which of its outputs, or a leaf tensor and 0."""

_sequence = count(1)


class SavedOutput:
    """An output's value as its own node keeps it: without the tensor, which holds the node."""

    __slots__ = ("counter", "make", "tangents", "value", "version")

    def __init__(self, tensor: TensorBase) -> None:
        self.make = type(tensor).from_value  # type: ignore[attr-defined]
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
        saved: per input, the tensor if the derivative needs it, else its shape and dtype.
        saved_outputs: per output, its value if the derivative needs it, else its shape and dtype.
        versions: the version of each saved input when it was saved.
        location: the user's line that ran the op, where anything was saved.
        hooks: functions called with the cotangents on the way back.
        retained: outputs that asked to keep their gradient, by output index.
    """

    __slots__ = (
        "__weakref__",
        "edges",
        "location",
        "op",
        "output_hooks",
        "post_hooks",
        "pre_hooks",
        "retained",
        "saved",
        "saved_outputs",
        "sequence",
        "versions",
    )

    def __init__(self, op: Op, inputs: tuple[TensorBase, ...], outputs: Any) -> None:
        self.op = op
        self.sequence = next(_sequence)
        self.edges: tuple[Edge | None, ...] = tuple(
            [((x.node or x), x.output_index) if x.tracked else None for x in inputs]
        )
        self.output_hooks: dict[int, dict[int, Any]] | None = None
        self.pre_hooks: dict[int, Any] | None = None
        self.post_hooks: dict[int, Any] | None = None
        self.retained: dict[int, Any] | None = None
        self.location: Location | None = None
        self._save(inputs, outputs)

    def _save(self, inputs: tuple[TensorBase, ...], outputs: Any) -> None:
        saves = self.op.saves_for(tuple([edge is not None for edge in self.edges]))
        keep = saves.inputs
        saved: list[Any] = []
        versions: list[int] = []
        for index, x in enumerate(inputs):
            if index in keep:
                if x.inference:
                    raise AutogradError(
                        f"{self.op.name}: an inference tensor can't be saved for backward",
                        cure="make it outside inference_mode, or .clone() it here",
                        location=str(user_location()),
                    )
                saved.append(x)
                versions.append(x.version)
            else:
                saved.append((x.value.shape, x.value.dtype))
                versions.append(0)
        self.saved: Any = saved
        self.versions = versions
        if self.op.outputs > 1:  # residuals: all are kept, and the output if it is asked for
            self.saved_outputs: Any = [
                SavedOutput(y) if index or saves.output else (y.value.shape, y.value.dtype)
                for index, y in enumerate(outputs)
            ]
        elif saves.output:
            self.saved_outputs = [SavedOutput(outputs)]
        else:
            self.saved_outputs = [(outputs.value.shape, outputs.value.dtype)]
            if not keep:
                return
        self.location = user_location()

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

    def needs(self) -> tuple[bool, ...]:
        """Which inputs want a cotangent."""
        return tuple([edge is not None for edge in self.edges])

    def free(self) -> None:
        """Forget what was saved: the backward pass has used it."""
        self.saved = self.saved_outputs = None

    def unpack(self) -> tuple[Any, list[Any]]:
        """The outputs and the inputs as the derivative wants them, checked to be unchanged."""
        if self.saved is None:
            raise AutogradError(
                f"{self.op.name}: the graph was freed by an earlier backward pass",
                cure="call that backward with retain_graph=True, or run the forward pass again",
                location=str(self.location or ""),
                op=self.op.name,
            )
        inputs = [
            self._checked_input(x, version)
            if isinstance(x, TensorBase)
            else TensorType(x[0], from_numpy_dtype(x[1]))
            for x, version in zip(self.saved, self.versions, strict=True)
        ]
        outputs = [self._unpack_output(index, y) for index, y in enumerate(self.saved_outputs)]
        return (outputs[0] if self.op.outputs == 1 else tuple(outputs)), inputs

    def _checked_input(self, x: TensorBase, version: int) -> TensorBase:
        if x.version != version:
            self._changed(x.version_counter(), "an input")
        return x

    def _unpack_output(self, index: int, saved: Any) -> Any:
        if not isinstance(saved, SavedOutput):
            return TensorType(saved[0], from_numpy_dtype(saved[1]))
        if saved.counter.count != saved.version:
            self._changed(saved.counter, "the output")
        y = saved.make(saved.value)
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
    if made.base.tracked:
        from chainrule.autograd.inplace import replay

        replay(view, made)
