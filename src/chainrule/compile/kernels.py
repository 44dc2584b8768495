"""Kernels: the nests of a program with their schedules and their text, and its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chainrule.compile.axes import merge_axes
from chainrule.compile.blocking import improved
from chainrule.compile.choose import choose
from chainrule.compile.emit import Kernel, write_kernel
from chainrule.compile.lowering import Guard, Host, Lowered, lower
from chainrule.compile.memory import Life, plan
from chainrule.compile.passes import optimize
from chainrule.compile.pool import Pool
from chainrule.compile.schedule import Schedule
from chainrule.compile.target import Target
from chainrule.ir.graph import Graph
from chainrule.ir.nest import Load, Nest

__all__ = ["SMALL", "Kernels", "Planned", "Segment", "plan_kernels", "read_and_written"]

SMALL = 16 * 1024
"""Bytes of an argument up to which it is copied into the program: sooner done than asking NumPy
where it is."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One kernel: what it computes, how, and its text."""

    nest: Nest
    schedule: Schedule
    kernel: Kernel


Segment = list[Planned | Guard]
"""What runs natively between two ops of the host."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """A program whose every step and place in memory is settled.

    Attributes:
        graph: the graph after all passes.
        lowered: the buffers and results.
        segments: the kernels, cut where an op is the host's.
        offsets: where in the arena buffers are, in bytes.
        arena_bytes: the arena's size.
    """

    graph: Graph
    lowered: Lowered
    segments: list[Segment | Host]
    offsets: dict[str, int]
    arena_bytes: int

    def planned(self) -> list[Planned]:
        """All kernels, in order."""
        native = [segment for segment in self.segments if not isinstance(segment, Host)]
        return [step for segment in native for step in segment if isinstance(step, Planned)]


def plan_kernels(
    graph: Graph, target: Target, written: Callable[[Kernel], None] | None = None
) -> Kernels:
    """All that comes before the text of the program: passes, lowering, schedules, memory.

    Args:
        graph: the graph as it was traced.
        target: the processor.
        written: told of each new kernel as soon as there is its text.
    """
    fine = optimize(graph)
    lowered = lower(fine)
    segments: list[Segment | Host] = []
    known: dict[str, Kernel] = {}
    for step in improved(lowered, target):
        if isinstance(step, Host):
            segments.append(step)
            continue
        if not segments or isinstance(segments[-1], Host):
            segments.append([])
        segment = segments[-1]
        assert not isinstance(segment, Host)
        if isinstance(step, Guard):
            segment.append(step)
            continue
        count = len(known)
        planned = _planned(step, target, known)
        segment.append(planned)
        if written is not None and len(known) > count:
            written(planned.kernel)
    return Kernels(fine, lowered, segments, *_memory(lowered))


def _planned(nest: Nest, target: Target, known: dict[str, Kernel]) -> Planned:
    """A nest's schedule and text; kernels that do the same elsewhere share their text."""
    nest = merge_axes(nest)
    schedule = choose(nest, target)
    name = f"k{len(known)}_{nest.name}"
    kernel = write_kernel(nest, schedule, name, has_fma=target.has_fma)
    twin = known.setdefault(kernel.text.replace(f"@{name}(", "@(", 1), kernel)
    return Planned(nest, schedule, replace(twin, buffers=kernel.buffers))


def _memory(lowered: Lowered) -> tuple[dict[str, int], int]:
    """Offsets in the arena by how long each buffer is in use."""
    steps = lowered.steps
    flags = {step.flag for step in steps if isinstance(step, Guard)}
    written = {store.buffer for step in steps if isinstance(step, Nest) for store in step.stores}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        for name in _touched(step):
            first.setdefault(name, index)
            last[name] = index
    for view in lowered.results:
        first.setdefault(view.buffer, 0)
        last[view.buffer] = len(steps)
    lives: list[Life] = []
    for name, buffer in lowered.buffers.items():
        nbytes = buffer.size * buffer.dtype.itemsize
        if buffer.kind == "argument" and nbytes <= SMALL and name not in written:
            lives.append(Life(name, nbytes, -1, len(steps)))
        if buffer.kind == "arena" and name in first:
            always = buffer.zeroed or name in flags
            begin, end = (-1, len(steps)) if always else (first[name], last[name])
            lives.append(Life(name, nbytes, begin, end))
    return plan(lives)


def _touched(step: Nest | Host | Guard) -> list[str]:
    if isinstance(step, Guard):
        return [step.flag]
    if isinstance(step, Host):
        return [view.buffer for view in (*step.inputs, *step.outputs)]
    read, written = read_and_written(step)
    return [*read, *written]


def read_and_written(nest: Nest) -> tuple[list[str], list[str]]:
    """The buffers that a nest reads, and those that it writes."""
    read = dict.fromkeys([expr.buffer for expr in Pool(nest).exprs if isinstance(expr, Load)])
    return list(read), list(dict.fromkeys([store.buffer for store in nest.stores]))


def module_buffers(steps: Sequence[Planned | Guard]) -> list[str]:
    """The buffers that some steps touch, each once."""
    names = [
        name
        for step in steps
        for name in (step.kernel.buffers if isinstance(step, Planned) else (step.flag,))
    ]
    return list(dict.fromkeys(names))
