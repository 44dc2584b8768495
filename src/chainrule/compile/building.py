"""From a graph to its binary: all that a program from the cache has no need of."""

from __future__ import annotations

from chainrule.compile.assembling import Assembling
from chainrule.compile.binary import Binary, HostSegment, NativeSegment, Place
from chainrule.compile.emit import Kernel
from chainrule.compile.kernels import Kernels, Planned, plan_kernels
from chainrule.compile.lowering import Guard, Host
from chainrule.compile.machine_code import assemble
from chainrule.compile.module_text import (
    external_buffers,
    write_functions,
    write_kernels,
    write_module,
)
from chainrule.compile.target import Target
from chainrule.compile.team import default_threads
from chainrule.compile.views import View
from chainrule.ir.graph import Graph

__all__ = ["build_binary", "segment_functions"]

CHUNK = 40_000
"""Letters of kernels that make a module: LLVM is busy with it for some 40 ms."""


def build_binary(graph: Graph, target: Target) -> tuple[Binary, Kernels]:
    """The program of a graph, and how it was made.

    LLVM is given kernels while others are still being planned. A program of a few kernels is one
    module.
    """
    with Assembling(target, workers=default_threads() - 1) as assembling:
        chunks = _Chunks(assembling)
        kernels = plan_kernels(graph, target, chunks.take)
        functions = segment_functions(kernels)
        if not chunks.given:
            images = [assemble(write_module(kernels, functions, target), target)]
        else:
            chunks.give()
            assembling.add(write_functions(kernels, functions, target))
            images = assembling.images()
    return _binary(kernels, images), kernels


class _Chunks:
    """Gathers kernels to modules of some size: always the same ones, whatever the threads do."""

    def __init__(self, assembling: Assembling) -> None:
        self._assembling = assembling
        self._kernels: list[Kernel] = []
        self._size = 0
        self.given = 0

    def take(self, kernel: Kernel) -> None:
        """One more kernel."""
        self._kernels.append(kernel)
        self._size += len(kernel.text)
        if self._size >= CHUNK:
            self.give()

    def give(self) -> None:
        """What has been gathered, as a module."""
        if self._kernels:
            self._assembling.add(write_kernels(self._kernels))
            self.given += 1
        self._kernels, self._size = [], 0


def segment_functions(kernels: Kernels) -> list[tuple[str, list[Planned | Guard]]]:
    """The native segments and the names of their functions."""
    return [
        (f"segment{index}", segment)
        for index, segment in enumerate(kernels.segments)
        if not isinstance(segment, Host)
    ]


def _binary(kernels: Kernels, images: list[bytes]) -> Binary:
    buffers, offsets = kernels.lowered.buffers, kernels.offsets
    external = external_buffers(kernels)

    def place(view: View) -> Place:
        dtype, shape = view.dtype.numpy.str, view.shape
        if view.buffer in offsets:
            return Place("arena", offsets[view.buffer], dtype, shape)
        buffer = buffers[view.buffer]
        return Place(buffer.kind, buffer.index, dtype, shape)

    segments: list[NativeSegment | HostSegment] = []
    for index, segment in enumerate(kernels.segments):
        if isinstance(segment, Host):
            inputs, outputs = map(place, segment.inputs), map(place, segment.outputs)
            segments.append(HostSegment(segment.op, tuple(inputs), tuple(outputs)))
            continue
        parallel = any(isinstance(s, Planned) and bool(s.schedule.split) for s in segment)
        flags = tuple([offsets[s.flag] for s in segment if isinstance(s, Guard)])
        segments.append(NativeSegment(f"segment{index}", parallel, flags))
    arguments = kernels.graph.arguments
    small = [
        (
            buffer.index,
            Place(
                "arena",
                offsets[name],
                buffer.dtype.numpy.str,
                arguments[buffer.index].type.shape,
            ),
        )
        for name, buffer in buffers.items()
        if buffer.kind == "argument" and name in offsets
    ]
    return Binary(
        tuple(images),
        kernels.arena_bytes,
        tuple(small),
        tuple([(buffers[name].kind, buffers[name].index) for name in external]),
        tuple([place(view) for view in kernels.lowered.results]),
        tuple(segments),
        tuple(kernels.lowered.constants),
    )
