"""The recorder: an interpreter above the tape that sees each op, and hooks that see each gradient.

On the way there it lets the interpreters below carry an op out, and writes down what went in, what
came out, and whose line it was. Each node that the tape makes gets a hook; it is called on the way
back with the gradients that came and went. Leaves get one too. So neither the tape nor the backward
pass knows of it, and without a recorder both run as they always did.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.autograd.hooks import RemovableHandle, add_hook, register_hook
from chainrule.autograd.tape import Node, Tape, newest
from chainrule.core.base import as_tuple
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Interpreter, Run, Stack, current_stack, enter, leave
from chainrule.core.op import Op
from chainrule.explain.formulas import Formula, formula_of, number, right_side, substitute
from chainrule.explain.local import local_derivatives
from chainrule.explain.naming import Names
from chainrule.explain.sight import Sight, look, user_frame
from chainrule.explain.story import Meeting, Passage, Pull, Record, Source, Step, Value
from chainrule.explain.summary import Summary, summarise

__all__ = ["Recorder"]

_SILENT = (
    "data/",
    "nn/init.py",
    "nn/running_norm.py",
    "ops/create.py",
    "ops/from_data.py",
    "ops/generator.py",
    "ops/random.py",
    "ops/sampling.py",
    "ops/sequences.py",
    "optim/",
    "printing.py",
)
"""Where nothing is computed from anything: ops that run there only make what is given, or keep
books. They are left out unless a gradient flows through them."""

_WITHIN = ("autograd/function.py", "autograd/reverse.py")
"""Where ops run, with the tape off, that are part of another: a derivative, a custom function."""


class _Met:
    """A value while the story lasts."""

    __slots__ = ("gradient", "number", "origin", "parts", "running", "step", "summary")

    def __init__(self, number: int, origin: str, summary: Summary, step: int | None) -> None:
        self.number = number
        self.origin = origin
        self.summary = summary
        self.step = step
        self.gradient: Summary | None = None
        self.parts: list[tuple[int, Summary]] = []  # of the pass back under way
        self.running: Any = None  # their sum, until whoever knows it says it


class _Watch:
    """The hook on a node: which step it was."""

    __slots__ = ("inputs", "node", "outputs", "recorder", "step")
    inputs: list[_Met]
    outputs: list[_Met]

    def __init__(
        self, recorder: Recorder, node: Node, step: int, inputs: list[_Met], outputs: list[_Met]
    ) -> None:
        self.recorder = recorder
        self.node = weakref.ref(node)
        self.step = step
        self.inputs = inputs
        self.outputs = outputs

    def __call__(self, x_bars: Any, y_bars: Any) -> None:
        self.recorder.pulled(self, x_bars, as_tuple(y_bars))


class Recorder(Interpreter):
    """Writes down what goes by.

    Args:
        names: what to call tensors.
        limit: how many ops to write down; those after it are counted.
    """

    def __init__(self, names: Mapping[str, Any], limit: int) -> None:
        self.limit = limit
        self.names = Names(names)
        self._steps: list[Step] = []
        self._met: list[_Met] = []
        self._back: list[Pull | Meeting] = []
        self._known: dict[int, tuple[Any, int, _Met]] = {}  # by the id of a tensor
        self._handles: list[RemovableHandle] = []
        self._left_out = 0
        self._pass = 0
        self._pass_over = False
        self._busy = False
        self._from = newest()
        self._last: Record | None = None

    # -- on the way there ---------------------------------------------------------------------

    def over(self, below: Stack) -> Run:
        """Run the op below, and write it down."""
        run_below = below.run

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            outputs = run_below(op, inputs)
            if not self._busy:
                self._busy = True
                try:
                    self._note(op, inputs, outputs)
                finally:
                    self._busy = False
            return outputs

        return run

    def _note(self, op: Op, inputs: tuple[Any, ...], outputs: Any) -> None:
        if not all(isinstance(x.value, np.ndarray) for x in inputs):
            return  # someone traces: there are no numbers to see
        sight = look(3)
        ys: tuple[Any, ...] = as_tuple(outputs)
        ys = ys[:1] if isinstance(op, CoarseOp) else ys  # the others are residuals
        node = ys[0].node
        if node is None and sight.passes(*_SILENT):
            return
        if not current_stack().has(Tape) and sight.passes(*_WITHIN):
            return
        if len(self._steps) >= self.limit:
            self._left_out += 1
            return
        if node is not None and self._watch_on(node) is not None:
            return  # written down already: an op of its own made this one
        self._write(op, inputs, ys, node, sight)

    def _write(
        self,
        op: Op,
        inputs: tuple[Any, ...],
        ys: tuple[Any, ...],
        node: Node | None,
        sight: Sight,
    ) -> None:
        """A step, and what its values are called."""
        self.names.enter_modules(sight)
        given = [self._value_of(x, sight) for x in inputs]
        formula = formula_of(op, len(inputs))
        expression = sight.source.expression if sight.source is not None and sight.direct else ""
        if not expression and sight.direct:  # no source at hand: the formula says it
            called = (self.names.current(each.number) for each in given)
            expression = substitute(
                right_side(formula.meaning), dict(zip(formula.symbols, called, strict=False))
            )
        made = self._append(op, given, ys, node, sight.source, formula)
        for met in made:
            self.names.result(met.number, expression, op.name, layer=not sight.direct)
        self.names.variables(sight.frame, self._number_of)

    def _append(
        self,
        op: Op,
        given: list[_Met],
        ys: tuple[Any, ...],
        node: Node | None,
        source: Source | None,
        formula: Formula,
    ) -> list[_Met]:
        """A step, what it made, and the hook that waits for the gradients of that."""
        index = len(self._steps)
        made = [self._meet(y, "result", index) for y in ys]
        for y, met in zip(ys, made, strict=True):
            self._remember(y, met)
        if node is not None:
            watch = _Watch(self, node, index, given, made)
            self._handles.append(add_hook(node.watched().after, watch))
        self._steps.append(
            Step(
                number=index,
                op=op.name,
                formula=formula,
                inputs=tuple(each.number for each in given),
                outputs=tuple(each.number for each in made),
                source=source,
                call=self.names.call,
                tracked=node is not None,
            )
        )
        return made

    # -- values -------------------------------------------------------------------------------

    def _watch_on(self, node: Any) -> _Watch | None:
        if node.watchers is None:
            return None
        hooks: list[Any] = list(node.watchers.after.values())
        for hook in hooks:
            if isinstance(hook, _Watch) and hook.recorder is self:
                return hook
        return None

    def _value_of(self, x: Any, sight: Sight | None) -> _Met:
        """What is known of a tensor, or its first mention."""
        known = self._find(x)
        if known is not None:
            return known
        node = x.node
        if isinstance(node, Node) and node.sequence > self._from and sight is not None:
            return self._adopt(node, x, sight)
        origin, name = self.names.source(x, sight)
        met = self._meet(x, origin, None)
        self.names.first(met.number, name or self._spelled(met.summary), origin, bool(name))
        self._remember(x, met)
        if x.tracked and node is None:
            self._await_leaf(x, met)
        return met

    def _find(self, x: Any) -> _Met | None:
        if x.node is not None:
            watch = self._watch_on(x.node)
            index: int = x.output_index
            if watch is not None and index < len(watch.outputs):
                return watch.outputs[index]
        found = self._known.get(id(x))
        if found is not None and found[0]() is x and found[1] == x.version:
            return found[2]
        return None

    def _remember(self, x: Any, met: _Met) -> None:
        self._known[id(x)] = (weakref.ref(x), x.version, met)

    def _meet(self, x: Any, origin: str, step: int | None) -> _Met:
        summary = summarise(
            x.value,
            picture=origin == "input" and x.value.ndim in (3, 4) and min(x.value.shape[-2:]) >= 8,
            kernels=origin in ("parameter", "leaf"),
        )
        met = _Met(len(self._met), origin, summary, step)
        self._met.append(met)
        return met

    def _adopt(self, node: Node, y: Any, sight: Sight) -> _Met:
        """A node that the tape did not make itself: that of a custom function."""
        given: list[_Met] = []
        for edge in node.edges:
            if edge is None:
                continue
            where, index = edge
            watch = self._watch_on(where) if isinstance(where, Node) else None
            if watch is not None:
                given.append(watch.outputs[index])
            elif not isinstance(where, Node):
                given.append(self._value_of(where, sight))
        formula = formula_of(node.op, len(given))
        (made,) = self._append(node.op, given, (y,), node, _source_of(node, sight), formula)
        self.names.result(made.number, "", node.op.name, layer=False)
        return made

    def _spelled(self, summary: Summary) -> str:
        """A constant is called by its number."""
        return summary.type if summary.scalar is None else number(summary.scalar)

    def _number_of(self, x: Any) -> int | None:
        met = self._find(x)
        return None if met is None else met.number

    # -- on the way back ----------------------------------------------------------------------

    def _await_leaf(self, leaf: Any, met: _Met) -> None:
        def arrived(bar: Any) -> None:
            self._complete(met, summarise(bar.value, kernels=True))
            self._pass_over = True

        self._handles.append(register_hook(leaf, arrived))

    def pulled(self, watch: _Watch, x_bars: Any, y_bars: tuple[Any, ...]) -> None:
        """A node's derivative was taken: what came in, and what goes out."""
        if self._busy:
            return
        self._busy = True
        token = enter(Stack(current_stack().base))  # neither the tape nor a recorder is to see this
        try:
            self._pull(watch, x_bars, y_bars)
        finally:
            leave(token)
            self._busy = False

    def _pull(self, watch: _Watch, x_bars: Any, y_bars: tuple[Any, ...]) -> None:
        if self._pass_over:
            self._end_pass()
        shown = [
            (met, bar) for met, bar in zip(watch.outputs, y_bars, strict=False) if bar is not None
        ]
        if not shown:
            return
        seed = not any(met.parts for met, _ in shown)
        if seed:  # who calls backward() has a name for what it is called on
            self.names.variables(user_frame(), self._number_of)
        incoming, *_ = [self._complete(met, summarise(bar.value)) for met, bar in shown]
        index = len(self._back)
        node = watch.node()
        locals_ = {} if node is None else local_derivatives(node)
        passages: list[Passage] = []
        for position, (met, bar) in enumerate(zip(watch.inputs, x_bars, strict=False)):
            if bar is None:
                continue
            outgoing = summarise(bar.value, kernels=met.origin in ("parameter", "leaf"))
            local = locals_.get(position)
            passages.append(
                Passage(position, met.number, None if local is None else summarise(local), outgoing)
            )
            met.parts.append((watch.step, outgoing))
            met.running = bar.value if met.running is None else met.running + bar.value
        self._back.append(Pull(index, self._pass, watch.step, incoming, tuple(passages), seed))

    def _complete(self, met: _Met, total: Summary) -> Summary:
        """The gradient of a value is known; if it came by several paths, they meet here."""
        if len(met.parts) > 1:
            parts = tuple(met.parts)
            self._back.append(Meeting(len(self._back), self._pass, met.number, parts, total))
        met.parts, met.running, met.gradient = [], None, total
        return total

    def _end_pass(self) -> None:
        """Nobody is going to say the sums that are left: where a graph went on outside."""
        for met in self._met:
            if met.running is not None:
                self._complete(met, summarise(np.asarray(met.running)))
        self._pass += 1
        self._pass_over = False

    @property
    def finished(self) -> bool:
        """Whether the block is over."""
        return self._last is not None

    # -- the end ------------------------------------------------------------------------------

    def finish(self, frame: Any) -> None:
        """Take the hooks out, and look once more at what things are called."""
        self.names.variables(frame, self._number_of, own=True)
        for handle in self._handles:
            handle.remove()
        self._end_pass()
        self._last = self.record()
        self._handles.clear()
        self._known.clear()
        self.names.forget_frames()

    def record(self) -> Record:
        """What has happened so far."""
        if self._last is not None:
            return self._last
        named = self.names.chosen(len(self._met))
        values = tuple(
            Value(m.number, *named[m.number], m.origin, m.summary, m.step, m.gradient)
            for m in self._met
        )
        return Record(
            values, tuple(self._steps), self.names.calls, tuple(self._back), self._left_out
        )


def _source_of(node: Node, sight: Sight) -> Source | None:
    if node.location is None:
        return sight.source
    where = node.location
    return Source(where.filename, where.line, where.text, "", "", ())
