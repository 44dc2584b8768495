"""The lines of a recording, and the memory that their values lie in.

A value that nobody needs any more lends its memory to the next one: NumPy's own functions can write
their result over an operand. That saves the search for memory, and keeps the caches warm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.core.op import Op
from chainrule.core.types import TensorType

__all__ = ["Line", "Symbol", "alive", "last_uses", "needed_as_arrays", "reuse_memory"]


class Symbol:
    """Stands for an array.

    Attributes:
        shape, dtype: what the array has.
        origin: the symbol whose memory it may share: its own, unless views lead to it.
        ops: these views.
        constant: the array, where it is one.
        name: how the routine calls it.
    """

    __slots__ = ("constant", "dtype", "name", "ops", "origin", "shape")

    def __init__(self, kind: TensorType, name: str = "", constant: Any = None) -> None:
        self.shape, self.dtype = kind.shape, kind.dtype.numpy
        self.origin = self
        self.ops: tuple[Op, ...] = ()
        self.constant, self.name = constant, name


class Line:
    """One op: `outputs = function(*inputs)`."""

    __slots__ = ("function", "inputs", "into", "name", "outputs")

    def __init__(
        self, name: str, function: Any, inputs: list[Symbol], outputs: list[Symbol]
    ) -> None:
        self.name = name
        self.function = function
        self.inputs = inputs
        self.outputs = outputs
        self.into: Symbol | None = None  # the memory to write to, if not new memory

    @property
    def elementwise(self) -> bool:
        """Whether it is one of NumPy's functions of numbers, applied to every element."""
        function = self.function
        return type(function) is np.ufunc and function.signature is None  # `matmul` has one


def alive(lines: list[Line], results: Sequence[Symbol | None]) -> list[Line]:
    """The lines that a result depends on."""
    wanted = {y for y in results if y is not None}
    wanted |= {y.origin for y in wanted}
    kept: list[Line] = []
    for line in reversed(lines):
        if not wanted.isdisjoint(line.outputs):
            kept.append(line)
            wanted.update(line.inputs)
    return kept[::-1]


def last_uses(lines: list[Line], results: Sequence[Symbol | None]) -> dict[Symbol, int]:
    """For each symbol the last line that uses it, or a view of it; their number, for a result."""
    last: dict[Symbol, int] = {}
    for index, line in enumerate(lines):
        for x in line.inputs:
            last[x] = last[x.origin] = index
    for y in results:
        if y is not None:
            last[y] = last[y.origin] = len(lines)
    return last


def needed_as_arrays(lines: list[Line], results: Sequence[Symbol | None]) -> set[Symbol]:
    """The values without dimensions that have to be arrays; elsewhere NumPy's numbers will do."""
    found = {y for y in results if y is not None}
    for line in lines:
        if not line.elementwise:
            found.update(line.inputs)
    return {x for x in found if x.shape == ()}


def reuse_memory(
    lines: list[Line], results: Sequence[Symbol | None], into: Sequence[Symbol]
) -> None:
    """Let NumPy's own functions write where a value lies that nobody needs any more.

    These compute each element from the same element of the operands, so that writing
    over one of them does no harm. A result that goes `into` a target is computed there, if that is
    not read afterwards: whatever layout the target has, it must keep. Any other value keeps the
    layout that it would have had, wherever something (a sum, a matrix product, the caller) could
    tell the difference.
    """
    last = last_uses(lines, results)
    sensitive = _layout_matters(lines, () if into else results)
    places = {y: p for y, p in zip(results, into) if list(results).count(y) == 1}
    layouts: dict[Symbol, object] = {}
    made: set[Symbol] = set()
    for index, line in enumerate(lines):
        y = line.outputs[0]
        if line.elementwise and y.shape:
            seen = [layouts.setdefault(x, x) for x in line.inputs if x.shape == y.shape]
            others = [x for x in line.inputs if x.shape != y.shape]
            alike = len(set(seen)) == 1 and all(
                max(x.shape, default=1) == math.prod(x.shape) for x in others
            )
            if alike:
                layouts[y] = seen[0]
            for x in line.inputs:
                free = x in made and last[x] == index and _fits(x, y, line)
                if free and (alike or len(y.shape) == 1 or y not in sensitive):
                    line.into, layouts[y] = x, layouts[x]
            place = places.get(y)
            if place is not None and _fits(place, y, line) and last.get(place, -1) <= index:
                line.into = place
        made.update(each for each in line.outputs if each.origin is each)


def _fits(x: Symbol, y: Symbol, line: Line) -> bool:
    """Whether y can be written over x: the same type, and no other view of x is being read."""
    others = [each for each in line.inputs if each.origin is x.origin]
    return x.shape == y.shape and x.dtype == y.dtype and all(each is x for each in others)


def _layout_matters(lines: list[Line], results: Sequence[Symbol | None]) -> set[Symbol]:
    """What reaches the caller, or a function that is not elementwise, without being copied."""
    found = {each for y in results if y is not None for each in (y, y.origin)}
    for line in reversed(lines):
        if not line.elementwise or not found.isdisjoint(line.outputs):
            found.update(line.inputs)
            found.update([x.origin for x in line.inputs])
    return found
