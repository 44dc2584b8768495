"""Joining, splitting, matrix products and einsum against PyTorch: values and gradients."""

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise


def array(*shape, seed=0):
    return np.asarray(np.random.default_rng(seed + sum(shape)).standard_normal(shape))


INTEGERS = np.arange(10).reshape(5, 2)

JOINED = [
    ("cat", [[array(2, 3), array(1, 3, seed=1)]], {}),
    ("cat", [[array(2, 3), array(2, 2), array(2, 1)]], {"dim": -1}),
    ("cat", [[array(2, 3), array(0)]], {}),
    ("cat", [[array(2), np.array([1, 2, 3])]], {}),
    ("concat", [[array(2), array(3)], 0], {}),
    ("concatenate", [[array(2), array(3)]], {}),
    ("stack", [[array(2, 3), array(2, 3, seed=1)]], {}),
    ("stack", [[array(2, 3), array(2, 3, seed=1)], -1], {}),
    ("stack", [[array(), array(seed=1)]], {}),
    ("hstack", [[array(2), array(3)]], {}),
    ("hstack", [[array(2, 1), array(2, 3)]], {}),
    ("vstack", [[array(3), array(2, 3)]], {}),
    ("dstack", [[array(2, 3), array(2, 3, seed=1)]], {}),
    ("atleast_1d", [array()], {}),
    ("atleast_2d", [array(3)], {}),
    ("atleast_3d", [array(3), array(2, 2), array()], {}),
    ("split", [array(5, 2), 2], {}),
    ("split", [array(5, 2), [1, 0, 4]], {}),
    ("split", [array(3, 4), 3], {"dim": -1}),
    ("Tensor.split", [array(5, 2), 10], {}),
    ("split", [array(0, 2), 3], {}),
    ("chunk", [array(7, 2), 3], {}),
    ("chunk", [array(2, 7), 4, 1], {}),
    ("chunk", [array(3), 5], {}),
    ("tensor_split", [array(7, 2), 3], {}),
    ("tensor_split", [array(7, 2), (2, 2, 9)], {}),
    ("tensor_split", [array(2, 7), (1, -2)], {"dim": 1}),
    ("unbind", [array(3, 2)], {}),
    ("unbind", [array(3, 2), -1], {}),
    ("meshgrid", [array(2), array(3)], {"indexing": "ij"}),
    ("meshgrid", [array(2), array(3), array(4)], {"indexing": "xy"}),
    ("cartesian_prod", [array(2), array(3)], {}),
    ("cartesian_prod", [array(2)], {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), JOINED, ids=lambda each: str(each)[:30])
def test_joining_and_splitting_agree(name, args, kwargs):
    assert_agrees(name, *args, kwargs=kwargs)


def test_integers_and_mixed_dtypes_agree():
    assert_agrees("cat", [INTEGERS, INTEGERS], 1)
    assert_agrees("stack", [INTEGERS, INTEGERS])
    assert_agrees("split", INTEGERS, 2)
    assert_agrees("cat", [np.array([True]), np.array([2], np.uint8)])
    assert_agrees("cat", [np.ones(2, np.float32), np.ones(2, np.float16)])


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("cat", [[]]),
        ("cat", [[array(2, 3), array(2, 4)]]),
        ("cat", [[array(2), array(2, 2)]]),
        ("cat", [[array(), array()]]),
        ("cat", [[array(2)], 1]),
        ("stack", [[]]),
        ("stack", [[array(2), array(3)]]),
        ("split", [array(4), [1, 2]]),
        ("split", [array(4), -1]),
        ("split", [array(4), 0]),
        ("chunk", [array(4), 0]),
        ("unbind", [array()]),
    ],
    ids=str,
)
def test_both_refuse_to_join(name, args):
    assert_both_raise(name, *args)


PRODUCTS = [
    ("matmul", [(3,), (3,)]),
    ("matmul", [(2, 3), (3,)]),
    ("matmul", [(3,), (3, 4)]),
    ("matmul", [(2, 3), (3, 4)]),
    ("matmul", [(5, 2, 3), (3, 4)]),
    ("matmul", [(5, 2, 3), (3,)]),
    ("matmul", [(3,), (5, 3, 2)]),
    ("matmul", [(2, 3), (5, 3, 4)]),
    ("matmul", [(6, 5, 2, 3), (3, 4)]),
    ("matmul", [(2, 3), (6, 5, 3, 4)]),
    ("matmul", [(6, 1, 2, 3), (5, 3, 4)]),
    ("matmul", [(2, 0), (0, 3)]),
    ("matmul", [(0, 2, 3), (3, 4)]),
    ("mm", [(2, 3), (3, 4)]),
    ("bmm", [(5, 2, 3), (5, 3, 4)]),
    ("mv", [(2, 3), (3,)]),
    ("dot", [(3,), (3,)]),
    ("vdot", [(3,), (3,)]),
    ("inner", [(2, 3), (4, 3)]),
    ("inner", [(3,), (3,)]),
    ("inner", [(), (3,)]),
    ("outer", [(2,), (3,)]),
    ("kron", [(2, 3), (3, 2)]),
    ("kron", [(2,), (3, 2)]),
    ("addmm", [(4,), (2, 3), (3, 4)]),
    ("addmv", [(2,), (2, 3), (3,)]),
    ("addr", [(2, 3), (2,), (3,)]),
    ("baddbmm", [(5, 2, 4), (5, 2, 3), (5, 3, 4)]),
    ("addbmm", [(2, 4), (5, 2, 3), (5, 3, 4)]),
    ("tensordot", [(2, 3, 4), (3, 4, 5)]),
]


@pytest.mark.parametrize(("name", "shapes"), PRODUCTS, ids=str)
def test_products_agree(name, shapes):
    inputs = [array(*shape, seed=i) for i, shape in enumerate(shapes)]
    assert_agrees(name, *inputs, atol=1e-5, dtypes=["float32"])
    assert_agrees(name, *inputs, dtypes=["float64"])
    assert_agrees(name, *[np.asarray(each * 4).astype(np.int64) for each in inputs])
    if name.startswith(("add", "badd")):
        assert_agrees(name, *inputs, kwargs={"alpha": 2, "beta": -0.5}, dtypes=["float64"])


def test_tensordot_over_named_dims_and_powers_agree():
    assert_agrees("tensordot", array(2, 3, 4), array(4, 5, 2), ([0, 2], [2, 0]), dtypes=["float64"])
    assert_agrees("tensordot", array(2, 3), array(4), 0, dtypes=["float64"])
    for n in (0, 1, 2, 5):
        assert_agrees("matrix_power", array(3, 3), n, dtypes=["float64"], grad=n > 0)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("matmul", [(2, 3), (2, 3)]),
        ("matmul", [(), (3,)]),
        ("matmul", [(2, 2, 3), (3, 3, 2)]),
        ("matmul", [(3,), (2,)]),
        ("mm", [(2, 3, 1), (3, 1)]),
        ("bmm", [(1, 2, 3), (2, 3, 2)]),
        ("dot", [(2, 1), (2,)]),
        ("tensordot", [(2, 3), (4, 5)]),
    ],
    ids=str,
)
def test_both_refuse_to_multiply(name, shapes):
    assert_both_raise(name, *[array(*shape) for shape in shapes])


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ji,jk", [(3, 2), (3, 4)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ij->j", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iij->ij", [(3, 3, 2)]),
    ("iii->i", [(3, 3, 3)]),
    ("ijij->ij", [(2, 3, 2, 3)]),
    ("i,i", [(3,), (3,)]),
    ("i,i->i", [(3,), (3,)]),
    ("i,j->ij", [(3,), (2,)]),
    ("i,j", [(3,), (2,)]),
    ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
    ("bij,bij->b", [(5, 2, 3), (5, 2, 3)]),
    ("bhtd,bhsd->bhts", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
    ("...ij,...jk", [(6, 1, 2, 3), (5, 3, 4)]),
    ("i...,i...->...", [(3, 2, 4), (3, 4)]),
    ("...", [(2, 3)]),
    ("...->...", [(2, 3)]),
    ("i...->...", [(2, 3)]),
    ("...ii->...i", [(2, 3, 3)]),
    ("i...j->j...i", [(2, 3, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ij,kl,jk->il", [(2, 3), (4, 5), (3, 4)]),
    ("a,b,c->abc", [(2,), (3,), (4,)]),
    ("bn,anm,bm->ba", [(2, 5), (3, 5, 4), (2, 4)]),
    ("ij,ij,ij->i", [(2, 3), (2, 3), (2, 3)]),
    ("ij,k->ij", [(2, 3), (4,)]),
    ("ij,jk->k", [(2, 3), (3, 4)]),
    ("Ab,bA->A", [(2, 3), (3, 2)]),
    (" i j , j k -> i k ", [(2, 3), (3, 4)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]),
    ("ij,ij->ij", [(1, 3), (2, 1)]),
    (",i->i", [(), (3,)]),
    ("->", [()]),
    ("ij,jk->ik", [(0, 3), (3, 4)]),
    ("ij,jk->ik", [(2, 0), (0, 4)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=str)
def test_einsum_agrees(equation, shapes):
    inputs = [array(*shape, seed=i) for i, shape in enumerate(shapes)]
    assert_agrees("einsum", equation, *inputs, dtypes=["float64"])
    assert_agrees("einsum", equation, *inputs, dtypes=["float32"], rtol=1e-4, atol=1e-5)
    assert_agrees("einsum", equation, *[np.asarray(each * 4).astype(np.int64) for each in inputs])


def test_einsum_takes_lists_of_operands_and_of_labels():
    assert_agrees("einsum", "ij,jk->ik", [array(2, 3), array(3, 4)], dtypes=["float64"])
    assert_agrees("einsum", array(2, 3), [0, 1], array(3, 4), [1, 2], [2, 0], dtypes=["float64"])
    assert_agrees("einsum", array(2, 3), [0, 1], array(3, 4), [1, 2], dtypes=["float64"])
    assert_agrees("einsum", array(2, 3, 4), [..., 0], [0, ...], dtypes=["float64"])


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)]),
        ("ij,jk->ik", [(2, 3)]),
        ("ij->ijk", [(2, 3)]),
        ("ij->ii", [(2, 3)]),
        ("i->i", [(2, 3)]),
        ("ijk->i", [(2, 3)]),
        ("i?->i", [(2, 3)]),
        ("i..j->i", [(2, 3)]),
        ("ii->i", [(2, 3)]),
        ("...i,...i->...", [(2, 3), (4, 3)]),
    ],
    ids=str,
)
def test_both_refuse_the_equation(equation, shapes):
    error = assert_both_raise("einsum", equation, *[array(*shape) for shape in shapes])
    assert "einsum" in str(error)


def test_what_is_no_tensor_gets_no_dimensions():
    for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
        assert_both_raise(name, 1)
        assert_both_raise(name, [array(2), 1])
    assert_both_raise("meshgrid", array(2), array(3), kwargs={"indexing": "zz"})
    for sizes in ((-1, 3), (-2, 3), (2, -2)):
        assert_both_raise("Tensor.expand", array(3), *sizes)
