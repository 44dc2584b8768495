"""The layer engine: a network trained layer by layer, with no tape. How the textbook does it.

A network of layers is a composition, loss = l(f_n(... f_2(f_1(x)))), and its derivative the product
of theirs. So a training step is two loops:

    forwards:   y_1 = f_1(x),    y_2 = f_2(y_1),   ...,   loss = l(y_n)
    backwards:  each layer gets the gradient of its output, gives that of its parameters, and
                hands that of its input to the layer before

No graph is recorded and none is searched: the order of the layers is all there is to know. The
derivatives are the functions that the tape calls, in the same order: the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chainrule.autograd import no_grad
from chainrule.autograd.reverse import accumulate_grad
from chainrule.core.location import user_location
from chainrule.errors import AutogradError, ConfigError, ShapeError
from chainrule.nn.containers import Sequential
from chainrule.nn.layer import Layer
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import ones_like
from chainrule.tensor import Tensor

__all__ = ["LayerEngine", "layers_of"]


class LayerEngine:
    """Trains a `Sequential` of layers with their hand-derived derivatives.

    Args:
        model: a layer, or a Sequential of layers and other Sequentials.
        loss: a loss layer, such as `nn.CrossEntropyLoss()`, or a function of output and target.

    Raises:
        ConfigError: a module is neither; the error names it.

    >>> import chainrule
    >>> from chainrule import nn, optim
    >>> model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> engine = nn.LayerEngine(model, nn.MSELoss())
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> x = chainrule.linspace(-1, 1, 16).reshape(16, 1)
    >>> losses = []
    >>> for step in range(100):
    ...     optimizer.zero_grad()
    ...     loss, output = engine.forward(x, x * x)
    ...     gradients = engine.backward()
    ...     optimizer.step()
    ...     losses.append(loss.item())
    >>> losses[-1] < losses[0] / 2
    True
    """

    def __init__(self, model: Module, loss: Layer | Callable[[Tensor, Tensor], Tensor]) -> None:
        self.model = model
        self.layers = list(layers_of(model))
        self.loss = loss if isinstance(loss, Layer) else _Function(loss)
        self._saved: list[Any] | None = None

    def forward(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and the network's output; what `backward` needs is kept until it is called."""
        loss, y, self._saved = self._forwards(input, target)
        return loss, y

    def backward(self) -> dict[str, Tensor]:
        """The gradients of the loss by the parameters' names; they are added to `.grad` as well.

        Raises:
            AutogradError: `forward` was not called before, or `backward` was already.
        """
        saved, self._saved = self._saved, None
        if saved is None:
            raise AutogradError(
                "backward: there is no forward pass to go back through",
                cure="call forward(input, target) before each backward()",
                location=str(user_location() or ""),
            )
        gradients: dict[str, Tensor] = {}
        shared: set[int] = set()  # memory that is some parameter's gradient already
        with no_grad():
            for name, parameter, bar in self._backwards(saved):
                gradients[name] = bar
                accumulate_grad(shared, False, parameter, bar)
        return gradients

    def gradients(self, input: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its gradients by the parameters' names, as a function: no `.grad` moves."""
        loss, _, saved = self._forwards(input, target)
        return loss, {name: bar for name, _, bar in self._backwards(saved)}

    def _forwards(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, list[Any]]:
        """Each layer takes what the one before gives; the loss compares the last to the target."""
        pile: list[Any] = []
        y, wanted = input, False  # nobody wants the gradient of the data
        for _, layer in self.layers:
            y, saved = layer.forward_and_save(y, needs_input=wanted)
            pile.append((layer, saved))
            wanted = wanted or any(each.requires_grad for each in layer.parameters())
        loss, saved = self.loss.forward_and_save(y, target, needs_input=wanted)
        pile.append((self.loss, saved))
        if loss.shape:
            raise ShapeError(
                f"the loss is {loss.type}, one number was expected",
                cure='reduce it: reduction="mean" or "sum"',
                location=str(user_location() or ""),
            )
        return loss, y, [*pile, ones_like(loss)]

    def _backwards(self, pile: list[Any]) -> list[tuple[str, Parameter, Tensor]]:
        """Take from the pile what was put there, the last first; the gradient of each parameter."""
        bar: Tensor | None = pile.pop()  # dloss/dloss = 1
        found: dict[Parameter, Tensor] = {}
        while pile and bar is not None:
            layer, saved = pile.pop()
            bar, parameter_bars = layer.backward(saved, bar)
            for name, each in parameter_bars.items():
                parameter = layer.get_parameter(name)
                known = found.get(parameter)  # where two layers share it, the gradients add up
                found[parameter] = each if known is None else known + each
        named = self.model.named_parameters()
        return [(name, each, found[each]) for name, each in named if each in found]


class _Function(Layer):
    """A loss given as a function."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The function's result."""
        return self.function(input, target)


def layers_of(model: Module, name: str = "") -> Iterator[tuple[str, Layer]]:
    """The layers of a network in order, with their dotted names.

    Raises:
        ConfigError: a module that is no layer and no plain Sequential: its forward may do anything.
    """
    if isinstance(model, Layer):
        yield name, model
        return
    if not isinstance(model, Sequential) or type(model).forward is not Sequential.forward:
        raise ConfigError(
            f"the layer engine can't train {type(model).__name__}"
            + (f" at {name!r}" if name else "")
            + ": its forward is a function of its own, not a row of layers",
            cure='use engine="tape", or write it as an nn.Sequential of layers (or as an nn.Layer)',
            location=str(user_location() or ""),
        )
    for child, module in model.entries():
        yield from layers_of(module, f"{name}.{child}" if name else child)
