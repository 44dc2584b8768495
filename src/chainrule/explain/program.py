"""A derivation as it ran: its ops in a row, which can be run again with one of them changed.

A recorder stands in the stack of interpreters and notes each fine op with its inputs and outputs as
arrays. Coarse ops and activations are taken apart on the way, so that what is noted is what they
mean. The result is a `Program`. It runs again in NumPy, and from the first changed op on only.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.autograd.tape import Tape
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import (
    Interpreter,
    Run,
    Stack,
    current_stack,
    lift,
    pull_back,
    using,
)
from chainrule.core.location import current_frame
from chainrule.core.op import Array, Op
from chainrule.core.types import signature_of

__all__ = [
    "After",
    "Line",
    "Program",
    "Recorder",
    "Step",
    "local",
    "plain_stack",
    "recording",
    "sweep",
]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_MACHINERY = tuple(
    _PACKAGE + each
    for each in ("core", "ops", "autograd", "tensor", "eager", "recorded", "explain", "nn/layer")
)
_SUBJECT = os.path.join(_PACKAGE, "explain", "subject.py")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of source.

    Attributes:
        filename: the file.
        number: the line, counted from 1.
        function: the function that it is in.
    """

    filename: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """The line itself; empty where the source is not at hand."""
        return linecache.getline(self.filename, self.number).strip()

    def __str__(self) -> str:
        place = f"{os.path.basename(self.filename)}:{self.number}"
        return f"`{self.text}` ({place})" if self.text else f"{self.function} ({place})"


@dataclass(frozen=True, slots=True)
class Step:
    """One op that ran.

    Attributes:
        op: the op.
        inputs: which values it took.
        output: which value it gave; those after it are its further outputs.
        line: where it was asked for.
    """

    op: Op
    inputs: tuple[int, ...]
    output: int
    line: Line | None


Feed = Callable[[int, int, Array, list[Array]], Array]
"""`feed(step, input, value, values)`: what an op is given in place of a value."""

After = Callable[[Array, list[Array]], Array]
"""`after(value, values)`: what takes the place of a value."""


@dataclass(slots=True)
class Program:
    """Ops in the order in which they ran, with all that they took and gave.

    Attributes:
        values: every value; inputs and constants among them.
        steps: the ops.
        names: what some of the values are called.
        results: which value each result is; None for one that there is none of.
    """

    values: list[Array] = field(default_factory=list[Array])
    steps: list[Step] = field(default_factory=list[Step])
    names: dict[int, str] = field(default_factory=dict[int, str])
    results: dict[int, int | None] = field(default_factory=dict[int, "int | None"])
    _makers: dict[int, int] = field(default_factory=dict[int, int], repr=False)

    @property
    def signature(self) -> tuple[Any, ...]:
        """What two runs of one text have in common, whatever the shapes."""
        return tuple((each.op.name, each.inputs, each.output) for each in self.steps)

    def producers(self) -> dict[int, int]:
        """The step that made each value."""
        if len(self._makers) != len(self.steps):
            self._makers = {step.output: index for index, step in enumerate(self.steps)}
        return self._makers

    def ancestors(self) -> list[int]:
        """The steps that some result depends on, in order."""
        wanted = {key for key in self.results.values() if key is not None}
        found: list[int] = []
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            if any(step.output + i in wanted for i in range(step.op.outputs)):
                found.append(index)
                wanted.update(step.inputs)
        return found[::-1]

    def followers(self, start: int) -> set[int]:
        """The values that depend on what a step gives."""
        step = self.steps[start]
        found = {step.output + i for i in range(step.op.outputs)}
        for later in self.steps[start + 1 :]:
            if not found.isdisjoint(later.inputs):
                found.update(later.output + i for i in range(later.op.outputs))
        return found

    def again(
        self,
        changed: Collection[int],
        *,
        feed: Feed | None = None,
        op: Op | None = None,
        after: After | None = None,
    ) -> Mapping[int, Array | None]:
        """The results when some steps are fed or give something else, or are another op.

        What does not depend on them keeps its value.
        """
        values, new = list(self.values), set[int]()
        for index in range(min(changed), len(self.steps)):
            step, mine = self.steps[index], index in changed
            if not mine and new.isdisjoint(step.inputs):
                continue
            given = [values[key] for key in step.inputs]
            if mine and feed is not None:
                given = [feed(index, i, x, values) for i, x in enumerate(given)]
            chosen: Any = op if mine and op is not None else step.op
            made = chosen.reference(*given)
            if mine and after is not None:
                made = after(np.asarray(made), values)
            for offset, each in enumerate(_all(made)):
                values[step.output + offset] = np.asarray(each)
                new.add(step.output + offset)
        return {i: None if key is None else values[key] for i, key in self.results.items()}


class Recorder(Interpreter):
    """Notes the fine ops that go by.

    Args:
        program: where they are noted.
        by_tensor: tell values apart by the tensor and not by its memory. Then `detach` cuts.
    """

    def __init__(self, program: Program, *, by_tensor: bool = False) -> None:
        self.program = program
        self.by_tensor = by_tensor
        self.alive: list[Any] = []  # while they are, no two of them have the same id
        self.keys: dict[int, int] = {}
        self.opaque = False

    def over(self, below: Stack) -> Run:
        """Run the op below, then note it; of an op with a body, run and note that."""
        inner: list[Stack] = []

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            if not inner:
                inner.append(Stack(below.base, (*below.layers, _Noting(self))))
            if isinstance(op, CoarseOp):
                with using(inner[0]):
                    y, residuals = op.forward(*inputs)
                return (y, *residuals) if op.outputs > 1 else y
            body = getattr(op, "body", None)
            if body is not None:
                with using(inner[0]):
                    return body(*inputs)
            outputs = below.run(op, inputs)
            self.note(op, inputs, outputs)
            return outputs

        return run

    def note(self, op: Op, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Write one op down."""
        keys = tuple([self.key(x) for x in inputs])
        first = len(self.program.values)
        for each in _all(outputs):
            self.name(each)
        self.program.steps.append(Step(op, keys, first, _line()))

    def _identity(self, tensor: Any) -> int:
        return id(tensor) if self.by_tensor else id(tensor.value)

    def name(self, tensor: Any, name: str = "") -> int:
        """Give a tensor a value of its own."""
        key = len(self.program.values)
        self.alive.append((tensor, tensor.value))
        self.program.values.append(np.array(tensor.value))
        self.keys[self._identity(tensor)] = key
        if name:
            self.program.names[key] = name
        return key

    def key(self, tensor: Any) -> int:
        """Which value a tensor is; one that was not seen before is a constant."""
        found = self.keys.get(self._identity(tensor))
        return self.name(tensor) if found is None else found

    def output_key(self, tensor: Any) -> int | None:
        """Which value a result is, even if it was wrapped anew since; None: nobody made it."""
        found = self.keys.get(self._identity(tensor))
        if found is None:
            same = [i for i, (_, value) in enumerate(self.alive) if value is tensor.value]
            found = same[-1] if same else None
        return found


def _all(made: Any) -> tuple[Any, ...]:
    """One output or several as a tuple."""
    return tuple(made) if issubclass(type(made), tuple) else (made,)


class _Noting(Interpreter):
    """The same recorder inside an op's body."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def over(self, below: Stack) -> Run:
        """As the recorder does."""
        return self.recorder.over(below)


def _line() -> Line | None:
    """The innermost line that states mathematics, and does not carry it out."""
    frame: Any = current_frame(2)
    while frame is not None:
        filename = frame.f_code.co_filename
        if filename == _SUBJECT:
            return None  # nobody's line: what was passed is checked or converted on its way
        if not filename.startswith(_MACHINERY):
            return Line(filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return None


def plain_stack() -> Stack:
    """The base alone: nobody watches."""
    return Stack(current_stack().base)


@contextmanager
def recording(recorder: Recorder, *, tape: bool = False) -> Generator[None]:
    """Have a recorder see the ops; with `tape`, those that a tape above it lets through."""
    layers: Sequence[Interpreter] = (recorder, Tape()) if tape else (recorder,)
    with using(Stack(current_stack().base, tuple(layers))):
        yield


def sweep(
    program: Program, bars: Mapping[int, Array], wanted: Sequence[int], stop: int = 0
) -> dict[int, Array]:
    """Reverse mode over a program: the cotangents of all values that lead to a wanted one.

    Args:
        program: what ran.
        bars: cotangents to begin with.
        wanted: the values whose cotangents are asked for.
        stop: the step to go back to.
    """
    alive = set(wanted)
    for step in program.steps:
        if step.op.differentiable and not alive.isdisjoint(step.inputs):
            alive.add(step.output)
    found = dict(bars)
    with using(plain_stack()):
        for step in reversed(program.steps[stop:]):
            bar = found.get(step.output)
            if bar is None or step.output not in alive or not step.op.differentiable:
                continue
            for key, x_bar in zip(step.inputs, local(program, step, bar, alive), strict=True):
                if x_bar is not None:
                    known = found.get(key)
                    found[key] = x_bar if known is None else known + x_bar
    return found


def local(program: Program, step: Step, bar: Array, alive: set[int]) -> list[Array | None]:
    """The cotangents that one op hands to its inputs."""
    values = program.values
    tensors: list[Any] = [lift(values[key]) for key in step.inputs]
    needs = tuple([key in alive and values[key].dtype.kind == "f" for key in step.inputs])
    saves = step.op.saves_for(needs)
    kept = [x if i in saves.inputs else None for i, x in enumerate(tensors)]
    outputs: list[Any] = [
        lift(values[step.output + i]) if saves.output or i else None for i in range(step.op.outputs)
    ]
    y_bar: Any = lift(bar)
    y: Any = outputs[0]
    if step.op.outputs > 1:
        y, y_bar = tuple(outputs), (y_bar, *[None] * (step.op.outputs - 1))
    types = tuple([signature_of(x) for x in tensors])
    bars = pull_back(step.op, y_bar, y, kept, types, needs)
    return [None if x is None or not need else np.array(x.value) for x, need in zip(bars, needs)]
