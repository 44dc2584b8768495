"""`Layer`: a module that can pull a gradient back by itself, with no tape.

    y, saved = layer.forward_and_save(x)
    x_bar, parameter_bars = layer.backward(saved, y_bar)

Both are pure functions: all that the way back needs is in `saved`. Neither is written per layer. A
layer is an op, whose derivative was derived by hand where the op is defined (`nn/functional`). So
`forward_and_save` runs the layer's `forward` and notes which op it was, and `backward` asks that op
for its derivative. A few layers are two or three ops (pad, then convolve): they are noted in the
order in which they ran, and asked in the reverse one. That is the chain rule.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from chainrule.autograd.tape import Tape
from chainrule.core.interpret import Interpreter, Run, Stack, current_stack, enter, leave
from chainrule.core.op import Bars, Needs, Op
from chainrule.core.types import Signature
from chainrule.errors import AutogradError
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter
from chainrule.tensor import Tensor

__all__ = ["Layer", "Saved", "Step"]

Key = int | None  # which value of a layer it is; None: one that wants no cotangent


@dataclass(slots=True)
class Step:
    """One op that a layer ran, with what its derivative needs to see again.

    Attributes:
        op: the op.
        inputs: each a tensor if the derivative needs it, else None.
        types: their signatures.
        outputs: the output if the derivative needs it, else None; with the op's residuals, if it
            has any, in a tuple.
        needs: which inputs want a cotangent.
        sources: where these inputs came from.
        result: which value the output is.
    """

    op: Op
    inputs: tuple[Any, ...]
    types: tuple[Signature, ...]
    outputs: Any
    needs: Needs
    sources: tuple[Key, ...]
    result: Key

    @classmethod
    def of(cls, op: Op, inputs: tuple[Tensor, ...], outputs: Any, wanted: set[int]) -> Step:
        """Keep what the op says it needs, and only the types of the rest."""
        sources = tuple([id(x) if id(x) in wanted else None for x in inputs])
        needs = tuple([source is not None for source in sources])
        saves = op.saves_for(needs)
        kept = [x if i in saves.inputs else None for i, x in enumerate(inputs)]
        types = tuple([(x.value.shape, x.value.dtype) for x in inputs])
        first = outputs if op.outputs == 1 else outputs[0]
        y = first if saves.output else None
        saved = y if op.outputs == 1 else (y, *outputs[1:])
        return cls(op, tuple(kept), types, saved, needs, sources, id(first))

    def pull_back(self, y_bar: Tensor) -> Bars:
        """The cotangents of the inputs from that of the output: the op's own derivative."""
        bars = y_bar if self.op.outputs == 1 else (y_bar, *[None] * (self.op.outputs - 1))
        return current_stack().derive(
            self.op, bars, self.outputs, self.inputs, self.types, self.needs
        )


@dataclass(frozen=True, slots=True)
class Saved:
    """What one forward pass of a layer leaves for its backward pass.

    Attributes:
        steps: the ops it ran, in order; mostly one.
        input: which value the layer's input is; None where its cotangent is not wanted.
        output: which value its output is.
        parameters: the layer's trainable parameters by name, and which values they are.
    """

    steps: tuple[Step, ...]
    input: Key
    output: Key
    parameters: tuple[tuple[str, int], ...]


class _Notes(Interpreter):
    """Notes the ops that a wanted value goes through on its way to the output."""

    def __init__(self, wanted: list[Tensor]) -> None:
        self.alive = wanted  # while they are, no two of them have the same id
        self.wanted = {id(x) for x in wanted}
        self.steps: list[Step] = []

    def over(self, below: Stack) -> Run:
        """Run the op below, then note it."""

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            outputs = below.run(op, inputs)
            if op.differentiable and not self.wanted.isdisjoint(map(id, inputs)):
                self.steps.append(Step.of(op, inputs, outputs, self.wanted))
                first = outputs if op.outputs == 1 else outputs[0]
                self.alive.append(first)
                self.wanted.add(id(first))
            return outputs

        return run


class Layer(Module):
    """A module of one input that can be trained with no tape.

    Derive from it what is to be trained by the layer engine. If `forward` is made of this library's
    functions, that is all there is to do. Whoever wants to derive a layer's derivative by hand
    overrides `forward_and_save` and `backward`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Tanh()
    >>> y, saved = layer.forward_and_save(chainrule.tensor([0.0, 1.0]))
    >>> x_bar, parameter_bars = layer.backward(saved, chainrule.ones(2))
    >>> x_bar, parameter_bars
    (tensor([1.0000, 0.4200]), {})
    """

    def forward_and_save(
        self, input: Tensor, *constants: Any, needs_input: bool = True
    ) -> tuple[Tensor, Any]:
        """The output, and what `backward` needs.

        Args:
            input: what the layer is applied to.
            constants: its other inputs, such as a loss's target.
            needs_input: whether the cotangent of the input will be wanted: not in the first layer.
        """
        trainable = self._trainable()
        wanted: list[Tensor] = [parameter for _, parameter in trainable]
        notes = _Notes([*wanted, input] if needs_input else wanted)
        token = enter(current_stack().without(Tape).push(notes))
        try:
            y = _out_of_place(self)(input, *constants)
        finally:
            leave(token)
        if not isinstance(y, Tensor):
            raise AutogradError(
                f"{type(self).__name__} returned a {type(y).__name__}, not one tensor",
                cure='train this model with the tape: engine="tape"',
            )
        output = id(y) if id(y) in notes.wanted else None
        parameters = tuple([(name, id(parameter)) for name, parameter in trainable])
        return y, Saved(tuple(notes.steps), id(input) if needs_input else None, output, parameters)

    def backward(self, saved: Any, y_bar: Tensor) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The cotangents of the input and of the parameters, by name, from that of the output."""
        bars: dict[Key, Tensor] = {saved.output: y_bar}
        token = enter(current_stack().without(Tape))
        try:
            for step in reversed(saved.steps):
                bar = bars.pop(step.result, None)
                if bar is None:
                    continue
                for source, x_bar in zip(step.sources, step.pull_back(bar)):
                    if source is not None and x_bar is not None:
                        known = bars.get(source)
                        bars[source] = x_bar if known is None else known + x_bar
        finally:
            leave(token)
        x_bar = bars.get(saved.input) if saved.input is not None else None
        return x_bar, {name: bars[key] for name, key in saved.parameters if key in bars}

    def _trainable(self) -> list[tuple[str, Parameter]]:
        own = self._parameters.items()
        named = self.named_parameters() if self._modules else own  # a layer rarely has children
        return [(name, each) for name, each in named if each is not None and each.tracked]


def _out_of_place(layer: Layer) -> Layer:
    """The layer, or a twin of it that leaves its input's memory alone: it may be saved already."""
    if not layer.__dict__.get("inplace"):
        return layer
    twin = copy.copy(layer)
    object.__setattr__(twin, "inplace", False)
    return twin
