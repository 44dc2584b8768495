"""LLVM IR, written as text: fresh names, types of vectors, and what a module has to declare.

Text, because llvmlite's own builder knows no vector `fma` and no splat, and joins strings slowly.
"""

from __future__ import annotations

import struct

from chainrule.core.dtypes import BOOL, DType

__all__ = ["Lines", "literal", "memory_type", "register_type", "splat"]

_NAMES = {
    "float64": "double",
    "float32": "float",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint8": "i8",
}


class Lines:
    """The lines of one function, as they are written.

    Attributes:
        text: the lines so far.
        declarations: declarations and definitions that the module must hold, by name.
    """

    def __init__(self) -> None:
        self.text: list[str] = []
        self.declarations: dict[str, str] = {}
        self._count = 0

    def add(self, line: str) -> None:
        """One more line."""
        self.text.append(f"  {line}")

    def label(self, name: str) -> None:
        """The start of a block."""
        self.text.append(f"{name}:")

    def fresh(self, hint: str = "t") -> str:
        """A name that nobody has, without the `%`."""
        self._count += 1
        return f"{hint}{self._count}"

    def assign(self, right: str, hint: str = "t") -> str:
        """`%fresh = right`; gives `%fresh`."""
        name = f"%{self.fresh(hint)}"
        self.text.append(f"  {name} = {right}")
        return name

    def declare(self, name: str, text: str) -> None:
        """The module needs this declaration or definition, once."""
        self.declarations[name] = text


def memory_type(dtype: DType) -> str:
    """The type of one element in memory: a bool is a byte."""
    return "i8" if dtype.category == BOOL else _NAMES[dtype.name]


def register_type(dtype: DType, lanes: int) -> str:
    """The type of a value in a register: a bool is one bit."""
    scalar = "i1" if dtype.category == BOOL else _NAMES[dtype.name]
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def literal(value: float | int | bool, dtype: DType) -> str:
    """One number as LLVM writes it, exactly."""
    if dtype.category == BOOL:
        return "true" if value else "false"
    if not dtype.is_floating_point:
        return str(int(value))
    rounded = dtype.numpy.type(value)
    (bits,) = struct.unpack("<Q", struct.pack("<d", float(rounded)))
    return f"0x{bits:016X}"


def splat(value: float | int | bool, dtype: DType, lanes: int) -> str:
    """A number in every lane, as an operand (without its type)."""
    one = literal(value, dtype)
    return one if lanes == 1 else f"splat ({register_type(dtype, 1)} {one})"
