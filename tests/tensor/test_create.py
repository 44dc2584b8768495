"""Tensors out of numbers: what is filled with what, in which dtype, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError, DTypeError, OpError, ShapeError


def test_new_tensors_have_the_dtype_of_the_one_they_are_asked_of() -> None:
    x = cr.ones(2, dtype=cr.float64)
    made = [
        (x.new_tensor([[1, 2]]), (1, 2), [1, 2]),
        (x.new_full((2, 2), 3), (2, 2), [3] * 4),
        (x.new_zeros(2, 3), (2, 3), [0] * 6),
        (x.new_ones((3,)), (3,), [1] * 3),
    ]
    for y, shape, elements in made:
        assert (y.dtype, y.shape) == (cr.float64, shape)
        assert y.flatten().tolist() == elements
    assert (x.new_empty(2, 5).dtype, x.new_empty(2, 5).shape) == (cr.float64, (2, 5))
    assert x.new_ones(2, dtype=cr.int8).dtype is cr.int8
    assert x.new_full((1,), 1, requires_grad=True).requires_grad
    assert cr.empty_like(x).shape == (2,)
    assert cr.empty_like(x, dtype=cr.float32).dtype is cr.float32
    drawn = cr.randn_like(cr.zeros(500, dtype=cr.float64))
    assert drawn.dtype is cr.float64
    assert abs(drawn.mean().item()) < 0.2
    whole = cr.randint_like(cr.zeros(500), 3, 6)
    assert whole.dtype is cr.float32
    assert set(whole.tolist()) == {3, 4, 5}
    assert set(cr.randint_like(cr.zeros(500), 2).tolist()) == {0, 1}


def test_a_tensor_is_taken_for_the_number_in_it() -> None:
    assert cr.full((2,), cr.tensor(3.0)).tolist() == [3, 3]
    assert cr.full((2,), cr.tensor(3.5), dtype=cr.int64).tolist() == [3, 3]
    assert cr.full((2,), np.float64(2)).tolist() == [2, 2]
    leaf = cr.full((2,), cr.tensor(1.0, requires_grad=True), requires_grad=True)
    assert leaf.is_leaf
    assert leaf.requires_grad
    assert cr.scalar_tensor(3).dtype is cr.float32
    assert cr.scalar_tensor(cr.tensor([4])).item() == 4


@pytest.mark.parametrize(
    ("call", "error", "match", "cure"),
    [
        (lambda: cr.zeros(2.5), DTypeError, r"\(2\.5,\)", "zeros((2, 3))"),
        (lambda: cr.zeros(3, -1), ShapeError, r"\[3, -1\]", "zero or more"),
        (lambda: cr.full((2,), 300, dtype=cr.uint8), DTypeError, "300.*uint8", "0 to 255"),
        (lambda: cr.full((2,), "a"), DTypeError, "'a' is not a real number", "pass a number"),
        (lambda: cr.full((2,), 2j), DTypeError, "2j", "real and imaginary"),
        (lambda: cr.full((2,), [1, 2]), DTypeError, r"\[1, 2\]", "pass a number"),
        (lambda: cr.tensor([1, -1], dtype=cr.uint8), DTypeError, "-1.*uint8", "0 to 255"),
        (lambda: cr.tensor([2**70]), DTypeError, "more than 64 bits", "floats"),
        (lambda: cr.from_numpy([1, 2]), DTypeError, "got list", "chainrule.tensor"),
        (lambda: cr.from_dlpack(3), DTypeError, "int does not speak DLPack", "__dlpack__"),
        (lambda: cr.set_default_dtype(cr.int64), DTypeError, "int64", "float32"),
        (lambda: cr.arange(0, math.inf), ShapeError, "inf.*finite", "numbers that are"),
        (lambda: cr.arange(0, 5, 0), ShapeError, "step must not be 0", "sign of end - start"),
        (lambda: cr.arange(0, 5, -1), ShapeError, "-1 leads away from end 5", "sign of end"),
        (lambda: cr.randn(2, dtype=cr.int64), DTypeError, "int64", "randint"),
        (lambda: cr.randint(5, 0, (2,)), ShapeError, "from 5 up to, not including, 0", "greater"),
        (lambda: cr.randint(5), ShapeError, "size is missing", "randint(high, (2, 3))"),
        (lambda: cr.normal(0.0, -1.0, (2,)), OpError, r"std=-1\.0", "0 or more"),
        (lambda: cr.normal(0.0, 1.0), ShapeError, "size is missing", "size="),
        (lambda: cr.Generator().set_state(cr.tensor([1])), ShapeError, r"i64\[1\]", "get_state"),
        (lambda: cr.bernoulli(cr.tensor([0.5, 1.5])), OpError, "probability", "sigmoid"),
        (lambda: cr.bernoulli(cr.tensor([1])), DTypeError, r"i64\[1\]", ".float()"),
        (lambda: cr.bernoulli(cr.tensor([0.5]), 2.0), OpError, r"p=2\.0", "0 to 1"),
        (lambda: cr.multinomial(cr.ones(3), 4), ShapeError, "4 of 3", "replacement=True"),
        (lambda: cr.multinomial(cr.tensor([0.0, 1, 0]), 2), OpError, "fewer weights", "fewer"),
        (lambda: cr.multinomial(cr.tensor([2.0, -1]), 1), OpError, "none negative", "softmax"),
        (lambda: cr.multinomial(cr.zeros(2), 1), OpError, "not all zero", "clamp"),
        (lambda: cr.multinomial(cr.ones(2, 2, 2), 1), ShapeError, r"f32\[2,2,2\]", "(rows,"),
        (lambda: cr.ones(2).fill_(cr.ones(2)), ShapeError, r"f32\[2\]", "copy_"),
        (lambda: cr.tensor([1]).normal_(), DTypeError, r"i64\[1\]", "random_"),
        (lambda: cr.ones(2).normal_(0, -1), OpError, "at least 0, not -1", "order"),
        (lambda: cr.ones(2).exponential_(0), OpError, "above 0, not 0", "order"),
    ],
)
def test_what_can_not_be_made_says_what_was_given_and_what_would_do(
    call: Any, error: type[ChainruleError], match: str, cure: str
) -> None:
    with pytest.raises(error, match=match) as raised:
        call()
    assert cure in raised.value.cure


def test_spaces_by_their_logarithm() -> None:
    np.testing.assert_allclose(cr.logspace(0, 2, 3).numpy(), [1, 10, 100], rtol=1e-6)
    powers = cr.logspace(0, 3, 4, base=2.0, requires_grad=True)
    assert powers.requires_grad
    np.testing.assert_allclose(powers.detach().numpy(), np.logspace(0, 3, 4, base=2), rtol=1e-6)


def test_filling_in_place_with_a_tensors_number_passes_its_gradient() -> None:
    value = cr.tensor(5.0, requires_grad=True)
    x = cr.zeros(3)
    x.fill_(value)
    assert x.tolist() == [5, 5, 5]
    x.sum().backward()
    assert value.grad.item() == 3
    assert cr.ones(2).fill_(cr.tensor(3)).tolist() == [3, 3]


def test_drawing_in_place_by_probabilities_of_each_and_into_bools() -> None:
    x = cr.ones(2, 500).bernoulli_(cr.tensor([[0.0], [1.0]]))
    assert x.sum(1).tolist() == [0, 500]
    bools = cr.zeros(500, dtype=cr.bool).random_()
    assert 150 < bools.sum().item() < 350


def test_a_copy_in_another_dtype() -> None:
    x = cr.tensor([1, 2])
    y = cr.tensor(x, dtype=cr.float64)
    assert (y.dtype, y.tolist()) == (cr.float64, [1, 2])
    assert y.data_ptr() != x.data_ptr()
    same = cr.from_dlpack(x)
    assert same.data_ptr() == x.data_ptr()


def test_dtypes_by_pythons_names_and_their_limits() -> None:
    assert cr.zeros(1, dtype=float).dtype is cr.float64
    assert cr.zeros(1, dtype=int).dtype is cr.int64
    assert cr.zeros(1, dtype=bool).dtype is cr.bool
    assert (cr.iinfo(cr.int8).min, cr.iinfo(cr.int8).max) == (-128, 127)
    signed = {name: getattr(cr, name).is_signed for name in ("int8", "uint8", "float16", "bool")}
    assert signed == {"int8": True, "uint8": False, "float16": True, "bool": False}
    assert [cr.zeros(1, dtype=getattr(cr, name)).is_signed() for name in signed] == [
        *signed.values()
    ]
    assert not cr.float64.is_complex
    assert not cr.zeros(1).is_complex()
    assert (cr.tensor([1], dtype=cr.int8) + True).dtype is cr.int8
