"""What a tensor is and does on its own: reading, writing, copying, sharing memory, errors."""

import copy
import pickle

import numpy as np
import pytest

import chainrule
from chainrule.errors import AutogradError, ChainruleError, ConfigError, DTypeError, ShapeError


def leaf(*shape: int) -> chainrule.Tensor:
    return chainrule.ones(*shape, requires_grad=True)


def test_a_shape_is_a_tuple_that_knows_its_product():
    x = chainrule.zeros(2, 3)
    assert x.shape == (2, 3) == x.size()
    assert repr(x.shape) == "(2, 3)"
    assert x.shape.numel() == x.size().numel() == x.numel() == x.nelement() == 6
    assert (x.size(-1), x.dim(), x.ndim, x.ndimension(), len(x)) == (3, 2, 2, 2, 2)
    assert (x.element_size(), x.itemsize, x.nbytes) == (4, 4, 24)
    assert x.device == "cpu"
    assert x.is_floating_point() and not x.long().is_floating_point()  # noqa: PT018
    with pytest.raises(chainrule.errors.DimensionError):
        x.size(2)


def test_a_tensor_copies_and_from_numpy_shares():
    array = np.zeros(3, np.float32)
    shared, copied = chainrule.from_numpy(array), chainrule.tensor(array)
    also = chainrule.as_tensor(array)
    array[0] = 5
    assert shared.tolist() == also.tolist() == [5, 0, 0]
    assert copied.tolist() == [0, 0, 0]
    shared.fill_(2)
    assert array.tolist() == [2, 2, 2]
    assert shared.numpy() is array
    assert chainrule.as_tensor(shared) is shared
    assert chainrule.as_tensor(array, dtype=chainrule.float64).dtype is chainrule.float64


def test_negative_strides_are_shared():
    array = np.arange(4.0)
    x = chainrule.from_numpy(array[::-1])
    x[0] = 9
    assert array.tolist() == [0, 1, 2, 9]


def test_a_read_only_array_can_be_read_only():
    array = np.ones(2)
    array.flags.writeable = False
    x = chainrule.from_numpy(array)
    assert (x + 1).tolist() == [2, 2]
    with pytest.raises(ChainruleError, match="can't be written to"):
        x.add_(1)


def test_the_other_byte_order_is_converted_but_not_shared():
    array = np.arange(3, dtype=">f4")
    assert chainrule.tensor(array).tolist() == [0, 1, 2]
    assert chainrule.as_tensor(array).dtype is chainrule.float32
    with pytest.raises(DTypeError, match="other order"):
        chainrule.from_numpy(array)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64, np.longdouble])
def test_dtypes_without_counterpart_are_refused(dtype):
    for make in (chainrule.tensor, chainrule.from_numpy):
        with pytest.raises(DTypeError) as caught:
            make(np.ones(2, dtype))
        assert "astype" in caught.value.cure


@pytest.mark.parametrize(
    "data", [1j, [1 + 2j], np.ones(2, np.complex64), "a", [None], {}, [[1], "b"], np.array("x")]
)
def test_what_is_no_number_is_refused(data):
    with pytest.raises((DTypeError, ShapeError)) as caught:
        chainrule.tensor(data)
    assert caught.value.cure


def test_complex_operands_are_refused():
    with pytest.raises(DTypeError, match="complex"):
        chainrule.ones(2) * 1j


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "gpu"])
def test_there_is_one_device(device: str):
    assert chainrule.zeros(2, device="cpu").to("cpu").cpu().tolist() == [0, 0]
    for make in (chainrule.zeros, chainrule.randn, chainrule.arange):
        with pytest.raises(ConfigError, match="main memory"):
            make(2, device=device)
    with pytest.raises(ConfigError):
        chainrule.zeros(2).to(device)


def test_conversions():
    x = chainrule.tensor([1.7, -1.7])
    for name in ("half", "float", "double", "short", "int", "long", "char"):
        assert getattr(x, name)().dtype is getattr(chainrule, {"char": "int8"}.get(name, name))
    assert x.abs().byte().tolist() == [1, 1]
    assert x.bool().tolist() == [True, True]
    assert x.to(chainrule.float32) is x
    assert x.to(chainrule.float32, copy=True) is not x
    assert x.to(x.double()).dtype is x.type_as(x.double()).dtype is chainrule.float64
    assert x.to("cpu", chainrule.int64).tolist() == [1, -1]
    with pytest.raises(DTypeError, match="neither a dtype"):
        x.to(3)
    y = leaf(2)
    y.double().sum().backward()
    assert y.grad is not None
    assert y.grad.dtype is chainrule.float32


def test_python_asks_a_tensor():
    assert float(chainrule.tensor(2.5)) == 2.5
    assert int(chainrule.tensor([2.5])) == 2
    assert [10, 20, 30][chainrule.tensor(1)] == 20
    assert 2.0 in chainrule.tensor([1.0, 2.0])
    assert 3.0 not in chainrule.tensor([1.0, 2.0])
    assert [row.tolist() for row in chainrule.tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]
    assert bool(chainrule.tensor([1])) and not bool(chainrule.tensor(0.0))  # noqa: PT018
    assert f"{chainrule.tensor(0.125):.2f}" == "0.12"
    assert chainrule.tensor([[1, 2]]).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("ask", "error", "match"),
    [
        (lambda: bool(chainrule.ones(2)), ValueError, "ambiguous"),
        (lambda: bool(chainrule.ones(0)), ValueError, "ambiguous"),
        (lambda: chainrule.ones(2).item(), ValueError, "one element"),
        (lambda: len(chainrule.tensor(1)), TypeError, "length"),
        (lambda: list(chainrule.tensor(1)), TypeError, "iterated"),
        (lambda: [1][chainrule.tensor(0.0)], TypeError, "index"),
        (lambda: leaf(2).numpy(), RuntimeError, "requires gradients"),
        (lambda: np.asarray(leaf(2)), RuntimeError, "requires gradients"),
    ],
)
def test_questions_without_an_answer(ask, error: type[Exception], match: str):
    with pytest.raises(error, match=match) as caught:
        ask()
    assert isinstance(caught.value, ChainruleError)
    assert caught.value.cure
    assert __file__ in caught.value.location


def test_numpy_and_tensors_mix():
    x, array = chainrule.tensor([1.0, 2.0]), np.array([1.0, 2.0], np.float32)
    assert isinstance(x + array, chainrule.Tensor)
    assert isinstance(array + x, chainrule.Tensor)
    assert isinstance(np.float64(2) * x, chainrule.Tensor)
    assert isinstance(np.exp(x), chainrule.Tensor)
    assert np.asarray(x, np.float64).dtype == np.float64
    assert np.array(x) is not x.numpy()
    assert np.asarray(x) is x.numpy()
    assert leaf(2).numpy(force=True).tolist() == [1, 1]


def test_dlpack_shares_memory_with_numpy():
    array = np.zeros(3, np.float32)
    x = chainrule.from_dlpack(array)
    x.fill_(4)
    assert array.tolist() == [4, 4, 4]
    back = np.from_dlpack(x)
    back[0] = 1
    assert x.tolist() == [1, 4, 4]
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(DTypeError, match="DLPack"):
        chainrule.from_dlpack([1, 2])
    assert chainrule.asarray(array).numpy() is array
    assert chainrule.asarray(array, copy=True).numpy() is not array
    with pytest.raises(DTypeError, match="copy=False"):
        chainrule.asarray([1], copy=False)


# ---- copies ----------------------------------------------------------------------------------


def test_a_deep_copy_of_a_leaf_has_its_own_memory_and_keeps_its_gradient():
    x = leaf(2)
    (x * 3).sum().backward()
    x.note = ["mine"]
    y = copy.deepcopy({"a": x, "b": x})
    assert y["a"] is y["b"]
    assert y["a"].requires_grad
    assert y["a"].grad.tolist() == [3, 3]
    assert y["a"].note == ["mine"]
    with chainrule.no_grad():
        y["a"].zero_()
    assert x.tolist() == [1, 1]


def test_only_leaves_can_be_copied_deeply():
    with pytest.raises(AutogradError, match="leaf"):
        copy.deepcopy(leaf(2) * 2)


def test_a_shallow_copy_shares_memory():
    x = leaf(2)
    y = copy.copy(x)
    with chainrule.no_grad():
        y.fill_(7)
    assert x.tolist() == [7, 7]
    assert y.requires_grad


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_users_may_pickle_tensors(protocol: int):
    x = leaf(2, 3).double().detach().requires_grad_()
    y = pickle.loads(pickle.dumps(x, protocol))
    assert (y.tolist(), y.dtype, y.requires_grad) == (x.tolist(), x.dtype, True)
    assert pickle.loads(pickle.dumps(chainrule.bool, protocol)) is chainrule.bool


# ---- what the tape knows ---------------------------------------------------------------------


def test_data_is_the_same_memory_unknown_to_the_tape():
    x = leaf(3)
    x.data.mul_(5)
    assert x.tolist() == [5, 5, 5]
    assert x.is_leaf and x.requires_grad and not x.data.requires_grad  # noqa: PT018
    x.data = chainrule.zeros(2)
    assert x.tolist() == [0, 0]
    with pytest.raises(DTypeError, match="take over"):
        x.data = chainrule.zeros(2, dtype=chainrule.int64)


def test_a_gradient_has_the_type_of_its_tensor():
    x = leaf(3)
    x.grad = chainrule.zeros(3)
    x.grad = None
    for wrong in (chainrule.zeros(2), chainrule.zeros(3, dtype=chainrule.float64)):
        with pytest.raises(ShapeError, match="gradient"):
            x.grad = wrong


def test_detach_in_place_makes_a_leaf():
    y = leaf(2) * 2
    assert y.detach_() is y
    assert y.is_leaf and not y.requires_grad  # noqa: PT018


def test_gradients_flow_to_what_was_copied():
    x, y = leaf(3), chainrule.zeros(2, 3, dtype=chainrule.float64)
    y.copy_(x * 2)
    y.sum().backward()
    assert x.grad.tolist() == [4, 4, 4]
    assert x.grad.dtype is chainrule.float32


def test_retained_gradients_and_hooks():
    x = leaf(2)
    y = x * 3
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    seen = []
    handle = x.register_hook(lambda grad: seen.append(grad.tolist()))
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    (y * 2).sum().backward()
    assert y.grad.tolist() == [2, 2]
    assert seen == [[6, 6], [6, 6]]
    handle.remove()
    (x * 1).sum().backward()
    assert len(seen) == 3


def test_only_floats_require_gradients():
    with pytest.raises(DTypeError, match="only float"):
        chainrule.ones(2, dtype=chainrule.int64).requires_grad_()
    with pytest.raises(AutogradError, match="leaves only"):
        (leaf(2) * 2).requires_grad_(False)


def test_the_public_face():
    assert sorted(chainrule.__all__) == chainrule.__all__
    assert len(set(chainrule.__all__)) == len(chainrule.__all__)
    assert [name for name in chainrule.__all__ if not hasattr(chainrule, name)] == []
    assert {"tensor", "zeros", "sum", "no_grad", "float32", "Tensor"} <= set(chainrule.__all__)
    assert "nn" in dir(chainrule)
    assert chainrule.float is chainrule.float32
    assert chainrule.double is chainrule.float64
    with pytest.raises(AttributeError, match="no_such_thing"):
        chainrule.no_such_thing  # noqa: B018
