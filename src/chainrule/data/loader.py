"""`DataLoader`: batches of Tensors from a data set, in an order that can be saved and resumed.

PyTorch's arguments and behaviour. Two differences: workers are threads (NumPy releases the lock
where the time goes, and nothing is pickled), and `state_dict()` says in the middle of an epoch
where it stands: the loader that loads it goes on with the very batches that would have come.

Data in memory takes the fast path: the epoch's order is one array, each batch one gather from it
and one multiply-add; no Python runs per sample.
"""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.collate import default_collate, default_convert, to_tensor
from chainrule.data.dataset import Gathers, IterableDataset
from chainrule.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from chainrule.data.seeds import generator_state, make_generator, restore_generator
from chainrule.errors import ConfigError, DataError, LengthError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chainrule.data.seeds import Seed

__all__ = ["DataLoader"]

_BLOCK_BYTES = 1 << 21  # measured best: calls cost little, and a block stays in the cache

_PROCESSES = {
    "pin_memory": "arrays are in the processor's memory already; leave it out",
    "worker_init_fn": "workers are threads and share their memory; prepare before the loop",
    "multiprocessing_context": "workers are threads; leave it out",
    "persistent_workers": "threads cost nothing to start; leave it out",
    "pin_memory_device": "arrays are in the processor's memory already; leave it out",
}


class DataLoader:
    """Iterate over a data set in batches.

    Args:
        dataset: a map-style data set (`__getitem__`, `__len__`) or an `IterableDataset`.
        batch_size: samples in a batch; None gives single samples.
        shuffle: visit the samples in a new random order each epoch.
        sampler: the order, instead of `shuffle`.
        batch_sampler: yields lists of indices; excludes all four arguments above.
        num_workers: threads that prepare batches ahead; the batches are the same for any number.
        collate_fn: makes a batch of a list of samples; the default stacks them.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a worker's batch; 0 waits as long as it takes.
        generator: for the order and the random transforms: a `chainrule.Generator`, a NumPy one, or
            a seed; None draws the seed from the default generator, which `manual_seed` sets.
        prefetch_factor: batches prepared ahead per worker; the default is 2.
        in_order: must be True: batches come in their order.

    `pin_memory`, `worker_init_fn`, `multiprocessing_context`, `persistent_workers` and
    `pin_memory_device` are taken at PyTorch's defaults only; asking for more is a ConfigError.

    Raises:
        ConfigError: arguments that exclude each other, or one that can't be honoured.

    >>> from chainrule.data import TensorDataset
    >>> data = TensorDataset(np.arange(5), np.arange(5) % 2)
    >>> [len(x) for x, y in DataLoader(data, batch_size=2)]
    [2, 2, 1]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: None = None,
        multiprocessing_context: None = None,
        generator: Seed = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        asked = {
            "pin_memory": pin_memory,
            "worker_init_fn": worker_init_fn,
            "multiprocessing_context": multiprocessing_context,
            "persistent_workers": persistent_workers,
            "pin_memory_device": pin_memory_device,
        }
        for name, value in asked.items():
            if value:
                raise ConfigError(
                    f"DataLoader: {name}={value!r} can't be honoured", cure=_PROCESSES[name]
                )
        _check_workers(num_workers, timeout, prefetch_factor, in_order)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor or 2
        self.timeout = timeout
        self.collate_fn = collate_fn
        self.generator = make_generator(generator)
        self._streams = isinstance(dataset, IterableDataset)
        if self._streams and (shuffle or sampler is not None or batch_sampler is not None):
            raise ConfigError(
                "DataLoader: an IterableDataset decides its own order",
                cure="shuffle inside its __iter__; leave out shuffle, sampler and batch_sampler",
            )
        self._choose_sampler(batch_size, bool(shuffle), sampler, batch_sampler, drop_last)
        self._delivered = 0
        self._resume_at = 0
        self._epoch_start = self._snapshot()

    def _choose_sampler(
        self,
        batch_size: int | None,
        shuffle: bool,
        sampler: Iterable[int] | None,
        batch_sampler: Iterable[list[int]] | None,
        drop_last: bool,
    ) -> None:
        if batch_sampler is not None and (
            batch_size != 1 or shuffle or sampler is not None or drop_last
        ):
            raise ConfigError(
                "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last"
            )
        if sampler is not None and shuffle:
            raise ConfigError(
                "DataLoader: sampler excludes shuffle",
                cure="leave out shuffle, or use a RandomSampler",
            )
        if batch_size is None and drop_last:
            raise ConfigError("DataLoader: batch_size=None makes no batches for drop_last to drop")
        if sampler is None and not self._streams:
            sampler = (
                RandomSampler(self.dataset, generator=self.generator)
                if shuffle
                else SequentialSampler(self.dataset)
            )
        self.sampler = sampler
        self.drop_last = drop_last
        self.batch_size = batch_size if batch_sampler is None else None
        self.batch_sampler = batch_sampler
        if batch_sampler is None and batch_size is not None:
            self.batch_sampler = BatchSampler(
                sampler if sampler is not None else [], batch_size, drop_last
            )

    def __len__(self) -> int:
        """The number of batches in an epoch.

        Raises:
            LengthError: the data set or the sampler has no length.
        """
        try:
            if not self._streams:
                source: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
                return len(source)
            count = len(self.dataset)
        except (TypeError, NotImplementedError) as error:
            raise LengthError(
                f"DataLoader: no length is known: {error}",
                cure="count while iterating, or give the data set a __len__",
            ) from error
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    # -- an epoch -----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        skip, self._resume_at = self._resume_at, 0
        self._epoch_start = self._snapshot()
        self._delivered = skip
        return self._epoch(skip)

    def _epoch(self, skip: int) -> Iterator[Any]:
        # Drawn whether it is needed or not: the order must not depend on the transform.
        seed = int(self.generator.integers(1 << 62))
        for batch in self._results(seed, skip):
            self._delivered += 1
            yield batch
        self._delivered = 0
        self._epoch_start = self._snapshot()

    def _results(self, seed: int, skip: int) -> Iterator[Any]:
        sampler = self.batch_sampler
        if (
            self.num_workers == 0
            and self._is_fast()
            and not self.dataset.random
            and isinstance(sampler, BatchSampler)
            and isinstance(sampler.sampler, Sampler)
        ):
            return self._in_blocks(sampler.order(), sampler.batch_size, skip)
        jobs = itertools.islice(self._jobs(seed), skip, None)
        return (job() for job in jobs) if self.num_workers == 0 else self._ahead(jobs)

    def _in_blocks(self, order: Any, size: int, skip: int) -> Iterator[list[Any]]:
        """Gather a few small batches at once and hand out slices: the cost of each call is shared
        among them. The slices share memory, but no element.
        """
        start, together = skip * size, 1
        while start < len(order):
            parts = self.dataset.gather(order[start : start + together * size])
            for first in range(0, len(parts[0]), size):
                yield [to_tensor(part[first : first + size]) for part in parts]
            start += together * size
            together = max(1, together * _BLOCK_BYTES // max(1, parts[0].nbytes))

    def _jobs(self, seed: int) -> Iterator[Callable[[], Any]]:
        """One function per batch, each of which can run on any thread."""
        if self._streams:
            yield from self._stream_jobs()
            return
        if self.batch_sampler is None:
            convert = self.collate_fn or default_convert
            for index in self.sampler or ():
                yield lambda index=index: convert(self.dataset[index])
            return
        load = self._gather if self._is_fast() else self._collect
        sampler = self.batch_sampler
        batches: Iterable[Any] = sampler.batches() if isinstance(sampler, BatchSampler) else sampler
        for number, indices in enumerate(batches):
            yield lambda number=number, indices=indices: load(indices, seed, number)

    def _is_fast(self) -> bool:
        return self.collate_fn is None and isinstance(self.dataset, Gathers)

    def _gather(self, indices: Any, seed: int, number: int) -> list[Any]:
        rng = np.random.default_rng((seed, number)) if self.dataset.random else None
        return [to_tensor(part) for part in self.dataset.gather(np.asarray(indices), rng)]

    def _collect(self, indices: Any, seed: int, number: int) -> Any:
        dataset: Any = self.dataset
        positions: list[int] = indices.tolist() if isinstance(indices, np.ndarray) else indices
        collate = self.collate_fn or default_collate
        if hasattr(dataset, "__getitems__"):
            return collate(dataset.__getitems__(positions))
        return collate([dataset[position] for position in positions])

    def _stream_jobs(self) -> Iterator[Callable[[], Any]]:
        samples: Iterator[Any] = iter(self.dataset)
        if self.batch_size is None:
            convert = self.collate_fn or default_convert
            for sample in samples:
                yield lambda sample=sample: convert(sample)
            return
        collate = self.collate_fn or default_collate
        while chunk := list(itertools.islice(samples, self.batch_size)):
            if len(chunk) == self.batch_size or not self.drop_last:
                yield lambda chunk=chunk: collate(chunk)

    def _ahead(self, jobs: Iterator[Callable[[], Any]]) -> Iterator[Any]:
        """Run the jobs on threads, a few ahead of the consumer, and give results in order."""
        pool = ThreadPoolExecutor(self.num_workers, "chainrule-data")
        waiting = deque(
            pool.submit(job)
            for job in itertools.islice(jobs, self.num_workers * self.prefetch_factor)
        )
        try:
            while waiting:
                batch = waiting.popleft().result(self.timeout or None)
                if (job := next(jobs, None)) is not None:
                    waiting.append(pool.submit(job))
                yield batch
        except TimeoutError as error:
            raise DataError(
                f"DataLoader: no batch within timeout={self.timeout} seconds",
                cure="raise the timeout, or find out what holds up the data set",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    # -- its state ----------------------------------------------------------------------------

    def _snapshot(self) -> dict[str, Any]:
        """Everything that the next epoch's order depends on."""
        state: dict[str, Any] = {"generator": generator_state(self.generator)}
        theirs = self._sampler_generator()
        if theirs is not None:
            state["sampler"] = generator_state(theirs)
        return state

    def _sampler_generator(self) -> np.random.Generator | None:
        """The generator of a sampler that brought its own."""
        inner = getattr(self.batch_sampler, "sampler", self.sampler)
        theirs = inner.generator if isinstance(inner, Sampler) else None
        return None if theirs is self.generator else theirs

    def state_dict(self) -> dict[str, Any]:
        """Where the latest epoch stands, in values that JSON can hold.

        Taken inside the loop, it counts the batch in hand as done.

        >>> import chainrule
        >>> data = chainrule.data.TensorDataset(np.arange(6))
        >>> loader = DataLoader(data, batch_size=2, shuffle=True, generator=0)
        >>> batches = iter(loader)
        >>> first = next(batches)
        >>> state, (second,) = loader.state_dict(), next(batches)
        >>> resumed = DataLoader(data, batch_size=2, shuffle=True, generator=1)
        >>> resumed.load_state_dict(state)
        >>> bool((next(iter(resumed))[0] == second).all())
        True
        """
        return {"epoch_start": self._epoch_start, "batches": self._delivered}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next epoch go on where `state` was taken, with the same batches bit for bit.

        The loader must be made with the same arguments over the same data. A sampler that is not
        one of this library's is asked for its order again and must give the same one.

        Raises:
            ConfigError: the state is not a loader's.
        """
        try:
            start, batches = state["epoch_start"], int(state["batches"])
            restore_generator(self.generator, start["generator"])
            theirs = self._sampler_generator()
            if theirs is not None:
                restore_generator(theirs, start["sampler"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"DataLoader: the state lacks or garbles {error}",
                cure="load what state_dict() of a loader made with the same arguments gave",
            ) from error
        if batches < 0:
            raise ConfigError(f"DataLoader: the state says {batches} batches were delivered")
        self._resume_at = self._delivered = batches
        self._epoch_start = start


def _check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, in_order: bool
) -> None:
    if num_workers < 0 or timeout < 0:
        raise ConfigError(f"DataLoader: num_workers={num_workers} or timeout={timeout} is negative")
    if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
        raise ConfigError(
            f"DataLoader: prefetch_factor={prefetch_factor} needs num_workers > 0 and at least 1",
            cure="set num_workers, or leave prefetch_factor out",
        )
    if timeout and num_workers == 0:
        raise ConfigError("DataLoader: timeout needs num_workers > 0", cure="set num_workers")
    if not in_order:
        raise ConfigError(
            "DataLoader: in_order=False can't be honoured",
            cure="leave it out: batches come in their order whatever thread made them",
        )
