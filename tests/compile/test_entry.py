"""The native entry takes the calls that are the program's, and leaves every other one alone."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn, optim
from chainrule.compile.entry import has_entries
from chainrule.compile.fast_path import MISS

pytestmark = pytest.mark.skipif(not has_entries(), reason="no native entry on this interpreter")


def small_step() -> tuple[Any, Any, optim.SGD]:
    chainrule.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @chainrule.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, model, optimizer


def batch() -> tuple[chainrule.Tensor, chainrule.Tensor]:
    chainrule.manual_seed(1)
    return chainrule.randn(5, 3), chainrule.tensor([0, 1, 1, 0, 1])


def entered(step: Any, *args: Any) -> bool:
    """Whether a call goes through the native entry."""
    assert "enter(" in step._fast.__doc__
    return step._fast(args) is not MISS


def test_calls_go_through_it_and_give_what_plain_python_gives() -> None:
    step, model, _ = small_step()
    plain, other, _ = small_step()
    x, y = batch()
    for _ in range(5):
        np.testing.assert_allclose(step(x, y).item(), plain.function(x, y).item(), rtol=1e-5)
    assert entered(step, x, y)
    plain.function(x, y)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(mine.value, theirs.value, rtol=1e-5, atol=1e-7)


class Stranger(chainrule.Tensor):
    """A tensor of the user's."""


@pytest.mark.parametrize(
    "stranger",
    [
        lambda x: x.double(),
        lambda x: x[:4],
        lambda x: x.reshape(5, 3, 1),
        lambda x: x.numpy(),
        lambda x: x.detach().requires_grad_(),
        lambda x: chainrule.tensor(np.ones((5, 6), np.float32))[:, ::2],
        lambda x: x.tolist(),
        lambda x: Stranger(x),
        lambda x: None,
        lambda x: 1.5,
        lambda x: object(),
        lambda x: chainrule.Tensor,
    ],
)
def test_it_leaves_other_arguments_alone(stranger: Any) -> None:
    step, _, _ = small_step()
    x, y = batch()
    step(x, y)
    before = x.numpy().copy()
    assert not entered(step, stranger(x), y)
    assert step._fast((x,)) is MISS
    assert step._fast((x, y, y)) is MISS
    np.testing.assert_array_equal(x.numpy(), before)
    assert entered(step, x, y)


def test_it_leaves_an_argument_alone_that_shares_the_states_memory() -> None:
    weight = chainrule.ones(4)

    @chainrule.compile
    def step(x: Any) -> Any:
        weight.add_(x)
        return x.sum()

    other = chainrule.ones(4)
    step(other)
    assert entered(step, other)
    assert not entered(step, weight)
    assert not entered(step, weight.view(4))


def test_it_sees_that_the_state_is_another() -> None:
    step, model, _ = small_step()
    x, y = batch()
    step(x, y)
    assert entered(step, x, y)
    bias = model[0].bias
    bias.value = np.full_like(bias.value, 3.0)
    assert not entered(step, x, y)
    step(x, y)  # it takes the new one
    assert entered(step, x, y)
    assert abs(bias.value - 3).max() < 1.0
    bias.grad = chainrule.ones(4)
    assert not entered(step, x, y)
    bias.grad = None
    bias.requires_grad_(False)
    assert not entered(step, x, y)


def test_a_guard_of_the_program_sends_the_call_the_slow_way() -> None:
    step, model, _ = small_step()
    x, y = batch()
    step(x, y)
    before = [p.detach().numpy().copy() for p in model.parameters()]
    wrong = chainrule.tensor([0, 1, 7, 0, 1])
    assert not entered(step, x, wrong)
    with pytest.raises((IndexError, ValueError, chainrule.errors.ChainruleError)):
        step(x, wrong)
    for p, b in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), b)
    assert entered(step, x, y)


def test_results_are_memory_of_their_own() -> None:
    double = chainrule.compile(lambda x: x * 2)
    x = chainrule.ones(3)
    double(x)
    first, second = double(x), double(x * 5)
    np.testing.assert_array_equal(first.numpy(), [2, 2, 2])
    np.testing.assert_array_equal(second.numpy(), [10, 10, 10])


def test_large_arguments_are_read_where_they_are() -> None:
    total = chainrule.compile(lambda x: x.sum())
    for scale in (1.0, 2.0, 3.0):
        x = chainrule.full((10, 1000), scale)
        np.testing.assert_allclose(total(x).item(), scale * 10000, rtol=1e-6)
        del x
    assert entered(total, chainrule.ones(10, 1000))


def test_it_keeps_no_object_and_loses_none() -> None:
    step, model, _ = small_step()
    x, y = batch()
    step(x, y)
    watched = [x, y, x.value, y.value, model[0].weight, model[0].weight.value]
    gc.collect()
    before = [sys.getrefcount(each) for each in watched]
    for _ in range(1000):
        step(x, y)
    assert [sys.getrefcount(each) for each in watched] == before


def test_threads_do_not_mix_up_their_calls() -> None:
    square = chainrule.compile(lambda x: (x * x).sum())
    square(chainrule.ones(8))
    wrong: list[float] = []

    def work(number: int) -> None:
        x = chainrule.full((8,), float(number))
        for turn in range(2000):
            # now and then the slow way, which works in the same memory
            found = square(x.numpy() if turn % 50 == 0 else x).item()
            if found != 8.0 * number * number:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_without_its_layout_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.compile import program

    monkeypatch.setattr(program, "has_entries", lambda: False)
    step, _, _ = small_step()
    x, y = batch()
    losses = [step(x, y).item() for _ in range(4)]
    assert losses[-1] < losses[0]
    assert "enter(" not in step._fast.__doc__
