"""Batches of fewer rows run through the program of the full ones, and give what they must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import nn, optim
from chainrule.nn import functional as F

SIZES = (8, 8, 5, 8, 1, 7, 8)


def rows(size: int, shape: tuple[int, ...], seed: int) -> tuple[chainrule.Tensor, chainrule.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((size, *shape)).astype(np.float32)
    return chainrule.tensor(x), chainrule.tensor(rng.integers(0, 10, size))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (
        lambda: nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 10)),
        (6,),
    ),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(6, 30), nn.Tanh(), nn.Dropout(0.5), nn.Linear(30, 10)),
        (6,),
    ),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(6, 7), nn.LayerNorm(7), nn.GELU(), nn.Linear(7, 10)),
        (6,),
    ),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 3),
            nn.Flatten(),
            nn.Linear(16, 10),
        ),
        (1, 8, 8),
    ),
    "batch norm": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 10),
        ),
        (2, 6, 6),
    ),
}

LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "cross entropy": F.cross_entropy,
    "smoothed": lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1),
    "sum": lambda out, y: F.cross_entropy(out, y, reduction="sum"),
    "each": lambda out, y: F.cross_entropy(out, y, reduction="none").mean(),
    "squares": lambda out, y: F.mse_loss(out, F.one_hot(y, 10).float()),
    "binary": lambda out, y: F.binary_cross_entropy_with_logits(out, F.one_hot(y, 10).float()),
}

OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
}


def training(model: nn.Module, optimizer: optim.Optimizer, loss_of: Any) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        out = model(x)
        loss = loss_of(out, y)
        loss.backward()
        optimizer.step()
        return loss.detach(), (out.argmax(1) == y).sum(), out.detach()

    return step


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", MODELS)
def test_ragged_batches_train_as_they_do_in_plain_python(kind: str, loss: str) -> None:
    make, shape = MODELS[kind]
    # (Adam makes steps of the rounding in the gradient of a bias that batch norm takes away.)
    adam = loss == "smoothed" and kind != "batch norm"
    optimizer_of = OPTIMIZERS["adam" if adam else "sgd"]
    # One row alone: batch norm refuses it, and the mean of one loss needs no broadcasting.
    sizes = [size for size in SIZES if size > 1 or (kind != "batch norm" and loss != "each")]
    ends: list[Any] = []
    for compiled in (False, True):
        chainrule.manual_seed(0)
        model = make()
        optimizer = optimizer_of(model.parameters())
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=20)
        step: Any = training(model, optimizer, LOSSES[loss])
        step = chainrule.compile(step) if compiled else step
        found: list[Any] = []
        for turn, size in enumerate(sizes):
            found.append(step(*rows(size, shape, turn)))
            schedule.step()
        state = [each.detach().numpy() for each in model.state_dict().values()]
        ends.append((found, state, chainrule.rand(2).numpy()))
        if compiled:
            assert step.count == 1
            assert "plain Python" not in step.explain()
    (expected, state, drawn), (found, mine, mine_drawn) = ends
    for (a, hits, out), (b, right, expected_out) in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-5, atol=2e-6)
        assert hits.item() == right.item()
        assert out.shape == expected_out.shape
        np.testing.assert_allclose(out.numpy(), expected_out.numpy(), rtol=2e-3, atol=2e-4)
    for a, b in zip(mine, state, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
    np.testing.assert_array_equal(mine_drawn, drawn)  # the generator is where it must be


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(["perceptron", "dropout", "convolutions"]), st.integers(3, 12), st.data())
def test_any_smaller_size_of_any_batch_does_as_plain_python(
    kind: str, size: int, data: Any
) -> None:
    """Sizes that are a layer's width as well, too."""
    few = data.draw(st.integers(2, size - 1))
    make, shape = MODELS[kind]
    ends: list[Any] = []
    for compiled in (False, True):
        chainrule.manual_seed(0)
        model = make()
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        step: Any = training(model, optimizer, F.cross_entropy)
        step = chainrule.compile(step, backend="numpy") if compiled else step
        found = [step(*rows(each, shape, each))[2].numpy() for each in (size, size, few, size)]
        ends.append([*found, *[each.detach().numpy() for each in model.parameters()]])
        if compiled:
            assert step.count == 1
            assert "plain Python" not in step.explain()
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


def test_an_epoch_with_a_ragged_end_compiles_once() -> None:
    chainrule.manual_seed(0)
    model = nn.Linear(6, 10)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = chainrule.compile(training(model, optimizer, F.cross_entropy))
    x, y = rows(43, (6,), 1)
    for _ in range(12):
        step.over(x, y, batch_size=8, shuffle=True)
    assert step.count == 1


def across_rows(out: Any) -> Any:
    return (out @ out.T).sum()


def largest_row(out: Any) -> Any:
    return out.amax(0).sum()


def in_order_of_rows(out: Any) -> Any:
    return out.cumsum(0).sum()


def by_size(out: Any) -> Any:
    return out.sum() if out.shape[0] < 8 else out.mean()


@pytest.mark.parametrize("loss", [across_rows, largest_row, in_order_of_rows, by_size])
def test_where_rows_meet_in_other_ways_they_are_left_to_plain_python(loss: Any) -> None:
    ends: list[Any] = []
    for compiled in (False, True):
        chainrule.manual_seed(0)
        model = nn.Linear(6, 10)
        optimizer = optim.SGD(model.parameters(), lr=0.01)
        step: Any = training(model, optimizer, lambda out, y: loss(out))
        step = chainrule.compile(step) if compiled else step
        for turn, size in enumerate((8, 5, 8, 3)):
            step(*rows(size, (6,), turn))
        if compiled:
            assert "plain Python" in step.explain()
        ends.append(model.weight.detach().numpy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-4, atol=1e-5)


MADE_OF_ZEROS: dict[str, Callable[[Any], Any]] = {
    "quotient of an exponential": lambda z: 1 / (z.exp() - 1),
    "logarithm of a logarithm": lambda z: (z + 1).log().log(),
    "quotient of a cosine": lambda z: 1 / (1 - z.cos()),
    "quotient of a comparison": lambda z: 1 / (z > 0).float(),
}


@pytest.mark.parametrize("name", MADE_OF_ZEROS)
def test_what_is_made_of_masked_zeros_spoils_nothing(name: str) -> None:
    ends: list[Any] = []
    for compiled in (False, True):
        chainrule.manual_seed(0)
        model = nn.Linear(6, 3)
        weight = chainrule.ones(1, requires_grad=True)
        bias = chainrule.zeros(1, requires_grad=True)
        optimizer = optim.SGD([*model.parameters(), weight, bias], lr=1e-9)

        def loss_of(out: Any, y: Any, w: Any = weight, b: Any = bias) -> Any:
            z = (out**2).sum(1)  # its sum asks for a mask: zeros in the rows beyond
            return z.sum() + ((MADE_OF_ZEROS[name](z) * w + b) ** 2).sum()

        step: Any = training(model, optimizer, loss_of)
        step = chainrule.compile(step) if compiled else step
        for turn, size in enumerate((6, 6, 4, 6)):
            step(*rows(size, (6,), turn))
        if compiled:
            assert step.count == 1
            assert "plain Python" not in step.explain()
        ends.append([each.detach().numpy() for each in (*model.parameters(), weight, bias)])
    for found, expected in zip(ends[1], ends[0], strict=True):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_the_infinite_loss_of_a_real_row_stays() -> None:
    weight = chainrule.ones(2, requires_grad=True)
    optimizer = optim.SGD([weight], lr=0.1)

    @chainrule.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        each = (x * weight).sum(1)
        loss = chainrule.where(each > 0, each, 0).log1p().sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    full = chainrule.tensor([[1.0, 2.0], [3.0, 4.0], [0.5, 0.5]])
    step(full)
    few = chainrule.tensor([[-1.0, -2.0], [1.0, float("inf")]])
    assert step(few).item() == float("inf")  # that of the second row; and not NaN


def test_what_a_function_counts_in_python_is_counted_once() -> None:
    model = nn.Linear(6, 10)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    calls = 0

    @chainrule.compile
    def step(x: Any, y: Any) -> None:
        nonlocal calls
        calls += 1
        training(model, optimizer, F.cross_entropy)(x, y)

    for size in (8, 8, 5, 8):
        step(*rows(size, (6,), size))
    assert (calls, step.count) == (1, 1)


def test_a_wrong_class_in_a_ragged_batch_is_refused_as_ever() -> None:
    model = nn.Linear(6, 10)
    step = chainrule.compile(
        training(model, optim.SGD(model.parameters(), lr=0.1), F.cross_entropy)
    )
    x, y = rows(8, (6,), 0)
    step(x, y)
    before = model.weight.detach().numpy().copy()
    with pytest.raises((chainrule.errors.ChainruleError, IndexError)):
        step(x[:3], chainrule.tensor([1, 2, 77]))
    np.testing.assert_array_equal(model.weight.detach().numpy(), before)
    step(x, y)
    step(x[:3], y[:3])
    assert step.count == 1
