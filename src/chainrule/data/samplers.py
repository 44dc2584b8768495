"""Samplers: the order in which a loader visits a data set.

PyTorch's samplers, with one addition: `indices()` gives a whole epoch's order as an array, which
the loader slices, so that no Python runs per sample. Random samplers draw from a NumPy generator
whose state can be saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from chainrule.data.seeds import make_generator
from chainrule.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Sized

    from numpy.typing import NDArray

    from chainrule.data.seeds import Seed

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """The base of all samplers: iterates over indices, and has a length.

    >>> import chainrule
    >>> class Backwards(Sampler):
    ...     def indices(self):
    ...         return np.arange(4)[::-1].copy()
    ...
    ...     def __len__(self):
    ...         return 4
    >>> data = chainrule.data.TensorDataset([10, 20, 30, 40])
    >>> loader = chainrule.data.DataLoader(data, batch_size=2, sampler=Backwards())
    >>> [x.tolist() for (x,) in loader]
    [[40, 30], [20, 10]]
    """

    generator: np.random.Generator | None = None

    def indices(self) -> NDArray[np.int64]:
        """One epoch's indices."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices().tolist())

    def __len__(self) -> int:
        raise NotImplementedError


class SequentialSampler(Sampler):
    """0, 1, 2, ... in order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def indices(self) -> NDArray[np.int64]:
        """All of them in order."""
        return np.arange(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """A new random order each epoch, or draws with replacement.

    Args:
        data_source: anything with a length.
        replacement: draw each index independently.
        num_samples: how many to draw; the default is the data's length. Without replacement, more
            than the data's length goes on with another permutation, as in PyTorch.
        generator: a seed or a generator; see `make_generator`.

    >>> sorted(RandomSampler("abc", generator=0))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Seed = None,
    ) -> None:
        if num_samples is not None and num_samples <= 0:
            raise ConfigError(
                f"RandomSampler: num_samples is {num_samples}, expected at least 1",
                cure="give more, or leave it out to draw as many as there are",
            )
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = make_generator(generator)

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def indices(self) -> NDArray[np.int64]:
        """An epoch's draws: a new permutation, or `num_samples` with replacement."""
        size, count = len(self.data_source), self.num_samples
        assert self.generator is not None
        if size == 0:
            return np.empty(0, np.int64)
        if self.replacement:
            return self.generator.integers(0, size, count)
        rounds = [self.generator.permutation(size) for _ in range(-(-count // size))]
        return np.concatenate(rounds)[:count] if len(rounds) != 1 else rounds[0][:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in a new random order each epoch.

    Args:
        indices: those to visit.
        generator: a seed or a generator; see `make_generator`.

    >>> import chainrule
    >>> sorted(chainrule.data.SubsetRandomSampler([7, 3, 5], generator=0))
    [3, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Seed = None) -> None:
        self._subset = np.asarray(indices, np.int64)
        self.generator = make_generator(generator)

    def indices(self) -> NDArray[np.int64]:
        """The subset in a new order."""
        assert self.generator is not None
        return self.generator.permutation(self._subset)

    def __len__(self) -> int:
        return len(self._subset)


class WeightedRandomSampler(Sampler):
    """Index i is drawn with probability weights[i] / sum(weights).

    Args:
        weights: one finite, non-negative number per sample; they need not sum to one.
        num_samples: how many to draw.
        replacement: whether an index may be drawn again.
        generator: a seed or a generator; see `make_generator`.

    Raises:
        ConfigError: a weight is negative or not finite, all are zero, or there are fewer positive
            weights than samples to draw without replacement.

    >>> sorted(WeightedRandomSampler([0.0, 1.0, 3.0], 2, replacement=False, generator=0))
    [1, 2]
    """

    def __init__(
        self,
        weights: Sequence[float] | NDArray[np.floating],
        num_samples: int,
        replacement: bool = True,
        generator: Seed = None,
    ) -> None:
        values = np.asarray(weights, np.float64)
        if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any():
            raise ConfigError(
                "WeightedRandomSampler: weights must be a vector of finite, non-negative numbers"
            )
        if num_samples <= 0:
            raise ConfigError(
                f"WeightedRandomSampler: num_samples is {num_samples}, expected at least 1"
            )
        positive = int(np.count_nonzero(values))
        if positive == 0 or (not replacement and positive < num_samples):
            raise ConfigError(
                f"WeightedRandomSampler: {num_samples} samples wanted from {positive} positive "
                "weights",
                cure="draw with replacement, or draw fewer",
            )
        self.weights = values
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = make_generator(generator)

    def indices(self) -> NDArray[np.int64]:
        """An epoch's draws, each index as likely as its weight says."""
        assert self.generator is not None
        return self.generator.choice(
            len(self.weights),
            self.num_samples,
            replace=self.replacement,
            p=self.weights / self.weights.sum(),
        )

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler:
    """Groups a sampler's indices into lists of `batch_size`.

    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or batch_size <= 0:
            raise ConfigError(f"batch_size is {batch_size!r}, expected an int of at least 1")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def order(self) -> NDArray[np.int64]:
        """One epoch's indices, without those that `drop_last` drops."""
        assert isinstance(self.sampler, Sampler)
        indices = self.sampler.indices()
        surplus = len(indices) % self.batch_size if self.drop_last else 0
        return indices[: len(indices) - surplus]

    def batches(self) -> Iterator[NDArray[np.int64]]:
        """One epoch's batches as arrays of indices.

        >>> sampler = BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=True)
        >>> [batch.tolist() for batch in sampler.batches()]
        [[0, 1], [2, 3]]
        """
        sampler, size = self.sampler, self.batch_size
        if isinstance(sampler, Sampler):
            order = self.order()
            for start in range(0, len(order), size):
                yield order[start : start + size]
            return
        batch: list[int] = []
        for index in sampler:  # an endless sampler is allowed: never exhaust it beforehand
            batch.append(index)
            if len(batch) == size:
                yield np.asarray(batch)
                batch = []
        if batch and not self.drop_last:
            yield np.asarray(batch)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.tolist() for batch in self.batches())

    def __len__(self) -> int:
        count = len(cast("Sized", self.sampler))  # TypeError where no length is known
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
