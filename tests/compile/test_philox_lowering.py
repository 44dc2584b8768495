"""Random draws as expressions and nests give the numbers that `ops/random.py` gives."""

import math

import numpy as np
import pytest

import chainrule
from chainrule.compile.philox_lowering import random_element, random_nests
from chainrule.core.dtypes import int64
from chainrule.ir.evaluate import evaluate, evaluate_expr
from chainrule.ir.nest import Affine, Axis, Iota, Load
from chainrule.ir.nest_text import format_nest, parse_nest
from chainrule.ir.verify_nest import verify_nest
from chainrule.ops.random import Integers, Mask, Normal, Uniform

f16, f32, f64 = chainrule.float16, chainrule.float32, chainrule.float64

STATES = [
    (0, 0),
    (42, 3),
    (-1, 2**28 - 1),  # the block's number goes over 32 bits on the way
    (-(2**63), 2**59 + 12345),
    (67280421310721, 511),
]

COUNT = 300  # four groups and a rest; nine groups of pairs and a rest

OPS = [
    Mask((COUNT,), 0.3),
    Mask((COUNT,), 0.0),
    Mask((COUNT,), 1.0),
    Mask((3, 100), 1 - 1e-9),
    Uniform((COUNT,), f32),
    Uniform((COUNT,), f64),
    Normal((COUNT,), f32),
    Normal((COUNT,), f64),
    Integers((COUNT,), int64, -2, 5),
    Integers((COUNT,), int64, 0, 1 << 32),
    Integers((COUNT,), chainrule.int8, -128, 128),
    Integers((COUNT,), f32, -3, 4),
]


def agree(op, got, expected):
    if op.name == "normal" and op.dtype is f64:  # by logarithms and cosines of the machine's own
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-15)
        return
    np.testing.assert_array_equal(got, expected)
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("op", OPS, ids=repr)
def test_an_element_is_that_of_the_reference(op, state):
    memory = np.array(state, np.int64)
    expected = op.reference(memory).reshape(-1)
    seed, offset = (Load("state", Affine(place, ()), int64) for place in (0, 1))
    element = random_element(op, seed, offset, Iota("n", int64))
    got = evaluate_expr(element, [Axis("n", COUNT)], {"state": memory})
    agree(op, got, expected)


@pytest.mark.parametrize("state", STATES[1:3])
@pytest.mark.parametrize("count", [1, 31, 64, 128, COUNT])
@pytest.mark.parametrize("op", OPS, ids=repr)
def test_nests_draw_what_the_reference_draws(op, count, state):
    memory = np.array(state, np.int64)
    fields = {"shape": (count,)}
    for name in ("dtype", "low", "high", "probability"):
        if hasattr(op, name):
            fields[name] = getattr(op, name)
    op = type(op)(**fields)
    expected = op.reference(memory)
    for room in (None, math.ceil(count / 64) * 64):
        nests = random_nests(op, count, "state", "y", room)
        y = np.zeros(room or count, expected.dtype)
        for nest in nests:
            verify_nest(nest, {"state": 2, "y": y.size})
            assert format_nest(parse_nest(format_nest(nest))) == format_nest(nest)
            evaluate(nest, {"state": memory, "y": y})
        agree(op, y[:count], expected)
        assert room is None or len(nests) == 1


def test_what_is_not_drawn_here_is_left_to_the_host():
    for op in (Uniform((2,), f16), Integers((2,), int64, 0, (1 << 32) + 1)):
        assert random_nests(op, 2, "state", "y") is None
