"""Matrix products and einsum: NumPy is the oracle for values, the matrix calculus for gradients."""

import numpy as np
import pytest

import chainrule
from chainrule.errors import DTypeError, ShapeError


def array(*shape, seed=0):
    return np.asarray(np.random.default_rng(seed + len(shape)).standard_normal(shape))


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((6, 5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((2, 3), (6, 5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((2, 0), (0, 3)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_products_are_numpys(a, b):
    a, b = array(*a), array(*b, seed=1)
    ours = chainrule.from_numpy(a) @ chainrule.from_numpy(b)
    np.testing.assert_allclose(ours.numpy(), a @ b, rtol=1e-12, atol=1e-12)
    strided = chainrule.from_numpy(a.T.copy()).permute(*reversed(range(a.ndim)))
    np.testing.assert_allclose((strided @ chainrule.from_numpy(b)).numpy(), a @ b, atol=1e-12)


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_gradients_are_the_products_with_the_other(a, b):
    a, b = array(*a), array(*b, seed=1)
    bar = array(*(a @ b).shape, seed=2)
    x, w = chainrule.from_numpy(a).requires_grad_(), chainrule.from_numpy(b).requires_grad_()
    (x @ w).backward(chainrule.from_numpy(bar))
    wide = a.reshape((1, *a.shape) if a.ndim == 1 else a.shape)
    tall = b.reshape((*b.shape, 1) if b.ndim == 1 else b.shape)
    y_bar = bar.reshape(np.matmul(wide, tall).shape)
    batch = y_bar.shape[:-2]
    full_a = np.broadcast_to(wide, (*batch, *wide.shape[-2:]))
    full_b = np.broadcast_to(tall, (*batch, *tall.shape[-2:]))

    def summed(x_bar, shape):
        x_bar = x_bar.sum(tuple(range(x_bar.ndim - len(shape))))
        ones = tuple(i for i, size in enumerate(shape) if size == 1)
        return x_bar.sum(ones, keepdims=True)

    a_bar = summed(y_bar @ full_b.swapaxes(-1, -2), wide.shape).reshape(a.shape)
    b_bar = summed(full_a.swapaxes(-1, -2) @ y_bar, tall.shape).reshape(b.shape)
    np.testing.assert_allclose(x.grad.numpy(), a_bar, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(w.grad.numpy(), b_bar, rtol=1e-10, atol=1e-12)


def test_a_misfit_says_both_types_and_the_sizes_that_differ():
    with pytest.raises(ShapeError, match=r"f32\[32,784\] @ f32\[512,10\] \(784 vs 512\)") as raised:
        chainrule.zeros(32, 784) @ chainrule.zeros(512, 10)
    assert "chainrule.zeros(32, 784) @ chainrule.zeros(512, 10)" in raised.value.location
    with pytest.raises(ShapeError, match="scalar"):
        chainrule.ones(2) @ chainrule.tensor(1.0)
    with pytest.raises(ShapeError, match="batch"):
        chainrule.zeros(2, 2, 3) @ chainrule.zeros(3, 3, 2)
    with pytest.raises(ShapeError, match="bmm"):
        chainrule.zeros(2, 3).bmm(chainrule.zeros(3, 2))


def test_relatives_of_matmul_are_what_they_are_called():
    a, b, c = array(2, 3), array(3, 4), array(2, 4, seed=5)
    x, y, z = map(chainrule.from_numpy, (a, b, c))
    close = np.testing.assert_allclose
    close(z.addmm(x, y, beta=0.5, alpha=2).numpy(), 0.5 * c + 2 * (a @ b))
    close(x[0].dot(x[1]).item(), np.dot(a[0], a[1]))
    close(x[0].outer(y[0]).numpy(), np.outer(a[0], b[0]))
    close(x.inner(x).numpy(), np.inner(a, a))
    close(x.kron(y).numpy(), np.kron(a, b))
    close(chainrule.tensordot(x, z, ([0], [0])).numpy(), np.tensordot(a, c, ([0], [0])))
    square = chainrule.from_numpy(array(3, 3))
    close(square.matrix_power(5).numpy(), np.linalg.matrix_power(array(3, 3), 5))
    nan = chainrule.full((2, 4), float("nan"), dtype=chainrule.float64)
    close(nan.addmm(x, y, beta=0).numpy(), a @ b)


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("iij->j", [(3, 3, 2)]),
    ("ij->", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("i,j->ij", [(3,), (2,)]),
    ("ij,ij->i", [(2, 3), (2, 3)]),
    ("...ij,...jk->...ik", [(6, 1, 2, 3), (5, 3, 4)]),
    ("...i,i->...", [(2, 4, 3), (3,)]),
    ("...ij->...ji", [(5, 2, 3)]),
    ("i...->...", [(2, 3)]),
    ("bhtd,bhsd->bhts", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("bn,anm,bm->ba", [(2, 5), (3, 5, 4), (2, 4)]),
    ("ij,k->", [(2, 3), (4,)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=str)
def test_einsum_is_numpys(equation, shapes):
    arrays = [array(*shape, seed=i) for i, shape in enumerate(shapes)]
    ours = chainrule.einsum(equation, *map(chainrule.from_numpy, arrays))
    np.testing.assert_allclose(ours.numpy(), np.einsum(equation, *arrays), atol=1e-12)


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=str)
def test_einsum_has_the_gradient_of_a_linear_map(equation, shapes):
    """It is linear in each operand: <x, x_bar> = <y, y_bar>, for every operand and direction."""
    arrays = [array(*shape, seed=i) for i, shape in enumerate(shapes)]
    inputs = [chainrule.from_numpy(each).requires_grad_() for each in arrays]
    y = chainrule.einsum(equation, *inputs)
    bar = array(*y.shape, seed=7)
    y.backward(chainrule.from_numpy(bar))
    for index, x in enumerate(inputs):
        direction = array(*x.shape, seed=8)
        moved = [direction if i == index else each for i, each in enumerate(arrays)]
        expected = (np.einsum(equation, *moved) * bar).sum()
        assert (x.grad.numpy() * direction).sum() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("equation", "shapes", "words"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)], '"j" is 3 in one place and 4 in another'),
        ("ij,jk->ik", [(2, 3)], "2 terms for 1 operands"),
        ("ij->ijk", [(2, 3)], '"k", no operand does'),
        ("ij->ii", [(2, 3)], "twice"),
        ("i->i", [(2, 3)], "names 1 dimensions"),
        ("i1->i", [(2, 3)], '"1" is no label'),
        ("ii->i", [(2, 3)], '"i" is 2 in one place and 3 in another'),
    ],
)
def test_an_equation_that_does_not_fit_is_explained(equation, shapes, words):
    with pytest.raises(ShapeError, match=words) as raised:
        chainrule.einsum(equation, *[chainrule.zeros(*shape) for shape in shapes])
    assert "test_matmul.py" in raised.value.location
    assert raised.value.cure


def test_dtypes_are_promoted():
    assert (chainrule.ones(2, 2) @ chainrule.eye(2).double()).dtype is chainrule.float64
    assert chainrule.einsum("i,i", chainrule.arange(3), chainrule.arange(3)).item() == 5
    with pytest.raises(DTypeError):
        chainrule.ones(2, 2) @ [1.0, 2.0]
