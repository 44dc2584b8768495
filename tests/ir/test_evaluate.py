"""The interpreter of nests, against NumPy's own ways of computing the same."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.dtypes import BY_NUMPY, float32, float64, int8, int32, int64, uint8
from chainrule.errors import ChainruleError
from chainrule.ir.evaluate import evaluate, evaluate_expr
from chainrule.ir.nest import Affine, Axis, Call, Literal, Load, Reduce
from chainrule.ir.nest_text import parse_nest

RANDOM = np.random.default_rng(0)
N = Affine(0, (("n", 1),))


def apply(name, *arrays, dtype=None):
    loads = tuple(Load(f"x{i}", N, BY_NUMPY[x.dtype]) for i, x in enumerate(arrays))
    expr = Call(name, loads, dtype or loads[-1].dtype)
    return evaluate_expr(
        expr, [Axis("n", arrays[0].size)], {f"x{i}": x for i, x in enumerate(arrays)}
    )


def test_a_matrix_product_with_a_bias():
    x, w, b = (RANDOM.standard_normal(s).astype(np.float32) for s in ((3, 5), (4, 5), 4))
    y = np.zeros((3, 4), np.float32)
    nest = parse_nest(
        "nest linear(n: 3, o: 4 | k: 5):\n  reads %b f32, %w f32, %x f32\n"
        "  %y[4 n + o] = add(sum[k](mul(%x[5 n + k], %w[5 o + k])), %b[o])"
    )
    evaluate(nest, {"x": x, "w": w, "b": b, "y": y})
    np.testing.assert_allclose(y, x @ w.T + b, rtol=1e-5)


def test_a_reduction_inside_another_over_the_same_axis():
    x, y = RANDOM.standard_normal((3, 5)), np.zeros(3)
    nest = parse_nest(
        "nest logsumexp(n: 3 | k: 5):\n  reads %x f64\n  $1 = max[k](%x[5 n + k])\n"
        "  %y[n] = add(log(sum[k](exp(sub(%x[5 n + k], $1)))), $1)"
    )
    evaluate(nest, {"x": x, "y": y})
    np.testing.assert_allclose(y, np.log(np.exp(x).sum(1)), rtol=1e-12)


def test_a_place_found_at_run_time():
    table, index = RANDOM.standard_normal((6, 2)), np.array([5, 0, 5])
    y = np.zeros((3, 2))
    nest = parse_nest(
        "nest gather(n: 3, c: 2):\n  reads %i i64, %t f64\n  %y[2 n + c] = %t[c; 2 %i[n]]"
    )
    evaluate(nest, {"t": table, "i": index, "y": y})
    np.testing.assert_array_equal(y, table[index])


def test_all_loads_come_before_all_stores():
    x = np.arange(4.0)
    nest = parse_nest("nest swap(n: 1):\n  reads %x f64\n  %x[n] = %x[n + 3]\n  %x[n + 3] = %x[n]")
    evaluate(nest, {"x": x})
    np.testing.assert_array_equal(x, [3, 1, 2, 0])


def test_reductions_of_every_kind_and_of_nothing():
    x = np.array([[2, -3], [5, 7]], np.int32)
    for kind, whole, nothing in (
        ("sum", [-1, 12], 0),
        ("product", [-6, 35], 1),
        ("max", [2, 7], -(2**31)),
        ("min", [-3, 5], 2**31 - 1),
    ):
        load = Load("x", Affine(0, (("n", 2), ("k", 1))), int32)
        axes = [Axis("n", 2), Axis("k", 2)]
        got = evaluate_expr(Reduce(kind, load, ("k",)), axes, {"x": x})
        assert got.reshape(-1).tolist() == whole
        got = evaluate_expr(Reduce(kind, load, ("k",)), [axes[0], Axis("k", 0)], {"x": x})
        assert got.reshape(-1).tolist() == [nothing] * 2


def test_sums_of_float32_are_exact_before_they_are_rounded():
    x = np.array([1e8, 1, -1e8, 1], np.float32)
    load = Load("x", Affine(0, (("k", 1),)), float32)
    assert evaluate_expr(Reduce("sum", load, ("k",)), [Axis("k", 4)], {"x": x}).item() == 2


def test_a_literal_alone_is_everywhere():
    y = np.zeros((2, 3), np.float32)
    evaluate(parse_nest("nest fill(n: 2, m: 3):\n  %y[3 n + m] = f32(0.1)"), {"y": y})
    np.testing.assert_array_equal(y, np.float32(0.1))


def test_a_buffer_that_is_not_contiguous_is_refused():
    nest = parse_nest("nest a(n: 2):\n  %y[n] = f64(1.0)")
    with pytest.raises(ChainruleError, match="not contiguous"):
        evaluate(nest, {"y": np.zeros((4, 4))[:, 0]})


def test_integer_division_is_that_of_c_and_never_traps():
    least = np.iinfo(np.int32).min
    a = np.array([7, -7, 7, -7, 5, least, least], np.int32)
    b = np.array([2, 2, -2, -2, 0, -1, 0], np.int32)
    assert apply("idiv", a, b).tolist() == [3, -3, -3, 3, 0, least, 0]
    assert apply("irem", a, b).tolist() == [1, -1, 1, -1, 0, 0, 0]


def test_casts_saturate_where_numpy_leaves_it_open():
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 2.9, -2.9])
    top, bottom = 2**31 - 1, -(2**31)
    assert apply("cast", x, dtype=int32).tolist() == [0, top, bottom, top, bottom, 2, -2]
    top, bottom = 2**63 - 1, -(2**63)
    wide = [0, top, bottom, 3 * 10**9, -3 * 10**9, 2, -2]
    assert apply("cast", x, dtype=int64).tolist() == wide
    assert apply("cast", np.array([300.0, -1.0]), dtype=uint8).tolist() == [44, 255]
    assert apply("cast", np.array([300, -129]), dtype=int8).tolist() == [44, 127]


def test_bits_are_kept_by_a_bitcast():
    x = np.array([1.0, -0.0], np.float32)
    assert apply("bitcast", x, dtype=int32).tolist() == [0x3F800000, -(2**31)]


def test_the_error_function():
    x = np.array([0.5, -2.0, np.inf])
    assert apply("erf", x).tolist() == [math.erf(each) for each in x]
    assert apply("erfc", x).tolist() == [math.erfc(each) for each in x]


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(numbers, numbers, numbers)
def test_fma_rounds_once(a, b, c):
    arrays = [np.array([each], np.float32) for each in (a, b, c)]
    got = apply("fma", *arrays, dtype=float32).item()
    exact = np.longdouble(a) * np.longdouble(b)  # 48 bits: exact in 64, but the sum may not be
    if exact == 0 or c == 0 or 2**-10 < abs(exact / c) < 2**10:
        with np.errstate(over="ignore"):
            assert got == np.float32(exact + np.longdouble(c))


def test_fma_of_float64_and_of_infinities():
    a = np.array([1 + 2**-52, np.inf, 1e308, 0.0])
    b = np.array([1 - 2**-52, 0.0, 1e308, -1.0])
    c = np.array([-1.0, 1.0, 0.0, 0.0])
    got = apply("fma", a, b, c, dtype=float64)
    np.testing.assert_array_equal(got, [-(2.0**-104), np.nan, np.inf, 0.0])


def test_an_expression_keeps_its_literals_dtype():
    got = evaluate_expr(Literal(1e39, float32), [Axis("n", 2)], {})
    np.testing.assert_array_equal(got, np.full(2, np.inf, np.float32))
