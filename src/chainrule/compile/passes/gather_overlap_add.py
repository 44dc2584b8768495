"""Sums of overlapping windows are written as what each number of the result is the sum of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.compile.passes.rewriting import Rewriter
from chainrule.compile.passes.rules import Simplifier
from chainrule.ir.graph import Graph, Node, Value
from chainrule.ops.matmul import Matmul
from chainrule.ops.movement import Permute, Reshape
from chainrule.ops.rearrange import Flip
from chainrule.ops.slicing import Unslice
from chainrule.ops.sliding import OverlapAdd, Windows

__all__ = ["GatherOverlapAdd"]


@dataclass(frozen=True)
class GatherOverlapAdd:
    """`OverlapAdd`, which scatters, becomes ops that gather, where these are no more work.

    Needs: products of matrices without batches of one, as `Simplify` leaves them. Leaves:
    `OverlapAdd` of windows that overlap at strides above 1, or of grouped convolutions.

    Two cases. Where windows do not overlap and leave no gaps (pooling), every number of the result
    is one number of one window: a permutation. And the gradient of a convolution of stride 1 by its
    input is a convolution as well, of the cotangent, padded, with the kernels turned around:

        Σ_t Wᵀ[c,t,:] Y[:, i + padding - t·dilation]
            = Σ_t' (W turned)[c,:,t'] Y[:, i + t'·dilation - (dilation (kernel - 1) - padding)]

    The sums of the second case are the same up to rounding: they are added in another order.
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph with gathers in place of what can be gathered."""
        rewriter = Rewriter(graph)
        simplifier = Simplifier(rewriter)
        uses: dict[int, int] = {}
        for value in [*(each for node in graph.nodes for each in node.inputs), *graph.results]:
            uses[value.number] = uses.get(value.number, 0) + 1
        for node in graph.nodes:
            found = None
            if type(node.op) is OverlapAdd:
                simplifier.location = node.location
                inputs, (y,) = rewriter.inputs(node), node.outputs
                found = _as_movement(node.op, inputs[0], simplifier)
                if found is None:
                    product = _product(inputs[0], rewriter, uses)
                    found = product and _as_convolution(node.op, y, product, simplifier)
            if found is None:
                rewriter.keep(node)
            else:
                rewriter.replace(node.outputs[0], found)
        return rewriter.finish()


def _as_movement(op: OverlapAdd, x: Value, simplifier: Simplifier) -> Value | None:
    """Windows side by side: (C, *kernel, *counts, B) as (C, counts · kernel, ..., B)."""
    apart = all(step == size for step, size in zip(op.stride, op.kernel))
    close = all(step == 1 or size == 1 for step, size in zip(op.dilation, op.kernel))
    if not (apart and close) or any(map(any, op.padding)):
        return None
    axes, (channels, *_, batch) = len(op.kernel), x.type.shape
    covered = tuple([size * count for size, count in zip(op.kernel, op.counts)])
    pairs = [dim for axis in range(axes) for dim in (1 + axes + axis, 1 + axis)]
    y = simplifier.make(Permute((0, *pairs, 1 + 2 * axes)), x)
    y = simplifier.make(Reshape((channels, *covered, batch)), y)
    if covered == op.size:
        return y
    ranges = tuple([(0, size, 1) for size in y.type.shape])
    return simplifier.make(Unslice((channels, *op.size, batch), ranges), y)


def _product(parts: Value, rewriter: Rewriter, uses: dict[int, int]) -> Node | None:
    """The product of two matrices that the windows are, if nobody else uses it."""
    node = rewriter.maker(parts)
    while node is not None and type(node.op) is Reshape and uses.get(parts.number) == 1:
        (parts,) = node.inputs
        node = rewriter.maker(parts)
    if node is None or type(node.op) is not Matmul or uses.get(parts.number) != 1:
        return None
    return node if parts.type.ndim == 2 else None


def _as_convolution(op: OverlapAdd, y: Value, product: Node, at: Simplifier) -> Value | None:
    """Of (C · *kernel, K) @ (K, *counts · B): turned kernels times the windows of the second."""
    weight, maps = product.inputs
    channels, *_, batch = y.type.shape
    reach = [step * (size - 1) for step, size in zip(op.dilation, op.kernel)]
    padding = tuple([(r - pad, r - end) for r, (pad, end) in zip(reach, op.padding)])
    fits = weight.type.shape[0] == channels * math.prod(op.kernel)
    if not fits or any(step != 1 for step in op.stride) or min(map(min, padding)) < 0:
        return None
    axes, outputs = len(op.kernel), maps.type.shape[0]
    make: Callable[..., Value] = at.make
    kernels: Any = make(Reshape((channels, *op.kernel, outputs)), weight)
    kernels = make(Permute((0, 1 + axes, *range(1, 1 + axes))), kernels)
    kernels = make(Flip(tuple(range(2, 2 + axes))), kernels)
    terms = outputs * math.prod(op.kernel)
    seen = make(Reshape((outputs, *op.counts, batch)), maps)
    seen = make(Windows(op.kernel, op.stride, op.dilation, padding, op.counts), seen)
    seen = make(Reshape((terms, math.prod(op.size) * batch)), seen)
    return make(
        Reshape(y.type.shape), make(Matmul(), make(Reshape((channels, terms)), kernels), seen)
    )
