"""Local derivatives, as numbers: how each element of an op's output moves with its own inputs.

That is a number per element for an elementwise op only; elsewhere it is a matrix (or worse), and
the op's rule in words says more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.autograd.tape import Node
from chainrule.core.families import Elementwise
from chainrule.core.interpret import lift, pull_back
from chainrule.core.op import Array
from chainrule.errors import ChainruleError

__all__ = ["local_derivatives"]


def local_derivatives(node: Node) -> dict[int, Array]:
    """dy/dx of an elementwise op, for each input that wants a gradient, in the shape of y.

    The op's own derivative gives it: of a gradient of ones, with the inputs spread out so that
    nothing is summed.
    """
    if not isinstance(node.op, Elementwise) or node.outputs != 1:
        return {}
    try:
        y, inputs = node.unpack()
        kinds = node.types
        shape = np.broadcast_shapes(*[kind[0] for kind in kinds])
        spread: list[Any] = [None if x is None else x.detach().expand(shape) for x in inputs]
        types = tuple((shape, kind[1]) for kind in kinds)
        ones = lift(np.ones(shape, types[-1][1]))
        output = y if y is None else y.detach()
        bars = pull_back(node.op, ones, output, spread, types, node.needs)
    except ChainruleError:  # what was saved has been changed, or freed: then there is no telling
        return {}
    return {index: bar.value for index, bar in enumerate(bars) if bar is not None}
