"""What stands for an array while a function is traced, and what memory it lies in.

Values of a graph are never written to; arrays are. So a trace keeps apart what eager execution has
in one: a `Memory`, whose contents are another value after each write, and `Symbol`s, each a view of
a memory. Writing through one symbol is seen through all others of the same memory.

Whether `reshape` gives a view or a copy depends on how its input lies in memory. Eagerly NumPy
decides; here a *probe* does, an array that is laid out like the real one and whose elements nobody
reads. What op results are laid out like is not always certain. Then a reshape may be one or the
other, and its memory and its input's become *rivals*: when one is written to, the contents of the
other are unknown, and using them is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.coarse import CoarseOp
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op
from chainrule.core.types import TensorType
from chainrule.errors import CompileError
from chainrule.ir.graph import Value

__all__ = ["Memory", "Symbol", "is_ordered"]

UNORDERED = frozenset(("cum_prod", "cum_sum", "index", "index_add", "multinomial"))
"""Ops whose output may be out of order though all their inputs are in order."""


class Memory:
    """A piece of memory while a function is traced.

    Attributes:
        value: what is in it now.
        version: how often it was written to.
        rivals: memories that may, or may not, be the same; and those that overlap it.
        spoiled: where a rival was written to, if that was after this was.
        asked: whether anybody asked if it is in order, and was not told for certain.
    """

    __slots__ = ("asked", "rivals", "spoiled", "value", "version")

    def __init__(self, value: Value) -> None:
        self.value = value
        self.version = 0
        self.rivals: list[Memory] = []
        self.spoiled = ""
        self.asked = False

    def rival(self, other: Memory) -> None:
        """Note that the two may be one."""
        self.rivals.append(other)
        other.rivals.append(self)

    def write(self, value: Value, whole: bool) -> None:
        """Put a value into it."""
        self.value = value
        self.version += 1
        if whole:
            self.spoiled = ""
        for rival in self.rivals:
            rival.spoiled = str(user_location() or "elsewhere")


class _Flags:
    """As much of an array's flags as the library asks for."""

    __slots__ = ("c_contiguous", "writeable")

    def __init__(self, c_contiguous: bool, writeable: bool) -> None:
        self.c_contiguous, self.writeable = c_contiguous, writeable


class Symbol:
    """Stands for an array: a view of a memory.

    Attributes:
        shape, dtype: what the array has.
        memory: the memory it lies in.
        parent: the symbol of which it is a view; None for one that is all of the memory.
        ops: the view ops from the memory's whole to it.
        certain: whether it is known how it lies in memory.
        seen: the memory's version at which its value was `value`.
        value: see there.
    """

    __slots__ = (
        "_probe",
        "certain",
        "dtype",
        "memory",
        "ops",
        "parent",
        "seen",
        "shape",
        "value",
    )

    def __init__(
        self,
        value: Value,
        memory: Memory,
        *,
        probe: Array | None = None,
        certain: bool = True,
        parent: Symbol | None = None,
        ops: tuple[Op, ...] = (),
    ) -> None:
        self.shape = value.type.shape
        self.dtype = value.type.dtype.numpy
        self.memory = memory
        self.certain = certain
        self.parent = parent
        self.ops = ops
        self.seen = memory.version
        self.value = value
        self._probe = probe

    @property
    def type(self) -> TensorType:
        """The type of what it stands for."""
        return self.value.type

    @property
    def probe(self) -> Array:
        """An array laid out as this is; where that is not certain, so that no two dims can merge.

        Its elements are never read. (The system hands out memory that nobody touched for nothing.)
        """
        if self._probe is None:
            if self.certain:
                self._probe = np.empty(self.shape, np.int8)
            else:
                room = np.empty([size + 1 for size in self.shape], np.int8)
                self._probe = room[tuple([slice(size) for size in self.shape])]
        return self._probe

    @property
    def in_order(self) -> bool:
        """Whether its elements lie in order, for certain."""
        return self.certain and (self._probe is None or bool(self._probe.flags.c_contiguous))

    def viewed(self, op: Op, value: Value) -> Symbol | None:
        """What a view op makes of it; None where it makes a copy.

        A memory that may, or may not, be this one is made a rival of it.
        """
        probe = self.probe
        result = op.reference(probe)
        if np.may_share_memory(result, probe):
            return Symbol(
                value,
                self.memory,
                probe=result,
                certain=self.certain,
                parent=self,
                ops=(*self.ops, op),
            )
        if self.certain:
            return None
        memory = Memory(value)
        memory.rival(self.memory)
        return Symbol(value, memory)

    # What the library asks of a tensor's value beside its shape and dtype.

    @property
    def flags(self) -> _Flags:
        """Whether it lies in order: no, where that is not certain."""
        self.memory.asked |= not self.certain
        return _Flags(self.in_order, self.probe.flags.writeable)

    @property
    def strides(self) -> tuple[int, ...]:
        """As an array's, in bytes; as if it lay in order, where that is not certain."""
        probe = self.probe if self.certain else np.empty(self.shape, np.int8)
        width = self.dtype.itemsize // probe.itemsize
        return tuple([step * width for step in probe.strides])

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        if function is np.may_share_memory:
            return isinstance(args[0], Symbol) and self._shares(args[0], args[1])
        self._refuse()

    def _shares(self, one: Symbol, other: Any) -> bool:
        return isinstance(other, Symbol) and (
            one.memory is other.memory or other.memory in one.memory.rivals
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._refuse()

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    def _refuse(self) -> Any:
        raise CompileError(
            f"{self.value.type} has no numbers: it was left behind when a function was compiled",
            cure="return it from the compiled function instead of keeping it in a variable",
            location=str(user_location() or ""),
        )


def is_ordered(op: Op, inputs: list[Symbol]) -> bool:
    """Whether the outputs of an op are sure to lie in order."""
    if isinstance(op, CoarseOp) or op.name in UNORDERED:
        return False
    return all(x.in_order for x in inputs)
