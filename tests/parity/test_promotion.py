"""Mixed dtypes: every pair, as tensors, zero-dimensional tensors and Python numbers."""

import itertools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule

torch = pytest.importorskip("torch")

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
)  # fmt: skip
KINDS = ("tensor", "0-d", "number")
NUMBERS = {"bool": True, "int64": 3, "float32": 2.5}


def operand(library, dtype: str, kind: str):
    if kind == "number":
        return NUMBERS[dtype]
    shape = (2,) if kind == "tensor" else ()
    return library.ones(shape, dtype=getattr(library, dtype))


def operands() -> list[tuple[str, str]]:
    return [(dtype, kind) for kind in KINDS for dtype in (NUMBERS if kind == "number" else DTYPES)]


PAIRS = [
    (a, b)
    for a, b in itertools.product(operands(), operands())
    if "number" not in (a[1], b[1]) or a[1] != b[1]
]


def name_of(dtype: object) -> str:
    return str(dtype).rpartition(".")[2]


@pytest.mark.parametrize("function", [operator.add, operator.mul, operator.truediv])
def test_the_dtype_and_value_of_a_result(function):
    for (a_dtype, a_kind), (b_dtype, b_kind) in PAIRS:
        theirs = function(operand(torch, a_dtype, a_kind), operand(torch, b_dtype, b_kind))
        ours = function(operand(chainrule, a_dtype, a_kind), operand(chainrule, b_dtype, b_kind))
        what = f"{a_dtype} {a_kind}, {b_dtype} {b_kind}"
        assert name_of(ours.dtype) == name_of(theirs.dtype), what
        assert ours.shape == tuple(theirs.shape), what
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, err_msg=what)


def test_result_type():
    for (a_dtype, a_kind), (b_dtype, b_kind) in PAIRS:
        theirs = torch.result_type(operand(torch, a_dtype, a_kind), operand(torch, b_dtype, b_kind))
        ours = chainrule.result_type(
            operand(chainrule, a_dtype, a_kind), operand(chainrule, b_dtype, b_kind)
        )
        assert name_of(ours) == name_of(theirs), (a_dtype, a_kind, b_dtype, b_kind)


def test_promote_types_and_can_cast():
    for a, b in itertools.product(DTYPES, DTYPES):
        ours, theirs = (
            [getattr(library, name) for name in (a, b)] for library in (chainrule, torch)
        )
        assert name_of(chainrule.promote_types(*ours)) == name_of(torch.promote_types(*theirs))
        assert chainrule.can_cast(*ours) == torch.can_cast(*theirs), (a, b)


@pytest.mark.parametrize("default", ["float16", "float32", "float64"])
def test_the_default_dtype_decides_where_floats_come_in(default: str):
    libraries = (chainrule, torch)
    try:
        for library in libraries:
            library.set_default_dtype(getattr(library, default))
        for dtype, number in itertools.product(DTYPES, (2, 2.5)):
            for shape in ((), (3,)):
                ours, theirs = (
                    library.ones(shape, dtype=getattr(library, dtype)) * number
                    for library in libraries
                )
                assert name_of(ours.dtype) == name_of(theirs.dtype)
        assert name_of((chainrule.tensor([1, 2]) / 2).dtype) == default
        assert name_of(chainrule.tensor(1.5).dtype) == default
    finally:
        for library in libraries:
            library.set_default_dtype(library.float32)


@pytest.mark.parametrize("number", [np.float32(1.5), np.float64(1.5), np.int64(2)])
def test_numpy_scalars_count_as_numbers(number):
    for dtype in ("int32", "float16", "float32", "float64"):
        ours = chainrule.ones(2, dtype=getattr(chainrule, dtype)) * number
        theirs = torch.ones(2, dtype=getattr(torch, dtype)) * number
        assert name_of(ours.dtype) == name_of(theirs.dtype), dtype


@given(
    st.lists(st.sampled_from(operands()), min_size=2, max_size=4).filter(
        lambda chosen: any(kind != "number" for _, kind in chosen)
    )
)
def test_where_and_addition_chains_agree(chosen: list[tuple[str, str]]):
    """The promotion of a chain is PyTorch's at each step."""
    tensors_first = sorted(chosen, key=lambda each: each[1] == "number")
    results = []
    for library in (chainrule, torch):
        total = operand(library, *tensors_first[0])
        for each in tensors_first[1:]:
            total = total * operand(library, *each)
        results.append(name_of(total.dtype))
    assert results[0] == results[1]
