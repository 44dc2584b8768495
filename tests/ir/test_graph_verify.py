"""`verify` names what is wrong with a graph."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from chainrule.core.dtypes import float32, float64
from chainrule.core.types import TensorType
from chainrule.errors import VerifyError
from chainrule.ir.graph import Constant, Graph, Node, Value
from chainrule.ir.graph_text import parse_graph
from chainrule.ir.verify import verify

GRAPH = parse_graph("""
graph f(%0: f32[2,3]):
  state %1: f32[2,3]
  constant %2: f32[] = 2.0
  %3: f32[2,3] = mul(%0, %2)
  %4: f32[2,3], %5: f32[2,1] = rms_norm(%3) shape=(3,), eps=0.1
  update %1 = %4
  return %5
""")


def f32(number: int, *shape: int) -> Value:
    return Value(number, TensorType(shape, float32))


def changed(**fields: Any) -> Graph:
    return dataclasses.replace(GRAPH, **fields)


def test_a_graph_that_is_well_formed_is_given_back() -> None:
    assert verify(GRAPH) is GRAPH


MUL, NORM = GRAPH.nodes
WRONG = {
    "used before it is made": [
        changed(nodes=(NORM, MUL)),
        changed(results=(f32(9),)),
        changed(updates=((f32(1, 2, 3), f32(9, 2, 3)),)),
    ],
    "made twice": [
        changed(nodes=(MUL, MUL, NORM)),
        changed(arguments=(f32(0, 2, 3), f32(0, 2, 3))),
        changed(constants=(*GRAPH.constants, *GRAPH.constants)),
        changed(state=(f32(0, 2, 3),)),
    ],
    "its type rule says f32[2,3]": [
        changed(nodes=(dataclasses.replace(MUL, outputs=(f32(3, 3, 2),)), NORM)),
    ],
    "shapes do not broadcast": [
        changed(
            constants=(Constant(f32(2, 5), np.zeros(5, np.float32)),),
            nodes=(dataclasses.replace(MUL, inputs=(f32(0, 2, 3), f32(2, 5))), NORM),
        )
    ],
    "%3 is f32[2,3], not f32[]": [
        changed(nodes=(MUL, dataclasses.replace(NORM, inputs=(f32(3),)))),
    ],
    "the op has 2 outputs": [
        changed(nodes=(MUL, dataclasses.replace(NORM, outputs=NORM.outputs[:1]))),
    ],
    "is an array f64[]": [changed(constants=(Constant(f32(2), np.zeros(())),))],
    "only state and arguments": [
        changed(updates=((f32(3, 2, 3), f32(0, 2, 3)),)),
        changed(updates=GRAPH.updates * 2),
    ],
    "can't be written into": [changed(updates=((f32(1, 2, 3), Value(5, f32(5, 2, 1).type)),))],
}


@pytest.mark.parametrize(
    ("problem", "graph"), [(problem, graph) for problem, each in WRONG.items() for graph in each]
)
def test_what_is_wrong_is_named(problem: str, graph: Graph) -> None:
    with pytest.raises(VerifyError) as caught:
        verify(graph)
    assert problem in caught.value.problem
    assert isinstance(caught.value, ValueError)


def test_the_error_knows_node_types_and_line() -> None:
    wide = Value(3, TensorType((2, 3), float64))
    node = Node(MUL.op, MUL.inputs, (wide,), "train.py:3: y = x * 2")
    with pytest.raises(VerifyError) as caught:
        verify(changed(nodes=(node, NORM)))
    assert str(caught.value).startswith("%3: f64[2,3] = mul(%0, %2): its type rule says f32[2,3]")
    assert caught.value.location == "train.py:3: y = x * 2"
    assert caught.value.facts["node"] is node
