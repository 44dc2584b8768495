"""Data: IDX files, named data sets, loaders, transforms, pictures, and the drawn digits.

Names are imported when they are first used, so that `import chainrule` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.data.catalog import CATALOG, EMNIST_SPLITS, DataSetInfo, RemoteFile, describe
    from chainrule.data.centre import as_mnist, ink_as_mnist
    from chainrule.data.collate import default_collate, default_convert
    from chainrule.data.dataset import (
        ConcatDataset,
        Dataset,
        IterableDataset,
        Subset,
        TensorDataset,
        random_split,
    )
    from chainrule.data.drawn import Handwriting, drawn_digits
    from chainrule.data.fetch import DataFiles, cache_folder, locate
    from chainrule.data.idx import read_idx, read_idx_pair, write_idx
    from chainrule.data.images import read_image
    from chainrule.data.loader import DataLoader
    from chainrule.data.named import EMNIST, KMNIST, MNIST, Arrays, DrawnDigits, FashionMNIST, load
    from chainrule.data.samplers import (
        BatchSampler,
        RandomSampler,
        Sampler,
        SequentialSampler,
        SubsetRandomSampler,
        WeightedRandomSampler,
    )
    from chainrule.data.transfer import download
    from chainrule.data.transforms import (
        Compose,
        Normalize,
        OneHot,
        RandomAffine,
        RandomCrop,
        RandomHorizontalFlip,
        RandomShift,
        ToFloat,
        Transform,
    )

_HOMES = {
    "catalog": "CATALOG EMNIST_SPLITS DataSetInfo RemoteFile describe",
    "centre": "as_mnist ink_as_mnist",
    "collate": "default_collate default_convert",
    "dataset": "ConcatDataset Dataset IterableDataset Subset TensorDataset random_split",
    "transfer": "download",
    "drawn": "Handwriting drawn_digits",
    "fetch": "DataFiles cache_folder locate",
    "idx": "read_idx read_idx_pair write_idx",
    "images": "read_image",
    "loader": "DataLoader",
    "named": "Arrays DrawnDigits EMNIST FashionMNIST KMNIST MNIST load",
    "samplers": "BatchSampler RandomSampler Sampler SequentialSampler SubsetRandomSampler "
    "WeightedRandomSampler",
    "transforms": "Compose Normalize OneHot RandomAffine RandomCrop RandomHorizontalFlip "
    "RandomShift ToFloat Transform",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "CATALOG",
    "EMNIST",
    "EMNIST_SPLITS",
    "KMNIST",
    "MNIST",
    "Arrays",
    "BatchSampler",
    "Compose",
    "ConcatDataset",
    "DataFiles",
    "DataLoader",
    "DataSetInfo",
    "Dataset",
    "DrawnDigits",
    "FashionMNIST",
    "Handwriting",
    "IterableDataset",
    "Normalize",
    "OneHot",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomSampler",
    "RandomShift",
    "RemoteFile",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "ToFloat",
    "Transform",
    "WeightedRandomSampler",
    "as_mnist",
    "cache_folder",
    "default_collate",
    "default_convert",
    "describe",
    "download",
    "drawn_digits",
    "ink_as_mnist",
    "load",
    "locate",
    "random_split",
    "read_idx",
    "read_idx_pair",
    "read_image",
    "write_idx",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
