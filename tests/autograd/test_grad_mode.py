"""no_grad and kin: as context managers, decorators, in threads and tasks."""

import asyncio
import threading

import pytest

import chainrule as cr
from chainrule.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from chainrule.errors import AutogradError


def test_nested_blocks_restore_what_was():
    assert is_grad_enabled()
    with no_grad():
        assert not is_grad_enabled()
        with enable_grad():
            assert is_grad_enabled()
            with no_grad():
                assert not is_grad_enabled()
            assert is_grad_enabled()
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_one_object_can_be_entered_again_within_itself():
    mode = no_grad()
    with mode:
        with mode:
            assert not is_grad_enabled()
        assert not is_grad_enabled()
    assert is_grad_enabled()


@pytest.mark.parametrize("mode", [no_grad, inference_mode])
def test_an_exception_restores_what_was(mode):
    with pytest.raises(KeyError), mode():
        raise KeyError
    assert is_grad_enabled()

    @mode()
    def fails():
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert is_grad_enabled()


def test_enable_grad_records_inside_no_grad():
    x = cr.ones(2, requires_grad=True)
    with no_grad(), enable_grad():
        y = (x * x).sum()
    y.backward()
    assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize("decorator", [no_grad, no_grad()])
def test_as_a_decorator_with_and_without_parentheses(decorator):
    @decorator
    def inside(a, *, b):
        """Says whether it records."""
        return is_grad_enabled(), a, b

    assert inside(1, b=2) == (False, 1, 2)
    assert inside.__name__ == "inside"
    assert is_grad_enabled()


def test_a_decorated_function_can_call_itself():
    @no_grad()
    def down(n):
        return [is_grad_enabled(), *(down(n - 1) if n else [])]

    assert down(3) == [False] * 4
    assert is_grad_enabled()


def test_a_decorated_generator_has_the_mode_only_while_it_runs():
    @no_grad()
    def numbers():
        try:
            received = yield is_grad_enabled()
            yield received, is_grad_enabled()
        except KeyError:
            yield "caught", is_grad_enabled()
        return "end"

    steps = numbers()
    assert next(steps) is False
    assert is_grad_enabled()
    assert steps.send("sent") == ("sent", False)
    assert steps.throw(KeyError) == ("caught", False)
    assert is_grad_enabled()
    with pytest.raises(StopIteration, match="end"):
        next(steps)
    unfinished = numbers()
    next(unfinished)
    unfinished.close()
    assert is_grad_enabled()


def test_tasks_have_their_own_mode():
    seen = {}

    @no_grad()
    async def quiet():
        await asyncio.sleep(0)
        seen["quiet"] = is_grad_enabled()

    async def loud():
        for _ in range(3):
            await asyncio.sleep(0)
            seen.setdefault("loud", []).append(is_grad_enabled())

    async def both():
        await asyncio.gather(quiet(), loud())

    asyncio.run(both())
    assert seen == {"quiet": False, "loud": [True, True, True]}


def test_a_new_thread_starts_recording():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_set_grad_enabled_as_a_block():
    with set_grad_enabled(False):
        assert not is_grad_enabled()
        with set_grad_enabled(True):
            assert is_grad_enabled()
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_set_grad_enabled_as_a_function():
    try:
        set_grad_enabled(False)
        assert not is_grad_enabled()
    finally:
        set_grad_enabled(True)
    assert is_grad_enabled()


def test_set_grad_enabled_as_a_decorator():
    @set_grad_enabled(False)
    def inside():
        return is_grad_enabled()

    assert is_grad_enabled()
    assert inside() is False
    assert is_grad_enabled()


def test_set_grad_enabled_entered_twice():
    mode = set_grad_enabled(False)
    with mode:
        assert not is_grad_enabled()
    assert is_grad_enabled()
    with mode:
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_inference_mode():
    x = cr.ones(2, requires_grad=True)
    with inference_mode():
        assert is_inference_mode_enabled()
        assert not is_grad_enabled()
        y = x * 2
    assert not is_inference_mode_enabled()
    assert not y.requires_grad
    with pytest.raises(AutogradError, match="inference tensor"):
        x * y
    assert (x * y.clone()).requires_grad


def test_inference_mode_false_does_nothing():
    with inference_mode(False):
        assert is_grad_enabled()
