"""The data of a run: training, validation and test pictures, normalised alike; and where from."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule.data import (
    Compose,
    Normalize,
    TensorDataset,
    ToFloat,
    describe,
    drawn_digits,
    load,
    locate,
)
from chainrule.errors import ConfigError, DownloadError, StorageError
from chainrule.train.config import TrainConfig

if TYPE_CHECKING:
    from chainrule.data.transfer import Progress

__all__ = ["SIDE", "Normaliser", "Pictures", "Source", "find_source", "load_pictures", "load_test"]

SIDE = 28
"""Rows and columns of a picture."""

_DRAWN_TRAIN, _DRAWN_TEST = 60_000, 10_000


@dataclass(frozen=True)
class Source:
    """Where a run's data comes from.

    Attributes:
        name: the data set: what was asked for, or `drawn` where that is not to be had.
        text: for people: "MNIST, from /data/mnist".
        real: whether people wrote these, or our pen drew them.
        reason: why other data is taken than was asked for; empty if it is what was asked for.

    >>> Source("drawn", "drawn digits", real=False, reason="no MNIST was found here").real
    False
    """

    name: str
    text: str
    real: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Pictures:
    """The three parts, ready for a loader.

    Attributes:
        train, validation, test: pictures (N, 1, 28, 28), normalised as they are taken, and labels.
        classes: the labels' names.
        mean, std: of the training pictures in 0..1; what they are normalised by.
        digest: of all that was read: a run can only be resumed on the same data.

    >>> import chainrule
    >>> config = chainrule.train.TrainConfig.of("drawn", "mlp", limit=50, validation=10)
    >>> pictures = load_pictures(config)
    >>> pictures.classes[0], 0 < pictures.mean < pictures.std < 1
    ('0 - zero', True)
    """

    train: TensorDataset
    validation: TensorDataset
    test: TensorDataset
    classes: tuple[str, ...]
    mean: float
    std: float
    digest: str


def find_source(name: str, data_dir: str | None = None, progress: Progress | None = None) -> Source:
    """Find a data set, or download it; MNIST that is not to be had is replaced by drawn digits.

    They don't replace it where a folder was named: whoever names one means what is in it.

    Raises:
        ConfigError, DataError, DownloadError, StorageError: see `chainrule.data.locate`.

    >>> find_source("drawn").text
    'drawn digits'
    """
    if name == "drawn":
        return Source(name, "drawn digits", real=False)
    title = describe(name).title
    try:
        files = locate(name, data_dir, progress=progress)
    except (DownloadError, StorageError) as error:
        if name != "mnist" or data_dir is not None:
            raise
        reason = f"no {title} was found here, and it can't be downloaded: {error.problem}"
        return Source("drawn", "drawn digits", real=False, reason=reason)
    return Source(name, f"{title}, from {files.train_images.parent}")


def load_pictures(config: TrainConfig, data_dir: str | None = None) -> Pictures:
    """Read the data of a run, and split off the validation part.

    Raises:
        ConfigError: nothing is left to train on.
        DataError: a file is not what it should be.

    >>> import chainrule
    >>> config = chainrule.train.TrainConfig.of("drawn", "mlp", limit=50, validation=10)
    >>> pictures = load_pictures(config)
    >>> len(pictures.train), len(pictures.validation), pictures.train[0][0].shape
    (40, 10, (1, 28, 28))
    """
    images, labels, test_images, test_labels, classes = _arrays(config, data_dir)
    held = config.validation
    if held >= len(images):
        raise ConfigError(
            f"validation is {held}, of {len(images)} training samples none are left to train on",
            cure="give a smaller --validation, or a larger --limit",
        )
    order = np.random.default_rng([config.seed, 1]).permutation(len(images))
    kept = np.sort(order[held:])
    mean, std = _mean_and_std(images)
    transform = Normaliser(mean, std)

    def dataset(x: NDArray[np.uint8], y: NDArray[np.int64]) -> TensorDataset:
        return TensorDataset(x[:, None], y, transform=transform)

    return Pictures(
        dataset(images[kept], labels[kept]),
        dataset(images[order[:held]], labels[order[:held]]),
        dataset(test_images, test_labels),
        classes,
        mean,
        std,
        _digest(images, labels, test_images, test_labels),
    )


def load_test(
    name: str, data_dir: str | None, mean: float, std: float, limit: int | None = None
) -> tuple[TensorDataset, tuple[str, ...]]:
    """The test part of a data set, normalised as a network was trained, and the classes' names.

    >>> test, classes = load_test("drawn", None, mean=0.13, std=0.31, limit=20)
    >>> len(test), classes[:3]
    (20, ('0 - zero', '1 - one', '2 - two'))
    """
    if name == "drawn":
        images, labels = drawn_digits(min(limit or _DRAWN_TEST, _DRAWN_TEST), start=_DRAWN_TRAIN)
        classes = describe("mnist").classes
    else:
        found = load(name, data_dir)
        images, labels, classes = (
            found.test_images[:limit],
            found.test_labels[:limit],
            found.classes,
        )
    return TensorDataset(images[:, None], labels, transform=Normaliser(mean, std)), classes


class Normaliser(Compose):
    """Bytes to float32 with mean 0 and standard deviation 1: y = scale x + shift.

    Args:
        mean, std: of the bytes as numbers in 0..1.

    Attributes:
        scale, shift: the two numbers, in float64.

    >>> Normaliser(0.5, 0.25)(np.array([[0, 255]], np.uint8)).tolist()
    [[-2.0, 2.0]]
    """

    def __init__(self, mean: float, std: float) -> None:
        super().__init__([ToFloat(), Normalize(mean, std)])
        self.scale, self.shift = 1 / (255 * std), -mean / std


def _arrays(
    config: TrainConfig, data_dir: str | None
) -> tuple[
    NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]
]:
    limit = config.limit
    if config.dataset == "drawn":  # as many as are needed, and the test's from further on
        train = drawn_digits(min(limit or _DRAWN_TRAIN, _DRAWN_TRAIN))
        test = drawn_digits(min(limit or _DRAWN_TEST, _DRAWN_TEST), start=_DRAWN_TRAIN)
        return *train, *test, describe("mnist").classes
    found = load(config.dataset, data_dir)
    train = found.train_images[:limit], found.train_labels[:limit]
    return *train, found.test_images[:limit], found.test_labels[:limit], found.classes


def _mean_and_std(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Of the pixels as numbers in 0..1, from sums of whole numbers: exact, and without a copy.

    Two calls, that let go of the interpreter's lock: another thread may be compiling meanwhile.
    """
    pixels = images.reshape(-1)
    mean = int(pixels.sum(dtype=np.int64)) / pixels.size
    squares = int(np.einsum("i,i->", pixels, pixels, dtype=np.int64, casting="safe"))
    std = math.sqrt(squares / pixels.size - mean**2)
    return round(mean / 255, 6), max(round(std / 255, 6), 1e-6)


def _digest(*arrays: NDArray[np.uint8] | NDArray[np.int64]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
