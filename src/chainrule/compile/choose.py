"""Choosing a schedule: which axis goes into the lanes, what is tiled, which loop is outermost.

All that make sense are tried on the model of the processor (`cost_model.py`), and the cheapest is
taken. So matrix products, convolutions and sums over rows get their well-known forms without being
known here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from chainrule.compile.cost_model import BYTES, Model, Tile
from chainrule.compile.pool import places
from chainrule.compile.schedule import Schedule
from chainrule.compile.target import Target
from chainrule.core.dtypes import BOOL
from chainrule.ir.nest import Affine, Iota, Load, Nest

__all__ = ["Choice", "choose", "cost"]

STAGE = 64 * 1024
"""Bytes of an operand's copy up to which it stays in the first cache, or near it."""

CLOSE = 4
"""How many of the cheapest schedules are compared by what they fetch, too."""

SMALL = 20_000
"""Below so many cycles of work, compiling less is worth more than running faster."""

PARALLEL = 60_000
"""From so many cycles on, threads share the work: less is done before they have met."""

_PAIRS = ((6, 2), (2, 6), (4, 3), (3, 4), (5, 2), (2, 5), (4, 2), (2, 4), (3, 3), (3, 2), (2, 3))
_SINGLES = (12, 8, 6, 5, 4, 3, 2)
_MORE_PAIRS = ((8, 3), (3, 8), (6, 4), (4, 6), (12, 2), (2, 12), (5, 5), (5, 4), (4, 5), (4, 4))
_MORE_SINGLES = (24, 16)

Choice = tuple[str, Tile]
"""What is in the lanes, and the tile."""


def choose(nest: Nest, target: Target) -> Schedule:
    """The schedule that the model likes best."""
    return _search(nest, target).schedule()


def cost(
    nest: Nest, target: Target, among: list[Choice] | None = None
) -> tuple[float, list[Choice]]:
    """About how many cycles the nest takes on one core, and the best few choices.

    Args:
        among: try these choices only.
    """
    search = _search(nest, target)
    found = search.ranked() if among is None else search.compared(among)
    return found[0][0], [(lane, tile) for _, lane, tile in found]


def _search(nest: Nest, target: Target) -> _Search:
    """The search for a nest: the same one if there was one lately, with all it has found out."""
    found = _LATELY.get(id(nest))
    if found is None or found.nest is not nest or found.target is not target:
        if len(_LATELY) >= 32:
            _LATELY.clear()
        found = _LATELY[id(nest)] = _Search(nest, target)
    return found


class _Search:
    def __init__(self, nest: Nest, target: Target) -> None:
        self.nest, self.target = nest, target
        self._ranked: list[tuple[float, str, Tile]] | None = None
        self.model = Model(nest, target)
        self.free = [axis for axis in self.model.maps if axis not in nest.sequential]

    def schedule(self) -> Schedule:
        """The cheapest of all."""
        model = self.model
        if not model.maps and not model.reduces:
            return Schedule(())
        total, lane, tile = self.ranked()[0]
        order, _ = self._order(lane, tile)
        parallel = [axis for axis in order if axis in self.free][:2]
        split = ""
        if total > PARALLEL and parallel:
            split = max(parallel, key=lambda axis: min(self._blocks(axis, lane, tile), 8))
        reduce_order = self._reduce_order(lane)
        return Schedule(
            order=order,
            reduce_order=reduce_order,
            lane=lane,
            lanes=model.lanes if lane else 1,
            tile=tuple(tile.items()),
            unroll=self._unroll(reduce_order, lane, tile) if total > SMALL else 1,
            split=split,
            staged=self._staged(order, lane, tile),
        )

    def ranked(self) -> list[tuple[float, str, Tile]]:
        """The cheapest few choices, with what the caches make them cost."""
        if self._ranked is None:
            self._ranked = self.compared(self._choices())
        return self._ranked

    def compared(self, among: Iterable[Choice]) -> list[tuple[float, str, Tile]]:
        """The cheapest few of some choices."""
        found: list[tuple[float, str, Tile]] = []
        for lane, tile in among:
            cycles = self.model.cycles(lane, tile)
            if cycles is not None:
                found.append((cycles, lane, tile))
        found.sort(key=lambda each: each[0])
        near = [each for each in found[:CLOSE] if each[0] < 1.3 * found[0][0]]
        if near[0][0] > SMALL:
            near = [
                (cycles + self._order(lane, tile)[1] / BYTES, lane, tile)
                for cycles, lane, tile in near
            ]
            near.sort(key=lambda each: each[0])
        return near

    def _blocks(self, axis: str, lane: str, tile: Tile) -> int:
        width = self.model.lanes if axis == lane else 1
        return self.model.sizes[axis] // (tile.get(axis, 1) * width)

    # -- lanes and tiles --

    def _choices(self) -> Iterator[Choice]:
        model = self.model
        lanes = [] if model.lanes == 1 else [*self.free, *model.reduces]
        lanes = [lane for lane in lanes if model.sizes[lane] > 1]
        near = [lane for lane in lanes if model.is_near(lane)]
        if not model.reduces:
            near = [lane for lane in lanes if self._all_near(lane)] or near
        for lane in near or ("", *lanes):
            for tile in self._tiles(lane):
                yield lane, tile

    def _tiles(self, lane: str) -> Iterator[Tile]:
        """Tiles of at most two axes that may fit into the registers."""
        yield {}
        if not self.model.reduces:
            if counted := self._counted(lane):
                yield counted
            yield from [{lane: factor} for factor in (2, 4) if lane]
            for axis in self.free if lane else []:
                if self.model.sizes[axis] >= self.model.lanes and self._turned(axis, lane):
                    yield {axis: self.model.lanes}
            return
        more = self.target.registers > 16
        for axis in self.free:
            for factor in _SINGLES if not more else (*_MORE_SINGLES, *_SINGLES):
                # A long tile of one axis is as many streams from memory: only where there is no
                # other axis, or where its vectors are to be turned about.
                square = factor < 8 or len(self.free) == 1
                turned = factor == self.model.lanes and self._turned(axis, lane)
                if factor <= self._steps(axis, lane) and (square or turned):
                    yield {axis: factor}
        for first, second in itertools.combinations(self.free, 2):
            for a, b in _PAIRS if not more else (*_MORE_PAIRS, *_PAIRS):
                if a <= self._steps(first, lane) and b <= self._steps(second, lane):
                    yield {first: a, second: b}

    def _counted(self, lane: str) -> Tile:
        """Short axes whose index is computed with: written out, the index is a constant."""
        sizes = self.model.sizes
        counted = {e.axis: sizes[e.axis] for e in self.model.pool.exprs if isinstance(e, Iota)}
        counted.pop(lane, None)
        short = {axis: size for axis, size in counted.items() if 1 < size <= 4}
        return short if math.prod(short.values()) <= 16 else {}

    def _turned(self, axis: str, lane: str) -> bool:
        """Whether something is contiguous along this axis, and not along the lanes."""
        return any(
            at.stride(axis) == 1 and at.stride(lane) not in (0, 1)
            for at in places(self.nest, self.model.pool)
        )

    def _all_near(self, axis: str) -> bool:
        """Whether everything is contiguous along this axis, and fills a vector."""
        strides = {at.stride(axis) for at in places(self.nest, self.model.pool)}
        return 1 in strides <= {0, 1} and self.model.sizes[axis] >= self.model.lanes

    def _steps(self, axis: str, lane: str) -> int:
        return -(-self.model.sizes[axis] // (self.model.lanes if axis == lane else 1))

    # -- loops --

    def _order(self, lane: str, tile: Tile) -> tuple[tuple[str, ...], float]:
        """The map axes, so that little comes from beyond the first cache; and how much does."""
        traffic = self.model.traffic
        at = self.nest.stores[0].at
        names = sorted(self.free, key=lambda name: -at.stride(name))  # as they lie in memory
        orders = [(*self.nest.sequential, *names)]
        if len(names) > 1 and self.model.reduces:
            orders = list(self._orders(names, lane, tile))
        found = [(traffic(order, lane, tile), order) for order in orders]
        best = min(found, key=lambda each: each[0])
        return best[1], best[0]

    def _orders(self, names: list[str], lane: str, tile: Tile) -> Iterator[tuple[str, ...]]:
        """Orders of the loops that may be the best."""
        first = self.nest.sequential
        if len(names) <= 3:
            free = list(itertools.permutations(names))
        else:
            free = [self._one_by_one(names, lane, tile)]
        for order in free:
            for place in range(len(order) if self.model.adds_up else 1):
                yield (*order[:place], *first, *order[place:])

    def _one_by_one(self, names: list[str], lane: str, tile: Tile) -> tuple[str, ...]:
        """The free axes, the innermost first: that which leaves the least to fetch."""
        first, traffic = self.nest.sequential, self.model.traffic
        names, inner = list(names), tuple[str, ...]()
        while names:
            tried = [
                (
                    traffic((*first, *[n for n in names if n != name], name, *inner), lane, tile),
                    name,
                )
                for name in reversed(names)
            ]
            name = min(tried, key=lambda each: each[0])[1]
            names.remove(name)
            inner = (name, *inner)
        return inner

    def _reduce_order(self, lane: str) -> tuple[str, ...]:
        """Long strides outside, the lane axis innermost."""
        loads = [expr.at for expr in self.model.pool.exprs if isinstance(expr, Load)]

        def reach(name: str) -> tuple[bool, int]:
            return name == lane, -max([abs(at.stride(name)) for at in loads], default=0)

        return tuple(sorted(self.model.reduces, key=reach))

    def _unroll(self, reduce_order: tuple[str, ...], lane: str, tile: Tile) -> int:
        if not reduce_order:
            return 1
        last = reduce_order[-1]
        steps = self.model.sizes[last] // (self.model.lanes if last == lane else 1)
        body = math.prod(tile.values())
        if steps <= 7 and steps * body <= 90:
            return max(steps, 1)
        tried = (4, 2) if body <= 4 else (2,)
        return next((unroll for unroll in tried if steps % unroll == 0 and steps > unroll), 1)

    def _staged(
        self, order: tuple[str, ...], lane: str, tile: Tile
    ) -> tuple[tuple[str, Affine], ...]:
        """The operands worth a copy: scattered, small, and used by many steps of an inner loop."""
        found: dict[tuple[str, Affine], None] = {}
        sizes = self.model.sizes
        for number in self.model.inside:
            expr = self.model.pool.exprs[number]
            if not isinstance(expr, Load) or expr.index or expr.dtype.category == BOOL:
                continue
            if lane not in order or expr.at.stride(lane) != 1:
                continue
            level = max([order.index(a) + 1 for a, _ in expr.at.strides if a in order], default=0)
            again = math.prod([self._blocks(axis, lane, tile) for axis in order[level:]])
            width = math.prod([tile.get(a, 1) for a, _ in expr.at.strides if a in order])
            reduces = [axis for axis, _ in expr.at.strides if axis not in order]
            count = width * self.model.lanes * math.prod([sizes[axis] for axis in reduces])
            itemsize = expr.dtype.itemsize
            far = any(abs(expr.at.stride(axis)) * itemsize > 256 for axis in reduces)
            if far and again >= 4 and count * itemsize <= STAGE:
                found[expr.buffer, expr.at] = None
        return tuple(found)


_LATELY: dict[int, _Search] = {}
