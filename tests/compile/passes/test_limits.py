"""What the passes leave alone: ops of a user's own, what is large, what only looks the same."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from tests.compile.passes.traced_steps import outcome, traced, traced_step

import chainrule
from chainrule.compile.passes import optimize
from chainrule.compile.passes.common_subexpressions import CommonSubexpressions
from chainrule.compile.passes.dead_code import DeadCode
from chainrule.compile.passes.expand import ExpandCoarse
from chainrule.compile.passes.fold import Fold
from chainrule.compile.passes.gather_overlap_add import GatherOverlapAdd
from chainrule.compile.passes.simplify import Simplify
from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Unary
from chainrule.core.interpret import bind
from chainrule.core.types import TensorType
from chainrule.ir.graph import Graph
from chainrule.ir.graph_text import parse_graph
from chainrule.ir.verify import verify
from chainrule.nn import functional as F
from chainrule.nn.functional.linear import Linear
from chainrule.ops.sliding import OverlapAdd


class Noted(Unary, family=True):
    """y = x; and somebody takes note."""

    def reference(self, x: Any) -> Any:
        return x.copy()


class Halves(CoarseOp, family=True):
    """A body that does `what` to its input."""

    what: Any

    def type_rule(self, x: TensorType) -> TensorType:
        return x

    def forward(self, x: Any) -> Any:
        return self.what(x), ()


ROW = np.arange(4, dtype=np.float32)
ELSEWHERE = chainrule.ones(4)


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def opened(what: Any) -> Graph:
    graph, arguments, state = traced(lambda x: bind(Halves(what), x), ROW)
    found = verify(ExpandCoarse()(graph))
    expected = outcome(graph, arguments, state)
    for a, b in zip(outcome(found, arguments, state), expected, strict=True):
        assert a.tobytes() == b.tobytes()
    return found


def test_ops_of_a_users_own_are_neither_merged_nor_folded_nor_dropped() -> None:
    def function(x: Any) -> Any:
        one, same = bind(Noted(), x), bind(Noted(), x)
        return one + same + bind(Noted(), chainrule.ones(4))

    graph, arguments, state = traced(function, ROW)
    made = optimize(graph, verify=True)
    assert names(made).count("noted") == 3
    expected = outcome(graph, arguments, state)
    assert outcome(made, arguments, state)[0].tolist() == expected[0].tolist()
    text = "graph f(%0: f32[2]):\n  %1: f32[2] = noted(%0)\n  return"
    assert names(DeadCode()(parse_graph(text, ops={"noted": Noted}))) == ["noted"]


def test_a_body_may_write_to_what_it_made() -> None:
    def what(x: Any) -> Any:
        y = x * 2
        first, before = y[:2], y[1:]
        first.add_(1)
        y.mul_(3)
        return y + before.sum()

    assert "halves" not in names(opened(what))


@pytest.mark.parametrize(
    "what",
    [
        lambda x: x + ELSEWHERE,
        lambda x: x * x.sum().item(),
        lambda x: x.add_(1),
        lambda x: x[:2].add_(1).repeat(2),
    ],
)
def test_a_body_that_is_no_function_in_ops_stays_whole(what: Any) -> None:
    graph = traced(lambda x: bind(Halves(what), x), ROW)[0]
    assert "halves" in names(verify(ExpandCoarse()(graph)))


def test_coarse_ops_can_be_left_whole() -> None:
    weight = np.ones((3, 4), np.float32)
    graph = traced(lambda x, w: F.linear(x, w), ROW, weight)[0]
    assert "linear" in names(ExpandCoarse(frozenset({Linear}))(graph))
    assert "linear" not in names(ExpandCoarse()(graph))


def test_what_is_large_is_not_folded_unless_it_is_one_number() -> None:
    def function(x: Any) -> Any:
        one_number = chainrule.zeros(300, 300).exp() + 1
        return x * chainrule.arange(90_000).float().reshape(300, 300).exp() * one_number

    graph = Fold()(traced(function, np.ones((300, 300), np.float32))[0])
    assert max(each.array.nbytes for each in graph.constants) < 64
    assert names(DeadCode()(graph)).count("exp") == 1


def test_what_would_fail_fails_when_it_is_run() -> None:
    graph = traced(lambda x: F.cross_entropy(x, chainrule.tensor([7])), ROW[None])[0]
    made = optimize(graph, verify=True)
    with pytest.raises(chainrule.errors.DimensionError, match="4 classes"):
        outcome(made, [ROW[None]], [])


def test_fields_are_the_same_only_if_their_types_and_signs_are() -> None:
    text = """
    graph f(%0: f32[2]):
      %1: f32[4] = pad(%0) borders=((1, 1),), value={}
      %2: f32[4] = pad(%0) borders=((1, 1),), value={}
      return %1, %2
    """
    for a, b, left in (("0.0", "-0.0", 2), ("1", "1.0", 2), ("1", "True", 2), ("2.0", "2.0", 1)):
        assert len(CommonSubexpressions()(parse_graph(text.format(a, b))).nodes) == left


def test_a_cast_that_loses_something_is_no_cast_to_skip() -> None:
    def casts(first: Any, second: Any, array: Any) -> list[str]:
        graph = traced(lambda x: x.to(first).to(second), array)[0]
        return names(DeadCode()(Simplify()(graph)))

    numbers = np.array([2**53 + 1], np.int64)
    assert casts(chainrule.float64, chainrule.int64, numbers) == ["cast", "cast"]
    assert casts(chainrule.float64, chainrule.float32, ROW) == []
    assert casts(chainrule.int32, chainrule.float32, ROW) == ["cast", "cast"]
    assert casts(chainrule.float64, chainrule.int64, ROW) == ["cast"]


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", [0, 1, (0, 2)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradient_of_a_convolution_is_gathered_at_stride_1(
    kernel: Any, padding: Any, dilation: Any, stride: int, rng: Any
) -> None:
    x = rng.standard_normal((2, 3, 6, 7))
    w = rng.standard_normal((4, 3, *kernel))

    def function(x: Any, w: Any) -> Any:
        x.requires_grad_()
        y = F.conv2d(x, w, stride=stride, padding=padding, dilation=dilation)
        return chainrule.autograd.grad((y * y).sum(), [x])[0]

    graph, arguments, state = traced(function, x, w)
    made = optimize(graph, verify=True)
    pads = padding if isinstance(padding, tuple) else (padding, padding)
    inside = all(pad <= dilation * (size - 1) for pad, size in zip(pads, kernel))
    if stride == 1:
        assert ("overlap_add" in names(made)) is not inside
    np.testing.assert_allclose(
        outcome(made, arguments, state)[0], outcome(graph, arguments, state)[0], rtol=1e-10
    )


def test_a_product_that_others_use_is_not_computed_twice() -> None:
    text = """
    graph f(%0: f32[6,4], %1: f32[4,8]):
      %2: f32[6,8] = matmul(%0, %1)
      %3: f32[2,3,4,2] = reshape(%2) shape=(2, 3, 4, 2)
      %4: f32[2,6,2] = overlap_add(%3) FIELDS
      return %4{}
    """.replace("FIELDS", str(OverlapAdd((3,), (1,), (1,), ((0, 0),), (6,)))[11:-1])
    assert "overlap_add" in names(GatherOverlapAdd()(parse_graph(text.format(", %2"))))
    assert "overlap_add" not in names(GatherOverlapAdd()(parse_graph(text.format(""))))


def test_passes_take_time_in_proportion_to_the_graph() -> None:
    def chain(length: int) -> Graph:
        def function(x: Any) -> Any:
            for index in range(length):
                x = (x.T.tanh() * (index + 2)).reshape(3, 4).permute(1, 0)
            return x

        return traced(function, np.ones((4, 3), np.float32))[0]

    def seconds(graph: Graph) -> float:
        best = math.inf
        for _ in range(3):
            start = time.process_time()
            optimize(graph)
            best = min(best, time.process_time() - start)
        return best

    short, long = chain(50), chain(400)
    assert seconds(long) < 24 * seconds(short)


def test_the_step_of_a_convolutional_network_keeps_its_products_in_a_row() -> None:
    made = optimize(traced_step("lenet")[0], verify=True)
    assert "overlap_add" not in names(made)
    makers = {value.number: node for node in made.nodes for value in node.outputs}
    for node in made.nodes:
        if node.op.name == "tanh":
            (add,) = [makers[value.number] for value in node.inputs]
            assert add.op.name == "add"
            assert makers[add.inputs[0].number].op.name == "matmul"
