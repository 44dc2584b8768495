"""LLVM's text as machine code, loaded into this process: the only room that LLVM works in.

    text -> assemble -> object (bytes, which can be kept in a file) -> load -> Library -> address

There is no pipeline of optimisations in between: kernels are written as they are to run, with
explicit vectors, and measured no faster after one. LLVM chooses instructions and registers.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chainrule.compile.target import LLVM_LOCK, Target, host_target, require_llvm
from chainrule.errors import ChainruleError

if TYPE_CHECKING:
    from llvmlite.binding import LLJIT, ContextRef, ModuleRef, ResourceTracker, TargetMachine

__all__ = ["Library", "assemble", "assemble_apart", "assembly", "llvm_versions", "load"]

_NAMES = itertools.count()


class Library:
    """Machine code in this process's memory, for as long as this object is alive.

    >>> text = "define i64 @six() {  ret i64 6 }"
    >>> library = load(assemble(text, host_target()))
    >>> import ctypes
    >>> ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("six"))()
    6
    """

    def __init__(self, jit: LLJIT, name: str, tracker: ResourceTracker) -> None:
        self._jit = jit
        self._name = name
        self._trackers = {"": tracker}

    def address(self, name: str) -> int:
        """Where a function of the text is; valid while the library is alive.

        Raises:
            ChainruleError: there is no function of that name, or it needs one that nobody has.
        """
        with LLVM_LOCK:
            tracker = self._trackers.get(name)
            if tracker is None:
                try:
                    tracker = self._jit.lookup(self._name, name)
                except RuntimeError as error:
                    raise ChainruleError(f"{name} can't be linked: {error}") from error
                self._trackers[name] = tracker
            return tracker[name]


def assemble(text: str, target: Target, *, inline: bool | None = None) -> bytes:
    """Compile LLVM's text to an object file.

    Args:
        text: a module.
        target: the processor to compile for.
        inline: whether to put functions marked `alwaysinline` where they are called; by default,
            whether the text has any.

    Raises:
        ChainruleError: LLVM does not accept the text.
        MissingDependencyError: there is no llvmlite.
    """
    with LLVM_LOCK:
        machine, module = _prepare(text, target, inline)
        try:
            return machine.emit_object(module)
        finally:
            module.close()


def assembly(text: str, target: Target, *, inline: bool | None = None) -> str:
    """What `assemble` makes of a text, to be read: in the processor's assembly language."""
    with LLVM_LOCK:
        machine, module = _prepare(text, target, inline)
        try:
            return machine.emit_assembly(module)
        finally:
            module.close()


def assemble_apart(text: str, target: Target) -> bytes:
    """The same as `assemble`, while other threads of ours do it with other texts.

    Nothing is shared: a context and a code generator of its own are what LLVM asks of each thread.
    The caller sees to it that `LLVM_LOCK` is held, by whichever of the threads.
    """
    require_llvm()
    from llvmlite import binding

    context = binding.create_context()
    machine = _new_machine(target)
    module = _module(text, machine, None, context)
    try:
        return _emitted(machine, module)
    finally:
        module.close()


def _emitted(machine: TargetMachine, module: ModuleRef) -> bytes:
    """The object file, without the lock that llvmlite puts around each call of LLVM's."""
    from llvmlite.binding import ffi

    library = ffi.lib
    emit = getattr(library.LLVMPY_TargetMachineEmitToMemory, "_cfn", None)
    if emit is None:  # another llvmlite: one text at a time, then
        return machine.emit_object(module)
    with ffi.OutputString() as problem:
        memory = emit(machine, module, 1, problem)
        if not memory:
            raise ChainruleError(f"LLVM makes no machine code of a program: {problem}")
    try:
        start = library.LLVMPY_GetBufferStart(memory)
        return ctypes.string_at(start, library.LLVMPY_GetBufferSize(memory))
    finally:
        library.LLVMPY_DisposeMemoryBuffer(memory)


def load(image: bytes | Sequence[bytes], symbols: Mapping[str, int] | None = None) -> Library:
    """Put object files into memory, and link them with this process's own functions (libm's, ...).

    Args:
        image: what `assemble` gave, for this machine; or several that call each other.
        symbols: addresses of functions that are found nowhere else, by name.

    Raises:
        ChainruleError: it is no object file of this machine.
    """
    with LLVM_LOCK:
        jit = _jit()
        from llvmlite import binding

        name = f"program{next(_NAMES)}"
        builder = binding.JITLibraryBuilder()
        for each in [image] if isinstance(image, bytes) else image:
            builder.add_object_img(each)
        builder.add_current_process()
        for symbol, address in (symbols or {}).items():
            builder.import_symbol(symbol, address)
        try:
            tracker = builder.link(jit, name)
        except RuntimeError as error:
            raise ChainruleError(f"a compiled program can't be loaded: {error}") from error
        return Library(jit, name, tracker)


@functools.cache
def llvm_versions() -> str:
    """The versions of LLVM and of llvmlite: other ones make other machine code."""
    with LLVM_LOCK:
        require_llvm()
        import llvmlite
        from llvmlite import binding

    return f"LLVM {'.'.join(map(str, binding.llvm_version_info))} llvmlite {llvmlite.__version__}"


def _prepare(text: str, target: Target, inline: bool | None) -> tuple[TargetMachine, ModuleRef]:
    """The parsed and verified module, ready for the machine's last step."""
    machine = _machine(target)
    return machine, _module(text, machine, inline)


def _module(
    text: str, machine: TargetMachine, inline: bool | None, context: ContextRef | None = None
) -> ModuleRef:
    from llvmlite import binding

    try:
        module = binding.parse_assembly(text, context)
        module.verify()
    except RuntimeError as error:
        raise ChainruleError(
            f"LLVM does not accept the program that was written for it: {error}",
            cure="this is a mistake of the compiler's: please report it with the function",
            text=text,
        ) from error
    if "alwaysinline" in text if inline is None else inline:
        options = binding.create_pipeline_tuning_options()
        passes = binding.create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.run(module, binding.create_pass_builder(machine, options))
    return module


@functools.cache
def _machine(target: Target) -> TargetMachine:
    """LLVM's code generator for one processor."""
    return _new_machine(target)


def _new_machine(target: Target) -> TargetMachine:
    require_llvm()
    from llvmlite import binding

    # Code and constants within 2 GB of each other make the short addresses that kernels want; the
    # linker of ELF and Mach-O bridges the way to libm. On Windows, llvmlite knows the way.
    model = ("default", "jitdefault") if target.is_windows else ("pic", "small")
    return binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, reloc=model[0], codemodel=model[1], jit=True
    )


@functools.cache
def _jit() -> LLJIT:
    """The one linker of this process."""
    target = host_target()
    machine = _machine(target)
    from llvmlite import binding

    return binding.create_lljit_compiler(
        machine, use_jit_link=not target.is_windows, suppress_errors=True
    )
