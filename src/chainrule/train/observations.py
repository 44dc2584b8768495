"""`observations.jsonl`: how a run looks inside, now and then, and what it spends its time on.

Beside the metrics, because who observes must not disturb: gradients are those of a twin, a copy of
the network with the weights of the moment, on pictures that stay the same. The run's own network is
only read, and nothing draws from its random numbers. So every engine, the compiled one too, gives
the same bits with and without being observed.
"""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import TensorDataset
from chainrule.nn import Dropout, Module, ReLU, Sequential
from chainrule.nn.functional import cross_entropy
from chainrule.ops.from_data import from_numpy
from chainrule.tensor import Tensor

__all__ = ["OBSERVED", "Observer", "Phases"]

OBSERVED = 64
"""Pictures that an observation looks at: the first ones of the training part."""

_TIMES = 30
"""Observations of a run, if that many don't take long; the ends of epochs come on top."""

_SHARE, _ALLOWED = 0.02, 0.05
"""How much of the time observations may take that are not at an epoch's end; and seconds on top."""

Weights = dict[str, NDArray[Any]]


class Phases:
    """What the time goes into: each moment belongs to the phase that ends after it.

    >>> phases = Phases()
    >>> phases.lap("data")
    >>> sorted(phases.taken()), phases.taken()
    (['data'], {})
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._mark = time.perf_counter()

    def start(self) -> None:
        """Forget the time since the last lap."""
        self._mark = time.perf_counter()

    def lap(self, phase: str) -> None:
        """The time since the last lap went into this phase."""
        now = time.perf_counter()
        self._seconds[phase] = self._seconds.get(phase, 0.0) + now - self._mark
        self._mark = now

    def taken(self) -> dict[str, float]:
        """The seconds by phase since this was last asked."""
        taken, self._seconds = self._seconds, {}
        return {phase: round(seconds, 6) for phase, seconds in taken.items()}


class Observer:
    """Looks at a network in training: norms of weights, gradients and moves, and dead units.

    The gradient is that of the mean cross entropy of the first `OBSERVED` training pictures, with
    dropout left out and batch norm as in training. A unit (of a convolution: a channel) is dead if
    its ReLU gives 0 for each of them, wherever in the picture.

    Args:
        model: the network.
        pictures: the training part.
        steps: of the whole run.

    >>> import chainrule
    >>> from chainrule import nn
    >>> images, labels = chainrule.data.drawn_digits(8)
    >>> data = chainrule.data.TensorDataset(images[:, None] / np.float32(255), labels)
    >>> model = chainrule.train.build_model("mlp")
    >>> observer = Observer(model, data, steps=100)
    >>> before = observer.weights()
    >>> with chainrule.no_grad():
    ...     _ = model[1].bias.sub_(100)  # now no unit gives anything, whatever the picture
    >>> seen = observer.observe(before)
    >>> seen["dead"], seen["parameters"]["fc1.weight"]["gradient"]
    ({'relu': [128, 128]}, 0.0)
    """

    def __init__(self, model: Sequential, pictures: TensorDataset, steps: int) -> None:
        self._model = model
        self._every = max(1, steps // _TIMES)
        self._pictures = pictures
        self._batch: tuple[Tensor, Tensor] | None = None
        self._twin: Sequential | None = None
        self._begin = time.perf_counter()
        self._spent = 0.0

    def is_due(self, step: int, last: bool) -> bool:
        """Whether to observe this step.

        Args:
            step: its number, from 1.
            last: whether it is an epoch's last one.
        """
        if last or step == 1:
            return True
        if step % self._every:
            return False
        return self._spent <= _ALLOWED + _SHARE * (time.perf_counter() - self._begin)

    def weights(self) -> Weights:
        """A copy of the parameters as they are."""
        begin = time.perf_counter()
        copied = {name: each.copy() for name, each in self._parameters()}
        self._spent += time.perf_counter() - begin
        return copied

    def observe(self, before: Weights) -> dict[str, Any]:
        """What is to be seen of the network, now that it has moved away from the weights before.

        Returns:
            `parameters`: by name the Euclidean norms of its `weight`, its `gradient` and the
            `update` by the last step; None where a norm is no finite number. `dead`: by layer how
            many units are dead, and how many there are.
        """
        begin = time.perf_counter()
        gradients, dead = self._gradients()
        parameters: dict[str, Any] = {}
        for name, value in self._parameters():
            parameters[name] = {
                "weight": _norm(value),
                "gradient": _norm(gradients[name]),
                "update": _norm(value - before[name]),
            }
        self._spent += time.perf_counter() - begin
        return {"parameters": parameters, "dead": dead}

    def _parameters(self) -> list[tuple[str, NDArray[Any]]]:
        """The run's own parameters, to be read only."""
        return [(name, p.detach().numpy()) for name, p in self._model.named_parameters()]

    def _gradients(self) -> tuple[Weights, dict[str, list[int]]]:
        """By the twin's parameters' names, and the dead units by the layers'."""
        twin, (output, target) = self._follow(), self._sample()
        dead: dict[str, list[int]] = {}
        for name, layer in twin.named_children():
            output = layer(output)
            if isinstance(layer, ReLU):
                units = np.moveaxis(output.detach().numpy(), 1, 0).reshape(output.shape[1], -1)
                dead[name] = [int((units.max(1) <= 0).sum()), len(units)]
        cross_entropy(output, target).backward()
        gradients: Weights = {}
        for name, each in twin.named_parameters():
            if each.grad is not None:
                gradients[name] = each.grad.numpy()
            each.grad = None
        return gradients, dead

    def _follow(self) -> Sequential:
        """The twin, with the weights of the moment."""
        if self._twin is None:
            self._twin = copy.deepcopy(self._model)
        self._twin.load_state_dict(self._model.state_dict())
        modules: list[Module] = list(self._twin.modules())
        for module in modules:  # dropout would draw
            module.training = not isinstance(module, Dropout)
        return self._twin

    def _sample(self) -> tuple[Tensor, Tensor]:
        if self._batch is None:
            count = min(OBSERVED, len(self._pictures))
            images, labels = self._pictures.gather(np.arange(count))
            self._batch = from_numpy(images), from_numpy(labels)
        return self._batch


def _norm(values: NDArray[Any]) -> float | None:
    """To six digits; None if it is not finite, which JSON has no word for."""
    norm = math.sqrt(float(np.vdot(values, values)))
    return float(f"{norm:.6g}") if math.isfinite(norm) else None
