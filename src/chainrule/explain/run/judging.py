"""What a trained network says of the test part: where it errs, what its first layer looks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.autograd import no_grad
from chainrule.data import TensorDataset
from chainrule.nn import Conv2d, Linear, Module, ReLU
from chainrule.nn.functional import softmax
from chainrule.ops.from_data import from_numpy
from chainrule.tensor import Tensor
from chainrule.train.engines import build_scoring
from chainrule.train.evaluate import Score

__all__ = ["FirstLayer", "Judgement", "Mistake", "judge"]

SHOWN = 20
"""Mistakes that are shown."""

ASKED = 1000
"""The most mistakes whose confidence is asked for: a network that knows nothing makes thousands."""

UNITS, MAPS, PICTURES = 32, 16, 3
"""Units whose weights are shown; channels and pictures whose activations are."""

_BATCH = 250

Array = NDArray[Any]


@dataclass(frozen=True)
class Mistake:
    """A test picture that was taken for something else.

    Attributes:
        index: its place in the test part.
        image: its pixels, bytes.
        true, said: the classes.
        confidence: the probability that the network gave to the wrong class, 0..1.
    """

    index: int
    image: NDArray[np.uint8]
    true: int
    said: int
    confidence: float


@dataclass(frozen=True)
class FirstLayer:
    """The weights and activations of the first layer that has any.

    Attributes:
        name: its name in the network.
        after: the layer whose output the activations are: the ReLU that follows, if one does.
        kind: `Linear` or `Conv2d`.
        units: how many it has.
        shown: which of them the weights are of.
        weights: (len(shown), rows, columns).
        images: the test pictures that it was shown, bytes.
        labels: their classes.
        activations: of each picture (maps, rows, columns); of a linear layer one map, its units row
            by row.
    """

    name: str
    after: str
    kind: str
    units: int
    shown: tuple[int, ...]
    weights: Array
    images: NDArray[np.uint8]
    labels: tuple[int, ...]
    activations: tuple[Array, ...]


@dataclass(frozen=True)
class Judgement:
    """How a network does on the test part.

    Attributes:
        classes: the classes' names.
        source: where the pictures came from, for people.
        score: loss, accuracy, confusion matrix, answers.
        mistakes: the most confident ones, the most confident first.
        wrong: how many mistakes there are.
        asked: of how many of these the confidence was asked for.
        first: its first layer; None, if that is none that can be shown as pictures.
    """

    classes: tuple[str, ...]
    source: str
    score: Score
    mistakes: tuple[Mistake, ...]
    wrong: int
    asked: int
    first: FirstLayer | None


def judge(
    model: Module,
    test: TensorDataset,
    classes: tuple[str, ...],
    *,
    source: str = "",
    score: Score | None = None,
    engine: str = "tape",
) -> Judgement:
    """Ask a network about the test part; it is left in the mode it was in.

    Args:
        model: the network.
        test: pictures (N, 1, rows, columns), bytes that the data set's transform normalises.
        classes: the classes' names.
        source: where the pictures came from, for people.
        score: what an evaluation found, if there was one.
        engine: by which to evaluate, if not.

    >>> from chainrule.train import build_model, load_test
    >>> test, classes = load_test("drawn", None, mean=0.13, std=0.31, limit=40)
    >>> found = judge(build_model("lenet"), test, classes)
    >>> found.wrong == 40 - int(found.score.confusion.trace()), found.first.weights.shape
    (True, (6, 5, 5))
    """
    if score is None:
        score = build_scoring(engine, model)(test, len(classes))
    labels = test.tensors[1].numpy()
    wrong = np.flatnonzero(score.answers != labels)
    asked = wrong[:ASKED]
    training = model.training
    model.eval()
    try:
        with no_grad():
            mistakes = _mistakes(model, test, score.answers, asked)
            first = _first_layer(model, test, labels)
    finally:
        model.train(training)
    return Judgement(classes, source, score, mistakes, len(wrong), len(asked), first)


def _mistakes(
    model: Module, test: TensorDataset, answers: NDArray[np.int64], asked: NDArray[np.int64]
) -> tuple[Mistake, ...]:
    """The most confident of the mistakes asked for."""
    confidences = np.zeros(len(asked))
    for start in range(0, len(asked), _BATCH):
        rows = asked[start : start + _BATCH]
        given = softmax(model(from_numpy(test.gather(rows)[0])), 1).numpy()
        confidences[start : start + _BATCH] = given[np.arange(len(rows)), answers[rows]]
    images, labels = (each.numpy() for each in test.tensors)
    order = np.argsort(-confidences, kind="stable")[:SHOWN]
    return tuple(
        Mistake(
            int(asked[k]),
            images[asked[k], 0].copy(),
            int(labels[asked[k]]),
            int(answers[asked[k]]),
            float(confidences[k]),
        )
        for k in order
    )


def _first_layer(
    model: Module, test: TensorDataset, labels: NDArray[np.int64]
) -> FirstLayer | None:
    """The first convolution or linear layer of a row of layers, on a picture of each class."""
    children = list(model.named_children())
    kinds = [isinstance(layer, Conv2d | Linear) for _, layer in children]
    if True not in kinds or not len(test):
        return None
    place = kinds.index(True)
    name, layer = children[place]
    images = test.tensors[0].numpy()
    weights, shown = _weights(layer, images.shape[-2:])
    if weights is None:
        return None
    followed = place + 1 < len(children) and isinstance(children[place + 1][1], ReLU)
    last = place + followed
    one_each = np.unique(labels, return_index=True)[1][
        : 10 if isinstance(layer, Linear) else PICTURES
    ]
    x = from_numpy(test.gather(one_each)[0])
    for _, each in children[: last + 1]:
        x = each(x)
    return FirstLayer(
        name,
        children[last][0],
        type(layer).__name__,
        x.shape[1],
        shown,
        weights,
        images[one_each, 0],
        tuple(int(labels[index]) for index in one_each),
        tuple(_maps(x, index) for index in range(len(one_each))),
    )


def _weights(layer: Module, side: tuple[int, ...]) -> tuple[Array | None, tuple[int, ...]]:
    """The weights of each unit as a picture, and which units: the largest, if not all."""
    weight: Any = layer.get_parameter("weight")
    values = weight.detach().numpy()
    if isinstance(layer, Linear):
        if values.shape[1] != side[0] * side[1]:
            return None, ()
        pictures = values.reshape(-1, *side)
    else:
        pictures = values[:, 0]
    norms = np.linalg.norm(pictures.reshape(len(pictures), -1), axis=1)
    shown = np.sort(np.argsort(-norms, kind="stable")[:UNITS])
    return pictures[shown].copy(), tuple(int(unit) for unit in shown)


def _maps(output: Tensor, index: int) -> Array:
    """A picture's activations as maps; of a linear layer, its units in rows."""
    values = output.numpy()[index]
    if values.ndim == 3:
        return values[:MAPS].copy()
    columns = next(c for c in range(int(len(values) ** 0.5) or 1, 0, -1) if len(values) % c == 0)
    return values.reshape(1, columns, -1).copy()
