"""Functions of ops, recorded once and run again as lines of NumPy.

A derivative is written in ops, and eager execution reads it op by op: it finds out who interprets,
makes a tensor of every intermediate value, asks for memory. In a small network that takes longer
than the arithmetic. So whatever is met again with the same types is *recorded*: run once on symbols
by the interpreter below, which writes each op down as a line of Python,

    # tanh_vjp
    def recording(x0, x1, x2, x3, x4, x5):
        v0 = x1.value
        v1 = x2.value
        v2 = mul(v1, v1)
        v3 = sub(c, v2, v2)
        del v2
        v4 = mul(v0, v3)
        return (around(v4), )

and from then on that function is called (here 1 - y² is written over y²; c is the constant 1). The
derivative is still written once, in ops; a test holds the recording of every op to the bits of the
derivative itself.

Only pure functions can be recorded: those whose ops depend on the types of their arguments alone.
One that looks at numbers (`read`) or writes into memory (`assign`) can't be, and is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.core.base import TUPLE, TensorBase, ViewOf, as_tuple, is_tensor
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Base, Run, Stack, enter, leave
from chainrule.core.op import Op
from chainrule.core.types import type_of
from chainrule.recorded_memory import (
    Line,
    Symbol,
    alive,
    last_uses,
    needed_as_arrays,
    reuse_memory,
)
from chainrule.tensor import Tensor

__all__ = ["link", "record"]

Routine = Callable[..., Any]


class CannotRecordError(Exception):
    """The function does what no line of NumPy stands for."""


class Recorder(Base):
    """The interpreter that writes down what happens."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._known: dict[Any, Any] = {}

    def over(self, below: Stack) -> Run:
        """An op becomes a line; a coarse op the lines of its body."""

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            xs = [_symbol(x) for x in inputs]
            again = (op, *xs)
            if again in self._known:
                return self._known[again]  # computed a few lines above
            known = [type_of(x) for x in xs]
            types = op.type_rule(*known)
            if isinstance(op, CoarseOp):
                y, residuals = op.forward(*inputs)
                return (y, *residuals) if op.outputs > 1 else y
            ys = [Symbol(each) for each in (types if op.outputs > 1 else (types,))]
            if op.aliases:
                ys[0].origin, ys[0].ops = xs[0].origin, (*xs[0].ops, op)
            self.lines.append(Line(op.name, op.reference_for(*known), xs, ys))
            tensors = [Tensor.around(y) for y in ys]
            results = tuple(tensors) if op.outputs > 1 else tensors[0]
            self._known[again] = results
            return results

        return run

    def lift(self, value: Any) -> Tensor:
        """A constant."""
        return Tensor.around(Symbol(type_of(value), constant=value))

    def copy(self, tensor: TensorBase) -> Tensor:
        """A line of its own."""
        x = _symbol(tensor)
        y = Symbol(type_of(x))
        self.lines.append(Line("copy", np.copy, [x], [y]))
        return Tensor.around(y)

    def assign(self, target: TensorBase, source: TensorBase) -> None:
        """No pure function does this."""
        raise CannotRecordError

    def read(self, tensor: TensorBase) -> Any:
        """What follows may depend on the numbers."""
        raise CannotRecordError

    def prepare(self, function: Callable[..., Any], *args: Any) -> Any:
        """State is made elsewhere."""
        raise CannotRecordError


def _symbol(tensor: Any) -> Symbol:
    symbol = tensor.value
    if type(symbol) is not Symbol:
        raise CannotRecordError  # a tensor from outside: another may be there the next time
    return symbol


def record(
    name: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    targets: Sequence[Any] = (),
    *,
    views: bool = True,
) -> Routine | None:
    """The routine of a pure function; None if it can't be recorded.

    Args:
        name: what it is to be called.
        function: takes tensors, gives a tensor, or a tuple of tensors and None.
        args: the arguments it will be called with: tensors, tuples of them, and constants.
        targets: those among the arguments that the results are written into.
        views: whether results that share the memory of something else are to say so.
    """
    recorder = Recorder()
    inputs: list[Symbol] = []
    symbols = [_like(each, f"x{index}", inputs) for index, each in enumerate(args)]
    token = enter(Stack(recorder))
    try:
        results = function(*symbols)
        for y in as_tuple(results):
            if y is not None:
                _symbol(y)  # or it is somebody else's tensor
    except Exception:  # it will be raised again, with more to say, when it is called
        return None
    finally:
        leave(token)
    into = [_like_target(args, symbols, each) for each in targets]
    given = {id(x): x.value.name for x in _tensors(symbols)}
    return _Writer(name, len(args), inputs, given, recorder.lines, results, into, views).routine()


def _like(arg: Any, path: str, inputs: list[Symbol]) -> Any:
    """An argument with its tensors exchanged for symbols."""
    if isinstance(arg, TensorBase):
        symbol = Symbol(type_of(arg.value), path)
        inputs.append(symbol)
        return Tensor.around(symbol)
    if type(arg) in (tuple, list):
        return type(arg)(
            [_like(each, f"{path}[{index}]", inputs) for index, each in enumerate(arg)]
        )
    return arg


def _tensors(args: Any) -> Iterator[Any]:
    for each in args:
        if isinstance(each, TensorBase):
            yield each
        elif type(each) in (tuple, list):
            yield from _tensors(each)


def _like_target(args: Sequence[Any], symbols: Sequence[Any], target: Any) -> Symbol:
    for arg, symbol in zip(args, symbols, strict=True):
        if arg is target:
            return symbol.value
        if type(arg) is TUPLE:
            for part, part_symbol in zip(arg, symbol, strict=True):
                if part is target:
                    return part_symbol.value
    raise ValueError("a target is none of the arguments")


_FILE = f"{__file__}: a recording"
"""Where tracebacks say that it stands. It begins as files of this package do: it is no user's."""


class _Writer:
    """Writes the lines of a recording as a Python function."""

    def __init__(
        self,
        name: str,
        arity: int,
        inputs: list[Symbol],
        given: dict[int, str],
        lines: list[Line],
        results: Any,
        into: list[Symbol],
        views: bool,
    ) -> None:
        self.name = name
        self.arity = arity
        self.inputs = inputs
        self.single = is_tensor(results)
        listed: list[Any] = list(as_tuple(results))
        self.results: list[Symbol | None] = [y if y is None else _symbol(y) for y in listed]
        self.paths = [given.get(id(y)) for y in listed]
        self.views = views
        self.into = into
        self.lines = alive(lines, self.results)
        self.names: dict[Symbol, str] = {}
        self.globals: dict[str, Any] = {
            "around": Tensor.around,
            "asarray": np.asarray,
            "copyto": np.copyto,
            "link": link,
            "recording": None,
        }
        self._counts: dict[str, int] = {}

    def routine(self) -> Routine:
        """The function; its docstring is its source."""
        reuse_memory(self.lines, self.results, self.into)
        source = "\n".join(
            [f"# {self.name}", self._head(), *(f"    {line}" for line in self._body())]
        )
        exec(compile(source, _FILE, "exec"), self.globals)
        function: Any = self.globals["recording"]
        function.__doc__ = source
        return function

    def _head(self) -> str:
        return f"def recording({', '.join(f'x{index}' for index in range(self.arity))}):"

    def _body(self) -> Iterator[str]:
        used = {x for line in self.lines for x in (*line.inputs, line.into)}
        used |= {*self.results, *self.into}
        for x in self.inputs:
            if x in used:
                self.names[x] = f"v{len(self.names)}"
                yield f"{self.names[x]} = {x.name}.value"
        last = last_uses(self.lines, self.results)
        arrays = needed_as_arrays(self.lines, self.results)
        due: list[tuple[Any, Symbol]] = list(zip(self.results, self.into))
        for index, line in enumerate(self.lines):
            yield self._line(line)
            for y in line.outputs:
                if y in arrays:  # NumPy makes numbers of arrays without dimensions
                    yield f"{self.names[y]} = asarray({self.names[y]})"
            for y, target in [each for each in due if each[0] in line.outputs]:
                if last.get(target, -1) <= index:  # nobody reads the old value any more
                    due.remove((y, target))
                    yield from self._write(y, target, line.into)
            gone = [x for x in {*line.inputs, *line.outputs} if last.get(x, index) == index]
            names = sorted(self.names[x] for x in gone if x.constant is None and not x.name)
            if names and index + 1 < len(self.lines):
                yield f"del {', '.join(names)}"
        for y, target in due:
            if y is not target:
                yield from self._write(y, target, None)
        if not self.into:
            yield f"return {self._wrapped()}"

    def _line(self, line: Line) -> str:
        function = self._global(line.name, line.function)
        arguments = [self._operand(x) for x in line.inputs]
        if line.into is not None:
            arguments.append(self.names[line.into])
        for y in line.outputs:
            self.names[y] = f"v{len(self.names)}"
        outputs = ", ".join([self.names[y] for y in line.outputs])
        return f"{outputs} = {function}({', '.join(arguments)})"

    def _operand(self, x: Symbol) -> str:
        return self.names[x] if x.constant is None else self._global("c", x.constant)

    def _global(self, name: str, value: Any) -> str:
        if self.globals.get(name) is value:
            return name
        count = self._counts[name] = self._counts.get(name, 0) + 1
        if count > 1 or name in self.globals:
            name = f"{name}_{count}"
        self.globals[name] = value
        return name

    def _write(self, y: Any, target: Symbol, written: Symbol | None) -> Iterator[str]:
        """A result goes into the memory of its target, unless it was computed there."""
        if target is not written:
            yield f"copyto({self.names[target]}, {self._operand(y)})"

    def _wrapped(self) -> str:
        tensors: list[str] = []
        for index, (path, y) in enumerate(zip(self.paths, self.results, strict=True)):
            twice = y is not None and y in self.results[:index]  # two tensors, two memories
            tensors.append(path or self._tensor(y, ".copy()" if twice else ""))
        return tensors[0] if self.single else f"({''.join(f'{each}, ' for each in tensors)})"

    def _tensor(self, y: Symbol | None, copy: str) -> str:
        if y is None:
            return "None"
        if y.origin.constant is not None:  # nobody may write into it, or through a view of it
            copy = ".copy()"
        if copy or not y.ops or not self.views:
            return f"around({self._operand(y)}{copy})"
        base = y.origin.name or f"around({self.names[y.origin]})"
        return f"link({self._global('views', y.ops)}, {base}, around({self.names[y]}))"


def link(ops: tuple[Op, ...], x: Any, y: Any) -> Any:
    """Note that y is a view of x, if it is: reshape, for one, copies where it has to."""
    root = x.value if x.value.base is None else x.value.base
    if y.value.base is not root and not np.may_share_memory(y.value, x.value):
        return y  # (an array over foreign memory, and a strided trick, have other bases)
    if x.view_of is None:
        y.view_of = ViewOf(x, ops, x.version)
    else:
        y.view_of = ViewOf(x.view_of.base, (*x.view_of.ops, *ops), x.version)
    return y
