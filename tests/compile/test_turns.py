"""A signal's handler that calls what is running: an error that says so, never a wait for ever."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule
from chainrule.compile.turns import Turns
from chainrule.errors import CompileError


def test_one_thread_after_the_other():
    turns, inside, most = Turns("it"), [0], [0]

    def work():
        for _ in range(200):
            with turns:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [1]


def test_a_thread_that_is_inside_is_refused_and_stays_inside():
    turns = Turns("the step")
    with turns:
        with pytest.raises(CompileError, match="the step is running in this thread already"), turns:
            pass
        entered = threading.Event()
        other = threading.Thread(target=lambda: [turns.__enter__(), entered.set()], daemon=True)
        other.start()
        assert not entered.wait(0.05)
    assert entered.wait(5)


def test_after_an_error_inside_it_is_free_again():
    turns = Turns("it")
    with pytest.raises(ZeroDivisionError), turns:
        _ = 1 // 0
    with turns:
        pass


@pytest.mark.parametrize("backend", ["numpy", None])
def test_a_program_that_is_called_amid_its_own_run_is_told_so(backend):
    plus = chainrule.compile(lambda x: x.sort()[0] + 1, backend=backend)
    x = chainrule.arange(4).float()
    expected = plus(x).numpy()
    for lock in (plus.program._lock, plus.program.executable._lock):
        with lock, pytest.raises(CompileError, match="running in this thread already"):
            plus.program.run([x], [x.numpy()])
        np.testing.assert_array_equal(plus(x).numpy(), expected)


SCRIPT = """
import signal, sys, time
import chainrule
from chainrule.errors import CompileError
step = chainrule.compile(lambda x: (x.sort()[0] * 2).cumsum(0))  # with ops of the host
x = chainrule.arange(200.0)
expected = step(x).tolist()
told = [0, 0, 0]
def handler(*_):
    if told[2]:
        return  # amid itself: what takes longer than the timer would never end
    told[2] = 1
    try:
        told[0] += step(x).tolist() == expected
    except CompileError as error:
        told[1] += "running in this thread already" in str(error)
    told[2] = 0
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
end = time.monotonic() + 1.0
while time.monotonic() < end:
    assert step(x).tolist() == expected
signal.setitimer(signal.ITIMER_REAL, 0)
assert told[0] + told[1] > 100, told
print(*told)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no timer's signal")
def test_a_handler_that_calls_the_same_program_neither_hangs_nor_spoils_it():
    pytest.importorskip("llvmlite")
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
