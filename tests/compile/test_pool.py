"""The numbered expressions of a nest: what is one, what is apart, what depends on which axis."""

import pytest
from hypothesis import given
from tests.compile.nest_samples import nests

from chainrule.compile.pool import Pool, places
from chainrule.core.dtypes import float32, float64, int64
from chainrule.ir.nest import Affine, Axis, Call, Iota, Literal, Load, Nest, Reduce, Store
from chainrule.ir.nest_text import format_nest, parse_nest

N = Affine(0, (("n", 1),))
X = Load("x", N, float32)


def pool(*exprs, reduces=()):
    stores = tuple([Store(f"y{i}", N, expr) for i, expr in enumerate(exprs)])
    return Pool(Nest("some", (Axis("n", 4),), reduces, stores))


def neg(x):
    return Call("neg", (x,), x.dtype)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Literal(0.0, float32), Literal(-0.0, float32)),
        (Literal(1.0, float32), Literal(1.0, float64)),
        (X, Load("w", N, float32)),
        (X, Load("x", Affine(1, N.strides), float32)),
        (X, Load("x", Affine(0, (("n", 2),)), float32)),
        (Iota("n", int64), Iota("m", int64)),
        (neg(X), Call("abs", (X,), float32)),
        (Call("cast", (X,), float64), Call("cast", (X,), int64)),
        (
            Load("t", N, float32, ((Literal(1, int64), 2),)),
            Load("t", N, float32, ((Literal(1, int64), 3),)),
        ),
        (
            Load("t", N, float32, ((Literal(1, int64), 2),)),
            Load("t", N, float32, ((Literal(2, int64), 2),)),
        ),
        (Reduce("sum", X, ("n",)), Reduce("max", X, ("n",))),
        (Call("sub", (X, neg(X)), float32), Call("sub", (neg(X), X), float32)),
    ],
)
def test_what_differs_is_apart(one, other):
    assert len(set(pool(one, other).roots)) == 2


def test_what_is_alike_is_one():
    made = pool(neg(Load("x", N, float32)), neg(neg(Load("x", N, float32))))
    assert [type(each).__name__ for each in made.exprs] == ["Load", "Call", "Call"]
    assert made.roots == [1, 2]
    assert made.parts == [(), (0,), (1,)]


def test_nan_is_like_itself():
    nan = float("nan")
    assert len(pool(Literal(nan, float32), Literal(-nan, float32)).exprs) == 1


def test_a_reduction_does_not_depend_on_its_axes():
    body = Load("x", Affine(0, (("n", 3), ("k", 1))), float32)
    made = pool(neg(Reduce("sum", neg(body), ("k",))), reduces=(Axis("k", 3),))
    assert made.axes == [{"n", "k"}, {"n", "k"}, {"n"}, {"n"}]
    assert made.reduces() == [2]
    assert made.inside(3) == [2, 3]  # without the reduction's body
    assert made.inside(1) == [0, 1]


def test_a_place_found_at_run_time_depends_on_what_finds_it():
    index = Load("i", Affine(0, (("m", 1),)), int64)
    made = pool(Load("t", N, float32, ((index, 4),)))
    assert made.axes[made.roots[0]] == {"n", "m"}


def test_expressions_may_be_deep():
    expr = X
    for _ in range(20_000):
        expr = neg(expr)
    made = pool(expr)
    assert made.roots == [20_000]
    assert len(made.inside(made.roots[0])) == 20_001


def test_shared_parts_are_not_walked_again_and_again():
    expr = X
    for _ in range(200):
        expr = Call("add", (expr, expr), float32)
    assert len(pool(expr).exprs) == 201


@given(nests())
def test_parts_come_before_the_whole_and_say_the_same(nest):
    made = Pool(nest)
    assert all(part < number for number, parts in enumerate(made.parts) for part in parts)
    assert len({(repr(e), p) for e, p in zip(made.exprs, made.parts)}) == len(made.exprs)
    again = Nest(
        nest.name,
        nest.maps,
        nest.reduces,
        tuple([Store(s.buffer, s.at, made.exprs[r]) for s, r in zip(nest.stores, made.roots)]),
    )
    assert format_nest(again) == format_nest(parse_nest(format_nest(nest)))
    assert {store.at for store in nest.stores} <= set(places(nest, made))
