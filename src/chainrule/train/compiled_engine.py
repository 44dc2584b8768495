"""The compiled engine: a whole step as one native program, and the judging of a network as another.

The same step as the tape's, handed to `chainrule.compile`: gradients, the optimizers' moves and the
count of right answers; its results differ from the tape's by rounding. Pictures come as bytes, and
are normalised inside: what Python does for a batch is to gather its rows and to make one call.

Batches of one size alone are compiled. An epoch's last one, if it is smaller, runs through the same
program; or always on the tape, if the program takes no such batches. What carries a batch out must
not depend on those that came before it, or a run that was resumed would end with other bits than
one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chainrule.autograd import no_grad
from chainrule.compile.compiled import compile
from chainrule.core.dtypes import float32, int64, uint8
from chainrule.data import TensorDataset
from chainrule.errors import MissingDependencyError
from chainrule.nn import Module
from chainrule.nn.functional import cross_entropy
from chainrule.nn.layer import Layer
from chainrule.ops.create import zeros
from chainrule.ops.from_data import tensor
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor
from chainrule.train.engines import INSTALL, TapeEngine, can_compile
from chainrule.train.evaluate import Score, evaluate
from chainrule.train.pictures import Normaliser

__all__ = ["CompiledEngine", "CompiledScoring"]

_BLOCK = 200
"""Pictures judged by one call: what a network makes of them should stay in the cache. Divides the
sizes of MNIST's validation and test parts."""


class _Bytes:
    """Takes a data set's normalisation off it, to be done inside a program instead.

    The two numbers are tensors, so that one program serves all data sets.
    """

    def __init__(self) -> None:
        self.scale = tensor(1.0, dtype=float32)
        self.shift = tensor(0.0, dtype=float32)

    def taken_from(self, dataset: TensorDataset) -> TensorDataset:
        """The same samples, not normalised; or the data set, if it is transformed otherwise."""
        transform = dataset.transform
        if not isinstance(transform, Normaliser):
            return dataset
        self.scale.fill_(transform.scale)
        self.shift.fill_(transform.shift)
        return TensorDataset(*dataset.tensors)

    def normalised(self, input: Tensor) -> Tensor:
        """Bytes as the network wants them; anything else as it is."""
        return input.float() * self.scale + self.shift if input.dtype is uint8 else input


class CompiledEngine(TapeEngine):
    """The tape's step as one native program.

    Args:
        model, loss, optimizers: what to train, by what, how.
        batch_size: of the batches that are compiled; None: each size is, once it comes often.

    Raises:
        MissingDependencyError: llvmlite is not installed.

    >>> import chainrule
    >>> from chainrule import nn, optim
    >>> from chainrule.train.engines import can_compile
    >>> def losses():
    ...     model = nn.Linear(4, 10)
    ...     rules = [optim.SGD(model.parameters(), lr=0.1)]
    ...     engine = CompiledEngine(model, nn.CrossEntropyLoss(), rules)
    ...     x, y = chainrule.zeros(2, 4), chainrule.tensor([3, 7])
    ...     return [engine.step(x, y)[0].item() for _ in range(5)]
    >>> found = losses() if can_compile() else []
    >>> found == sorted(found, reverse=True)
    True
    """

    def __init__(
        self,
        model: Module,
        loss: Layer,
        optimizers: Sequence[Optimizer],
        batch_size: int | None = None,
    ) -> None:
        super().__init__(model, loss, optimizers)
        self.batch_size = batch_size
        self.scoring = CompiledScoring(model)
        self._bytes = _Bytes()
        self.compiled = compile(self._step, backend="native")

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Compile the step for such pictures."""
        self.compiled.prepare(zeros(shape, dtype=uint8), zeros(shape[0], dtype=int64))

    def source(self, dataset: TensorDataset) -> TensorDataset:
        """The samples as bytes, if they are normalised bytes."""
        return self._bytes.taken_from(dataset)

    def step(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """One call of the program; the tape's step for a batch that it does not take."""
        if self.batch_size is None or len(input) == self.batch_size:
            return self.compiled(input, target)
        if len(input) < self.batch_size and self._takes_fewer(input, target):
            return self.compiled(input, target)
        done = self._step(input, target)
        for optimizer in self.optimizers:  # as the program leaves them, and expects them
            optimizer.zero_grad()
        return done

    def _takes_fewer(self, input: Tensor, target: Tensor) -> bool:
        """Whether the program of full batches, which is there from now on, takes this one, too."""
        shapes = [(self.batch_size or 1, *each.shape[1:]) for each in (input, target)]
        x, y = zeros(shapes[0], dtype=input.dtype), zeros(shapes[1], dtype=target.dtype)
        self.compiled.prepare(x, y)
        return self.compiled.program.ragged is not None

    def _step(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(self._bytes.normalised(input), target)

    def evaluate(self, dataset: TensorDataset, classes: int) -> Score:
        """Score the network by a program of its own."""
        return self.scoring(dataset, classes)


class CompiledScoring:
    """`chainrule.train.evaluate`, by a native program: for a network that is judged repeatedly.

    A last block that isn't full runs op by op.

    Args:
        model: the network; its parameters are read anew each time.

    Raises:
        MissingDependencyError: llvmlite is not installed.

    >>> import chainrule
    >>> from chainrule.train.engines import can_compile
    >>> data = chainrule.data.TensorDataset(chainrule.eye(3), chainrule.tensor([0, 1, 1]))
    >>> not can_compile() or CompiledScoring(chainrule.nn.Identity())(data, 3).confusion.tolist()
    [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    """

    def __init__(self, model: Module) -> None:
        if not can_compile():
            raise MissingDependencyError(
                "the engine 'compiled' needs llvmlite", cure=f"{INSTALL}, or take --engine tape"
            )
        self.model = model
        self._bytes = _Bytes()
        self.compiled = compile(self._judged, backend="native")

    def __call__(self, dataset: TensorDataset, classes: int) -> Score:
        """Score the network on all of a data set; it is left in the mode it was in."""
        inputs, targets = self._bytes.taken_from(dataset).tensors
        whole = len(dataset) - len(dataset) % _BLOCK
        rest = TensorDataset(inputs[whole:], targets[whole:], transform=dataset.transform)
        last = evaluate(self.model, rest, classes)
        total, confusion = last.loss * len(rest), last.confusion
        said: list[NDArray[np.int64]] = []
        training = self.model.training
        self.model.eval()
        with no_grad():
            for start in range(0, whole, _BLOCK):
                y = targets[start : start + _BLOCK]
                loss, answers = self.compiled(inputs[start : start + _BLOCK], y)
                total += loss.item()
                said.append(answers.numpy().copy())
                np.add.at(confusion, (y.numpy(), said[-1]), 1)
        self.model.train(training)
        count = max(1, len(dataset))
        accuracy = float(np.trace(confusion)) / count
        return Score(total / count, accuracy, confusion, np.concatenate([*said, last.answers]))

    def _judged(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(self._bytes.normalised(input))
        return cross_entropy(logits, target, reduction="sum"), logits.argmax(1)
