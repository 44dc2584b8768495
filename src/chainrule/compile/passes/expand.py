"""Coarse ops become what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.autograd.inplace import WriteView
from chainrule.compile.passes.rewriting import Rewriter
from chainrule.core.base import TensorBase, ViewOf
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Base, Run, Stack, enter, leave
from chainrule.core.op import Op
from chainrule.core.types import type_of
from chainrule.ir.graph import Graph, Node, Value
from chainrule.ops.broadcasting import Expand
from chainrule.tensor import Tensor

__all__ = ["ExpandCoarse"]


@dataclass(frozen=True)
class ExpandCoarse:
    """Each coarse op becomes its body's fine ops.

    Needs: nothing. Leaves: no coarse op but those of `whole`, and those whose body does not only
    consist of ops on its inputs (it looks at numbers, or writes to something else): they stay, to
    be run as they are.

    The bits are those of the coarse op, for its body is what eager execution runs too.

    Attributes:
        whole: coarse ops that are left as they are.
    """

    whole: frozenset[type[CoarseOp]] = frozenset()

    def __call__(self, graph: Graph) -> Graph:
        """The graph with the bodies in place of the coarse ops."""
        rewriter = Rewriter(graph)
        recording = _Recording(rewriter, self.whole)
        for node in graph.nodes:
            if not recording.opens(node.op) or not _open(node, rewriter, recording):
                rewriter.keep(node)
        return rewriter.finish()


def _open(node: Node, rewriter: Rewriter, recording: _Recording) -> bool:
    """Put a body in the place of its node; False, and nothing done, if that can't be."""
    before = len(rewriter.nodes)
    recording.location = node.location
    tensors = [Tensor.around(_Symbol(each, given=True)) for each in rewriter.inputs(node)]
    token = enter(Stack(recording))
    try:
        made = recording.body(node.op, tensors)
        values = [recording.value_of(each) for each in made]
    except _Unfit:
        del rewriter.nodes[before:]
        return False
    finally:
        leave(token)
    for old, new in zip(node.outputs, values, strict=True):
        rewriter.replace(old, new)
    return True


class _Unfit(Exception):
    """A body does something that is no op on its inputs."""


class _Symbol:
    """Stands for an array: its shape, its dtype, and the value that is in it now."""

    __slots__ = ("dtype", "given", "now", "shape")

    def __init__(self, value: Value, given: bool = False) -> None:
        self.shape, self.dtype = value.type.shape, value.type.dtype.numpy
        self.now = value
        self.given = given  # to a body, which may not write to it


class _Recording(Base):
    """Writes a body's ops down as nodes.

    A view remembers the number of the value it was made of: if its base was written to since, it is
    made once more when it is next used.
    """

    def __init__(self, rewriter: Rewriter, whole: frozenset[type[CoarseOp]]) -> None:
        self._rewriter = rewriter
        self._whole = whole
        self.location = ""

    def opens(self, op: Op) -> bool:
        """Whether an op is to be replaced by its body."""
        return isinstance(op, CoarseOp) and type(op) not in self._whole

    def body(self, op: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        """All outputs of a coarse op, from its body."""
        y, residuals = op.forward(*inputs)
        return (y, *residuals)[: op.outputs]

    def over(self, below: Stack) -> Run:
        """Each op is a node, each coarse op what its body is."""

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            if self.opens(op):
                symbols = [_Symbol(self.value_of(x), given=True) for x in inputs]
                ys = self.body(op, [Tensor.around(each) for each in symbols])
            else:
                ys = self._node(op, inputs)
            return ys if op.outputs > 1 else ys[0]

        return run

    def _node(self, op: Op, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
        values = tuple([self.value_of(x) for x in inputs])
        kinds: Any = op.type_rule(*[each.type for each in values])
        if op.outputs > 1:
            outputs = tuple([self._rewriter.fresh(each) for each in kinds])
            self._rewriter.keep(Node(op, values, outputs, self.location))
        else:
            outputs = (self._rewriter.add(op, values, self.location, kinds),)
        ys = tuple([Tensor.around(_Symbol(each)) for each in outputs])
        if op.aliases:
            base, ops = _origin(inputs[0])
            ys[0].view_of = ViewOf(base, (*ops, op), base.value.now.number)
        return ys

    def value_of(self, tensor: TensorBase) -> Value:
        """The value that is in a tensor now."""
        symbol = tensor.value
        if not isinstance(symbol, _Symbol):
            raise _Unfit  # an array from elsewhere, which may be another one tomorrow
        made = tensor.view_of
        if made is None or made.base.value.now.number == made.version:
            return symbol.now
        value = made.base.value.now
        for op in made.ops:
            value = self._rewriter.add(op, (value,), self.location)
        symbol.now, made.version = value, made.base.value.now.number
        return value

    def lift(self, value: Any) -> Tensor:
        """A constant, or a symbol's own tensor."""
        if isinstance(value, _Symbol):
            return Tensor.around(value)
        return Tensor.around(_Symbol(self._rewriter.known(value.copy())))

    def copy(self, tensor: TensorBase) -> Tensor:
        """The same value: nothing that is written later changes it."""
        return Tensor.around(_Symbol(self.value_of(tensor)))

    def assign(self, target: TensorBase, source: TensorBase) -> None:
        """The target has another value from now on, and so has what it is a view of."""
        new = self.value_of(source)
        kind = type_of(target.value)
        base, ops = _origin(target)
        if new.type.dtype is not kind.dtype or base.value.given:
            raise _Unfit
        if new.type.shape != kind.shape:
            new = self._rewriter.add(Expand(kind.shape), (new,), self.location)
        if not ops:
            base.value.now = new
            return
        written = WriteView(ops)
        base.value.now = self._rewriter.add(
            written, (self.value_of(base), new), self.location, base.value.now.type
        )

    def read(self, tensor: TensorBase) -> Any:
        """There are no numbers."""
        raise _Unfit


def _origin(tensor: Any) -> tuple[Any, tuple[Op, ...]]:
    """What a tensor is a view of, and how; itself where it is none."""
    made = tensor.view_of
    return (tensor, ()) if made is None else (made.base, made.ops)
