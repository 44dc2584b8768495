"""A story: what happened, as values that nobody changes, and the ways to look at it.

The data model, which everything that draws, prints or walks only reads:

- `Value`: a tensor as it was: where it came from, what it is called, its numbers, its gradient.
- `Step`: an op on the way there: its formula, what went in and came out, whose line it was.
- `Pull`: the same op on the way back: the gradient that came in, and for each input the local
  derivative and the gradient that went out.
- `Meeting`: gradients that arrived at one value by several paths, and their sum.
- `Call`: a module that was called: its path and type.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chainrule.errors import MissingDependencyError
from chainrule.explain.formulas import Formula
from chainrule.explain.summary import Summary

if TYPE_CHECKING:
    from chainrule.explain.drawing import Drawing
    from chainrule.explain.recorder import Recorder

__all__ = ["Call", "Meeting", "Passage", "Pull", "Record", "Source", "Step", "Story", "Value"]


@dataclass(frozen=True, slots=True)
class Source:
    """A place in the user's code.

    Attributes:
        file: the file, or what Python calls it.
        line: the line number, from 1.
        text: that line, stripped.
        function: the function it is in; "" at the top of a script.
        expression: just that part of the line which the op stands for: `x + y`.
        around: the lines about it, each with its number.
    """

    file: str
    line: int
    text: str
    function: str
    expression: str
    around: tuple[tuple[int, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one module.

    Attributes:
        number: its place among the calls.
        path: how the user reaches the module: `net.2`.
        kind: its class: `Linear`.
        outer: the number of the call it was called from, if any.
    """

    number: int
    path: str
    kind: str
    outer: int | None

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})"


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor, as it was when it was met.

    Attributes:
        number: its place among the values.
        name: what the user calls it: a variable, a parameter's path, or the expression that made
            it.
        named: whether that is a name, and no expression or number.
        origin: "result" of a step; else a "parameter", a "leaf" (which requires gradients), an
            "input" (which does not), or a "constant" (a number in the code).
        summary: its numbers.
        step: the number of the step that made it, if one did.
        gradient: of the last pass back that reached it, all paths summed.
    """

    number: int
    name: str
    named: bool
    origin: str
    summary: Summary
    step: int | None
    gradient: Summary | None


@dataclass(frozen=True, slots=True)
class Step:
    """An op, on the way there.

    Attributes:
        number: its place among the steps.
        op: the op's name.
        formula: what its documentation says.
        inputs: the numbers of the values that went in.
        outputs: of those that came out.
        source: the user's line, if there is one.
        call: the number of the innermost module call it happened in.
        tracked: whether gradients flow back through it.
    """

    number: int
    op: str
    formula: Formula
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    source: Source | None
    call: int | None
    tracked: bool


@dataclass(frozen=True, slots=True)
class Passage:
    """What one input of an op got back.

    Attributes:
        input: the position among the op's inputs.
        value: the value's number.
        local: the local derivative dy/dx where each y depends on one x (an elementwise op), in
            the shape of y; else None.
        outgoing: the gradient that this path brings.
    """

    input: int
    value: int
    local: Summary | None
    outgoing: Summary


@dataclass(frozen=True, slots=True)
class Pull:
    """An op, on the way back.

    Attributes:
        number: its place among what happened on the way back.
        back: which pass back it was, from 0.
        step: the number of the step.
        incoming: the gradient of its output, complete.
        passages: what its inputs got, those that wanted any.
        seed: whether the way back began here.
    """

    number: int
    back: int
    step: int
    incoming: Summary
    passages: tuple[Passage, ...]
    seed: bool


@dataclass(frozen=True, slots=True)
class Meeting:
    """Gradients that came to one value by several paths.

    Attributes:
        number: its place among what happened on the way back.
        back: which pass back it was.
        value: the value.
        parts: for each path, the step it came from and the gradient it brought.
        total: their sum.
    """

    number: int
    back: int
    value: int
    parts: tuple[tuple[int, Summary], ...]
    total: Summary


@dataclass(frozen=True, slots=True)
class Record:
    """All that happened.

    Attributes:
        values, steps, calls: by number.
        back: pulls and meetings, in order.
        left_out: how many ops came after the limit, and are not here.
    """

    values: tuple[Value, ...]
    steps: tuple[Step, ...]
    calls: tuple[Call, ...]
    back: tuple[Pull | Meeting, ...]
    left_out: int = 0

    def value(self, name: str) -> Value:
        """The last value of that name; a `KeyError` names those there are."""
        for each in reversed(self.values):
            if each.name == name:
                return each
        raise KeyError(f"{name!r} is none of {[each.name for each in self.values if each.named]}")

    def calls_of(self, step: Step) -> tuple[Call, ...]:
        """The modules a step happened in, from the outermost in."""
        found: list[Call] = []
        number = step.call
        while number is not None:
            found.append(self.calls[number])
            number = self.calls[number].outer
        return tuple(reversed(found))


class Story:
    """What a `with chainrule.explain() as story:` block gives: a record, and ways to look at it.

    A notebook shows it as its graph.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @property
    def record(self) -> Record:
        """What happened, as data."""
        return self._recorder.record()

    def graph(
        self,
        *,
        fold: bool | Collection[str] = True,
        direction: str = "auto",
        theme: str = "auto",
    ) -> Drawing:
        """The computation as a drawing, which shows itself in a notebook and can be saved.

        Args:
            fold: show each module as one node; False shows every op. Or the paths of the modules
                to show as one (`["net.0"]`), all others being open.
            direction: "right", "down", or "auto": to the right what is short.
            theme: "light", "dark", or "auto": as the reader's system is set.

        Raises:
            MissingDependencyError: the layout library is not installed.
        """
        from chainrule.explain.drawing import draw

        return draw(self.record, fold=fold, direction=direction, theme=theme)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the walk: one page that needs nothing else, to step through forwards and back.

        Args:
            path: ends in `.html`. It appears whole or not at all.

        Raises:
            ConfigError: it ends in something else.
            MissingDependencyError: the layout library is not installed.
            StorageError: it can't be written there.
        """
        from chainrule.explain.page import save_walk

        save_walk(self.record, path)

    def walk(self) -> None:
        """Print the walk: every op with its numbers, forwards, then back."""
        from chainrule.explain.terminal import print_walk

        print_walk(self.record)

    def _repr_svg_(self) -> str | None:
        try:
            return self.graph().svg
        except MissingDependencyError:  # a notebook then shows the line below
            return None

    def __repr__(self) -> str:
        record = self.record
        return f"<Story: {len(record.steps)} steps, {len(record.back)} back>"
