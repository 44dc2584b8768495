"""Nests print as text and are read again, whatever they are made of."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.core.dtypes import ALL, bool_, float16, float32, float64, int64
from chainrule.errors import ChainruleError
from chainrule.ir.nest import Affine, Axis, Call, Iota, Literal, Load, Nest, Reduce, Store
from chainrule.ir.nest_text import format_nest, parse_nest
from chainrule.ir.primitives import PRIMITIVES
from chainrule.ir.verify_nest import verify_nest

LINEAR = """\
nest linear(n: 128, o: 10 | k: 784):
  reads %b f32, %w f32, %x f32
  %y[10 n + o] = add(sum[k](mul(%x[784 n + k], %w[784 o + k])), %b[o])"""

DTYPES = [dtype for dtype in ALL if dtype is not float16]
dtypes = st.sampled_from(DTYPES)
axes = st.sampled_from(["n", "c", "k0", "row"])
affines = st.builds(
    lambda offset, strides: Affine(offset, tuple(strides.items())),
    st.integers(-9, 9),
    st.dictionaries(axes, st.integers(-70, 70).filter(bool), max_size=3),
)


@st.composite
def literals(draw):
    dtype = draw(dtypes)
    if dtype is bool_:
        return Literal(draw(st.booleans()), dtype)
    return Literal(
        draw(st.floats() if dtype.is_floating_point else st.integers(-(2**63), 2**63 - 1)), dtype
    )


def calls(parts):
    return st.builds(
        lambda name, args, dtype: Call(name, tuple(args), dtype),
        st.sampled_from(sorted(PRIMITIVES)),
        st.lists(parts, min_size=1, max_size=3),
        dtypes,
    )


def twice(parts):
    """What is used twice."""
    return parts.map(lambda x: Call("mul", (x, Call("add", (x, x), x.dtype)), x.dtype))


expressions = st.recursive(
    literals()
    | st.builds(Iota, axes, dtypes)
    | st.builds(Load, st.sampled_from(["x", "0", "w.1"]), affines, dtypes),
    lambda parts: (
        calls(parts)
        | twice(parts)
        | st.builds(Reduce, st.sampled_from(["sum", "max", "any"]), parts, st.just(("k0", "c")))
        | st.builds(
            lambda at, dtype, index, stride: Load("x", at, dtype, ((index, stride),)),
            affines,
            dtypes,
            parts,
            st.integers(-9, 9),
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.builds(Store, st.sampled_from(["y", "z"]), affines, expressions), max_size=3))
def test_text_is_a_fixed_point_of_reading_and_writing(stores):
    nest = Nest("any", (Axis("n", 3), Axis("c", 4)), (Axis("k0", 2),), tuple(stores))
    text = format_nest(nest)
    again = parse_nest(text)
    assert format_nest(again) == text
    has_nan = any("nan" in line for line in text.splitlines())
    assert has_nan or again == nest


def test_the_example_of_the_docstring():
    nest = parse_nest(LINEAR)
    verify_nest(nest, {"x": 128 * 784, "w": 7840, "b": 10, "y": 1280})
    assert format_nest(nest) == LINEAR
    assert nest.maps == (Axis("n", 128), Axis("o", 10))
    assert nest.reduces == (Axis("k", 784),)
    assert nest.stores[0].expr.dtype is float32


@pytest.mark.parametrize(
    "header", ["nest a():", "nest a(n: 3):", "nest a(| k: 2):", "nest a(n: 3, m: 1 | k: 2, l: 5):"]
)
def test_headers_of_all_shapes(header):
    assert format_nest(parse_nest(header)) == header


@pytest.mark.parametrize("value", [0.0, -0.0, math.inf, -math.inf, 5e-324, 0.1, 1e300])
def test_literals_are_exact_and_keep_their_sign(value):
    store = Store("y", Affine(0, ()), Literal(value, float64))
    found = parse_nest(format_nest(Nest("a", (), (), (store,)))).stores[0].expr.value
    assert (found, math.copysign(1, found)) == (value, math.copysign(1, value))


def test_zero_and_minus_zero_are_not_taken_for_the_same():
    zeros = [Call("neg", (Literal(zero, float32),), float32) for zero in (0.0, -0.0)]
    expr = Call("add", (*zeros,), float32)
    text = format_nest(Nest("a", (), (), (Store("y", Affine(0, ()), expr),)))
    assert "add(neg(f32(0.0)), neg(f32(-0.0)))" in text


def test_what_is_shared_is_written_once_however_often_it_is_doubled():
    x = Iota("n", int64)
    for _ in range(200):  # spelled out, it would have 2^200 leaves
        x = Call("add", (x, x), int64)
    text = format_nest(Nest("double", (Axis("n", 2),), (), (Store("y", Affine(0, ()), x),)))
    assert len(text.splitlines()) == 201
    assert format_nest(parse_nest(text)) == text


def test_long_chains_are_broken_into_lines():
    x = Iota("n", int64)
    for _ in range(3000):
        x = Call("neg", (x,), int64)
    text = format_nest(Nest("chain", (Axis("n", 2),), (), (Store("y", Affine(0, ()), x),)))
    assert max(map(len, text.splitlines())) < 200
    assert format_nest(parse_nest(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("nest a(n 3):", "no axis like"),
        ("nest a(n: 3):\n  y[n] = f32(1)", "a buffer like"),
        ("nest a(n: 3):\n  %y[n] = %x[n]", "does not say"),
        ("nest a(n: 3):\n  reads %x f99", "a dtype like"),
        ("nest a(n: 3):\n  %y[n] = $1", "not been named"),
        ("nest a(n: 3):\n  %y[n] = wobble(f32(1))", "no primitive 'wobble'"),
        ("nest a(n: 3):\n  %y[n] = i64(1.5)", "a number of int64"),
        ("nest a(n: 3):\n  %y[n] = add(f32(1), f32(2)", "is missing at the end"),
        ("nest a(n: 3):\n  %y[n] = f32(1) f32(2)", "nothing more is expected before 'f32'"),
        ("nest a(n: 3):\n  %y[] = f32(1)", "a place like"),
    ],
)
def test_wrong_text_is_refused_with_a_word_why(text, message):
    with pytest.raises(ChainruleError, match=message):
        parse_nest(text)
