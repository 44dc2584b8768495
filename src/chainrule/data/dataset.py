"""Data sets: what a loader draws samples from.

PyTorch's classes and names, over arrays in memory. A data set that can give a whole batch at once
has `gather(indices, generator)`, which returns arrays; the loader then touches no single samples.
"""

from __future__ import annotations

import bisect
import itertools
import math
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np

from chainrule.data.buffers import fresh
from chainrule.data.collate import to_array, to_tensor
from chainrule.data.seeds import make_generator
from chainrule.errors import ConfigError, DataError, DimensionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from chainrule.data.seeds import Seed
    from chainrule.data.transforms import Transform

    AnyArray = NDArray[Any]

__all__ = [
    "ConcatDataset",
    "Dataset",
    "Gathers",
    "IterableDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]


class Dataset:
    """A map-style data set: `__getitem__(index)` and `__len__`. Subclass it, or just have both.

    >>> import chainrule
    >>> class Squares(chainrule.data.Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, index):
    ...         return index, index**2
    >>> [y.tolist() for x, y in chainrule.data.DataLoader(Squares(), batch_size=3)]
    [[0, 1, 4], [9]]
    """

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """A data set that is a stream: only `__iter__`.

    >>> import chainrule
    >>> class Countdown(chainrule.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(5, 0, -1))
    >>> [batch.tolist() for batch in chainrule.data.DataLoader(Countdown(), batch_size=2)]
    [[5, 4], [3, 2], [1]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


@runtime_checkable
class Gathers(Protocol):
    """A data set that can give a batch in one go.

    `random` says whether `gather` draws random numbers; if not, the loader passes no generator.

    >>> isinstance(TensorDataset(np.arange(3)), Gathers), isinstance(Dataset(), Gathers)
    (True, False)
    """

    @property
    def random(self) -> bool: ...

    def gather(
        self, indices: NDArray[np.int64], generator: np.random.Generator | None = None
    ) -> tuple[AnyArray, ...]:
        """The samples at `indices`, each part stacked along a first axis, in fresh arrays."""
        ...


class TensorDataset(Dataset):
    """Samples are the rows of one or more Tensors (or arrays: they come out as Tensors too).

    Args:
        tensors: all of the same length.
        transform: a batch-wise transform of the first, applied as samples are taken.

    Raises:
        DataError: there are none, one has no dimensions, or lengths differ.

    >>> data = TensorDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    >>> len(data), len(data[1])
    (3, 2)
    """

    def __init__(self, *tensors: object, transform: Transform | None = None) -> None:
        arrays = [to_array(tensor) for tensor in tensors]
        if not arrays or any(array.ndim == 0 for array in arrays):
            raise DataError("TensorDataset: expected tensors with at least one dimension")
        if len({len(array) for array in arrays}) > 1:
            lengths = ", ".join(str(len(array)) for array in arrays)
            raise DataError(f"TensorDataset: the tensors' lengths differ: {lengths}")
        self._arrays = arrays
        # A row that is one run of memory is gathered by one copy.
        self._rows = [
            np.ascontiguousarray(array).reshape(len(array), -1) if array.size else array
            for array in arrays
        ]
        self.transform = transform

    @property
    def tensors(self) -> tuple[Any, ...]:
        """What it was made of, as Tensors."""
        return tuple(to_tensor(array) for array in self._arrays)

    @property
    def random(self) -> bool:
        """Whether the transform draws random numbers."""
        return self.transform is not None and self.transform.random

    def gather(
        self, indices: NDArray[np.int64], generator: np.random.Generator | None = None
    ) -> tuple[AnyArray, ...]:
        """One batch: each tensor's rows at `indices`, the first transformed.

        >>> data = TensorDataset(np.arange(6).reshape(3, 2), np.array([0, 1, 0]))
        >>> x, y = data.gather(np.array([2, 0]))
        >>> x.tolist(), y.tolist()
        ([[4, 5], [0, 1]], [0, 0])
        """
        size = len(self)
        # As unsigned numbers negative indices are huge: one comparison checks both ends.
        if len(indices) and np.maximum.reduce(indices.view(np.uint64)) >= size:
            indices = np.array([_checked(int(index), size) for index in indices])
        # The indices are in range: "clip" only spares NumPy a copy of the result.
        parts = [
            _take(rows, indices).reshape(len(indices), *array.shape[1:])
            for rows, array in zip(self._rows, self._arrays, strict=True)
        ]
        if self.transform is not None:
            parts[0] = self.transform(parts[0], generator)
        return tuple(parts)

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        if isinstance(index, int | np.integer):
            indices = np.array([_checked(int(cast("int", index)), len(self))])
            return tuple(to_tensor(part[0, ...]) for part in self.gather(indices))
        indices = np.arange(len(self))[to_array(index) if not isinstance(index, slice) else index]
        return tuple(to_tensor(part) for part in self.gather(indices))

    def __len__(self) -> int:
        return len(self._arrays[0])


class Subset(Dataset):
    """Some samples of another data set, by index.

    Raises:
        DimensionError: as it is asked for a sample that it does not have.

    >>> import chainrule
    >>> data = chainrule.data.TensorDataset([10, 20, 30, 40])
    >>> [x.item() for (x,) in chainrule.data.Subset(data, [3, 0])]
    [40, 10]
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices
        self._positions = np.asarray(indices, np.int64)

    @property
    def random(self) -> bool:
        """Whether the data set below draws random numbers."""
        return bool(getattr(self.dataset, "random", False))

    def __getattr__(self, name: str) -> Any:
        # Only a subset of a data set that gathers has `gather`: the loader asks for it by name.
        if name == "gather" and isinstance(self.__dict__.get("dataset"), Gathers):
            return self._gather
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _gather(
        self, indices: NDArray[np.int64], generator: np.random.Generator | None = None
    ) -> tuple[AnyArray, ...]:
        assert isinstance(self.dataset, Gathers)
        return self.dataset.gather(self._positions[indices], generator)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[_checked(index, len(self))]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Several data sets, one after the other.

    Raises:
        DataError: there are none, or one is a stream.

    >>> import chainrule
    >>> first, second = chainrule.data.TensorDataset([1, 2]), chainrule.data.TensorDataset([3])
    >>> both = chainrule.data.ConcatDataset([first, second])
    >>> len(both), both[-1]
    (3, (tensor(3),))
    """

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise DataError(
                "ConcatDataset: expected at least one data set, found none",
                cure="pass a list of data sets",
            )
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise DataError(
                "ConcatDataset: an IterableDataset has no length to be placed by",
                cure="chain the streams in an IterableDataset of your own",
            )
        self.cumulative_sizes = list(itertools.accumulate(len(each) for each in self.datasets))

    def __getitem__(self, index: int) -> Any:
        index = _checked(index, len(self))
        which = bisect.bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(
    dataset: Dataset, lengths: Sequence[int | float], generator: Seed = None
) -> list[Subset]:
    """Split a data set at random into parts of the given lengths, or fractions that sum to one.

    With fractions each part has floor(fraction * n) samples and what remains goes round the parts,
    one each, as in PyTorch.

    Raises:
        ConfigError: the lengths do not sum to the data set's, or a fraction is out of range.

    >>> parts = random_split(TensorDataset(np.arange(10)), [0.75, 0.25], generator=0)
    >>> [len(part) for part in parts]
    [8, 2]
    """
    size = len(dataset)
    counts = _split_counts(lengths, size)
    order = make_generator(generator).permutation(size)
    ends = itertools.accumulate(counts)
    return [
        Subset(dataset, order[end - count : end].tolist())
        for end, count in zip(ends, counts, strict=True)
    ]


def _split_counts(lengths: Sequence[int | float], size: int) -> list[int]:
    if any(length < 0 for length in lengths):
        raise ConfigError(f"random_split: lengths can't be negative: {list(lengths)}")
    if (
        math.isclose(sum(lengths), 1)
        and sum(lengths) <= 1.0001
        and any(isinstance(length, float) for length in lengths)
    ):
        counts = [math.floor(size * length) for length in lengths]
        for extra in range(size - sum(counts)):
            counts[extra % len(counts)] += 1
        return counts
    if sum(lengths) != size or any(length != int(length) for length in lengths):
        raise ConfigError(
            f"random_split: lengths {list(lengths)} sum to {sum(lengths)}, but the data set has "
            f"{size} samples",
            cure="give lengths that sum to the data set's, or fractions that sum to 1",
        )
    return [int(length) for length in lengths]


def _take(rows: AnyArray, indices: NDArray[np.int64]) -> AnyArray:
    out = fresh((len(indices), *rows.shape[1:]), rows.dtype)
    return rows.take(indices, 0, out, "clip")


def _checked(index: int, size: int) -> int:
    if not -size <= index < size:
        raise DimensionError(f"index {index} is out of range for a data set of {size} samples")
    return index + size if index < 0 else index
