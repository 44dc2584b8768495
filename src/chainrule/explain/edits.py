"""What may be wrong with a derivative: one change each, in one place, that would make it right.

An `Edit` changes one value on its way (from one op to the next, or out), or one op. If a single one
makes a wrong derivative right, at all inputs tried, it is what was wrong, undone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np

from chainrule.core.base import as_tuple
from chainrule.core.families import Unary
from chainrule.core.op import Array, Op, registry
from chainrule.explain.program import After, Line, Program, Step

__all__ = [
    "COMPARISONS",
    "MASKS",
    "OFFSET",
    "REDUCTIONS",
    "SCALE",
    "Edit",
    "Place",
    "Results",
    "axes_in_words",
    "edit_of",
    "inner_edits",
    "moved",
    "places",
    "whole_edits",
]

Results = Mapping[int, "Array | None"]
SCALE = "scale"
"""An edit of this kind has a factor that is still to be found."""

OFFSET = "offset"
"""One of this kind has a term that is still to be found."""

COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value can be changed.

    Attributes:
        step: the op; -1 for a result.
        input: which of its inputs; -1 for its output. Of a result: which.
        more: further uses of the same value, changed alike.
    """

    step: int
    input: int
    more: tuple[tuple[int, int], ...] = ()

    def key(self, program: Program) -> int | None:
        """The value that stands there."""
        if self.step < 0:
            return program.results[self.input]
        step = program.steps[self.step]
        return step.output if self.input < 0 else step.inputs[self.input]

    def line(self, program: Program) -> Line | None:
        """The source of it."""
        if self.step >= 0:
            return program.steps[self.step].line
        key = program.results[self.input]
        makers = program.producers()
        while key in makers:
            step = program.steps[makers[key]]
            if step.line is not None:
                return step.line
            key = step.inputs[0]
        return None

    def changed(self, program: Program, after: After) -> Results:
        """The results when the value there is another."""
        if self.step < 0:
            found = {
                i: None if k is None else program.values[k] for i, k in program.results.items()
            }
            value = found[self.input]
            if value is not None:
                found[self.input] = after(value, program.values)
            return found
        if self.input < 0:
            return program.again([self.step], after=after)
        uses = {(self.step, self.input), *self.more}

        def feed(step: int, input: int, value: Array, values: list[Array]) -> Array:
            return after(value, values) if (step, input) in uses else value

        return program.again({step for step, _ in uses}, feed=feed)


@dataclass(frozen=True, slots=True)
class Edit:
    """One change that may make a derivative right.

    Attributes:
        kind: what was wrong, if it does.
        words: the same, told.
        place: where.
        run: the results of a program with the change made.
        term: the value that is concerned, beside the one at the place; None: none.
    """

    kind: str
    words: str
    place: Place
    run: Callable[[Program], Results]
    term: int | None = None


def edit_of(kind: str, words: str, place: Place, after: After, term: int | None = None) -> Edit:
    """An edit that puts another value in the place of one."""
    return Edit(kind, words, place, lambda program: place.changed(program, after), term)


def places(program: Program) -> Iterator[Place]:
    """Every use of a value that the results depend on; and what is used twice, as a whole."""
    uses: dict[int, int] = {}
    steps = program.ancestors()
    for index in steps:
        for key in program.steps[index].inputs:
            uses[key] = uses.get(key, 0) + 1
    results = [key for key in program.results.values() if key is not None]
    for key in results:
        uses[key] = uses.get(key, 0) + 1
    for index in reversed(steps):
        step = program.steps[index]
        if uses.get(step.output, 0) > 1:
            yield Place(index, -1)
        for k, key in enumerate(step.inputs):
            if program.values[key].size:
                yield Place(index, k)


# -- the gradient as a whole -------------------------------------------------------------------


def whole_edits(program: Program, position: int) -> Iterator[Edit]:
    """Changes of one result as it stands."""
    place = Place(-1, position)
    value = program.values[place.key(program) or 0]
    yield Edit(SCALE, "", place, lambda program: {})
    yield from _rearranged(place, value)
    yield from moved(place, value)
    for count in range(1, value.ndim + 1):
        for axes in itertools.combinations(range(value.ndim), count):
            yield edit_of(
                "missing sum",
                f"it is not summed over {axes_in_words(axes)}",
                place,
                lambda v, _, axes=axes: v.sum(axes),
            )
    yield from _summed(place, value)


def axes_in_words(axes: tuple[int, ...]) -> str:
    """Axes as one says them.

    >>> axes_in_words((0,)), axes_in_words((1, 2))
    ('axis 0, the batch', 'axes 1, 2')
    """
    if axes == (0,):
        return "axis 0, the batch"
    return f"axis {axes[0]}" if len(axes) == 1 else "axes " + ", ".join(map(str, axes))


def _rearranged(place: Place, value: Array) -> Iterator[Edit]:
    """Two axes exchanged."""
    for a, b in itertools.combinations(range(value.ndim), 2):
        yield edit_of(
            "transposed",
            "it is transposed" if value.ndim == 2 else f"its axes {a} and {b} are exchanged",
            place,
            lambda v, _, a=a, b=b: np.swapaxes(v, a, b),
        )


def moved(place: Place, value: Array) -> Iterator[Edit]:
    """Off by one, or from the other end."""
    for axis in range(value.ndim):
        if value.shape[axis] < 2:
            continue
        for by in (1, -1):
            yield edit_of(
                "shift",
                f"it is off by one place along axis {axis}",
                place,
                lambda v, _, axis=axis, by=by: np.roll(v, by, axis),
            )
        yield edit_of(
            "flipped",
            f"it is reversed along axis {axis}",
            place,
            lambda v, _, axis=axis: np.flip(v, axis),
        )


def _summed(place: Place, value: Array, reduced: tuple[int, ...] = ()) -> Iterator[Edit]:
    """A sum over some axes, in place of each element.

    Where a value does not change along an axis, or the next op sums over that axis too, a sum would
    be no more than a factor.
    """
    varying = [
        axis
        for axis, size in enumerate(value.shape)
        if size > 1
        and axis not in reduced
        and np.any(np.ptp(value, axis=axis) > 1e-12 * np.max(np.abs(value)))
    ]
    for count in range(1, len(varying) + 1):
        for axes in itertools.combinations(varying, count):
            yield edit_of(
                "missing sum",
                f"a sum over {axes_in_words(axes)} is missing",
                place,
                lambda v, _, axes=axes: np.broadcast_to(v.sum(axes, keepdims=True), v.shape),
            )


# -- one op of it ------------------------------------------------------------------------------


def inner_edits(program: Program) -> Iterator[Edit]:
    """Changes of one value or op within, which need no other value."""
    makers = program.producers()
    for place in places(program):
        key = place.key(program)
        if key is None:
            continue
        value = program.values[key]
        if value.dtype.kind == "b":
            yield edit_of("mask", "the mask lets through what it should stop", place, _negated)
            continue
        if value.dtype.kind != "f":
            continue
        yield Edit(SCALE, "", place, lambda program: {})
        if value.size > 1:
            yield from _rearranged(place, value)
            yield from _summed(place, value, _reduced(place, program))
        if key in makers:
            yield from _bypassed(place, program, program.steps[makers[key]])
    for index in program.ancestors():
        yield from _other_ops(index, program)


def _reduced(place: Place, program: Program) -> tuple[int, ...]:
    """The axes that the op at a place sums over."""
    op = program.steps[place.step].op
    dims = getattr(op, "dims", ()) if op.name in REDUCTIONS and place.input >= 0 else ()
    return tuple(dims)


def _negated(value: Array, values: list[Array]) -> Array:
    return ~value


REDUCTIONS = ("sum", "mean", "sum_to", "amax", "cum_sum")
MASKS = ("keep_where", "where")
LEFT_OUT = ("neg", "expand", "reshape", "cast", "clone")


def _bypassed(place: Place, program: Program, maker: Step) -> Iterator[Edit]:
    """What an op was given, in place of what it gave: the op is one too many."""
    name = maker.op.name
    if name in LEFT_OUT:
        return
    floats = [k for k in maker.inputs if program.values[k].dtype.kind == "f"]
    numbers = [k for k in floats if not program.values[k].ndim and k not in program.names]
    if numbers and name in ("mul", "div", "add", "sub"):
        return  # by a number: a factor is found as such
    for key in floats:
        others = [program.names.get(k, "") for k in floats if k != key]
        kind = {"mul": "extra factor", "div": "extra factor", "add": "extra term"}.get(name, "")
        words = f"`{name}` {others[0] if others else ''}".rstrip() + " is one too many"
        if name == "sub":
            kind = "extra term"
        elif name in REDUCTIONS:
            kind, words = "extra sum", f"it is summed once too often: the `{name}` is one too many"
        elif name in MASKS:
            kind, words = "mask", "there is a mask too many"
        elif name in ("roll", "shift"):
            kind, words = "shift", "it is moved by some places"
        elif name == "flip":
            kind, words = "flipped", "it is reversed along an axis"
        elif name == "permute":
            kind, words = "transposed", "there is a transpose too many"
        elif isinstance(maker.op, Unary):
            kind, words = "wrong function", f"the `{name}` is one too many"
        if kind:
            yield edit_of(kind, words, place, lambda v, values, key=key: _like(values[key], v), key)


def _like(value: Array, model: Array) -> Array:
    """A value, broadcast to another's shape if it is smaller."""
    if value.ndim <= model.ndim and value.size < model.size:
        return np.broadcast_to(value, model.shape)
    return value


def _other_ops(index: int, program: Program) -> Iterator[Edit]:
    """Another op in one's place: other axes, another comparison, other sizes."""
    step = program.steps[index]
    op, place = step.op, Place(index, -1)
    value = program.values[step.inputs[0]] if step.inputs else np.zeros(())
    if op.name in COMPARISONS:
        for name in COMPARISONS:
            if name != op.name:
                yield _op_edit(
                    "mask", f"the comparison is `{op.name}`, not `{name}`", place, registry[name]()
                )
        return
    if op.name in ("where", "keep_where") and len(step.inputs) == 3:
        yield _exchanged(place)
    for each in fields(op) if op.has_fields else ():
        given: Any = getattr(op, each.name)
        if each.name in ("dim", "dims") and op.name not in ("flip", "roll"):
            yield from _other_axes(op, place, each.name, given, value.shape)
        elif each.name in ("padding", "stride", "dilation", "key", "offset"):
            for other in _one_off(given):
                yield from _remade(
                    op, "shift", f"`{each.name}` is off by one", place, each.name, other
                )
        elif each.name in ("exponent", "number", "power"):
            for other in (given + 1, given - 1, -given):
                words = f"the exponent is {given}, not {other}"
                yield from _remade(op, "wrong function", words, place, each.name, other)


def _op_edit(kind: str, words: str, place: Place, op: Op) -> Edit:
    return Edit(kind, words, place, lambda program: program.again([place.step], op=op))


def _remade(op: Op, kind: str, words: str, place: Place, name: str, value: Any) -> Iterator[Edit]:
    try:
        changed: Any = replace(op, **{name: value})
    except (TypeError, ValueError):
        return
    yield _op_edit(kind, words, place, changed)


def _exchanged(place: Place) -> Edit:
    """The two sides of a `where` exchanged."""

    def run(program: Program) -> Results:
        values = [program.values[key] for key in program.steps[place.step].inputs]
        order = [0, 2, 1] if values[0].dtype.kind == "b" else [0, 1, 2]
        return program.again(
            [place.step], feed=lambda _, i, value, values_: values[order[i]] if i < 3 else value
        )

    return Edit("mask", "the mask lets through what it should stop", place, run)


def _other_axes(
    op: Op, place: Place, name: str, given: Any, shape: tuple[int, ...]
) -> Iterator[Edit]:
    ndim = len(shape)
    if isinstance(given, int):
        others: list[Any] = [i for i in range(ndim) if i != given % max(ndim, 1)]
    elif op.name == "permute":
        others = [d for d in itertools.permutations(range(ndim)) if d != given] if ndim < 5 else []
    else:
        counts = range(1, ndim + 1)
        every = [d for count in counts for d in itertools.combinations(range(ndim), count)]
        others = [d for d in every if d != given and len(d) == len(given)]
        others += [d for d in every if len(d) != len(given)]
    for other in others:
        axes = cast("tuple[int, ...]", as_tuple(other))
        if all(shape[axis] == 1 for axis in axes):
            continue  # along these there is nothing to do
        kind, words = "wrong axis", f"`{op.name}` goes along {given}, and should along {other}"
        if op.name == "permute":
            kind, words = "transposed", f"the axes are permuted to {given}, and should to {other}"
        elif len(axes) != len(as_tuple(given)):
            few = len(axes) > len(as_tuple(given))
            kind = "missing sum" if few else "extra sum"
            words = f"`{op.name}` goes over {given}, and should over {other}"
        yield from _remade(op, kind, words, place, name, other)


def _one_off(given: object) -> Iterator[Any]:
    """Settings with one number off by one; a pair's two in opposite directions too."""
    if isinstance(given, int) and not isinstance(given, bool):
        yield from (given + 1, given - 1)
    elif isinstance(given, slice):
        key: Any = cast("Any", given)
        for by in (1, -1):
            for start in {0, by}:
                for stop in {0, by}:
                    yield slice(
                        None if key.start is None else key.start + start,
                        None if key.stop is None else key.stop + stop,
                        key.step,
                    )
    elif isinstance(given, tuple):
        parts = cast("tuple[Any, ...]", given)
        if len(parts) == 2 and all(isinstance(each, int) for each in parts):
            yield from ((parts[0] + by, parts[1] - by) for by in (1, -1))
        for index, part in enumerate(parts):
            for other in _one_off(part):
                yield (*parts[:index], other, *parts[index + 1 :])
