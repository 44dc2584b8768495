"""What is no tensor, too large a number or too much memory: a typed error, or the right answer."""

import tracemalloc
from typing import Any, ClassVar

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.core import op as op_module
from chainrule.core.op import Op
from chainrule.errors import DTypeError, OpError
from chainrule.nn import functional as F


@pytest.mark.parametrize("stranger", [None, "x", [1.0, 2.0], np.ones((3, 4), np.float32), 1.5])
def test_a_layer_given_no_tensor_says_so(stranger: object) -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    with pytest.raises(DTypeError, match=type(stranger).__name__) as caught:
        model(stranger)
    assert caught.value.cure
    assert "test_nasty_input.py" in caught.value.location


def test_an_op_given_an_array_says_how_to_wrap_it() -> None:
    array: Any = np.ones((3, 4), np.float32)
    with pytest.raises(DTypeError, match=r"relu: argument 0 .* ndarray") as caught:
        F.relu(array)
    assert "from_numpy" in caught.value.cure


def test_an_attribute_error_of_the_users_own_code_passes_through() -> None:
    class Wrong(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.no_such_name

    with pytest.raises(AttributeError, match="no_such_name"):
        Wrong()(np.ones(3))
    with pytest.raises(AttributeError, match="no_such_name"):
        Wrong()(cr.ones(3))


@pytest.mark.parametrize("number", [2**70, -(2**2000)])
def test_an_integer_too_large_for_the_dtype(number: int) -> None:
    with pytest.raises(DTypeError, match="bits does not fit"):
        _ = cr.arange(3) + number
    if abs(number) > 2**1024:
        with pytest.raises(DTypeError, match="bits does not fit"):
            _ = number * cr.ones(3)
    else:
        assert (cr.ones(1) + number).item() == np.float32(number)


def test_memory_that_there_is_not_names_the_op_and_a_way_out() -> None:
    with pytest.raises(OpError, match="full") as caught:
        cr.zeros(10**15)
    assert caught.value.cure
    with pytest.raises(OpError, match="bincount") as caught:
        cr.bincount(cr.tensor([10**15]))
    assert caught.value.cure


def test_printing_makes_no_copy_of_what_it_leaves_out() -> None:
    vast = cr.zeros(1, 1).expand(10**9, 10**6)
    long = cr.arange(3_000_000)
    repr(cr.ones(2000))
    tracemalloc.start()
    assert repr(vast).count("0.") == 36
    assert repr(long) == "tensor([      0,       1,       2,  ..., 2999997, 2999998, 2999999])"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([cr.tensor(2.0), 1], cr.float32),
        ([cr.tensor(2), 1.5], cr.float32),
        ([[cr.tensor(1.0), 0.0], [0.0, cr.tensor(1.0)]], cr.float32),
        ([cr.tensor(2.0, dtype=cr.float64), 1], cr.float64),
        ([np.float32(1), 2], cr.float32),
        ([np.float64(1), 2.0], cr.float64),
        ([np.ones(2), np.ones(2, np.float32)], cr.float64),
        ([cr.tensor(True), 2], cr.int64),
    ],
)
def test_lists_with_tensors_inside_promote_as_in_pytorch(data: Any, dtype: cr.DType) -> None:
    assert cr.tensor(data).dtype is dtype


def test_an_op_whose_class_was_cut_short_in_the_making_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Half(Op, family=True):
        size: int = 1
        name: ClassVar[str] = "half"

    def interrupted(cls: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(op_module, "_dataclass_init", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Half(3)
    assert Half(3) == Half(3)
    assert Half(3).size == 3


def test_the_default_dtype_can_be_named_and_is_checked() -> None:
    before = cr.get_default_dtype()
    name: Any = "float64"
    try:
        cr.set_default_dtype(name)
        assert cr.ones(1).dtype is cr.float64
    finally:
        cr.set_default_dtype(before)
    name = "no such dtype"
    with pytest.raises(DTypeError, match="no such dtype"):
        cr.set_default_dtype(name)


def test_names_that_live_in_functional_are_at_the_top_and_methods_too():
    x = cr.tensor([[-1.0, 2.0]])
    functional = cr.nn.functional
    assert x.relu().tolist() == cr.relu(x).tolist() == functional.relu(x).tolist()
    assert x.softmax(-1).tolist() == cr.softmax(x, -1).tolist()
    assert x.log_softmax(-1).tolist() == cr.log_softmax(x, -1).tolist()
    assert x.clone().relu_().tolist() == [[0.0, 2.0]]
    with pytest.raises(AttributeError, match="no attribute 'reloo'"):
        _ = cr.reloo


X = cr.ones(2, 3, 4)
WRONG_CALLS: list[tuple[str, Any]] = [
    ("atleast_1d", lambda: cr.atleast_1d(1)),
    ("bmm", lambda: cr.bmm(X, cr.ones(3, 4, 5))),
    ("broadcast_tensors", lambda: cr.broadcast_tensors(X, cr.ones(5))),
    ("cat", lambda: cr.cat([])),
    ("chunk", lambda: X.chunk(0)),
    ("cumulative_trapezoid", lambda: cr.cumulative_trapezoid(X, cr.ones(2))),
    ("diag", lambda: cr.diag(X)),
    ("diag_embed", lambda: cr.diag_embed(X, 0, 1, 1)),
    ("diagonal", lambda: X.diagonal(0, 1, 1)),
    ("expand", lambda: X.expand(-1, 2, 3, 4)),
    ("flatten", lambda: X.flatten(2, 1)),
    ("gather", lambda: X.gather(0, X)),
    ("glu", lambda: F.glu(X, 1)),
    ("instance_norm", lambda: F.instance_norm(X, weight=cr.ones(4))),
    ("batch_norm", lambda: F.batch_norm(X, cr.ones(4), cr.ones(4))),
    ("group_norm", lambda: F.group_norm(X, 1, cr.ones(4))),
    ("matmul", lambda: cr.matmul(X, X.double())),
    ("matrix_power", lambda: cr.matrix_power(X, 2)),
    ("meshgrid", lambda: cr.meshgrid(X)),
    ("mm", lambda: cr.mm(X, X)),
    ("movedim", lambda: X.movedim((0, 1), (0,))),
    ("multinomial", lambda: cr.multinomial(X, 1)),
    ("nanquantile", lambda: X.nanquantile(2.0)),
    ("norm", lambda: X.norm("nuc")),
    ("one_hot", lambda: F.one_hot(X)),
    ("polygamma", lambda: cr.polygamma(-1, X)),
    ("repeat_interleave", lambda: X.repeat_interleave(-1)),
    ("rot90", lambda: X.rot90(1, (0, 0))),
    ("scatter", lambda: X.scatter(0, X.long(), X.double())),
    ("scatter", lambda: X.scatter(0, X.long(), cr.ones(1, 1, 1))),
    ("scatter_add", lambda: X.scatter_add(0, X, X)),
    ("split", lambda: X.split(0)),
    ("stack", lambda: cr.stack([])),
    ("t", lambda: X.t()),
    ("take_along_dim", lambda: X.take_along_dim(cr.ones(5, 5, 4).long(), 2)),
    ("tensor_split", lambda: X.tensor_split(0)),
    ("tensordot", lambda: cr.tensordot(X, X, 1)),
    ("trace", lambda: X.trace()),
    ("unbind", lambda: cr.tensor(1.0).unbind()),
    ("unflatten", lambda: X.unflatten(2, (3, 2))),
    ("where", lambda: cr.where(X[0] > 0, X[0, 0], cr.ones(5))),
]


@pytest.mark.parametrize(("name", "call"), WRONG_CALLS)
def test_an_error_names_the_function_that_was_called_the_line_and_a_cure(
    name: str, call: Any
) -> None:
    with pytest.raises(OpError, match=rf"^{name}: (?!{name}\b)") as raised:
        call()
    assert raised.value.cure
    assert "test_nasty_input.py" in raised.value.location
