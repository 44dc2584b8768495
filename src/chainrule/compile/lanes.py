"""What is done across the lanes of vectors: they are combined, or turned about with one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chainrule.compile.instructions import emit
from chainrule.compile.llvm_text import Lines, register_type
from chainrule.core.dtypes import DType
from chainrule.ir.nest import Reduce

__all__ = ["COMBINE", "combined", "combined_each", "transposed"]

COMBINE: Final = {
    "sum": "add",
    "product": "mul",
    "max": "max",
    "min": "min",
    "any": "or",
    "all": "and",
}
"""The instruction that combines two numbers, for each kind of reduction."""


def combined(lines: Lines, vector: str, expr: Reduce, lanes: int) -> str:
    """All lanes of an accumulator as one number: halved each time, always in the same order."""
    while lanes > 2:
        vector = _halves(lines, vector, "poison", [0], lanes // 2, expr, lanes)
        lanes //= 2
    kind = register_type(expr.dtype, 2)
    pair = [lines.assign(f"extractelement {kind} {vector}, i32 {lane}") for lane in (0, 1)]
    return emit(lines, COMBINE[expr.kind], expr.dtype, pair, [expr.dtype] * 2, 1)


def combined_each(lines: Lines, rows: Sequence[str], expr: Reduce, lanes: int) -> str:
    """All lanes of each of 2, 4, 8, ... accumulators: lane i of what it gives is the i-th's.

    Two rows become one that holds half of the lanes of each, combined with the other half; when
    there is only one left, its halves are combined.
    """
    part = lanes  # of a vector's lanes, those that are one row's
    vectors = list(rows)
    while part > 1:
        groups, half = range(0, lanes, part), part // 2
        if len(vectors) > 1:
            middle = len(vectors) // 2  # paired so that in the end the rows are in order
            starts = [start + side for start in groups for side in (0, lanes)]
            vectors = [
                _halves(lines, a, b, starts, half, expr, lanes)
                for a, b in zip(vectors[:middle], vectors[middle:], strict=True)
            ]
        else:
            vectors = [_halves(lines, vectors[0], "poison", groups, half, expr, lanes)]
            lanes //= 2
        part = half
    return vectors[0]


def _halves(
    lines: Lines, a: str, b: str, starts: Sequence[int], half: int, expr: Reduce, lanes: int
) -> str:
    """Of groups of lanes that start there, the first half combined with the second."""
    kind, count = register_type(expr.dtype, lanes), half * len(starts)
    parts: list[str] = []
    for shift in (0, half):
        mask = ", ".join([f"i32 {s + shift + i}" for s in starts for i in range(half)])
        parts.append(
            lines.assign(f"shufflevector {kind} {a}, {kind} {b}, <{count} x i32> <{mask}>")
        )
    return emit(lines, COMBINE[expr.kind], expr.dtype, parts, [expr.dtype] * 2, count)


def transposed(lines: Lines, rows: Sequence[str], dtype: DType) -> list[str]:
    """As many vectors as they have lanes, turned about: lane i of vector j is now j of i."""
    lanes = len(rows)
    kind = register_type(dtype, lanes)
    half = 1
    while half < lanes:
        made = list(rows)
        for i in range(lanes):
            if i & half:
                continue
            a, b = rows[i], rows[i | half]
            low = [j if not j & half else lanes + (j ^ half) for j in range(lanes)]
            high = [(j | half) if not j & half else lanes + j for j in range(lanes)]
            for index, mask in ((i, low), (i | half, high)):
                order = ", ".join([f"i32 {j}" for j in mask])
                made[index] = lines.assign(
                    f"shufflevector {kind} {a}, {kind} {b}, <{lanes} x i32> <{order}>"
                )
        rows = made
        half *= 2
    return list(rows)
