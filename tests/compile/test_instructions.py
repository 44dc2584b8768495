"""Every primitive that a machine has instructions for, against NumPy, value by value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.compile.compiled_primitive import compiled, module_text

from chainrule.compile import vector_math
from chainrule.compile.instructions import emit
from chainrule.compile.llvm_text import Lines, splat
from chainrule.core.dtypes import (
    BOOL,
    FLOAT,
    DType,
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from chainrule.ir.primitives import PRIMITIVES

llvmlite = pytest.importorskip("llvmlite")

FLOATS = (float32, float64)
INTEGERS = (int8, int16, int32, int64, uint8)
EVERY = (bool_, *INTEGERS, *FLOATS)
LANES = (1, 4, 16)


def values(dtype: DType) -> np.ndarray:
    """The ends of the range, what is around zero, and random numbers."""
    if dtype.category == BOOL:
        return np.array([False, True])
    random = np.random.default_rng(1)
    if dtype.category == FLOAT:
        info = np.finfo(dtype.numpy)
        special = [0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 1.0, -1.0, np.inf, -np.inf, np.nan]
        special += [info.max, info.min, info.tiny, info.smallest_subnormal, 2.0**31, 2.0**63]
        return np.concatenate([special, random.normal(0, 100, 30)]).astype(dtype.numpy)
    info = np.iinfo(dtype.numpy)
    special = [0, 1, 2, 3, 7, 8, 15, 31, 63, 64, info.max, info.max - 1, info.min, info.min + 1]
    if dtype.is_signed:
        special += [-1, -2, -7, -64]
    more = random.integers(info.min, info.max, 20, dtype=dtype.numpy)
    return np.concatenate([np.array(special, dtype.numpy), more])


def pairs(dtype: DType) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.meshgrid(values(dtype), values(dtype))
    return a.ravel(), b.ravel()


def agree(got: np.ndarray, want: np.ndarray) -> None:
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """C's division, by Python's integers, wrapped around; 0 where the divisor is."""
    return np.array(
        [
            0 if y == 0 else (abs(int(x)) // abs(int(y))) * (1 if (x < 0) == (y < 0) else -1)
            for x, y in zip(a, b)
        ],
        dtype=object,
    )


def idiv(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return wrapped(quotient(a, b), a.dtype)


def irem(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    whole = quotient(a, b)
    rest = [0 if y == 0 else int(x) - q * int(y) for x, y, q in zip(a, b, whole)]
    return wrapped(np.array(rest, dtype=object), a.dtype)


def wrapped(exact: np.ndarray, dtype: np.dtype) -> np.ndarray:
    width = 2 ** (8 * dtype.itemsize)
    half = width // 2 if dtype.kind == "i" else 0
    return np.array([(int(each) + half) % width - half for each in exact]).astype(dtype)


ORACLES: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "idiv": idiv,
    "irem": irem,
    "neg": np.negative,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "fmin": np.fmin,
    "fmax": np.fmax,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "copysign": np.copysign,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.bitwise_not,
    "shl": np.left_shift,
    "shr": np.right_shift,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}


def test_every_primitive_has_a_test_here_or_is_vector_math():
    elsewhere = {"select", "cast", "bitcast", "fma", *vector_math.ARITIES}
    assert set(ORACLES) | elsewhere == set(PRIMITIVES)
    for name, arity in vector_math.ARITIES.items():
        assert PRIMITIVES[name].arity == arity


@pytest.mark.parametrize("name", sorted(ORACLES))
@pytest.mark.parametrize("lanes", LANES)
def test_it_is_numpy(name: str, lanes: int):
    primitive = PRIMITIVES[name]
    for dtype in EVERY:
        if dtype.category not in primitive.categories:
            continue
        arrays = pairs(dtype)[: primitive.arity]
        result = bool_ if primitive.result == "bool" else dtype
        got = compiled(name, result, (dtype,) * primitive.arity, lanes)(*arrays)
        with np.errstate(all="ignore"):
            agree(got, ORACLES[name](*arrays))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_signs_of_zeros_are_kept(dtype: DType):
    x = np.array([0.0, -0.0, 0.25, -0.25], dtype.numpy)
    for name in ("neg", "abs", "sqrt", "rint", "trunc", "ceil"):
        got = compiled(name, dtype, (dtype,), 4)(x)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(np.signbit(got[:2]), np.signbit(ORACLES[name](x[:2])))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_fma_rounds_once(dtype: DType):
    tiny = np.finfo(dtype.numpy).eps
    a = np.array([1 + tiny], dtype.numpy)
    got = compiled("fma", dtype, (dtype,) * 3, 4)(a, a, -(a * a))
    assert got.tolist() == [tiny * tiny]  # what a * a leaves out


@pytest.mark.parametrize("lanes", LANES)
def test_select_takes_lane_by_lane(lanes: int):
    for dtype in EVERY:
        a, b = pairs(dtype)
        which = np.arange(a.size) % 3 == 0
        got = compiled("select", dtype, (bool_, dtype, dtype), lanes)(which, a, b)
        agree(got, np.where(which, a, b))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("source", EVERY, ids=str)
def test_cast_is_astype_for_what_fits(source: DType, lanes: int):
    for target in EVERY:
        x = values(source)
        if source.category == FLOAT and target.category == 1:
            info = np.iinfo(target.numpy)
            with np.errstate(invalid="ignore"):
                inside = (np.trunc(x) >= info.min) & (x < float(info.max))
            x = x[inside]
        with np.errstate(over="ignore"):
            agree(compiled("cast", target, (source,), lanes)(x), x.astype(target.numpy))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_float_too_great_for_an_integer_becomes_the_nearest(dtype: DType):
    x = np.array([3e9, -3e9, np.inf, -np.inf, np.nan, 1e30], dtype.numpy)
    for target in (int32, int64):
        info = np.iinfo(target.numpy)
        got = compiled("cast", target, (dtype,), 4)(x)
        assert got[2:].tolist() == [info.max, info.min, 0, info.max]
    assert compiled("cast", int32, (dtype,), 4)(x)[:2].tolist() == [2**31 - 1, -(2**31)]


def test_a_float_beyond_a_narrow_integer_wraps_around_as_numpys_does():
    x = np.array([-1.0, 256.0, 300.5, -129.0], np.float32)
    assert compiled("cast", uint8, (float32,), 4)(x).tolist() == [255, 0, 44, 127]
    assert compiled("cast", int8, (float32,), 4)(x).tolist() == [-1, 0, 44, 127]


def test_nan_is_true():
    x = np.array([np.nan, 0.0, -0.0, 1e-45], np.float32)
    assert compiled("cast", bool_, (float32,), 4)(x).tolist() == [True, False, False, True]


@pytest.mark.parametrize(("a", "b"), [(float32, int32), (float64, int64)], ids=str)
def test_bitcast_is_a_view(a: DType, b: DType):
    x = values(a)
    agree(compiled("bitcast", b, (a,), 4)(x), x.view(b.numpy))
    agree(compiled("bitcast", a, (b,), 4)(x.view(b.numpy)), x)


@pytest.mark.parametrize("name", ["min", "max"])
def test_a_known_number_saves_the_test_for_nan(name: str):
    for operands in (["%x", splat(0.5, float32, 8)], [splat(0.5, float32, 8), "%x"]):
        lines = Lines()
        emit(lines, name, float32, operands, [float32, float32], 8)
        assert len(lines.text) == 2  # a comparison and a choice, which x86 has as one
        assert lines.text[0].endswith(", %x")  # the NaN that may come is the second


def test_nothing_is_allowed_to_round_differently():
    flags = {"fast", "nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}
    for name, primitive in PRIMITIVES.items():
        if FLOAT in primitive.categories and primitive.result == "same":
            text = module_text(name, float32, (float32,) * primitive.arity, 8)
            assert not flags & set(text.split()), name
