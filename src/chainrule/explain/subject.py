"""What is put to the test: an op, a layer, a function, or a user's own `Function`, as one thing.

All four are a function of arrays with a derivative that somebody claims. A `Subject` runs the
function, and has the claimed derivative run under a recorder.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.autograd.function import Function
from chainrule.autograd.reverse import grad
from chainrule.autograd.witnesses import differentiable_inputs
from chainrule.core.base import as_tuple, is_tensor
from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Elementwise
from chainrule.core.interpret import bind, lift, pull_back, using
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import signature_of
from chainrule.errors import ConfigError, DTypeError
from chainrule.explain.program import Program, Recorder, plain_stack, recording
from chainrule.nn.layer import Layer
from chainrule.nn.module import Module
from chainrule.ops.generator import get_rng_state, set_rng_state

__all__ = ["Subject", "subject_of"]


@dataclass
class Subject:
    """A function of arrays, and the derivative that is claimed for it.

    Attributes:
        name: what it is called.
        names: what its inputs are called, parameters included.
        arrays: where it is tried: floats in float64.
        wanted: the inputs it claims a derivative for.
        call: the function, on tensors.
        claim: `claim(tensors, y_bars, recorder)`: the claimed cotangents of the wanted inputs.
        independent: whether the function's body says more than the claim does.
        around: entered while anything of this runs: it puts things back afterwards.
        tensors: makes the tensors that the function is called with.
        rigid: whether inputs of other sizes would have no meaning.
        free: of a layer, how many of the arrays are its inputs. Their batch size may be another;
            all other sizes it may have been made for. None: it is no layer.
        resized: the same with one size exchanged for another in its settings, if it has such.
    """

    name: str
    names: tuple[str, ...]
    arrays: tuple[Array, ...]
    wanted: tuple[int, ...]
    call: Callable[[Sequence[Any]], Any]
    claim: Callable[[Sequence[Any], Sequence[Any], Recorder], Sequence[Any]]
    independent: bool = True
    around: Callable[[], Any] = field(default=lambda: _nothing())
    tensors: Callable[[Sequence[Array]], list[Any]] = field(default=lambda xs: _lifted(xs))
    rigid: bool = False
    free: int | None = None
    resized: Callable[[int, int], Subject | None] = field(default=lambda size, new: None)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The differentiable outputs."""
        with self.around(), using(plain_stack()):
            return [np.array(y.value) for y in _floats(self.call(self.tensors(arrays)))]

    def body(self, arrays: Sequence[Array]) -> tuple[Program, list[int], list[int | None]]:
        """What the function does, in fine ops; which values are its inputs and its outputs."""
        program = Program()
        recorder = Recorder(program, by_tensor=True)
        with self.around():
            tensors = self.tensors(arrays)
            inputs = [recorder.name(x, name) for x, name in zip(tensors, self.names)]
            with recording(recorder):
                outputs = _floats(self.call(tensors))
            return program, inputs, [recorder.output_key(y) for y in outputs]

    def given(self, arrays: Sequence[Array], y_bars: Sequence[Array]) -> Program:
        """The claimed derivative, run; its results are the wanted cotangents."""
        program = Program()
        recorder = Recorder(program)
        bars = _lifted(y_bars)
        with self.around():
            tensors = self.tensors(arrays)
            for x, name in zip(tensors, self.names):
                recorder.name(x, name)
            for index, bar in enumerate(bars):
                recorder.name(bar, "y_bar" if len(bars) == 1 else f"y_bar{index}")
            found = self.claim(tensors, bars, recorder)
            for position, x_bar in zip(self.wanted, found, strict=True):
                program.results[position] = None if x_bar is None else recorder.key(x_bar)
        return program


def _lifted(arrays: Sequence[Array]) -> list[Any]:
    return [lift(np.array(x)) for x in arrays]


@contextmanager
def _nothing() -> Generator[None]:
    """Nothing to put back but the random numbers: the same are drawn each time."""
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def _floats(outputs: Any) -> list[Any]:
    found = [y for y in as_tuple(outputs) if is_tensor(y) and y.value.dtype.kind == "f"]
    if not found:
        raise DTypeError(
            "check: the function returned no floating-point tensor",
            cure="check a function whose output has a derivative",
        )
    return found


def subject_of(target: object, inputs: Sequence[Any]) -> Subject:
    """A subject from whatever `check` was given."""
    own: Any = target
    if isinstance(target, Op):
        return _of_op(target, [_array(x) for x in inputs])
    if isinstance(target, Module):
        return _of_module(target, inputs)
    if isinstance(target, type) and issubclass(target, Function):
        return _of_callable(target.apply, target.__name__, inputs, target.forward)
    if callable(own) and not isinstance(target, type):
        return _of_callable(own, getattr(own, "__name__", type(own).__name__), inputs, own)
    raise ConfigError(
        f"check: {target!r} is no op, layer, function or autograd.Function",
        cure="pass one of these, and the inputs to try it with",
    )


# -- ops ---------------------------------------------------------------------------------------


def _of_op(op: Any, arrays: Sequence[Array]) -> Subject:
    from chainrule.explain.formulas import formula_of

    wanted = differentiable_inputs(Sample(op, tuple(arrays)))

    def call(tensors: Sequence[Any]) -> Any:
        return as_tuple(bind(op, *tensors))[0]

    def claim(tensors: Sequence[Any], y_bars: Sequence[Any], recorder: Recorder) -> Sequence[Any]:
        outputs, y = _forwards(op, tensors, recorder)
        recorder.name(y, "y")
        needs = tuple([i in wanted for i in range(len(tensors))])
        saves = op.saves_for(needs)
        kept = [x if i in saves.inputs else None for i, x in enumerate(tensors)]
        y_bar, saved = y_bars[0], outputs[0] if saves.output else None
        if op.outputs > 1:
            y_bar, saved = (y_bar, *[None] * (op.outputs - 1)), (saved, *outputs[1:])
        types = tuple([signature_of(x) for x in tensors])
        with recording(recorder):
            bars = pull_back(op, y_bar, saved, kept, types, needs)
        return [bars[i] for i in wanted]

    has_body = isinstance(op, CoarseOp) or hasattr(op, "body")
    names = formula_of(op, len(arrays)).operands

    def resized(size: int, new: int) -> Subject | None:
        shape: tuple[int, ...] = getattr(op, "shape", ())
        if size not in as_tuple(shape):
            return None
        other = tuple([new if each == size else each for each in shape])
        return _of_op(replace(op, shape=other), arrays)

    return Subject(
        op.name,
        names,
        tuple(arrays),
        wanted,
        call,
        claim,
        independent=has_body,
        rigid=not has_body and not isinstance(op, Elementwise),
        resized=resized,
    )


def _forwards(op: Any, tensors: Sequence[Any], recorder: Recorder) -> tuple[tuple[Any, ...], Any]:
    """The outputs; how a coarse op came by its residuals is noted, for they may be wrong too."""
    if isinstance(op, CoarseOp):
        with recording(recorder):
            y, residuals = op.forward(*tensors)
        return (y, *residuals), y
    if hasattr(op, "body"):
        with recording(recorder):
            op.body(*tensors)  # its values are what a derivative may be missing
    with using(plain_stack()):
        outputs = as_tuple(bind(op, *tensors))
    return outputs, outputs[0]


# -- functions ---------------------------------------------------------------------------------


def _array(x: Any) -> Array:
    array = np.array(x.value) if is_tensor(x) else np.asarray(x)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _argument_names(function: Any, inputs: Sequence[Any]) -> list[str]:
    """What a function calls the inputs it is given.

    Raises:
        ConfigError: it can't be called with these.
    """
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # Python doesn't know of a function in C
        return [f"x{i}" for i in range(len(inputs))]
    taken = [each for each in given if each.name not in ("ctx", "self")]
    try:
        inspect.Signature(taken).bind(*inputs)
    except TypeError as error:
        raise ConfigError(
            f"check: the function can't be called with {len(inputs)} inputs: {error}",
            cure="pass after it what it is to be called with: check(function, *inputs)",
        ) from None
    names = [each.name for each in taken if each.kind is not each.VAR_KEYWORD]
    return [names[i] if i < len(names) else f"x{i}" for i in range(len(inputs))]


def _of_callable(function: Any, name: str, inputs: Sequence[Any], signature: Any) -> Subject:
    arguments = _argument_names(signature, inputs)
    places = [i for i, x in enumerate(inputs) if is_tensor(x) or isinstance(x, np.ndarray)]
    arrays = tuple([_array(inputs[i]) for i in places])

    def call(tensors: Sequence[Any]) -> Any:
        filled = list(inputs)
        for place, x in zip(places, tensors, strict=True):
            filled[place] = x
        return function(*filled)

    wanted = tuple([i for i, x in enumerate(arrays) if x.dtype.kind == "f"])
    names = tuple([arguments[i] for i in places])
    return Subject(name, names, arrays, wanted, call, _by_tape(call, wanted))


def _by_tape(call: Callable[[Sequence[Any]], Any], wanted: tuple[int, ...]) -> Any:
    """The derivative as `backward()` finds it."""

    def claim(tensors: Sequence[Any], y_bars: Sequence[Any], recorder: Recorder) -> Sequence[Any]:
        for i in wanted:
            tensors[i].requires_grad_()
        with recording(recorder, tape=True):
            outputs = _floats(call(tensors))
            for y in outputs:
                if recorder.output_key(y) is None:
                    recorder.name(y, "y")
            pairs = [(y, bar) for y, bar in zip(outputs, y_bars) if y.requires_grad]
            if not pairs:
                return [None] * len(wanted)
            ys, bars = zip(*pairs)
            return grad(ys, [tensors[i] for i in wanted], bars, allow_unused=True)

    return claim


# -- layers ------------------------------------------------------------------------------------


def _of_module(module: Any, inputs: Sequence[Any]) -> Subject:
    arguments = _argument_names(module.forward, inputs)
    places = [i for i, x in enumerate(inputs) if is_tensor(x) or isinstance(x, np.ndarray)]
    parameters = [(n, p) for n, p in module.named_parameters() if p.tracked]
    own = [_array(inputs[i]) for i in places]
    arrays = (*own, *[_array(p) for _, p in parameters])
    names = (*[arguments[i] for i in places], *[name for name, _ in parameters])
    wanted = tuple([i for i, x in enumerate(arrays) if x.dtype.kind == "f"])
    if isinstance(module, Layer) and len(own) > 1:  # what follows a layer's input are constants
        wanted = tuple([i for i in wanted if i == 0 or i >= len(own)])

    def arguments_of(tensors: Sequence[Any]) -> list[Any]:
        filled = list(inputs)
        for place, x in zip(places, tensors):
            filled[place] = x
        return filled

    def tensors_of(arrays: Sequence[Array]) -> list[Any]:
        for (_, parameter), array in zip(parameters, arrays[len(own) :], strict=True):
            parameter.value = np.array(array)
        return [*[lift(np.array(x)) for x in arrays[: len(own)]], *[p for _, p in parameters]]

    def call(tensors: Sequence[Any]) -> Any:
        return module(*arguments_of(tensors))

    def by_layer(tensors: Sequence[Any], y_bars: Sequence[Any], recorder: Recorder) -> Any:
        with recording(recorder):
            y, saved = module.forward_and_save(*arguments_of(tensors))
            if recorder.output_key(y) is None:
                recorder.name(y, "y")
            x_bar, bars = module.backward(saved, y_bars[0])
        found = [x_bar, *[None] * (len(own) - 1), *[bars.get(name) for name, _ in parameters]]
        return [found[i] for i in wanted]

    claim = by_layer if isinstance(module, Layer) else _by_tape(call, wanted)
    return Subject(
        type(module).__name__,
        names,
        arrays,
        wanted,
        call,
        claim,
        around=lambda: _as_it_was(module),
        tensors=tensors_of,
        free=len(own),
    )


@contextmanager
def _as_it_was(module: Any) -> Generator[None]:
    """Put parameters, buffers and random numbers back; meanwhile all of it is float64."""
    with _nothing():
        kept = [(each, each.value) for each in (*module.parameters(), *module.buffers())]
        try:
            for each, value in kept:
                wide = np.float64 if value.dtype.kind == "f" else value.dtype
                each.value = value.astype(wide)
            yield
        finally:
            for each, value in kept:
                each.value = value
