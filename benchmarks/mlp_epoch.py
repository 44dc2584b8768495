"""One epoch of the MNIST MLP, 784-128-10, in batches of 128 with SGD: on the tape, and layer-wise.

Everything is in memory as normalised float32; a batch is a gather by the same shuffled indices. A
block is an epoch. Real MNIST where CHAINRULE_DATA (or the cache) has it, else drawn digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks._pairing import Block, Comparison, Options, compare

BATCH, RATE, MEAN, STD = 128, 0.1, 0.1307, 0.3081


def pictures() -> tuple[Any, Any]:
    """Normalised pictures as rows, and their labels."""
    from chainrule.data import load
    from chainrule.errors import ChainruleError

    try:
        arrays = load("mnist", allow_download=False)
    except ChainruleError:
        arrays = load("drawn")
    x = arrays.train_images.reshape(-1, 784).astype(np.float32)
    x /= 255
    x -= MEAN
    x /= STD
    return x, arrays.train_labels.astype(np.int64)


def weights() -> list[Any]:
    """The same initial weights and biases for everybody."""
    rng = np.random.default_rng(0)
    drawn: list[Any] = []
    for fan_in, fan_out in ((784, 128), (128, 10)):
        bound = fan_in**-0.5
        drawn.append(rng.uniform(-bound, bound, (fan_out, fan_in)).astype(np.float32))
        drawn.append(rng.uniform(-bound, bound, fan_out).astype(np.float32))
    return drawn


def epochs(count: int, wrap: Callable[[Any], Any]) -> Iterator[list[Any]]:
    """For each epoch the indices of its batches: the same for everybody."""
    rng = np.random.default_rng(1)
    while True:
        order = rng.permutation(count)
        yield [wrap(order[start : start + BATCH]) for start in range(0, count, BATCH)]


def _ours() -> tuple[Any, ...]:
    import chainrule
    from chainrule import nn, optim

    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    model.load_state_dict(
        dict(zip(model.state_dict(), map(chainrule.tensor, weights()), strict=True))
    )
    x, y = map(chainrule.from_numpy, pictures())
    batches = epochs(len(x), chainrule.from_numpy)
    return model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=RATE), x, y, batches


def ours_tape(options: Options) -> Block:
    return _on_the_tape(*_ours())


def ours_layers(options: Options) -> Block:
    from chainrule import nn

    model, loss_of, optimizer, x, y, batches = _ours()
    engine = nn.LayerEngine(model, loss_of)

    def block() -> float:
        for picked in next(batches):
            optimizer.zero_grad()
            loss, _ = engine.forward(x[picked], y[picked])
            engine.backward()
            optimizer.step()
        return loss.item()

    return block


def _on_the_tape(
    model: Any, loss_of: Any, optimizer: Any, x: Any, y: Any, batches: Iterator[list[Any]]
) -> Block:
    def block() -> float:
        for picked in next(batches):
            optimizer.zero_grad()
            loss = loss_of(model(x[picked]), y[picked])
            loss.backward()
            optimizer.step()
        return loss.item()

    return block


def by_hand(options: Options) -> Block:
    """The same arithmetic with nothing around it: what eager execution over NumPy can reach."""
    first, first_bias, second, second_bias = weights()
    x, y = pictures()
    batches = epochs(len(x), np.asarray)
    rate = np.float32(RATE)

    def block() -> float:
        for picked in next(batches):
            inputs, labels = x.take(picked, 0), y.take(picked)
            rows = np.arange(len(labels))
            hidden = inputs @ first.T
            hidden += first_bias
            np.maximum(hidden, 0, out=hidden)
            logits = hidden @ second.T
            logits += second_bias
            logits -= logits.max(1, keepdims=True)
            p = np.exp(logits)
            total = p.sum(1, keepdims=True)
            loss = (np.log(total)[:, 0] - logits[rows, labels]).mean()
            p /= total
            p[rows, labels] -= 1
            p /= np.float32(len(labels))
            hidden_bar = p @ second
            hidden_bar *= hidden > 0
            second[...] -= rate * (p.T @ hidden)
            second_bias[...] -= rate * p.sum(0)
            first[...] -= rate * (hidden_bar.T @ inputs)
            first_bias[...] -= rate * hidden_bar.sum(0)
        return float(loss)

    return block


def _torch(options: Options, **settings: Any) -> Block:
    import torch
    from torch import nn

    torch.set_num_threads(options["threads"])
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    with torch.no_grad():
        for parameter, drawn in zip(model.parameters(), weights(), strict=True):
            parameter.copy_(torch.from_numpy(drawn))
    x, y = map(torch.from_numpy, pictures())
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, **settings)
    batches = epochs(len(x), torch.from_numpy)
    return _on_the_tape(model, nn.CrossEntropyLoss(), optimizer, x, y, batches)


def torch_plain(options: Options) -> Block:
    return _torch(options)


def torch_fused(options: Options) -> Block:
    return _torch(options, fused=True)


COMPARISONS = (
    Comparison(
        "MNIST MLP 784-128-10, batch 128, SGD, one epoch",
        {
            "chainrule, tape": "ours_tape",
            "chainrule, layer engine": "ours_layers",
            "NumPy by hand": "by_hand",
        },
        {"PyTorch eager": "torch_plain", "PyTorch eager, fused SGD": "torch_fused"},
        steps=1,
        target=0.9,
        tolerance=0.05,  # hundreds of steps of rounding apart
    ),
)

if __name__ == "__main__":
    compare("mlp_epoch", __doc__, COMPARISONS, blocks=7)
