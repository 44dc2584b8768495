"""The scalar meaning of every elementwise op agrees with the op's NumPy reference.

Bit for bit where the reference's operations are exact or NumPy's own functions; within a few units
in the last place where the meaning takes another way.
"""

import itertools

import numpy as np
import pytest

import chainrule
import chainrule.nn.functional
from chainrule.compile.instructions import emit
from chainrule.compile.llvm_text import Lines
from chainrule.compile.scalars import CHECKS, NOT_LOWERED, SCALARS, check, scalar
from chainrule.core.dtypes import ALL, BY_NUMPY, bool_, float16, float32, int32
from chainrule.core.families import Elementwise
from chainrule.core.op import registry
from chainrule.core.samples import samples_of
from chainrule.core.types import TensorType
from chainrule.errors import ChainruleError, DTypeError
from chainrule.ir.evaluate import evaluate
from chainrule.ir.nest import Affine, Axis, Load, Nest, Store
from chainrule.ir.nest_text import format_nest, parse_nest
from chainrule.ir.primitives import PRIMITIVES
from chainrule.ir.verify_nest import verify_nest
from chainrule.nn.functional.binary_cross_entropy import Probability
from chainrule.nn.functional.class_targets import ClassIndex
from chainrule.ops.division import Remainder
from chainrule.ops.powers import PowNumber
from chainrule.ops.promotion import Cast

assert chainrule.nn.functional

ELEMENTWISE = sorted(name for name, op in registry.items() if issubclass(op, Elementwise))
DTYPES = [dtype for dtype in ALL if dtype is not float16]

ULPS = {
    "erf": 8,  # the reference's float32 has 6
    "erfc": 4,
    "gelu": 4,
    "hypot": 2,
    "logaddexp": 2,
    "pow_number": 2,
}
"""How far a result may be from the reference's, in units in the last place; 0 unless listed."""

ON_THE_HOST = {("div_floor", "f"), ("fmod", "f"), ("remainder", "f")}
"""Meanings that are missing for a kind of dtype though the reference has a result for it."""

MADE_FLOAT_BEFORE = (
    "acos acosh asin asinh atan atan2 atanh copysign cos cosh div elu erf erfc exp exp2 expm1 "
    "gelu gelu_tanh hardshrink hardsigmoid hardswish hardtanh hypot leaky_relu log log10 log1p "
    "log2 logaddexp logit logsigmoid mish prelu probability reciprocal rsqrt sigmoid silu sin "
    "sinc sinh softplus softshrink softsign sqrt tan tanh tanhshrink threshold xlogy"
)
"""Ops that are handed floats only: what stands in front of them converts integers first."""

MADE_NUMBERS_BEFORE = {"lerp", "pow_number", "relu"}
"""Ops that are handed no bools."""

NASTY = {
    "f": [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 20.5, -104.0, 1e-3, 1e38],
    "i": [0, 1, -1, 2, 3, -7, 100],
    "u": [0, 1, 2, 3, 7, 100],
    "b": [False, True],
}


def nasty(dtype):
    values = np.array(NASTY[dtype.kind], dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        ends = [limits.min, limits.min + 1, limits.max]
        return np.concatenate([values, np.array(ends, dtype)])
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        ends = [limits.tiny, limits.smallest_subnormal, limits.max, -limits.max]
        return np.concatenate([values, np.array(ends, dtype)])
    return values


def converted(array, dtype):
    if array.dtype.kind == "f" and dtype.kind in "iu":
        whole = np.round(np.nan_to_num(array, posinf=5, neginf=-5) * 3)
        return (np.abs(whole) if dtype.kind == "u" else whole).astype(dtype)
    return array > 0 if dtype.kind == "b" else array.astype(dtype)


def nest_of(op, inputs):
    """The nest that applies an op to (broadcast) inputs, or None if it is not lowered."""
    types = [TensorType(x.shape, BY_NUMPY[x.dtype]) for x in inputs]
    result = op.type_rule(*types)
    axes = [Axis(f"d{i}", size) for i, size in enumerate(result.shape)]

    def place(shape):
        strides, step = [], 1
        for axis, size in zip(reversed(axes), reversed(shape), strict=False):
            if size > 1:
                strides.append((axis.name, step))
            step *= size
        return Affine(0, tuple(reversed(strides)))

    loads = tuple(Load(f"x{i}", place(each.shape), each.dtype) for i, each in enumerate(types))
    expr = scalar(op, loads, result.dtype)
    if expr is None:
        return None, result
    assert expr.dtype is result.dtype
    return Nest(op.name, tuple(axes), (), (Store("y", place(result.shape), expr),)), result


def meant(op, inputs):
    """What the scalar meaning makes of inputs, by the interpreter of nests; None: not lowered."""
    nest, result = nest_of(op, inputs)
    if nest is None:
        return None
    verify_nest(nest, {"y": result.size, **{f"x{i}": x.size for i, x in enumerate(inputs)}})
    y = np.zeros(result.shape, result.dtype.numpy)
    buffers = {f"x{i}": np.ascontiguousarray(x) for i, x in enumerate(inputs)}
    evaluate(nest, {**buffers, "y": y})
    return y


def assert_same(got, expected, ulps, context="", least=0.0):
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype, context
    assert got.shape == expected.shape, context
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, expected, context)
        return
    if ulps == 0:
        np.testing.assert_array_equal(got, expected, context)
        same_sign = (np.signbit(got) == np.signbit(expected)) | np.isnan(expected)
        assert same_sign.all(), context
        return
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite], context)
    size = np.abs(expected[finite])
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(got[finite] - expected[finite])
        assert (distance <= ulps * np.spacing(np.maximum(size, least))).all(), context


def in_dtype(op, inputs, dtype):
    """The inputs in a dtype; masks and conditions stay what they are."""
    flags = {"condition", "mask"}
    return [
        x if name in flags else converted(x, dtype.numpy)
        for name, x in zip(op.operands, inputs, strict=True)
    ]


def compare(op, inputs, dtype):
    """Compare, unless the op does not take such inputs."""
    if dtype.category < 2 and op.name in MADE_FLOAT_BEFORE.split():
        return
    if dtype.category < 2 and op.name == "pow_number" and op.exponent not in range(100):
        return
    try:
        result = op.type_rule(*[TensorType(x.shape, BY_NUMPY[x.dtype]) for x in inputs])
        with np.errstate(all="ignore"):
            expected = np.asarray(op.reference(*inputs))
    except (DTypeError, TypeError):
        return
    if expected.dtype != result.dtype.numpy:
        return  # `exp` of integers, say: the function in front of the op sees to it that none come
    got = meant(op, inputs)
    if got is None:
        assert (
            op.name in NOT_LOWERED
            or (op.name, dtype.numpy.kind) in ON_THE_HOST
            or (op.name in MADE_NUMBERS_BEFORE and dtype.category < 1)
        )
        return
    least = 1.0 if op.name == "logaddexp" else 0.0  # there, terms around 1 may cancel
    assert_same(got, expected, ULPS.get(op.name, 0), f"{op} {dtype}", least)


def test_every_elementwise_op_has_a_meaning_or_a_reason_to_have_none():
    assert set(ELEMENTWISE) == (set(SCALARS) | set(NOT_LOWERED)) - {"cast"}
    assert not set(SCALARS) & set(NOT_LOWERED)
    assert all(NOT_LOWERED.values())
    assert set(CHECKS) <= set(SCALARS)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.short)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_meaning_agrees_with_the_reference_on_the_samples(name, dtype):
    for sample in samples_of(registry[name]):
        inputs = in_dtype(sample.op, sample.inputs, dtype)
        if name in CHECKS and len(inputs) == 2 and dtype.category < 2:
            inputs[1] = np.where(inputs[1] == 0, np.array(1, inputs[1].dtype), inputs[1])
        if name == "probability":
            inputs = [np.clip(inputs[0], 0, 1)]
        if name == "class_index":
            inputs = list(sample.inputs)
        compare(sample.op, inputs, dtype)


def nasty_inputs(name, op, dtype):
    """Every combination of nasty numbers, but for those that the reference refuses."""
    values = nasty(dtype.numpy)
    lists = [
        np.array([False, True]) if operand in ("condition", "mask") else values
        for operand in op.operands
    ]
    inputs = [np.array(each) for each in zip(*itertools.product(*lists), strict=True)]
    keep = np.ones(inputs[0].shape, bool)
    if name in CHECKS and len(inputs) == 2 and dtype.category < 2:
        keep = inputs[1] != 0
    if name == "pow" and dtype.numpy.kind == "i":
        keep = inputs[1] != np.iinfo(dtype.numpy).min  # it has no absolute value
    if name == "probability":
        keep = ~((inputs[0] < 0) | (inputs[0] > 1))
    return [each[keep] for each in inputs]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.short)
@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "class_index"])
def test_a_meaning_agrees_with_the_reference_on_nasty_numbers(name, dtype):
    ops = {repr(sample.op): sample.op for sample in samples_of(registry[name])}
    for op in ops.values():
        compare(op, nasty_inputs(name, op, dtype), dtype)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 5, 7, 64, 0.5, -0.5, -1, -2, -3, 1.5, 0.25])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.short)
def test_powers_of_all_kinds(exponent, dtype):
    if dtype.category < 2 and (exponent < 0 or exponent != int(exponent)):
        pytest.skip("refused by pow")
    op = PowNumber(exponent)
    compare(op, [nasty(dtype.numpy)], dtype)
    if dtype.category == 2:
        spread = np.concatenate([10.0 ** np.linspace(-30, 30, 997), np.linspace(0.1, 9, 1000)])
        compare(op, [spread.astype(dtype.numpy)], dtype)


def test_integers_have_no_negative_powers():
    for exponent in (-1, -2, 0.5, 2.5):
        assert nest_of(PowNumber(exponent), [np.arange(3)])[0] is None


@pytest.mark.parametrize("target", DTYPES, ids=lambda dtype: dtype.short)
@pytest.mark.parametrize("source", DTYPES, ids=lambda dtype: dtype.short)
def test_casts(source, target):
    x = nasty(source.numpy)
    if source.category == 2 and target.category == 1:
        x = np.array([0.0, -0.0, 0.9, 1.5, 100.7] + [-0.9, -100.7] * target.is_signed, x.dtype)
    with np.errstate(all="ignore"):
        expected = x.astype(target.numpy)
    assert_same(meant(Cast(target), [x]), expected, 0)


@pytest.mark.parametrize("decimals", [1, 3, -1, -2, 40, 400, -40])
@pytest.mark.parametrize("dtype", [chainrule.float32, chainrule.float64])
def test_rounding_to_decimals(decimals, dtype):
    x = np.concatenate([nasty(dtype.numpy), np.linspace(-300, 300, 1001).astype(dtype.numpy)])
    op = registry["round"](decimals)
    with np.errstate(all="ignore"):
        expected = op.reference(x)
    assert_same(meant(op, [x]), expected, 0 if abs(decimals) < 23 else 1)


def test_hypot_neither_overflows_nor_vanishes():
    for kind in (np.float32, np.float64):
        limits = np.finfo(kind)
        sides = np.array([limits.max / 2, limits.tiny, limits.smallest_subnormal * 8, 3e5], kind)
        a, b = (each.reshape(-1) for each in np.meshgrid(sides, sides))
        with np.errstate(all="ignore"):
            expected = np.hypot(a, b)
        assert_same(meant(registry["hypot"](), [a, b]), expected, 2)


def test_float16_is_left_to_the_host():
    assert nest_of(registry["add"](), [np.ones(3, np.float16)] * 2)[0] is None
    assert nest_of(Cast(float16), [np.ones(3, np.float32)])[0] is None


def test_integers_divided_by_zero_give_zero_as_in_numpy():
    a, zero = np.array([5, -5, 0], np.int32), np.zeros(3, np.int32)
    for name in ("div_floor", "div_trunc", "fmod", "remainder"):
        np.testing.assert_array_equal(meant(registry[name](), [a, zero]), 0)


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        (Probability(), [np.array([0.0, 1.0, np.nan, 1.5, -1e-9])]),
        (ClassIndex(3, -100), [np.array([0, 2, 3, -1, -100])]),
        (ClassIndex(3), [np.array([0, 2, 3, -1, -100])]),
        (Remainder(), [np.array([1, 2]), np.array([0, 3])]),
        (Remainder(), [np.array([1.0, 2.0]), np.array([0.0, 3.0])]),
    ],
)
def test_a_check_fails_where_the_reference_refuses(op, inputs):
    loads = tuple(
        Load(f"x{i}", Affine(0, (("n", 1),)), BY_NUMPY[x.dtype]) for i, x in enumerate(inputs)
    )
    expr = check(op, loads)
    n = inputs[0].size
    passes = np.ones(n, bool)
    if expr is not None:
        nest = Nest("check", (Axis("n", n),), (), (Store("y", Affine(0, (("n", 1),)), expr),))
        evaluate(nest, {**{f"x{i}": x for i, x in enumerate(inputs)}, "y": passes})
    for i in range(n):
        try:
            with np.errstate(all="ignore"):
                op.reference(*[x[i : i + 1] for x in inputs])
            refused = False
        except ChainruleError:
            refused = True
        assert refused != passes[i]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_meaning_survives_its_text(name):
    for sample in samples_of(registry[name])[:4]:
        for kind in (chainrule.float32, chainrule.int64):
            inputs = in_dtype(sample.op, sample.inputs, kind)
            try:
                nest, _ = nest_of(sample.op, inputs)
            except DTypeError:
                continue
            if nest is not None:
                text = format_nest(nest)
                assert format_nest(parse_nest(text)) == text


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_code_is_written_for_every_primitive(name):
    primitive = PRIMITIVES[name]
    for dtype in (float32, int32, bool_):
        if dtype.category not in primitive.categories:
            continue
        kinds = [dtype] * primitive.arity
        if primitive.result == "select":
            kinds[0] = bool_
        result = bool_ if primitive.result == "bool" else dtype
        lines = Lines()
        register = emit(lines, name, result, ["%a", "%b", "%c"][: len(kinds)], kinds, 8)
        assert register.startswith("%"), (name, dtype, lines.text)
