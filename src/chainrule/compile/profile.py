"""What each kernel of a program takes: its arithmetic, its bytes, its time."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compile.machine_code import assemble, load
from chainrule.compile.module_text import write_module
from chainrule.compile.pool import Pool
from chainrule.ir.nest import Call, Load, Nest, Reduce

if TYPE_CHECKING:
    from chainrule.compile.kernels import Planned
    from chainrule.compile.native import NativeExecutable

__all__ = ["KernelTime", "flops", "profile", "traffic"]

_ARITHMETIC = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "abs",
        "min",
        "max",
        "fma",
        "sqrt",
        "exp",
        "log",
        "tanh",
        "sigmoid",
        "erf",
        "pow",
    ]
)


@dataclass(frozen=True, slots=True)
class KernelTime:
    """One kernel, timed on one thread.

    Attributes:
        kernel: the kernel.
        seconds: the least that one run took.
        flops: its floating-point operations.
        nbytes: what it reads and writes, each place once.
    """

    kernel: Planned
    seconds: float
    flops: int
    nbytes: int


def flops(nest: Nest) -> int:
    """Floating-point operations: a product summed up is two, a function one."""
    pool = Pool(nest)
    sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
    total = 0
    for number, expr in enumerate(pool.exprs):
        if not expr.dtype.is_floating_point:
            continue
        if isinstance(expr, Call) and expr.name in _ARITHMETIC:
            total += math.prod([sizes[axis] for axis in pool.axes[number]])
        elif isinstance(expr, Reduce):
            total += math.prod([sizes[axis] for axis in {*pool.axes[number], *expr.axes}])
    return total


def traffic(nest: Nest) -> int:
    """Bytes read and written, if each place were touched once."""
    sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
    places = {
        (expr.buffer, expr.at): expr.dtype.itemsize
        for expr in Pool(nest).exprs
        if isinstance(expr, Load)
    }
    places |= {(store.buffer, store.at): store.expr.dtype.itemsize for store in nest.stores}
    return sum(
        size * math.prod([sizes[axis] for axis, _ in at.strides])
        for (_, at), size in places.items()
    )


def profile(
    program: NativeExecutable,
    arguments: Sequence[np.ndarray[Any, Any]],
    state: Sequence[np.ndarray[Any, Any]],
    *,
    repeats: int = 5,
) -> list[KernelTime]:
    """Time each kernel by itself, on one thread, on copies of the state."""
    copies = [array.copy() for array in state]
    program.run(arguments, copies)
    kernels = program.kernels
    planned = kernels.planned()
    functions = [(f"kernel{index}", [each]) for index, each in enumerate(planned)]
    library = load(assemble(write_module(kernels, functions, program.target), program.target))
    table = program.table(arguments, copies)
    data: int = table.ctypes.data
    result: list[KernelTime] = []
    for index, each in enumerate(planned):
        run = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(library.address(f"kernel{index}_alone"))
        best, count = math.inf, 1
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(count):
                run(data)
            taken = (time.perf_counter() - start) / count
            best = min(best, taken)
            count = max(1, min(1000, int(1e-3 / max(taken, 1e-7))))
        result.append(KernelTime(each, best, flops(each.nest), traffic(each.nest)))
    return result
