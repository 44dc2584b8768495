"""The text of a whole program: its kernels, and the functions that call them in turn.

Every thread of the team runs the same function. A kernel whose work is shared out is called by
all; what is small is left to the first thread, and the others go on to where they are needed again.
They wait for each other only where one would read, or write over, what another has just written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.compile.emit import Kernel
from chainrule.compile.kernels import Kernels, Planned, module_buffers, read_and_written
from chainrule.compile.lowering import Guard
from chainrule.compile.target import Target
from chainrule.compile.team_text import barrier_text

__all__ = ["external_buffers", "write_functions", "write_kernels", "write_module"]

Steps = Sequence[Planned | Guard]

_ATTRIBUTES = "attributes #0 = { nounwind noinline }"
_OWN, _SHARED = "define internal ", "define hidden "


def external_buffers(kernels: Kernels) -> list[str]:
    """The buffers that are not in the arena, in the order of the table of addresses."""
    return [
        name
        for kind in ("argument", "state", "constant")
        for name, buffer in kernels.lowered.buffers.items()
        if buffer.kind == kind and name not in kernels.offsets
    ]


def write_module(kernels: Kernels, functions: Sequence[tuple[str, Steps]], target: Target) -> str:
    """LLVM text with a function for each list of steps, and one that needs no team.

    `@name(data, thread, threads, barrier)` is what a team runs; `@name_alone(data)` does the same
    on one thread.
    """
    found = _kernels(functions)
    return "\n".join(
        [
            *_declarations(found),
            barrier_text(target),
            *[each.text for each in found],
            *[_Function(kernels, name, steps).text() for name, steps in functions],
            _ATTRIBUTES,
        ]
    )


def write_kernels(kernels: Sequence[Kernel]) -> str:
    """A module of some kernels, to be called from another one: see `write_functions`."""
    texts = [each.text.replace(_OWN, _SHARED, 1) for each in kernels]
    return "\n".join([*_declarations(kernels), *texts, _ATTRIBUTES])


def write_functions(
    kernels: Kernels, functions: Sequence[tuple[str, Steps]], target: Target
) -> str:
    """The module of `write_module` without its kernels, which are in modules of their own."""
    declared = [
        f"declare hidden void @{each.name}({', '.join(['ptr'] * len(each.buffers))}, i64, i64) #0"
        for each in _kernels(functions)
    ]
    texts = [_Function(kernels, name, steps).text() for name, steps in functions]
    return "\n".join([*declared, barrier_text(target), *texts, _ATTRIBUTES])


def _kernels(functions: Sequence[tuple[str, Steps]]) -> list[Kernel]:
    """Each kernel once."""
    found = {
        step.kernel.name: step.kernel
        for _, steps in functions
        for step in steps
        if isinstance(step, Planned)
    }
    return list(found.values())


def _declarations(kernels: Sequence[Kernel]) -> list[str]:
    found: dict[str, str] = {}
    for each in kernels:
        found |= each.declarations
    return list(found.values())


class _Function:
    def __init__(self, kernels: Kernels, name: str, steps: Steps) -> None:
        self.kernels, self.name, self.steps = kernels, name, steps
        self.waits = list(self._waits())
        self.pointers: dict[str, str] = {}

    def _waits(self) -> Iterator[bool]:
        """For each step, whether the threads must have met before it."""
        barriers = _Barriers(self.kernels)
        for step in self.steps:
            if isinstance(step, Guard):
                yield barriers.needed([step.flag], [], split=True)
            else:
                read, written = read_and_written(step.nest)
                yield barriers.needed(read, written, split=bool(step.schedule.split))

    def text(self) -> str:
        """Both functions."""
        lines = [f"define void @{self.name}(ptr %data, i64 %thread, i64 %threads, ptr %barrier) {{"]
        lines += ["  %first = icmp eq i64 %thread, 0", "  %arena = load ptr, ptr %data, align 8"]
        lines += self._addresses()
        alone = False  # whether what is written now is for the first thread only
        for count, (step, waits) in enumerate(zip(self.steps, self.waits, strict=True)):
            if alone and (waits or self._for_all(step)):
                lines += [f"  br label %all{count}", f"all{count}:"]
                alone = False
            if waits:
                lines.append("  call void @chainrule_barrier(ptr %barrier, i64 %threads)")
            if isinstance(step, Guard):
                lines += self._guard(count, step)
                continue
            if not self._for_all(step) and not alone:
                lines.append(f"  br i1 %first, label %one{count}, label %all{self._meeting(count)}")
                lines.append(f"one{count}:")
                alone = True
            lines.append(self._call(step))
        if alone:
            lines += [f"  br label %all{len(self.steps)}", f"all{len(self.steps)}:"]
        return "\n".join([*lines, "  ret void", "}", *self._alone()])

    def _alone(self) -> list[str]:
        return [
            f"define void @{self.name}_alone(ptr %data) {{",
            f"  call void @{self.name}(ptr %data, i64 0, i64 1, ptr null)",
            "  ret void",
            "}",
        ]

    def _for_all(self, step: Planned | Guard) -> bool:
        return isinstance(step, Guard) or bool(step.schedule.split)

    def _meeting(self, start: int) -> int:
        """The step before which all threads are together again."""
        rest = range(start + 1, len(self.steps))
        return next(
            (i for i in rest if self.waits[i] or self._for_all(self.steps[i])), len(self.steps)
        )

    def _addresses(self) -> Iterator[str]:
        """Where every buffer is."""
        external = external_buffers(self.kernels)
        for count, name in enumerate(module_buffers(self.steps)):
            self.pointers[name] = f"%p{count}"
            if name in self.kernels.offsets:
                offset = self.kernels.offsets[name]
                yield f"  %p{count} = getelementptr i8, ptr %arena, i64 {offset}"
            else:
                yield f"  %q{count} = getelementptr ptr, ptr %data, i64 {external.index(name) + 1}"
                yield f"  %p{count} = load ptr, ptr %q{count}, align 8"

    def _guard(self, count: int, step: Guard) -> list[str]:
        """Leave, all threads, if the flag says so."""
        return [
            f"  %flag{count} = load i8, ptr {self.pointers[step.flag]}, align 1",
            f"  %good{count} = icmp ne i8 %flag{count}, 0",
            f"  br i1 %good{count}, label %go{count}, label %stop{count}",
            f"stop{count}:",
            "  ret void",
            f"go{count}:",
        ]

    def _call(self, step: Planned) -> str:
        operands = [f"ptr {self.pointers[name]}" for name in step.kernel.buffers]
        operands += ["i64 %thread", "i64 %threads"] if step.schedule.split else ["i64 0", "i64 1"]
        return f"  call void @{step.kernel.name}({', '.join(operands)})"


class _Barriers:
    """Where threads have to wait: between a write and what touches the same memory."""

    def __init__(self, kernels: Kernels) -> None:
        self._offsets, self._buffers = kernels.offsets, kernels.lowered.buffers
        self._written: list[tuple[str, bool]] = []
        self._read: list[tuple[str, bool]] = []

    def needed(self, read: Sequence[str], written: Sequence[str], *, split: bool) -> bool:
        """Whether a kernel must wait for those before it: two on the first thread need not."""

        def clash(names: Sequence[str], earlier: list[tuple[str, bool]]) -> bool:
            return any(
                (split or theirs) and self._overlap(name, other)
                for name in names
                for other, theirs in earlier
            )

        waits = clash([*read, *written], self._written) or clash(written, self._read)
        if waits:
            self._written.clear()
            self._read.clear()
        self._written += [(name, split) for name in written]
        self._read += [(name, split) for name in read]
        return waits

    def _overlap(self, a: str, b: str) -> bool:
        if a == b or a not in self._offsets or b not in self._offsets:
            return a == b
        first, second = self._buffers[a], self._buffers[b]
        return (
            self._offsets[a] < self._offsets[b] + second.size * second.dtype.itemsize
            and self._offsets[b] < self._offsets[a] + first.size * first.dtype.itemsize
        )
