"""Finding a data set: the folder that was named, the environment, the cache, then the network.

Files that are found are believed only as far as the IDX reader checks them: a user may bring files
of their own. Files that are downloaded must match the publisher's digests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.data.cache import cache_folder
from chainrule.data.catalog import DataSetInfo, describe
from chainrule.data.files import atomic_file
from chainrule.data.transfer import download
from chainrule.errors import DataError, DownloadError

if TYPE_CHECKING:
    from chainrule.data.transfer import Progress

    StrPath = str | os.PathLike[str]

__all__ = ["ENVIRONMENT", "DataFiles", "cache_folder", "locate"]

ENVIRONMENT = "CHAINRULE_DATA"
_TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}


@dataclass(frozen=True)
class DataFiles:
    """Where a data set's four files are, and how they came to be there.

    `origin` is `data_dir`, `environment`, `cache` or `download`.

    >>> files = DataFiles(*map(Path, "abcd"), origin="cache")
    >>> files.train_images.name, files.origin
    ('a', 'cache')
    """

    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path
    origin: str


def locate(
    name: str,
    data_dir: StrPath | None = None,
    *,
    cache_dir: StrPath | None = None,
    allow_download: bool = True,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> DataFiles:
    """Find the four files of a data set, downloading them if no folder holds them.

    Looks in `data_dir`, then in the folder named by CHAINRULE_DATA, then in the cache; in each for
    `mnist/train-images-idx3-ubyte` (or `.gz`) and its kin, by the set's name.

    Args:
        name: `mnist`, `fashion-mnist`, `kmnist`, or `emnist-SPLIT`.
        data_dir: the first folder to look in.
        cache_dir: the folder for downloads; the default is `cache_folder()`.
        allow_download: whether the network may be used.
        progress: called with (file name, bytes so far, bytes in all).
        timeout: seconds without a byte after which a mirror is given up.

    Raises:
        ConfigError: there is no data set of that name.
        DataError: `data_dir` is not a folder, or nothing was found and the network is not allowed.
        DownloadError: no mirror could be reached; the message has the steps to do by hand.
        StorageError: the cache can't be written.

    >>> locate("mnits", allow_download=False)
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: there is no ...
    """
    info = describe(name)
    if data_dir is not None and not Path(data_dir).is_dir():
        raise DataError(
            f"{data_dir}: expected a folder of data sets, found "
            + ("a file" if Path(data_dir).exists() else "nothing"),
            cure=f"name a folder that holds {info.folder}/{info.files[0]}.gz",
            path=str(data_dir),
        )
    cache = Path(cache_dir) if cache_dir is not None else cache_folder()
    places = {
        "data_dir": data_dir,
        "environment": os.environ.get(ENVIRONMENT) or None,
        "cache": cache,
    }
    for origin, place in places.items():
        if place is not None and (files := _find(info, Path(place), origin)):
            return files
    if not allow_download:
        raise DataError(
            f"{info.title} was not found in {', '.join(str(p) for p in places.values() if p)}",
            cure=_manual_steps(info, cache),
            name=info.name,
        )
    return _fetch(info, cache, progress, timeout)


def _find(info: DataSetInfo, root: Path, origin: str) -> DataFiles | None:
    """The set's files in one folder, if all four are there."""
    folders = [root / info.folder]
    if info.folder in _TORCHVISION:
        folders.append(root / _TORCHVISION[info.folder] / "raw")
    for folder in folders:
        paths = [
            next((p for p in (folder / f"{stem}.gz", folder / stem) if p.is_file()), None)
            for stem in info.files
        ]
        found = [path for path in paths if path is not None]
        if len(found) == len(info.files):
            return DataFiles(found[0], found[1], found[2], found[3], origin)
        archive = folder / "gzip.zip"
        if info.archived and archive.is_file() and os.access(folder, os.W_OK):
            _unpack(info, archive, folder)
            return _find(info, root, origin)
    return None


def _fetch(info: DataSetInfo, cache: Path, progress: Progress | None, timeout: float) -> DataFiles:
    folder = cache / info.folder
    try:
        for remote in info.published:
            download(remote, folder, progress=progress, timeout=timeout)
    except DownloadError as error:
        steps = _manual_steps(info, cache)
        raise DownloadError(error.problem, cure=steps, name=info.name) from error
    if info.archived:
        _unpack(info, folder / info.published[0].name, folder)
    files = _find(info, cache, "download")
    if files is None:
        raise DataError(f"{folder}: the files of {info.title} vanished while they were fetched")
    return files


def _unpack(info: DataSetInfo, archive: Path, folder: Path) -> None:
    """Take the split's four files out of the archive, under our names and no larger than declared.

    Members are looked up by the names that we expect, so no name in the archive becomes a path.
    """
    import zipfile

    stem = ""
    try:
        with zipfile.ZipFile(archive) as packed:
            for stem in info.files:
                name = f"{stem}.gz"
                member = packed.getinfo(f"gzip/{name}")
                if member.file_size > archive.stat().st_size * 2:
                    raise DataError(f"{archive}: {name} claims {member.file_size} bytes")
                with packed.open(member) as source, atomic_file(folder / name) as target:
                    left = member.file_size
                    while data := source.read(min(1 << 20, left + 1)):
                        left -= len(data)
                        if left < 0:
                            raise DataError(f"{archive}: {name} is larger than it claims")
                        target.write(data)
    except KeyError as error:
        raise DataError(f"{archive}: expected the file gzip/{stem}.gz in it, found none") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{archive}: expected a zip archive, found {error}",
            cure="delete it and fetch it again",
            path=str(archive),
        ) from error


def _manual_steps(info: DataSetInfo, cache: Path) -> str:
    lines = [f"download these files with a browser and put them into {cache / info.folder}:"]
    lines += [f"    {url}" for remote in info.published for url in remote.urls[:1]]
    lines += [
        f"  or name the folder that holds {info.folder}/ with --data DIR or {ENVIRONMENT}=DIR;",
        "  with no data at all, train on the drawn digits (data set `drawn`), which need no file",
    ]
    return "\n".join(lines)
