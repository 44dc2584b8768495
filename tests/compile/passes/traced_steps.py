"""Graphs to try passes on, and what it is to run one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.compile.test_trace import MODELS, step

import chainrule
from chainrule import nn, optim
from chainrule.autograd.tape import Tape
from chainrule.compile.reference import ReferenceExecutable
from chainrule.compile.trace import Trace
from chainrule.core.base import as_tuple
from chainrule.core.interpret import Stack, using
from chainrule.ir.graph import Graph
from chainrule.tensor import Tensor

Case = tuple[Graph, list[Any], list[Any]]
"""A graph, its arguments and its state."""


def batch_normed() -> tuple[nn.Module, Any]:
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 4),
    )
    return model, optim.AdamW(model.parameters(), lr=0.01)


def grouped() -> tuple[nn.Module, Any]:
    model = nn.Sequential(
        nn.Unflatten(1, (4, 4, 4)),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
        nn.GELU(),
        nn.ConvTranspose2d(6, 2, 2, stride=2),
        nn.MaxPool2d(3),
        nn.Flatten(),
        nn.LayerNorm(2),
        nn.Linear(2, 4),
    )
    return model, optim.RMSprop(model.parameters(), lr=0.01)


STEPS = {**MODELS, "batch_normed": (batch_normed, 64), "grouped": (grouped, 64)}


def traced(function: Callable[..., Any], *arrays: Any) -> Case:
    """The graph of a function of tensors that gives tensors."""
    trace = Trace()
    xs = [Tensor.around(trace.argument(array)) for array in arrays]
    with using(Stack(trace).push(Tape())):
        ys = as_tuple(function(*xs))
    graph = trace.graph("function", [trace.value(trace.symbol(y)) for y in ys])
    state = {met.value.number: met.array for met in trace.state}
    return graph, list(arrays), [state[value.number] for value in graph.state]


def traced_step(name: str) -> Case:
    """The graph of a training step."""
    make, features = STEPS[name]
    chainrule.manual_seed(1)
    model, optimizer = make()
    random = np.random.default_rng(7)
    x = random.standard_normal((8, features)).astype(np.float32)
    case = traced(lambda x, y: step(model, optimizer, x, y), x, random.integers(0, 4, 8))
    optimizer.zero_grad()
    return case


def outcome(graph: Graph, arguments: list[Any], state: list[Any]) -> list[Any]:
    """What running a graph gives, and leaves in its memory; the arrays given stay as they are."""
    own = [each.copy() for each in state]
    given = [each.copy() for each in arguments]
    results = ReferenceExecutable(graph).run(given, own)
    return [*results, *given, *own]
