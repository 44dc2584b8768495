"""Movement, rearranging and strided views against PyTorch: values and gradients."""

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise


def array(*shape, seed=0):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


INTEGERS = np.arange(24).reshape(2, 3, 4)
MASK = np.arange(24).reshape(2, 3, 4) % 3 == 0

CASES = [
    ("reshape", (), [(2, 12)], {}),
    ("reshape", (), [(-1,)], {}),
    ("reshape", (), [(4, -1, 2)], {}),
    ("Tensor.reshape", (), [4, 6], {}),
    ("Tensor.view", (), [6, 4], {}),
    ("Tensor.view", (), [(-1, 4)], {}),
    ("flatten", (), [], {}),
    ("flatten", (), [1], {}),
    ("flatten", (), [0, 1], {}),
    ("flatten", (), [], {"start_dim": -2}),
    ("ravel", (), [], {}),
    ("unflatten", (), [2, (2, 2)], {}),
    ("unflatten", (), [-1, (2, -1)], {}),
    ("unsqueeze", (), [0], {}),
    ("unsqueeze", (), [-1], {}),
    ("unsqueeze", (), [2], {}),
    ("permute", (), [(2, 0, 1)], {}),
    ("Tensor.permute", (), [2, 0, -2], {}),
    ("transpose", (), [0, 2], {}),
    ("transpose", (), [-1, 1], {}),
    ("swapaxes", (), [0, 1], {}),
    ("swapdims", (), [0, 1], {}),
    ("adjoint", (), [], {}),
    ("movedim", (), [0, 2], {}),
    ("movedim", (), [(0, 1), (-1, 0)], {}),
    ("moveaxis", (), [2, 0], {}),
    ("Tensor.expand", (), [5, 2, 3, 4], {}),
    ("Tensor.expand", (), [5, -1, -1, -1], {}),
    ("broadcast_to", (), [(2, 2, 3, 4)], {}),
    ("clone", (), [], {}),
    ("Tensor.contiguous", (), [], {}),
    ("flip", (), [(0,)], {}),
    ("flip", (), [(0, -1)], {}),
    ("Tensor.flip", (), [0, 2], {}),
    ("fliplr", (), [], {}),
    ("flipud", (), [], {}),
    ("roll", (), [1], {}),
    ("roll", (), [-5, 1], {}),
    ("roll", (), [(1, 2), (0, 2)], {}),
    ("rot90", (), [], {}),
    ("rot90", (), [2], {}),
    ("rot90", (), [-1, (1, 2)], {}),
    ("rot90", (), [4], {}),
    ("Tensor.repeat", (), [2, 1, 3], {}),
    ("Tensor.repeat", (), [(2, 1, 1, 2)], {}),
    ("Tensor.repeat", (), [1, 1, 1], {}),
    ("tile", (), [(2,)], {}),
    ("tile", (), [(2, 1, 1, 1, 2)], {}),
    ("repeat_interleave", (), [3], {}),
    ("repeat_interleave", (), [2, 1], {}),
    ("repeat_interleave", (), [0, 1], {}),
    ("repeat_interleave", (), [np.array([1, 0, 2])], {"dim": 1}),
    ("Tensor.unfold", (), [2, 2, 1], {}),
    ("Tensor.unfold", (), [1, 3, 2], {}),
    ("Tensor.unfold", (), [-1, 2, 3], {}),
    ("diagonal", (), [], {}),
    ("diagonal", (), [1], {"dim1": 1, "dim2": 2}),
    ("diagonal", (), [-1, 2, 0], {}),
    ("diag_embed", (), [], {}),
    ("diag_embed", (), [1, 0, 2], {}),
    ("diag_embed", (), [-2], {}),
    ("tril", (), [], {}),
    ("tril", (), [1], {}),
    ("triu", (), [-1], {}),
    ("triu", (), [9], {}),
]


@pytest.mark.parametrize(("name", "_", "args", "kwargs"), CASES, ids=str)
def test_it_agrees_on_floats_integers_and_bools(name, _, args, kwargs):
    assert_agrees(name, array(2, 3, 4), *args, kwargs=kwargs)
    assert_agrees(name, INTEGERS, *args, kwargs=kwargs)
    assert_agrees(name, MASK, *args, kwargs=kwargs)


@pytest.mark.parametrize(
    ("shape", "args"),
    [
        ((1, 3, 1), []),
        ((1, 3, 1), [0]),
        ((1, 3, 1), [1]),
        ((1, 3, 1), [(0, -1)]),
        ((), []),
        ((), [0]),
    ],
)
def test_squeeze_agrees(shape, args):
    assert_agrees("squeeze", array(*shape), *args)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_t_agrees(shape):
    assert_agrees("t", array(*shape))


@pytest.mark.parametrize(
    ("shape", "k"), [((3,), 0), ((3,), -1), ((3, 3), 0), ((2, 4), 1), ((2, 4), -1), ((0,), 0)]
)
def test_diag_agrees(shape, k):
    assert_agrees("diag", array(*shape), k)


def test_scalars_take_dims_as_if_they_had_one():
    assert_agrees("transpose", array(), 0, -1)
    assert_agrees("flatten", array())
    assert_agrees("unsqueeze", array(), 0)
    assert_agrees("Tensor.unfold", array(), 0, 1, 1)
    assert_agrees("Tensor.repeat", array(), 3)
    assert_agrees("Tensor.expand", array(), 2, 3)
    assert_agrees("flip", array(), (0,))


def test_trace_and_the_indices_of_triangles_agree():
    assert_agrees("trace", array(3, 3))
    assert_agrees("trace", array(2, 4))
    assert_agrees("trace", INTEGERS[0])
    assert_agrees("tril_indices", 3, 4, -1)
    assert_agrees("triu_indices", 3, 4, kwargs={"offset": 1})


def test_as_another_and_broadcast_tensors_agree():
    assert_agrees("Tensor.view_as", array(2, 6), array(3, 4, seed=1))
    assert_agrees("Tensor.reshape_as", array(2, 6), array(3, 4, seed=1))
    assert_agrees("Tensor.expand_as", array(2, 1), array(3, 2, 4, seed=1))
    assert_agrees("broadcast_tensors", array(2, 1), array(3), array())


def test_strides_and_contiguity_agree():
    def ours_and_theirs(x):
        views = [x, x.transpose(0, 2), x[:, ::2], x[1], x.unfold(2, 2, 1)]
        return [(each.stride(), each.is_contiguous(), each.stride(0)) for each in views]

    assert_agrees((ours_and_theirs, ours_and_theirs), array(2, 3, 4), grad=False)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("reshape", [(5,)]),
        ("reshape", [(-1, -1)]),
        ("reshape", [(7, -1)]),
        ("Tensor.view", [5]),
        ("transpose", [0, 3]),
        ("permute", [(0, 0, 1)]),
        ("permute", [(0, 1)]),
        ("Tensor.expand", [2, 3, 5]),
        ("Tensor.expand", [3, 4]),
        ("unsqueeze", [5]),
        ("squeeze", [3]),
        ("flatten", [2, 0]),
        ("unflatten", [0, (3, 3)]),
        ("movedim", [(0, 1), (0,)]),
        ("t", []),
        ("flip", [(0, 0)]),
        ("roll", [(1, 2), (0,)]),
        ("Tensor.repeat", [2]),
        ("Tensor.unfold", [0, 5, 1]),
        ("Tensor.unfold", [0, 1, 0]),
        ("diagonal", [0, 1, 1]),
        ("trace", []),
        ("diag", []),
    ],
    ids=str,
)
def test_both_refuse(name, args):
    assert_both_raise(name, array(2, 3, 4), *args)


def test_a_view_that_would_need_a_copy_is_refused_with_the_cure():
    error = assert_both_raise((lambda x: x.transpose(0, 2).view(-1),) * 2, array(2, 3, 4))
    assert "reshape" in error.cure


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("border", [(1, 2), (2, 0, 1, 1), (-1, 1), (0, 0, 1, -1)])
def test_padding_agrees(mode, border):
    import torch

    from chainrule.ops.padding import pad

    assert_agrees(
        (pad, torch.nn.functional.pad), array(2, 2, 4, 5)[..., : len(border) * 2], border, mode
    ) if len(border) == 4 or mode == "constant" else assert_agrees(
        (pad, torch.nn.functional.pad), array(2, 4, 5), border, mode
    )


def test_padding_with_a_number_agrees():
    import torch

    from chainrule.ops.padding import pad

    both = (pad, torch.nn.functional.pad)
    assert_agrees(both, array(2, 3), (1, 0, 0, 2), "constant", 7.5)
    assert_agrees(both, INTEGERS, (1, 1), kwargs={"value": 3})
    assert_both_raise(both, array(1, 2, 3), (3, 0), "reflect")
    assert_both_raise(both, array(2, 3), (1, 2, 3))
