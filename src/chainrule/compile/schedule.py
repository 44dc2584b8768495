"""Schedules: how the axes of a nest become loops, vector lanes and register tiles.

What a kernel computes does not depend on its schedule, only how long it takes. `choose` tries the
schedules that make sense and takes the one that a simple model of the processor likes best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.ir.nest import Affine, Nest

__all__ = ["Schedule", "axis_of_sums"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """One way to run a nest.

    Attributes:
        order: the map axes, outermost loop first.
        reduce_order: the reduce axes, likewise.
        lane: the axis whose neighbours share a vector register; "" for none.
        lanes: how many.
        tile: for some map axes, how many steps at once are held in registers (of the lane axis:
            how many vectors). Each is a copy of the body, and what they share is computed once.
        unroll: how many steps of the innermost reduce axis are written out.
        split: the map axis that is shared out among the threads; "" for none.
        staged: operands that lie scattered in memory, and are used again and again by the loops
            inside the one they stop depending on: copied there, in the order they are used in, to
            where the first cache keeps them.
    """

    order: tuple[str, ...]
    reduce_order: tuple[str, ...] = ()
    lane: str = ""
    lanes: int = 1
    tile: tuple[tuple[str, int], ...] = ()
    unroll: int = 1
    split: str = ""
    staged: tuple[tuple[str, Affine], ...] = ()

    def factor(self, axis: str) -> int:
        """The tile's size along an axis."""
        return next((factor for name, factor in self.tile if name == axis), 1)


def axis_of_sums(nest: Nest, lane: str, lanes: int, tile: Mapping[str, int]) -> str:
    """The tiled axis whose sums, each spread over the lanes, become lanes; "" for none.

    With a reduce axis in the lanes, every sum of a tile is a vector whose lanes are to be combined.
    Four or eight neighbours that are stored side by side are so combined that each is a lane of
    one vector, and what is made of them is made of all at once.
    """
    if not any(axis.name == lane for axis in nest.reduces):
        return ""
    for axis, factor in tile.items():
        neighbours = all(each.at.stride(axis) == 1 and not each.index for each in nest.stores)
        if neighbours and factor in (4, 8) and factor <= lanes:
            return axis
    return ""
