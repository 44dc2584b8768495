"""What each pass makes of a small graph, as text (after `DeadCode`)."""
# ruff: noqa: E501  # an instruction is a line, however many fields it has

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from chainrule.compile.passes.algebra import Algebra
from chainrule.compile.passes.common_subexpressions import CommonSubexpressions
from chainrule.compile.passes.dead_code import DeadCode
from chainrule.compile.passes.expand import ExpandCoarse
from chainrule.compile.passes.fold import Fold
from chainrule.compile.passes.gather_overlap_add import GatherOverlapAdd
from chainrule.compile.passes.simplify import Simplify
from chainrule.compile.passes.sink_views import SinkViews
from chainrule.ir.graph_text import format_graph, parse_graph
from chainrule.ir.verify import verify

CASES: dict[str, tuple[Any, str, str]] = {
    "a coarse op is its body": (
        ExpandCoarse(),
        """
        graph f(%0: f32[2,3], %1: f32[4,3], %2: f32[4]):
          %3: f32[2,4] = linear(%0, %1, %2) bias=True
          return %3
        """,
        """
        graph f(%0: f32[2,3], %1: f32[4,3], %2: f32[4]):
          %4: f32[3,4] = permute(%1) dims=(1, 0)
          %5: f32[2,4] = matmul(%0, %4)
          %6: f32[2,4] = add(%5, %2)
          return %6
        """,
    ),
    "a body's residuals are outputs": (
        ExpandCoarse(),
        """
        graph f(%0: f32[4], %1: i64[2]):
          %2: f32[4], %3: bool[4] = dropout(%0, %1) p=0.5, whole=None
          return %2, %3
        """,
        """
        graph f(%0: f32[4], %1: i64[2]):
          constant %5: f32[] = 2.0
          constant %7: f32[] = 0.0
          %4: bool[4] = mask(%1) shape=(4,), probability=0.5
          %6: f32[4] = mul(%0, %5)
          %8: f32[4] = where(%4, %6, %7)
          return %8, %4
        """,
    ),
    "no copies, no casts, no views that do nothing": (
        Simplify(),
        """
        graph f(%0: f32[2,3]):
          %1: f32[2,3] = clone(%0)
          %2: f32[2,3] = cast(%1) dtype=chainrule.float32
          %3: f32[2,3] = permute(%2) dims=(0, 1)
          %4: f32[2,3] = reshape(%3) shape=(2, 3)
          %5: f32[2,3] = expand(%4) shape=(2, 3)
          %6: f64[2,3] = cast(%5) dtype=chainrule.float64
          %7: f32[2,3] = cast(%6) dtype=chainrule.float32
          %8: f32[2,3] = neg(%7)
          %9: f32[2,3] = neg(%8)
          return %9
        """,
        """
        graph f(%0: f32[2,3]):
          return %0
        """,
    ),
    "views of views are one": (
        Simplify(),
        """
        graph f(%0: f32[2,3,4]):
          %1: f32[3,2,4] = permute(%0) dims=(1, 0, 2)
          %2: f32[3,4,2] = permute(%1) dims=(0, 2, 1)
          %3: f32[12,2] = reshape(%2) shape=(12, 2)
          %4: f32[2,12] = permute(%3) dims=(1, 0)
          %5: f32[4,6] = reshape(%0) shape=(4, 6)
          %6: f32[24] = reshape(%5) shape=(24,)
          return %3, %4, %6
        """,
        """
        graph f(%0: f32[2,3,4]):
          %8: f32[2,12] = reshape(%0) shape=(2, 12)
          %9: f32[12,2] = permute(%8) dims=(1, 0)
          %10: f32[24] = reshape(%0) shape=(24,)
          return %9, %8, %10
        """,
    ),
    "neutral numbers go, but for those that change a sign of zero": (
        Simplify(),
        """
        graph f(%0: f32[2]):
          constant %1: f32[] = 1.0
          constant %2: f32[] = 0.0
          constant %3: f32[] = -0.0
          %4: f32[2] = mul(%1, %0)
          %5: f32[2] = div(%4, %1)
          %6: f32[2] = add(%5, %3)
          %7: f32[2] = sub(%6, %2)
          %8: f32[2] = add(%7, %2)
          %9: f32[2] = sub(%8, %3)
          return %9
        """,
        """
        graph f(%0: f32[2]):
          constant %2: f32[] = 0.0
          constant %3: f32[] = -0.0
          %8: f32[2] = add(%0, %2)
          %9: f32[2] = sub(%8, %3)
          return %9
        """,
    ),
    "elementwise ops broadcast by themselves": (
        Simplify(),
        """
        graph f(%0: f32[3], %1: f32[2,3], %2: f32[]):
          %3: f32[1,3] = reshape(%0) shape=(1, 3)
          %4: f32[2,3] = expand(%3) shape=(2, 3)
          %5: f32[2,3] = mul(%4, %1)
          %6: f32[2] = expand(%2) shape=(2,)
          %7: f32[2] = neg(%6)
          %8: f32[2,1] = reshape(%7) shape=(2, 1)
          %9: f32[2,3] = expand(%8) shape=(2, 3)
          %10: f32[2,3] = add(%9, %5)
          return %10
        """,
        """
        graph f(%0: f32[3], %1: f32[2,3], %2: f32[]):
          %12: f32[2,3] = mul(%0, %1)
          %13: f32[] = neg(%2)
          %17: f32[2,3] = add(%13, %12)
          return %17
        """,
    ),
    "a batch of one product is a product": (
        Simplify(),
        """
        graph f(%0: f32[2,3], %1: f32[4,3]):
          %2: f32[1,2,3] = reshape(%0) shape=(1, 2, 3)
          %3: f32[1,4,3] = reshape(%1) shape=(1, 4, 3)
          %4: f32[1,3,4] = permute(%3) dims=(0, 2, 1)
          %5: f32[1,2,4] = matmul(%2, %4)
          return %5
        """,
        """
        graph f(%0: f32[2,3], %1: f32[4,3]):
          %6: f32[3,4] = permute(%1) dims=(1, 0)
          %8: f32[2,4] = matmul(%0, %6)
          %9: f32[1,2,4] = reshape(%8) shape=(1, 2, 4)
          return %9
        """,
    ),
    "what is known is computed, and written small": (
        Fold(),
        """
        graph f(%0: f32[2,3]):
          constant %1: f32[] = 2.0
          %2: f32[2,3] = full() shape=(2, 3), fill_value=3.0, dtype=chainrule.float32
          %3: f32[2,3] = mul(%2, %1)
          %4: i64[3] = arange() start=0, step=1, count=3, dtype=chainrule.int64
          %5: f32[3] = cast(%4) dtype=chainrule.float32
          %6: f32[2,3] = mul(%0, %3)
          %7: f32[2,3] = mul(%6, %5)
          return %7
        """,
        """
        graph f(%0: f32[2,3]):
          constant %10: f32[] = 6.0
          constant %13: f32[3] = [0.0, 1.0, 2.0]
          %11: f32[2,3] = expand(%10) shape=(2, 3)
          %6: f32[2,3] = mul(%0, %11)
          %7: f32[2,3] = mul(%6, %13)
          return %7
        """,
    ),
    "what is computed twice is computed once": (
        CommonSubexpressions(),
        """
        graph f(%0: f32[2,3]):
          constant %1: f32[] = 0.0
          constant %2: f32[] = -0.0
          constant %3: f32[] = 0.0
          %4: f32[2,3] = add(%0, %1)
          %5: f32[2,3] = add(%0, %2)
          %6: f32[2,3] = add(%0, %3)
          %7: f32[3,2] = permute(%4) dims=(1, 0)
          %8: f32[3,2] = permute(%6) dims=(1, 0)
          %9: f32[4,3] = pad(%0) borders=((1, 1), (0, 0)), value=0.0
          %10: f32[4,3] = pad(%0) borders=((1, 1), (0, 0)), value=-0.0
          %11: f32[4,3] = pad(%0) borders=((1, 1), (0, 0)), value=0.0
          return %5, %7, %8, %9, %10, %11
        """,
        """
        graph f(%0: f32[2,3]):
          constant %1: f32[] = 0.0
          constant %2: f32[] = -0.0
          %4: f32[2,3] = add(%0, %1)
          %5: f32[2,3] = add(%0, %2)
          %7: f32[3,2] = permute(%4) dims=(1, 0)
          %9: f32[4,3] = pad(%0) borders=((1, 1), (0, 0)), value=0.0
          %10: f32[4,3] = pad(%0) borders=((1, 1), (0, 0)), value=-0.0
          return %5, %7, %7, %9, %10, %9
        """,
    ),
    "what nobody wants goes": (
        DeadCode(),
        """
        graph f(%0: f32[2], %1: f32[2]):
          state %2: f32[2] "kept"
          state %3: f32[2]
          constant %4: f32[] = 2.0
          constant %5: f32[] = 3.0
          %6: f32[2] = mul(%0, %4)
          %7: f32[2] = mul(%0, %5)
          %8: f32[2] = exp(%7)
          update %2 = %6
          update %3 = %3
          return
        """,
        """
        graph f(%0: f32[2], %1: f32[2]):
          state %2: f32[2] "kept"
          state %3: f32[2]
          constant %4: f32[] = 2.0
          %6: f32[2] = mul(%0, %4)
          update %2 = %6
          return
        """,
    ),
    "views sink": (
        SinkViews(),
        """
        graph f(%0: f32[3,24], %1: f32[3,1]):
          %2: f32[3,24] = add(%0, %1)
          %3: f32[3,2,3,4] = reshape(%2) shape=(3, 2, 3, 4)
          %4: f32[4,3,2,3] = permute(%3) dims=(3, 0, 1, 2)
          %5: f32[4,3,2,3] = tanh(%4)
          %6: f32[4,3,2,3] = mul(%5, %4)
          %7: f32[3,2,3,4] = permute(%6) dims=(1, 2, 3, 0)
          %8: f32[3] = sum(%7) dims=(1, 2, 3), keepdim=False
          return %8
        """,
        """
        graph f(%0: f32[3,24], %1: f32[3,1]):
          %2: f32[3,24] = add(%0, %1)
          %10: f32[3,24] = tanh(%2)
          %13: f32[3,24] = mul(%10, %2)
          %14: f32[3,2,3,4] = reshape(%13) shape=(3, 2, 3, 4)
          %8: f32[3] = sum(%14) dims=(1, 2, 3), keepdim=False
          return %8
        """,
    ),
    "operands that broadcast go along": (
        SinkViews(),
        """
        graph f(%0: f32[3,24], %1: f32[3,1,1], %2: f32[2,3]):
          %3: f32[3,2,3,4] = reshape(%0) shape=(3, 2, 3, 4)
          %4: f32[4,3,2,3] = permute(%3) dims=(3, 0, 1, 2)
          %5: f32[4,3,2,3] = add(%4, %1)
          %6: f32[4,3,2,3] = mul(%5, %2)
          return %6
        """,
        """
        graph f(%0: f32[3,24], %1: f32[3,1,1], %2: f32[2,3]):
          %8: f32[3,1] = reshape(%1) shape=(3, 1)
          %9: f32[3,24] = add(%0, %8)
          %10: f32[3,2,3,4] = reshape(%9) shape=(3, 2, 3, 4)
          %12: f32[1,2,3,1] = reshape(%2) shape=(1, 2, 3, 1)
          %13: f32[3,2,3,4] = mul(%10, %12)
          %14: f32[4,3,2,3] = permute(%13) dims=(3, 0, 1, 2)
          return %14
        """,
    ),
    "a view stays where it would take another": (
        SinkViews(),
        """
        graph f(%0: f32[2,3], %1: f32[3,2]):
          %2: f32[3,2] = permute(%0) dims=(1, 0)
          %3: f32[3,2] = add(%2, %1)
          return %3
        """,
        """
        graph f(%0: f32[2,3], %1: f32[3,2]):
          %2: f32[3,2] = permute(%0) dims=(1, 0)
          %3: f32[3,2] = add(%2, %1)
          return %3
        """,
    ),
    "a convolution's gradient is a convolution": (
        GatherOverlapAdd(),
        """
        graph f(%0: f32[18,4], %1: f32[4,24]):
          %2: f32[18,24] = matmul(%0, %1)
          %3: f32[2,3,3,2,3,4] = reshape(%2) shape=(2, 3, 3, 2, 3, 4)
          %4: f32[2,4,3,4] = overlap_add(%3) kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding=((0, 0), (1, 1)), size=(4, 3)
          return %4
        """,
        """
        graph f(%0: f32[18,4], %1: f32[4,24]):
          %5: f32[2,3,3,4] = reshape(%0) shape=(2, 3, 3, 4)
          %6: f32[2,4,3,3] = permute(%5) dims=(0, 3, 1, 2)
          %7: f32[2,4,3,3] = flip(%6) dims=(2, 3)
          %8: f32[4,2,3,4] = reshape(%1) shape=(4, 2, 3, 4)
          %9: f32[4,3,3,4,3,4] = windows(%8) kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding=((2, 2), (1, 1)), size=(2, 3)
          %10: f32[36,48] = reshape(%9) shape=(36, 48)
          %11: f32[2,36] = reshape(%7) shape=(2, 36)
          %12: f32[2,48] = matmul(%11, %10)
          %13: f32[2,4,3,4] = reshape(%12) shape=(2, 4, 3, 4)
          return %13
        """,
    ),
    "windows side by side are a permutation": (
        GatherOverlapAdd(),
        """
        graph f(%0: f32[2,2,2,1,3,4]):
          %1: f32[2,2,7,4] = overlap_add(%0) kernel=(2, 2), stride=(2, 2), dilation=(1, 1), padding=((0, 0), (0, 0)), size=(2, 7)
          return %1
        """,
        """
        graph f(%0: f32[2,2,2,1,3,4]):
          %3: f32[2,2,1,3,2,4] = permute(%0) dims=(0, 1, 3, 4, 2, 5)
          %4: f32[2,2,6,4] = reshape(%3) shape=(2, 2, 6, 4)
          %5: f32[2,2,7,4] = unslice(%4) shape=(2, 2, 7, 4), key=((0, 2, 1), (0, 2, 1), (0, 6, 1), (0, 4, 1))
          return %5
        """,
    ),
    "sums in one form": (
        Algebra(),
        """
        graph f(%0: f32[2,3,1], %1: f32[3]):
          %2: f32[3,1] = sum_to(%0) shape=(3, 1)
          %3: f32[2,1,1] = mean(%0) dims=(1, 2), keepdim=True
          %4: f32[2,3] = expand(%1) shape=(2, 3)
          %5: f32[] = sum(%4) dims=(0, 1), keepdim=False
          return %2, %3, %5
        """,
        """
        graph f(%0: f32[2,3,1], %1: f32[3]):
          constant %9: f32[] = 3.0
          constant %14: f32[] = 2.0
          %6: f32[3,1] = sum(%0) dims=(0,), keepdim=False
          %7: f32[2,3] = reshape(%0) shape=(2, 3)
          %8: f32[2] = sum(%7) dims=(1,), keepdim=False
          %10: f32[2] = div(%8, %9)
          %11: f32[2,1,1] = reshape(%10) shape=(2, 1, 1)
          %13: f32[] = sum(%1) dims=(0,), keepdim=False
          %15: f32[] = mul(%13, %14)
          return %6, %11, %15
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pass_makes_of_a_graph(name: str) -> None:
    apply, before, after = CASES[name]
    graph = DeadCode()(verify(apply(verify(parse_graph(before)))))
    assert format_graph(graph) == textwrap.dedent(after).strip()
