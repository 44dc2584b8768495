"""The recipe of `to_99`, and PyTorch's script for it, as short and as fast as it goes.

The pictures are read and normalised once; a batch is one gather; the optimizer is fused; nothing is
printed or saved on the way. The schedule is the command line's own one-cycle.
"""

from __future__ import annotations

import gzip
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._compiled_workloads import MEAN, STD, Layer, Workload, flops

SAMPLES = 60_000


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained to 99 %.

    Attributes:
        name: what it is, for people.
        layers: the network.
        epochs, batch, rate: of Adam, under the one-cycle schedule.
        smoothing: of the labels.
        arguments: what `chainrule train mnist` is told to do the same.
    """

    name: str
    layers: tuple[Layer, ...]
    epochs: int
    batch: int
    rate: float
    smoothing: float
    arguments: tuple[str, ...]

    def flops(self) -> int:
        """Of all steps; the test's not counted."""
        one = Workload("", "", self.layers, (1, 28, 28), 1, "", 0, 0, "", 0, 0)
        return flops(one) * SAMPLES * self.epochs


RECIPE = Recipe(
    "conv 6 (5x5, stride 2), conv 12, pool, conv 24, each with batch norm and ReLU; linear 10",
    (
        Layer("conv", 1, 6, side=5, stride=2, padding=2),
        Layer("norm", 6, 6),
        Layer("relu"),
        Layer("conv", 6, 12, side=3),
        Layer("norm", 12, 12),
        Layer("relu"),
        Layer("pool", side=2),
        Layer("conv", 12, 24, side=3),
        Layer("norm", 24, 24),
        Layer("relu"),
        Layer("flatten"),
        Layer("linear", 384, 10),
    ),
    epochs=2,
    batch=64,
    rate=0.01,
    smoothing=0.0,
    arguments=(
        *("--model", "small", "--engine", "compiled", "--epochs", "2", "--batch-size", "64"),
        *("--optimizer", "adam", "--lr", "0.01", "--schedule", "one-cycle", "--validation", "0"),
    ),
)


def one_cycle(highest: float, step: int, steps: int) -> float:
    """The rate of one step: up along a cosine for a quarter of the steps, down along another."""
    last = steps - 1
    peak = 0.25 * last
    if step < peak:
        return _between(highest / 25, highest, step / peak)
    return _between(highest, highest / 25e4, (step - peak) / (last - peak))


def _between(begin: float, end: float, part: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * part)) / 2


def _read(part: str, torch: Any) -> tuple[Any, Any]:
    """Normalised pictures [n, 1, 28, 28] and labels, from the IDX files."""
    folder = Path(os.environ["CHAINRULE_DATA"]) / "mnist"
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    x = torch.from_numpy(pictures.astype(np.float32))
    return x.div_(255 * STD).sub_(MEAN / STD), torch.from_numpy(labels)


def train(seed: int, threads: int, form: str) -> float:
    """The test accuracy of one seed; `form` is `eager`, `channels-last` or `compile`."""
    import torch

    from benchmarks._peers_torch import network

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = network(torch.nn, RECIPE.layers)
    last = torch.channels_last if form == "channels-last" else torch.contiguous_format
    model.to(memory_format=last)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=RECIPE.smoothing)
    optimizer = torch.optim.Adam(model.parameters(), lr=RECIPE.rate, fused=True)
    x, y = _read("train", torch)

    def loss_of(x: Any, y: Any) -> Any:
        return criterion(model(x), y)

    forward = torch.compile(loss_of) if form == "compile" else loss_of
    steps = RECIPE.epochs * math.ceil(SAMPLES / RECIPE.batch)
    step = 0
    for _ in range(RECIPE.epochs):
        for picked in torch.randperm(SAMPLES).split(RECIPE.batch):
            optimizer.param_groups[0]["lr"] = one_cycle(RECIPE.rate, step, steps)
            optimizer.zero_grad()
            forward(x[picked].contiguous(memory_format=last), y[picked]).backward()
            optimizer.step()
            step += 1
    return _test(model, last, torch)


def _test(model: Any, last: Any, torch: Any) -> float:
    model.eval()
    x, y = _read("t10k", torch)
    with torch.inference_mode():
        right = sum(
            int((model(a.contiguous(memory_format=last)).argmax(1) == b).sum())
            for a, b in zip(x.split(1000), y.split(1000))
        )
    return right / len(y)


if __name__ == "__main__":
    accuracy = train(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    Path(sys.argv[4]).write_text(str(accuracy))
