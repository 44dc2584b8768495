"""Hooks: when they run, what they may change, how they are taken out."""

import gc
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import grad
from chainrule.errors import AutogradError, ShapeError


def leaf(*values):
    return cr.tensor(list(values), dtype=cr.float64, requires_grad=True)


def test_a_hook_sees_the_whole_gradient_of_a_leaf_once():
    seen = []
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * x + x).sum().backward()
    assert seen == [[3, 5]]
    assert x.grad.tolist() == [3, 5]


def test_a_hook_may_replace_the_gradient():
    x = leaf(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert x.grad.tolist() == [31, 31]


def test_hooks_run_in_the_order_of_registration_and_feed_each_other():
    x = leaf(1.0)
    x.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: g + 1)
    x.sum().backward()
    assert x.grad.tolist() == [3]


def test_a_hook_can_be_removed():
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 100)
    handle.remove()
    handle.remove()
    with x.register_hook(lambda g: g * 2):
        x.sum().backward()
    x.sum().backward()
    assert x.grad.tolist() == [3]


def test_a_hook_that_removes_itself():
    x = leaf(1.0)
    calls = []
    handles = [x.register_hook(lambda g: (calls.append(1), handles[0].remove())[1])]
    x.sum().backward()
    x.sum().backward()
    assert calls == [1]


def test_what_a_hook_returns_stays_the_users_memory():
    mine = cr.ones(1, dtype=cr.float64)
    x = leaf(1.0)
    x.register_hook(lambda g: mine)
    x.sum().backward()
    x.grad.mul_(5)
    assert mine.tolist() == [1]


def test_a_hook_that_returns_another_shape():
    x = leaf(1.0)
    x.register_hook(lambda g: cr.ones(2))
    with pytest.raises(ShapeError, match="hook '<lambda>'"):
        x.sum().backward()


def test_hooks_need_a_gradient_to_come():
    for register in (cr.Tensor.register_hook, cr.Tensor.register_post_accumulate_grad_hook):
        with pytest.raises(AutogradError, match="does not require gradients"):
            register(cr.ones(2), print)
    with pytest.raises(AutogradError, match="does not require gradients"):
        cr.ones(2).retain_grad()


def test_retain_grad_keeps_what_the_hooks_made_of_it():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * y).sum().backward()
    assert y.grad.tolist() == [40, 80]
    assert x.grad.tolist() == [80, 160]


def test_a_retained_gradient_accumulates_and_is_its_own_memory():
    x = leaf(1.0)
    y = x * 1
    y.retain_grad()
    z = y.sum()
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.tolist() == [2]
    y.grad.mul_(7)
    assert x.grad.tolist() == [2]


def test_retain_grad_of_a_leaf_changes_nothing():
    x = leaf(1.0)
    x.retain_grad()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2]


def test_post_accumulate_hooks_see_the_finished_grad():
    x = leaf(1.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    x.sum().backward()
    (x * 2).sum().backward()
    assert seen == [[1], [3]]
    with pytest.raises(AutogradError, match="leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_post_accumulate_hooks_may_step_and_clear():
    """The optimizer step inside the backward pass."""
    w = leaf(1.0)

    def step(leaf):
        with cr.no_grad():
            leaf.sub_(leaf.grad * 0.5)
        leaf.grad = None

    w.register_post_accumulate_grad_hook(step)
    (w * 2).sum().backward()
    assert w.tolist() == [0]
    assert w.grad is None


def test_node_hooks():
    seen = []
    x, z = leaf(2.0), leaf(3.0)
    y = x * z
    y.grad_fn.register_prehook(lambda bars: (bars[0] * 10,))
    y.grad_fn.register_hook(
        lambda x_bars, y_bars: (
            seen.append(([b.tolist() for b in x_bars], [b.tolist() for b in y_bars])),
            (x_bars[0], x_bars[1] + 1),
        )[1]
    )
    y.sum().backward()
    assert seen == [([[30], [20]], [[10]])]
    assert x.grad.tolist() == [30]
    assert z.grad.tolist() == [21]


def test_node_hooks_that_return_another_number():
    y = leaf(2.0) * leaf(3.0)
    y.grad_fn.register_hook(lambda x_bars, y_bars: (x_bars[0],))
    with pytest.raises(AutogradError, match="given 2 gradients and returned 1"):
        y.sum().backward()


def test_the_order_of_all_hooks():
    order = []
    x = leaf(1.0)
    y = x * 2
    y.grad_fn.register_hook(lambda *_: order.append("node"))
    y.grad_fn.register_prehook(lambda *_: order.append("node before"))
    y.register_hook(lambda _: order.append("tensor"))
    x.register_hook(lambda _: order.append("leaf"))
    x.register_post_accumulate_grad_hook(lambda _: order.append("accumulated"))
    y.sum().backward()
    assert order == ["tensor", "node before", "node", "leaf", "accumulated"]


def test_hooks_run_for_grad_too():
    x = leaf(1.0)
    x.register_hook(lambda g: g * 2)
    assert grad((x * 3).sum(), x)[0].tolist() == [6]


def test_hooks_are_recorded_when_the_backward_pass_is():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = grad(y.sum(), x, create_graph=True)  # 2 x · x
    assert grad(g.sum(), x)[0].tolist() == [12]


def test_a_hook_does_not_keep_its_tensor_alive():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        y = x * 2
        y.register_hook(np.array)
        y.retain_grad()
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()
