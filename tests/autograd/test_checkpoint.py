"""checkpoint: the same gradients from less memory."""

import gc
import tracemalloc

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import Function, grad
from chainrule.autograd.checkpoint import checkpoint, checkpoint_sequential
from chainrule.errors import AutogradError, ConfigError


def leaf(*shape, seed=0):
    return cr.from_numpy(np.random.default_rng(seed).standard_normal(shape)).requires_grad_()


def block(x, w):
    return ((x @ w).tanh() * x).exp().log() + x


def both(function, *inputs):
    """Gradients with and without a checkpoint."""
    plain = grad(function(*inputs).sum(), inputs)
    pieces = grad(checkpoint(function, *inputs).sum(), inputs)
    return [g.numpy() for g in plain], [g.numpy() for g in pieces]


def test_the_same_gradients_bit_for_bit():
    plain, pieces = both(block, leaf(4, 3), leaf(3, 3, seed=1))
    for one, other in zip(plain, pieces):
        np.testing.assert_array_equal(one, other)


def test_the_function_runs_once_more_and_only_when_asked():
    calls = []
    x = leaf(3)

    def f(x):
        calls.append(1)
        return x.exp().tanh()

    y = checkpoint(f, x)
    assert len(calls) == 1
    y.sum().backward()
    assert len(calls) == 2


def test_what_the_function_closes_over_gets_its_gradient():
    x, w = leaf(4, 3), leaf(3, 3, seed=1)
    checkpoint(lambda x: block(x, w), x).sum().backward()
    expected = grad(block(x, w).sum(), w)[0]
    np.testing.assert_array_equal(w.grad.numpy(), expected.numpy())


def test_inputs_without_gradients():
    w = leaf(3, 3)
    checkpoint(lambda x: block(x, w), cr.ones(4, 3, dtype=cr.float64)).sum().backward()
    assert w.grad is not None


def test_second_order():
    x, w = leaf(4, 3), leaf(3, 3, seed=1)

    def second(f):
        (g,) = grad(f(x, w).sum(), x, create_graph=True)
        return grad((g * g).sum(), [x, w])

    for one, other in zip(second(block), second(lambda x, w: checkpoint(block, x, w))):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-13)


def test_a_custom_function_inside():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, bar):
            (x,) = ctx.saved_tensors
            return bar * 2 * x

    plain, pieces = both(lambda x: Square.apply(x.exp()).tanh() * x, leaf(3))
    np.testing.assert_array_equal(plain[0], pieces[0])


def test_checkpoints_nest():
    x, w = leaf(4, 3), leaf(3, 3, seed=1)

    def outer(x, w):
        return checkpoint(block, checkpoint(block, x, w), w) * 2

    def plain(x, w):
        return block(block(x, w), w) * 2

    expected = grad(plain(x, w).sum(), [x, w])
    found = grad(checkpoint(outer, x, w).sum(), [x, w])
    for one, other in zip(expected, found):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_same_random_numbers_the_second_time():
    x = leaf(200)

    def noisy(x):
        return x.exp() * cr.rand(200, dtype=cr.float64)

    cr.manual_seed(5)
    (expected,) = grad(noisy(x).sum(), x)
    cr.manual_seed(5)
    y = checkpoint(noisy, x)
    after = cr.rand(3).tolist()
    (found,) = grad(y.sum(), x)
    np.testing.assert_array_equal(expected.numpy(), found.numpy())
    cr.manual_seed(5)
    cr.rand(200, dtype=cr.float64)
    assert after == cr.rand(3).tolist(), "what is drawn outside goes on as if nothing were"


def test_keywords_and_several_outputs():
    x = leaf(3)
    y, n = checkpoint(lambda x, *, k: (x**k, k), x, k=3)
    assert n == 3
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * x.detach().numpy() ** 2)


def test_a_second_pass():
    x = leaf(3)
    y = checkpoint(lambda x: x.exp() * x, x).sum()
    y.backward(retain_graph=True)
    first = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * first)
    with pytest.raises(AutogradError, match="freed"):
        y.backward()


def test_without_the_tape_it_is_the_function():
    with cr.no_grad():
        y = checkpoint(block, leaf(2, 3), leaf(3, 3))
    assert y.grad_fn is None


def test_less_memory():
    x = leaf(200, 200)

    def deep(x):
        for _ in range(10):
            x = (x * 0.9).tanh()
        return x

    def peak(f):
        gc.collect()
        tracemalloc.start()
        f(x).sum()
        y = f(x)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        y.sum().backward()
        return held

    assert peak(lambda x: checkpoint(deep, x)) < 0.3 * peak(deep)


def test_a_function_that_does_something_else_the_second_time():
    calls = []

    def moody(x):
        calls.append(1)
        return x.exp() if len(calls) == 1 else x.tanh()

    y = checkpoint(moody, leaf(3))
    with pytest.raises(AutogradError, match=r"checkpoint: where the function ran Exp"):
        y.sum().backward()

    def shrinking(x):
        calls.append(1)
        return x.exp().exp() if len(calls) == 3 else x.exp()

    y = checkpoint(shrinking, leaf(3))
    with pytest.raises(AutogradError, match="recorded 2 ops, and 1"):
        y.sum().backward()


def test_an_argument_changed_in_between():
    x = leaf(3) * 1
    y = checkpoint(lambda x: x.exp(), x)
    x.add_(1)
    with pytest.raises(AutogradError, match=r"checkpoint: an argument .* add_"):
        y.sum().backward()


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_checkpoint_sequential(segments):
    x = leaf(4)
    chain = [cr.exp, cr.tanh, lambda x: x * x, cr.sin, cr.exp]

    def plain(x):
        for f in chain:
            x = f(x)
        return x

    (expected,) = grad(plain(x).sum(), x)
    (found,) = grad(checkpoint_sequential(chain, segments, x).sum(), x)
    np.testing.assert_array_equal(expected.numpy(), found.numpy())


def test_refusals():
    with pytest.raises(ConfigError, match="use_reentrant"):
        checkpoint(cr.exp, leaf(3), use_reentrant=True)
    with pytest.raises(ConfigError, match="segments"):
        checkpoint_sequential([cr.exp], 2, leaf(3))
