"""What the named data sets are: files, sizes, digests and where their publishers keep them.

Sizes and digests are the publishers' own; a download that differs in one byte is refused. Every
address is https. EMNIST is published as one archive that holds all its splits.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

from chainrule.errors import ConfigError

__all__ = ["CATALOG", "EMNIST_SPLITS", "DataSetInfo", "RemoteFile", "describe"]


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, exact size in bytes, digests, and the mirrors in order.

    >>> describe("kmnist").published[0].name, describe("kmnist").published[0].size
    ('train-images-idx3-ubyte.gz', 18165135)
    """

    name: str
    size: int
    md5: str
    urls: tuple[str, ...]
    sha256: str = ""


@dataclass(frozen=True)
class DataSetInfo:
    """One named data set of 28 x 28 pictures.

    Args:
        name: the name users type, which is also the folder's.
        title: the name as its authors write it.
        classes: the name of each label.
        files: the IDX files without `.gz`: train images, train labels, test images, test labels.
        published: what is downloaded: those files, or one archive that holds them.
        counts: the number of train and of test samples.
        transposed: the pictures are stored with rows and columns swapped.
        licence: terms of use.
        source: who published it.

    >>> info = describe("emnist-letters")
    >>> info.folder, info.counts, info.transposed
    ('emnist', (124800, 20800), True)
    """

    name: str
    title: str
    classes: tuple[str, ...]
    files: tuple[str, str, str, str]
    published: tuple[RemoteFile, ...]
    counts: tuple[int, int]
    licence: str
    source: str
    transposed: bool = False

    @property
    def folder(self) -> str:
        """The folder below the data directory; all EMNIST splits share one."""
        return "emnist" if self.name.startswith("emnist") else self.name

    @property
    def archived(self) -> bool:
        """Whether the files come inside one zip archive."""
        return len(self.published) == 1


_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _published(
    mirrors: tuple[str, ...], sums: tuple[tuple[int, str], ...], sha256: tuple[str, ...] = ("",) * 4
) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(f"{name}.gz", size, md5, tuple(f"{m}{name}.gz" for m in mirrors), sha)
        for name, (size, md5), sha in zip(_FILES, sums, sha256, strict=True)
    )


_DIGIT_NAMES = (
    "0 - zero",
    "1 - one",
    "2 - two",
    "3 - three",
    "4 - four",
    "5 - five",
    "6 - six",
    "7 - seven",
    "8 - eight",
    "9 - nine",
)

_MNIST = DataSetInfo(
    name="mnist",
    title="MNIST",
    classes=_DIGIT_NAMES,
    files=_FILES,
    published=_published(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            (9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            (28881, "d53e105ee54ea40749a09fcbcd1e9432"),
            (1648877, "9fb629c4189551a2d022fa330f9573f3"),
            (4542, "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    ),
    counts=(60_000, 10_000),
    licence="CC BY-SA 3.0",
    source="Yann LeCun, Corinna Cortes, Christopher Burges",
)

_FASHION = DataSetInfo(
    name="fashion-mnist",
    title="Fashion-MNIST",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    files=_FILES,
    published=_published(
        (
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        (
            (26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            (29515, "25c81989df183df01b3e8a0aad5dffbe"),
            (4422102, "bef4ecab320f06d8554ea6380940ec79"),
            (5148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    ),
    counts=(60_000, 10_000),
    licence="MIT",
    source="Zalando Research",
)

_KMNIST = DataSetInfo(
    name="kmnist",
    title="Kuzushiji-MNIST",
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    files=_FILES,
    published=_published(
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),  # its publisher is its only mirror
        (
            (18165135, "bdb82020997e1d708af4cf47b453dcf7"),
            (29497, "e144d726b3acfaa3e44228e80efcd344"),
            (3041136, "5c965bf0a639b31b8f53240b1b52f4d7"),
            (5120, "7320c461ea6c1c855c0b718fb2a4b134"),
        ),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    counts=(60_000, 10_000),
    licence="CC BY-SA 4.0",
    source="ROIS-DS Center for Open Data in the Humanities",
)

_EMNIST_ARCHIVE = RemoteFile(
    "gzip.zip",
    561753746,
    "58c8d27c78d21e728a6bc7b3cc06412e",
    (
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
    ),
    "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
)

# In the merged splits the lower-case letters that look like their capitals share their label.
_MERGED = tuple(sorted(set(string.digits + string.ascii_letters) - set("cijklmopsuvwxyz")))
_ALL = tuple(sorted(string.digits + string.ascii_letters))
_LETTERS = ("N/A", *string.ascii_lowercase)  # its labels start at 1
_DIGITS = tuple(string.digits)

EMNIST_SPLITS: dict[str, tuple[tuple[str, ...], tuple[int, int]]] = {
    "balanced": (_MERGED, (112_800, 18_800)),
    "letters": (_LETTERS, (124_800, 20_800)),
    "digits": (_DIGITS, (240_000, 40_000)),
    "mnist": (_DIGITS, (60_000, 10_000)),
    "byclass": (_ALL, (697_932, 116_323)),
    "bymerge": (_MERGED, (697_932, 116_323)),
}


def _emnist(split: str) -> DataSetInfo:
    classes, counts = EMNIST_SPLITS[split]
    return DataSetInfo(
        name=f"emnist-{split}",
        title=f"EMNIST {split}",
        classes=classes,
        files=(
            f"emnist-{split}-train-images-idx3-ubyte",
            f"emnist-{split}-train-labels-idx1-ubyte",
            f"emnist-{split}-test-images-idx3-ubyte",
            f"emnist-{split}-test-labels-idx1-ubyte",
        ),
        published=(_EMNIST_ARCHIVE,),
        counts=counts,
        licence="public domain (NIST)",
        source="Cohen, Afshar, Tapson, van Schaik; NIST",
        transposed=True,
    )


CATALOG: dict[str, DataSetInfo] = {
    info.name: info
    for info in (_MNIST, _FASHION, _KMNIST, *(_emnist(split) for split in EMNIST_SPLITS))
}


def describe(name: str) -> DataSetInfo:
    """The description of a data set by name; `emnist` alone means its balanced split.

    Raises:
        ConfigError: there is no such data set.

    >>> describe("fashion-mnist").classes[9]
    'Ankle boot'
    """
    key = name.lower().replace("_", "-")
    key = {"emnist": "emnist-balanced", "fashionmnist": "fashion-mnist"}.get(key, key)
    if key not in CATALOG:
        raise ConfigError(
            f"there is no data set called {name!r}",
            cure=f"choose one of {', '.join(CATALOG)}",
            name=name,
        )
    return CATALOG[key]
