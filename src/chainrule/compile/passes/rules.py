"""The rules of `Simplify`, each a small function with the op it is for in the table at the end.

A rule is given an op, its inputs and the type of its result, and says what value that is, if it
knows a simpler one. It makes what it needs with `simplifier.make`, which simplifies in its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from chainrule.autograd.inplace import WriteView
from chainrule.compile.passes.movement import Movement, inverse, without_ones
from chainrule.compile.passes.rewriting import Rewriter
from chainrule.core.dtypes import FLOAT, float64, int64
from chainrule.core.families import Elementwise
from chainrule.core.op import Op
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.ir.graph import Value
from chainrule.ops.arithmetic import Add, Div, Mul, Neg, Sub
from chainrule.ops.bitwise import BitwiseNot
from chainrule.ops.broadcasting import Expand
from chainrule.ops.compare import KeepWhere, LogicalNot, Where
from chainrule.ops.extrema import Amax, Amin
from chainrule.ops.joining import Cat
from chainrule.ops.matmul import Matmul
from chainrule.ops.movement import Clone, Permute, Reshape
from chainrule.ops.padding import Pad
from chainrule.ops.promotion import Cast
from chainrule.ops.rearrange import Flip
from chainrule.ops.slicing import Slice
from chainrule.ops.sliding import OverlapAdd, Windows

__all__ = ["Rule", "Simplifier", "rules_of"]

Inputs = tuple[Value, ...]


class Simplifier:
    """Makes nodes as simple as they come.

    Attributes:
        graph: where they go.
        location: the line of the user's code that they are made for.
    """

    def __init__(self, graph: Rewriter) -> None:
        self.graph = graph
        self.location = ""
        self._moved: dict[int, tuple[Value, Movement]] = {}
        self._moves: dict[tuple[Value, Movement], Value] = {}

    def found(self, op: Op, inputs: Inputs, kind: TensorType) -> Value | None:
        """What the first rule that has something to say makes of an op; None where none has."""
        for rule in rules_of(type(op)):
            value = rule(self, op, inputs, kind)
            if value is not None:
                return value
        return None

    def make(self, op: Op, *inputs: Value) -> Value:
        """The value of an op: of a simpler one, if a rule knows it."""
        kind = op.type_rule(*[each.type for each in inputs])
        value = self.found(op, inputs, kind)
        if value is None:
            value = self.graph.add(op, inputs, self.location, kind)
            self.note(op, inputs, value)
        return value

    def origin(self, value: Value) -> tuple[Value, Movement] | None:
        """What a value is a reshaped, permuted view of, and how; None if of nothing."""
        return self._moved.get(value.number)

    def moved(self, source: Value, movement: Movement) -> Value:
        """A view of a value that is none itself; made once."""
        found = self._moves.get((source, movement))
        if found is not None:
            return found
        value = source
        for op in movement.steps():
            before, value = value, self._moves.get(self.after(op, value))
            if value is None:
                value = self.graph.add(op, (before,), self.location)
                self.note(op, (before,), value)
        return value

    def viewed(self, x: Value, movement: Movement) -> Value:
        """A view of any value; of what that is a view of, if one can be said to be."""
        source, whole = self._moved.get(x.number) or (x, Movement.none(x.type.shape))
        for op in (Reshape(movement.source), *movement.steps()):
            further = whole.then(op)
            if further is None:
                source = self.moved(source, whole)
                further = Movement.none(whole.shape).then(op)
                assert further is not None
            whole = further
        return self.moved(source, whole)

    def knows(self, source: Value, movement: Movement) -> bool:
        """Whether there is such a view already."""
        return (source, movement) in self._moves

    def after(self, op: Any, x: Value) -> tuple[Value, Movement]:
        """What a reshape or permutation of a value is a view of, and how."""
        source, movement = self._moved.get(x.number) or (x, Movement.none(x.type.shape))
        further = movement.then(op)
        if further is None:  # digits cut askew: a movement of its own begins
            source, further = x, Movement.none(x.type.shape).then(op)
            assert further is not None
        return source, further

    def note(self, op: Op, inputs: Inputs, value: Value) -> None:
        """Remember a new view, so that views of it are made directly."""
        if isinstance(op, Permute | Reshape) and value.type.size:
            source, movement = self.after(op, inputs[0])
            self._moved[value.number] = source, movement
            self._moves[source, movement] = value


Rule = Callable[[Simplifier, Any, Inputs, TensorType], Value | None]


# ---- nothing happens -------------------------------------------------------------------------


def nothing_to_copy(at: Simplifier, op: Clone, inputs: Inputs, kind: TensorType) -> Value | None:
    """A value never changes: its copy is itself."""
    return inputs[0]


def nothing_to_cast(at: Simplifier, op: Cast, inputs: Inputs, kind: TensorType) -> Value | None:
    """A cast to the dtype that it has; a cast of a cast that lost nothing."""
    (x,) = inputs
    if x.type.dtype is op.dtype:
        return x
    first = at.graph.made_by(x, Cast)
    if first is None:
        return None
    (source,) = first.inputs
    have, between = source.type.dtype, x.type.dtype
    lossless = np.can_cast(have.numpy, between.numpy) and (have, between) != (int64, float64)
    return at.make(op, source) if lossless else None


def nothing_to_slice(at: Simplifier, op: Slice, inputs: Inputs, kind: TensorType) -> Value | None:
    """All of every axis."""
    (x,) = inputs
    whole = all(key == (0, size, 1) for key, size in zip(op.key, x.type.shape))
    return x if whole and kind == x.type else None


def nothing_to_flip(at: Simplifier, op: Flip, inputs: Inputs, kind: TensorType) -> Value | None:
    """Axes of size 1 read the same backwards; twice backwards is forwards."""
    (x,) = inputs
    before = at.graph.made_by(x, Flip)
    if before is not None and before.op == op:
        return before.inputs[0]
    return x if all(kind.shape[dim] < 2 for dim in op.dims) else None


def nothing_to_pad(at: Simplifier, op: Pad, inputs: Inputs, kind: TensorType) -> Value | None:
    """A border of no width."""
    return None if any(map(any, op.borders)) else inputs[0]


def nothing_to_join(at: Simplifier, op: Cat, inputs: Inputs, kind: TensorType) -> Value | None:
    """One input alone."""
    return inputs[0] if len(inputs) == 1 else None


def twice_is_none(at: Simplifier, op: Op, inputs: Inputs, kind: TensorType) -> Value | None:
    """-(-x), not not x."""
    first = at.graph.made_by(inputs[0], type(op))
    source = None if first is None else first.inputs[0]
    return source if source is not None and source.type == kind else None


def extremum_of_one(at: Simplifier, op: Any, inputs: Inputs, kind: TensorType) -> Value | None:
    """The largest of one number. (The sum of one is not that number: that of -0 is 0.)"""
    (x,) = inputs
    return at.make(Reshape(kind.shape), x) if x.type.size == kind.size > 0 else None


# ---- neutral numbers -------------------------------------------------------------------------


def _broadcast(at: Simplifier, x: Value, kind: TensorType) -> Value | None:
    return at.make(Expand(kind.shape), x) if x.type.dtype is kind.dtype else None


def times_one(at: Simplifier, op: Mul, inputs: Inputs, kind: TensorType) -> Value | None:
    """x · 1 = x."""
    for x, one in (inputs, inputs[::-1]):
        if at.graph.uniform(one) == 1:
            return _broadcast(at, x, kind)
    return None


def over_one(at: Simplifier, op: Div, inputs: Inputs, kind: TensorType) -> Value | None:
    """x / 1 = x."""
    x, one = inputs
    return _broadcast(at, x, kind) if at.graph.uniform(one) == 1 else None


def plus_nothing(at: Simplifier, op: Add, inputs: Inputs, kind: TensorType) -> Value | None:
    """x + (-0) = x; where there is no -0, x + 0 = x."""
    for x, zero in (inputs, inputs[::-1]):
        number = at.graph.uniform(zero)
        if number == 0 and (kind.dtype.category != FLOAT or np.signbit(number)):
            return _broadcast(at, x, kind)
    return None


def minus_nothing(at: Simplifier, op: Sub, inputs: Inputs, kind: TensorType) -> Value | None:
    """x - 0 = x, if that is no -0."""
    x, zero = inputs
    number = at.graph.uniform(zero)
    if number == 0 and (kind.dtype.category != FLOAT or not np.signbit(number)):
        return _broadcast(at, x, kind)
    return None


def known_mask(at: Simplifier, op: KeepWhere, inputs: Inputs, kind: TensorType) -> Value | None:
    """All kept, or none."""
    x, mask = inputs
    keep = at.graph.uniform(mask)
    if keep is None:
        return None
    return _broadcast(at, x if keep else at.graph.known(np.zeros((), kind.dtype.numpy)), kind)


def known_condition(at: Simplifier, op: Where, inputs: Inputs, kind: TensorType) -> Value | None:
    """All of one, or one and the same."""
    condition, a, b = inputs
    holds = at.graph.uniform(condition)
    if holds is None and a.number != b.number:
        return None
    return _broadcast(at, a if holds is None or holds else b, kind)


# ---- broadcasting ----------------------------------------------------------------------------


def expanded_once(at: Simplifier, op: Expand, inputs: Inputs, kind: TensorType) -> Value | None:
    """To its own shape; of something expanded; of something with sizes of 1 put in front."""
    (x,) = inputs
    if x.type.size == kind.size:
        return at.make(Reshape(kind.shape), x)
    source = _before_broadcasting(at, x, len(kind.shape))
    return None if source is x else at.make(op, source)


def _before_broadcasting(at: Simplifier, x: Value, ndim: int) -> Value:
    """What a value was before it was expanded and given leading sizes of 1, which broadcasting
    to `ndim` dimensions or more does as well."""
    while True:
        node = at.graph.made_by(x, Expand)
        if node is None:
            break
        x = node.inputs[0]
    source, movement = at.origin(x) or (x, None)
    if movement is None or source.type.ndim > ndim or len(movement.factors()) > 1:
        return x
    return source if without_ones(source.type.shape) == without_ones(x.type.shape) else x


def broadcast_inside(at: Simplifier, op: Op, inputs: Inputs, kind: TensorType) -> Value | None:
    """Elementwise ops broadcast by themselves; where all operands were expanded, so is the result.

    f(expand x, y) = f(x, y),  f(expand x, expand y) = expand f(x, y)
    """
    operands = tuple([_before_broadcasting(at, each, kind.ndim) for each in inputs])
    if not op.pure or all(a is b for a, b in zip(operands, inputs)):
        return None
    shape = broadcast_shapes_or_none([each.type.shape for each in operands])
    assert shape is not None
    if shape == kind.shape:
        value = at.found(op, operands, kind)
        return at.graph.add(op, operands, at.location, kind) if value is None else value
    return at.make(Expand(kind.shape), at.make(op, *operands))


# ---- views -----------------------------------------------------------------------------------


def moved_once(at: Simplifier, op: Any, inputs: Inputs, kind: TensorType) -> Value | None:
    """A reshape or permutation of a reshape or permutation is written in one way only."""
    (x,) = inputs
    if x.type == kind and (type(op) is Reshape or x.type.size == 0):
        return x
    under = at.graph.made_by(x, Expand)
    if under is not None:
        return _of_expanded(at, op, under.inputs[0], kind)
    if kind.size == 0:
        return None
    source, movement = at.after(op, x)
    if source is x and movement.steps() == (op,) and not at.knows(source, movement):
        return None
    return at.moved(source, movement)


def _of_expanded(at: Simplifier, op: Any, x: Value, kind: TensorType) -> Value | None:
    """A view of an expanded value, expanded after it."""
    if x.type.size == 1 and kind.shape:
        return at.make(Expand(kind.shape), at.make(Reshape(()), x))
    if not isinstance(op, Permute):
        return None
    full = (1,) * (kind.ndim - x.type.ndim) + x.type.shape
    return at.make(Expand(kind.shape), at.make(op, at.make(Reshape(full), x)))


def written_whole(at: Simplifier, op: WriteView, inputs: Inputs, kind: TensorType) -> Value | None:
    """What is written through a reshape or permutation is all there is."""
    base, source = inputs
    if not all(isinstance(each, Reshape | Permute) for each in op.ops):
        return None
    for each in inverse(op.ops, base.type.shape):
        source = at.make(each, source)
    return source if source.type == kind else None


def windows_of_one(at: Simplifier, op: Any, inputs: Inputs, kind: TensorType) -> Value | None:
    """Windows of one number each, side by side, are the map itself; so are these, added up."""
    alone = all(kernel == stride == 1 for kernel, stride in zip(op.kernel, op.stride))
    if not alone or any(map(any, op.padding)):
        return None
    return at.make(Reshape(kind.shape), inputs[0])


def batch_of_one(at: Simplifier, op: Matmul, inputs: Inputs, kind: TensorType) -> Value | None:
    """A batch of a single product is that product."""
    if kind.ndim == 2 or any(size != 1 for size in kind.shape[:-2]):
        return None
    a, b = [at.make(Reshape(each.type.shape[-2:]), each) for each in inputs]
    return at.make(Reshape(kind.shape), at.make(op, a, b))


RULES: dict[type[Op], tuple[Rule, ...]] = {
    Add: (plus_nothing,),
    Amax: (extremum_of_one,),
    Amin: (extremum_of_one,),
    BitwiseNot: (twice_is_none,),
    Cast: (nothing_to_cast, broadcast_inside),
    Cat: (nothing_to_join,),
    Clone: (nothing_to_copy,),
    Div: (over_one,),
    Expand: (expanded_once,),
    Flip: (nothing_to_flip,),
    KeepWhere: (known_mask,),
    LogicalNot: (twice_is_none,),
    Matmul: (batch_of_one,),
    Mul: (times_one,),
    Neg: (twice_is_none,),
    OverlapAdd: (windows_of_one,),
    Pad: (nothing_to_pad,),
    Permute: (moved_once,),
    Reshape: (moved_once,),
    Slice: (nothing_to_slice,),
    Sub: (minus_nothing,),
    Where: (known_condition,),
    Windows: (windows_of_one,),
    WriteView: (written_whole,),
}
"""What there is to say about each op. All elementwise ops have one rule more."""


@cache
def rules_of(kind: type[Op]) -> tuple[Rule, ...]:
    """The rules for an op."""
    rules = RULES.get(kind, ())
    return (*rules, broadcast_inside) if issubclass(kind, Elementwise) else rules
