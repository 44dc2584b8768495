"""Native programs beside the reference: what the tests of the native backend share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule
from chainrule.autograd import grad
from chainrule.autograd.tape import Tape
from chainrule.compile.lowering import Host
from chainrule.compile.native import NativeExecutable, build
from chainrule.compile.reference import ReferenceExecutable
from chainrule.compile.trace import Trace
from chainrule.core.base import as_tuple
from chainrule.core.interpret import Stack, bind, using
from chainrule.core.op import Op
from chainrule.ir.graph import Graph
from chainrule.ir.verify import verify
from chainrule.tensor import Tensor

Array = np.ndarray[Any, Any]

ROUNDING = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 2e-12, np.dtype(np.float16): 2e-3}
"""How far two results may be apart, as a part of the largest number in either."""


def graph_of(function: Callable[..., Any], *arrays: Array) -> tuple[Graph, list[Array]]:
    """A function of tensors as a graph, and the arrays of its state."""
    trace = Trace()
    xs = [Tensor.around(trace.argument(array)) for array in arrays]
    with using(Stack(trace).push(Tape())):
        ys = as_tuple(function(*xs))
    results = [trace.value(trace.symbol(y)) for y in ys]
    graph = verify(trace.graph("function", results))
    arrays_of = {met.value.number: met.array for met in trace.state}
    return graph, [arrays_of[value.number] for value in graph.state]


def hosted(program: NativeExecutable) -> dict[str, str]:
    """The ops that a program leaves to NumPy, and why."""
    steps = program.kernels.segments
    return {each.op.name: each.reason for each in steps if isinstance(each, Host)}


def refused(program: NativeExecutable) -> bool:
    """Whether a guard has stopped the program, so that the reference was run instead."""
    return program._reference is not None


def assert_close(found: Array, expected: Array, rounding: float = 1.0, note: object = "") -> None:
    """The same dtype, shape, infinities and NaNs; the same numbers, but for floats' last digits."""
    assert found.dtype == expected.dtype, note
    assert found.shape == expected.shape, note
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected, err_msg=str(note))
        return
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found), finite, err_msg=str(note))
    np.testing.assert_array_equal(found[~finite], expected[~finite], err_msg=str(note))
    here, there = found[finite].astype(np.float64), expected[finite].astype(np.float64)
    if not here.size:
        return
    relative = ROUNDING[found.dtype] * rounding
    scale = float(np.abs(there).max())
    tiny = 10 * float(np.finfo(found.dtype).tiny)
    np.testing.assert_allclose(
        here, there, rtol=relative, atol=relative * scale + tiny, err_msg=str(note)
    )


def assert_native_is_reference(
    graph: Graph, arguments: Sequence[Array], state: Sequence[Array], rounding: float = 1.0
) -> NativeExecutable:
    """Run a graph natively and by the reference, twice: the same results, and the same state."""
    program = build(graph)
    reference = ReferenceExecutable(graph)
    ours, theirs = ([each.copy(order="K") for each in state] for _ in range(2))
    for _ in range(2):
        with np.errstate(all="ignore"):
            expected = reference.run(arguments, theirs)
            found = program.run(arguments, ours)
        assert not refused(program)
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_close(one, other, rounding, f"result {index}")
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_close(one, other, rounding, f"state {index}")
    return program


def outputs_and_gradients(op: Op, xs: Sequence[Tensor]) -> list[Tensor]:
    """An op's outputs, and the cotangents of its inputs for one of its first output.

    It is another number everywhere: many a gradient of a constant one is zero, but for rounding.
    """
    ys = as_tuple(bind(op, *xs))
    bars: tuple[Any, ...] = ()
    if ys[0].requires_grad:
        shape, dtype = ys[0].type.shape, ys[0].dtype.numpy
        numbers = np.cos(0.7 * np.arange(math.prod(shape)) + 0.3)
        y_bar = chainrule.tensor(numbers.reshape(shape).astype(dtype))
        bars = grad(ys[0], [x for x in xs if x.requires_grad], y_bar, allow_unused=True)
    return [each.detach() for each in (*ys, *bars) if each is not None]
