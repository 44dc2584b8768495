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
from chainrule.compile.schedule import axis_of_sums
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
    "tanh": 44.0,
    "sigmoid": 18.0,
    "erf": 24.0,
    "pow": 60.0,
    "sin": 24.0,
    "cos": 24.0,
    "idiv": 40.0,
    "irem": 40.0,
}
"""Cycles of a full vector of what takes more than one."""

BYTES = 15.0
"""Bytes that come from the second cache in a cycle."""

LOADS = 1.7
"""Vectors from the first cache in a cycle: two, but for those that miss it."""

FAR = 5.0
"""What one lane costs whose neighbours are in other cache lines, in loads."""

TRANSPOSED = 3.0
"""What a vector costs that is turned about in registers with as many others as it has lanes."""

ACROSS = 6.0
"""What each halving of an accumulator costs, when its lanes are combined, in operations."""

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


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far each axis goes, the bytes that each operand then touches, and all of them."""

    extent: dict[str, int]
    sizes: list[int]
    nbytes: int


class Model:
    """What the schedules of one nest cost.

    Args:
        nest: the nest, its axes merged.
        target: the processor.

    Attributes:
        lanes: how many of its numbers a vector holds.
        adds_up: whether its sequential axis adds up parts of a sum, each point's by itself: then it
            may be any of the loops.
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
        own = {(store.buffer, store.at) for store in nest.stores if not store.index}
        written = {store.buffer for store in nest.stores}
        self.adds_up = (
            bool(nest.sequential)
            and all(
                (e.buffer, e.at) in own or e.buffer not in written
                for e in self.pool.exprs
                if isinstance(e, Load)
            )
            and len(own) == len(nest.stores)
        )
        self._items: dict[str, list[_Item]] = {}
        self._loaded = [
            self.pool.axes[number]
            for number in self.inside
            if isinstance(self.pool.exprs[number], Load)
        ]
        refs = [(e.at, e.dtype.itemsize) for e in self.pool.exprs if isinstance(e, Load)]
        refs += [(store.at, store.expr.dtype.itemsize) for store in nest.stores]
        self._refs = [(dict(at.strides), size) for at, size in dict.fromkeys(refs)]
        self._reaches: dict[tuple[str, tuple[tuple[str, int], ...]], dict[frozenset[str], _Reach]]
        self._reaches = {}

    # -- cycles --

    def cycles(self, lane: str, tile: Tile) -> float | None:
        """Cycles of the whole nest, its loads all from the first cache; None where it can't be."""
        registers = sum([_copies(self.pool.axes[number], tile) for number in self.folds])
        # A vector that is used once comes from memory as it is multiplied; a number does not.
        spare = 0 if lane in self.reduces else 1
        if tile and registers and registers + self._operands(tile) + spare > self.target.registers:
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
        tiled, summed = list(tile.items()), axis_of_sums(self.nest, lane, self.lanes, tile)
        for item in self._of_lane(lane):
            copies = 1
            for axis, factor in tiled:
                if axis in item.axes and (item.inside or axis != summed):
                    copies *= factor
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
            items += [
                _Item(self.pool.axes[number], 0.0, ACROSS * math.log2(self.lanes), False)
                for number, expr in enumerate(self.pool.exprs)
                if isinstance(expr, Reduce) and lane in expr.axes
            ]
            for store, index in zip(self.nest.stores, self.pool.indices, strict=True):
                axes = frozenset([axis for axis, _ in store.at.strides])
                axes = axes.union(*[self.pool.axes[number] for number in index])
                apart = self._is_apart(index, lane)
                near = not lane or (store.at.stride(lane) in (0, 1) and not apart)
                across = frozenset[str]() if near or index else unit_axes(store.at)
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
        loads = [(self.pool.exprs[number], self.pool.parts[number]) for number in self.inside]
        return all(
            not isinstance(expr, Load)
            or (expr.at.stride(lane) in (0, 1) and not self._is_apart(index, lane))
            for expr, index in loads
        )

    def _is_apart(self, index: tuple[int, ...], lane: str) -> bool:
        """Whether places found at run time are others in every lane."""
        return any(lane in self.pool.axes[number] for number in index)

    def _item(self, number: int, lane: str) -> _Item | None:
        expr, axes = self.pool.exprs[number], self.pool.axes[number]
        inside = number in self.inside
        if isinstance(expr, Reduce):
            return _Item(axes, 0.0, 1.0, True)
        if isinstance(expr, Load):
            return self._load(
                expr, self._is_apart(self.pool.parts[number], lane), axes, lane, inside
            )
        if isinstance(expr, Call):
            if lane not in axes and not any(
                isinstance(self.pool.exprs[part], Load | Reduce)
                for part in self.pool.inside(number)
            ):
                return None  # the same for all lanes: computed outside, or a constant
            summed = any(self.pool.parts[fold][0] == number for fold in self.folds)
            cost = 0.0 if summed and expr.name == "mul" else _CYCLES.get(expr.name, 1.0)
            return _Item(axes, 0.0, cost, inside)
        return None

    def _load(
        self, expr: Load, apart: bool, axes: frozenset[str], lane: str, inside: bool
    ) -> _Item:
        vector = bool(lane) and lane in axes
        stride = expr.at.stride(lane) if vector else 0
        if not vector:
            return _Item(axes, 2.0 if expr.index else 1.0, 0.0, inside)
        if stride == 1 and not apart:
            return _Item(axes, 1.0, 0.0, inside)
        far = apart or abs(stride) * expr.dtype.itemsize >= 64
        across = frozenset[str]() if expr.index else unit_axes(expr.at)
        return _Item(axes, (FAR if far else 1.5) * self.lanes, 0.0, inside, across)

    # -- caches --

    def traffic(self, order: tuple[str, ...], lane: str, tile: Tile) -> float:
        """Bytes from beyond the first cache, and three times those from beyond the second."""
        known = self._reached(order, lane, tile)
        inner = frozenset[str]()  # the axes that are gone through whole: all of it is still near
        reach, total, depth = known[inner], 0.0, len(order)
        for cache, weight in ((L1, 1.0), (L2, 3.0)):  # what is in the first is in the second, too
            fits = reach.nbytes <= cache
            while depth > 0 and fits:
                wider = inner | {order[depth - 1]}
                grown = known.get(wider)
                if grown is None:
                    grown = known[wider] = self._wider(reach, order[depth - 1])
                if grown.nbytes > cache:
                    break
                inner, reach, depth = wider, grown, depth - 1
            loops = [(axis, self.sizes[axis] / reach.extent[axis]) for axis in order[:depth][::-1]]
            for (strides, _), nbytes in zip(self._refs, reach.sizes):
                times, reused = 1.0, fits  # what the loop next to it does not move is still there
                for axis, count in loops:
                    if axis in strides or not reused:
                        reused = False
                        times *= count
                total += weight * times * nbytes
        return total

    def _reached(
        self, order: tuple[str, ...], lane: str, tile: Tile
    ) -> dict[frozenset[str], _Reach]:
        """What is touched between two steps of a loop, by the axes that are inside of it.

        Filled in as it is asked for: many orders of the loops have the same inside.
        """
        key = lane, tuple(tile.items())
        known = self._reaches.get(key)
        if known is None:
            extent = {axis: self.sizes[axis] for axis in self.reduces}
            for axis in order:
                step = tile.get(axis, 1) * (self.lanes if axis == lane else 1)
                extent[axis] = min(step, self.sizes[axis])
            sizes = [_footprint(strides, size, extent) for strides, size in self._refs]
            known = self._reaches[key] = {frozenset[str](): _Reach(extent, sizes, sum(sizes))}
        return known

    def _wider(self, reach: _Reach, axis: str) -> _Reach:
        """The same with one more axis gone through whole."""
        extent = {**reach.extent, axis: self.sizes[axis]}
        sizes = [
            _footprint(strides, size, extent) if axis in strides else known
            for (strides, size), known in zip(self._refs, reach.sizes)
        ]
        return _Reach(extent, sizes, sum(sizes))


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


def _footprint(strides: dict[str, int], itemsize: int, extent: dict[str, int]) -> int:
    """Bytes touched, in whole cache lines where the shortest stride is long."""
    count, shortest = 1, 64
    for axis, stride in strides.items():
        times = extent.get(axis, 1)
        if times > 1:
            count *= times
            if -shortest < stride < shortest:
                shortest = abs(stride)
    return count * min(shortest * itemsize, 64) if count > 1 else itemsize
