"""A graph's text is read back as the same graph, and what is no graph is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.core.dtypes import float16, float32, int64
from chainrule.core.types import TensorType
from chainrule.errors import VerifyError
from chainrule.ir.graph import Constant, Graph, Node, Value
from chainrule.ir.graph_text import digest, format_graph, parse_graph
from chainrule.ir.verify import verify

TEXT = """\
graph step(%0: f32[8,6], %1: i64[8]):
  state %2: f32[4,6] "0.weight"
  state %3: f32[4,6]
  constant %4: f32[] = 0.5
  constant %5: f32[2,2] = [[1.0, inf], [nan, -inf]]
  constant %6: bool[3] = [True, False, True]
  %7: f32[6,4] = permute(%2) dims=(1, 0)
  %8: f32[8,4] = matmul(%0, %7)
  %9: f32[8,4], %10: f32[8,1] = rms_norm(%8) shape=(4,), eps=1e-05
  %11: f16[8,4] = cast(%9) dtype=chainrule.float16
  %12: f32[] = sum(%9) dims=(0, 1), keepdim=False
  %13: f32[4,6] = write_view(%3, %2) ops=()
  %14: f32[4,6] = write_view(%3, %12) ops=(Slice(key=(1, (0, 6, 2))), Slice(key=(0,)))
  update %3 = %14
  return %11, %10"""


def test_text_is_read_and_written_back() -> None:
    graph = verify(parse_graph(TEXT))
    assert format_graph(graph) == str(graph) == TEXT
    assert graph.names == {2: "0.weight"}
    assert graph.constants[1].array.dtype == np.float32
    assert math.isnan(graph.constants[1].array[1, 0])


def test_locations_are_comments() -> None:
    value, result = Value(0, TensorType((2,), float32)), Value(1, TensorType((2,), float32))
    (relu,) = parse_graph("graph f(%0: f32[2]):\n %1: f32[2] = relu(%0)\n return %1").nodes
    node = Node(relu.op, (value,), (result,), "train.py:3: y = relu(x)")
    graph = Graph("f", (value,), (), (), (node,), (result,), (), {})
    text = format_graph(graph, locations=True)
    assert "%1: f32[2] = relu(%0)  # train.py:3: y = relu(x)" in text
    assert parse_graph(text).nodes[0].location == "train.py:3: y = relu(x)"
    assert "train.py" not in str(graph)


def test_large_constants_are_digests() -> None:
    array = np.arange(100, dtype=np.float32)
    value = Value(0, TensorType((100,), float32))
    graph = Graph("f", (), (), (Constant(value, array),), (), (value,), (), {})
    text = str(graph)
    assert f"constant %0: f32[100] = {digest(array)}" in text
    for arrays in ({0: array}, {digest(array): array}):
        assert parse_graph(text, arrays=arrays).constants[0].array is array
    with pytest.raises(VerifyError, match="not at hand"):
        parse_graph(text)
    with pytest.raises(VerifyError, match="not at hand"):
        parse_graph(text, arrays={0: array + 1})


def test_a_digest_tells_dtypes_shapes_and_bytes_apart() -> None:
    zeros = np.zeros((2, 3), np.float32)
    others = [zeros.reshape(3, 2), zeros.view(np.int32), zeros + 1]
    assert len({digest(each) for each in [zeros, *others]}) == 4
    assert digest(zeros) == digest(zeros.copy())


def test_names_may_hold_anything() -> None:
    value = Value(0, TensorType((), int64))
    for name in ("a.b", 'say "x"', "back\\slash", "two\nlines"):
        graph = Graph("f", (), (value,), (), (), (value,), (), {0: name})
        assert parse_graph(str(graph)).names == {0: name}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "should begin with"),
        ("graph f(%0: f32[2]):", "without 'return'"),
        ("graph f(%0: q7[2]):\n return %0", "no dtype 'q7'"),
        ("graph f(%0: f32[2]):\n return %1", "%1 is used before"),
        ("graph f(%0: f32[2], %0: f32[2]):\n return %0", "%0 is made twice"),
        ("graph f(%0: f32[2]):\n %1: f32[2] = frobnicate(%0)\n return %1", "no op 'frobnicate'"),
        ("graph f(%0: f32[2]):\n %1: f32[2] = relu %0\n return %1", "an instruction is written"),
        ("graph f(%0: f32[2]):\n %1: f32[2] = relu(%0) dim=3\n return %1", "relu: "),
        ("graph f(%0: f32[2]):\n %1: f32[2] = sum(%0) dims=__import__('os')\n return %1", "no "),
        ("graph f(%0: f32[2]):\n %1: f32[2] = sum(%0) dims=(\n return %1", "dims=("),
        ("graph f(%0: f32[2]):\n return %0\n update %0 = %0", "nothing can follow"),
        ("graph f(f32[2]):\n return", "should be values with their types"),
    ],
)
def test_what_is_no_graph_is_refused(text: str, problem: str) -> None:
    with pytest.raises(VerifyError) as caught:
        parse_graph(text)
    assert problem in caught.value.problem
    assert caught.value.cure


def test_dtypes_are_the_shared_ones() -> None:
    graph = parse_graph(TEXT)
    (cast,) = [node for node in graph.nodes if node.op.name == "cast"]
    assert cast.op.dtype is float16  # pyright: ignore
