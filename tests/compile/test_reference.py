"""Graphs carried out op by op: results of their own, updates at the very end."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.compile.reference import ReferenceExecutable
from chainrule.errors import ChainruleError
from chainrule.ir.graph_text import parse_graph

SWAP = """
graph swap(%0: f32[2]):
  state %1: f32[2] "a"
  state %2: f32[2] "b"
  %3: f32[2] = add(%1, %0)
  update %1 = %2
  update %2 = %3
  return %1, %3, %0, %3
"""


def f32(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_updates_see_what_was_there_before() -> None:
    x, a, b = f32(1, 1), f32(1, 2), f32(5, 6)
    results = ReferenceExecutable(parse_graph(SWAP)).run([x], [a, b])
    assert [each.tolist() for each in results] == [[1, 2], [2, 3], [1, 1], [2, 3]]
    assert (a.tolist(), b.tolist()) == ([5, 6], [2, 3])


def test_results_have_memory_of_their_own() -> None:
    arrays = [f32(1, 1), f32(1, 2), f32(5, 6)]
    results = ReferenceExecutable(parse_graph(SWAP)).run(arrays[:1], arrays[1:])
    every = [*arrays, *results]
    for index, one in enumerate(every):
        assert not any(np.shares_memory(one, other) for other in every[:index])


def test_a_view_that_is_written_to_later_keeps_its_value() -> None:
    graph = parse_graph("""
    graph f():
      state %0: f32[2,3]
      %1: f32[3,2] = permute(%0) dims=(1, 0)
      %2: f32[2,3] = neg(%0)
      update %0 = %2
      return %1
    """)
    state = np.arange(6, dtype=np.float32).reshape(2, 3)
    (result,) = ReferenceExecutable(graph).run([], [state])
    assert result.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert state.tolist() == [[0, -1, -2], [-3, -4, -5]]


def test_a_failure_leaves_the_state_alone() -> None:
    graph = parse_graph("""
    graph f(%0: i64[1]):
      state %1: f32[3]
      %2: f32[3] = neg(%1)
      %3: f32[1] = gather(%2, %0) dim=0
      update %1 = %2
      return %3
    """)
    state = f32(1, 2, 3)
    with pytest.raises(ChainruleError):
        ReferenceExecutable(graph).run([np.array([7])], [state])
    assert state.tolist() == [1, 2, 3]
