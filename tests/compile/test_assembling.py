"""Modules compiled in threads beside the one that writes them: the same code, in the same order."""

import os
import threading
import warnings

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import ctypes

import chainrule
from chainrule import nn, optim
from chainrule.compile import assembling as room
from chainrule.compile import building
from chainrule.compile.assembling import Assembling
from chainrule.compile.machine_code import assemble, load
from chainrule.compile.native import build
from chainrule.compile.target import LLVM_LOCK, host_target
from chainrule.errors import ChainruleError

TEXTS = [
    f"define i64 @f{n}(i64 %x) {{\n  %y = mul i64 %x, {n + 3}\n  ret i64 %y\n}}" for n in range(9)
]


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "off")


@pytest.mark.parametrize("workers", [0, 1, 3, 50])
def test_images_are_those_of_the_texts_one_by_one(workers):
    with Assembling(host_target(), workers=workers) as assembling:
        for text in TEXTS:
            assembling.add(text)
        images = assembling.images()
    assert images == [assemble(text, host_target()) for text in TEXTS]
    library = load(images)
    for n in range(len(TEXTS)):
        f = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address(f"f{n}"))
        assert f(7) == 7 * (n + 3)


def test_nothing_is_left_behind():
    before = threading.active_count()
    with Assembling(host_target(), workers=2) as assembling:
        assembling.add(TEXTS[0])  # and nobody asks for it
    assert threading.active_count() == before
    assembling = Assembling(host_target(), workers=2)

    def fail():
        with assembling:
            list(map(assembling.add, TEXTS))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert threading.active_count() == before
    free = []

    def try_it():
        if LLVM_LOCK.acquire(timeout=5):
            LLVM_LOCK.release()
            free.append(True)

    other = threading.Thread(target=try_it)
    other.start()
    other.join()
    assert free == [True]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_in_a_text_is_told(workers):
    with Assembling(host_target(), workers=workers) as assembling:
        for text in (*TEXTS, "define this is no text", *TEXTS):
            assembling.add(text)
        with pytest.raises(ChainruleError, match="does not accept"):
            assembling.images()


def test_without_threads_to_be_had_it_is_done_all_the_same(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Assembling(host_target(), workers=2) as assembling:
        for text in TEXTS[:3]:
            assembling.add(text)
        assert len(assembling.images()) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_a_child_forked_amid_the_work_ends_it_by_itself():
    with Assembling(host_target(), workers=2) as assembling:
        for text in TEXTS:
            assembling.add(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forks beside threads
            child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if len(assembling.images()) == len(TEXTS) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(assembling.images()) == len(TEXTS)


def test_a_program_in_many_modules_gives_the_same_bits(monkeypatch):
    chainrule.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 24), nn.Tanh(), nn.Linear(24, 5))
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    compiled = chainrule.compile(step, backend="numpy")
    x, y = chainrule.randn(32, 20), chainrule.randint(0, 5, (32,))
    compiled(x, y)
    state = [each.copy() for each in compiled.program.state]
    arguments = [x.numpy(), y.numpy(), *compiled.program.extra]
    found = []
    for chunk, threads in ((10**9, 1), (1, 1), (3000, 3)):
        monkeypatch.setattr(building, "CHUNK", chunk)
        monkeypatch.setattr(building, "default_threads", lambda threads=threads: threads)
        program, copies = build(compiled.graph), [each.copy() for each in state]
        losses = [program.run(arguments, copies)[0] for _ in range(3)]
        found.append((len(program.binary.images), *map(np.ndarray.tobytes, (*losses, *copies))))
    assert found[0][0] == 1
    assert found[1][0] > found[2][0] > 2
    assert found[0][1:] == found[1][1:] == found[2][1:]


def test_there_are_never_more_workers_than_locks_for_them():
    assert len(room._AT_WORK) == room._MOST
