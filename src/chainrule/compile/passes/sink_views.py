"""Reshapes and permutations move below elementwise ops, so that these come one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.compile.passes.movement import Movement
from chainrule.compile.passes.rewriting import Rewriter
from chainrule.compile.passes.rules import Simplifier, rules_of
from chainrule.compile.views import Digits
from chainrule.core.families import Elementwise
from chainrule.core.types import TensorType
from chainrule.ir.graph import Graph, Node, Value
from chainrule.ops.movement import Permute, Reshape
from chainrule.ops.promotion import Cast

__all__ = ["SinkViews"]


@dataclass(frozen=True)
class SinkViews:
    """f(view x) becomes view f(x), for elementwise f and views that are reshapes or permutations.

    Needs: views as `Simplify` leaves them. Leaves: elementwise ops that compute in the order in
    which their operands were made, with the views after the last of a chain; and views that nobody
    uses any more, for `DeadCode`.

    Operands beside a view are taken the way back through it: one that is the same view of something
    is that thing; one that broadcasts stays small. The view moves only if this makes no more views
    than there were: below f(view x, y) that would take one of y, and it stays where it is.

        tanh(permute x)             permute tanh x
        permute x * permute y       permute (x * y)
        reshape x + [b, of (K,1,1,1)]     reshape (x + [b, of (K,1)])

    The bits are the same: each element is computed as before, elsewhere.
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph with its views further down, in one walk."""
        rewriter = Rewriter(graph)
        simplifier = Simplifier(rewriter)
        for node in graph.nodes:
            simplifier.location = node.location
            found = None
            if type(node.op) is Permute or type(node.op) is Reshape:
                found = _composed(node, rewriter, simplifier)
            elif node.op.pure and isinstance(node.op, Elementwise | Cast):
                found = _sunk(node, rewriter, simplifier)
            if found is None:
                rewriter.keep(node)
            else:
                rewriter.replace(node.outputs[0], found)
        return rewriter.finish()


def _composed(node: Node, rewriter: Rewriter, simplifier: Simplifier) -> Value | None:
    """A view of what is a view by now."""
    inputs, (y,) = rewriter.inputs(node), node.outputs
    found = simplifier.found(node.op, inputs, y.type) if rules_of(type(node.op)) else None
    if found is None:
        simplifier.note(node.op, inputs, y)
    return found


def _sunk(node: Node, rewriter: Rewriter, simplifier: Simplifier) -> Value | None:
    """The op on what its operands are views of, seen as they are; None where that is no gain."""
    inputs, (y,) = rewriter.inputs(node), node.outputs
    if y.type.size == 1:
        return None  # nothing to put in another order
    views: dict[Digits, list[Movement]] = {}
    full = {each.number: each for each in inputs if each.type.shape == y.type.shape}
    for each in full.values():
        origin = simplifier.origin(each)
        if origin is not None:
            views.setdefault(origin[1].factors(), []).append(origin[1])
    if not views:
        return None
    before = sum(map(len, views.values()))
    chosen = max(views.values(), key=len)
    if 1 + len(full) - len(chosen) > before:
        return None
    for movement in (chosen[0], chosen[0].finer()):
        operands = [_beside(each, movement, simplifier) for each in inputs]
        listed = tuple([each for each in operands if each is not None])
        if len(listed) == len(inputs):
            kind = TensorType(movement.source, y.type.dtype)
            below = rewriter.add(node.op, listed, node.location, kind)
            return simplifier.moved(below, movement)
    return None


def _beside(x: Value, movement: Movement, simplifier: Simplifier) -> Value | None:
    """An operand, the way back through a view; None if it varies along parts of axes."""
    if x.type.size == 1:
        return x if x.type.ndim <= len(movement.source) else simplifier.make(Reshape(()), x)
    back = movement.back(x.type.shape)
    return None if back is None else simplifier.viewed(x, back)
