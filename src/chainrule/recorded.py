"""Functions of ops, recorded once and run again as lines of NumPy.

A derivative is written in ops, and eager execution reads it op by op: it finds out who interprets,
makes a tensor of every intermediate value, asks for memory. In a small network that takes longer
than the arithmetic. So whatever is met again with the same types is *recorded*: run once on symbols
by the interpreter below, which writes each op down as a line of Python,

    def linear_vjp(x0, x1, x2, x3, x4):
        v0 = x0.value
        v1 = x2.value
        v2 = x3.value
        v3 = matmul(v0, v2)
        v4 = permute(v0)
        v5 = matmul(v4, v1)
        v6 = sum(v0)
        return around(v3), around(v5), around(v6)

and from then on that function is called. The derivative is still written once, in ops; a test holds
the recording of every op to the bits of the derivative itself.

Only pure functions can be recorded: those whose ops depend on the types of their arguments alone.
One that looks at numbers (`read`) or writes into memory (`assign`) can't be, and is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.core.base import TUPLE, TensorBase, ViewOf
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Base, Run, Stack, enter, leave
from chainrule.core.op import Op
from chainrule.core.types import TensorType, type_of
from chainrule.tensor import Tensor

__all__ = ["link", "record"]

Routine = Callable[..., Any]


class CannotRecordError(Exception):
    """The function does what no line of NumPy stands for."""


class Symbol:
    """Stands for an array.

    Attributes:
        shape, dtype: what the array has.
        origin: the symbol whose memory it may share: its own, unless views lead to it.
        ops: these views.
        constant: the array, where it is one.
        name: how the routine calls it.
    """

    __slots__ = ("constant", "dtype", "name", "ops", "origin", "shape")

    def __init__(self, kind: TensorType, name: str = "", constant: Any = None) -> None:
        self.shape, self.dtype = kind.shape, kind.dtype.numpy
        self.origin = self
        self.ops: tuple[Op, ...] = ()
        self.constant, self.name = constant, name


class Line:
    """One op: `outputs = function(*inputs)`."""

    __slots__ = ("function", "inputs", "into", "name", "outputs")

    def __init__(
        self, name: str, function: Any, inputs: list[Symbol], outputs: list[Symbol]
    ) -> None:
        self.name = name
        self.function = function
        self.inputs = inputs
        self.outputs = outputs
        self.into: Symbol | None = None  # the memory to write to, if not new memory


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
            types = op.type_rule(*map(type_of, xs))
            if isinstance(op, CoarseOp):
                y, residuals = op.forward(*inputs)
                return (y, *residuals) if op.outputs > 1 else y
            ys = [Symbol(each) for each in (types if op.outputs > 1 else (types,))]
            if op.aliases:
                ys[0].origin, ys[0].ops = xs[0].origin, (*xs[0].ops, op)
            self.lines.append(Line(op.name, op.reference, xs, ys))
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
        self.single = not isinstance(results, tuple)
        listed: list[Any] = [results] if self.single else list(results)
        self.results: list[Symbol | None] = [y if y is None else _symbol(y) for y in listed]
        self.paths = [given.get(id(y)) for y in listed]
        self.views = views
        self.into = into
        self.lines = _alive(lines, self.results)
        self.names: dict[Symbol, str] = {}
        self.globals: dict[str, Any] = {
            "around": Tensor.around,
            "asarray": np.asarray,
            "copyto": np.copyto,
            "link": link,
        }

    def routine(self) -> Routine:
        """The function; its docstring is its source."""
        _reuse_memory(self.lines, self.inputs, self.results, self.into)
        source = "\n".join([self._head(), *(f"    {line}" for line in self._body())])
        exec(compile(source, _FILE, "exec"), self.globals)
        function: Any = self.globals[self.name]
        function.__doc__ = source
        return function

    def _head(self) -> str:
        return f"def {self.name}({', '.join(f'x{index}' for index in range(self.arity))}):"

    def _body(self) -> Iterator[str]:
        used = {x for line in self.lines for x in (*line.inputs, line.into)}
        used |= {*self.results, *self.into}
        for x in self.inputs:
            if x in used:
                self.names[x] = f"v{len(self.names)}"
                yield f"{self.names[x]} = {x.name}.value"
        last = _last_uses(self.lines, self.results)
        for index, line in enumerate(self.lines):
            yield self._line(line)
            for y in line.outputs:
                if y.shape == ():
                    yield f"{self.names[y]} = asarray({self.names[y]})"
            gone = [x for x in {*line.inputs, *line.outputs} if last.get(x, index) == index]
            names = sorted(self.names[x] for x in gone if x.constant is None and not x.name)
            if names and index + 1 < len(self.lines):
                yield f"del {', '.join(names)}"
        if self.into:
            yield from self._writes()
        else:
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
        while name in self.globals:
            name = f"{name}_"
        self.globals[name] = value
        return name

    def _writes(self) -> Iterator[str]:
        """The results go into the memory of the targets, unless they were computed there."""
        there = {line.outputs[0]: line.into for line in self.lines if line.into is not None}
        for y, target in zip(self.results, self.into, strict=True):
            if y is not None and y is not target and there.get(y) is not target:
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


def _last_uses(lines: list[Line], results: Sequence[Symbol | None]) -> dict[Symbol, int]:
    """For each symbol the last line that uses it, or a view of it; their number, for a result."""
    last: dict[Symbol, int] = {}
    for index, line in enumerate(lines):
        for x in line.inputs:
            last[x] = last[x.origin] = index
    for y in results:
        if y is not None:
            last[y] = last[y.origin] = len(lines)
    return last


def _reuse_memory(
    lines: list[Line],
    inputs: list[Symbol],
    results: Sequence[Symbol | None],
    into: Sequence[Symbol],
) -> None:
    """Let NumPy's own functions write where a value lies that nobody needs any more.

    A result that goes `into` a target is computed there, if that is not read afterwards. A value
    keeps the memory layout that it would have had, wherever something (a sum, a matrix product, the
    caller) could tell the difference.
    """
    last = _last_uses(lines, results)
    sensitive = _layout_matters(lines, () if into else results)
    places = {y: p for y, p in zip(results, into) if list(results).count(y) == 1}
    layouts: dict[Symbol, object] = {}
    made: set[Symbol] = set()
    for index, line in enumerate(lines):
        y = line.outputs[0]
        if type(line.function) is np.ufunc and y.shape:
            seen = [layouts.setdefault(x, x) for x in line.inputs if x.shape == y.shape]
            alike = len(set(seen)) == 1
            if alike:
                layouts[y] = seen[0]
            for x in line.inputs:
                free = x in made and last[x] == index and _fits(x, y, line)
                if free and (alike or len(y.shape) == 1 or y not in sensitive):
                    line.into, layouts[y] = x, layouts[x]
            place = places.get(y)
            if place is not None and _fits(place, y, line) and last.get(place, -1) <= index:
                line.into = place
        made.update(each for each in line.outputs if each.origin is each)


def _fits(x: Symbol, y: Symbol, line: Line) -> bool:
    """Whether y can be written over x: the same type, and no other view of x is being read."""
    others = [each for each in line.inputs if each.origin is x.origin]
    return x.shape == y.shape and x.dtype == y.dtype and all(each is x for each in others)


def _layout_matters(lines: list[Line], results: Sequence[Symbol | None]) -> set[Symbol]:
    """What reaches the caller, or a function that is not elementwise, without being copied."""
    found = {each for y in results if y is not None for each in (y, y.origin)}
    for line in reversed(lines):
        if type(line.function) is not np.ufunc or not found.isdisjoint(line.outputs):
            found.update(line.inputs)
            found.update([x.origin for x in line.inputs])
    return found


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


def _alive(lines: list[Line], results: Sequence[Symbol | None]) -> list[Line]:
    """The lines that a result depends on."""
    wanted = {y for y in results if y is not None}
    wanted |= {y.origin for y in wanted}
    kept: list[Line] = []
    for line in reversed(lines):
        if not wanted.isdisjoint(line.outputs):
            kept.append(line)
            wanted.update(line.inputs)
    return kept[::-1]
