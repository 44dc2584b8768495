"""The axes of a nest, as few as it takes: what lies side by side everywhere is one axis."""

from __future__ import annotations

import itertools
from dataclasses import replace

from chainrule.compile.pool import Pool, places
from chainrule.ir.nest import Affine, Axis, Call, Expr, Iota, Load, Nest, Reduce, Store

__all__ = ["merge_axes"]


def merge_axes(nest: Nest) -> Nest:
    """The same nest, without axes of size 1, and with neighbours in memory merged."""
    pool = Pool(nest)
    kept = {expr.axis for expr in pool.exprs if isinstance(expr, Iota)} | set(nest.sequential)
    strides = [dict(at.strides) for at in dict.fromkeys(places(nest, pool))]
    gone: set[str] = set()
    maps = _merged(nest.maps, strides, kept, gone)
    reduces = _merged(nest.reduces, strides, kept, gone)
    if not gone:
        return nest
    stores = _without(nest, gone)
    return Nest(nest.name, maps, reduces, stores, nest.sequential)


def _merged(
    axes: tuple[Axis, ...], strides: list[dict[str, int]], kept: set[str], gone: set[str]
) -> tuple[Axis, ...]:
    """These axes, merged where all places allow it; the names of those that are gone are noted."""
    gone.update([axis.name for axis in axes if axis.size == 1 and axis.name not in kept])
    left = [axis for axis in axes if axis.name not in gone]
    while True:
        for outer, inner in itertools.permutations(left, 2):
            if outer.name in kept or inner.name in kept:
                continue
            if all(
                each.get(outer.name, 0) == each.get(inner.name, 0) * inner.size for each in strides
            ):
                left[left.index(outer)] = Axis(inner.name, outer.size * inner.size)
                left.remove(inner)
                gone.add(outer.name)
                break
        else:
            return tuple(left)


def _without(nest: Nest, gone: set[str]) -> tuple[Store, ...]:
    """The nest's stores without the axes that are gone."""
    known: dict[int, Expr] = {}

    def place(at: Affine) -> Affine:
        return Affine(at.offset, tuple([each for each in at.strides if each[0] not in gone]))

    def walk(expr: Expr) -> Expr:
        made = known.get(id(expr))
        if made is None:
            if isinstance(expr, Load):
                index = tuple([(walk(part), step) for part, step in expr.index])
                made = replace(expr, at=place(expr.at), index=index)
            elif isinstance(expr, Call):
                made = replace(expr, args=tuple([walk(part) for part in expr.args]))
            elif isinstance(expr, Reduce):
                axes = tuple([axis for axis in expr.axes if axis not in gone])
                made = walk(expr.expr)
                if axes:  # over none, it is what it reduces
                    made = replace(expr, expr=made, axes=axes)
            else:
                made = expr
            known[id(expr)] = made
        return made

    return tuple(
        [
            Store(
                each.buffer,
                place(each.at),
                walk(each.expr),
                tuple([(walk(part), step) for part, step in each.index]),
            )
            for each in nest.stores
        ]
    )
