"""The passes over a graph, and the order they come in."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.compile.passes.algebra import Algebra
from chainrule.compile.passes.common_subexpressions import CommonSubexpressions
from chainrule.compile.passes.dead_code import DeadCode
from chainrule.compile.passes.expand import ExpandCoarse
from chainrule.compile.passes.fold import Fold
from chainrule.compile.passes.gather_overlap_add import GatherOverlapAdd
from chainrule.compile.passes.simplify import Simplify
from chainrule.compile.passes.sink_views import SinkViews
from chainrule.ir.graph import Graph
from chainrule.ir.verify import verify as verify_graph

__all__ = ["PASSES", "optimize"]

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    ExpandCoarse(),
    DeadCode(),
    CommonSubexpressions(),
    Simplify(),
    Fold(),
    DeadCode(),
    Algebra(),
    GatherOverlapAdd(),
    SinkViews(),
    CommonSubexpressions(),
    DeadCode(),
)
"""What happens to a traced graph, in this order."""


def optimize(graph: Graph, verify: bool = False) -> Graph:
    """The graph after all passes.

    Args:
        graph: a graph as it was traced.
        verify: whether to check the graph after each pass.

    Raises:
        VerifyError: a pass made a graph that is none.
    """
    for each in PASSES:
        graph = each(graph)
        if verify:
            verify_graph(graph)
    return graph
