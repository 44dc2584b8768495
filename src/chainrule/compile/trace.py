"""`Trace`: the interpreter that writes a function down as a graph.

It stands where eager execution stands, at the bottom of the stack: so the tape above it, every
derivative and the optimizer put one graph together. Arrays that it meets and that are no arguments
are state. What is written in place becomes an update; see `symbol.py` for views.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from chainrule.autograd.inplace import WriteView
from chainrule.compile.signature import is_array
from chainrule.compile.symbol import Memory, Symbol, is_ordered
from chainrule.core.base import TensorBase, ViewOf
from chainrule.core.dtypes import BY_NUMPY
from chainrule.core.interpret import Base, Run, Stack, enter, leave
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op
from chainrule.core.types import TensorType, broadcast_shapes_or_none, type_of
from chainrule.eager import Eager
from chainrule.errors import CompileError
from chainrule.ir.graph import Constant, Graph, Node, Value
from chainrule.ops.broadcasting import Expand
from chainrule.ops.movement import Clone, Reshape
from chainrule.ops.promotion import Cast
from chainrule.tensor import Tensor

__all__ = ["StateMet", "Trace", "memory_of"]

EAGER = Stack(Eager())

_NUMBERS = (
    "choose with chainrule.where(condition, a, b), not with `if`; return what you want to look at, "
    "and look at it outside; pass a number that Python must know as an argument"
)


class StateMet:
    """A tensor that was met and is no argument.

    Attributes:
        tensor: the first tensor that was met around this array.
        array: the array.
        value: what was in it before.
        symbol: what stands for it.
    """

    __slots__ = ("array", "symbol", "tensor", "value")

    def __init__(self, tensor: Any, array: Array, symbol: Symbol) -> None:
        self.tensor = tensor
        self.array = array
        self.value = symbol.value
        self.symbol = symbol


class Trace(Base):
    """Writes down what happens.

    Args:
        meet: told of each tensor around an array of its own before anything is done to it.
        guard: asked before an array is written to; raises if it must not be.
        reachable: the ids of arrays that are sure to be state.

    Attributes:
        nodes: the ops so far.
        state: the tensors met so far that are no arguments, in this order.
        arguments: the symbols of the arguments.
        constants: the values that are known.
    """

    def __init__(
        self,
        meet: Callable[[Any], None] = lambda tensor: None,
        guard: Callable[[Array], None] = lambda array: None,
        reachable: Container[int] = (),
    ) -> None:
        self.meet = meet
        self.guard = guard
        self.reachable = reachable
        self.nodes: list[Node] = []
        self.state: list[StateMet] = []
        self.arguments: list[Symbol] = []
        self._before: list[Value] = []  # what was in the arguments
        self.constants: list[Constant] = []
        self._small: dict[Any, Value] = {}
        self._met: dict[int, Symbol] = {}  # by the id of the array
        self._kept: list[Any] = []  # so that no other array gets such an id
        self._owners: dict[int, list[Symbol]] = {}  # state by the id of what owns its memory
        self._locations: dict[tuple[int, int], str] = {}
        self._numbers = 0

    # -- the interpreter ----------------------------------------------------------------------

    def over(self, below: Stack) -> Run:
        """Write the op down."""

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            xs = [self.symbol(x) for x in inputs]
            if type(op) is Clone:
                return self._cloned(xs[0])
            values = self.add(op, [self.value(x) for x in xs])
            if op.aliases:
                return self._viewed(op, inputs[0], xs[0], values[0])
            certain = is_ordered(op, xs)
            ys = [Tensor.around(self._fresh(each, certain)) for each in values]
            return tuple(ys) if op.outputs > 1 else ys[0]

        return run

    def lift(self, value: Any) -> Tensor:
        """A constant, with a copy of the array; or a symbol, as it is."""
        if isinstance(value, Symbol) or id(value) in self._met or id(value) in self.reachable:
            return Tensor.around(value)
        return Tensor.around(self._fresh(self.constant(np.array(value)), certain=True))

    def copy(self, tensor: TensorBase) -> Tensor:
        """The same value in a memory of its own: values are never written to."""
        return self._cloned(self.symbol(tensor))

    def assign(self, target: TensorBase, source: TensorBase) -> None:
        """The memory has other contents from now on."""
        into, given = self.symbol(target), self.symbol(source)
        value = target.value
        if isinstance(value, np.ndarray):
            self.guard(value)  # pyright: ignore[reportUnknownArgumentType]  # any array
        have, want = given.type, into.type
        if (have != want and not _fits(have, want)) or not into.flags.writeable:
            self._let_eager_refuse(into, given)
        new = self.value(given)
        if have.dtype is not want.dtype:
            (new,) = self.add(Cast(want.dtype), [new])
        if len(have.shape) > len(want.shape):  # NumPy takes sizes of 1 in front away
            (new,) = self.add(Reshape(have.shape[len(have.shape) - len(want.shape) :]), [new])
        if new.type.shape != want.shape:
            (new,) = self.add(Expand(want.shape), [new])
        self.write(into, new)

    def read(self, tensor: TensorBase) -> Array:
        """The numbers of a constant; of anything else there are none yet."""
        symbol = self.symbol(tensor)
        constant = self._constant_in(symbol)
        if constant is not None:
            return constant.array.copy()
        raise CompileError(
            f"a compiled function can't look at the numbers of {symbol.type}",
            cure=_NUMBERS,
            location=str(user_location() or ""),
        )

    def prepare(self, function: Callable[..., Any], *args: Any) -> Any:
        """Made now, once: it is no part of what is traced."""
        token = enter(EAGER)
        try:
            return function(*args)
        finally:
            leave(token)

    # -- symbols ------------------------------------------------------------------------------

    def argument(self, array: Array) -> Symbol:
        """A new argument that looks like this array; its memory is taken to lie in order."""
        symbol = self._fresh(self._value(type_of(array)), certain=True)
        self.arguments.append(symbol)
        self._before.append(symbol.value)
        return symbol

    def placeholder(self, kind: TensorType) -> Symbol:
        """A value that comes from nowhere: what is traced with it becomes a graph of its own."""
        return self._fresh(self._value(kind), certain=True)

    def untouched(self) -> dict[int, Any]:
        """Arguments, by position, and state that is not written to, by the numbers of values."""
        found: dict[int, Any] = {
            before.number: index
            for index, (before, symbol) in enumerate(zip(self._before, self.arguments, strict=True))
            if symbol.memory.value is before
        }
        for met in self.state:
            if met.symbol.memory.value is met.value:
                found[met.value.number] = met
        return found

    def symbol(self, tensor: Any) -> Symbol:
        """What stands for a tensor's array."""
        array = tensor.value
        if isinstance(array, Symbol):
            return array
        self.meet(tensor)
        known = self._met.get(id(array))
        if known is None:
            view = tensor.view_of
            if view is not None and _is_view(array, view.base.value):
                known = self.symbol(view.base)
                for op in view.ops:
                    (value,) = self.add(op, [self.value(known)])
                    known = known.viewed(op, value) or self._fresh(value, certain=True)
            else:
                known = self._state(tensor, array)
            self._met[id(array)] = known
            self._kept.append(array)
        return known

    def value(self, symbol: Symbol) -> Value:
        """What is in the memory of a symbol now, as this symbol sees it."""
        memory = symbol.memory
        if memory.spoiled:
            raise CompileError(
                f"the contents of {symbol.type} depend on how another tensor, written to at "
                f"{memory.spoiled}, lies in memory",
                cure="write to a .clone(), or take a .clone() before",
                location=str(user_location() or ""),
            )
        if symbol.parent is None:
            return memory.value
        if symbol.seen != memory.version:
            (symbol.value,) = self.add(symbol.ops[-1], [self.value(symbol.parent)])
            symbol.seen = memory.version
        return symbol.value

    def write(self, symbol: Symbol, new: Value) -> None:
        """Put a value of its type into a symbol's memory."""
        memory = symbol.memory
        if symbol.parent is None:
            memory.write(new, whole=True)
            return
        (whole,) = self.add(WriteView(symbol.ops), [memory.value, new])
        memory.write(whole, whole=False)
        symbol.value, symbol.seen = new, memory.version

    def _fresh(self, value: Value, certain: bool) -> Symbol:
        return Symbol(value, Memory(value), certain=certain)

    def _cloned(self, x: Symbol) -> Tensor:
        y = self._fresh(self.value(x), certain=True)
        if x.memory.asked:  # `.contiguous()` would have given x itself, had it been in order
            y.memory.rival(x.memory)
        return Tensor.around(y)

    def _viewed(self, op: Op, input: Any, x: Symbol, value: Value) -> Tensor:
        symbol = x.viewed(op, value)
        if symbol is None:
            return Tensor.around(self._fresh(value, certain=True))
        y = Tensor.around(symbol)
        if symbol.memory is x.memory:
            made = input.view_of or ViewOf(input, (), input.version)
            y.view_of = ViewOf(made.base, (*made.ops, op), input.version)
        return y

    def _state(self, tensor: Any, array: Array) -> Symbol:
        value = self._value(_type_of_state(array))
        symbol = Symbol(value, Memory(value), probe=array)
        owner = memory_of(array)
        shares = self._owners.setdefault(id(owner), [])
        for other in shares:
            if np.may_share_memory(other.probe, array):
                symbol.memory.rival(other.memory)
        shares.append(symbol)
        self._kept.append(owner)
        self.state.append(StateMet(tensor, array, symbol))
        return symbol

    # -- the graph ----------------------------------------------------------------------------

    def _value(self, kind: TensorType) -> Value:
        value = Value(self._numbers, kind)
        self._numbers += 1
        return value

    def add(self, op: Op, inputs: Sequence[Value]) -> list[Value]:
        """Write an op down; its outputs."""
        types = op.type_rule(*[x.type for x in inputs])
        ys = [self._value(each) for each in (types if op.outputs > 1 else (types,))]
        self.nodes.append(Node(op, tuple(inputs), tuple(ys), self._location()))
        return ys

    def constant(self, array: Array) -> Value:
        """A value that is known; numbers that are the same share one."""
        kind = _type_of_state(array)
        key = (kind.dtype, kind.shape, array.tobytes()) if array.size <= 8 else None
        known = self._small.get(key)
        if known is None:
            known = self._value(kind)
            self.constants.append(Constant(known, array))
            if key is not None:
                self._small[key] = known
        return known

    def graph(self, name: str, results: Sequence[Value]) -> Graph:
        """What was written down, without what nothing depends on."""
        updates = [
            (before, symbol.memory.value)
            for before, symbol in zip(self._before, self.arguments, strict=True)
            if symbol.memory.value is not before
        ]
        for met in self.state:
            if met.symbol.memory.value is not met.value:
                updates.append((met.value, met.symbol.memory.value))
        wanted = {value.number for value in results}
        wanted |= {value.number for pair in updates for value in pair}
        self._refuse_overlaps()
        nodes: list[Node] = []
        for node in reversed(self.nodes):
            if any(y.number in wanted for y in node.outputs):
                nodes.append(node)
                wanted.update([x.number for x in node.inputs])
        return Graph(
            name,
            tuple(self._before),
            tuple([met.value for met in self.state if met.value.number in wanted]),
            tuple([each for each in self.constants if each.value.number in wanted]),
            tuple(nodes[::-1]),
            tuple(results),
            tuple(updates),
            {},
        )

    def _refuse_overlaps(self) -> None:
        """Refuse to write to state that overlaps other state: a program may write early."""
        by_memory = {id(met.symbol.memory): met for met in self.state}
        for met in self.state:
            memory = met.symbol.memory
            overlapping = [by_memory[id(each)] for each in memory.rivals if id(each) in by_memory]
            if memory.value is not met.value and overlapping:
                raise CompileError(
                    f"two tensors that share memory, {type_of(met.array)} and "
                    f"{type_of(overlapping[0].array)}, are met, and one of them is written to",
                    cure="take views inside the compiled function, of the one tensor",
                )

    def _constant_in(self, symbol: Symbol) -> Constant | None:
        value = symbol.memory.value if symbol.parent is None else None
        for each in self.constants:
            if each.value is value:
                return each
        return None

    def _location(self) -> str:
        location = user_location(2)
        if location is None:
            return ""
        key = (id(location.code), location.instruction)
        told = self._locations.get(key)
        if told is None:
            told = self._locations[key] = str(location)
            self._kept.append(location)
        return told

    def _let_eager_refuse(self, into: Symbol, given: Symbol) -> None:
        """Raise what eager execution raises: the shapes, the dtypes or the memory do not fit."""
        target, source = np.empty(into.shape, into.dtype), np.empty(given.shape, given.dtype)
        target.flags.writeable = into.flags.writeable
        token = enter(EAGER)
        try:
            EAGER.base.assign(Tensor.around(target), Tensor.around(source))
        finally:
            leave(token)


def _fits(have: TensorType, want: TensorType) -> bool:
    """Whether a value can be written where another type is wanted."""
    if have.dtype is not want.dtype and have.dtype.category > want.dtype.category:
        return False
    return broadcast_shapes_or_none([have.shape, want.shape]) == want.shape or (
        set(have.shape[: max(0, len(have.shape) - len(want.shape))]) == {1}
        and have.shape[-len(want.shape) or len(have.shape) :] == want.shape
    )


def memory_of(array: Array) -> Array:
    """The array that owns the memory."""
    base: Any = array.base
    return memory_of(base) if is_array(base) else array


def _is_view(array: Array, base: Any) -> bool:
    return isinstance(base, Symbol) or np.may_share_memory(array, base)


def _type_of_state(array: Array) -> TensorType:
    if array.dtype not in BY_NUMPY:
        raise CompileError(
            f"a tensor of {array.dtype} can't be compiled",
            cure="convert it to one of chainrule's dtypes",
            location=str(user_location() or ""),
        )
    return type_of(array)
