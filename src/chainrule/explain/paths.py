"""The other way to look at a wrong derivative: which path through the function does it forget?

The true derivative is a sum over all paths from an input to the output, and each path a product of
local derivatives. So for each use of a value within the function's body one can tell what its paths
contribute, and whether the claimed derivative is the true one with that part left out, reversed,
counted twice, or with one local derivative replaced. This needs no look at how the claim was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from chainrule.core.families import Elementwise
from chainrule.core.op import Array
from chainrule.explain.program import Line, Program, Step, local, sweep
from chainrule.explain.truth import Trial

__all__ = ["Part", "parts"]

Parts = Mapping[int, Array]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the true derivative that may have gone wrong.

    Attributes:
        kind: what was wrong if the claim is the truth without it; empty: its factor says.
        words: the same, told.
        line: where in the function's body.
        name: of what.
        find: what it contributes to each wanted input, in a trial.
    """

    kind: str
    words: str
    line: Line | None
    name: str
    find: Callable[[Trial], Parts]


def parts(trial: Trial) -> Iterator[Part]:
    """Every use of a value in the body, and every local derivative that could be another."""
    body = trial.body
    if body is None:
        return
    for index in range(len(body.steps) - 1, -1, -1):
        step = body.steps[index]
        if not step.op.differentiable:
            continue
        for which, key in enumerate(step.inputs):
            if key in step.inputs[:which]:
                continue  # a square: its two halves are one
            if body.values[key].dtype.kind != "f" or not _leads(body, index, key, trial):
                continue
            name = body.names.get(key) or _made_by(body, key)
            yield Part("", "", step.line, name, _through(index, which))
            if isinstance(step.op, Elementwise):
                words = f"the derivative of `{step.op.name}` is missing on the way back to {name}"
                kind = "mask" if step.op.name in ("where", "keep_where") else "missing factor"
                if step.op.name == "div" and body.values[step.inputs[-1]].size == 1:
                    kind = "sum for mean"
                yield Part(kind, words, step.line, name, _untouched(index, which))
                if len(step.inputs) == 1:
                    words = (
                        f"the derivative of `{step.op.name}` is taken at its output, not its input"
                    )
                    yield Part("wrong point", words, step.line, name, _at_output(index))


def _leads(body: Program, index: int, key: int, trial: Trial) -> bool:
    """Whether a value depends on an input."""
    alive = set(trial.inputs)
    for step in body.steps[:index]:
        if not alive.isdisjoint(step.inputs):
            alive.add(step.output)
    return key in alive


def _made_by(body: Program, key: int) -> str:
    for step in body.steps:
        if step.output == key:
            return str(step.line) if step.line else f"`{step.op.name}`"
    return "a constant"


def _bar(trial: Trial, step: Step) -> Array | None:
    """The cotangent of an op's output."""
    return trial.all_bars().get(step.output)


def _pulled(trial: Trial, index: int, bars: Mapping[int, Array]) -> Parts:
    """Cotangents of values before an op, pulled back to the wanted inputs."""
    body = trial.body
    assert body is not None
    before = Program(body.values, body.steps[:index], body.names)
    wanted = [trial.inputs[i] for i in trial.truth]
    found = sweep(before, bars, wanted)
    return {i: found.get(trial.inputs[i], np.zeros(true.shape)) for i, true in trial.truth.items()}


def _locally(trial: Trial, step: Step, bar: Array) -> list[Array | None]:
    assert trial.body is not None
    return local(trial.body, step, bar, set(range(len(trial.body.values))))


def _through(index: int, which: int) -> Callable[[Trial], Parts]:
    def find(trial: Trial) -> Parts:
        assert trial.body is not None
        step = trial.body.steps[index]
        bar = _bar(trial, step)
        bars = [None] if bar is None else _locally(trial, step, bar)
        key = step.inputs[which]
        mine = [x for x, each in zip(bars, step.inputs) if each == key and x is not None]
        return _pulled(trial, index, {key: sum(mine[1:], mine[0])}) if mine else {}

    return find


def _untouched(index: int, which: int) -> Callable[[Trial], Parts]:
    """The true part, less what it would be without this local derivative."""

    def find(trial: Trial) -> Parts:
        assert trial.body is not None
        step = trial.body.steps[index]
        bar, key = _bar(trial, step), step.inputs[which]
        mine = None if bar is None else _locally(trial, step, bar)[which]
        if bar is None or mine is None:
            return {}
        passed = _sum_to(bar, trial.body.values[key].shape)
        return _pulled(trial, index, {key: mine - passed})

    return find


def _at_output(index: int) -> Callable[[Trial], Parts]:
    def find(trial: Trial) -> Parts:
        body = trial.body
        assert body is not None
        step = body.steps[index]
        bar, key = _bar(trial, step), step.inputs[0]
        mine = None if bar is None else _locally(trial, step, bar)[0]
        if bar is None or mine is None:
            return {}
        values = list(body.values)
        values[key] = values[step.output]
        values[step.output] = np.asarray(step.op.reference(values[key]))
        there = local(Program(values, body.steps), step, bar, set(range(len(values))))[0]
        return {} if there is None else _pulled(trial, index, {key: mine - there})

    return find


def _sum_to(bar: Array, shape: tuple[int, ...]) -> Array:
    """Summed over the axes along which a value of that shape was broadcast."""
    more = bar.ndim - len(shape)
    axes = (*range(more), *[more + i for i, n in enumerate(shape) if n == 1 != bar.shape[more + i]])
    return bar.sum(axes, keepdims=True).reshape(shape) if axes else bar
