"""What is known beforehand is computed beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.compile.passes.rewriting import Rewriter
from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Elementwise
from chainrule.core.op import Array
from chainrule.core.types import TensorType
from chainrule.errors import ChainruleError
from chainrule.ir.graph import Graph, Node, Value
from chainrule.ops.broadcasting import Expand
from chainrule.ops.create import Full
from chainrule.ops.promotion import Cast

__all__ = ["Fold"]

_FAILURES = (ChainruleError, ValueError, TypeError, IndexError, OverflowError)


@dataclass(frozen=True)
class Fold:
    """Nodes whose inputs are all known become constants, and so do small tensors made from nothing.

    Needs: nothing. Leaves: no elementwise op of numbers that are known, no `Full`, and no op on
    constants whose result is small. What is one number everywhere is written as that number,
    expanded, whatever its size. Ops of a user's own are not run.

    Attributes:
        largest: how many bytes a result (and what it is computed from) may have.
    """

    largest: int = 1 << 16

    def __call__(self, graph: Graph) -> Graph:
        """The graph with what could be computed, computed; by NumPy, as eager execution does."""
        rewriter = Rewriter(graph)
        arrays: dict[int, Array] = {each.value.number: each.array for each in graph.constants}
        folding = _Folding(rewriter, arrays, self.largest)
        with np.errstate(all="ignore"):
            for node in graph.nodes:
                inputs = rewriter.inputs(node)
                if not all(each.number in arrays for each in inputs) or not folding.fold(node):
                    rewriter.keep(node)
        return rewriter.finish()


@dataclass(frozen=True)
class _Folding:
    rewriter: Rewriter
    arrays: dict[int, Array]
    largest: int

    def fold(self, node: Node) -> bool:
        """Replace a node on known values by its result, if that pays."""
        op = node.op
        if not op.pure or op.outputs > 1 or isinstance(op, CoarseOp):
            return False
        (y,) = node.outputs
        inputs = self.rewriter.inputs(node)
        if type(op) is Expand:  # stays, for it costs nothing; what comes after it sees through it
            self.arrays[y.number] = np.broadcast_to(self.arrays[inputs[0].number], op.shape)
            return False
        result = self._result(op, [self.arrays[each.number] for each in inputs], y.type)
        if result is None:
            return False
        self.rewriter.replace(y, self._written(result, y.type, node.location))
        return True

    def _result(self, op: Any, arrays: list[Array], kind: TensorType) -> Array | None:
        """The result; of one element if all are the same. None: too large, or the op refuses."""
        if type(op) is Full:
            return np.full((), op.fill_value, op.dtype.numpy)
        nbytes = kind.nbytes
        if isinstance(op, Elementwise | Cast):
            arrays = [_shrunk(each) for each in arrays]
            shape = np.broadcast_shapes(*[each.shape for each in arrays])
            nbytes = math.prod(shape) * kind.dtype.itemsize
        if max([nbytes, *[each.nbytes for each in arrays]]) > self.largest:
            return None
        try:
            return np.asarray(op.reference(*arrays))
        except _FAILURES:
            return None  # it will say so when it is run

    def _written(self, result: Array, kind: TensorType, location: str) -> Value:
        """A constant, expanded where that makes it smaller."""
        small = _shrunk(result) if _is_uniform(result) else result
        if small.size == 1:
            small = small.reshape(())
        value = self.rewriter.known(small.astype(kind.dtype.numpy))
        self.arrays[value.number] = small
        if small.shape != kind.shape:
            value = self.rewriter.add(Expand(kind.shape), (value,), location, kind)
            self.arrays[value.number] = np.broadcast_to(small, kind.shape)
        return value


def _shrunk(array: Array) -> Array:
    """An array without the axes it only repeats itself along: those are of size 1."""
    if 0 in array.shape:
        return array
    return array[tuple([slice(0, 1) if step == 0 else slice(None) for step in array.strides])]


def _is_uniform(array: Array) -> bool:
    """Whether all its elements are the same, to the bit."""
    if array.size < 2:
        return array.size == 1
    bits = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}").reshape(-1)
    return bool((bits == bits[0]).all())
