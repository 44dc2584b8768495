"""Changes of one value on its way that take another: the values that a derivation has at hand.

A factor or a term may be missing, or one value stand where another belongs. What is tried is what
there is: the inputs, the output, the cotangent, what every op gave, and sums of these.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.core.families import Unary
from chainrule.core.op import Array, registry
from chainrule.core.types import broadcast_shapes_or_none
from chainrule.explain.edits import (
    MASKS,
    OFFSET,
    REDUCTIONS,
    Edit,
    Place,
    axes_in_words,
    edit_of,
    moved,
    places,
)
from chainrule.explain.program import Program

__all__ = ["exchanging_edits", "function_edits", "pooled_edits", "shared_edits"]

UNARIES = (
    *("exp", "log", "sqrt", "rsqrt", "reciprocal", "abs", "sign", "tanh", "sigmoid"),
    *("sin", "cos", "sinh", "cosh"),
)


# -- with another value ------------------------------------------------------------------------


def function_edits(program: Program, constants: Sequence[float]) -> Iterator[Edit]:
    """Changes of one value by a function of itself.

    Args:
        program: the derivation.
        constants: numbers that may be the bounds of a mask: the op's own.
    """
    for place in places(program):
        key = place.key(program)
        if key is None or program.values[key].dtype.kind != "f":
            continue
        if key in program.names or key in program.producers():
            yield from moved(place, program.values[key])
            yield from _with_functions(place)
            yield from _clamped(place, constants)
            yield Edit(OFFSET, "", place, lambda program: {})


def pooled_edits(program: Program, *, derived: bool = False) -> Iterator[Edit]:
    """Changes of one value by another that is at hand: multiplied, added, put in its place.

    Args:
        program: the derivation.
        derived: take sums, and functions of the inputs, of what is at hand.
    """
    pool = (
        list(_derived(program)) if derived else [_plain_value(program, k) for k in _pool(program)]
    )
    for place in places(program):
        key = place.key(program)
        if key is None or program.values[key].dtype.kind != "f":
            continue
        later = program.followers(place.step)
        for other in pool:
            if other.key not in later and (other.key != key or derived):
                yield from _with(place, program, program.values[key], other)
        if not derived:
            words = "a factor of itself is missing: the truth has its square"
            yield edit_of("missing factor", words, place, lambda v, _: v * v, key)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value at hand, or made of one.

    Attributes:
        key: which.
        make: what is made of it.
        name: what it is called.
        plain: whether it is the value itself.
    """

    key: int
    make: Callable[[Array], Array]
    name: str
    plain: bool = False


def _plain_value(program: Program, key: int) -> _Value:
    return _Value(key, lambda x: x, program.names.get(key) or _told(program, key), True)


def _derived(program: Program) -> Iterator[_Value]:
    """Sums of what is at hand, and functions of the inputs."""
    for key in _pool(program):
        value, name = program.values[key], program.names.get(key) or _told(program, key)
        if value.dtype.kind != "f" or value.size < 2:
            continue
        for axis in {0, value.ndim - 1}:
            yield _Value(
                key,
                lambda x, axis=axis: x.sum(axis, keepdims=True),
                f"Σ over {axes_in_words((axis,))} of {name}",
            )
    for key, name in program.names.items():
        if program.values[key].dtype.kind == "f":
            yield _Value(key, lambda x: 1 - x, f"1 - {name}")
            for function in ("exp", "sigmoid", "tanh", "sign", "reciprocal"):
                yield _Value(key, registry[function]().reference, f"{function} {name}")


def shared_edits(program: Program) -> Iterator[Edit]:
    """An input used several times, of which some uses mean something else."""
    uses: dict[int, list[tuple[int, int]]] = {}
    for index in program.ancestors():
        for k, key in enumerate(program.steps[index].inputs):
            if key in program.names and program.values[key].dtype.kind == "f":
                uses.setdefault(key, []).append((index, k))
    for key, all_uses in uses.items():
        for count in range(2, len(all_uses) + 1 if len(all_uses) <= 6 else 0):
            for some in itertools.combinations(all_uses, count):
                place = Place(*some[0], some[1:])
                yield from _with_functions(place)
                for other in program.names:
                    u = program.values[other]
                    if other != key and u.dtype.kind == "f":
                        value = _plain_value(program, other)
                        yield from _with(place, program, program.values[key], value)


def exchanging_edits(program: Program) -> Iterator[Edit]:
    """One value in the place of another, where neither is an input: what is left to suppose."""
    for place in places(program):
        key = place.key(program)
        if key is None or program.values[key].dtype.kind != "f":
            continue
        later = program.followers(place.step)
        for other in _pool(program):
            u = program.values[other]
            if (
                other in later
                or other == key
                or other in program.names
                or u.shape != program.values[key].shape
            ):
                continue
            if u.dtype.kind == "f":
                words = f"another value stands where {_told(program, other)} belongs"
                yield edit_of("swapped inputs", words, place, lambda v, w, o=other: w[o], other)


def _pool(program: Program) -> list[int]:
    """The values that a derivation has at hand: inputs, output, cotangent, what ops gave."""
    seen: set[bytes] = set()
    found: list[int] = []
    made = {step.output for step in program.steps}
    for key in sorted(range(len(program.values)), key=lambda key: key not in program.names):
        value = program.values[key]
        if value.dtype.kind not in "fb" or not value.size:
            continue
        if key in made or key in program.names:
            text = bytes(str(value.shape), "ascii") + value.tobytes()
            if text not in seen:
                seen.add(text)
                found.append(key)
    return found[:80]


def _with(place: Place, program: Program, value: Array, other: _Value) -> Iterator[Edit]:
    u, key, make = other.make(program.values[other.key]), other.key, other.make
    if u.dtype.kind == "b":
        if u.shape == value.shape:
            words = f"the mask {other.name} is missing"
            yield edit_of("mask", words, place, lambda v, w: np.where(w[key], v, 0), key)
            words = f"the mask, where {other.name} does not hold, is missing"
            yield edit_of("mask", words, place, lambda v, w: np.where(w[key], 0, v), key)
        return
    both = broadcast_shapes_or_none([u.shape, value.shape])
    if both == value.shape and other.plain and (u.shape == both or key in program.names):
        kind, words = _exchange(program, place, key, other.name)
        if kind != "swapped inputs" or key in program.names:
            yield edit_of(kind, words, place, lambda v, w: np.broadcast_to(w[key], v.shape), key)
    mine = place.key(program)
    number = mine not in program.names and not value.ndim and mine not in program.producers()
    if both is None or (number and key not in program.names):
        return
    count = u.size == 1 and not u.ndim and key not in program.names
    kind = "mean for sum" if count and _counts(u) else "missing factor"
    words = f"the factor {other.name} is missing"
    yield edit_of(kind, words, place, lambda v, w: v * make(w[key]), key)
    if other.plain:
        kind = "sum for mean" if count else "extra factor"
        words = f"the factor {other.name} is one too many"
        words = f"it is not divided by {other.name}" if count else words
        yield edit_of(kind, words, place, lambda v, w: v / w[key], key)
    if np.any(value):  # to add to nothing would be to replace it
        for sign in (1, -1):
            yield edit_of(
                "missing term",
                f"the term {'-' if sign < 0 else '+'} {other.name} is missing",
                place,
                lambda v, w, sign=sign: v + sign * make(w[key]),
                key,
            )


def _counts(value: Array) -> bool:
    """Whether a number may have been counted."""
    return float(value) > 1 and float(value) == round(float(value))


def _exchange(program: Program, place: Place, other: int, name: str) -> tuple[str, str]:
    """What it means that one value should be another."""
    key = place.key(program)
    mine = program.names.get(key if key is not None else -1, "")
    makers = program.producers()
    if other in makers and key is not None:  # the other is what some op makes of this one
        op = program.steps[makers[other]].op
        if key in program.steps[makers[other]].inputs:
            if op.name in REDUCTIONS:
                return "missing sum", f"the `{op.name}` {name} is missing"
            if op.name == "mul":
                return "missing factor", f"a factor is missing: it should be {name}"
            if op.name in ("add", "sub"):
                return "missing term", f"a term is missing: it should be {name}"
            if op.name == "permute":
                return "transposed", "it is not transposed"
            if op.name in MASKS:
                return "mask", f"the mask is missing: it should be {name}"
            if isinstance(op, Unary):
                return "wrong function", f"the `{op.name}` is missing"
    if "y" in (mine, name) and mine and name:
        there, here = ("output", "input") if mine == "y" else ("input", "output")
        return "wrong point", f"it is evaluated at the {there} {mine}, not at the {here} {name}"
    return "swapped inputs", f"{mine or 'a value'} stands where {name} belongs"


def _told(program: Program, key: int) -> str:
    """A value by the line that made it."""
    for step in program.steps:
        if step.output == key:
            return str(step.line) if step.line else f"of `{step.op.name}`"
    return "a constant"


def _clamped(place: Place, constants: Sequence[float]) -> Iterator[Edit]:
    """Kept between bounds."""
    bounds = [(-abs(c), abs(c)) for c in constants] + [(0.0, np.inf), (-np.inf, 0.0)]
    for low, high in bounds:
        yield edit_of(
            "mask",
            f"it is not kept between {low:g} and {high:g}",
            place,
            lambda v, _, low=low, high=high: np.clip(v, low, high),
        )


def _with_functions(place: Place) -> Iterator[Edit]:
    for name in UNARIES:
        reference = registry[name]().reference
        yield edit_of(
            "wrong function",
            f"`{name}` of it is missing",
            place,
            lambda v, _, reference=reference: reference(v),
        )
