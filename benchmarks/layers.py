"""Steps of two convolutional networks: LeNet-5 with momentum, and a small network with batch norm.

For information: eager convolutions are NumPy's here, and PyTorch's come from oneDNN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._pairing import Block, Comparison, Options, compare

BATCH = 64


def lenet(nn: Any) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def batch_norm_cnn(nn: Any) -> Any:
    layers: list[Any] = []
    for channels_in, channels in ((3, 32), (32, 64)):
        layers += [
            nn.Conv2d(channels_in, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 8 * 8, 10))


NETWORKS = {"lenet": (lenet, (1, 28, 28)), "batch_norm_cnn": (batch_norm_cnn, (3, 32, 32))}


def _batch(network: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, *NETWORKS[network][1]), dtype=np.float32)
    return x, rng.integers(0, 10, BATCH)


def _weights(shapes: list[tuple[int, ...]]) -> list[Any]:
    """For everybody the same: uniform by the fan-in, and 1 and 0 for what has no fan-in."""
    rng = np.random.default_rng(1)
    drawn: list[Any] = []
    for shape in shapes:
        bound = np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1
        drawn.append(rng.uniform(-bound, bound, shape).astype(np.float32))
    return drawn


def _steps(library: Any, model: Any, loss_of: Any, optimizer: Any, options: Options) -> Block:
    x, y = map(library.from_numpy, _batch(options["network"]))
    parameters = list(model.parameters())
    with library.no_grad():
        drawn = _weights([tuple(each.shape) for each in parameters])
        for parameter, array in zip(parameters, drawn, strict=True):
            parameter.copy_(library.from_numpy(array))

    def block() -> float:
        for _ in range(options["steps"]):
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    return block


def ours_tape(options: Options) -> Block:
    import chainrule
    from chainrule import nn, optim

    model = NETWORKS[options["network"]][0](nn)
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _steps(chainrule, model, nn.CrossEntropyLoss(), optimizer, options)


def _torch(options: Options, **settings: Any) -> Block:
    import torch

    torch.set_num_threads(options["threads"])
    model = NETWORKS[options["network"]][0](torch.nn)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, **settings)
    return _steps(torch, model, torch.nn.CrossEntropyLoss(), optimizer, options)


def torch_plain(options: Options) -> Block:
    return _torch(options)


def torch_fused(options: Options) -> Block:
    return _torch(options, fused=True)


PEERS = {"PyTorch eager": "torch_plain", "PyTorch eager, fused SGD": "torch_fused"}

COMPARISONS = (
    Comparison(
        "LeNet-5 on 1x28x28, batch 64, one step of SGD with momentum",
        {"chainrule, tape": "ours_tape"},
        PEERS,
        steps=10,
        tolerance=0.05,
        options={"network": "lenet"},
    ),
    Comparison(
        "conv-BN 32-64 on 3x32x32, batch 64, one step of SGD with momentum",
        {"chainrule, tape": "ours_tape"},
        PEERS,
        steps=3,
        tolerance=0.05,
        options={"network": "batch_norm_cnn"},
    ),
)

if __name__ == "__main__":
    compare("layers", __doc__, COMPARISONS, blocks=5)
