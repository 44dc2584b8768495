"""Programs kept on the disk: what the next process finds there is what it would have compiled.

And whatever is found there instead, damaged, old, of another processor or half written, the results
are right, and the program is compiled anew.
"""

import hashlib
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule
from chainrule import nn, optim
from chainrule.compile import building, native, object_cache
from chainrule.compile.binary import compiled_binary
from chainrule.compile.native import NativeExecutable, build
from chainrule.compile.object_cache import key_of
from chainrule.compile.target import Target, host_target
from chainrule.core.interpret import bind
from chainrule.core.op import Op
from chainrule.errors import ChainruleError
from chainrule.ir.graph_text import format_graph, parse_graph
from chainrule.nn import functional as F

unix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")

TEXT = """
graph affine(%0: f32[40,6]):
  state %1: f32[6] "w"
  constant %2: f32[] = 0.5
  %3: f32[40,6] = mul(%0, %1)
  %4: f32[40,6] = add(%3, %2)
  %5: f32[6] = add(%1, %2)
  update %1 = %5
  return %4
"""
X = np.arange(240, dtype=np.float32).reshape(40, 6) / 7


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    return object_cache.object_cache()


def ran(program):
    """What a program gives for X, and its state afterwards: both must be these."""
    state = [np.arange(6, dtype=np.float32)]
    (y,) = program.run([X], state)
    np.testing.assert_array_equal(y, X * np.arange(6, dtype=np.float32) + np.float32(0.5))
    np.testing.assert_array_equal(state[0], np.arange(6) + 0.5)
    return y


def file_of(cache):
    (path,) = cache.folder.glob("*.program")
    return path


@pytest.fixture
def counted(monkeypatch):
    """Counts how often something is lowered."""
    count = [0]
    plan = building.plan_kernels

    def planned(*args):
        count[0] += 1
        return plan(*args)

    monkeypatch.setattr(building, "plan_kernels", planned)
    return count


# ---- warm ------------------------------------------------------------------------------------


def training_graph():
    chainrule.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5))
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    compiled = chainrule.compile(step, backend="numpy")
    x, y = chainrule.randn(20, 12), chainrule.randint(0, 5, (20,))
    compiled(x, y)
    state = [each.copy() for each in compiled.program.state]
    return compiled.graph, [x.numpy(), y.numpy(), *compiled.program.extra], state


def test_the_second_build_is_not_lowered_and_gives_the_same_bits(cache, monkeypatch):
    graph, arguments, state = training_graph()
    first = build(graph)
    copies = [[each.copy() for each in state] for _ in range(2)]
    losses = [first.run(arguments, copies[0])[0] for _ in range(3)]

    def fail(*_):
        raise AssertionError("it is compiled again")

    monkeypatch.setattr(building, "build_binary", fail)
    second = build(graph)
    again = [second.run(arguments, copies[1])[0] for _ in range(3)]
    assert [each.tobytes() for each in again] == [each.tobytes() for each in losses]
    assert [a.tobytes() for a in copies[0]] == [b.tobytes() for b in copies[1]]
    assert first.binary == second.binary


def test_how_a_warm_program_was_made_can_still_be_shown(cache):
    told = build(parse_graph(TEXT)).describe()
    assert build(parse_graph(TEXT)).describe() == told


def test_without_a_cache_all_is_compiled(cache, counted, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    for _ in range(2):
        ran(build(parse_graph(TEXT)))
    assert counted == [2]
    assert not cache.folder.exists()


HOSTED = """
graph half(%0: f16[4]):
  %1: f16[4] = exp(%0)
  return %1
"""
TABLE = """
graph table(%0: f32[3]):
  constant %1: f32[3] = [1.0, 2.0, 3.0]
  %2: f32[3] = mul(%0, %1)
  return %2
"""
SORTED = """
graph sorted(%0: f32[5]):
  constant %1: f32[5] = [5.0, 1.0, 0.25, 4.0, 2.0]
  %2: f32[5] = mul(%0, %1)
  %3: i64[5] = argsort(%2) dim=0, descending=True
  %4: f32[5] = gather(%2, %3) dim=0
  %5: f32[5] = remainder(%4, %1)
  return %5, %3
"""


def _sorted(x):
    table = np.array([5, 1, 0.25, 4, 2], np.float32)
    return np.remainder(-np.sort(-x * table), table), np.argsort(-x * table)


WITH_MORE = {
    "an op of the host": (HOSTED, lambda x: (np.exp(x),)),
    "a constant array": (TABLE, lambda x: (x * np.array([1, 2, 3], np.float32),)),
    "both": (SORTED, _sorted),
}


@pytest.mark.parametrize("what", WITH_MORE)
def test_ops_of_the_host_and_constant_arrays_are_kept(cache, counted, what):
    text, expected = WITH_MORE[what]
    graph = parse_graph(text)
    x = np.arange(graph.arguments[0].type.size).astype(graph.arguments[0].type.dtype.numpy) / 4
    results = [build(graph).run([x], []) for _ in range(2)]
    assert counted == [1]
    assert cache.info().programs == 1
    for cold, warm, right in zip(*results, expected(x), strict=True):
        assert cold.tobytes() == warm.tobytes()
        np.testing.assert_allclose(warm, right, rtol=1e-6)


def test_constants_are_those_that_were_there(cache):
    graph = parse_graph(SORTED)
    first, second = compiled_binary(graph, host_target()), compiled_binary(graph, host_target())
    assert second[1] is None
    assert [c.tobytes() for c in first[0].constants] == [c.tobytes() for c in second[0].constants]
    assert second[0].segments == first[0].segments


def test_the_generator_goes_on_where_it_was(cache):
    """A draw is an op of the host, and its state a tensor like any other."""

    def draws():
        chainrule.manual_seed(3)
        noisy = chainrule.compile(lambda x: (x + chainrule.randn(6)).sort()[0])
        return [noisy(chainrule.zeros(6)).numpy() for _ in range(3)]

    np.testing.assert_array_equal(draws(), draws())


class Tripled(Op):
    """An op from elsewhere: another version of it may have the same name."""

    name = "tripled_for_a_test"

    def type_rule(self, x):
        return x

    def reference(self, x):
        return x * np.float32(3)


def test_ops_of_others_are_compiled_each_time(cache, counted):
    tripled = chainrule.compile(lambda x: bind(Tripled(), x) + 1)
    for _ in range(2):
        assert tripled(chainrule.ones(2)).tolist() == [4, 4]
        tripled._programs.clear()
        tripled._fast = None
    assert counted == [2]
    assert cache.info().programs == 0


@pytest.mark.parametrize("size", [-1, 0, 10**9])
def test_sizes_that_do_not_fit_are_noticed(cache, counted, size):
    graph = parse_graph(TABLE)
    told, content = build(graph).binary.to_file()
    key = key_of(format_graph(graph), host_target())
    cache.put(key, told | {"images": [size]}, content)
    (y,) = build(graph).run([np.ones(3, np.float32)], [])
    assert counted == [2]
    assert y.tolist() == [1, 2, 3]


# ---- what is found is not what was put there --------------------------------------------------


def rewritten(path, change):
    path.write_bytes(change(path.read_bytes()))


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGE = {
    "empty": lambda content: b"",
    "header only": lambda content: content[:50],
    "cut off": lambda content: content[:-1],
    "more than it says": lambda content: content + b"\0",
    "half": lambda content: content[: len(content) // 2],
    "another magic": lambda content: flipped(content, 0),
    "another format": lambda content: flipped(content, 8),
    "sizes": lambda content: flipped(content, 13),
    "another key": lambda content: flipped(content, 30),
    "the digest": lambda content: flipped(content, 60),
    "the meta": lambda content: flipped(content, 95),
    "the code": lambda content: flipped(content, len(content) // 2),
    "the last bit": lambda content: flipped(content, len(content) - 1),
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_program_is_compiled_anew(cache, counted, how):
    ran(build(parse_graph(TEXT)))
    rewritten(file_of(cache), DAMAGE[how])
    with pytest.warns(RuntimeWarning, match="compiled again") as told:
        ran(build(parse_graph(TEXT)))
    assert len(told) == 1
    ran(build(parse_graph(TEXT)))  # and is whole again, without a word
    assert counted == [2]


def resealed(path, key, meta, payload):
    """A file that is whole, and of this key, with something else in it."""
    digest = hashlib.sha256(meta + payload).digest()
    header = struct.pack("<8sIIQ32s32s", b"chainrul", 1, len(meta), len(payload), key, digest)
    path.write_bytes(header + meta + payload)


@pytest.mark.parametrize(
    "meta", [b"{}", b'{"arena_bytes": 64, "small": 3}', b'{"results": [[1]], "arena_bytes": 1}']
)
def test_what_describes_no_program_is_compiled_anew(cache, counted, meta):
    ran(build(parse_graph(TEXT)))
    key = key_of(format_graph(parse_graph(TEXT)), host_target())
    resealed(file_of(cache), key, meta, b"")
    ran(build(parse_graph(TEXT)))
    assert counted == [2]


def test_code_that_can_not_be_loaded_is_compiled_anew(cache, counted):
    graph = parse_graph(TEXT)
    program = build(graph)
    key = key_of(format_graph(graph), host_target())
    told, _ = program.binary.to_file()
    junk = b"this is no object file"
    cache.put(key, told | {"images": [len(junk)]}, junk)
    ran(build(graph))
    ran(build(graph))
    assert counted == [2]


def test_a_program_of_another_processor_is_not_run(cache):
    graph, here = parse_graph(TEXT), host_target()
    other = Target("x86_64-unknown-linux-gnu", "other", "+some", 16, 16, False, 1)
    assert key_of("text", here) != key_of("text", other)
    assert cache.put(key_of(format_graph(graph), other), {}, b"code of another processor")
    ran(build(graph))
    assert cache.info().programs == 2


def test_a_program_of_another_version_is_not_run(cache, counted, monkeypatch):
    ran(build(parse_graph(TEXT)))
    monkeypatch.setattr(object_cache, "_ourselves", lambda: "0.0.1")
    ran(build(parse_graph(TEXT)))
    assert counted == [2]


# ---- keys ------------------------------------------------------------------------------------

SOME = """
graph some(%0: {d}[4]):
  constant %1: {d}[] = {c}
  %2: {d}[4] = mul(%0, %1)
  return %2
"""
FIELDS = """
graph rows(%0: f32[4,4]):
  %1: f32[4{one}] = {op}(%0) dims=({dim},), keepdim={keep}
  return %1
"""
KEYS = [
    SOME.format(d="f32", c="0.0"),
    SOME.format(d="f32", c="-0.0"),
    SOME.format(d="f32", c="1.0"),
    SOME.format(d="f32", c="1.0000001192092896"),
    SOME.format(d="f64", c="1.0"),
    SOME.format(d="i64", c="1"),
    SOME.format(d="i32", c="1"),
    SOME.format(d="f32", c="inf"),
    SOME.format(d="f32", c="-inf"),
    SOME.format(d="f32", c="nan"),
    FIELDS.format(op="sum", dim=0, keep=False, one=""),
    FIELDS.format(op="sum", dim=1, keep=False, one=""),
    FIELDS.format(op="sum", dim=1, keep=True, one=",1"),
    FIELDS.format(op="amax", dim=1, keep=False, one=""),
    TEXT,
    TEXT.replace("update %1 = %5", "update %1 = %1"),
    TEXT.replace("  update %1 = %5\n", ""),
    TEXT.replace("return %4", "return %4, %4"),
]


def test_programs_that_differ_have_different_keys():
    keys = [key_of(format_graph(parse_graph(text)), host_target()) for text in KEYS]
    assert len(set(keys)) == len(KEYS)


def test_a_constant_is_told_by_its_bits_not_by_its_value(cache):
    x = np.ones(4, np.float32)
    for number in ("0.0", "-0.0"):
        (y,) = build(parse_graph(SOME.format(d="f32", c=number))).run([x], [])
        assert np.signbit(y).tolist() == [number == "-0.0"] * 4


def test_large_constants_are_in_the_key():
    texts = []
    for bits in (0, 1, 2**31):
        table = np.ones(100, np.float32)
        table.view(np.uint32)[99] ^= np.uint32(bits)
        program = chainrule.compile(lambda x, t=table: x * chainrule.tensor(t), backend="numpy")
        program(chainrule.ones(100))
        texts.append(format_graph(program.graph))
    assert len(set(texts)) == 3


# ---- several at once -------------------------------------------------------------------------

SCRIPT = """
import sys, numpy as np
from chainrule.compile import object_cache
from chainrule.compile.native import build
from chainrule.ir.graph_text import parse_graph
graph = parse_graph(sys.stdin.read())
print("ready", flush=True)
program = build(graph)
state = [np.arange(6, dtype=np.float32)]
y = program.run([np.arange(240, dtype=np.float32).reshape(40, 6) / 7], state)[0]
print(y.tobytes().hex(), state[0].tobytes().hex(), flush=True)
"""


def process(text=TEXT, script=SCRIPT):
    started = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdin is not None
    started.stdin.write(text)
    started.stdin.close()
    started.stdin = None
    return started


def test_two_processes_may_share_a_cache(cache):
    both = [process(), process()]
    told = [each.communicate(timeout=60) for each in both]
    assert [each.returncode for each in both] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert cache.info().programs == 1
    assert told[0][0].split()[1] == ran(build(parse_graph(TEXT))).tobytes().hex()


@unix
def test_who_is_killed_while_compiling_leaves_nothing_harmful(cache):
    for wait in (0.0, 0.02, 0.08):
        victim = process()
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(wait)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ran(build(parse_graph(TEXT)))
        cache.clear()


@unix
def test_a_child_of_a_fork_runs_and_compiles(cache):
    chainrule.compile(lambda x: (x * 2).sum())(chainrule.ones(300, 300))  # the team is at work
    program = build(parse_graph(TEXT))
    ran(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forks beside threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            ran(program)
            ran(build(parse_graph(TEXT)))
            ran(build(parse_graph(TEXT.replace("affine", "another"))))
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ran(program)


def test_threads_may_compile_at_once(cache):
    texts = [TEXT.replace("affine", name) for name in ("a", "b", "a", "b")]
    failures = []

    def work(text):
        try:
            ran(build(parse_graph(text)))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert cache.info().programs == 2


def test_a_mistake_of_the_compiler_is_not_hidden(cache, monkeypatch):
    monkeypatch.setattr(building, "assemble", lambda text, target: b"no object file")
    with pytest.raises(ChainruleError, match="can't be loaded"):
        build(parse_graph(TEXT))


def test_what_was_compiled_says_how():
    made, kernels = compiled_binary(parse_graph(TEXT.replace("affine", "fresh")), host_target())
    assert kernels is not None
    assert made.images
    assert made.external[0] == ("state", 0) or ("state", 0) in made.external
    assert isinstance(native.build(parse_graph(TEXT)), NativeExecutable)
