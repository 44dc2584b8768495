"""The rules of random draws: kernels compute the numbers, from the generator's state."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.compile.lowering import Context, NotNativeError, is_plain
from chainrule.compile.philox_lowering import DRAWS, random_nests
from chainrule.compile.rule_parts import field, rule
from chainrule.compile.trees import Apply, Leaf, Number, Place, Tree
from chainrule.compile.views import View, contiguous
from chainrule.core.dtypes import bool_, int64
from chainrule.ir.graph import Node

__all__: list[str] = []

_GROUP = 64  # elements that are drawn at once, or 32 where each takes two words


@rule(*DRAWS)
def _draw(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """Drawn into memory in whole groups; what is beyond the last element nobody reads."""
    type_ = node.outputs[0].type
    if node.op.name == "mask" and round(field(node.op, "probability") * 2**32) >= 1 << 32:
        return (Number(True, bool_),)
    if node.op.name == "integers" and field(node.op, "high") - field(node.op, "low") > 1 << 32:
        raise NotNativeError("its range is wider than 32 bits")
    count = math.prod(type_.shape)
    room = -(-count // _GROUP) * _GROUP
    state = context.in_memory(inputs[0], (2,))
    if not is_plain(state, (2,)):
        state = context.stored(Leaf(state), (2,), order=(0,), name="state")
    context.trees[node.inputs[0].number] = Leaf(state)
    name = context.buffer(type_.dtype, room, node.op.name)
    nests = random_nests(node.op, count, state.buffer, name, room)
    assert nests is not None
    context.done.steps += nests
    return (Leaf(contiguous(name, type_.dtype, type_.shape)),)


@rule("advance")
def _advance(context: Context, node: Node, inputs: Sequence[Tree]) -> tuple[Tree, ...]:
    """(seed, offset + groups): the second of two is one stride further than the first."""
    further = Place(View("", int64, 0, (((2, field(node.op, "groups")),),)))
    return (Apply("add", (inputs[0], further), int64),)
