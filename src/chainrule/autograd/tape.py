"""The tape: what each op was, what it was given, and what its derivative will need.

The tape is an interpreter. It lets the one below carry an op out, and if a gradient may flow
through it, hangs a `Node` on the output: the op, the edges to what made its inputs, and the values
its derivative names. There is no list of nodes: the outputs hold the nodes and the nodes hold each
other, so whatever nobody can reach any more is freed at once.

`reverse.py` walks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, NoReturn

from chainrule.autograd.hooks import Hooks, RemovableHandle, add_hook
from chainrule.core.base import TUPLE, TensorBase, VersionCounter
from chainrule.core.interpret import Interpreter, Run, Stack
from chainrule.core.location import Location, user_location
from chainrule.core.op import Op
from chainrule.core.types import signature_of
from chainrule.errors import AutogradError

__all__ = [
    "Edge",
    "Node",
    "SavedOutput",
    "Tape",
    "Watchers",
    "newest",
    "refresh_view",
    "with_tape",
]

Edge = tuple[Any, int]
"""Where a cotangent goes on: a node and which of its outputs, or a leaf tensor and 0."""

_sequence = count(1)
_is_tracked = attrgetter("tracked")
_view_of = attrgetter("view_of")


class SavedOutput:
    """An output's value as its own node keeps it: without the tensor, which holds the node."""

    __slots__ = ("around", "counter", "tangents", "value", "version")

    def __init__(self, tensor: TensorBase) -> None:
        self.around = tensor.around
        self.value = tensor.value
        self.tangents = tensor.tangents
        self.counter = tensor.version_counter()
        self.version = self.counter.count


class Watchers:
    """Who wants to see the cotangents that come by at a node.

    Attributes:
        by_output: hooks on its outputs, by output index.
        before, after: hooks on the node itself.
        retained: outputs that asked to keep their gradient, by output index.
    """

    __slots__ = ("after", "before", "by_output", "retained")

    def __init__(self) -> None:
        self.by_output: dict[int, Hooks] = {}
        self.before = Hooks()
        self.after = Hooks()
        self.retained: dict[int, Any] = {}


class Node:
    """One op on the tape.

    Nodes are ordered by age, the newest first: a heap of them gives it first.

    Attributes:
        op: the op that ran.
        outputs: how many it has.
        edges: per input, where its cotangent goes on; None where none is wanted.
        sequence: grows with every node, so sorting by it is a topological order.
        needs: which inputs want a cotangent.
        types: per input, its signature.
        saved: per input, the tensor if the derivative needs it, else None.
        saved_outputs: the output's value if the derivative needs it, else None; for an op of
            several outputs a list: of that, and of the other outputs.
        versions: which inputs were saved, each with its version then.
        keeps: whether anything was saved.
        location: the user's line that ran the op, where anything was saved.
        recompute: brings back what a checkpoint did not keep.
        watchers: who wants to see cotangents go by.
    """

    __slots__ = (
        "__weakref__",
        "edges",
        "keeps",
        "location",
        "needs",
        "op",
        "outputs",
        "recompute",
        "saved",
        "saved_outputs",
        "sequence",
        "types",
        "versions",
        "watchers",
    )

    def __init__(
        self, op: Op, inputs: tuple[TensorBase, ...], outputs: Any, needs: tuple[bool, ...]
    ) -> None:
        self.op = op
        self.outputs: int = op.outputs
        self.sequence = next(_sequence)
        self.needs = needs
        self.types = (*map(signature_of, inputs),)
        self.edges: list[Edge | None] = [
            (x.node or x, x.output_index) if x.tracked else None for x in inputs
        ]
        self.watchers: Watchers | None = None
        self.recompute: Callable[[], None] | None = None
        self.location: Location | None = None
        self.saved_outputs: Any = None
        saves = op.saves_for(needs)
        wanted = saves.inputs
        saved: list[Any] = [None] * len(inputs)
        versions: list[tuple[int, int]] = []
        for index in wanted:
            x = saved[index] = inputs[index]
            counter = x.counter
            if counter is not None:
                versions.append((index, counter.count))
            else:
                versions.append((index, 0 if x.view_of is None else x.version))
            if x.inference:
                self._refuse_inference()
        self.saved: Any = saved
        self.versions = versions
        if self.outputs > 1:  # residuals are kept always, the output itself if it is asked for
            self.saved_outputs = [SavedOutput(outputs[0]) if saves.output else None, *outputs[1:]]
        elif saves.output:
            self.saved_outputs = SavedOutput(outputs)
        elif not wanted:
            self.keeps = False
            return
        self.keeps = True
        self.location = user_location(3)  # whoever makes a node was called from within

    def __lt__(self, other: Node) -> bool:
        return self.sequence > other.sequence

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

    def watched(self) -> Watchers:
        """Its watchers, made when the first one comes."""
        if self.watchers is None:
            self.watchers = Watchers()
        return self.watchers

    def register_hook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call `fn(grad_inputs, grad_outputs)` after its derivative; it may return others."""
        return add_hook(self.watched().after, fn)

    def register_prehook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call `fn(grad_outputs)` before its derivative; it may return others."""
        return add_hook(self.watched().before, fn)

    def free(self) -> None:
        """Forget what was saved: the backward pass has used it. Of no use where nothing was."""
        self.saved = self.saved_outputs = self.recompute = None

    def unpack(self) -> tuple[Any, Sequence[Any]]:
        """The outputs and the inputs as `pull_back` wants them, checked to be unchanged."""
        if self.saved is None and self.recompute is not None:
            self.recompute()
        if self.saved is None:
            raise AutogradError(
                f"{self.op.name}: the graph was freed by an earlier backward pass",
                cure="call that backward with retain_graph=True, or run the forward pass again",
                location=str(self.location or ""),
                op=self.op.name,
            )
        saved = self.saved
        for index, version in self.versions:
            x = saved[index]
            counter = x.counter
            if counter is not None:
                now = counter.count
            else:
                now = 0 if x.view_of is None else x.version
            if now != version:
                self._changed(x.version_counter(), "an input")
        if self.saved_outputs is None:
            return None, saved
        if self.outputs == 1:
            return self._output(self.saved_outputs), saved
        first, *residuals = self.saved_outputs
        for y in residuals:
            if y.counter is not None and y.counter.count:
                self._changed(y.counter, "a residual")
        return (None if first is None else self._output(first), *residuals), saved

    def _output(self, saved: SavedOutput) -> Any:
        if saved.counter.count != saved.version:
            self._changed(saved.counter, "the output")
        y = saved.around(saved.value)
        y.tangents = saved.tangents
        y.counter = saved.counter
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
            if any(map(_view_of, inputs)):
                for x in inputs:
                    if x.view_of is not None:
                        refresh_view(x)
            needs = (*map(_is_tracked, inputs),)
            outputs = run_below(op, inputs)
            if True not in needs or not op.differentiable:
                return outputs
            first = outputs[0] if type(outputs) is TUPLE else outputs
            if first.tracked:
                return outputs  # recorded already: an op of its own made this one
            first.node = Node(op, inputs, outputs, needs)
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
