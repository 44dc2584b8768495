"""A team of threads that runs compiled programs: all threads run the same one, each its part.

    void program(ptr data, i64 thread, i64 threads, ptr barrier)

The threads live as long as the process: between two programs they spin for a moment, for the next
one usually comes at once, and then sleep. A run is one foreign call, in which the caller is thread
0. They are threads of the operating system that never touch Python, so a program neither needs the
interpreter's lock nor minds who holds it.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import operator
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from chainrule.compile.target import host_target, usable_cores
from chainrule.compile.team_text import ARGUMENT, ARGUMENTS, SPINS, team_text
from chainrule.errors import ConfigError

if TYPE_CHECKING:
    from chainrule.compile.machine_code import Library

__all__ = ["ENVIRONMENT", "Team", "default_threads", "get_num_threads", "set_num_threads", "team"]

ENVIRONMENT = "CHAINRULE_NUM_THREADS"
_MOST = 256
_NO_THREADS = sys.platform == "win32"  # it has none of POSIX's, and its own are not used
_SPIN_SECONDS = 100e-6  # longer than the way through Python from one step to the next
_FATAL = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")  # are of the thread that made them

_Pointer, _Integer = ctypes.c_void_p, ctypes.c_int64
_PROGRAM: Final = (None, _Pointer, _Integer, _Integer, _Pointer)
_RUN: Final = (None, _Pointer, _Pointer, _Pointer, _Integer)
_ALONE = ctypes.create_string_buffer(256)  # the barrier of a thread that has nobody to wait for


class _Entries:
    """The functions of the team's own program, which is loaded once."""

    def __init__(self, library: Library) -> None:
        address = library.address
        self.library = library
        self.pauses = ctypes.CFUNCTYPE(None, _Integer)(address("chainrule_pauses"))
        self.prepare = ctypes.PYFUNCTYPE(None, _Pointer)(address("chainrule_prepare"))
        self.start = ctypes.PYFUNCTYPE(None, _Pointer, _Integer)(address("chainrule_start"))
        self.stop = ctypes.CFUNCTYPE(None, _Pointer)(address("chainrule_stop"))
        self.run = {
            True: ctypes.CFUNCTYPE(*_RUN)(address("chainrule_run")),
            False: ctypes.PYFUNCTYPE(*_RUN)(address("chainrule_run")),
        }
        count = 1000
        moments: list[float] = []
        for _ in range(3):
            start = time.perf_counter()
            self.pauses(count)
            moments.append(time.perf_counter() - start)
        self.spins = int(_SPIN_SECONDS * count / min(moments)) + 1


@functools.cache
def _entries() -> _Entries:
    from chainrule.compile.object_cache import compile_cached

    target = host_target()
    return _Entries(compile_cached(team_text(target), target))


class Team:
    """Some threads, started when they are first needed.

    Any number of Python threads may use it: they take turns. After a fork the child starts threads
    of its own.

    Args:
        threads: how many, the caller among them; by default `default_threads()`.

    >>> Team(1).threads
    1
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = _checked(default_threads() if threads is None else threads)
        self._together: dict[bool, Callable[[int, int, int, int], None]] = {}
        self.forget()
        _TEAMS.add(self)

    def forget(self) -> None:
        """No thread is running: at first, and in the child of a fork, where only the forker is."""
        # One thread takes it twice only where a signal's handler runs a program amid ours.
        self._lock = threading.RLock()
        self._address = 0

    @property
    def threads(self) -> int:
        """How many threads run a program, the caller among them."""
        return self._threads

    def resize(self, threads: int) -> None:
        """Run the programs that come now on another number of threads."""
        threads = _checked(threads)
        with self._lock:
            self._stop()
            self._threads = threads

    def run(
        self, function: int, data: int, *, threads: int | None = None, release: bool = True
    ) -> None:
        """Run the program at the address `function` once; see `runner`."""
        self.runner(function, threads=threads, release=release)(data)

    def runner(
        self, function: int, *, threads: int | None = None, release: bool = True
    ) -> Callable[[int], None]:
        """What runs one program again and again, with the least in between.

        Args:
            function: the program's address; whoever has it keeps its library alive.
            threads: on so many threads at most; 1 disturbs nobody else, and takes no turns.
            release: let other Python threads run meanwhile. It costs a fraction of a microsecond
                each way, and a switch of threads where another wants to run, so programs of less
                than 50 us are better off without; longer ones would make the others wait.

        Returns:
            A function of the data's address.
        """
        kind = ctypes.CFUNCTYPE if release else ctypes.PYFUNCTYPE
        alone = kind(*_PROGRAM)(function)
        nobody = ctypes.addressof(_ALONE)

        def run(data: int) -> None:
            if threads == 1 or self._threads == 1 or _NO_THREADS:
                alone(data, 0, 1, nobody)
                return
            with self._lock:
                if not self._address:
                    self._start()
                self._together[release](self._address, function, data, threads or self._threads)

        return run

    def program(self, function: int, alone: int, *, parallel: bool) -> Callable[[int], object]:
        """What runs a program that has an entry for one thread as well.

        Args:
            function: the address of its function for a team.
            alone: that of its function of the data only, for one thread.
            parallel: whether some of its work is for several threads; if not, none is disturbed.

        Returns:
            A function of the data's address.
        """
        if not parallel:
            return ctypes.PYFUNCTYPE(None, _Pointer)(alone)
        single = ctypes.CFUNCTYPE(None, _Pointer)(alone)
        together = self.runner(function)

        def run(data: int) -> None:
            if self._threads == 1 or _NO_THREADS:
                single(data)
            else:
                together(data)

        return run

    def close(self) -> None:
        """Send the threads home; the next run starts new ones."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        """Start the workers. Where the system gives fewer, fewer do the work."""
        entries = _entries()
        workers = self._threads - 1
        block = ctypes.create_string_buffer(ARGUMENTS + ARGUMENT * workers + 128)
        address = (ctypes.addressof(block) + 127) & -128
        entries.prepare(address)
        # Where the team has more threads than there are cores, one that spins is in another's way.
        _put(address + SPINS, entries.spins if self._threads <= usable_cores() else 0)
        _BLOCKS[address] = block  # before any worker looks at it, whatever interrupts us here
        with _SignalsElsewhere():
            entries.start(address, workers)
        self._together = entries.run
        self._address = address

    def _stop(self) -> None:
        address, self._address = self._address, 0
        if address:
            _entries().stop(address)
            del _BLOCKS[address]

    def __del__(self) -> None:
        self._stop()


_BLOCKS: dict[int, ctypes.Array[ctypes.c_char]] = {}
_TEAMS: weakref.WeakSet[Team] = weakref.WeakSet()


def default_threads() -> int:
    """CHAINRULE_NUM_THREADS; else OMP_NUM_THREADS, as other libraries read it; else all cores.

    Raises:
        ConfigError: CHAINRULE_NUM_THREADS is no number, or there can't be so many.

    >>> default_threads() >= 1
    True
    """
    if _NO_THREADS:
        return 1
    own = os.environ.get(ENVIRONMENT, "").strip()
    if own:
        if not own.isdecimal():
            raise ConfigError(f"{ENVIRONMENT} is {own!r}", cure="set it to a number of threads")
        return _checked(int(own))
    shared = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    cores = usable_cores()
    return min(max(int(shared), 1), cores) if shared.isdecimal() else min(cores, _MOST)


@functools.cache
def team() -> Team:
    """The team that compiled functions run on."""
    return Team()


def get_num_threads() -> int:
    """How many threads a compiled function may use.

    (Ops outside of compiled functions are NumPy's, and so are their threads.)

    >>> get_num_threads() >= 1
    True
    """
    return team().threads


def set_num_threads(count: int) -> None:
    """Let compiled functions use so many threads, from the next call on.

    The results have the same bits on any number of threads.

    Args:
        count: how many, the caller among them.

    Raises:
        ConfigError: there can't be so many, or it is no number.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    team().resize(count)


def _checked(threads: int) -> int:
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        raise ConfigError(f"a team of {threads!r} threads", cure=f"give a number, 1 to {_MOST}")
    threads = operator.index(threads)
    if not 1 <= threads <= _MOST:
        raise ConfigError(
            f"a team of {threads} threads", cure=f"ask for 1 to {_MOST}, best no more than cores"
        )
    return threads


def _put(address: int, value: int) -> None:
    ctypes.c_int64.from_address(address).value = value


class _SignalsElsewhere:
    """While it lasts, new threads are made that take no signals: Python's own threads get them."""

    def __enter__(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            fatal = {getattr(signal, name) for name in _FATAL}
            self._before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - fatal)

    def __exit__(self, *problem: object) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _after_fork() -> None:
    for each in _TEAMS:
        each.forget()


def _at_exit() -> None:
    """Send all threads home, so that none runs while the libraries below it are taken down."""
    for each in list(_TEAMS):
        each.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
