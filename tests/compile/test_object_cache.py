"""The cache of compiled programs: what is found is what was kept, and nothing else ever runs."""

import ctypes
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from chainrule.compile import object_cache as module
from chainrule.compile.machine_code import assemble
from chainrule.compile.object_cache import ObjectCache, compile_cached, key_of, object_cache
from chainrule.compile.target import host_target
from chainrule.errors import ChainruleError, StorageError

SIX = "define i64 @number() {\n  ret i64 6\n}"
SEVEN = SIX.replace("6\n", "7\n")
KEY = key_of("a program")
unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has other permissions")


@pytest.fixture
def cache(tmp_path) -> ObjectCache:
    return ObjectCache(tmp_path / "cache" / "compiled")


def number(library) -> int:
    return ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("number"))()


def the_file(cache: ObjectCache) -> Path:
    (path,) = cache.folder.glob("*.program")
    return path


# ---- keeping and finding ---------------------------------------------------------------------


def test_a_program_is_compiled_once(cache):
    first = compile_cached(SIX, host_target(), cache)
    again = compile_cached(SIX, host_target(), ObjectCache(cache.folder))
    assert number(first) == number(again) == 6
    assert (cache.statistics.hits, cache.statistics.misses) == (0, 1)
    compile_cached(SIX, host_target(), cache)
    assert (cache.statistics.hits, cache.statistics.misses) == (1, 1)
    assert cache.statistics.seconds_compiling > 0 < cache.statistics.seconds_loading


def test_a_program_found_needs_no_compiler(cache, monkeypatch):
    compile_cached(SIX, host_target(), cache)

    def assemble(*_: object) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr(module, "assemble", assemble)
    assert number(compile_cached(SIX, host_target(), cache)) == 6


def test_different_programs_do_not_meet(cache):
    assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert number(compile_cached(SEVEN, host_target(), cache)) == 7
    assert number(compile_cached(SIX, host_target(), cache)) == 6


def test_the_key_knows_all_that_matters(monkeypatch):
    target = host_target()
    keys = {
        key_of(SIX),
        key_of(SEVEN),
        key_of(SIX, target),
        key_of(SIX, replace(target, cpu="other")),
        key_of(SIX, replace(target, features=target.features + ",-fma")),
        key_of(SIX, replace(target, triple="other")),
    }
    monkeypatch.setattr(module, "llvm_versions", lambda: "LLVM 99")
    keys.add(key_of(SIX, target))
    monkeypatch.setattr(module, "_ourselves", lambda: "0.0.0")
    keys |= {key_of(SIX), key_of(SIX, target)}
    assert len(keys) == 9
    assert key_of(SIX, target) == key_of(SIX, replace(target, cores=99))


@settings(max_examples=30)
@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())), st.binary())
def test_whatever_is_put_is_got(tmp_path_factory, meta, payload):
    cache = ObjectCache(tmp_path_factory.mktemp("any") / "compiled")
    assert cache.get(KEY) is None
    assert cache.put(KEY, meta, payload)
    assert cache.get(KEY) == (meta, payload)


def test_the_folder_and_its_files_are_the_owners(cache):
    assert cache.put(KEY, {}, b"code")
    if hasattr(os, "geteuid"):
        assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(the_file(cache).stat().st_mode) == 0o600


def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    found = object_cache()
    assert found is not None
    assert found.folder == tmp_path / "compiled"
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    assert object_cache() is None
    assert number(compile_cached(SIX, host_target())) == 6
    monkeypatch.delenv("CHAINRULE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    module._object_cache.cache_clear()
    found = object_cache()
    module._object_cache.cache_clear()
    assert found is not None
    assert found.folder.name == "compiled"
    assert found.folder.parent.name == "chainrule"


# ---- damage ----------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    header = 88
    changed = {
        "empty": b"",
        "cut in the header": content[:40],
        "cut after the header": content[:header],
        "cut at the end": content[:-1],
        "longer": content + b"x",
        "another format": b"unknown!" + content[8:],
        "a later version": content[:8] + b"\xff" + content[9:],
        "a huge meta": content[:12] + b"\xff\xff\xff\xff" + content[16:],
        "a huge payload": content[:16] + b"\xff" * 8 + content[24:],
        "another key": content[:24] + bytes(32) + content[56:],
        "another digest": content[:56] + bytes(32) + content[88:],
        "a bit of the payload": content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
        "a bit of the meta": content[:header] + bytes([content[header] ^ 1]) + content[89:],
        "text": b"once upon a time",
    }[how]
    path.write_bytes(changed)


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "cut in the header",
        "cut after the header",
        "cut at the end",
        "longer",
        "another format",
        "a later version",
        "a huge meta",
        "a huge payload",
        "another key",
        "another digest",
        "a bit of the payload",
        "a bit of the meta",
        "text",
    ],
)
def test_a_damaged_file_is_replaced_with_one_warning(cache, how):
    compile_cached(SIX, host_target(), cache)
    damage(the_file(cache), how)
    with pytest.warns(RuntimeWarning, match="compiled again") as caught:
        assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert cache.statistics.hits == 1


def test_no_bit_can_be_turned_unseen(cache):
    cache.put(KEY, {"a": 1}, b"machine code")
    whole = the_file(cache).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for place in range(len(whole)):
            for bit in (1, 128):
                changed = bytearray(whole)
                changed[place] ^= bit
                path = cache.folder / f"{KEY.hex()}.program"
                path.write_bytes(changed)
                path.chmod(0o600)
                assert cache.get(KEY) is None, f"byte {place}"


def test_a_program_renamed_to_another_is_not_run(cache):
    compile_cached(SIX, host_target(), cache)
    wrong = cache.folder / f"{key_of(SEVEN, host_target()).hex()}.program"
    the_file(cache).rename(wrong)
    with pytest.warns(RuntimeWarning, match="another program"):
        assert number(compile_cached(SEVEN, host_target(), cache)) == 7


def test_a_program_for_another_processor_is_never_found(cache):
    other = replace(host_target(), cpu="another")
    cache.put(key_of(SIX, other), {}, b"code that would not run here")
    assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert cache.info().programs == 2


@pytest.mark.parametrize("meta", [b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_meta_that_is_no_table_is_damage(cache, meta):
    import hashlib

    header = module._HEADER.pack(
        module._MAGIC, module._FORMAT, len(meta), 4, KEY, hashlib.sha256(meta + b"code").digest()
    )
    cache.folder.mkdir(parents=True, mode=0o700)
    path = cache.folder / f"{KEY.hex()}.program"
    path.write_bytes(header + meta + b"code")
    path.chmod(0o600)
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert cache.get(KEY) is None


def test_an_object_that_can_not_be_loaded_is_compiled_again(cache):
    cache.put(key_of(SIX, host_target()), {}, b"whole, but no machine code")
    assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert (cache.statistics.hits, cache.statistics.misses) == (1, 1)


def test_text_that_llvm_refuses_is_not_kept(cache):
    with pytest.raises(ChainruleError):
        compile_cached("define nonsense", host_target(), cache)
    assert cache.info().programs == 0


# ---- others ----------------------------------------------------------------------------------


@unix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_refused(cache, mode):
    assert cache.put(KEY, {}, b"planted")
    cache.folder.chmod(mode)
    later = ObjectCache(cache.folder)
    with pytest.warns(RuntimeWarning, match="another user"):
        assert later.get(KEY) is None
    assert later.get(KEY) is None  # a second warning would be an error here
    assert not later.put(KEY, {}, b"ours")
    with pytest.warns(RuntimeWarning, match="another user"):
        assert number(compile_cached(SIX, host_target(), ObjectCache(cache.folder))) == 6


@unix
def test_a_file_that_others_may_write_to_is_refused(cache):
    cache.put(KEY, {}, b"planted")
    the_file(cache).chmod(0o666)
    with pytest.warns(RuntimeWarning, match="another user"):
        assert cache.get(KEY) is None


@unix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("what", ["folder", "file", "parent"])
def test_what_another_user_owns_is_refused(cache, what):
    cache.put(KEY, {}, b"planted")
    path = {
        "folder": cache.folder,
        "file": the_file(cache),
        "parent": cache.folder.parent,
    }[what]
    os.chown(path, 12345, -1)
    with pytest.warns(RuntimeWarning, match="another user"):
        assert ObjectCache(cache.folder).get(KEY) is None


@unix
def test_a_folder_that_others_could_exchange_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.warns(RuntimeWarning, match="could exchange"):
        assert not ObjectCache(tmp_path / "open" / "compiled").put(KEY, {}, b"code")
    (tmp_path / "open").chmod(0o1777)  # as /tmp is: what is ours there stays ours
    assert ObjectCache(tmp_path / "open" / "compiled").put(KEY, {}, b"code")


@unix
def test_links_are_not_followed(cache, tmp_path):
    cache.put(KEY, {}, b"code")
    path = the_file(cache)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(RuntimeWarning, match="can't be read"):
        assert cache.get(KEY) is None
    linked = tmp_path / "linked"
    linked.symlink_to(cache.folder)
    with pytest.warns(RuntimeWarning, match="no folder"):
        assert not ObjectCache(linked).put(KEY, {}, b"code")


# ---- trouble with the disk -------------------------------------------------------------------


def test_a_full_disk_costs_the_keeping_only(cache, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert number(compile_cached(SEVEN, host_target(), cache)) == 7
    assert list(cache.folder.iterdir()) == []


def test_a_folder_that_can_not_be_made_costs_the_keeping_only(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = ObjectCache(tmp_path / "file" / "compiled")
    with pytest.warns(RuntimeWarning, match="can't be kept"):
        assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert cache.info().programs == 0


@unix
def test_a_folder_that_can_not_be_written_is_still_read(cache, monkeypatch):
    compile_cached(SIX, host_target(), cache)
    opened = os.open

    def readonly(path, flags, *rest):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *rest)

    monkeypatch.setattr(module.os, "open", readonly)
    with pytest.warns(RuntimeWarning, match="Read-only"):
        assert number(compile_cached(SEVEN, host_target(), cache)) == 7
    assert number(compile_cached(SIX, host_target(), cache)) == 6
    assert cache.statistics.hits == 1


def test_what_is_too_large_is_not_kept(cache, monkeypatch):
    monkeypatch.setattr(module, "_MOST_PAYLOAD", 10)
    assert not cache.put(KEY, {}, b"eleven byte")
    assert cache.put(KEY, {}, b"ten bytes.")


# ---- several at once -------------------------------------------------------------------------


def test_threads_that_write_the_same_program_leave_it_whole(cache):
    payloads = [bytes([each]) * 100_000 for each in range(8)]

    def work(payload: bytes) -> bool:
        seen = True
        for _ in range(20):
            assert cache.put(KEY, {}, payload)
            found = cache.get(KEY)
            seen &= found is not None and found[1] in payloads
        return seen

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, payloads))
    assert len(list(cache.folder.iterdir())) == 1


WRITER = """
import sys
from pathlib import Path
from chainrule.compile.object_cache import ObjectCache, key_of
cache = ObjectCache(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    cache.put(key_of("a program"), {}, b"x" * 3_000_000)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills differently")
def test_a_writer_that_is_killed_leaves_nothing_harmful(cache):
    for wait in (0.0, 0.003, 0.011, 0.017):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(cache.folder)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.02 + wait)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        found = cache.get(KEY)
        assert found is None or found[1] == b"x" * 3_000_000
    cache.clear()
    assert list(cache.folder.glob("*")) == []  # it may not have come to make the folder


# ---- its size --------------------------------------------------------------------------------


def test_the_programs_unused_for_longest_go_first(tmp_path):
    cache = ObjectCache(tmp_path / "compiled", limit=10_000)
    keys = [key_of(str(each)) for each in range(12)]
    now = time.time()
    for age, key in enumerate(keys[:8]):
        assert cache.put(key, {}, bytes(1000))
        path = cache.folder / f"{key.hex()}.program"
        os.utime(path, (now - 100_000 + age, now - 100_000 + age))
    assert cache.get(keys[0]) is not None  # used now: it is young again
    for key in keys[8:]:
        assert cache.put(key, {}, bytes(1000))
    assert cache.info().size <= 10_000
    there = [key for key in keys if cache.get(key) is not None]
    assert keys[0] in there
    assert keys[1] not in there
    assert there[1:] == keys[len(keys) - len(there) + 1 :]


def test_drafts_that_nobody_finishes_are_removed(tmp_path):
    cache = ObjectCache(tmp_path / "compiled", limit=2_000)
    cache.put(key_of("0"), {}, bytes(1000))
    old, young = (cache.folder / f".unfinished-{name}" for name in ("old", "young"))
    for draft in (old, young):
        draft.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.put(key_of("1"), {}, bytes(1000))
    assert not old.exists()
    assert young.exists()


def test_other_files_in_the_folder_are_left_alone(cache):
    cache.put(KEY, {}, b"code")
    (cache.folder / "notes.txt").write_text("mine")
    before = cache.info()
    assert (before.programs, before.size) == (1, the_file(cache).stat().st_size)
    assert cache.clear() == before
    assert [path.name for path in cache.folder.iterdir()] == ["notes.txt"]
    assert cache.clear().programs == 0


def test_what_can_not_be_removed_is_told(cache, monkeypatch):
    cache.put(KEY, {}, b"code")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        cache.clear()


# ---- the next process ------------------------------------------------------------------------


def test_the_next_process_finds_the_program(tmp_path):
    script = (
        "import json, sys\n"
        "from chainrule.compile.object_cache import compile_cached, object_cache\n"
        "from chainrule.compile.target import host_target\n"
        "compile_cached(sys.argv[1], host_target())\n"
        "print(json.dumps(vars(object_cache().statistics)))"
    )
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script, SIX],
            env={**os.environ, "CHAINRULE_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        counts.append((found["hits"], found["misses"]))
    assert counts == [(0, 1), (1, 0)]


def test_importing_the_library_loads_none_of_this():
    script = "import sys, chainrule; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "chainrule" in loaded
    assert not [name for name in loaded if "llvmlite" in name or "compile.machine" in name]


def test_the_object_kept_is_what_the_compiler_wrote(cache):
    compile_cached(SIX, host_target(), cache)
    found = cache.get(key_of(SIX, host_target()))
    assert found is not None
    assert found[1] == assemble(SIX, host_target())
