"""Function: operations of the user's own, first and second order, forward mode, and mistakes."""

import gc
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import Function, forward_ad, grad, gradcheck, gradgradcheck
from chainrule.autograd.function import once_differentiable
from chainrule.errors import AutogradError, DTypeError, ShapeError
from chainrule.func import jvp


def leaf(*values):
    return cr.tensor(list(values), dtype=cr.float64, requires_grad=True)


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, y_bar):
        (y,) = ctx.saved_tensors
        return y_bar * y


class MulAdd(Function):
    """a b + c, in the newer style, with an argument that is no tensor and a jvp."""

    @staticmethod
    def forward(a, b, c):
        return a * b + c

    @staticmethod
    def setup_context(ctx, inputs, output):
        a, b, _ = inputs
        ctx.save_for_backward(a, b)
        ctx.save_for_forward(a, b)

    @staticmethod
    def backward(ctx, y_bar):
        a, b = ctx.saved_tensors
        return (
            y_bar * b if ctx.needs_input_grad[0] else None,
            y_bar * a if ctx.needs_input_grad[1] else None,
            None,
        )

    @staticmethod
    def jvp(ctx, a_dot, b_dot, _):
        a, b = ctx.saved_for_forward
        terms = [a_dot * b if a_dot is not None else None, a * b_dot if b_dot is not None else None]
        terms = [term for term in terms if term is not None]
        return sum(terms[1:], terms[0])


class SinCos(Function):
    """Two outputs."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx, sin_bar, cos_bar):
        (x,) = ctx.saved_tensors
        return sin_bar * x.cos() - cos_bar * x.sin()


def test_first_and_second_order():
    x = leaf(0.1, -0.4)
    assert gradcheck(Exp.apply, x)
    assert gradgradcheck(Exp.apply, x)
    a, b = leaf(1.0, 2.0), leaf(3.0, -1.0)
    assert gradcheck(lambda a, b: MulAdd.apply(a, b, 2.0), (a, b))
    assert gradgradcheck(lambda a, b: MulAdd.apply(a, b, 2.0), (a, b))
    assert gradcheck(SinCos.apply, x)
    assert gradgradcheck(SinCos.apply, x)


def test_any_order():
    x = leaf(0.5)
    y = Exp.apply(x)
    for _ in range(4):
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(np.exp(0.5))


def test_forward_runs_unrecorded_and_the_node_has_its_name():
    recorded = []

    class Look(Exp):
        @staticmethod
        def forward(ctx, x):
            recorded.append(cr.is_grad_enabled())
            return Exp.forward(ctx, x)

    y = Look.apply(leaf(1.0))
    assert recorded == [False]
    assert y.grad_fn.name == "LookBackward"
    assert y.requires_grad
    assert not y.is_leaf


def test_without_gradients_nothing_is_recorded():
    assert Exp.apply(cr.ones(2)).grad_fn is None
    with cr.no_grad():
        assert Exp.apply(leaf(1.0)).grad_fn is None


def test_needs_input_grad():
    seen = []

    class Look(MulAdd):
        @staticmethod
        def backward(ctx, y_bar):
            seen.append(ctx.needs_input_grad)
            return MulAdd.backward(ctx, y_bar)

    a, b = leaf(2.0), cr.ones(1, dtype=cr.float64)
    Look.apply(a, b, 1.0).sum().backward()
    assert seen == [(True, False, False)]


def test_forward_mode():
    a, b = leaf(2.0), leaf(3.0)
    _, y_dot = jvp(lambda a, b: MulAdd.apply(a, b, 1.0), (a, b), (a.detach(), b.detach()))
    assert y_dot.tolist() == [12]
    assert gradcheck(lambda a, b: MulAdd.apply(a, b, 1.0), (a, b), check_forward_ad=True)
    assert gradgradcheck(lambda a, b: MulAdd.apply(a, b, 1.0), (a, b), check_fwd_over_rev=True)


def test_forward_mode_needs_a_jvp():
    with (
        forward_ad.dual_level(),
        pytest.raises(AutogradError, match="Exp: there is no jvp"),
    ):
        Exp.apply(forward_ad.make_dual(leaf(1.0), cr.ones(1, dtype=cr.float64)))


def test_an_unused_output_gets_zeros_or_none():
    seen = []

    class Look(SinCos):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            return SinCos.forward(ctx, x)

        @staticmethod
        def backward(ctx, sin_bar, cos_bar):
            seen.append(None if cos_bar is None else cos_bar.tolist())
            return sin_bar, None

    for materialize in (True, False):
        Look.apply(leaf(1.0), materialize)[0].sum().backward()
    assert seen == [[0], None]


def test_outputs_marked_non_differentiable():
    class Largest(Function):
        @staticmethod
        def forward(ctx, x):
            value, index = x.amax(), x.argmax()
            again = x * 1
            ctx.save_for_backward(index)
            ctx.shape = x.shape
            ctx.mark_non_differentiable(again)
            return value, index, again

        @staticmethod
        def backward(ctx, bar, index_bar, again_bar):
            (index,) = ctx.saved_tensors
            return (cr.arange(ctx.shape[0]) == index).to(bar.dtype) * bar

    x = leaf(1.0, 5.0, 2.0)
    value, index, again = Largest.apply(x)
    assert value.requires_grad
    assert not index.requires_grad
    assert not again.requires_grad
    value.backward()
    assert x.grad.tolist() == [0, 1, 0]


def test_an_input_returned_as_it_is():
    class Identity(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, bar):
            return bar * 2

    x = leaf(1.0)
    y = Identity.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.tolist() == [2]
    assert x.is_leaf


def test_mark_dirty():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, bar):
            return bar * 2

    x = leaf(1.0)
    hidden = x * 3
    y = Double.apply(hidden)
    assert y is hidden
    y.sum().backward()
    assert y.tolist() == [6]
    assert x.grad.tolist() == [6]
    with pytest.raises(AutogradError, match="mark_dirty"):
        Double.apply(x)


def test_a_saved_tensor_changed_in_place():
    a, b = leaf(2.0), leaf(3.0)
    hidden = a * 1
    y = MulAdd.apply(hidden, b, 0.0)
    hidden.add_(1)
    with pytest.raises(AutogradError, match=r"MulAddBackward.*add_"):
        y.sum().backward()


def test_a_saved_output_changed_in_place():
    y = Exp.apply(leaf(1.0))
    y.mul_(2)
    with pytest.raises(AutogradError, match=r"ExpBackward.*mul_"):
        y.sum().backward()


def test_a_second_pass_needs_retain_graph():
    x = leaf(1.0)
    y = Exp.apply(x)
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(AutogradError, match="freed"):
        y.backward()


def test_the_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        y = Exp.apply(x)
        node, value = weakref.ref(y.grad_fn), weakref.ref(y.value)
        del y
        assert node() is None
        assert value() is None
    finally:
        gc.enable()


def test_gradients_given_back_stay_the_users_memory():
    mine = cr.ones(1, dtype=cr.float64)

    class Constant(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, bar):
            return mine

    x = leaf(1.0)
    Constant.apply(x).sum().backward()
    x.grad.mul_(5)
    assert mine.tolist() == [1]


def wrong(returned):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, number):
            return x * number

        @staticmethod
        def backward(ctx, bar):
            return returned

    return Wrong


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (cr.ones(2), AutogradError, r"Wrong.backward returned 1 gradients for 2 arguments"),
        ((None, None, cr.ones(2)), AutogradError, r"Wrong.backward returned 3 gradients"),
        ((cr.ones(3), None), ShapeError, r"Wrong.backward returned a gradient of f32\[3\]"),
        ((cr.ones(2), cr.ones(2)), AutogradError, r"argument 1, which is not a tensor"),
        ((1.0, None), DTypeError, r"Wrong.backward returned a float"),
    ],
)
def test_mistakes_in_backward_name_the_class(returned, error, message):
    with pytest.raises(error, match=message):
        wrong(returned).apply(leaf(1.0, 2.0), 2.0).sum().backward()


def test_gradients_that_broadcast_are_summed_and_converted():
    x = leaf(1.0, 2.0)
    wrong((cr.ones(3, 2), None)).apply(x, 2.0).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert x.grad.dtype is cr.float64


def test_a_trailing_none_too_many_is_forgiven():
    x = leaf(1.0, 2.0)
    wrong((cr.ones(2), None, None)).apply(x, 2.0).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_no_backward_and_no_instances():
    class Half(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 0.5

    y = Half.apply(leaf(1.0))
    with pytest.raises(AutogradError, match="no backward"):
        y.sum().backward()
    with pytest.raises(AutogradError, match="not instantiated"):
        Half()


def test_only_tensors_can_be_saved():
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x

    with pytest.raises(DTypeError, match="int"):
        Bad.apply(leaf(1.0))


def test_once_differentiable():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, bar):
            assert not cr.is_grad_enabled()
            (x,) = ctx.saved_tensors
            return bar * 2 * x

    x = leaf(3.0)
    (g,) = grad(Square.apply(x).sum(), x)
    assert g.tolist() == [6]
    (g,) = grad(Square.apply(x).sum(), x, create_graph=True)
    with pytest.raises(AutogradError, match="once_differentiable"):
        grad(g.sum(), x)


class Scaled(Function):
    """Keeps None beside a tensor, and gives back a number that is no tensor."""

    @staticmethod
    def forward(ctx, x, bias=None):
        ctx.save_for_backward(x, bias)
        assert ctx.saved_tensors == (x, bias)
        return x * 3, "a note"

    @staticmethod
    def backward(ctx, y_bar, _):
        x, bias = ctx.saved_tensors
        assert bias is None
        return (None if x.sum() < 0 else y_bar * 3), None


def test_none_can_be_saved_and_returned_and_what_is_no_tensor_passes_through():
    x = leaf(1.0, 2.0)
    y, note = Scaled.apply(x)
    assert note == "a note"
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]
    negative = leaf(-1.0)
    y, _ = Scaled.apply(negative)
    y.sum().backward()
    assert negative.grad is None


class Halves(Function):
    """A view of its input twice: one half as it is, one as an index without a gradient."""

    @staticmethod
    def forward(ctx, x):
        first, second = x[:1], x[1:]
        ctx.mark_non_differentiable(second)
        return first, second

    @staticmethod
    def backward(ctx, y_bar, _):
        return cr.cat([y_bar * 7, y_bar * 0])


def test_a_view_that_is_returned_can_be_non_differentiable():
    x = leaf(1.0, 2.0)
    first, second = Halves.apply(x)
    assert first.requires_grad
    assert not second.requires_grad
    first.sum().backward()
    assert x.grad.tolist() == [7, 0]


class Forgetful(Function):
    """Says that its input was changed in place, and returns another tensor."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x + 1

    @staticmethod
    def backward(ctx, y_bar):
        return y_bar


def test_an_input_changed_in_place_must_be_returned():
    with pytest.raises(AutogradError, match="not among the outputs") as raised:
        Forgetful.apply(leaf(1.0) * 2)
    assert "return it" in raised.value.cure
