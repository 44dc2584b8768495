"""The thread team: every program runs on all its threads, once, whatever else goes on.

The oracle is arithmetic: each thread adds to counters, or checks after a barrier what the others
wrote before it, and the totals are known.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("llvmlite")
if sys.platform == "win32":
    pytest.skip("there are no POSIX threads here", allow_module_level=True)

import chainrule
from chainrule.compile import team as team_module
from chainrule.compile.machine_code import assemble, assembly, load
from chainrule.compile.target import Target, host_target
from chainrule.compile.team import (
    Team,
    default_threads,
    get_num_threads,
    set_num_threads,
    team,
)
from chainrule.compile.team_text import barrier_text, team_text
from chainrule.errors import ConfigError

# `rounds`: data = rounds, mistakes, slot of thread 0, of thread 1, ... In each round a thread
# writes its slot, all meet, and each adds up what all wrote, which must come to
# round * threads + 0 + 1 + ... + (threads - 1).
# `count`: data[0] += 1, data[1] += threads.
# `hold`: waits until data[0] is not 0; then data[1] = 1.
PROGRAMS = """
define void @count(ptr %data, i64 %thread, i64 %threads, ptr %barrier) {
  %before = atomicrmw add ptr %data, i64 1 monotonic, align 8
  %second = getelementptr i64, ptr %data, i64 1
  %sum = atomicrmw add ptr %second, i64 %threads monotonic, align 8
  ret void
}

define void @hold(ptr %data, i64 %thread, i64 %threads, ptr %barrier) {
  br label %look
look:
  %flag = load atomic i64, ptr %data acquire, align 8
  %set = icmp ne i64 %flag, 0
  br i1 %set, label %out, label %look
out:
  %second = getelementptr i64, ptr %data, i64 1
  store atomic i64 1, ptr %second release, align 8
  ret void
}

define void @rounds(ptr %data, i64 %thread, i64 %threads, ptr %barrier) {
entry:
  %rounds = load i64, ptr %data, align 8
  %mistakes = getelementptr i64, ptr %data, i64 1
  %slots = getelementptr i64, ptr %data, i64 2
  %mine = getelementptr i64, ptr %slots, i64 %thread
  %less = sub i64 %threads, 1
  %product = mul i64 %threads, %less
  %fixed = lshr i64 %product, 1
  br label %round
round:
  %r = phi i64 [ 0, %entry ], [ %r.next, %check ]
  %value = add i64 %r, %thread
  store i64 %value, ptr %mine, align 8
  call void @chainrule_barrier(ptr %barrier, i64 %threads)
  br label %add
add:
  %i = phi i64 [ 0, %round ], [ %i.next, %add ]
  %sum = phi i64 [ 0, %round ], [ %sum.next, %add ]
  %slot = getelementptr i64, ptr %slots, i64 %i
  %one = load i64, ptr %slot, align 8
  %sum.next = add i64 %sum, %one
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %threads
  br i1 %more, label %add, label %compare
compare:
  %moving = mul i64 %r, %threads
  %expected = add i64 %moving, %fixed
  %wrong = icmp ne i64 %sum.next, %expected
  %mistake = zext i1 %wrong to i64
  %before = atomicrmw add ptr %mistakes, i64 %mistake monotonic, align 8
  call void @chainrule_barrier(ptr %barrier, i64 %threads)
  br label %check
check:
  %r.next = add i64 %r, 1
  %again = icmp ult i64 %r.next, %rounds
  br i1 %again, label %round, label %out
out:
  ret void
}
"""


@pytest.fixture(scope="module")
def programs():
    target = host_target()
    return load(assemble(barrier_text(target) + PROGRAMS, target))


def numbers(*values: int):
    data = (ctypes.c_int64 * 64)(*values)
    return data, ctypes.addressof(data)


@pytest.mark.parametrize("release", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_thread_runs_the_program_once(programs, threads, release):
    workers = Team(threads)
    data, address = numbers()
    run = workers.runner(programs.address("count"), release=release)
    for _ in range(300):
        run(address)
    assert list(data[:2]) == [300 * threads, 300 * threads * threads]
    workers.close()


@pytest.mark.parametrize(("threads", "count"), [(1, 20_000), (2, 5_000), (4, 200), (7, 50)])
def test_nobody_leaves_the_barrier_before_all_have_come(programs, threads, count):
    workers = Team(threads)
    data, address = numbers(count)
    for _ in range(3):
        workers.run(programs.address("rounds"), address)
    assert data[1] == 0
    assert data[1 + threads] == count - 1 + threads - 1  # the last thread's last value
    workers.close()


def test_workers_that_sleep_are_woken(programs):
    workers = Team(2)
    data, address = numbers()
    run = workers.runner(programs.address("count"))
    for pause in [0, 1e-5, 1e-4, 2e-4, 1e-3, 5e-3] * 20:
        time.sleep(pause)
        run(address)
    assert data[0] == 240
    workers.close()


def test_a_program_may_take_fewer_threads(programs):
    workers = Team(3)
    data, address = numbers()
    for threads in (1, 2, 3, 8):
        workers.run(programs.address("count"), address, threads=threads)
    assert data[0] == 1 + 2 + 3 + 3
    workers.close()


def test_python_threads_take_turns(programs):
    workers = Team(2)
    run = workers.runner(programs.address("rounds"))
    held = workers.runner(programs.address("rounds"), release=False)
    mistakes = []

    def work(number: int) -> None:
        data, address = numbers(20)
        for _ in range(50):
            (held if number % 2 else run)(address)
        mistakes.append(data[1])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert mistakes == [0, 0, 0, 0]
    workers.close()


def test_python_goes_on_while_a_program_runs(programs):
    data, address = numbers()
    threading.Timer(0.05, lambda: data.__setitem__(0, 1)).start()
    workers = Team(2)
    workers.run(programs.address("hold"), address)  # would never end if Python stood still
    assert data[1] == 1
    workers.close()


def test_a_team_can_be_resized_and_closed_and_goes_on(programs):
    workers = Team(1)
    run = workers.runner(programs.address("count"))
    for threads in (2, 1, 3, 2):
        data, address = numbers()
        workers.resize(threads)
        run(address)
        assert (workers.threads, data[0]) == (threads, threads)
        workers.close()
        run(address)
        assert data[0] == 2 * threads
    workers.close()


def test_where_the_system_gives_fewer_threads_fewer_do_the_work(programs, monkeypatch):
    entries = team_module._entries()
    start = entries.start
    monkeypatch.setattr(entries, "start", lambda block, wanted: start(block, wanted - 1))
    workers = Team(4)
    data, address = numbers(10)
    workers.run(programs.address("rounds"), address)
    assert data[1] == 0
    data, address = numbers()
    workers.run(programs.address("count"), address)
    assert data[0] == 3
    workers.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads can't be counted here")
def test_a_team_that_nobody_has_leaves_no_thread(programs):
    before = len(os.listdir("/proc/self/task"))
    workers = Team(3)
    _, address = numbers()
    workers.run(programs.address("count"), address)
    assert len(os.listdir("/proc/self/task")) == before + 2
    del workers
    assert len(os.listdir("/proc/self/task")) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True])
def test_after_a_fork_parent_and_child_each_have_a_team(programs, busy):
    workers = Team(2)
    run = workers.runner(programs.address("rounds"))
    data, address = numbers(10)
    done = threading.Event()

    def keep_running() -> None:
        _, other = numbers(100)
        while not done.is_set():
            run(other)

    thread = threading.Thread(target=keep_running)
    run(address)
    if busy:
        thread.start()
    for _ in range(5):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(10):
                    run(address)
                code = data[1]
            finally:
                os._exit(code)
        run(address)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    if busy:
        thread.join()
    assert data[1] == 0
    workers.close()


def test_a_signals_handler_may_run_programs_too(programs):
    workers = Team(2)
    run = workers.runner(programs.address("count"))
    (data, address), (others, other) = numbers(), numbers()
    calls = 0

    def handler(*_: object) -> None:
        nonlocal calls
        calls += 1
        run(other)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
    try:
        end = time.monotonic() + 0.3
        runs = 0
        while time.monotonic() < end:
            run(address)
            runs += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calls > 10
    assert (data[0], others[0]) == (2 * runs, 2 * calls)
    workers.close()


SCRIPT = """
import ctypes, os, signal, sys, threading, time
from chainrule.compile.machine_code import assemble, assembly, load
from chainrule.compile.target import host_target
from chainrule.compile.team import Team
from chainrule.compile.team_text import barrier_text
target = host_target()
library = load(assemble(barrier_text(target) + sys.stdin.read(), target))
data = (ctypes.c_int64 * 8)(0)
workers = Team(2)
run = workers.runner(library.address("hold"))
"""


def in_a_process(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + script],
        input=PROGRAMS,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_an_interruption_comes_out_when_the_program_has_ended():
    output = in_a_process("""
def disturb():
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    print("still running", data[1])
    data[0] = 1
threading.Thread(target=disturb).start()
try:
    run(ctypes.addressof(data))
    time.sleep(1)
except KeyboardInterrupt:
    print("interrupted", data[1])
run(ctypes.addressof(data))
print("runs again")
""")
    assert output.splitlines() == ["still running 0", "interrupted 1", "runs again"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads can't be seen here")
def test_signals_go_to_pythons_threads():
    output = in_a_process("""
data[0] = 1
others = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
run(ctypes.addressof(data))
for task in set(os.listdir("/proc/self/task")) - others:
    lines = open(f"/proc/self/task/{task}/status").read().splitlines()
    blocked = int(next(line for line in lines if line.startswith("SigBlk")).split()[1], 16)
    if int(task) == os.getpid():
        print("main", blocked)
    else:
        print("worker", *(blocked >> (getattr(signal, name) - 1) & 1
                          for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGSEGV")))
""")
    assert sorted(output.splitlines()) == ["main 0", "worker 1 1 1 0"]


@pytest.mark.parametrize("last", ["", "time.sleep(0.02)\n"], ids=["spinning", "asleep"])
def test_a_process_ends_though_its_team_waits(last):
    assert in_a_process(f"data[0] = 1\nrun(ctypes.addressof(data))\n{last}print('end')") == "end\n"


def test_the_programs_are_written_for_other_systems_too():
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    arm = Target("aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32, True, 4)
    for text in (team_text(arm), barrier_text(arm) + PROGRAMS):
        assert "\tyield" in assembly(text, arm)
        assert "sched_yield" in text
    windows = Target("x86_64-pc-windows-msvc", "x86-64", "+sse2", 16, 16, False, 4)
    text = barrier_text(windows) + PROGRAMS
    assert "sched_yield" not in text
    assert "pause" in assembly(text, windows)
    other = Target("riscv64-unknown-linux-gnu", "generic", "", 16, 32, False, 4)
    assert "pause" not in barrier_text(other)


# ---- how many threads ------------------------------------------------------------------------


def test_the_number_of_threads_follows_the_environment(monkeypatch):
    monkeypatch.setattr(team_module, "usable_cores", lambda: 6)
    monkeypatch.delenv("CHAINRULE_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert default_threads() == 6
    for shared, expected in (("2", 2), ("3,1", 3), ("100", 6), ("0", 1), ("many", 6)):
        monkeypatch.setenv("OMP_NUM_THREADS", shared)
        assert default_threads() == expected
    monkeypatch.setenv("CHAINRULE_NUM_THREADS", "9")
    assert default_threads() == 9


@pytest.mark.parametrize("wrong", ["two", "0", "-1", "1000", "1.5"])
def test_a_wrong_number_of_threads_is_refused(monkeypatch, wrong):
    monkeypatch.setenv("CHAINRULE_NUM_THREADS", wrong)
    with pytest.raises(ConfigError, match=r"(?i)threads"):
        default_threads()


def test_the_number_of_threads_can_be_set():
    before = get_num_threads()
    try:
        set_num_threads(3)
        assert get_num_threads() == team().threads == 3
        with pytest.raises(ConfigError, match="0 threads"):
            set_num_threads(0)
        assert get_num_threads() == 3
    finally:
        set_num_threads(before)


# ---- the public face -------------------------------------------------------------------------


def test_the_number_of_threads_is_set_under_pytorchs_names():
    before = chainrule.get_num_threads()
    double = chainrule.compile(lambda x: (x * 2).sum(0))
    x = chainrule.randn(300, 700)
    try:
        found = []
        for count in (1, 2, np.int64(3)):
            chainrule.set_num_threads(count)
            assert chainrule.get_num_threads() == count
            found.append(double(x).numpy().tobytes())
        assert len(set(found)) == 1
    finally:
        chainrule.set_num_threads(before)
    assert {"get_num_threads", "set_num_threads"} <= set(chainrule.__all__)


@pytest.mark.parametrize("count", [0, -1, 10**9, 1.0, "2", None, True])
def test_what_is_no_number_of_threads_is_refused(count):
    before = chainrule.get_num_threads()
    with pytest.raises(ConfigError, match="a team of"):
        chainrule.set_num_threads(count)
    assert chainrule.get_num_threads() == before
