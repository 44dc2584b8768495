"""The networks that the command line trains, each a row of layers, so that every engine takes it.

Their parameters have the names that the same networks have in PyTorch's tutorials and examples
(`conv1.weight`, `fc1.bias`): weights go both ways.
"""

from __future__ import annotations

from chainrule.errors import ConfigError
from chainrule.nn import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)

__all__ = ["build_model"]


def build_model(name: str, classes: int = 10) -> Sequential:
    """A network for pictures (B, 1, 28, 28), giving logits (B, classes); drawn anew each time.

    Args:
        name: `mlp`: 784-128-classes, ReLU. `lenet`: two 5x5 convolutions of 6 and 16 channels with
            max pooling, then 120-84-classes (LeCun et al. 1998; ReLU and max pooling as it is
            taught today). `cnn`: 3x3 convolutions of 32 and 64 channels, max pooling, dropout,
            9216-128-classes: PyTorch's MNIST example. `small`: convolutions of 6 (5x5, stride 2),
            12 and 24 channels (3x3) with batch norm, max pooling, 384-classes: 99 % of MNIST for
            the fewest operations.
        classes: how many there are.

    Raises:
        ConfigError: there is no such network.

    >>> sum(p.numel() for p in build_model("mlp").parameters())
    101770
    """
    makers = {"mlp": _mlp, "lenet": _lenet, "cnn": _cnn, "small": _small}
    if name not in makers:
        raise ConfigError(
            f"there is no model {name!r}", cure=f"choose one of {', '.join(makers)}", model=name
        )
    return Sequential(makers[name](classes))


def _mlp(classes: int) -> dict[str, Module]:
    return {
        "flatten": Flatten(),
        "fc1": Linear(784, 128),
        "relu": ReLU(),
        "fc2": Linear(128, classes),
    }


def _lenet(classes: int) -> dict[str, Module]:
    return {
        "conv1": Conv2d(1, 6, 5, padding=2),  # the original's pictures were 32 x 32
        "relu1": ReLU(),
        "pool1": MaxPool2d(2),
        "conv2": Conv2d(6, 16, 5),
        "relu2": ReLU(),
        "pool2": MaxPool2d(2),
        "flatten": Flatten(),
        "fc1": Linear(400, 120),
        "relu3": ReLU(),
        "fc2": Linear(120, 84),
        "relu4": ReLU(),
        "fc3": Linear(84, classes),
    }


def _cnn(classes: int) -> dict[str, Module]:
    return {
        "conv1": Conv2d(1, 32, 3),
        "relu1": ReLU(),
        "conv2": Conv2d(32, 64, 3),
        "relu2": ReLU(),
        "pool": MaxPool2d(2),
        "dropout1": Dropout(0.25),
        "flatten": Flatten(),
        "fc1": Linear(9216, 128),
        "relu3": ReLU(),
        "dropout2": Dropout(0.5),
        "fc2": Linear(128, classes),
    }


def _small(classes: int) -> dict[str, Module]:
    return {
        "conv1": Conv2d(1, 6, 5, stride=2, padding=2),
        "norm1": BatchNorm2d(6),
        "relu1": ReLU(),
        "conv2": Conv2d(6, 12, 3),
        "norm2": BatchNorm2d(12),
        "relu2": ReLU(),
        "pool": MaxPool2d(2),
        "conv3": Conv2d(12, 24, 3),
        "norm3": BatchNorm2d(24),
        "relu3": ReLU(),
        "flatten": Flatten(),
        "fc": Linear(384, classes),
    }
