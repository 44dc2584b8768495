"""One primitive, compiled as a loop over arrays."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from chainrule.compile.instructions import emit
from chainrule.compile.llvm_text import Lines, memory_type, register_type
from chainrule.compile.machine_code import assemble, load
from chainrule.compile.target import host_target
from chainrule.core.dtypes import DType

__all__ = ["CompiledPrimitive", "compiled", "module_text"]


def module_text(name: str, dtype: DType, arg_dtypes: tuple[DType, ...], lanes: int) -> str:
    """void run(ptr out, ptr in0, ..., i64 n), for an n that is a multiple of the lanes."""
    lines = Lines()
    values: list[str] = []
    for k, each in enumerate(arg_dtypes):
        memory = _memory(each, lanes)
        place = lines.assign(f"getelementptr {memory_type(each)}, ptr %in{k}, i64 %i")
        value = lines.assign(f"load {memory}, ptr {place}, align {each.itemsize}")
        if each.name == "bool":
            value = lines.assign(f"trunc {memory} {value} to {register_type(each, lanes)}")
        values.append(value)
    result = emit(lines, name, dtype, values, arg_dtypes, lanes)
    memory = _memory(dtype, lanes)
    if dtype.name == "bool":
        result = lines.assign(f"zext {register_type(dtype, lanes)} {result} to {memory}")
    place = lines.assign(f"getelementptr {memory_type(dtype)}, ptr %out, i64 %i")
    lines.add(f"store {memory} {result}, ptr {place}, align {dtype.itemsize}")
    pointers = "".join(f"ptr %in{k}, " for k in range(len(arg_dtypes)))
    return "\n".join(
        [
            *lines.declarations.values(),
            f"define void @run(ptr %out, {pointers}i64 %n) {{",
            "entry:",
            "  br label %loop",
            "loop:",
            "  %i = phi i64 [0, %entry], [%next, %loop]",
            *lines.text,
            f"  %next = add i64 %i, {lanes}",
            "  %more = icmp ult i64 %next, %n",
            "  br i1 %more, label %loop, label %end",
            "end:",
            "  ret void",
            "}",
        ]
    )


def _memory(dtype: DType, lanes: int) -> str:
    one = memory_type(dtype)
    return one if lanes == 1 else f"<{lanes} x {one}>"


class CompiledPrimitive:
    """`f(*arrays) -> array`."""

    def __init__(self, text: str, dtype: DType, arguments: int, lanes: int) -> None:
        self._dtype, self._lanes = dtype, lanes
        self._library = load(assemble(text, host_target()))
        pointers = [ctypes.c_void_p] * (1 + arguments)
        prototype = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)
        self._function = prototype(self._library.address("run"))

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        n = arrays[0].size
        padded = -(-n // self._lanes) * self._lanes
        sources = [np.concatenate([a, np.ones(padded - n, a.dtype)]) for a in arrays]
        out = np.empty(padded, self._dtype.numpy)
        self._function(out.ctypes.data, *[a.ctypes.data for a in sources], padded)
        return out[:n]


@cache
def compiled(
    name: str, dtype: DType, arg_dtypes: tuple[DType, ...], lanes: int
) -> CompiledPrimitive:
    """The primitive, for these dtypes and so many lanes."""
    text = module_text(name, dtype, arg_dtypes, lanes)
    return CompiledPrimitive(text, dtype, len(arg_dtypes), lanes)
