"""The native entry: the checks of a call and the call itself, in machine code.

A step of a small network takes two microseconds; the same checks written in Python take as long. So
for programs that run on one thread and in one piece they are done by a function of machine code
(`entry_text.py`), which the interpreter calls as it calls its own built-in functions. It looks at
the fields of the arguments and the state where CPython and NumPy keep them, runs the program, and
copies the results out, while it holds the interpreter's lock throughout.

Where the fields are is not taken on trust: `_layout` looks for what it has put into a tensor and an
array, and where it does not find all of it (another interpreter, another layout), there is no
native entry, and the checks are Python's.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.compile.entry_text import ARGUMENT, HEADER, MISSED, NAME, entry_text
from chainrule.compile.object_cache import compile_cached
from chainrule.compile.target import host_target
from chainrule.core.base import TensorBase
from chainrule.tensor import Tensor

__all__ = ["Entry", "Given", "Inside", "has_entries"]

Array = np.ndarray[Any, Any]

_FASTCALL = 0x0080  # METH_FASTCALL: arguments as an array of objects
_BUSY = HEADER.index("busy")


@dataclass(frozen=True)
class Inside:
    """What an entry needs to know of a program's memory.

    Attributes:
        function: the address of the program, for one thread.
        data: the address that it takes.
        small: by argument, where in the arena it is copied to.
        large: by argument, the address of the word that its address goes to.
        flags: addresses of the bytes that are 0 where a guard has stopped it.
        results: the results, in the arena.
    """

    function: int
    data: int
    small: dict[int, int]
    large: dict[int, int]
    flags: tuple[int, ...]
    results: tuple[Array, ...]


@dataclass(frozen=True)
class Given:
    """What an argument must be."""

    is_tensor: bool
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Layout:
    """Where a tensor keeps its fields, in bytes from its address."""

    offsets: dict[str, int]

    def field(self, tensor: TensorBase, name: str) -> int:
        """The address of a field."""
        return id(tensor) + self.offsets[name]


class Entry:
    """The native entry of one program; of no use before it is filled in.

    Args:
        inside: the program's memory.
        given: what the arguments must be.

    Attributes:
        enter: `enter(*arguments, *results)` gives 0 if the program ran, and has written into
            `results`, which are fresh arrays; else nothing has happened.
    """

    def __init__(self, inside: Inside, given: Sequence[Given]) -> None:
        layout = _layout()
        assert layout is not None
        self._layout = layout
        self._inside = inside
        self._given = tuple(given)
        self._alive: list[Any] = []
        self._plan = np.zeros(len(HEADER), np.int64)
        self.enter: Callable[..., int] = _missed

    def fill(self, fields: Sequence[tuple[TensorBase, str, object]], owners: Sequence[int]) -> None:
        """Note what must be there from now on.

        Args:
            fields: tensors, names of their fields, and what must be there.
            owners: addresses of the arrays whose memory no argument may share.
        """
        self._alive = [self._inside, *fields]
        words = [
            word
            for tensor, name, value in fields
            for word in (self._layout.field(tensor, name), id(value))
        ]
        inside = self._inside
        results = [w for each in inside.results for w in (each.ctypes.data, each.nbytes)]
        header = {
            "busy": 1,
            "function": inside.function,
            "data": inside.data,
            "answer": _address(ctypes.pythonapi.PyLong_FromLong),
            "array_type": id(np.ndarray),
            "tensor_type": id(Tensor),
            "value_offset": self._layout.offsets["value"],
            "tracked_offset": self._layout.offsets["tracked"],
            "false": id(False),
            "words": len(fields),
            "arguments": len(self._given),
            "owners": len(owners),
            "flags": len(inside.flags),
            "results": len(inside.results),
        }
        arguments = [w for index, each in enumerate(self._given) for w in self._words(index, each)]
        self._plan = np.array(
            [*(header[name] for name in HEADER), *words, *arguments, *owners, *inside.flags]
            + results,
            np.int64,
        )
        self.enter = _builtin(self._plan)

    def busy(self, flag: bool) -> None:
        """Whether somebody else works in the program's memory: then it runs for nobody."""
        self._plan[_BUSY] = flag

    def _words(self, index: int, given: Given) -> list[int]:
        shape = np.array(given.shape, np.int64)
        self._alive += [shape, given.dtype]
        copied = int(np.prod(given.shape, dtype=np.int64)) * given.dtype.itemsize
        place = self._inside.small.get(index)
        words = {
            "is_tensor": int(given.is_tensor),
            "dimensions": len(given.shape),
            "shape": shape.ctypes.data,
            "dtype": id(given.dtype),
            "place": self._inside.large[index] if place is None else place,
            "copied": 0 if place is None else copied,
        }
        return [words[name] for name in ARGUMENT]


def _missed(*arguments: object) -> int:
    return MISSED


def has_entries() -> bool:
    """Whether this interpreter's objects lie as they must."""
    return _layout() is not None


@functools.cache
def _layout() -> _Layout | None:
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None  # somebody might change a tensor while it is looked at
    return _tensor_layout() if _arrays_fit() else None


def _arrays_fit() -> bool:
    """Whether arrays have their fields where `entry_text` looks for them."""
    whole = np.zeros((3, 5), np.float32)
    array = whole[:, 1:3]
    at = id(array)
    shape = ctypes.c_int64.from_address(_word(at + 32))
    return (
        _word(at + 8) == id(np.ndarray)
        and _word(at + 16) == array.ctypes.data
        and ctypes.c_int32.from_address(at + 24).value == 2
        and shape.value == 3
        and _word(at + 48) == id(whole)
        and _word(at + 56) == id(array.dtype)
        and ctypes.c_int32.from_address(at + 64).value & 0x0101 == 0x0100
        and ctypes.c_int32.from_address(id(whole) + 64).value & 0x0101 == 0x0101
    )


def _tensor_layout() -> _Layout | None:
    """Where the slots are, found by what was put into them."""
    tensor = Tensor.around(None)
    marks = {name: object() for name in ("value", "tracked", "gradient")}
    for name, mark in marks.items():
        setattr(tensor, name, mark)
    words = [_word(id(tensor) + offset) for offset in range(0, Tensor.__basicsize__, 8)]
    if any(words.count(id(mark)) != 1 for mark in marks.values()):
        return None
    return _Layout({name: 8 * words.index(id(mark)) for name, mark in marks.items()})


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class _Definition(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    )


@functools.cache
def _definition() -> tuple[_Definition, object]:
    library = compile_cached(entry_text(), host_target())
    return _Definition(b"enter", library.address(NAME), _FASTCALL, None), library


def _builtin(plan: Array) -> Callable[..., int]:
    """A built-in function whose `self` is the plan."""
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    return new(ctypes.addressof(_definition()[0]), plan, None)
