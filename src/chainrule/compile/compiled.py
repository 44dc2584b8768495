"""`compile`, and `Compiled`: a function that is traced once per kind of call, and run from then on.

What is of one kind: tensors (and NumPy arrays) of the same shapes and dtypes, everything else the
same value; in the same grad mode; and all the function depends on beside its arguments as it was.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any, overload

from chainrule.compile.capture import capture
from chainrule.compile.captured import CLEAR, Captured
from chainrule.compile.epoch import run_epoch
from chainrule.compile.fast_path import MISS
from chainrule.compile.kinds import (
    array_of,
    as_tensors,
    call_key,
    differ_in_size,
    in_one_dtype,
    is_plain,
    most_like,
    moving_floats,
    what_is_new,
)
from chainrule.compile.program import BACKENDS, Program, build_executable
from chainrule.compile.ragged import Ragged, prepared, ragged, with_a_row_more
from chainrule.compile.ragged_rules import NotRagged
from chainrule.compile.signature import Leaf, flatten
from chainrule.core.interpret import Stack, current_stack
from chainrule.core.location import Location
from chainrule.core.op import Array
from chainrule.errors import CompileError, ConfigError
from chainrule.ir.graph import Graph

__all__ = ["Compiled", "compile"]

KINDS = 64
"""Programs kept of one function; the oldest goes when another one comes."""

OFTEN = 8
"""A batch of another size is run as plain Python so often before it is compiled, too."""

_tracing = threading.RLock()  # a trace borrows the parameters, which others may have, too


@overload
def compile(
    fn: Callable[..., Any], *, keep_gradients: bool | None = None, backend: str | None = None
) -> Compiled: ...
@overload
def compile(
    fn: None = None, *, keep_gradients: bool | None = None, backend: str | None = None
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(
    fn: Any = None, *, keep_gradients: bool | None = None, backend: str | None = None
) -> Any:
    """The function as one program: traced at its first call, run as a whole from then on.

    It may be any function of tensors: a model's forward pass, a loss, a gradient, or a whole
    training step, with `backward()` and `optimizer.step()` in it. Also a decorator.

    Arguments are tensors, NumPy arrays (taken as tensors), numbers, strings, None, other objects,
    and lists, tuples and dicts of these. Every kind of call is traced once: tensors count by shape
    and dtype, everything else by value. A float that changes from call to call becomes an argument
    of the program after the first change. A retrace says on stderr what was new, and how long it
    took. A batch of fewer rows (the last one of an epoch) runs through the program of a training
    step as well, or, where that can't be, as plain Python, until that size comes twice in a row.

    Tensors that are no arguments are *state*: parameters, buffers, an optimizer's state and its
    learning rate, the random generator. They are read at each call, and what the function writes to
    them is written in place. Modules' `train()` and `eval()`, `requires_grad`, optimizers' settings
    and the numbers in closures and globals that the function names are checked at each call; what
    is kept elsewhere (a number in an attribute) is a constant of the trace, and so are NumPy arrays
    that are no arguments.

    Differences from calling the function itself:

    - Python runs only while tracing: a `print` inside prints once. `if tensor:`, `.item()` and the
      like raise a `CompileError` at their line.
    - Results have memory of their own, also where the function returns a view of an argument; an
      argument or a parameter returned as it is stays the same tensor.
    - `backward()` goes back through the results, but once: compile the function that takes a second
      derivative. Where the function went back itself, its results require no gradients.
    - Gradients that the function leaves in `.grad` are put there, unless it also writes to the
      parameter they belong to: a step that ends with `optimizer.step()` has used them up, and
      leaves None. `keep_gradients=True` keeps all, `False` none.

    Args:
        fn: the function, or a module; None to decorate with settings.
        keep_gradients: see above.
        backend: `"native"` for machine code, `"numpy"` for the same graph op by op; None takes
            machine code where it can be made.

    Raises:
        CompileError: it is no function; at a call: the function can't be compiled.
        ConfigError: there is no such backend.

    >>> import chainrule
    >>> from chainrule import nn, optim
    >>> model = nn.Linear(3, 1)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> @chainrule.compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = ((model(x) - y) ** 2).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss.detach()
    >>> x, y = chainrule.randn(8, 3), chainrule.zeros(8, 1)
    >>> losses = [step(x, y).item() for _ in range(5)]
    >>> losses == sorted(losses, reverse=True)
    True
    """
    if fn is None:
        return functools.partial(compile, keep_gradients=keep_gradients, backend=backend)
    if not callable(fn):
        raise CompileError(
            f"compile: a {type(fn).__name__} is no function",
            cure="pass a function or a module; name settings: compile(fn, keep_gradients=True)",
        )
    if backend not in BACKENDS:
        raise ConfigError(
            f"compile: there is no backend {backend!r}",
            cure=f"choose one of {', '.join(map(repr, BACKENDS))}",
        )
    return Compiled(fn, keep_gradients=keep_gradients, backend=backend)


class Compiled:
    """A compiled function: call it as the function itself. Made by `compile`.

    Attributes:
        programs: what was compiled so far, the latest last.

    >>> import chainrule
    >>> double = chainrule.compile(lambda x: x * 2)
    >>> double(chainrule.ones(2)), double.count
    (tensor([2., 2.]), 1)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        keep_gradients: bool | None = None,
        backend: str | None = None,
    ) -> None:
        if isinstance(function, Compiled):
            function = function.function
        functools.update_wrapper(self, function, updated=())
        self.__wrapped__: Any = function
        self._name = str(getattr(function, "__name__", type(function).__name__))
        self._keep_gradients = keep_gradients
        self._backend = backend
        self._fast: Callable[[tuple[Any, ...]], Any] | None = None
        self._programs: dict[Any, list[Program]] = {}
        self._count = 0
        self._told: set[str] = set()
        self._moving: set[tuple[Any, int]] = set()  # floats that are arguments of programs
        self._fixed: set[tuple[Any, int]] = set()  # floats that can't be
        self._odd: dict[Any, int] = {}  # how often a batch of another size was met
        self._odd_last: Any = None
        self._extra: dict[tuple[Program, int], list[Array] | None] = {}  # of ragged batches
        self._notes: dict[str, None] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program for arguments of this kind; trace it first, if there is none."""
        fast = self._fast
        if fast is not None and not kwargs:
            result = fast(args)
            if result is not MISS:
                return result
        return self._call(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: bound to its object."""
        return self if instance is None else types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        """What a compiled module is asked for beside being called: `parameters()`, `train()`."""
        if name.startswith("__") or "__wrapped__" not in self.__dict__:
            raise AttributeError(f"'Compiled' object has no attribute {name!r}")
        return getattr(self.__wrapped__, name)

    @property
    def function(self) -> Callable[..., Any]:
        """What was compiled."""
        return self.__wrapped__

    def __repr__(self) -> str:
        return f"<compiled {self.__wrapped__!r}>"

    # -- what there is to see -----------------------------------------------------------------

    @property
    def programs(self) -> list[Program]:
        """What was compiled so far, the latest last."""
        return [program for programs in self._programs.values() for program in programs]

    @property
    def program(self) -> Program:
        """What was compiled last.

        Raises:
            CompileError: nothing was compiled so far.
        """
        programs = self.programs
        if not programs:
            raise CompileError(
                f"{self._name} was not compiled so far", cure="call it first: that is when it is"
            )
        return programs[-1]

    @property
    def graph(self) -> Graph:
        """The graph of what was compiled last, as it was traced."""
        return self.program.graph

    @property
    def count(self) -> int:
        """How often it was compiled."""
        return self._count

    def stages(self) -> dict[str, str]:
        """The stages of what was compiled last, by name, as text."""
        return self.program.stages()

    def explain(self, *, measure: bool = False) -> str:
        """What was compiled: arguments, state, results, kernels; and what ran otherwise, and why.

        Args:
            measure: time each kernel as well, on one thread, with the arguments of the first call
                of its kind, and show it as a share of the core's peak of multiply-adds, which is
                measured beside it. The state stays what it is.

        >>> import chainrule
        >>> double = chainrule.compile(lambda x: x * 2)
        >>> y = double(chainrule.ones(2))
        >>> print(double.explain().splitlines()[0])
        <lambda>(x: f32[2])
        """
        parts = [program.explain(measure=measure) for program in self.programs]
        return "\n\n".join([*parts, *self._notes]) or f"{self._name} was not called so far"

    # -- a call -------------------------------------------------------------------------------

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stack = current_stack()
        if not is_plain(stack):  # traced by another one; or somebody wants to see each op
            return self.__wrapped__(*args, **kwargs)
        structure, leaves = self._taken_apart(args, kwargs)
        extra, ragged = None, None
        with _tracing:
            program, key = self._find(structure, leaves, stack)
            if program is None:
                ragged = self._ragged(key, structure, leaves, stack)
        if program is None:
            if ragged is None:
                return self._odd_batch(key, args, kwargs)
            program, extra = ragged
            self._fast = None  # so that this learns of the call after this one
        values = [leaf.value for leaf in leaves]
        arrays = [array_of(values[index]) for index in program.captured.arguments]
        if program.overlaps(arrays):
            return self._plainly("arguments share memory that is written to", args, kwargs)
        result = program.run(values, arrays, extra)
        if program.stack is stack and extra is None:
            self._fast = program.fast
        return result

    def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Compile it for arguments of this kind, and do nothing with them.

        >>> import chainrule
        >>> double = chainrule.compile(lambda x: x * 2)
        >>> double.prepare(chainrule.ones(2))
        >>> double.count
        1
        """
        stack = current_stack()
        if is_plain(stack):
            structure, leaves = self._taken_apart(args, kwargs)
            with _tracing:
                self._find(structure, leaves, stack)

    def _taken_apart(self, args: Any, kwargs: dict[str, Any]) -> tuple[Any, list[Leaf]]:
        leaves: list[Leaf] = []
        names = self._argument_names()
        parts: list[Any] = []
        for index, each in enumerate(args):
            name = names[index] if index < len(names) else f"argument {index}"
            parts.append(flatten(each, name, leaves))
        named = tuple([flatten(each, name, leaves) for name, each in kwargs.items()])
        given = (tuple, None, tuple(parts)), (dict, tuple(kwargs), named)
        return (tuple, None, given), leaves

    def _argument_names(self) -> tuple[str, ...]:
        function: Any = self.__wrapped__
        function = getattr(function, "forward", function)
        code = getattr(function, "__code__", None)
        if code is None:
            return ()
        names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
        return names[1:] if isinstance(function, types.MethodType) else names

    # -- which program ------------------------------------------------------------------------

    def _find(self, structure: Any, leaves: list[Leaf], stack: Stack) -> tuple[Program | None, Any]:
        """The program for a call, compiled if need be; None where plain Python is to run it."""
        key = call_key(structure, leaves, stack, self._moving)
        programs = self._programs.get(key, [])
        reason = ""
        for program in reversed(programs):
            reason = program.misfit()
            if not reason:
                self._odd_last = None
                return program, key
        if not programs and self._programs:
            known = most_like(key, self._programs)
            before = self._programs[known][-1].leaves
            reason = what_is_new(key, known, leaves, before)
            moved = moving_floats(key, known, leaves, before, self._fixed)
            if moved:
                self._moving |= {(structure, index) for index in moved}
                key = call_key(structure, leaves, stack, self._moving)
            elif self._is_odd(key):
                return None, key
        started = time.perf_counter()
        program, key = self._compile(structure, leaves, stack, key)
        if reason:
            took = (time.perf_counter() - started) * 1e3
            print_line(f"{self._name} was compiled again, in {took:.0f} ms: {reason}")
        return program, key

    def _compile(
        self, structure: Any, leaves: list[Leaf], stack: Stack, key: Any
    ) -> tuple[Program, Any]:
        captured = self._captured(structure, leaves, stack)
        build = functools.partial(build_executable, backend=self._backend)
        code = getattr(self.__wrapped__, "__code__", None)
        home = None if code is None else Location((code, 0))
        ragged = self._for_ragged(captured, structure, leaves, stack)
        program = Program(captured, build, stack, structure, leaves, home, ragged)
        key = call_key(
            structure, leaves, stack, self._moving
        )  # a float may have turned out to be fixed
        self._programs.setdefault(key, []).append(program)
        self._count += 1
        hosted = [name for name in program.host_ops() if name not in self._told]
        if hosted:
            self._told.update(hosted)
            print_line(
                f"{self._name}: NumPy carries out {', '.join(hosted)} between the kernels; "
                f".explain() says why"
            )
        while len(self.programs) > KINDS:
            gone = self._programs.pop(next(iter(self._programs)))
            self._extra = {x: extra for x, extra in self._extra.items() if x[0] not in gone}
        return program, key

    def _captured(self, structure: Any, leaves: list[Leaf], stack: Stack) -> Captured:
        scalars = [
            index
            for index, leaf in enumerate(leaves)
            if (structure, index) in self._moving and type(leaf.value) is float
        ]
        if scalars:
            try:
                captured = self._capture(structure, leaves, stack, frozenset(scalars))
                if in_one_dtype(captured.graph, captured.arguments, scalars):
                    return captured
            except Exception:  # Python has to know the number, or it is no error of ours
                pass
            places = {(structure, index) for index in scalars}
            self._moving -= places
            self._fixed |= places
        return self._capture(structure, leaves, stack, frozenset())

    def _capture(
        self, structure: Any, leaves: list[Leaf], stack: Stack, scalars: frozenset[int]
    ) -> Captured:
        return capture(
            self.__wrapped__,
            structure,
            leaves,
            stack,
            name=self._name,
            keep_gradients=self._keep_gradients,
            scalars=scalars,
        )

    # -- batches of fewer rows ----------------------------------------------------------------

    def _for_ragged(
        self, captured: Captured, structure: Any, leaves: list[Leaf], stack: Stack
    ) -> Ragged | None:
        """A training step for batches of fewer rows, too, if it can be shown to be right."""
        if captured.pullback is not None or not captured.guards.groups:
            return None  # it steps no optimizer: a trace more would cost more than it brings
        shapes = [value.type.shape for value in captured.graph.arguments]
        size = next((shape[0] for shape in shapes if shape), 0)
        if size < 2:
            return None
        batches = {
            index
            for index, shape in zip(captured.arguments, shapes, strict=True)
            if shape and shape[0] == size
        }
        longer = [
            Leaf(leaf.path, with_a_row_more(leaf.value)) if index in batches else leaf
            for index, leaf in enumerate(leaves)
        ]
        try:
            with captured.guards.untouched():
                other = self._captured(structure, longer, stack)
            return ragged(prepared(captured.graph), prepared(other.graph), size, size + 1)
        except NotRagged as error:
            self._notes[f"no program for ragged batches: {error}"] = None
        except Exception as error:  # with another batch it is no function at all
            self._notes[f"no program for ragged batches: {type(error).__name__}"] = None
        return None

    def _ragged(
        self, key: Any, structure: Any, leaves: list[Leaf], stack: Stack
    ) -> tuple[Program, list[Array]] | None:
        """The program for a batch of fewer rows than its own, and its further arguments."""
        for other, programs in self._programs.items():
            if not differ_in_size(key, other):
                continue
            program, values = programs[-1], [leaf.value for leaf in leaves]
            arrays = [array_of(values[index]) for index in program.captured.arguments]
            rows = None if program.ragged is None else program.ragged.rows(arrays)
            if program.ragged is None or rows is None or program.misfit():
                continue
            if (program, rows) not in self._extra:
                try:
                    with program.captured.guards.untouched():
                        traced = prepared(self._captured(structure, leaves, stack).graph)
                    self._extra[program, rows] = program.ragged.extra(rows, traced)
                except NotRagged as error:
                    self._notes[f"no program for {rows} rows: {error}"] = None
                    self._extra[program, rows] = None
            extra = self._extra[program, rows]
            if extra is not None:
                return program, extra
        return None

    # -- plain Python -------------------------------------------------------------------------

    def _is_odd(self, key: Any) -> bool:
        """Whether a call differs from another in sizes alone, and comes but now and then."""
        if not any(differ_in_size(key, other) for other in self._programs):
            return False
        times = self._odd[key] = self._odd.get(key, 0) + 1
        ragged = any(each[-1].ragged for each in self._programs.values())
        if self._odd_last == key or (times > OFTEN and not ragged):
            return False
        self._odd_last = key
        return True

    def _odd_batch(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._fast = None  # so that this learns of the call after this one
        like = next(
            each[-1] for other, each in self._programs.items() if differ_in_size(key, other)
        )
        shapes = [str(each[0]) for each in key[3:] if type(each[0]) is tuple]
        result = self._plainly(f"a batch of other sizes: {', '.join(shapes)}", args, kwargs)
        for each in like.captured.gradients:
            if each.what.kind == CLEAR:  # as the program leaves them
                each.leaf.gradient = None
        return result

    def _plainly(self, why: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._notes[f"ran as plain Python: {why}"] = None
        args = tuple([as_tensors(each) for each in args])
        return self.__wrapped__(*args, **{name: as_tensors(x) for name, x in kwargs.items()})

    # -- an epoch -----------------------------------------------------------------------------

    def over(
        self,
        *data: Any,
        batch_size: int,
        shuffle: bool = False,
        generator: Any = None,
        drop_last: bool = False,
    ) -> Any:
        """Call it on every batch of a data set, and give all results, stacked.

        It is `[step(*batch) for batch in DataLoader(...)]`, with the same batches in the same
        order, at less expense.

        Args:
            data: a data set; or tensors or arrays, whose rows are the samples.
            batch_size: samples in a batch.
            shuffle: visit the samples in a new random order.
            generator: of that order; as a `DataLoader`'s.
            drop_last: leave out a last batch that is not full.

        Returns:
            what the function gives, each tensor with a first dimension more: the batch. Where the
            last batch gives another shape than the others, a list of tensors.

        >>> import chainrule
        >>> mean = chainrule.compile(lambda x: x.mean())
        >>> mean.over(chainrule.arange(6).float(), batch_size=2)
        tensor([0.5000, 2.5000, 4.5000])
        """
        return run_epoch(self, data, batch_size, shuffle, generator, drop_last)


def print_line(text: str) -> None:
    """Say something on stderr."""
    sys.stderr.write(f"chainrule: {text}\n")
