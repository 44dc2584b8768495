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

__all__ = ["KernelTime", "Profile", "flops", "measure", "profile", "traffic"]

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


@dataclass(frozen=True, slots=True)
class Profile:
    """The kernels of a program, timed, and what one core can do at most.

    Attributes:
        times: the kernels, in order.
        peaks: by dtype, the floating-point operations of one core in a second, measured.
    """

    times: list[KernelTime]
    peaks: dict[str, float]

    def share(self, time: KernelTime) -> float:
        """What a kernel does, as a part of what can be done: each operation at its dtype's peak."""
        return self.least(time) / time.seconds

    def total_share(self) -> float:
        """The same of all kernels together."""
        seconds = sum(each.seconds for each in self.times)
        return sum(self.least(each) for each in self.times) / seconds if seconds else 0.0

    def least(self, time: KernelTime) -> float:
        """Seconds that a kernel's arithmetic would take at the peak."""
        return sum(n / self.peaks[name] for name, n in _operations(time.kernel.nest).items())


def measure(
    program: NativeExecutable,
    arguments: Sequence[np.ndarray[Any, Any]],
    state: Sequence[np.ndarray[Any, Any]],
) -> Profile:
    """Time the kernels and the peak, in memory of its own: nothing of the program's changes."""
    from chainrule.compile.peak import Peak

    found = [name for each in program.kernels.planned() for name in _operations(each.nest)]
    sizes = {name: 8 if name == "float64" else 4 for name in ("float32", *found)}
    peaks = {name: Peak(program.target, size) for name, size in sizes.items()}
    for each in peaks.values():
        each.measure()
    times = profile(program.copy(), [array.copy() for array in arguments], state)
    return Profile(times, {name: each.measure() for name, each in peaks.items()})


def flops(nest: Nest) -> int:
    """Floating-point operations: a product summed up is two, a function one."""
    return sum(_operations(nest).values())


def _operations(nest: Nest) -> dict[str, int]:
    """The same by dtype."""
    pool = Pool(nest)
    sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
    found: dict[str, int] = {}
    for number, expr in enumerate(pool.exprs):
        axes = pool.axes[number]
        if isinstance(expr, Reduce):
            axes = axes.union(expr.axes)
        elif not isinstance(expr, Call) or expr.name not in _ARITHMETIC:
            continue
        if expr.dtype.is_floating_point:
            times = math.prod([sizes[axis] for axis in axes])
            found[expr.dtype.name] = found.get(expr.dtype.name, 0) + times
    return found


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
        if _finds_places(each.nest):
            program.arena[:] = 0  # what is there by now may be no index, and 0 is inside of all
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


def _finds_places(nest: Nest) -> bool:
    loads = [expr for expr in Pool(nest).exprs if isinstance(expr, Load)]
    return any(each.index for each in (*loads, *nest.stores))
