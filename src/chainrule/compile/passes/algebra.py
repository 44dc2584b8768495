"""Sums and means in the one form that is lowered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.compile.passes.rewriting import Rewriter
from chainrule.compile.passes.rules import Simplifier
from chainrule.core.dtypes import FLOAT, float16
from chainrule.core.op import Op
from chainrule.ir.graph import Graph, Value
from chainrule.ops.arithmetic import Div, Mul
from chainrule.ops.broadcasting import Expand
from chainrule.ops.movement import Reshape
from chainrule.ops.reduce import Mean, Sum, SumTo

__all__ = ["Algebra"]


@dataclass(frozen=True)
class Algebra:
    """Sums are `Sum`, without the dimensions that they went over.

    Needs: nothing. Leaves: no `SumTo`; no `Mean` but of float16, which is added up in float32; no
    `Sum` with `keepdim`, of nothing, over axes of size 1, or over axes that were only expanded.

        mean x = Σx / n,    Σ over an expanded axis of x = n x

    The results are the same up to rounding: n x is rounded once, where a sum is at each step, and
    -0 may stand where a sum gives 0.
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph with its sums rewritten, in one walk."""
        rewriter = Rewriter(graph)
        simplifier = Simplifier(rewriter)
        for node in graph.nodes:
            dims = _summed(node.op, node.inputs)
            if dims is None:
                rewriter.keep(node)
                continue
            (x,), (y,) = rewriter.inputs(node), node.outputs
            simplifier.location = node.location
            total = _sum(x, dims, simplifier)
            if type(node.op) is Mean:
                count = math.prod([x.type.shape[dim] for dim in dims])
                divisor = rewriter.known(np.array(count, y.type.dtype.numpy))
                total = simplifier.make(Div(), total, divisor)
            rewriter.replace(y, simplifier.make(Reshape(y.type.shape), total))
        return rewriter.finish()


def _summed(op: Op, inputs: tuple[Value, ...]) -> tuple[int, ...] | None:
    """The dimensions that a sum or a mean goes over; None if it is neither, or stays."""
    if type(op) is Sum or (type(op) is Mean and inputs[0].type.dtype is not float16):
        return op.dims
    if type(op) is not SumTo:
        return None
    given = inputs[0].type.shape
    extra = len(given) - len(op.shape)
    inner = [dim for dim, size in enumerate(op.shape, extra) if size == 1 and given[dim] != 1]
    return (*range(extra), *inner)


def _sum(x: Value, dims: tuple[int, ...], at: Simplifier) -> Value:
    """The sum, without the dimensions that it goes over."""
    shape = x.type.shape
    kept = tuple([size for dim, size in enumerate(shape) if dim not in dims])
    node = at.graph.made_by(x, Expand)
    if node is not None and 0 not in shape and x.type.dtype.category == FLOAT:
        (source,) = node.inputs
        full = (1,) * (len(shape) - source.type.ndim) + source.type.shape
        factor = math.prod([shape[dim] for dim in dims if full[dim] == 1])
        if factor != 1:
            return _times(at.make(Reshape(full), source), dims, factor, kept, at)
    wide = tuple([dim for dim in dims if shape[dim] != 1])
    if not wide:
        return at.make(Reshape(kept), x)
    if len(wide) < len(dims):  # axes of size 1 go first: they need no adding up
        x = at.make(Reshape(tuple([n for d, n in enumerate(shape) if d not in dims or n != 1])), x)
        gone = [dim for dim in dims if shape[dim] == 1]
        wide = tuple([dim - len([each for each in gone if each < dim]) for dim in wide])
    return at.make(Sum(wide, False), x)


def _times(
    source: Value, dims: tuple[int, ...], factor: int, kept: tuple[int, ...], at: Simplifier
) -> Value:
    """The sum of what was expanded: that of its source, as often as it was repeated."""
    number: Any = np.array(factor, source.type.dtype.numpy)
    total = at.make(Mul(), _sum(source, dims, at), at.graph.known(number))
    return at.make(Expand(kept), total)
