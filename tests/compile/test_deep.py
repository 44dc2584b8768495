"""Functions of very many ops: nothing on the way to machine code minds how deep they are."""

import time

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule

X = chainrule.from_numpy(np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32))


def repeated(first, each, times):
    def function(x):
        y = first(x)
        for _ in range(times):
            y = each(x, y)
        return y

    return function


FUNCTIONS = {
    "a chain": (lambda x: x, lambda x, y: y * 0.99 + 0.5, 700),
    "a chain of two instructions each": (lambda x: x, lambda x, y: y.clamp(-2.0, 2.0), 700),
    "a chain that is turned about": (lambda x: x, lambda x, y: (y * 0.99).flip(0), 350),
    "a chain after a sum": (lambda x: x.sum(0), lambda x, y: y * 0.99 + 0.5, 700),
    "a sum of sums": (lambda x: x.sum(), lambda x, y: y + (x * 0.5).sum(), 400),
    "each used twice": (lambda x: x, lambda x, y: y * 0.5 + y.sin() * 0.25, 120),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_deep_function_is_compiled(name):
    function = repeated(*FUNCTIONS[name])
    start = time.perf_counter()
    compiled = chainrule.compile(function)
    found = compiled(X)
    assert time.perf_counter() - start < 20
    np.testing.assert_allclose(found.numpy(), function(X).numpy(), rtol=1e-4, atol=1e-5)
    assert "on the host" not in compiled.explain()


def test_state_that_is_changed_very_often_is_written_once():
    total = chainrule.zeros(6, 8)

    def add(x):
        for _ in range(500):
            total.add_(x)
        return x.sum()

    compiled = chainrule.compile(add)
    for times in (500, 1000):
        compiled(X)
        np.testing.assert_allclose(total.numpy(), X.numpy() * times, rtol=1e-4, atol=1e-4)


def test_more_sums_than_registers_in_one_kernel():
    xs = [chainrule.ones(5, 7) * i for i in range(40)]

    def sums(*xs):
        return sum((x.sum(0) for x in xs[1:]), xs[0].sum(0))

    assert chainrule.compile(sums)(*xs).tolist() == [5.0 * sum(range(40))] * 7
