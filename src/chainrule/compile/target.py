"""The machine that code is written for: its vector registers, and how many cores it lends us.

Widths and register counts come from what LLVM says of the processor, never from constants: a tile
that fits the 32 registers of AVX-512 spills on the 16 of AVX2. A room of its own because the
schedule asks for these numbers, and must not need to know LLVM for them.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from dataclasses import dataclass

from chainrule.errors import ConfigError, MissingDependencyError

__all__ = ["ENVIRONMENT", "LLVM_LOCK", "Target", "host_target", "require_llvm", "usable_cores"]

ENVIRONMENT = "CHAINRULE_TARGET"

# LLVM's one global context knows no threads: one of ours at a time. A fork waits until none of them
# is inside, loading it included, or the child would inherit a lock that nobody opens.
LLVM_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LLVM_LOCK.acquire,
        after_in_parent=LLVM_LOCK.release,
        after_in_child=LLVM_LOCK.release,
    )

_LEVELS = ("native", "avx2", "sse")
_BEYOND_AVX2 = ("avx512", "avx10", "amx-avx512")
# What is encoded in AVX's way though its name does not say so: naming it switches AVX on again.
_NEEDS_AVX = ("fma", "fma4", "f16c", "xop", "vaes", "vpclmulqdq", "sm3", "sm4", "sha512")


@dataclass(frozen=True)
class Target:
    """A processor, as the compiler sees it.

    Attributes:
        triple: LLVM's name of the architecture and the operating system.
        cpu: LLVM's name of the processor, which decides how instructions are ordered.
        features: what it can do, as LLVM takes it: `+avx2,-avx512f,...`.
        vector_bytes: the width of a vector register: 64, 32 or 16.
        registers: how many vector registers there are.
        has_fma: whether a x b + c is one instruction, rounded once.
        cores: how many threads can run at once in this process.

    >>> target = Target("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma", 32, 16, True, 4)
    >>> target.lanes(4), target.lanes(8)
    (8, 4)
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    has_fma: bool
    cores: int

    @property
    def key(self) -> str:
        """What machine code depends on: all but the number of cores."""
        return f"{self.triple} {self.cpu} {self.features}"

    @property
    def is_x86(self) -> bool:
        """Whether this is an x86 processor of 64 bits."""
        return self.triple.startswith("x86_64")

    @property
    def is_arm(self) -> bool:
        """Whether this is an ARM processor of 64 bits."""
        return self.triple.startswith(("aarch64", "arm64"))

    @property
    def is_windows(self) -> bool:
        """Whether this is Windows, which has no POSIX threads."""
        return "windows" in self.triple

    def lanes(self, itemsize: int) -> int:
        """How many numbers of `itemsize` bytes fit into one vector register."""
        return self.vector_bytes // itemsize


def host_target() -> Target:
    """The processor that this process runs on; found out once.

    CHAINRULE_TARGET=avx2 or =sse leaves the wider instructions of an x86 processor unused, so that
    the code for narrower machines can be run, and measured, on a wide one.

    Raises:
        MissingDependencyError: llvmlite is not installed, or can't be loaded.
        ConfigError: CHAINRULE_TARGET has no such value, or this processor is no x86.

    >>> host_target().vector_bytes in (16, 32, 64)
    True
    """
    return _target(os.environ.get(ENVIRONMENT) or "native")


@functools.cache
def _target(level: str) -> Target:
    if level not in _LEVELS:
        raise ConfigError(
            f"{ENVIRONMENT} is {level!r}", cure=f"set it to one of {', '.join(_LEVELS)}, or to none"
        )
    with LLVM_LOCK:
        require_llvm()
        from llvmlite import binding

        triple = binding.get_process_triple()
        try:
            found = binding.get_host_cpu_features()
        except (
            RuntimeError
        ):  # LLVM knows no way to ask on this platform: the architecture's baseline
            found = {}
        return _describe(triple, binding.get_host_cpu_name(), found, level)


def _describe(triple: str, cpu: str, found: dict[str, bool], level: str = "native") -> Target:
    """What the features that LLVM found mean for kernels."""
    is_x86 = triple.startswith("x86_64")
    if level != "native" and not is_x86:
        raise ConfigError(
            f"{ENVIRONMENT} is {level!r}, but this processor is {triple.partition('-')[0]}",
            cure=f"unset {ENVIRONMENT}",
        )
    features = {name: there and not _left_out(name, level) for name, there in found.items()}
    text = ",".join(f"{'+' if there else '-'}{name}" for name, there in sorted(features.items()))
    if not is_x86:
        # NEON is part of the architecture; other machines run on what 16 bytes come to there.
        is_arm = triple.startswith(("aarch64", "arm64"))
        return Target(triple, cpu, text, 16, 32, is_arm, usable_cores())
    wide, middle = features.get("avx512f", False), features.get("avx2", False)
    if wide:
        text += ",-prefer-256-bit"  # else LLVM halves the vectors for some of Intel's processors
    return Target(
        triple=triple,
        cpu=cpu,
        features=text,
        vector_bytes=64 if wide else 32 if middle else 16,
        registers=32 if wide else 16,
        has_fma=wide or features.get("fma", False),
        cores=usable_cores(),
    )


def _left_out(name: str, level: str) -> bool:
    if level == "avx2":
        return name.startswith(_BEYOND_AVX2)
    return level == "sse" and (name.startswith(("avx", "amx-avx")) or name in _NEEDS_AVX)


def usable_cores() -> int:
    """How many cores this process may use: a container or `taskset` may lend fewer than there are.

    >>> usable_cores() >= 1
    True
    """
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def require_llvm() -> None:
    """Load llvmlite, and prepare it for this machine. To be called with `LLVM_LOCK` held.

    Raises:
        MissingDependencyError: it is not installed, can't be loaded, or is too old.
    """
    try:
        from llvmlite import binding
    except (ImportError, OSError) as error:  # OSError: there, but for another C library
        raise MissingDependencyError(
            f"compiling needs llvmlite, which can't be loaded: {error}",
            cure='pip install "llvmlite>=0.45", or run the function without compiling it',
        ) from error
    if binding.llvm_version_info[0] < 20:
        version = ".".join(map(str, binding.llvm_version_info))
        raise MissingDependencyError(
            f"compiling needs llvmlite 0.45 or newer; the one installed has LLVM {version}",
            cure='pip install --upgrade "llvmlite>=0.45"',
        )
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
