"""The named data sets as classes, as torchvision has them, and as plain arrays.

One difference from torchvision: pictures come as float32 `[1, 28, 28]` in 0..1 by default, as its
`ToTensor` makes them, and a `transform` is batch-wise (see `transforms.py`), so that loaders take
the fast path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from chainrule.data.catalog import EMNIST_SPLITS, describe
from chainrule.data.dataset import TensorDataset
from chainrule.data.drawn import drawn_digits
from chainrule.data.fetch import locate
from chainrule.data.idx import read_idx_pair
from chainrule.data.transforms import ToFloat, Transform
from chainrule.errors import ConfigError, DataError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from chainrule.data.catalog import DataSetInfo
    from chainrule.data.fetch import DataFiles
    from chainrule.data.transfer import Progress

    StrPath = str | os.PathLike[str]

__all__ = ["EMNIST", "KMNIST", "MNIST", "Arrays", "DrawnDigits", "FashionMNIST", "load"]

_DRAWN_COUNTS = (60_000, 10_000)
_TEST_SEED = 0x7E57  # the drawn test digits come from another sequence than the training digits


class Arrays(NamedTuple):
    """A data set in memory: uint8 images [n, 28, 28], int64 labels [n], the labels' names.

    >>> import chainrule
    >>> train, test = chainrule.data.drawn_digits(3), chainrule.data.drawn_digits(2, seed=1)
    >>> digits = chainrule.data.Arrays(*train, *test, classes=tuple("0123456789"))
    >>> digits.train_images.shape, digits.test_labels.shape
    ((3, 28, 28), (2,))
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]


def load(
    name: str,
    data_dir: StrPath | None = None,
    *,
    cache_dir: StrPath | None = None,
    allow_download: bool = True,
    progress: Progress | None = None,
    seed: int = 0,
) -> Arrays:
    """Both parts of a data set by name: a named set, or `drawn` for the drawn digits.

    Args:
        name: `mnist`, `fashion-mnist`, `kmnist`, `emnist-SPLIT`, or `drawn`.
        data_dir: where to look first; see `chainrule.data.locate`.
        cache_dir: where downloads go.
        allow_download: whether the network may be used.
        progress: called with (file name, bytes so far, bytes in all).
        seed: which sequence of drawn digits.

    Raises:
        ConfigError: there is no such set.
        DataError: a file is not what it should be, or nothing was found.
        DownloadError, StorageError: see `locate`.

    >>> import chainrule
    >>> chainrule.data.load("mnits")
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: there is no ...
    """
    if name.lower() == "drawn":
        train = drawn_digits(_DRAWN_COUNTS[0], seed)
        test = drawn_digits(_DRAWN_COUNTS[1], seed + _TEST_SEED)
        return Arrays(*train, *test, describe("mnist").classes)
    info = describe(name)
    files = locate(
        name, data_dir, cache_dir=cache_dir, allow_download=allow_download, progress=progress
    )
    return Arrays(*_part(info, files, train=True), *_part(info, files, train=False), info.classes)


def _part(
    info: DataSetInfo, files: DataFiles, *, train: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pair = (
        (files.train_images, files.train_labels)
        if train
        else (
            files.test_images,
            files.test_labels,
        )
    )
    images, labels = read_idx_pair(*pair, classes=len(info.classes))
    if images.shape[1:] != (28, 28) or len(images) == 0:
        raise DataError(
            f"{pair[0]}: expected at least one picture of 28 x 28, found sizes {images.shape}",
            path=str(pair[0]),
        )
    if info.transposed:
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return images, labels.astype(np.int64)


class _Pictures(TensorDataset):
    """Pictures and labels in memory; `data` and `targets` are the raw arrays."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        classes: tuple[str, ...],
        transform: Transform | None,
    ) -> None:
        super().__init__(images[:, None], labels, transform=transform or ToFloat())
        self.data = images
        self.targets = labels
        self.classes = list(classes)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pictures, {len(self.classes)} classes)"


class MNIST(_Pictures):
    """Handwritten digits: 60,000 to train on, 10,000 to test with. (LeCun, Cortes, Burges, 1998)

    Args:
        root: a folder that holds `mnist/`; without it CHAINRULE_DATA and the cache are searched.
        train: the training part or the test part.
        transform: a batch-wise transform of uint8 pictures [N, 1, 28, 28]; the default gives
            float32 in 0..1.
        download: whether to fetch what is not found (torchvision's default is False).

    Attributes:
        data: uint8 [n, 28, 28]. targets: int64 [n]. classes: the labels' names.

    Raises:
        DataError: a file is not what it should be, or nothing was found.
        DownloadError, StorageError: see `locate`.

    >>> import chainrule
    >>> chainrule.data.MNIST("no such folder", download=False)
    Traceback (most recent call last):
        ...
    chainrule.errors.DataError: no such folder: expected a folder ...
    """

    name: ClassVar[str] = "mnist"

    def __init__(
        self,
        root: StrPath | None = None,
        train: bool = True,
        transform: Transform | None = None,
        download: bool = True,
    ) -> None:
        self._load(self.name, root, train, transform, download)

    def _load(
        self,
        name: str,
        root: StrPath | None,
        train: bool,
        transform: Transform | None,
        download: bool,
    ) -> None:
        info = describe(name)
        files = locate(name, root, allow_download=download)
        _Pictures.__init__(self, *_part(info, files, train=train), info.classes, transform)
        self.train = train


class FashionMNIST(MNIST):
    """Clothes in ten classes, shaped as MNIST. (Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747)

    >>> import chainrule
    >>> chainrule.data.describe("fashion-mnist").classes[9]
    'Ankle boot'
    >>> chainrule.data.FashionMNIST("no such folder", download=False)
    Traceback (most recent call last):
        ...
    chainrule.errors.DataError: no such folder: expected a folder ...
    """

    name: ClassVar[str] = "fashion-mnist"


class KMNIST(MNIST):
    """Cursive Japanese characters in ten classes. (Clanuwat et al., 2018, arXiv:1812.01718)

    >>> import chainrule
    >>> chainrule.data.describe("kmnist").classes[0]
    'o'
    >>> chainrule.data.KMNIST("no such folder", download=False)
    Traceback (most recent call last):
        ...
    chainrule.errors.DataError: no such folder: expected a folder ...
    """

    name: ClassVar[str] = "kmnist"


class EMNIST(MNIST):
    """Handwritten letters and digits. (Cohen, Afshar, Tapson, van Schaik, 2017, arXiv:1702.05373)

    The files store pictures transposed; here they stand upright, unlike in torchvision.

    Args:
        root: a folder that holds `emnist/`.
        split: balanced, letters, digits, mnist, byclass or bymerge; labels of letters start at 1.
        train: the training part or the test part.
        transform: as for `MNIST`.
        download: whether to fetch what is not found (0.56 GB for all splits together).

    Raises:
        ConfigError: there is no such split. For other errors see `MNIST`.

    >>> import chainrule
    >>> chainrule.data.EMNIST(split="digit")
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: EMNIST has no split ...
    """

    def __init__(
        self,
        root: StrPath | None = None,
        split: str = "balanced",
        train: bool = True,
        transform: Transform | None = None,
        download: bool = True,
    ) -> None:
        if split not in EMNIST_SPLITS:
            raise ConfigError(
                f"EMNIST has no split {split!r}", cure=f"choose one of {', '.join(EMNIST_SPLITS)}"
            )
        self.split = split
        self._load(f"emnist-{split}", root, train, transform, download)


class DrawnDigits(_Pictures):
    """Digits drawn from stroke skeletons: no file, no download, as many as are asked for.

    Args:
        count: how many to draw.
        seed: which sequence; the same seed gives the same pictures.
        transform: as for `MNIST`.

    >>> digits = DrawnDigits(20, seed=1)
    >>> digits[0][0].shape
    (1, 28, 28)
    """

    def __init__(self, count: int = 60_000, seed: int = 0, transform: Transform | None = None):
        images, labels = drawn_digits(count, seed)
        super().__init__(images, labels, describe("mnist").classes, transform)

    def __repr__(self) -> str:
        return f"DrawnDigits({len(self)} pictures)"
