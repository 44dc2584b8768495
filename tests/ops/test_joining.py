"""Joining and taking apart: what goes in comes out again, gradients too."""

import numpy as np
import pytest

import chainrule
from chainrule.errors import DimensionError, DTypeError, OpError, ShapeError


def leaf(*shape, seed=0):
    array = np.random.default_rng(seed).standard_normal(shape)
    return chainrule.from_numpy(np.asarray(array)).requires_grad_()


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_what_is_joined_splits_again(dim):
    sizes = [2, 0, 3]
    parts = []
    for seed, size in enumerate(sizes):
        shape = [4, 4, 4]
        shape[dim] = size
        parts.append(leaf(*shape, seed=seed))
    whole = chainrule.cat(parts, dim)
    expected = np.concatenate([part.detach().numpy() for part in parts], dim)
    np.testing.assert_array_equal(whole.detach().numpy(), expected)
    for part, piece in zip(parts, whole.split(sizes, dim)):
        np.testing.assert_array_equal(piece.detach().numpy(), part.detach().numpy())
    bar = np.random.default_rng(9).standard_normal(whole.shape)
    whole.backward(chainrule.from_numpy(bar))
    for part, part_bar in zip(parts, np.split(bar, np.cumsum(sizes)[:-1], dim)):
        np.testing.assert_array_equal(part.grad.numpy(), part_bar)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_what_is_stacked_unbinds_again(dim):
    parts = [leaf(2, 3, seed=seed) for seed in range(4)]
    pieces = chainrule.stack(parts, dim).unbind(dim)
    for number, (part, piece) in enumerate(zip(parts, pieces)):
        (piece * number).sum().backward(retain_graph=True)
        assert (part.grad.numpy() == number).all()


def test_the_same_tensor_twice_gets_both_gradients():
    x = leaf(2)
    chainrule.cat([x, x * 3, x]).sum().backward()
    assert x.grad.tolist() == [5, 5]


def test_dtypes_are_promoted_and_empty_vectors_fit():
    whole = chainrule.cat([chainrule.tensor([1, 2]), chainrule.tensor([0.5])])
    assert whole.dtype is chainrule.float32
    assert chainrule.cat([chainrule.zeros(0), chainrule.ones(2, 2)]).shape == (2, 2)


@pytest.mark.parametrize(
    ("pieces", "sizes"),
    [
        (lambda x: x.split(3), [3, 3, 1]),
        (lambda x: x.split([1, 6]), [1, 6]),
        (lambda x: x.chunk(3), [3, 3, 1]),
        (lambda x: x.chunk(4), [2, 2, 2, 1]),
        (lambda x: x.chunk(5), [2, 2, 2, 1]),
        (lambda x: x.tensor_split(3), [3, 2, 2]),
        (lambda x: x.tensor_split((2, 2, 99)), [2, 0, 5, 0]),
    ],
)
def test_pieces_have_pytorchs_sizes(pieces, sizes):
    given = pieces(chainrule.arange(7))
    assert [len(piece) for piece in given] == sizes
    assert [number for piece in given for number in piece.tolist()] == list(range(7))


def test_pieces_are_views():
    x = chainrule.zeros(4, 2)
    for piece in (*x.split(2), *x.chunk(2, 1), *x.unbind(1)):
        piece += 1
    assert (x.numpy() == 3).all()


def test_grids_are_numpys():
    a, b = chainrule.arange(2), chainrule.arange(3)
    for indexing in ("ij", "xy"):
        ours = chainrule.meshgrid(a, b, indexing=indexing)
        for grid, expected in zip(ours, np.meshgrid(range(2), range(3), indexing=indexing)):
            np.testing.assert_array_equal(grid.numpy(), expected)
    assert chainrule.cartesian_prod(a, b).tolist() == [[i, j] for i in range(2) for j in range(3)]


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda: chainrule.cat([]), OpError),
        (lambda: chainrule.cat([chainrule.zeros(2, 3), chainrule.zeros(2, 4)]), ShapeError),
        (lambda: chainrule.cat([chainrule.zeros(2), chainrule.zeros(2)], 1), DimensionError),
        (lambda: chainrule.cat([chainrule.tensor(1.0)]), ShapeError),
        (lambda: chainrule.stack([chainrule.zeros(2), chainrule.zeros(3)]), ShapeError),
        (lambda: chainrule.zeros(4).split([1, 2]), ShapeError),
        (lambda: chainrule.zeros(4).split(0), ShapeError),
        (lambda: chainrule.zeros(4).chunk(0), ShapeError),
        (lambda: chainrule.tensor(1.0).unbind(), DimensionError),
        (lambda: chainrule.meshgrid(chainrule.zeros(2, 2)), ShapeError),
    ],
)
def test_misfits_name_the_users_line(function, error):
    with pytest.raises(error, match=r"test_joining\.py"):
        function()


def test_nothing_falls_into_as_many_pieces_of_nothing():
    pieces = chainrule.chunk(chainrule.ones(0, 2), 3)
    assert [tuple(each.shape) for each in pieces] == [(0, 2)] * 3


def test_one_vector_alone_is_its_own_product():
    x = chainrule.tensor([1, 2])
    assert chainrule.cartesian_prod(x) is x
    assert chainrule.cartesian_prod(x, x + 2).tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: chainrule.tensor_split(x[0], 2), ShapeError, r"f32\[\] can't be cut into 2"),
        (lambda x: chainrule.tensor_split(x, 0), ShapeError, r"f32\[4\] can't be cut into 0"),
        (lambda x: chainrule.meshgrid(x, x, indexing="zz"), OpError, '\'zz\'(.|\n)*"ij".*"xy"'),
        (lambda x: chainrule.meshgrid(x, x.long()), DTypeError, "vectors of one dtype"),
    ],
)
def test_pieces_and_grids_that_can_not_be_are_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(chainrule.ones(4))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("atleast_1d", lambda x: chainrule.atleast_1d(1)),
        ("atleast_2d", lambda x: chainrule.atleast_2d(x, 1)),
        ("atleast_3d", lambda x: chainrule.atleast_3d([x, 1])),
        ("hstack", lambda x: chainrule.hstack([x, 1])),
        ("vstack", lambda x: chainrule.vstack([1, x])),
        ("meshgrid", lambda x: chainrule.meshgrid(x, 1)),
    ],
)
def test_a_number_is_to_be_wrapped_before_it_gets_dimensions(name, call):
    with pytest.raises(DTypeError, match=f"^{name}: takes tensors, not a int") as raised:
        call(chainrule.ones(2))
    assert "chainrule.tensor" in raised.value.cure
    assert "test_joining.py" in raised.value.location
