"""How well a network does on a data set, and what it says of single pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.autograd import no_grad
from chainrule.data import DataLoader, TensorDataset
from chainrule.nn import Module
from chainrule.nn.functional import cross_entropy, softmax
from chainrule.ops.from_data import from_numpy
from chainrule.train.pictures import Normaliser

__all__ = ["Score", "evaluate", "probabilities"]

_BATCH = 500


@dataclass(frozen=True)
class Score:
    """The result of an evaluation.

    Attributes:
        loss: the mean cross entropy.
        accuracy: the part that was right, 0..1.
        confusion: how often (true class, predicted class) came.
        answers: the class predicted for each sample, in their order.

    >>> Score(0.1, 0.5, np.eye(2, dtype=np.int64), np.array([0, 1])).accuracy
    0.5
    """

    loss: float
    accuracy: float
    confusion: NDArray[np.int64]
    answers: NDArray[np.int64]


def evaluate(model: Module, dataset: TensorDataset, classes: int) -> Score:
    """Score a network on all of a data set; it is left in the mode it was in.

    >>> import chainrule
    >>> from chainrule import data, nn
    >>> x, y = chainrule.tensor([[2.0, 0.0], [3.0, 0.0]]), chainrule.tensor([0, 1])
    >>> score = evaluate(nn.Identity(), data.TensorDataset(x, y), classes=2)
    >>> score.accuracy, score.confusion.tolist()
    (0.5, [[1, 0], [1, 0]])
    """
    confusion = np.zeros((classes, classes), np.int64)
    total, answers = 0.0, list[NDArray[np.int64]]()
    training = model.training
    model.eval()
    with no_grad():
        for x, y in DataLoader(dataset, batch_size=_BATCH):
            logits = model(x)
            total += cross_entropy(logits, y, reduction="sum").item()
            answers.append(logits.numpy().argmax(1))
            np.add.at(confusion, (y.numpy(), answers[-1]), 1)
    model.train(training)
    count = max(1, len(dataset))
    said = np.concatenate(answers) if answers else np.zeros(0, np.int64)
    return Score(total / count, float(np.trace(confusion)) / count, confusion, said)


def probabilities(
    model: Module, images: NDArray[np.uint8], mean: float, std: float
) -> NDArray[Any]:
    """The probability of each class for pictures [N, 28, 28].

    >>> import chainrule
    >>> images, _ = chainrule.data.drawn_digits(3)
    >>> p = probabilities(chainrule.train.build_model("mlp"), images, mean=0.13, std=0.31)
    >>> p.shape, np.allclose(p.sum(1), 1)
    ((3, 10), True)
    """
    x = Normaliser(mean, std)(images[:, None])
    model.eval()
    with no_grad():
        return softmax(model(from_numpy(x)), 1).numpy()
