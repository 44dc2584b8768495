"""How a step's gradients come about: one small protocol, one class per engine.

An engine runs the network forward and back and leaves each parameter's `.grad` set. All engines
use the same derivatives, and give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from chainrule.errors import ConfigError
from chainrule.nn import LayerEngine, Module
from chainrule.nn.layer import Layer
from chainrule.tensor import Tensor

__all__ = ["Engine", "LayersEngine", "TapeEngine", "build_engine"]


class Engine(Protocol):
    """Computes gradients."""

    def gradients(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and the network's output; the gradients are in the parameters' `.grad`."""
        ...


class TapeEngine:
    """Autograd: the tape remembers what ran, `backward` walks it back.

    >>> import chainrule
    >>> from chainrule import nn
    >>> model = nn.Linear(4, 10)
    >>> loss, logits = TapeEngine(model, nn.CrossEntropyLoss()).gradients(
    ...     chainrule.zeros(2, 4), chainrule.tensor([3, 7])
    ... )
    >>> logits.shape, model.weight.grad.shape
    ((2, 10), (10, 4))
    """

    def __init__(self, model: Module, loss: Layer) -> None:
        self.model, self.loss = model, loss

    def gradients(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Forward under the tape, then `loss.backward()`."""
        output = self.model(input)
        loss = self.loss(output, target)
        loss.backward()
        return loss.detach(), output.detach()


class LayersEngine:
    """The layer engine: each layer's own backward, in the reverse order; no tape.

    >>> import chainrule
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))
    >>> loss, logits = LayersEngine(model, nn.CrossEntropyLoss()).gradients(
    ...     chainrule.zeros(2, 4), chainrule.tensor([3, 7])
    ... )
    >>> loss.requires_grad, model[0].weight.grad.shape
    (False, (8, 4))
    """

    def __init__(self, model: Module, loss: Layer) -> None:
        self.layers = LayerEngine(model, loss)

    def gradients(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Forward and backward through the row of layers."""
        loss, output = self.layers.forward(input, target)
        self.layers.backward()
        return loss.detach(), output.detach()


_ENGINES: dict[str, Callable[[Module, Layer], Engine]] = {
    "tape": TapeEngine,
    "layers": LayersEngine,
}


def build_engine(name: str, model: Module, loss: Layer) -> Engine:
    """The engine of that name for a network and its loss.

    Raises:
        ConfigError: there is no such engine, or it can't train this network.

    >>> import chainrule
    >>> from chainrule import nn
    >>> model = nn.Linear(4, 10)
    >>> for name in ("tape", "layers"):
    ...     engine = build_engine(name, model, nn.CrossEntropyLoss())
    ...     loss, logits = engine.gradients(chainrule.zeros(2, 4), chainrule.tensor([3, 7]))
    >>> logits.shape, model.weight.grad.shape
    ((2, 10), (10, 4))
    """
    if name not in _ENGINES:
        raise ConfigError(
            f"there is no engine {name!r}",
            cure=f"choose one of {', '.join(_ENGINES)}",
            engine=name,
            engines=tuple(_ENGINES),
        )
    return _ENGINES[name](model, loss)
