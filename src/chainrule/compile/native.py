"""Native programs: a graph as machine code, with the memory it works in, and the run of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compile.binary import (
    Binary,
    HostSegment,
    NativeSegment,
    Place,
    compiled_binary,
)
from chainrule.compile.entry import Inside
from chainrule.compile.machine_code import load
from chainrule.compile.reference import ReferenceExecutable
from chainrule.compile.target import Target, host_target
from chainrule.compile.team import team
from chainrule.compile.turns import Turns
from chainrule.core.base import as_tuple
from chainrule.core.interpret import Stack, bind, enter, leave
from chainrule.eager import Eager
from chainrule.errors import ChainruleError
from chainrule.ir.graph import Graph
from chainrule.tensor import Tensor

if TYPE_CHECKING:
    from chainrule.compile.kernels import Kernels

__all__ = ["NativeExecutable", "build"]

Array = np.ndarray[Any, Any]
Run = Callable[[int], object]

_EAGER = Stack(Eager())


def build(graph: Graph) -> NativeExecutable:
    """Compile a graph for this machine."""
    return NativeExecutable(graph, host_target())


class NativeExecutable:
    """A graph as machine code, with its memory.

    Args:
        graph: what to compute.
        target: the processor.

    Attributes:
        binary: the program.
        run: runs it once: see `program.Executable`.
    """

    def __init__(self, graph: Graph, target: Target) -> None:
        self.graph, self.target = graph, target
        self.binary, self._kernels = compiled_binary(graph, target)
        try:
            self.library = load(self.binary.images)
        except ChainruleError:
            if self._kernels is not None:
                raise
            # What was in the cache is whole and ours, and yet LLVM refuses it: better a new one.
            self.binary, self._kernels = compiled_binary(graph, target, anew=True)
            self.library = load(self.binary.images)
        self._prepare()

    def _prepare(self) -> None:
        """Give it memory."""
        memory = np.zeros(self.binary.arena_bytes + 64, np.uint8)
        start = -memory.ctypes.data % 64
        self.arena = memory[start : start + self.binary.arena_bytes]
        self._reference: ReferenceExecutable | None = None
        self._lock = Turns(self.graph.name)
        self._memory = _Memory(self.binary, self.arena)
        self.run = self._runner()

    def copy(self) -> NativeExecutable:
        """The same machine code with memory of its own."""
        twin = object.__new__(NativeExecutable)
        twin.graph, twin.target = self.graph, self.target
        twin.binary, twin._kernels = self.binary, self.kernels
        twin.library = self.library
        twin._prepare()
        return twin

    @property
    def kernels(self) -> Kernels:
        """How the program was made; made again where it came from the cache."""
        if self._kernels is None:
            from chainrule.compile.kernels import plan_kernels

            self._kernels = plan_kernels(self.graph, self.target)
        return self._kernels

    def table(self, arguments: Sequence[Array], state: Sequence[Array]) -> Array:
        """The addresses of all that the program reads and writes."""
        self._memory.bind(state)
        self._memory.take(arguments)
        return self._memory.table

    def _runner(self) -> Callable[[Sequence[Array], Sequence[Array]], list[Array]]:
        """`run`, with all that it needs within reach: a small step takes a few microseconds."""
        memory, lock, go = self._memory, self._lock, self._go()
        data = memory.address
        small, large = memory.small, bool(memory.large)
        results, flags = memory.results, memory.flags

        def run(arguments: Sequence[Array], state: Sequence[Array]) -> list[Array]:
            with lock:
                if state is not memory.bound:
                    memory.bind(state)
                for index, array in small:
                    array[...] = arguments[index]
                if large:
                    memory.take_large(arguments)
                if memory.shadows:
                    memory.read_shadows()
                if go is None:
                    if not self._segment_by_segment(arguments, state):
                        return self._refused(arguments, state)
                else:
                    go(data)
                    for flag in flags:
                        if not flag[0]:
                            return self._refused(arguments, state)
                if memory.shadows:
                    memory.write_shadows()
                return [array.copy() for array in results]

        return run

    def _go(self) -> Run | None:
        """What runs the program, if it is one native segment; else `_segment_by_segment` does."""
        segments = self.binary.segments
        self._runs = [
            self._native(each) if isinstance(each, NativeSegment) else None for each in segments
        ]
        return self._runs[0] if len(segments) == 1 else None

    def _native(self, segment: NativeSegment) -> Run:
        address = self.library.address
        return team().program(
            address(segment.function),
            address(f"{segment.function}_alone"),
            parallel=segment.parallel,
        )

    def _segment_by_segment(self, arguments: Sequence[Array], state: Sequence[Array]) -> bool:
        """Run native segments and ops of the host in turn; False where a guard has stopped it."""
        for run, segment in zip(self._runs, self.binary.segments, strict=True):
            if isinstance(segment, HostSegment):
                self._on_host(segment, arguments, state)
                continue
            assert run is not None
            run(self._memory.address)
            if not all(self.arena[flag] for flag in segment.flags):
                return False
        return True

    def _on_host(
        self, segment: HostSegment, arguments: Sequence[Array], state: Sequence[Array]
    ) -> None:
        def array(place: Place) -> Array:
            if place.kind == "arena":
                return self._memory.array(place)
            given = {"argument": arguments, "state": state, "constant": self.binary.constants}
            return given[place.kind][place.at].reshape(place.shape)

        inputs = [Tensor.around(array(place).copy()) for place in segment.inputs]
        token = enter(_EAGER)
        try:
            outputs = as_tuple(bind(segment.op, *inputs))
        finally:
            leave(token)
        for place, y in zip(segment.outputs, outputs, strict=True):
            np.copyto(self._memory.array(place), y.value)

    def _refused(self, arguments: Sequence[Array], state: Sequence[Array]) -> list[Array]:
        """The reference says what is wrong with the values; the state has not been touched."""
        self._reference = self._reference or ReferenceExecutable(self.graph)
        return self._reference.run(arguments, state)

    def inside(self) -> Inside | None:
        """What a native entry must know; None where there can't be one.

        There can be one where the program is one piece, for one thread: then it is too short to
        let others run meanwhile.
        """
        segments = self.binary.segments
        if len(segments) != 1 or isinstance(segments[0], HostSegment) or segments[0].parallel:
            return None
        memory = self._memory
        return Inside(
            function=self.library.address(f"{segments[0].function}_alone"),
            data=memory.address,
            small={index: array.ctypes.data for index, array in memory.small},
            large={index: memory.address + 8 * place for place, index in memory.large},
            flags=tuple([flag.ctypes.data for flag in memory.flags]),
            results=tuple(memory.results),
        )

    def host_ops(self) -> list[str]:
        """The names of the ops that NumPy carries out between the kernels, each once."""
        hosted = [each.op.name for each in self.binary.segments if isinstance(each, HostSegment)]
        return list(dict.fromkeys(hosted))

    def stages(self) -> dict[str, str]:
        """What became of the graph, stage by stage, as text."""
        from chainrule.compile.building import segment_functions
        from chainrule.compile.module_text import write_module
        from chainrule.ir.graph_text import format_graph
        from chainrule.ir.nest_text import format_nest

        kernels = self.kernels
        planned = kernels.planned()
        return {
            "optimized": format_graph(kernels.graph),
            "nests": "\n".join([format_nest(each.nest) for each in planned]),
            "schedules": "\n".join([f"{e.kernel.name}: {e.schedule}" for e in planned]),
            "llvm": write_module(kernels, segment_functions(kernels), self.target),
        }

    def describe(self) -> str:
        """The kernels, and what runs on the host and why."""
        from chainrule.compile.listing import describe

        return describe(self.kernels)

    def measured(self, arguments: Sequence[Array], state: Sequence[Array]) -> str:
        """The same, and what each kernel takes with these arguments and this state."""
        from chainrule.compile.listing import describe
        from chainrule.compile.profile import measure

        return describe(self.kernels, measure(self, arguments, state))


class _Memory:
    """The table of addresses of a program, and the arrays over its arena."""

    def __init__(self, binary: Binary, arena: Array) -> None:
        self.arena = arena
        self.table = np.zeros(1 + len(binary.external), np.int64)
        self.table[0] = arena.ctypes.data
        self.address: int = self.table.ctypes.data
        self.small = [(index, self.array(place)) for index, place in binary.small]
        self.results = [self.array(place) for place in binary.results]
        self.flags = [
            arena[flag : flag + 1]
            for segment in binary.segments
            if isinstance(segment, NativeSegment)
            for flag in segment.flags
        ]
        places = list(enumerate(binary.external, 1))
        self.large = [(place, index) for place, (kind, index) in places if kind == "argument"]
        self._states = [(place, index) for place, (kind, index) in places if kind == "state"]
        self._constants = [np.ascontiguousarray(array) for array in binary.constants]
        for place, (kind, index) in places:
            if kind == "constant":
                self.table[place] = self._constants[index].ctypes.data
        self.bound: Sequence[Array] | None = None
        self.shadows: list[tuple[Array, Array]] = []
        self._alive: list[Array] = []

    def array(self, place: Place) -> Array:
        """What is at a place of the arena."""
        dtype = np.dtype(place.dtype)
        count = int(np.prod(place.shape, dtype=np.int64))
        memory = self.arena[place.at : place.at + count * dtype.itemsize]
        return memory.view(dtype).reshape(place.shape)

    def bind(self, state: Sequence[Array]) -> None:
        """Note where the state is. What does not lie in order is copied in, and out again."""
        self.shadows = []
        for place, index in self._states:
            array = state[index]
            if not array.flags.c_contiguous:
                self.shadows.append((np.ascontiguousarray(array), array))
                array = self.shadows[-1][0]
            self.table[place] = array.ctypes.data
        self.bound = state

    def take(self, arguments: Sequence[Array]) -> None:
        """Copy the small arguments, and note where the others are."""
        for index, array in self.small:
            np.copyto(array, arguments[index])
        self.take_large(arguments)

    def take_large(self, arguments: Sequence[Array]) -> None:
        """Note where the large arguments are, in order; they are kept alive until the next run."""
        self._alive = [np.ascontiguousarray(arguments[index]) for _, index in self.large]
        for (place, _), array in zip(self.large, self._alive, strict=True):
            self.table[place] = array.ctypes.data

    def read_shadows(self) -> None:
        """Copy the state that does not lie in order."""
        for here, theirs in self.shadows:
            np.copyto(here, theirs)

    def write_shadows(self) -> None:
        """Copy it back."""
        for here, theirs in self.shadows:
            np.copyto(theirs, here)
