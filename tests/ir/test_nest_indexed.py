"""Nests that write, step by step, to places found at run time."""

import numpy as np
import pytest

from chainrule.errors import ChainruleError
from chainrule.ir.evaluate import evaluate
from chainrule.ir.nest_text import format_nest, parse_nest
from chainrule.ir.verify_nest import verify_nest

ADD = (
    "nest add(n: 5, k: 2):\n  reads %i i64, %x f32, %y f32\n  in turn n\n"
    "  %y[k + 1; 2 %i[n]] = add(%y[k + 1; 2 %i[n]], %x[2 n + k])"
)
SIZES = {"i": 5, "x": 10, "y": 7}


def memory():
    return {
        "i": np.array([2, 0, 2, 2, 1]),
        "x": np.arange(10, dtype=np.float32) + 1,
        "y": np.zeros(7, np.float32),
    }


def test_the_text_says_all_of_it():
    nest = parse_nest(ADD)
    assert nest.sequential == ("n",)
    assert [stride for _, stride in nest.stores[0].index] == [2]
    assert format_nest(nest) == ADD
    verify_nest(nest, SIZES)


def test_indices_that_repeat_add_up_one_after_the_other():
    buffers = memory()
    evaluate(parse_nest(ADD), buffers)
    assert buffers["y"].tolist() == [0, 3, 4, 9, 10, 1 + 5 + 7, 2 + 6 + 8]


def test_of_several_writes_the_last_one_stays():
    buffers = memory()
    text = ADD.replace("add(%y[k + 1; 2 %i[n]], %x[2 n + k])", "%x[2 n + k]")
    evaluate(parse_nest(text.replace(", %y f32", "")), buffers)
    assert buffers["y"].tolist() == [0, 3, 4, 9, 10, 7, 8]


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("in turn n", "in turn m", "m goes in turn"),
        ("%i i64", "%i f32", "indexed by float32"),
        ("  in turn n\n  %y[k + 1; 2 %i[n]]", "  %y[k + 1; 2 i64(3)]", "written for every n"),
        ("%y[k + 1; 2 %i[n]] = ", "%y[k + 1; 2 i64[m]] = ", "no axis m"),
    ],
)
def test_what_makes_no_sense_is_refused(before, after, problem):
    assert before in ADD
    with pytest.raises(ChainruleError, match=problem):
        verify_nest(parse_nest(ADD.replace(before, after, 1)), SIZES)
