"""A network of 1-16-16-1 with tanh, batches of 32, mean squared error, one step of SGD.

There is little to compute: what is measured is what each op, layer and step costs beside it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks._pairing import Block, Comparison, Options, compare

SIZES, BATCH, RATE = (1, 16, 16, 1), 32, 0.05


def weights() -> list[Any]:
    """The same initial weights and biases for everybody."""
    rng = np.random.default_rng(0)
    drawn: list[Any] = []
    for fan_in, fan_out in pairwise(SIZES):
        bound = fan_in**-0.5
        drawn.append(rng.uniform(-bound, bound, (fan_out, fan_in)).astype(np.float32))
        drawn.append(rng.uniform(-bound, bound, fan_out).astype(np.float32))
    return drawn


def points() -> tuple[Any, Any]:
    x = np.linspace(-1, 1, BATCH, dtype=np.float32).reshape(BATCH, 1)
    return x, np.sin(3 * x)


def network(nn: Any) -> Any:
    return nn.Sequential(
        nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)
    )


def _steps(model: Any, loss_of: Any, optimizer: Any, x: Any, y: Any, steps: int) -> Block:
    def block() -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    return block


def _ours() -> tuple[Any, ...]:
    import chainrule
    from chainrule import nn, optim

    model = network(nn)
    model.load_state_dict(
        dict(zip(model.state_dict(), map(chainrule.tensor, weights()), strict=True))
    )
    x, y = map(chainrule.tensor, points())
    return model, nn.MSELoss(), optim.SGD(model.parameters(), lr=RATE), x, y


def ours_tape(options: Options) -> Block:
    return _steps(*_ours(), options["steps"])


def ours_layers(options: Options) -> Block:
    from chainrule import nn

    model, loss_of, optimizer, x, y = _ours()
    engine = nn.LayerEngine(model, loss_of)

    def block() -> float:
        for _ in range(options["steps"]):
            optimizer.zero_grad()
            loss, _ = engine.forward(x, y)
            engine.backward()
            optimizer.step()
        return loss.item()

    return block


def _torch(options: Options, **settings: Any) -> Block:
    import torch

    torch.set_num_threads(options["threads"])
    model = network(torch.nn)
    with torch.no_grad():
        for parameter, drawn in zip(model.parameters(), weights(), strict=True):
            parameter.copy_(torch.from_numpy(drawn))
    x, y = map(torch.from_numpy, points())
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, **settings)
    return _steps(model, torch.nn.MSELoss(), optimizer, x, y, options["steps"])


def torch_plain(options: Options) -> Block:
    return _torch(options)


def torch_fused(options: Options) -> Block:
    return _torch(options, fused=True)


def torch_alone(options: Options) -> Block:
    return _torch({**options, "threads": 1}, fused=True)


COMPARISONS = (
    Comparison(
        "MLP 1-16-16-1, tanh, batch 32, one step of SGD",
        {"chainrule, tape": "ours_tape", "chainrule, layer engine": "ours_layers"},
        {
            "PyTorch eager": "torch_plain",
            "PyTorch eager, fused SGD": "torch_fused",
            "PyTorch eager, fused SGD, 1 thread": "torch_alone",
        },
        steps=300,
        target=0.7,
    ),
)

if __name__ == "__main__":
    compare("tiny_mlp", __doc__, COMPARISONS, blocks=15)
