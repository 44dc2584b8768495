"""What a network makes of a picture: probabilities, every layer's output, and why.

>>> from chainrule.data import drawn_digits
>>> from chainrule.train import build_model
>>> picture = drawn_digits(1)[0][0]
>>> found = look(build_model("lenet"), picture, mean=0.13, std=0.31)
>>> [layer.name for layer in found.layers][:3], found.layers[0].shape
(['conv1', 'relu1', 'pool1'], (6, 28, 28))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.autograd import grad
from chainrule.explain.summary import Thumbnail
from chainrule.explain.thumbnails import signed
from chainrule.nn import Dropout, Flatten, Module
from chainrule.nn.functional import log_softmax
from chainrule.ops.from_data import from_numpy
from chainrule.tensor import Tensor
from chainrule.train.pictures import Normaliser

__all__ = ["LayerView", "Look", "look", "normalised"]

MAPS = 16
"""The most maps of a layer that are shown."""

COLUMNS = 8
"""So many maps stand in a row."""

Array = NDArray[Any]


@dataclass(frozen=True)
class LayerView:
    """A layer's output as a picture.

    Attributes:
        name: what the network calls the layer.
        kind: its class.
        shape: of the output, without the batch.
        shown: how many of its maps are in the picture; of a vector all numbers are.
        picture: the maps side by side, green where positive, purple where negative.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    shown: int
    picture: Thumbnail


@dataclass(frozen=True)
class Look:
    """What a network makes of one picture.

    Attributes:
        probabilities: of each class.
        answer: the most probable one.
        push: ∂ ln p[answer] / ∂ ink for each pixel, ink being 0..1: (28, 28).
        layers: what each layer gave, but for those that change nothing here.
    """

    probabilities: tuple[float, ...]
    answer: int
    push: Array
    layers: tuple[LayerView, ...]


def normalised(picture: NDArray[np.uint8], mean: float, std: float) -> Tensor:
    """A picture [28, 28] as the networks take it: (1, 1, 28, 28)."""
    return from_numpy(Normaliser(mean, std)(picture[None, None]))


def look(model: Module, picture: NDArray[np.uint8], mean: float, std: float) -> Look:
    """Ask a row of layers about a picture (28, 28), and the tape why it said that.

    Args:
        model: layers one after the other, in eval mode: the same picture gets the same answer.
        picture: bright ink on black.
        mean, std: those of the ink that the network was trained with.
    """
    x = normalised(picture, mean, std).requires_grad_()
    y, layers = x, list[LayerView]()
    for name, layer in model.named_children():
        y = layer(y)
        if not isinstance(layer, Flatten | Dropout):
            layers.append(_view(name, layer, y.detach().numpy()[0]))
    log_p = log_softmax(y, 1)
    answer = int(log_p.detach().numpy()[0].argmax())
    (x_bar,) = grad(log_p[0, answer], [x])
    # The input is (ink - mean) / std, so a change of the ink counts 1/std.
    push = x_bar.numpy()[0, 0] / std
    chances = np.exp(log_p.detach().numpy()[0].astype(np.float64))
    return Look(tuple(map(float, chances)), answer, push, tuple(layers))


def _view(name: str, layer: Module, output: Array) -> LayerView:
    maps = output[:MAPS] if output.ndim == 3 else _folded(output)
    scale = float(np.abs(maps).max(initial=0.0))
    shown = len(maps) if output.ndim == 3 else len(output)
    sheet = signed(_sheet(maps), scale)
    return LayerView(name, type(layer).__name__, output.shape, shown, sheet)


def _folded(vector: Array) -> Array:
    """A vector as one map, in as few rows as keep it readable."""
    length = len(vector)
    most = round((length / 4) ** 0.5) if length > 2 * COLUMNS else 1
    rows = next(r for r in range(most, 0, -1) if length % r == 0)
    return vector.reshape(1, rows, -1)


def _sheet(maps: Array) -> Array:
    """Maps (N, rows, columns) side by side, a pixel of nothing between them."""
    count, height, width = maps.shape
    across = min(count, COLUMNS)
    down = -(-count // across)
    sheet = np.zeros((down * (height + 1) - 1, across * (width + 1) - 1), maps.dtype)
    for index, each in enumerate(maps):
        row, column = divmod(index, across)
        top, left = row * (height + 1), column * (width + 1)
        sheet[top : top + height, left : left + width] = each
    return sheet
