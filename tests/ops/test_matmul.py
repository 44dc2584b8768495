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


def test_products_with_an_input_added(rng):
    m, v, w = rng.standard_normal((2, 3)), rng.standard_normal(3), rng.standard_normal(2)
    one, other = rng.standard_normal((4, 2, 3)), rng.standard_normal((4, 3, 5))
    x, y = rng.standard_normal((2, 5)), rng.standard_normal((4, 2, 5))
    lift = chainrule.tensor
    cases = [
        (chainrule.addmv, (w, m, v), m @ v, w),
        (chainrule.addr, (m, w, v), np.outer(w, v), m),
        (chainrule.baddbmm, (y, one, other), one @ other, y),
        (chainrule.addbmm, (x, one, other), (one @ other).sum(0), x),
        (chainrule.addmm, (x, m, other[0]), m @ other[0], x),
    ]
    for function, arguments, product, added in cases:
        plain = function(*map(lift, arguments)).numpy()
        np.testing.assert_allclose(plain, added + product, rtol=1e-12)
        scaled = function(*map(lift, arguments), beta=0.5, alpha=-2).numpy()
        np.testing.assert_allclose(scaled, 0.5 * added - 2 * product, rtol=1e-12, atol=1e-14)


def test_products_of_named_kinds_take_those_shapes_only(rng):
    one, other = rng.standard_normal((4, 2, 3)), rng.standard_normal((4, 3, 5))
    y = chainrule.bmm(chainrule.tensor(one), chainrule.tensor(other))
    np.testing.assert_allclose(y.numpy(), one @ other, rtol=1e-12)
    y = chainrule.mv(chainrule.tensor(one[0]), chainrule.tensor(other[0, :, 0]))
    np.testing.assert_allclose(y.numpy(), one[0] @ other[0, :, 0], rtol=1e-12)
    ones = chainrule.ones
    with pytest.raises(ShapeError, match=r"batches differ: f32\[2,3,4\]") as raised:
        chainrule.bmm(ones(2, 3, 4), ones(3, 4, 2))
    assert "broadcasts" in raised.value.cure
    with pytest.raises(ShapeError, match=r"3 and 3 dimensions, not f32\[2,3\]"):
        chainrule.bmm(ones(2, 3), ones(3, 4, 2))
    with pytest.raises(ShapeError, match="mv"):
        chainrule.mv(ones(2, 3), ones(3, 1))
    with pytest.raises(ShapeError, match=r"\[1\] of f32\[2,3\].*do not pair up"):
        chainrule.tensordot(ones(2, 3), ones(3, 2), ([1], [1]))


def test_powers_of_matrices(rng):
    x = rng.standard_normal((2, 3, 3))
    for n in (0, 1, 2, 5):
        mine = chainrule.matrix_power(chainrule.tensor(x), n).numpy()
        np.testing.assert_allclose(mine, np.linalg.matrix_power(x, n), rtol=1e-11, atol=1e-13)
    for shape, n in (((2, 3), 2), ((2, 2), -1)):
        with pytest.raises(ShapeError, match=rf"0 or more, not f32.* and {n}") as raised:
            chainrule.matrix_power(chainrule.ones(shape), n)
        assert raised.value.cure


def test_einsum_takes_dimensions_by_number(rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
    x, y = chainrule.tensor(a), chainrule.tensor(b)
    mine = chainrule.einsum(x, [0, 1], y, [1, 2], [2, 0]).numpy()
    np.testing.assert_allclose(mine, np.einsum(a, [0, 1], b, [1, 2], [2, 0]), rtol=1e-12)
    np.testing.assert_allclose(chainrule.einsum(x, [0, 1], y, [1, 2]).numpy(), a @ b, rtol=1e-12)
    mine = chainrule.einsum(x, [..., 0], [0, ...]).numpy()
    np.testing.assert_array_equal(mine, a.T)
    with pytest.raises(ShapeError, match="no operands"):
        chainrule.einsum("ij")


def test_an_array_times_a_tensor(rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
    y = chainrule.tensor(a) @ b
    np.testing.assert_allclose(y.numpy(), a @ b, rtol=1e-12)
    y = a @ chainrule.tensor(b)
    assert isinstance(y, chainrule.Tensor)
    np.testing.assert_allclose(y.numpy(), a @ b, rtol=1e-12)
