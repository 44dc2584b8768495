"""`Compiled.over` is a loop over a loader's batches: the same ones, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn, optim
from chainrule.data import DataLoader, Dataset, TensorDataset
from chainrule.nn import functional as F
from chainrule.tensor import Tensor


def training() -> tuple[Any, Callable[..., Any]]:
    chainrule.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x: Tensor, y: Tensor) -> Any:
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach(), "hits": (logits.detach().argmax(1) == y).sum()}

    return model, step


@pytest.fixture
def samples(rng: Any) -> tuple[Tensor, Tensor]:
    x = rng.standard_normal((22, 4)).astype(np.float32)
    return chainrule.from_numpy(x), chainrule.from_numpy(rng.integers(0, 3, 22))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("as_set", [False, True])
def test_an_epoch_is_the_loop_over_a_loader(
    samples: tuple[Tensor, Tensor], drop_last: bool, shuffle: bool, as_set: bool
) -> None:
    data = TensorDataset(*samples)
    model, step = training()
    expected: list[Any] = []
    for epoch in range(2):
        loader = DataLoader(data, 5, shuffle, generator=epoch, drop_last=drop_last)
        results = [step(x, y) for x, y in loader]
        expected.append([[each[k].item() for each in results] for k in ("loss", "hits")])
    weights = [each.detach().numpy().tobytes() for each in model.parameters()]

    model, step = training()
    step = chainrule.compile(step, backend="numpy")
    found: list[Any] = []
    for epoch in range(2):
        given = (data,) if as_set else samples
        result = step.over(
            *given, batch_size=5, shuffle=shuffle, generator=epoch, drop_last=drop_last
        )
        assert result["loss"].shape == (4 if drop_last else 5,)
        found.append([result["loss"].tolist(), result["hits"].tolist()])
    assert found == expected
    assert weights == [each.detach().numpy().tobytes() for each in model.parameters()]
    assert step.count == 1


def test_results_of_a_ragged_batch_are_listed(samples: tuple[Tensor, Tensor]) -> None:
    double = chainrule.compile(lambda x: x * 2, backend="numpy")
    parts = double.over(samples[0], batch_size=8)
    assert [each.shape for each in parts] == [(8, 4), (8, 4), (6, 4)]
    assert chainrule.cat(parts).equal(samples[0] * 2)
    assert double.over(samples[0], batch_size=11).shape == (2, 11, 4)


def test_a_data_set_of_one_s_own() -> None:
    class Squares(Dataset):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> Any:
            return np.float32(index), np.float32(index**2)

    gap = chainrule.compile(lambda x, y: (y - x).sum(), backend="numpy")
    assert gap.over(Squares(), batch_size=3).tolist() == [2.0, 38.0]


def test_no_batches_give_none() -> None:
    assert (
        chainrule.compile(lambda x: x, backend="numpy").over(np.zeros((0, 2)), batch_size=3) is None
    )
