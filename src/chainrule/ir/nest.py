"""Loop nests: what a kernel computes, before anything is said about how.

A nest has named axes. Every store writes one number for each point of the *map* axes; what it
writes is a scalar expression of loads at affine places, and of reductions over the *reduce* axes:

    nest linear(n: 128, o: 10 | k: 784):
      %y[10 n + o] = add(sum[k](mul(%x[784 n + k], %w[784 o + k])), %b[o])

So a matrix product, a convolution, a pooling, a norm, a chain of elementwise ops are all the same
thing. How the axes become loops, lanes and register tiles is a *schedule* (`compile/schedule.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.core.dtypes import DType

__all__ = [
    "Affine",
    "Axis",
    "Call",
    "Expr",
    "Iota",
    "Literal",
    "Load",
    "Nest",
    "Reduce",
    "Store",
    "subexpressions",
]


@dataclass(frozen=True, slots=True)
class Axis:
    """One loop: its name and how often it runs."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Affine:
    """A place in memory, in elements: offset + Σ stride · axis. Strides are never zero."""

    offset: int
    strides: tuple[tuple[str, int], ...]

    def stride(self, axis: str) -> int:
        """How far one step along an axis goes; 0 where it does not matter."""
        return next((stride for name, stride in self.strides if name == axis), 0)

    def __repr__(self) -> str:
        terms = [name if stride == 1 else f"{stride} {name}" for name, stride in self.strides]
        return " + ".join([*terms, *([str(self.offset)] if self.offset or not terms else [])])


@dataclass(frozen=True, slots=True)
class Literal:
    """A number."""

    value: float | int | bool
    dtype: DType


@dataclass(frozen=True, slots=True)
class Load:
    """The number at a place of a buffer.

    Attributes:
        buffer: the buffer's name.
        at: the place.
        dtype: what is there.
        index: further places, found at run time: an integer expression, and the stride it is
            multiplied by. (Whoever makes one sees to it that it stays inside.)
    """

    buffer: str
    at: Affine
    dtype: DType
    index: tuple[tuple[Expr, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Iota:
    """Where the loop of an axis is: 0, 1, 2, ..."""

    axis: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Call:
    """A scalar function of expressions. `name` is one of `compile/instructions.py`'s."""

    name: str
    args: tuple[Expr, ...]
    dtype: DType


@dataclass(frozen=True, slots=True)
class Reduce:
    """The sum, product, maximum or minimum of an expression over axes.

    Attributes:
        kind: "sum", "product", "max" or "min" (which are NaN if any element is), "any" or "all".
        expr: the expression.
        axes: the names of the axes.
    """

    kind: str
    expr: Expr
    axes: tuple[str, ...]

    @property
    def dtype(self) -> DType:
        """The expression's."""
        return self.expr.dtype


Expr = Literal | Load | Iota | Call | Reduce
"""A scalar expression."""


@dataclass(frozen=True, slots=True)
class Store:
    """A number written at every point of the map axes.

    Attributes:
        buffer: the buffer's name.
        at: the place.
        expr: the number.
        index: further places, found at run time, as those of a `Load`. Points that may come to
            the same place differ along a sequential axis.
    """

    buffer: str
    at: Affine
    expr: Expr
    index: tuple[tuple[Expr, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Nest:
    """One kernel.

    Attributes:
        name: what it is called in listings.
        maps: the axes every store runs over, outermost first as the lowering would have them.
        reduces: the axes of its reductions.
        stores: what is written. One store may not read what another writes.
        sequential: map axes whose steps come one after the other, and may read what those before
            have written: they add up parts of a sum.
    """

    name: str
    maps: tuple[Axis, ...]
    reduces: tuple[Axis, ...]
    stores: tuple[Store, ...]
    sequential: tuple[str, ...] = ()


def subexpressions(expr: Expr) -> Iterator[Expr]:
    """The expression and all its parts, the parts first; shared ones once."""
    seen: set[int] = set()
    pending: list[tuple[Expr, bool]] = [(expr, False)]
    while pending:
        each, ready = pending.pop()
        if ready:
            yield each
            continue
        if id(each) in seen:
            continue
        seen.add(id(each))
        pending.append((each, True))
        if isinstance(each, Call):
            pending += [(part, False) for part in reversed(each.args)]
        elif isinstance(each, Reduce):
            pending.append((each.expr, False))
        elif isinstance(each, Load):
            pending += [(part, False) for part, _ in each.index]
