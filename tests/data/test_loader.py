"""Loaders: every sample once, PyTorch's arguments, and a state that resumes to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import data
from chainrule.data import (
    BatchSampler,
    Compose,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Normalize,
    RandomAffine,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    ToFloat,
    WeightedRandomSampler,
    default_collate,
    random_split,
)
from chainrule.errors import ConfigError, DataError, DimensionError
from chainrule.tensor import Tensor


class Squares(Dataset):
    """A plain map-style data set, one sample at a time."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return np.full((2,), index, np.float32), index * index

    def __len__(self) -> int:
        return self.size


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(range(7))


def pictures(count: int) -> TensorDataset:
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8), np.uint8)
    steps = Compose([RandomAffine(20, (0.1, 0.1)), ToFloat(), Normalize(0.1307, 0.3081)])
    return TensorDataset(images, np.arange(count), transform=steps)


def contents(loader: Any) -> list[tuple[bytes, ...]]:
    return [tuple(part.numpy().tobytes() for part in batch) for batch in loader]


# -- what comes out ------------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    size=st.integers(0, 40),
    batch=st.integers(1, 12),
    shuffle=st.booleans(),
    drop=st.booleans(),
    workers=st.sampled_from([0, 2]),
    fast=st.booleans(),
)
def test_each_sample_comes_exactly_once(
    size: int, batch: int, shuffle: bool, drop: bool, workers: int, fast: bool
) -> None:
    data = TensorDataset(np.arange(size), np.arange(size) ** 2) if fast else Squares(size)
    loader = DataLoader(data, batch, shuffle, num_workers=workers, drop_last=drop, generator=1)
    batches = [labels.numpy().tolist() for _, labels in loader]
    seen = [label for labels in batches for label in labels]
    expected = size - size % batch if drop else size
    assert len(seen) == len(set(seen)) == expected
    assert set(seen) <= {index**2 for index in range(size)}
    assert len(batches) == len(loader)
    assert all(len(labels) == batch for labels in batches[: expected // batch])
    if not shuffle:
        assert seen == sorted(seen)


def test_batches_are_tensors_with_the_right_values() -> None:
    x = np.random.default_rng(0).integers(0, 256, (10, 3, 4), np.uint8)
    data = TensorDataset(x, np.arange(10), transform=Compose([ToFloat(), Normalize(0.1, 0.3)]))
    images, labels = next(iter(DataLoader(data, batch_size=4, shuffle=True, generator=0)))
    assert isinstance(images, Tensor)
    assert isinstance(labels, Tensor)
    expected = (x[labels.numpy()] / 255.0 - 0.1) / 0.3
    assert images.numpy().dtype == np.float32
    np.testing.assert_allclose(images.numpy(), expected, rtol=0, atol=2e-6)


def test_an_epoch_differs_from_the_next_and_a_seed_repeats_both() -> None:
    first, second = (DataLoader(pictures(50), 8, True, generator=5) for _ in range(2))
    epochs = [contents(first) for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert epochs == [contents(second) for _ in range(2)]


def test_threads_do_not_change_a_bit() -> None:
    plain, threaded = (
        DataLoader(pictures(60), 7, True, num_workers=workers, generator=5) for workers in (0, 3)
    )
    assert contents(plain) == contents(threaded)


def test_a_held_batch_is_never_overwritten() -> None:
    """Memory is used again only when nobody holds it: not the batch, not a view of it."""
    x = np.random.default_rng(0).integers(0, 256, (512, 28, 28), np.uint8)
    data = TensorDataset(x, np.arange(512), transform=ToFloat())
    loader = DataLoader(data, 64, True, generator=0)
    held = [(images, images.numpy()[3:5], images.numpy().copy()) for images, _ in loader]
    for images, view, copy in held:
        assert images.numpy().tobytes() == copy.tobytes()
        assert view.tobytes() == copy[3:5].tobytes()


def test_fast_and_slow_paths_agree() -> None:
    data = TensorDataset(np.arange(12.0).reshape(6, 2), np.arange(6))
    fast = contents(DataLoader(data, 4))
    assert fast == contents(DataLoader(data, 4, collate_fn=default_collate))
    parts = ConcatDataset([Subset(data, [0, 1, 2]), Subset(data, [3, 4, 5])])
    assert fast == contents(DataLoader(parts, 4))
    assert fast == contents(DataLoader(Subset(data, range(6)), 4))


def test_without_batches_samples_come_one_by_one() -> None:
    samples = list(DataLoader(Squares(3), batch_size=None))
    assert [label for _, label in samples] == [0, 1, 4]
    assert isinstance(samples[0][0], Tensor)


def test_streams() -> None:
    assert [b.numpy().tolist() for b in DataLoader(Stream(), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    loader = DataLoader(Stream(), 3, drop_last=True, num_workers=2)
    assert [b.numpy().tolist() for b in loader] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(DataError, match="no length"):
        len(loader)
    with pytest.raises(ConfigError, match="own order"):
        DataLoader(Stream(), shuffle=True)


# -- its state ------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    size=st.integers(1, 40),
    batch=st.integers(1, 9),
    done=st.integers(0, 60),
    workers=st.sampled_from([0, 2]),
)
def test_a_resumed_epoch_equals_an_uninterrupted_one(
    size: int, batch: int, done: int, workers: int
) -> None:
    def make(seed: int) -> DataLoader:
        return DataLoader(pictures(size), batch, True, num_workers=workers, generator=seed)

    steady = make(3)
    expected = [each for _ in range(3) for each in contents(steady)]
    done %= len(expected)
    broken, taken = make(3), 0
    state = broken.state_dict()
    while taken < done:
        for _ in broken:
            taken += 1
            if taken == done:
                state = json.loads(json.dumps(broken.state_dict()))
                break
        else:
            state = json.loads(json.dumps(broken.state_dict()))
    resumed = make(99)
    resumed.load_state_dict(state)
    rest: list[Any] = []
    while len(rest) < len(expected) - done:
        rest += contents(resumed)
    assert rest[: len(expected) - done] == expected[done:]


@pytest.mark.parametrize(
    "bits", [np.random.PCG64, np.random.Philox, np.random.MT19937, np.random.SFC64]
)
def test_any_generator_and_a_sampler_of_its_own_resume(bits: Any) -> None:
    def make(seed: int) -> DataLoader:
        sampler = RandomSampler(range(20), generator=np.random.Generator(bits(seed)))
        generator = np.random.Generator(bits(seed + 1))
        return DataLoader(pictures(20), 3, sampler=sampler, generator=generator)

    expected = contents(make(1))
    broken = iter(loader := make(1))
    next(broken), next(broken)
    resumed = make(50)
    resumed.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    assert contents(resumed) == expected[2:]


@pytest.mark.parametrize("state", [{}, {"epoch_start": {}, "batches": 0}, {"batches": "x"}])
def test_a_wrong_state_is_a_config_error(state: Any) -> None:
    with pytest.raises(ConfigError):
        DataLoader(Squares(3)).load_state_dict(state)


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"pin_memory": True},
        {"worker_init_fn": print},
        {"multiprocessing_context": "spawn"},
        {"persistent_workers": True},
        {"in_order": False},
        {"timeout": 3},
        {"prefetch_factor": 2},
        {"num_workers": -1},
        {"batch_size": 0},
        {"batch_size": None, "drop_last": True},
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"generator": "seven"},
        {"generator": -1},
    ],
)
def test_what_cannot_be_honoured_is_refused(arguments: Any) -> None:
    with pytest.raises(ConfigError):
        DataLoader(Squares(3), **arguments)


def test_a_batch_sampler_and_a_plain_list_give_the_order() -> None:
    batches = [[2, 0], [1]]
    got = [labels.numpy().tolist() for _, labels in DataLoader(Squares(3), batch_sampler=batches)]
    assert got == [[4, 0], [1]]
    loader = DataLoader(TensorDataset(np.arange(4)), 2, sampler=[3, 1, 2])
    assert [part.numpy().tolist() for (part,) in loader] == [[3, 1], [2]]


def test_a_worker_that_is_too_slow_or_fails_is_reported() -> None:
    import time

    class Slow(Squares):
        def __getitem__(self, index: int) -> tuple[Any, int]:
            time.sleep(0.3)
            raise KeyError("the user's own")

    with pytest.raises(DataError, match="timeout"):
        next(iter(DataLoader(Slow(2), num_workers=1, timeout=0.05)))
    with pytest.raises(KeyError, match="own"):
        next(iter(DataLoader(Slow(2), num_workers=1)))


# -- samplers and data sets -----------------------------------------------------------------------


def test_samplers() -> None:
    assert list(SequentialSampler(range(3))) == [0, 1, 2]
    assert sorted(SubsetRandomSampler([5, 7, 9], generator=0)) == [5, 7, 9]
    more = list(RandomSampler(range(4), num_samples=10, generator=0))
    assert sorted(more[:4]) == sorted(more[4:8]) == [0, 1, 2, 3]
    assert len(more) == 10
    assert set(RandomSampler(range(4), replacement=True, num_samples=99, generator=0)) == {
        0,
        1,
        2,
        3,
    }
    drawn = np.array(list(WeightedRandomSampler([1.0, 0.0, 3.0], 40_000, generator=0)))
    share = np.bincount(drawn, minlength=3) / 40_000
    np.testing.assert_allclose(share, [0.25, 0, 0.75], atol=0.01)  # 4 standard deviations
    assert list(BatchSampler(range(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, drop_last=False)) == 3
    assert list(RandomSampler([])) == []


@pytest.mark.parametrize("weights", [[-1.0, 2], [np.nan, 1], [0.0, 0], [[1.0]]])
def test_bad_weights(weights: Any) -> None:
    with pytest.raises(ConfigError, match="WeightedRandomSampler"):
        WeightedRandomSampler(weights, 2)


def test_random_split_takes_counts_and_fractions() -> None:
    data = TensorDataset(np.arange(10))
    for lengths, counts in (([7, 3], [7, 3]), ([0.35, 0.35, 0.3], [4, 3, 3])):
        parts = random_split(data, lengths, generator=0)
        assert [len(part) for part in parts] == counts
        seen = sorted(int(part[i][0]) for part in parts for i in range(len(part)))
        assert seen == list(range(10))
    for wrong in ([3, 3], [0.5, 0.6], [-1, 11], [10.5]):
        with pytest.raises(ConfigError, match="random_split"):
            random_split(data, wrong)


def test_data_sets_check_what_they_are_given() -> None:
    data = TensorDataset(np.arange(4), np.arange(4) * 2)
    assert [int(part) for part in data[-1]] == [3, 6]
    assert data[1:3][0].numpy().tolist() == [1, 2]
    assert [len(part) for part in data.tensors] == [4, 4]
    assert len(data + data) == 8
    assert int((data + data)[5][0]) == 1
    for index in (4, -5):
        with pytest.raises(DimensionError, match="out of range"):
            data[index]
        with pytest.raises(DimensionError, match="out of range"):
            list(DataLoader(data, sampler=[index]))
    for wrong in ((), (np.arange(3), np.arange(4)), (np.float64(3),), ([[1], [2, 3]],)):
        with pytest.raises(DataError):
            TensorDataset(*wrong)
    with pytest.raises(DataError):
        ConcatDataset([])


def test_collate() -> None:
    batch = default_collate([{"x": 1.5, "y": (True, "a")}, {"x": 2.5, "y": (False, "b")}])
    assert batch["x"].numpy().dtype == np.float64
    assert batch["x"].numpy().tolist() == [1.5, 2.5]
    assert batch["y"][0].numpy().tolist() == [True, False]
    assert batch["y"][1] == ["a", "b"]
    for wrong in ([], [np.zeros(2), np.zeros(3)], [(1,), (1, 2)], [{"a": 1}, {"b": 1}], [None]):
        with pytest.raises(DataError, match="default_collate"):
            default_collate(wrong)


def test_manual_seed_governs_the_order() -> None:
    import chainrule

    orders: list[Any] = []
    for seed in (1, 1, 2):
        chainrule.manual_seed(seed)
        orders.append(contents(DataLoader(pictures(40), 8, shuffle=True)))
    assert orders[0] == orders[1] != orders[2]
    generator = chainrule.Generator().manual_seed(5)
    assert len(list(RandomSampler(range(4), generator=generator))) == 4


def test_a_stream_can_be_listed_though_it_has_no_length() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[int]:
            return iter(range(7))

    loader = DataLoader(Stream(), batch_size=3)
    assert [batch.tolist() for batch in list(loader)] == [[0, 1, 2], [3, 4, 5], [6]]
    with pytest.raises(TypeError, match="no length"):
        len(loader)


class Numbers(data.Dataset):
    """Counts how it is asked."""

    def __init__(self, count: int) -> None:
        self.count, self.asked = count, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        raise AssertionError("many are asked for at once")

    def __getitems__(self, indices: list[int]) -> list[Any]:
        self.asked.append(list(indices))
        return [{"number": index, "name": f"no. {index}"} for index in indices]


def test_a_data_set_that_gives_many_at_once_is_asked_for_many() -> None:
    numbers = Numbers(5)
    batches = list(data.DataLoader(numbers, batch_size=2))
    assert numbers.asked == [[0, 1], [2, 3], [4]]
    assert [batch["number"].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert batches[2]["name"] == ["no. 4"]


class Records(data.IterableDataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Any:
        for number in range(self.count):
            yield {"x": np.float32(number), "name": str(number)}

    def __len__(self) -> int:
        return self.count


def test_a_stream_without_batches_gives_sample_by_sample() -> None:
    loader = data.DataLoader(Records(3), batch_size=None)
    assert len(loader) == 3
    samples = list(loader)
    assert [sample["name"] for sample in samples] == ["0", "1", "2"]
    assert [float(sample["x"]) for sample in samples] == [0, 1, 2]
    doubled = data.DataLoader(Records(3), batch_size=None, collate_fn=lambda s: s["x"] * 2)
    assert list(doubled) == [0, 2, 4]
    assert len(data.DataLoader(Records(5), batch_size=2)) == 3
    assert len(data.DataLoader(Records(5), batch_size=2, drop_last=True)) == 2


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: data.RandomSampler("abc", num_samples=0), ConfigError, "num_samples is 0"),
        (lambda: data.WeightedRandomSampler([1.0, 2.0], 0), ConfigError, "num_samples is 0"),
        (lambda: data.ConcatDataset([Records(3)]), DataError, "no length"),
        (lambda: data.Dataset()[0], NotImplementedError, "Dataset has no __getitem__"),
        (lambda: iter(data.IterableDataset()), NotImplementedError, "no __iter__"),
        (lambda: data.Subset([1, 2], [0]).nothing, AttributeError, "'Subset'.*'nothing'"),
        (lambda: data.TensorDataset(np.array([object()])), DataError, "Python objects"),
        (lambda: data.EMNIST("x", "greek"), ConfigError, "'greek'"),
    ],
)
def test_what_a_loader_can_not_be_made_of_is_told(call: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_a_state_of_another_kind_of_generator_or_of_no_epoch_is_refused() -> None:
    loader = data.DataLoader(Numbers(4), batch_size=2, shuffle=True, generator=0)
    state = loader.state_dict()
    with pytest.raises(ConfigError, match="-1 batches"):
        loader.load_state_dict({**state, "batches": -1})
    other = {"generator": {**state["epoch_start"]["generator"], "bit_generator": "MT19937"}}
    with pytest.raises(ConfigError, match="does not fit") as raised:
        loader.load_state_dict({**state, "epoch_start": other})
    assert "the same kind of generator" in raised.value.cure


@pytest.mark.parametrize(
    ("call", "cure"),
    [
        (lambda: data.RandomSampler("abc", num_samples=0), "leave it out"),
        (lambda: data.ConcatDataset([]), "a list of data sets"),
        (lambda: data.ConcatDataset([Records(3)]), "IterableDataset of your own"),
    ],
)
def test_a_refusal_says_what_would_do(call: Any, cure: str) -> None:
    with pytest.raises((ConfigError, DataError)) as raised:
        call()
    assert cure in raised.value.cure
