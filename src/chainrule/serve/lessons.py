"""Copies of the network that visitors teach: a step of SGD on one picture, and what it changed.

The run's own network is never changed. There are only so many copies; who comes back after many
others finds that theirs is gone.
"""

from __future__ import annotations

import copy
import math
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.autograd import no_grad
from chainrule.errors import ChainruleError, ConfigError
from chainrule.nn import Module
from chainrule.nn.functional import cross_entropy, softmax
from chainrule.ops.from_data import from_numpy
from chainrule.optim import SGD
from chainrule.serve.looking import normalised
from chainrule.tensor import Tensor

__all__ = ["ForgottenError", "Lesson", "Pupils"]

MOST = 16
"""Copies that are kept: of the largest network here, 80 MB."""


class ForgottenError(ChainruleError):
    """A copy that is asked for is not kept any more."""


@dataclass(frozen=True)
class Lesson:
    """What one training step did.

    Attributes:
        before, after: the probability of each class, for the picture that was taught.
        loss_before, loss_after: the cross-entropy, -ln p[label].
        moved: by layer, ‖Δw‖ / ‖w‖.
        lessons: how many this copy has had.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    loss_before: float
    loss_after: float
    moved: dict[str, float]
    lessons: int


class Pupils:
    """The copies, by the tokens that their visitors hold; the longest unused is forgotten first.

    >>> from chainrule.data import drawn_digits
    >>> from chainrule.train import build_model
    >>> pupils = Pupils(build_model("mlp").eval(), mean=0.13, std=0.31)
    >>> token, lesson = pupils.teach(None, drawn_digits(1)[0][0], label=3, rate=0.01)
    >>> lesson.loss_after < lesson.loss_before, lesson.lessons
    (True, 1)
    """

    def __init__(self, model: Module, mean: float, std: float, most: int = MOST) -> None:
        self._model, self._mean, self._std, self._most = model, mean, std, most
        self._taught: OrderedDict[str, tuple[Module, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._taught)

    def model(self, token: str | None) -> Module:
        """A visitor's copy; without a token the run's own network.

        Raises:
            ForgottenError: that copy is not kept any more.
        """
        return self._model if token is None else self._find(token)[0]

    def teach(
        self, token: str | None, picture: NDArray[np.uint8], label: int, rate: float
    ) -> tuple[str, Lesson]:
        """A step of SGD on one picture, for a copy or, without a token, for a new one.

        Dropout rests and batch norm keeps its statistics, as in use: of one picture there are none.

        Raises:
            ForgottenError: that copy is not kept any more.
            ConfigError: with this rate, numbers grow beyond all bounds; the copy is as before.
        """
        old, lessons = (self._model, 0) if token is None else self._find(token)
        pupil = copy.deepcopy(old)
        lesson = self._step(pupil, picture, label, rate, lessons + 1)
        token = token or secrets.token_urlsafe(12)
        self._taught[token] = (pupil, lessons + 1)
        self._taught.move_to_end(token)
        while len(self._taught) > self._most:
            self._taught.popitem(last=False)
        return token, lesson

    def forget(self, token: str) -> None:
        """Give a copy up, if it is still there."""
        self._taught.pop(token, None)

    def _find(self, token: str) -> tuple[Module, int]:
        try:
            self._taught.move_to_end(token)
        except KeyError:
            raise ForgottenError(
                "the network that you taught is not kept any more",
                cure="begin anew with the run's own network",
            ) from None
        return self._taught[token]

    def _step(
        self, pupil: Module, picture: NDArray[np.uint8], label: int, rate: float, lessons: int
    ) -> Lesson:
        x = normalised(picture, self._mean, self._std)
        target = from_numpy(np.array([label]))
        before, loss_before = _judged(pupil, x, target)
        weights = {name: p.detach().numpy().copy() for name, p in pupil.named_parameters()}
        optimizer = SGD(pupil.parameters(), lr=rate)
        optimizer.zero_grad()
        cross_entropy(pupil(x), target).backward()
        optimizer.step()
        after, loss_after = _judged(pupil, x, target)
        if not all(map(math.isfinite, (*after, loss_after))):
            raise ConfigError(
                f"a step with the rate {rate:g} makes the numbers grow beyond all bounds",
                cure="choose a smaller rate",
            )
        moved = dict(_moved(pupil, weights))
        return Lesson(before, after, loss_before, loss_after, moved, lessons)


def _judged(model: Module, x: Tensor, target: Tensor) -> tuple[tuple[float, ...], float]:
    with no_grad():
        logits = model(x)
        chances = softmax(logits, 1).numpy()[0]
        return tuple(map(float, chances)), cross_entropy(logits, target).item()


def _moved(model: Module, weights: dict[str, NDArray[np.float32]]) -> Iterator[tuple[str, float]]:
    for name, layer in model.named_children():
        own = [(p, weights[f"{name}.{each}"]) for each, p in layer.named_parameters()]
        if own:
            change = sum(float(np.square(p.detach().numpy() - old).sum()) for p, old in own)
            size = sum(float(np.square(old).sum()) for _, old in own)
            yield name, math.sqrt(change / size) if size else 0.0
