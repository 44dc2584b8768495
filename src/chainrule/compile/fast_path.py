"""The way of most calls of a compiled function, written out as Python code for one program.

A step of a small network takes a few microseconds, and so would a loop over its guards. So the
checks are spelled out, one line each, for the arguments, the state and the modules of this program:

    def fast(args):
        if current_stack() is not stack: return MISS
        try: x0, x1 = args
        except ValueError: return MISS
        a0 = x0.value
        ...
        if p0.value is not v0 or p1.value is not v1: return MISS
        y0, = run((a0, a1), state)
        n0.count += 1
        return around(y0)

Where the program has a native entry (`entry.py`), that does most of this instead:

        y0 = new_y0()
        if enter(x0, x1, y0): return MISS

Whatever it does not expect it leaves to the slow way: it gives MISS before anything has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compile.captured import ARGUMENT, CLEAR, OBJECT, Captured, Output
from chainrule.compile.surroundings import Variable
from chainrule.core.base import TensorBase
from chainrule.core.interpret import current_stack
from chainrule.nn.registry import Changes
from chainrule.tensor import Tensor

if TYPE_CHECKING:
    from chainrule.compile.program import Program

__all__ = ["MISS", "write_fast_path"]

MISS: Any = object()
"""What the fast path gives for a call that is none of its own."""

_FILE = f"{__file__}: a fast path"


def write_fast_path(program: Program) -> Callable[[tuple[Any, ...]], Any] | None:
    """The fast path of a program; None where calls of its kind have none.

    It has none where arguments are nested or named, or where one requires gradients.
    """
    parts: Any = program.structure[2]
    positional, named = parts
    if named[2] or any(part is not None for part in positional[2]):
        return None
    if any(isinstance(leaf.value, TensorBase) and leaf.value.tracked for leaf in program.leaves):
        return None
    return _Writer(program).function()


def watched_fields(
    captured: Captured, arrays: Sequence[Any]
) -> Iterator[tuple[TensorBase, str, object]]:
    """What a native entry looks at instead: tensors, names of fields, and what must be there."""
    guards = captured.guards
    for _, leaf, flag in guards.gradients:
        if not flag:
            yield leaf, "gradient", None
    for bound, array in zip(captured.state, arrays, strict=True):
        if not bound.is_gradient:
            yield bound.owner, "value", array
    for _, tensor, flag in guards.tracked:
        yield tensor, "tracked", flag


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.captured = program.captured
        self.entry = program.entry
        self.names = program.environment
        self.names.update(
            MISS=MISS,
            Tensor=Tensor,
            around=Tensor.around,
            array=np.array,
            current_stack=current_stack,
            ndarray=np.ndarray,
            run=program.executable.run,
            stack=program.stack,
        )
        self.places = {leaf: place for place, leaf in enumerate(self.captured.arguments)}

    def function(self) -> Callable[[tuple[Any, ...]], Any]:
        """The function; its docstring is its source."""
        source = "\n".join(["def fast(args):", *[f"    {line}" for line in self._lines()]])
        exec(compile(source, _FILE, "exec"), self.names)
        fast: Any = self.names["fast"]
        fast.__doc__ = source
        return fast

    def _lines(self) -> Iterator[str]:
        count = len(self.program.leaves)
        yield "if current_stack() is not stack: return MISS"
        if count:
            yield f"try: {''.join([f'x{index}, ' for index in range(count)])} = args"
            yield "except ValueError: return MISS"
        else:
            yield "if args: return MISS"
        for index in range(count):
            yield from self._argument(index)
        for place in self.program.written:  # nobody else may have any of this memory
            a = f"a{self.captured.arguments[place]}"
            others = [f"a{index}" for index in self.captured.arguments if f"a{index}" != a]
            yield f"if {a}.base is not None: return MISS"
            yield from [f"if {b} is {a} or {b}.base is {a}: return MISS" for b in others]
        for start in range(0, len(guards := list(self._guards())), 64):  # the parser has its limits
            yield f"if {' or '.join(guards[start : start + 64])}: return MISS"
        yield from self._run()
        for index, bound in enumerate(self.captured.state):
            if bound.updated:
                yield f"n{index}.count += 1"
        for place in self.program.written:
            index = self.captured.arguments[place]
            if isinstance(self.program.leaves[index].value, TensorBase):
                yield f"x{index}.version_counter().count += 1"
        none = {id(leaf) for _, leaf, flag in self.captured.guards.gradients if not flag}
        for index, each in enumerate(self.captured.gradients):
            if each.what.kind == CLEAR and id(each.leaf) in none:
                continue  # it was None, which is checked, and the program does not touch it
            leaf = self._constant(f"g{index}", each.leaf)
            yield f"{leaf}.gradient = {self._output(each.what)}"
        for index, (holder, name, output) in enumerate(self.captured.attributes):
            kept = self._constant(f"f{index}", holder)
            yield f"setattr({kept}, {name!r}, {self._output(output)})"
        yield f"return {self._tree(self.captured.structure, iter(self.captured.outputs))}"

    def _run(self) -> Iterator[str]:
        """The program's run; what it gives are y0, y1, ..."""
        results = [f"y{index}" for index in range(len(self.program.graph.results))]
        extra = [self._constant(f"extra{i}", each) for i, each in enumerate(self.program.extra)]
        if self.entry is None:
            arrays = "".join([f"{x}, " for x in [*self._arrays(), *extra]])
            given = f"{', '.join(results)}, = " if results else ""
            yield f"{given}run(({arrays}), state)"
            return
        for result, value in zip(results, self.program.graph.results, strict=True):
            like = np.zeros(value.type.shape, value.type.dtype.numpy)
            yield f"{result} = {self._constant(f'new_{result}', like.copy)}()"
        floats = {i for i, leaf in enumerate(self.program.leaves) if isinstance(leaf.value, float)}
        given = [f"{'a' if leaf in floats else 'x'}{leaf}" for leaf in self.captured.arguments]
        yield f"if enter({', '.join([*given, *extra, *results])}): return MISS"

    def _arrays(self) -> list[str]:
        return [f"a{leaf}" for leaf in self.captured.arguments]

    def _argument(self, index: int) -> Iterator[str]:
        """The checks of one argument."""
        x, a = f"x{index}", f"a{index}"
        place = self.places.get(index)
        value = self.program.leaves[index].value
        if place is None:
            known = self._constant(f"k{index}", value)
            if isinstance(value, int | str | float) and type(value) is not bool and value:
                kind = self._constant(f"t{index}", type(value))
                yield f"if {x} is not {known} and (type({x}) is not {kind} or {x} != {known}):"
                yield "    return MISS"
            else:
                yield f"if {x} is not {known}: return MISS"
            return
        kind = self.program.graph.arguments[place].type
        shape, dtype = self._constant(f"s{index}", kind.shape), f"d{index}"
        self.names[dtype] = kind.dtype.numpy
        if isinstance(value, float):
            yield f"if type({x}) is not float: return MISS"
            yield f"{a} = array({x}, {dtype})"
            return
        if self.entry is not None:
            return  # it looks for itself
        if isinstance(value, TensorBase):
            yield f"if type({x}) is not Tensor or {x}.tracked: return MISS"
            yield f"{a} = {x}.value"
        else:
            yield f"if type({x}) is not ndarray: return MISS"
            yield f"{a} = {x}"
        yield (
            f"if {a}.shape != {shape} or {a}.dtype is not {dtype} or not {a}.flags.c_contiguous:"
            " return MISS"
        )
        if self.program.written or any(bound.updated for bound in self.captured.state):
            yield f"if id({a}) in owners or id({a}.base) in owners: return MISS"

    def _guards(self) -> Iterator[str]:
        """Conditions under which this is not the right program."""
        guards = self.captured.guards
        for index, (_, leaf, flag) in enumerate(guards.gradients):  # first: others look into them
            if self.entry is not None and not flag:
                continue
            is_there = "is" if flag else "is not"
            yield f"{self._constant(f'l{index}', leaf)}.gradient {is_there} None"
        for index, bound in enumerate(self.captured.state):
            if self.entry is not None and not bound.is_gradient:
                continue
            p = self._constant(f"p{index}", bound.owner)
            yield (
                f"{p}.gradient.value is not v{index}"
                if bound.is_gradient
                else (f"{p}.value is not v{index}")
            )
        for index, (_, tensor, flag) in enumerate([] if self.entry else guards.tracked):
            yield f"{self._constant(f'q{index}', tensor)}.tracked is not {flag}"
        for index, (_, module, training) in enumerate(guards.modules):
            yield f"{self._constant(f'm{index}', module)}.training is not {training}"
        for index, variable in enumerate(guards.variables):
            yield self._variable(index, variable)
        if guards.parts:
            self.names["Changes"] = Changes
            yield "Changes.count != changes"
        for index, (_, optimizer, state) in enumerate(guards.optimizers):
            kept = self._constant(f"r{index}", optimizer)
            yield f"len({kept}.state) != {len(state)}"
            for parameter in list(state)[:1]:  # whoever starts anew begins with this one
                known = self._constant(f"u{index}", optimizer.state[parameter])
                key = self._constant(f"w{index}", parameter)
                yield f"{kept}.state.get({key}) is not {known}"
        for index, (_, group, choices) in enumerate(guards.groups):
            known = self._constant(f"h{index}", choices)
            yield f"{self._constant(f'j{index}', group)}.choices is not {known}"

    def _variable(self, index: int, variable: Variable) -> str:
        known = self._constant(f"b{index}", variable.value)
        holder = self._constant(f"e{index}", variable.holder)
        if variable.is_global:
            return f"{holder}.get({variable.name!r}) is not {known}"
        return f"{holder}.cell_contents is not {known}"

    def _constant(self, name: str, value: Any) -> str:
        if value is None or isinstance(value, bool):
            return repr(value)
        self.names[name] = value
        return name

    def _output(self, output: Output) -> str:
        if output.kind == CLEAR:
            return "None"
        if output.kind == OBJECT:
            return self._constant(f"o{len(self.names)}", output.what)
        return f"x{output.what}" if output.kind == ARGUMENT else f"around(y{output.what})"

    def _tree(self, structure: Any, outputs: Iterator[Output]) -> str:
        """The outputs, nested as they were."""
        if structure is None:
            return self._output(next(outputs))
        kind, keys, parts = structure
        built = [self._tree(each, outputs) for each in parts]
        if keys is not None:
            names = [self._constant(f"key{len(self.names)}", key) for key in keys]
            pairs = ", ".join([f"{name}: {each}" for name, each in zip(names, built, strict=True)])
            made = f"{{{pairs}}}"
            return (
                made if kind is dict else f"{self._constant(f'z{len(self.names)}', kind)}({made})"
            )
        listed = f"({''.join([f'{each}, ' for each in built])})"
        if kind is tuple:
            return listed
        if kind is list:
            return f"[*{listed}]"
        star = "*" if hasattr(kind, "_fields") else ""  # a named tuple takes them one by one
        return f"{self._constant(f'z{len(self.names)}', kind)}({star}{listed})"
