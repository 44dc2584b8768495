"""What the cores can do at most: independent multiply-adds on full vectors, timed here and now.

Nothing is looked up: a processor's clock is another one from minute to minute, and in a virtual
machine nobody knows it. So the kernel below runs beside those that are compared with it.
"""

from __future__ import annotations

import ctypes
import threading
import time

import numpy as np

from chainrule.compile.machine_code import assemble, load
from chainrule.compile.target import Target

__all__ = ["Peak"]

_ROUNDS = 4  # of all chains in one turn of the loop
_TURNS = 20_000  # about a millisecond


class Peak:
    """Measures the floating-point operations that are done in a second, at most.

    Args:
        target: the processor.
        itemsize: bytes of a number: 4 for float32, 8 for float64.

    Attributes:
        best: the most that was measured so far.

    >>> from chainrule.compile.target import host_target
    >>> Peak(host_target()).measure() > 1e8
    True
    """

    def __init__(self, target: Target, itemsize: int = 4) -> None:
        lanes = target.lanes(itemsize)
        chains = target.registers - 4  # two more are x and b, and two are left over
        self._library = load(assemble(_text(lanes, itemsize, chains, target.has_fma), target))
        address = self._library.address("multiply_add")
        self._run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)
        self._size = chains * lanes * itemsize
        self._flops = 2 * lanes * chains * _ROUNDS * _TURNS
        self.best = 0.0

    def measure(self, threads: int = 1) -> float:
        """The operations in a second, on so many threads at once: the most of some tries."""
        seconds = min([self._seconds(threads) for _ in range(5)])
        self.best = max(self.best, threads * self._flops / seconds)
        return self.best

    def _seconds(self, threads: int) -> float:
        """From the start of the first to the end of the last."""
        ready = threading.Barrier(threads)
        spans: list[tuple[float, float]] = []

        def work() -> None:
            sums = np.zeros(self._size, np.uint8)
            ready.wait()
            start = time.perf_counter()
            self._run(sums.ctypes.data, _TURNS)
            spans.append((start, time.perf_counter()))

        others = [threading.Thread(target=work) for _ in range(threads - 1)]
        for each in others:
            each.start()
        work()
        for each in others:
            each.join()
        return max([end for _, end in spans]) - min([start for start, _ in spans])


def _text(lanes: int, itemsize: int, chains: int, has_fma: bool) -> str:
    """`void multiply_add(ptr sums, i64 turns)`: as many sums as registers, a = a x + x."""
    number = "float" if itemsize == 4 else "double"
    vector, each = f"<{lanes} x {number}>", range(chains)
    fma = f"llvm.fma.v{lanes}f{8 * itemsize}"
    lines = [
        f"declare {vector} @{fma}({vector}, {vector}, {vector})",
        "define void @multiply_add(ptr %sums, i64 %turns) {",
        "entry:",
        f"  %x = load {vector}, ptr %sums, align 1",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
        *[f"  %a{c}r0 = phi {vector} [ %x, %entry ], [ %a{c}r{_ROUNDS}, %loop ]" for c in each],
    ]
    for r in range(_ROUNDS):
        for c in each:
            now, then = f"%a{c}r{r}", f"%a{c}r{r + 1}"
            if has_fma:
                operands = f"{vector} {now}, {vector} %x, {vector} %x"
                lines.append(f"  {then} = call {vector} @{fma}({operands})")
            else:
                lines.append(f"  %m{c}r{r} = fmul {vector} {now}, %x")
                lines.append(f"  {then} = fadd {vector} %m{c}r{r}, %x")
    lines += [
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %turns",
        "  br i1 %more, label %loop, label %end",
        "end:",
    ]
    for c in each:
        lines += [
            f"  %p{c} = getelementptr {vector}, ptr %sums, i64 {c}",
            f"  store {vector} %a{c}r{_ROUNDS}, ptr %p{c}, align 1",
        ]
    return "\n".join([*lines, "  ret void", "}"])
