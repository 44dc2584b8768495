"""What the compiler takes the processor for."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")

from chainrule.compile import target as target_module
from chainrule.compile.target import Target, host_target, usable_cores
from chainrule.errors import ConfigError, MissingDependencyError

INTEL = "x86_64-unknown-linux-gnu"


def describe(triple: str, found: dict[str, bool], level: str = "native") -> Target:
    return target_module._describe(triple, "generic", found, level)


@pytest.mark.parametrize(
    ("features", "vector_bytes", "registers", "has_fma"),
    [
        ("sse2", 16, 16, False),
        ("sse2 avx", 16, 16, False),
        ("sse2 avx avx2 fma", 32, 16, True),
        ("sse2 avx avx2", 32, 16, False),
        ("sse2 avx avx2 fma avx512f avx512vl", 64, 32, True),
    ],
)
def test_an_x86_processor_is_as_wide_as_its_features(features, vector_bytes, registers, has_fma):
    target = describe(INTEL, dict.fromkeys(features.split(), True))
    assert (target.vector_bytes, target.registers, target.has_fma) == (
        vector_bytes,
        registers,
        has_fma,
    )


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "arm64-apple-darwin23.0.0"])
def test_an_arm_processor_has_32_registers_of_16_bytes(triple):
    target = describe(triple, {"neon": True, "sve": True})
    assert (target.vector_bytes, target.registers, target.has_fma) == (16, 32, True)
    assert target.is_arm
    assert not target.is_x86


def test_a_narrower_processor_can_be_asked_for():
    names = ["sse2", "avx", "avx2", "fma", "f16c", "vaes", "avx512f", "avx512vl"]
    found = dict.fromkeys(names, True)
    avx2, sse = describe(INTEL, found, "avx2"), describe(INTEL, found, "sse")
    assert (avx2.vector_bytes, avx2.registers, avx2.has_fma) == (32, 16, True)
    assert (sse.vector_bytes, sse.registers, sse.has_fma) == (16, 16, False)
    assert "+avx512" not in avx2.features
    assert all(f"+{name}" not in sse.features for name in ("avx", "fma", "f16c", "vaes"))
    assert len({describe(INTEL, found).key, avx2.key, sse.key}) == 3


def test_the_environment_names_the_narrower_processor(monkeypatch):
    monkeypatch.setenv("CHAINRULE_TARGET", "sse")
    if not host_target_is_x86():
        with pytest.raises(ConfigError, match="CHAINRULE_TARGET"):
            host_target()
        return
    assert host_target().vector_bytes == 16
    monkeypatch.delenv("CHAINRULE_TARGET")
    assert "+sse2" in host_target().features


def host_target_is_x86() -> bool:
    return os.uname().machine == "x86_64" if hasattr(os, "uname") else True


def test_an_unknown_processor_is_refused_with_those_that_are_known(monkeypatch):
    monkeypatch.setenv("CHAINRULE_TARGET", "mmx")
    with pytest.raises(ConfigError, match="'mmx'") as caught:
        host_target()
    assert "avx2, sse" in caught.value.cure


def test_a_narrower_processor_is_no_choice_elsewhere():
    with pytest.raises(ConfigError, match="aarch64"):
        describe("aarch64-unknown-linux-gnu", {}, "sse")


def test_lanes_are_the_numbers_in_a_register():
    target = describe(INTEL, {"avx2": True})
    assert (target.lanes(4), target.lanes(8), target.lanes(1)) == (8, 4, 32)


def test_cores_are_those_lent_to_the_process():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not lend single cores")
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from chainrule.compile.target import usable_cores; print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
    assert usable_cores() == len(os.sched_getaffinity(0))


def test_without_llvmlite_the_error_says_how_to_get_it():
    script = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "from chainrule.compile.target import host_target\n"
        "from chainrule.errors import MissingDependencyError\n"
        "try: host_target()\n"
        "except MissingDependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install" in done.stdout, done.stderr


def test_an_llvm_that_is_too_old_is_refused(monkeypatch):
    from llvmlite import binding

    target_module.require_llvm.cache_clear()
    monkeypatch.setattr(binding, "llvm_version_info", (15, 0, 7))
    with pytest.raises(MissingDependencyError, match=r"LLVM 15\.0\.7"):
        target_module.require_llvm()
