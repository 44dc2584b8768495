"""What the tape holds, and when it lets go: deep graphs, freed graphs, no cycles."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import chainrule as cr


@pytest.fixture
def no_garbage_collector():
    """Only reference counts free anything here."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_chain_of_100_000_ops():
    """Forward, backward and freeing, all without recursion."""
    x = cr.tensor(1.0, dtype=cr.float64, requires_grad=True)
    y = x
    for _ in range(50_000):
        y = (y * 1.00001).sin() if _ == 0 else (y * 1.0) + 0.0
    y.backward()
    expected = 1.00001 * np.cos(1.00001)
    assert x.grad.item() == pytest.approx(expected)
    del y  # the nodes free each other


def test_a_long_chain_that_is_never_walked_can_be_freed():
    x = cr.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    del y, _
    assert x.grad is None


@pytest.mark.usefixtures("no_garbage_collector")
def test_a_graph_nobody_holds_is_freed_at_once():
    x = cr.ones(3, requires_grad=True)
    hidden = x.exp() * 2  # exp saves its own output
    y = hidden.tanh().sum()
    references = [weakref.ref(each) for each in (hidden, y, hidden.node, y.node)]
    del hidden, y
    assert [reference() for reference in references] == [None] * 4


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_walked_graph_is_freed(create_graph):
    x = cr.ones(3, requires_grad=True)
    y = (x.exp() * x).sum()
    node = weakref.ref(y.node)
    y.backward(create_graph=create_graph)
    x.grad = None
    del y
    assert node() is None


@pytest.mark.usefixtures("no_garbage_collector")
def test_backward_frees_what_was_saved_though_the_loss_is_kept():
    x = cr.ones(1000, requires_grad=True)
    hidden = x * 2
    square = hidden * hidden
    loss = square.sum()
    saved = weakref.ref(hidden.value)
    del hidden, square
    assert saved() is not None
    loss.backward()
    assert saved() is None


@pytest.mark.usefixtures("no_garbage_collector")
def test_memory_does_not_grow_from_step_to_step():
    w = cr.ones(50, 50, requires_grad=True)
    x = cr.ones(20, 50)

    def step():
        loss = ((x @ w).tanh() ** 2).sum()
        loss.backward()
        w.grad = None

    for _ in range(5):
        step()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(50):
        step()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000


def test_results_without_gradients_hold_no_graph():
    x = cr.ones(3, requires_grad=True)
    with cr.no_grad():
        y = x * 2
    assert y.grad_fn is None
    assert (cr.ones(3) * 2).grad_fn is None


def test_what_the_derivative_does_not_need_is_not_kept():
    x = cr.ones(1000, requires_grad=True)
    hidden = x * 2.0
    memory = weakref.ref(hidden.value)
    y = hidden + 1.0
    del hidden
    assert memory() is None
    y.sum().backward()
