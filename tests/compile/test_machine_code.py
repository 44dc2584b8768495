"""Text in, machine code out: that it runs, links, stays, and is what the processor is best at."""

import ctypes
import gc
import math
import os
import threading

import pytest

pytest.importorskip("llvmlite")

from chainrule.compile import target as target_module
from chainrule.compile.machine_code import Library, assemble, assembly, llvm_versions, load
from chainrule.compile.target import host_target
from chainrule.errors import ChainruleError

INTEL = "x86_64-unknown-linux-gnu"
SQUARE = """
define internal i64 @times(i64 %a, i64 %b) alwaysinline {
  %c = mul i64 %a, %b
  ret i64 %c
}
define i64 @square(i64 %x) {
  %y = call i64 @times(i64 %x, i64 %x)
  ret i64 %y
}
"""
FMA = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define void @fma(ptr %p) {
  %x = load <16 x float>, ptr %p, align 4
  %y = call <16 x float> @llvm.fma.v16f32(<16 x float> %x, <16 x float> %x, <16 x float> %x)
  store <16 x float> %y, ptr %p, align 4
  ret void
}
"""


def square(library: Library):
    """Its function, which keeps the library alive as an attribute."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("square"))
    function.library = library
    return function


def test_a_function_runs():
    library = load(assemble(SQUARE, host_target()))
    assert square(library)(12) == 144


def test_functions_marked_so_are_put_where_they_are_called():
    target = host_target()
    assert "times" not in assembly(SQUARE, target)
    assert "times" in assembly(SQUARE, target, inline=False)


def test_libraries_with_the_same_names_do_not_meet():
    other = SQUARE.replace("mul i64", "add i64")
    first, second = load(assemble(SQUARE, host_target())), load(assemble(other, host_target()))
    assert (square(first)(5), square(second)(5)) == (25, 10)


def test_a_library_lives_on_when_others_go():
    kept = load(assemble(SQUARE, host_target()))
    image = assemble(SQUARE.replace("mul i64", "add i64"), host_target())
    for _ in range(50):
        assert square(load(image))(7) == 14
    gc.collect()
    assert square(kept)(7) == 49


@pytest.mark.parametrize(("name", "x"), [("tgamma", 4.5), ("lgamma", 9.25), ("erf", 0.3)])
def test_functions_of_the_mathematics_library_are_found(name, x):
    text = f"""
declare double @{name}(double)
define double @f(double %x) {{
  %y = call double @{name}(double %x)
  ret double %y
}}"""
    library = load(assemble(text, host_target()))
    f = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library.address("f"))
    expected = getattr(math, {"tgamma": "gamma"}.get(name, name))(x)
    assert f(x) == pytest.approx(expected, rel=1e-14)


def test_a_symbol_can_be_given():
    text = """
declare i64 @ours(i64)
define i64 @square(i64 %x) {
  %y = call i64 @ours(i64 %x)
  ret i64 %y
}"""
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    ours = kind(lambda x: x + 1)
    address = ctypes.cast(ours, ctypes.c_void_p).value
    assert address is not None
    library = load(assemble(text, host_target()), {"ours": address})
    assert square(library)(41) == 42


def test_constants_and_writable_globals_work():
    text = """
@table = internal constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]
@calls = internal global i64 0
define i64 @square(i64 %x) {
  %p = getelementptr [4 x i64], ptr @table, i64 0, i64 %x
  %v = load i64, ptr %p
  %n = load i64, ptr @calls
  %m = add i64 %n, 1
  store i64 %m, ptr @calls
  %r = add i64 %v, %m
  ret i64 %r
}"""
    f = square(load(assemble(text, host_target())))
    assert [f(0), f(3), f(1)] == [11, 42, 23]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("define nothing", "expected type"),
        ("define i64 @f() { ret i32 0 }", "result type"),
        ("define void @f() { entry: br label %entry }", "Entry block"),
    ],
)
def test_text_that_llvm_refuses_is_a_mistake_of_ours(text, message):
    with pytest.raises(ChainruleError, match=message) as caught:
        assemble(text, host_target())
    assert caught.value.facts["text"] == text


def test_what_is_not_there_is_said_so():
    library = load(assemble(SQUARE, host_target()))
    with pytest.raises(ChainruleError, match="cube"):
        library.address("cube")
    missing = (
        "declare void @nobody_has_this()\n"
        "define void @f() { call void @nobody_has_this() ret void }"
    )
    with pytest.raises(ChainruleError, match="linked"):
        load(assemble(missing, host_target())).address("f")


def test_an_object_that_is_none_is_refused():
    with pytest.raises(ChainruleError, match="can't be loaded"):
        load(b"no object file")


@pytest.mark.parametrize(
    ("features", "register", "count"),
    [("avx512f avx512vl avx2 fma", "zmm", 1), ("avx avx2 fma", "ymm", 2)],
)
@pytest.mark.parametrize("cpu", ["skylake-avx512", "znver4"])
def test_the_widest_registers_are_used(cpu, features, register, count):
    found = dict.fromkeys(features.split(), True)
    if "avx512f" not in found:
        found["avx512f"] = False
    target = target_module._describe(INTEL, cpu, found)
    if not host_target().is_x86:
        pytest.skip("LLVM here writes no code for x86")
    lines = [line for line in assembly(FMA, target).splitlines() if "vfmadd" in line]
    assert len(lines) == count
    assert all(register in line for line in lines)


def test_code_for_a_narrower_processor_gives_the_same_numbers():
    if not host_target().is_x86:
        pytest.skip("there is one width only")
    text = FMA.replace("llvm.fma.v16f32", "sum").replace(
        "declare <16 x float> @sum(<16 x float>, <16 x float>, <16 x float>)",
        "define <16 x float> @sum(<16 x float> %a, <16 x float> %b, <16 x float> %c) {\n"
        "  %p = fmul <16 x float> %a, %b\n  %s = fadd <16 x float> %p, %c\n"
        "  ret <16 x float> %s\n}",
    )
    results = []
    for level in ("native", "sse"):
        numbers = (ctypes.c_float * 16)(*range(16))
        library = load(assemble(text, target_module._target(level)))
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("fma"))(ctypes.addressof(numbers))
        results.append(list(numbers))
    assert results[0] == results[1] == [x * x + x for x in range(16)]
    assert "ymm" not in assembly(text, target_module._target("sse"))


def test_threads_may_compile_at_once():
    problems = []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                text = SQUARE.replace("%y = call", f"%z = add i64 {number}, 0\n  %y = call")
                assert square(load(assemble(text, host_target())))(number) == number * number
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_can_compile_though_its_parent_was_compiling():
    done = threading.Event()

    def keep_compiling() -> None:
        while not done.is_set():
            assemble(SQUARE, host_target())

    thread = threading.Thread(target=keep_compiling)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = 0 if square(load(assemble(SQUARE, host_target())))(3) == 9 else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        thread.join()


def test_the_versions_name_llvm_and_llvmlite():
    import llvmlite

    assert llvm_versions().startswith("LLVM ")
    assert llvmlite.__version__ in llvm_versions()
