"""Ops that do nothing go, and what is said in a roundabout way is said directly."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.compile.passes.rewriting import Rewriter
from chainrule.compile.passes.rules import Simplifier, rules_of
from chainrule.ir.graph import Graph

__all__ = ["Simplify"]


@dataclass(frozen=True)
class Simplify:
    """Small rules, applied to each op as it is met: the table is in `rules.py`.

    Needs: nothing. Leaves: no copy, no cast or view that changes nothing; no reshape or permutation
    of another where one can do it; no expansion of what an elementwise op would broadcast itself.
    What is no longer used is still there: `DeadCode` takes it away.

    Every rule is exact: the result has the same bits, whatever the inputs are. So x · 1 is x, but
    x + 0 is not (-0 + 0 is 0).
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph, simplified in one walk."""
        rewriter = Rewriter(graph)
        simplifier = Simplifier(rewriter)
        for node in graph.nodes:
            if rules_of(type(node.op)):
                inputs = rewriter.inputs(node)
                simplifier.location = node.location
                found = simplifier.found(node.op, inputs, node.outputs[0].type)
                if found is not None:
                    rewriter.replace(node.outputs[0], found)
                    continue
                simplifier.note(node.op, inputs, node.outputs[0])
            rewriter.keep(node)
        return rewriter.finish()
