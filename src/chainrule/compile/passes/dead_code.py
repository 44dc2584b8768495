"""What nobody wants is not computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chainrule.ir.graph import Graph, Node

__all__ = ["DeadCode"]


@dataclass(frozen=True)
class DeadCode:
    """Nodes and constants that no result and no update needs go.

    Needs: nothing. Leaves: no node without a use, but those whose op is a user's own (who knows
    what else it does?). Arguments and state stay, for whoever calls knows them by their positions.
    An update that puts back what was there is none.
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph without its dead nodes: one walk, from the end."""
        updates = tuple([pair for pair in graph.updates if pair[0].number != pair[1].number])
        wanted = {each.number for each in graph.results}
        wanted.update([new.number for _, new in updates])
        kept: list[Node] = []
        for node in reversed(graph.nodes):
            made = [each.number for each in node.outputs]
            if not wanted.isdisjoint(made) or not node.op.pure:
                kept.append(node)
                wanted.update([each.number for each in node.inputs])
        kept.reverse()
        constants = tuple([each for each in graph.constants if each.value.number in wanted])
        return replace(graph, constants=constants, nodes=tuple(kept), updates=updates)
