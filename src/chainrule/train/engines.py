"""How a step is carried out: one small protocol, one class per engine.

An engine takes a batch, moves the network's parameters by one step, and gives the loss and how many
samples were right. The tape and the layers use the same derivatives, op by op, and give the same
bits; the third engine, which compiles the whole step, is in `compiled_engine.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Protocol

from chainrule.data import TensorDataset
from chainrule.errors import ConfigError
from chainrule.nn import LayerEngine, Module
from chainrule.nn.layer import Layer
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor
from chainrule.train.config import ENGINES
from chainrule.train.evaluate import Score, evaluate

__all__ = [
    "INSTALL",
    "Engine",
    "LayersEngine",
    "TapeEngine",
    "build_engine",
    "build_scoring",
    "can_compile",
    "default_engine",
]

INSTALL = 'pip install "llvmlite>=0.45"'
"""What to do where compiling isn't possible."""


class Engine(Protocol):
    """Trains a network, a batch at a time, and judges it."""

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Do what can be done before the data is there, for batches of bytes of that shape."""
        ...

    def source(self, dataset: TensorDataset) -> TensorDataset:
        """What the batches for `step` are drawn from, sample for sample."""
        ...

    def step(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Move the parameters by one step.

        Returns:
            the loss before it, and how many samples were right; nobody has looked at either.
        """
        ...

    def evaluate(self, dataset: TensorDataset, classes: int) -> Score:
        """Score the network on a data set."""
        ...


class TapeEngine:
    """Autograd: the tape remembers what ran, `backward` walks it back.

    >>> import chainrule
    >>> from chainrule import nn, optim
    >>> model = nn.Linear(4, 10)
    >>> rules = [optim.SGD(model.parameters(), lr=0.1)]
    >>> loss, right = TapeEngine(model, nn.CrossEntropyLoss(), rules).step(
    ...     chainrule.zeros(2, 4), chainrule.tensor([3, 7])
    ... )
    >>> loss.requires_grad, right.dtype, model.weight.grad.shape
    (False, chainrule.int64, (10, 4))
    """

    def __init__(self, model: Module, loss: Layer, optimizers: Sequence[Optimizer]) -> None:
        self.model, self.loss, self.optimizers = model, loss, optimizers

    def gradients(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and the network's output; the gradients are in the parameters' `.grad`."""
        output = self.model(input)
        loss = self.loss(output, target)
        loss.backward()
        return loss.detach(), output.detach()

    def step(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients, then the optimizers' moves."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss, output = self.gradients(input, target)
        for optimizer in self.optimizers:
            optimizer.step()
        return loss, (output.argmax(1) == target).sum()

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Nothing: each op is found as it is met."""

    def source(self, dataset: TensorDataset) -> TensorDataset:
        """The data set itself."""
        return dataset

    def evaluate(self, dataset: TensorDataset, classes: int) -> Score:
        """Score the network op by op."""
        return evaluate(self.model, dataset, classes)


class LayersEngine(TapeEngine):
    """The layer engine: each layer's own backward, in the reverse order; no tape.

    >>> import chainrule
    >>> from chainrule import nn, optim
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))
    >>> rules = [optim.SGD(model.parameters(), lr=0.1)]
    >>> loss, right = LayersEngine(model, nn.CrossEntropyLoss(), rules).step(
    ...     chainrule.zeros(2, 4), chainrule.tensor([3, 7])
    ... )
    >>> loss.requires_grad, right.dtype, model[0].weight.grad.shape
    (False, chainrule.int64, (8, 4))
    """

    def __init__(self, model: Module, loss: Layer, optimizers: Sequence[Optimizer]) -> None:
        super().__init__(model, loss, optimizers)
        self.layers = LayerEngine(model, loss)

    def gradients(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Forward and backward through the row of layers."""
        loss, output = self.layers.forward(input, target)
        self.layers.backward()
        return loss.detach(), output.detach()


def can_compile() -> bool:
    """Whether what the compiler needs is installed; it is not loaded for that.

    >>> can_compile() in (True, False)
    True
    """
    return find_spec("llvmlite") is not None


def default_engine() -> str:
    """The quickest engine there is here.

    >>> default_engine() in ("compiled", "tape")
    True
    """
    return "compiled" if can_compile() else "tape"


def build_scoring(name: str, model: Module) -> Callable[[TensorDataset, int], Score]:
    """How the engine of that name scores a network: from a data set and the number of classes.

    Where a run was trained by compiled programs that can't be made here, op by op.

    >>> import chainrule
    >>> data = chainrule.data.TensorDataset(chainrule.eye(3), chainrule.tensor([0, 1, 1]))
    >>> build_scoring("tape", chainrule.nn.Identity())(data, 3).confusion.tolist()
    [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    """
    if name == "compiled" and can_compile():
        from chainrule.train.compiled_engine import CompiledScoring

        return CompiledScoring(model)
    return partial(evaluate, model)


def build_engine(
    name: str,
    model: Module,
    loss: Layer,
    optimizers: Sequence[Optimizer],
    batch_size: int | None = None,
) -> Engine:
    """The engine of that name for a network, its loss and its optimizers.

    Args:
        name: `tape`, `layers` or `compiled`.
        model, loss, optimizers: what to train, by what, how.
        batch_size: of all batches but an epoch's last one; None: each size is met as it comes.

    Raises:
        ConfigError: there is no such engine, or it can't train this network.
        MissingDependencyError: it compiles, and llvmlite is not installed.

    >>> import chainrule
    >>> from chainrule import nn, optim
    >>> model = nn.Linear(4, 10)
    >>> rules = [optim.SGD(model.parameters(), lr=0.1)]
    >>> for name in ("tape", "layers"):
    ...     engine = build_engine(name, model, nn.CrossEntropyLoss(), rules)
    ...     loss, right = engine.step(chainrule.zeros(2, 4), chainrule.tensor([3, 7]))
    >>> loss.shape, model.weight.grad.shape
    ((), (10, 4))
    """
    if name == "tape":
        return TapeEngine(model, loss, optimizers)
    if name == "layers":
        return LayersEngine(model, loss, optimizers)
    if name == "compiled":
        from chainrule.train.compiled_engine import CompiledEngine

        return CompiledEngine(model, loss, optimizers, batch_size)
    raise ConfigError(
        f"there is no engine {name!r}",
        cure=f"choose one of {', '.join(ENGINES)}",
        engine=name,
        engines=ENGINES,
    )
