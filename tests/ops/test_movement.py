"""Movement: NumPy says what the values are, counting says what the gradients are."""

import numpy as np
import pytest

import chainrule
from chainrule.errors import DimensionError, OpError, ShapeError
from chainrule.ops.padding import pad


def counted(shape):
    return chainrule.arange(int(np.prod(shape))).reshape(shape).double()


def uses(function, shape):
    """How often each element is used: the gradient of the sum of the result."""
    x = counted(shape).requires_grad_()
    function(x).sum().backward()
    return x.grad.numpy()


X = np.arange(24.0).reshape(2, 3, 4)

SAME_IN_NUMPY = [
    (lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1)),
    (lambda x: x.flatten(1), lambda x: x.reshape(2, 12)),
    (lambda x: x.unflatten(2, (2, 2)), lambda x: x.reshape(2, 3, 2, 2)),
    (lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    (lambda x: x.movedim(0, -1), lambda x: np.moveaxis(x, 0, -1)),
    (lambda x: x.movedim((0, 2), (1, 0)), lambda x: np.moveaxis(x, (0, 2), (1, 0))),
    (lambda x: x.mT, lambda x: x.swapaxes(1, 2)),
    (lambda x: x.unsqueeze(1).squeeze(), lambda x: x),
    (lambda x: x.flip(0, 2), lambda x: np.flip(x, (0, 2))),
    (lambda x: x.roll((1, -2), (0, 2)), lambda x: np.roll(x, (1, -2), (0, 2))),
    (lambda x: x.roll(5), lambda x: np.roll(x, 5)),
    (lambda x: x.rot90(1, (0, 2)), lambda x: np.rot90(x, 1, (0, 2))),
    (lambda x: x.diagonal(1, 1, 2), lambda x: x.diagonal(1, 1, 2)),
    (lambda x: x.tril(-1), lambda x: np.tril(x, -1)),
    (lambda x: x.triu(1), lambda x: np.triu(x, 1)),
    (lambda x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3))),
    (lambda x: x.tile(2), lambda x: np.tile(x, 2)),
    (lambda x: x.repeat_interleave(2, 1), lambda x: np.repeat(x, 2, 1)),
    (lambda x: x.unfold(2, 2, 1), lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 2)),
    (lambda x: pad(x, (1, 2)), lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2)))),
    (lambda x: pad(x, (3, 1), "reflect"), lambda x: np.pad(x, [(0, 0)] * 2 + [(3, 1)], "reflect")),
    (lambda x: pad(x, (3, 1), "replicate"), lambda x: np.pad(x, [(0, 0)] * 2 + [(3, 1)], "edge")),
    (lambda x: pad(x, (3, 1), "circular"), lambda x: np.pad(x, [(0, 0)] * 2 + [(3, 1)], "wrap")),
]


@pytest.mark.parametrize(("ours", "numpys"), SAME_IN_NUMPY)
def test_values_are_numpys(ours, numpys):
    np.testing.assert_array_equal(ours(chainrule.from_numpy(X)).numpy(), numpys(X))


@pytest.mark.parametrize(("ours", "numpys"), SAME_IN_NUMPY)
def test_each_element_gets_the_gradient_of_all_its_places(ours, numpys):
    places = np.bincount(numpys(X).astype(int).ravel(), minlength=24).reshape(X.shape)
    if (numpys(np.ones_like(X)) == 0).any():  # what fills up with zeros counted element 0 too often
        places.ravel()[0] -= (numpys(np.ones_like(X)) == 0).sum()
    np.testing.assert_array_equal(uses(ours, X.shape), places)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.view(-1),
        lambda x: x.reshape(4, 6),
        lambda x: x.T,
        lambda x: x.permute(1, 0, 2),
        lambda x: x.unsqueeze(0),
        lambda x: x.flatten(),
        lambda x: x[0],
        lambda x: x[:, 1:, None],
        lambda x: x.diagonal(0, 0, 1),
        lambda x: x.unfold(2, 2, 2),
        lambda x: x.narrow(1, 1, 2),
        lambda x: x.select(0, 1),
        lambda x: x.split(1)[1],
        lambda x: x.unbind(2)[0],
        lambda x: x.expand(2, 2, 3, 4),
        lambda x: x.unfold(0, 2, 1),
    ],
)
def test_views_share_memory(function):
    x = counted((2, 3, 4))
    y = function(x)
    x.mul_(-1)
    assert (y.numpy() <= 0).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.flip(0),
        lambda x: x.clone(),
        lambda x: x.repeat(1, 1, 1),
        lambda x: x.roll(0),
        lambda x: x.repeat_interleave(1, 0),
        lambda x: x[[0, 1]],
        lambda x: x.tril(9),
        lambda x: pad(x, (0, 0)),
    ],
)
def test_copies_do_not(function):
    x = counted((2, 3, 4))
    y = function(x)
    x.mul_(-1)
    assert y.sum().item() > 0


def test_view_refuses_what_only_a_copy_can_do():
    x = chainrule.zeros(2, 3)
    assert x.T.view(3, 2, 1).shape == (3, 2, 1)
    with pytest.raises(ShapeError, match="strides") as raised:
        x.T.view(-1)
    assert "reshape" in raised.value.cure
    assert "x.T.view(-1)" in str(raised.value)


def test_overlapping_windows_and_expanded_memory_can_not_be_written_to():
    x = chainrule.zeros(4)
    for shared in (x.unfold(0, 2, 1), x.expand(3, 4)):
        with pytest.raises(chainrule.errors.OpError, match="can't be written"):
            shared.add_(1)
    x.unfold(0, 2, 2).add_(1)
    assert x.tolist() == [1, 1, 1, 1]


def test_contiguous_gives_itself_or_a_copy_in_order():
    x = chainrule.zeros(2, 3)
    assert x.contiguous() is x
    assert x.stride() == (3, 1)
    assert not x.T.is_contiguous()
    assert x.T.contiguous().stride() == (2, 1)


def test_zero_sizes_pass_through():
    x = chainrule.zeros(0, 3)
    assert x.reshape(3, 0).T.flip(0).repeat(2, 2).shape == (0, 6)
    assert x.flatten().shape == (0,)
    assert x.unfold(1, 2, 1).shape == (0, 2, 2)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda x: x.reshape(5), ShapeError),
        (lambda x: x.reshape(-1, -1), ShapeError),
        (lambda x: x.reshape(0, -1), ShapeError),
        (lambda x: x.transpose(0, 2), DimensionError),
        (lambda x: x.permute(0, 0), ShapeError),
        (lambda x: x.expand(3, 3), ShapeError),
        (lambda x: x.expand(-1, 2, 3), ShapeError),
        (lambda x: x.expand(2, -2), ShapeError),
        (lambda x: x.expand(-1), ShapeError),
        (lambda x: x.movedim((0, 1), (0,)), DimensionError),
        (lambda x: x.repeat(2), ShapeError),
        (lambda x: x.unfold(0, 3, 1), ShapeError),
        (lambda x: x.diagonal(0, 1, 1), DimensionError),
        (lambda x: x.unsqueeze(4), DimensionError),
        (lambda x: pad(x, (1, 2, 3)), ShapeError),
        (lambda x: pad(x, (3, 0), "reflect"), ShapeError),
        (lambda x: pad(x, (1, 0), "mirror"), OpError),
        (lambda x: pad(x, (-2, -2)), ShapeError),
        (lambda x: x.repeat_interleave(chainrule.tensor([1, 2, 3]), 0), ShapeError),
    ],
)
def test_misfits_name_the_users_line(function, error):
    with pytest.raises(error) as raised:
        function(chainrule.zeros(2, 3))
    assert "test_movement.py" in str(raised.value)


@pytest.mark.parametrize(
    ("call", "error", "match", "cure"),
    [
        (lambda x: x.flatten(2, 1), ShapeError, "start_dim 2 comes after end_dim 1", "swap"),
        (lambda x: x.unflatten(2, (3, 2)), ShapeError, r"has 4 elements.*\[3, 2\]", "product"),
        (lambda x: x.expand(-1, *x.shape), ShapeError, r"\[-1, 2, 3, 4\]", "-1 keeps the size"),
        (lambda x: x.t(), ShapeError, r"not f32\[2,3,4\]", ".mT"),
        (lambda x: x.rot90(1, (0, 0)), DimensionError, r"\(0, 0\) are the same", "two different"),
        (lambda x: x.roll((1, 2)), ShapeError, "one shift", "dims="),
        (lambda x: x.roll((1, 2), 0), ShapeError, "2 shifts for 1 dims", "per dimension"),
        (lambda x: x.repeat_interleave(-1), ShapeError, "can't be negative", "0 or more"),
        (lambda x: x.sum((0, 0)), DimensionError, r"\(0, 0\) names a dimension twice", "once"),
        (lambda x: x[0, 0].triu(), ShapeError, r"f32\[4\]", "two dim"),
        (lambda x: chainrule.diag(x), ShapeError, r"f32\[2,3,4\]", "diag_embed"),
    ],
)
def test_a_misfit_says_what_was_given_and_what_would_do(call, error, match, cure):
    with pytest.raises(error, match=match) as raised:
        call(chainrule.ones(2, 3, 4))
    assert cure in raised.value.cure


def test_each_slice_is_repeated_as_often_as_its_count_says():
    x = np.arange(6).reshape(2, 3)
    for repeats, dim in (([2, 0, 1], 1), ([0, 3], 0), (2, 1), (2, None)):
        counts = chainrule.tensor(repeats) if isinstance(repeats, list) else repeats
        mine = chainrule.repeat_interleave(chainrule.tensor(x), counts, dim).numpy()
        np.testing.assert_array_equal(mine, np.repeat(x, repeats, dim))
    with pytest.raises(ShapeError, match=r"i64\[3\] do not fit dimension 0"):
        chainrule.repeat_interleave(chainrule.tensor(x), chainrule.tensor([1, 2, 3]), 0)


def test_a_scalar_has_one_window():
    assert chainrule.tensor(5.0).unfold(0, 1, 1).tolist() == [5]


def test_indices_of_triangles_are_numpys():
    for offset in (-1, 0, 1):
        for name in ("triu_indices", "tril_indices"):
            mine = getattr(chainrule, name)(3, 4, offset).numpy()
            np.testing.assert_array_equal(mine, getattr(np, name)(3, offset, 4))


def test_strides_count_elements():
    assert chainrule.ones(2, 3, 4).stride() == (12, 4, 1)
    assert chainrule.ones(2, 3, 4).transpose(0, 2).stride() == (1, 4, 12)
    assert chainrule.ones(2, 3, 4).stride(1) == 4


def test_shapes_that_do_not_broadcast_together_are_named():
    with pytest.raises(ShapeError, match=r"f32\[2\] and f32\[3\]") as raised:
        chainrule.broadcast_tensors(chainrule.ones(2), chainrule.ones(3))
    assert "equal or one of them 1" in raised.value.cure


def test_padding_can_cut_and_not_more_than_there_is():
    x = chainrule.arange(4.0)
    assert chainrule.nn.functional.pad(x, (-1, 2)).tolist() == [1, 2, 3, 0, 0]
    with pytest.raises(ShapeError, match=r"more than there is of f32\[4\]"):
        chainrule.nn.functional.pad(x, (-3, -2))
