"""Rewritten products compute what the products did, whatever the model of the processor says.

The model's word is exchanged for chance, so that every way of rewriting is taken; the numbers are
small and whole, so that a sum is the same in any order; the interpreter of nests carries it out.
"""

import copy
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compile.nest_samples import affines, carried_out, loads, memory

from chainrule.compile import blocking
from chainrule.compile.blocking import improve
from chainrule.compile.lowering import Buffer, Lowered
from chainrule.compile.target import Target
from chainrule.core.dtypes import float64
from chainrule.ir.nest import Affine, Axis, Call, Literal, Load, Nest, Reduce, Store
from chainrule.ir.nest_text import parse_nest
from chainrule.ir.verify_nest import verify_nest

AVX2 = Target("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma", 32, 16, True, 2)


def improve_by_chance(lowered, seed):
    """`improve`, with a model of the processor that says anything."""
    chance = random.Random(seed)

    def cost(nest, target, among=None):
        lanes = [axis.name for axis in (*nest.maps, *nest.reduces)]
        return chance.uniform(1, 1000), [(chance.choice(lanes or [""]), {})]

    with pytest.MonkeyPatch.context() as patch:
        always(patch, cost)
        improve(lowered, AVX2)


def always(patch, cost):
    """Try all that there is to try, and believe another model."""
    patch.setattr(blocking, "cost", cost)
    patch.setattr(blocking, "WORTH", 1)
    patch.setattr(blocking, "GOOD", 0.0)
    patch.setattr(blocking, "RUN", 1)


def lowered_of(nests):
    """The nests as a program: what is written is the arena's, what is only read the state's."""
    written = {store.buffer for nest in nests for store in nest.stores}
    buffers = {
        name: Buffer("arena" if name in written else "state", float64, array.size)
        for name, array in memory(nests).items()
    }
    return Lowered(list(nests), buffers, [])


def assert_same(before, lowered):
    """What the nests wrote to the buffers that were there before is what they write now."""
    given = memory(before)
    expected = carried_out(before, given)
    room = {n: np.full(b.size, np.nan) for n, b in lowered.buffers.items() if n not in given}
    after = carried_out(lowered.steps, given | room)
    for name, array in expected.items():
        np.testing.assert_allclose(after[name], array, rtol=1e-13, atol=0, err_msg=name)
    sizes = {name: buffer.size for name, buffer in lowered.buffers.items()}
    for nest in lowered.steps:
        if not nest.sequential:
            verify_nest(nest, sizes)


def copies(lowered):
    """Where %x is put in another order."""
    ordered = [nest for nest in lowered.steps if nest.name == "ordered"]
    return [nest for nest in ordered if [load.buffer for load in loads(nest)] == ["x"]]


# ---- drawn programs --------------------------------------------------------------------------


def whole(nest_sum, bias, kind):
    """What a store writes: the sum, and what is made of it."""
    if kind == "sum":
        return nest_sum
    if kind == "bias":
        return Call("add", (nest_sum, bias), float64)
    return Call("tanh", (Call("mul", (nest_sum, Literal(0.001, float64)), float64),), float64)


@st.composite
def products(draw, index):
    size = draw(st.sampled_from([2, 3, 4]))  # of many axes, so that they are taken for each other
    sizes = st.sampled_from([size, size, size, 2, 6])
    i, o = Axis("i", draw(sizes)), Axis("o", draw(sizes))
    ks = [Axis(f"k{n}", draw(sizes)) for n in range(draw(st.integers(1, 2)))]
    readable = ["a", "b", *[f"y{n}" for n in range(index)]]
    places = [draw(affines([i, *ks], gaps=False)), draw(affines([o, *ks], gaps=False))]
    if draw(st.booleans()):  # the same operand as another product's, perhaps
        places[0] = Affine(draw(st.integers(0, 1)), places[0].strides)
    factors = tuple([Load(draw(st.sampled_from(readable)), at, float64) for at in places])
    total = Reduce("sum", Call("mul", factors, float64), tuple([axis.name for axis in ks]))
    bias = Load("v", Affine(0, (("o", 1),)), float64)
    stores = []
    for count in range(draw(st.integers(1, 2))):
        again = copy.deepcopy(total) if draw(st.booleans()) else total
        kind = draw(st.sampled_from(["sum", "bias", "tanh"]))
        at = draw(affines([i, o], gaps=False))
        name = f"y{index}" if count == 0 else f"z{index}"
        stores.append(Store(name, at, whole(again, bias, kind)))
    maps = tuple(draw(st.permutations([i, o])))
    return Nest("product", maps, tuple(ks), tuple(stores))


@settings(max_examples=150)
@given(data=st.data())
def test_any_way_of_rewriting_gives_the_same(data):
    nests = [data.draw(products(index)) for index in range(data.draw(st.integers(1, 4)))]
    if data.draw(st.booleans()):  # state is written last
        old = Load("a", Affine(0, (("n", 1),)), float64)
        store = Store("a", old.at, Call("add", (old, Literal(1, float64)), float64))
        nests.append(Nest("update", (Axis("n", 4),), (), (store,)))
    lowered = lowered_of(nests)
    improve_by_chance(lowered, data.draw(st.integers(0, 10_000)))
    assert_same(nests, lowered)


# ---- operands in order -----------------------------------------------------------------------

CUBE = """nest first(i: 4, o: 4 | j: 4, k: 4):
  reads %x f64, %w f64
  %y[4 i + o] = sum[j, k](mul(%x[{x}], %w[16 o + j + 4 k]))"""


def cube(at, name="y"):
    nest = parse_nest(CUBE.format(x=at))
    (store,) = nest.stores
    return Nest(nest.name, nest.maps, nest.reduces, (Store(name, store.at, store.expr),))


@pytest.fixture
def copying(monkeypatch):
    """`improve`, where a copy of %x with a certain axis innermost always pays."""

    def run(nests, *last):
        lowered = lowered_of(nests)
        wanted = list(last)

        def cost(nest, target, among=None):
            reads = [load for load in loads(nest) if load.buffer.startswith("ordered")]
            if nest.name == "ordered":
                return 0.0, [("", {})]
            good = [load for load in reads if load.at.stride(wanted[0]) == 1 and nest.reduces]
            return (1.0 if good else 100.0), [("", {})]

        always(monkeypatch, cost)
        taken = blocking._Improving._take

        def take(self, variant, reduce):
            taken(self, variant, reduce)
            wanted.append(wanted.pop(0))

        monkeypatch.setattr(blocking._Improving, "_take", take)
        improve(lowered, AVX2)
        assert_same(nests, lowered)
        return lowered

    return run


def test_products_of_the_same_operand_share_a_copy(copying):
    lowered = copying([cube("k + 4 j + 16 i"), cube("k + 4 j + 16 i", "z")], "j")
    assert len(copies(lowered)) == 1
    lowered = copying([cube("k + 4 j + 16 i"), cube("k + 4 i + 16 j", "z")], "j", "i")
    assert len(copies(lowered)) <= 2


def test_axes_of_one_size_are_not_taken_for_each_other(copying):
    lowered = copying([cube("k + 4 j + 16 i"), cube("k + 4 j + 16 i", "z")], "j", "i")
    assert len(copies(lowered)) == 2


def test_another_place_in_the_buffer_is_another_copy(copying):
    lowered = copying([cube("k + 4 j + 16 i"), cube("k + 4 j + 16 i + 64", "z")], "j")
    assert len(copies(lowered)) == 2


def test_a_buffer_that_is_written_twice_is_never_copied(copying):
    fill = [
        Nest(
            "fill", (Axis("n", 64),), (), (Store("x", Affine(0, (("n", 1),)), Literal(n, float64)),)
        )
        for n in (1, 2)
    ]
    nests = [fill[0], cube("k + 4 j + 16 i"), fill[1], cube("k + 4 j + 16 i", "z")]
    assert not copies(copying(nests, "j"))


def test_overlapping_windows_are_not_copied(copying):
    assert not copies(copying([cube("k + j + 8 i")], "j"))


# ---- sums in parts, and what comes after -----------------------------------------------------


def a_product(rows=64, columns=64, inner=64, *, stores=1):
    load = Load("x", Affine(0, (("i", inner), ("k", 1))), float64)
    other = Load("w", Affine(0, (("k", columns), ("o", 1))), float64)
    body = Call("mul", (load, other), float64)
    at = Affine(0, (("i", columns), ("o", 1)))
    made = [
        Store(f"y{n}", at, Call("mul", (Reduce("sum", body, ("k",)), Literal(n, float64)), float64))
        for n in range(1, 1 + stores)
    ]
    maps = (Axis("i", rows), Axis("o", columns))
    return Nest("product", maps, (Axis("k", inner),), tuple(made))


def in_parts(monkeypatch, nest):
    """`improve`, where sums in parts always pay."""

    def cost(nest, target, among=None):
        return (1.0 if nest.name == "part" else 1000.0), [("o", {})]

    always(monkeypatch, cost)
    lowered = lowered_of([nest])
    improve(lowered, AVX2)
    assert_same([nest], lowered)
    return lowered


@pytest.mark.parametrize("stores", [1, 2])
def test_a_sum_in_parts_is_the_sum(monkeypatch, stores):
    # Of two stores each has a reduction of its own that says the same: both are exchanged.
    lowered = in_parts(monkeypatch, a_product(5, 6, 128, stores=stores))
    assert [nest.name for nest in lowered.steps] == ["zero", "part", "product"]
    (outer,) = lowered.steps[1].sequential
    assert lowered.steps[1].maps[0].name == outer
    assert not lowered.steps[2].reduces


def test_a_sum_of_a_prime_number_of_steps_stays_whole(monkeypatch):
    lowered = in_parts(monkeypatch, a_product(3, 4, 67))
    sizes = [axis.size for nest in lowered.steps for axis in nest.reduces]
    assert sizes in ([67], [1])


def test_a_small_product_is_left_alone():
    lowered = lowered_of([a_product(8, 8, 8)])
    improve(lowered, AVX2)
    assert len(lowered.steps) == 1


def test_large_products_are_rewritten_by_the_real_model_and_stay_the_same():
    nests = [a_product(160, 96, 256)]
    at = Affine(0, (("o", 512), ("k", 1)))
    load = Load("x", Affine(0, (("i", 512), ("k", 1))), float64)
    body = Call("mul", (load, Load("w", at, float64)), float64)
    store = Store("z", Affine(0, (("i", 48), ("o", 1))), Reduce("sum", body, ("k",)))
    nests.append(Nest("linear", (Axis("i", 32), Axis("o", 48)), (Axis("k", 512),), (store,)))
    lowered = lowered_of(nests)
    improve(lowered, AVX2)
    assert_same(nests, lowered)
