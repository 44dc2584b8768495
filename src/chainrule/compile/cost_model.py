"""A model of one core: how many cycles a nest takes under a schedule.

It counts, for each variant of a nest's body, the vectors that are loaded and the operations on
them; and for each order of the loops, the bytes that come from beyond the first cache. It knows
nothing of any particular kernel.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from chainrule.compile.pool import Pool
from chainrule.compile.target import Target
from chainrule.ir.nest import Affine, Call, Load, Nest, Reduce

__all__ = ["BYTES", "Model", "Tile", "unit_axes"]

L1, L2 = 30 * 1024, 400 * 1024
"""Of a core's caches, what one kernel may count on."""

_CYCLES = {
    "div": 5.0,
    "sqrt": 6.0,
    "exp": 14.0,
    "log": 16.0,
    "tanh": 20.0,
    "sigmoid": 18.0,
    "erf": 24.0,
    "pow": 60.0,
    "sin": 24.0,
    "cos": 24.0,
    "idiv": 40.0,
    "irem": 40.0,
}
"""Cycles of a full vector of what takes more than one."""

BYTES = 11.0
"""Bytes that come from the second cache in a cycle."""

LOADS = 1.7
"""Vectors from the first cache in a cycle: two, but for those that miss it."""

FAR = 5.0
"""What one lane costs whose neighbours are in other cache lines, in loads."""

TRANSPOSED = 3.0
"""What a vector costs that is turned about in registers with as many others as it has lanes."""

LINE = 6.0
"""What a line of text is worth, in cycles: it takes time to compile, once."""

CHAIN = 4.0
"""Cycles from one step of an accumulator to the next."""

Tile = dict[str, int]
"""How many steps of each axis are held in registers at once."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An expression as the model sees it: what one copy costs, and which axes make copies."""

    axes: frozenset[str]
    loads: float
    work: float
    inside: bool  # of a reduction's loop
    across: frozenset[str] = frozenset()  # tiled by as many as there are lanes, these make it cheap


class Model:
    """What the schedules of one nest cost.

    Args:
        nest: the nest, its axes merged.
        target: the processor.

    Attributes:
        lanes: how many of its numbers a vector holds.
    """

    def __init__(self, nest: Nest, target: Target) -> None:
        self.nest, self.target = nest, target
        self.pool = Pool(nest)
        self.maps = [axis.name for axis in nest.maps]
        self.reduces = [axis.name for axis in nest.reduces]
        self.sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
        self.reduced = math.prod([axis.size for axis in nest.reduces])
        self.folds = self.pool.reduces()
        self.inside: set[int] = set()
        for number in self.folds:
            self.inside.update(self.pool.inside(self.pool.parts[number][0]))
        widest = max([expr.dtype.itemsize for expr in self.pool.exprs], default=4)
        stored = max(store.expr.dtype.itemsize for store in nest.stores)
        self.lanes = max(target.vector_bytes // max(stored, min(widest, 4)), 1)
        self._items: dict[str, list[_Item]] = {}
        self._loaded = [
            self.pool.axes[number]
            for number in self.inside
            if isinstance(self.pool.exprs[number], Load)
        ]
        refs = [(e.at, e.dtype.itemsize) for e in self.pool.exprs if isinstance(e, Load)]
        refs += [(store.at, store.expr.dtype.itemsize) for store in nest.stores]
        self._refs = [(dict(at.strides), size) for at, size in dict.fromkeys(refs)]

    # -- cycles --

    def cycles(self, lane: str, tile: Tile) -> float | None:
        """Cycles of the whole nest, its loads all from the first cache; None where it can't be."""
        registers = sum([_copies(self.pool.axes[number], tile) for number in self.folds])
        if tile and registers and registers + self._operands(tile) >= self.target.registers:
            return None  # without a tile it can be: where there are too many sums, some spill
        parts: list[list[tuple[int, Tile]]] = []
        spread = {lane: 1} if lane in self.maps else {}
        for axis in spread | tile:
            factor = tile.get(axis, 1)
            width = self.lanes if axis == lane else 1
            whole, rest = divmod(self.sizes[axis], factor * width)
            options = [(whole, {axis: factor})] if whole else []
            if rest:
                options.append((1, {axis: -(-rest // width)}))
            parts.append(options)
        others = math.prod([self.sizes[a] for a in self.maps if a not in tile and a != lane])
        times = self.reduced
        if lane in self.reduces:
            times = times // self.sizes[lane] * -(-self.sizes[lane] // self.lanes)
        total = 0.0
        for combination in itertools.product(*parts):
            count = math.prod([each[0] for each in combination]) * others
            here = {axis: factor for _, some in combination for axis, factor in some.items()}
            total += self._body(lane, here, times, count)
        return total

    def _operands(self, tile: Tile) -> int:
        """The registers that a tile's operands take: all but those that can come one by one."""
        groups = [_copies(axes, tile) for axes in self._loaded]
        return sum(groups) - max(groups, default=0) + 1

    def _body(self, lane: str, tile: Tile, times: int, count: int) -> float:
        """Cycles of one variant of the body, run so often; its text has a price too."""
        loads = work = after_loads = after_work = lines = 0.0
        for item in self._of_lane(lane):
            copies = _copies(item.axes, tile)
            taken = item.loads
            if item.across and any(tile.get(axis) == self.lanes for axis in item.across):
                taken = TRANSPOSED * item.loads / (FAR * self.lanes)
            if item.inside:
                loads += copies * taken
                work += copies * item.work
            else:
                after_loads += copies * taken
                after_work += copies * item.work
            lines += copies * (taken + item.work)
        loop = max(loads / LOADS, work / 2, CHAIN) + 0.3 if self.reduces else 0.0
        after = max(after_loads / 2, after_work / 2) + 1.5
        return count * (loop * times + after) + LINE * lines

    def _of_lane(self, lane: str) -> list[_Item]:
        """What each expression costs when this axis is in the lanes."""
        items = self._items.get(lane)
        if items is None:
            numbers = range(len(self.pool.exprs))
            items = [item for number in numbers if (item := self._item(number, lane))]
            for store in self.nest.stores:
                axes = frozenset([axis for axis, _ in store.at.strides])
                near = not lane or store.at.stride(lane) in (0, 1)
                across = frozenset[str]() if near else unit_axes(store.at)
                items.append(_Item(axes, 2.0 if near else FAR * self.lanes, 0.0, False, across))
            items = self._items[lane] = self._gathered(items)
        return items

    def _gathered(self, items: list[_Item]) -> list[_Item]:
        """Those that are copied by the same axes as one: the model looks at them very often."""
        maps = frozenset(self.maps)
        sums: dict[tuple[frozenset[str], bool, frozenset[str]], tuple[float, float]] = {}
        for item in items:
            key = item.axes & maps, item.inside, item.across
            loads, work = sums.get(key, (0.0, 0.0))
            sums[key] = loads + item.loads, work + item.work
        return [
            _Item(axes, loads, work, inside, across)
            for (axes, inside, across), (loads, work) in sums.items()
        ]

    def is_near(self, lane: str) -> bool:
        """Whether all that a reduction reads along this axis is side by side in memory."""
        loads = [self.pool.exprs[number] for number in self.inside]
        return all(
            not isinstance(expr, Load) or (expr.at.stride(lane) in (0, 1) and not expr.index)
            for expr in loads
        )

    def _item(self, number: int, lane: str) -> _Item | None:
        expr, axes = self.pool.exprs[number], self.pool.axes[number]
        inside = number in self.inside
        if isinstance(expr, Reduce):
            across = 3.0 * math.log2(self.lanes) if lane and lane in expr.axes else 0.0
            return _Item(axes, 0.0, 1.0 + 2 * across / max(self.reduced // self.lanes, 1), True)
        if isinstance(expr, Load):
            return self._load(expr, axes, lane, inside)
        if isinstance(expr, Call):
            summed = any(self.pool.parts[fold][0] == number for fold in self.folds)
            cost = 0.0 if summed and expr.name == "mul" else _CYCLES.get(expr.name, 1.0)
            return _Item(axes, 0.0, cost, inside)
        return None

    def _load(self, expr: Load, axes: frozenset[str], lane: str, inside: bool) -> _Item:
        vector = bool(lane) and lane in axes
        stride = expr.at.stride(lane) if vector else 0
        if not vector:
            return _Item(axes, 2.0 if expr.index else 1.0, 0.0, inside)
        if stride == 1 and not expr.index:
            return _Item(axes, 1.0, 0.0, inside)
        far = expr.index or abs(stride) * expr.dtype.itemsize >= 64
        across = frozenset[str]() if expr.index else unit_axes(expr.at)
        return _Item(axes, (FAR if far else 1.5) * self.lanes, 0.0, inside, across)

    # -- caches --

    def traffic(self, order: tuple[str, ...], lane: str, tile: Tile) -> float:
        """Bytes from beyond the first cache, and three times those from beyond the second."""
        steps = {axis: tile.get(axis, 1) * (self.lanes if axis == lane else 1) for axis in order}
        total = 0.0
        for cache, weight in ((L1, 1.0), (L2, 3.0)):
            extent = {axis: self.sizes[axis] for axis in self.reduces}
            for axis in order:
                extent[axis] = min(steps[axis], self.sizes[axis])
            sizes = [_footprint(strides, size, extent) for strides, size in self._refs]
            fits = sum(sizes) <= cache
            depth = len(order)
            while depth > 0 and fits:
                wider = {**extent, order[depth - 1]: self.sizes[order[depth - 1]]}
                grown = [_footprint(strides, size, wider) for strides, size in self._refs]
                if sum(grown) > cache:
                    break
                extent, sizes, depth = wider, grown, depth - 1
            for (strides, _), nbytes in zip(self._refs, sizes):
                times, reused = 1.0, fits  # what the loop next to it does not move is still there
                for axis in reversed(order[:depth]):
                    if axis in strides or not reused:
                        reused = False
                        times *= self.sizes[axis] / extent[axis]
                total += weight * times * nbytes
        return total


def unit_axes(at: Affine) -> frozenset[str]:
    """The axes along which a place's neighbours are neighbours in memory."""
    return frozenset([axis for axis, stride in at.strides if stride == 1])


def _copies(axes: frozenset[str], tile: Tile) -> int:
    """How often an expression that depends on these axes is written out in a tile."""
    copies = 1
    for axis, factor in tile.items():
        if axis in axes:
            copies *= factor
    return copies


def _footprint(strides: dict[str, int], itemsize: int, extent: dict[str, int]) -> float:
    """Bytes touched, in whole cache lines where the shortest stride is long."""
    count, shortest = 1, 64
    for axis, stride in strides.items():
        times = extent.get(axis, 1)
        if times > 1:
            count *= times
            shortest = min(shortest, abs(stride))
    return count * min(shortest * itemsize, 64) if count > 1 else itemsize
