"""The machine's peak of fused multiply-adds in float32, measured: what a share of peak refers to.

A kernel of independent chains `a = a x + b` on full vectors, in LLVM IR: enough of them to hide an
FMA's latency, and no more than the registers hold. It runs on every thread at once.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

CHAINS = 12  # at latency 4 and two a cycle 8 would do; with x and b, 14 of the 16 registers of AVX2
ROUNDS = 4  # of all chains in one turn of the loop
TURNS = 400_000


def lanes() -> int:
    """How many floats the widest vector has."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx") else 4


def source(width: int) -> str:
    """The kernel's text: `void fma(ptr out, float x, i64 turns)`."""
    vector, each = f"<{width} x float>", range(CHAINS)
    lines = [
        f"declare {vector} @llvm.fma.v{width}f32({vector}, {vector}, {vector})",
        "define void @fma(ptr %out, float %x, i64 %turns) {",
        "entry:",
        f"  %one = insertelement {vector} poison, float %x, i32 0",
        f"  %xs = shufflevector {vector} %one, {vector} poison, <{width} x i32> zeroinitializer",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
    ]
    lines += [f"  %a{c}r0 = phi {vector} [ %xs, %entry ], [ %a{c}r{ROUNDS}, %loop ]" for c in each]
    lines += [
        f"  %a{c}r{r + 1} = call {vector} @llvm.fma.v{width}f32("
        f"{vector} %a{c}r{r}, {vector} %xs, {vector} %xs)"
        for r in range(ROUNDS)
        for c in each
    ]
    lines += [
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %turns",
        "  br i1 %more, label %loop, label %end",
        "end:",
    ]
    for c in each:
        lines += [
            f"  %p{c} = getelementptr {vector}, ptr %out, i64 {c}",
            f"  store {vector} %a{c}r{ROUNDS}, ptr %p{c}, align 4",
        ]
    return "\n".join([*lines, "  ret void", "}"])


class Peak:
    """The kernel, ready to run; needs llvmlite."""

    def __init__(self) -> None:
        from llvmlite import binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        target = binding.Target.from_default_triple()
        machine = target.create_target_machine(
            cpu=binding.get_host_cpu_name(),
            features=binding.get_host_cpu_features().flatten(),
            opt=3,
        )
        self.lanes = lanes()
        module = binding.parse_assembly(source(self.lanes))
        module.verify()
        self._kept: Any = binding.create_mcjit_compiler(module, machine), machine
        address = self._kept[0].get_function_address("fma")
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_float, ctypes.c_int64)
        self._run = kind(address)

    def measure(self, threads: int, times: int = 5) -> float:
        """Floating-point operations a second on so many threads at once, the best of `times`."""
        return max(self._once(threads) for _ in range(times))

    def _once(self, threads: int) -> float:
        ready = threading.Barrier(threads)
        spans: list[tuple[float, float]] = []

        def work() -> None:
            out = ctypes.create_string_buffer(CHAINS * self.lanes * 4)
            self._run(out, 0.5, 1000)
            ready.wait()
            begin = time.perf_counter()
            self._run(out, 0.5, TURNS)
            spans.append((begin, time.perf_counter()))

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
        taken = max(end for _, end in spans) - min(begin for begin, _ in spans)
        return threads * TURNS * ROUNDS * CHAINS * self.lanes * 2 / taken


if __name__ == "__main__":
    peak = Peak()
    for count in (1, 2):
        print(f"{count} thread(s): {peak.measure(count) / 1e9:.1f} GFLOP/s")
