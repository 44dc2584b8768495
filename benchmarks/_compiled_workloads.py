"""The networks that `compiled` measures, told once for everybody: layers, weights, batches, FLOPs.

A network is a row of layers without a library; each peer builds its own from it. Weights are drawn
in PyTorch's layout. Batches lie in memory ready to be used: a step takes the next one, and nobody
gathers or converts while the clock runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

Kind = Literal["linear", "conv", "norm", "relu", "tanh", "pool", "mean", "flatten"]
MEAN, STD = 0.1307, 0.3081
MOMENTUM = 0.9


@dataclass(frozen=True)
class Layer:
    """One layer. `given` and `made` are channels or features; `side` is what pools look at."""

    kind: Kind
    given: int = 0
    made: int = 0
    side: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = True


@dataclass(frozen=True)
class Workload:
    """What is trained, how, and what is asked of us.

    Attributes:
        name: what `--only` takes.
        title: for the table.
        layers: the network.
        shape: of one sample.
        batch: samples in a step.
        rule: `sgd`, `momentum` (0.9) or `adam`.
        rate: the learning rate.
        steps: how many steps a block has, and how many batches there are.
        data: `mnist`, `noise` (random pictures and labels), `wave` (a sine) or `sides` (two
            classes on the sides of a curved surface).
        torch, jax: how many times faster we shall be; `share`: of the machine's peak.
        step_a_call: whether only the forms that make one step a call are compared.
        tolerance: how far the losses may be apart after the first block: rounding grows with steps.
    """

    name: str
    title: str
    layers: tuple[Layer, ...]
    shape: tuple[int, ...]
    batch: int
    rule: str
    rate: float
    steps: int
    data: str
    torch: float
    jax: float
    share: float | None = None
    step_a_call: bool = False
    tolerance: float = 0.01

    @property
    def convolves(self) -> bool:
        """Whether it has convolutions, so that layouts matter."""
        return any(each.kind == "conv" for each in self.layers)


def perceptron(*sizes: int, activation: Kind = "relu") -> tuple[Layer, ...]:
    """Linear layers with activations between them."""
    layers: list[Layer] = []
    for given, made in pairwise(sizes):
        layers += [Layer("linear", given, made), Layer(activation)]
    return tuple(layers[:-1])


def _lenet() -> tuple[Layer, ...]:
    return (
        Layer("conv", 1, 6, side=5, padding=2),
        Layer("relu"),
        Layer("pool", side=2),
        Layer("conv", 6, 16, side=5),
        Layer("relu"),
        Layer("pool", side=2),
        Layer("flatten"),
        *perceptron(400, 120, 84, 10),
    )


def _example() -> tuple[Layer, ...]:
    return (
        Layer("conv", 1, 32, side=3),
        Layer("relu"),
        Layer("conv", 32, 64, side=3),
        Layer("relu"),
        Layer("pool", side=2),
        Layer("flatten"),
        *perceptron(9216, 128, 10),
    )


def _normalised() -> tuple[Layer, ...]:
    layers: list[Layer] = []
    given = 3
    for made, stride in ((16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)):
        layers += [
            Layer("conv", given, made, side=3, stride=stride, padding=1, bias=False),
            Layer("norm", made, made),
            Layer("relu"),
        ]
        given = made
    return (*layers, Layer("mean", side=8), Layer("flatten"), Layer("linear", 64, 10))


WORKLOADS = (
    Workload(
        "mlp",
        "MLP 784-128-10, batch 128, SGD, an epoch",
        perceptron(784, 128, 10),
        (784,),
        128,
        "sgd",
        0.1,
        steps=468,
        data="mnist",
        torch=3.0,
        jax=1.7,
        share=0.75,
    ),
    Workload(
        "wide",
        "MLP 784-512-512-10, batch 128, Adam",
        perceptron(784, 512, 512, 10),
        (784,),
        128,
        "adam",
        1e-3,
        steps=100,
        data="mnist",
        torch=1.3,
        jax=1.3,
        share=0.75,
        tolerance=0.03,
    ),
    Workload(
        "lenet",
        "LeNet-5, batch 64, SGD with momentum",
        _lenet(),
        (1, 28, 28),
        64,
        "momentum",
        0.01,
        steps=60,
        data="mnist",
        torch=6.0,
        jax=10.0,
        share=0.65,
    ),
    Workload(
        "example",
        "conv 1-32-64, FC 9216-128-10, batch 64, SGD",
        _example(),
        (1, 28, 28),
        64,
        "sgd",
        0.02,
        steps=8,
        data="mnist",
        torch=1.8,
        jax=6.0,
        share=0.78,
    ),
    Workload(
        "norm",
        "BN-CNN 3x32x32, batch 64, SGD with momentum",
        _normalised(),
        (3, 32, 32),
        64,
        "momentum",
        0.01,
        steps=8,
        data="noise",
        torch=1.6,
        jax=3.0,
        share=0.65,
    ),
    Workload(
        "tiny",
        "MLP 1-16-16-1, tanh, batch 32, SGD, a step a call",
        perceptron(1, 16, 16, 1, activation="tanh"),
        (1,),
        32,
        "sgd",
        0.05,
        steps=500,
        data="wave",
        torch=40.0,
        jax=3.0,
        step_a_call=True,
    ),
    Workload(
        "small",
        "MLP 8-64-64-2, batch 64, Adam, a step a call",
        perceptron(8, 64, 64, 2),
        (8,),
        64,
        "adam",
        1e-3,
        steps=200,
        data="sides",
        torch=40.0,
        jax=3.0,
        step_a_call=True,
    ),
)
BY_NAME = {each.name: each for each in WORKLOADS}


def weights(layers: tuple[Layer, ...], seed: int = 0) -> list[Any]:
    """Initial parameters in the order and layout of PyTorch's `parameters()`: uniform by fan-in."""
    rng = np.random.default_rng(seed)
    drawn: list[Any] = []
    for layer in layers:
        if layer.kind == "norm":
            drawn += [np.ones(layer.made, np.float32), np.zeros(layer.made, np.float32)]
        if layer.kind not in ("linear", "conv"):
            continue
        window = (layer.side, layer.side) if layer.kind == "conv" else ()
        bound = (layer.given * math.prod(window)) ** -0.5
        shape = (layer.made, layer.given, *window)
        drawn.append(rng.uniform(-bound, bound, shape).astype(np.float32))
        if layer.bias:
            drawn.append(rng.uniform(-bound, bound, layer.made).astype(np.float32))
    return drawn


def has_mnist() -> bool:
    """Whether real MNIST is at hand; where it is not, drawn digits take its place."""
    from chainrule.data import locate
    from chainrule.errors import ChainruleError

    try:
        locate("mnist", allow_download=False)
    except ChainruleError:
        return False
    return True


def batches(workload: Workload, steps: int) -> tuple[Any, Any]:
    """Inputs [steps, batch, *shape] in float32 and targets [steps, batch]: the same for everybody.

    Targets are int64 classes, or for `wave` float32 [steps, batch, 1].
    """
    rng = np.random.default_rng(1)
    front = (steps, workload.batch)
    if workload.data == "mnist":
        return _digits(steps * workload.batch, (*front, *workload.shape), rng)
    if workload.data == "wave":
        x = rng.uniform(-1, 1, (*front, 1)).astype(np.float32)
        return x, np.sin(3 * x)
    x = rng.standard_normal((*front, *workload.shape), dtype=np.float32)
    if workload.data == "sides":
        return x, (np.sin(x).sum(-1) > 0).astype(np.int64)
    return x, rng.integers(0, 10, front)


def _digits(count: int, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Any, Any]:
    from chainrule.data import load

    arrays = load("mnist" if has_mnist() else "drawn", allow_download=False)
    picked = rng.permutation(len(arrays.train_images))[:count]
    x = arrays.train_images[picked].astype(np.float32)
    x /= 255
    x -= MEAN
    x /= STD
    return x.reshape(shape), arrays.train_labels[picked].astype(np.int64).reshape(shape[:2])


def shapes(workload: Workload) -> Iterator[tuple[Layer, tuple[int, ...]]]:
    """Each layer with the shape of what it makes of one sample."""
    shape = workload.shape
    for layer in workload.layers:
        if layer.kind == "conv":
            side = (shape[1] + 2 * layer.padding - layer.side) // layer.stride + 1
            shape = (layer.made, side, side)
        elif layer.kind in ("pool", "mean"):
            shape = (shape[0], shape[1] // layer.side, shape[2] // layer.side)
        elif layer.kind == "flatten":
            shape = (math.prod(shape),)
        elif layer.kind == "linear":
            shape = (layer.made,)
        yield layer, shape


def flops(workload: Workload) -> int:
    """Floating-point operations of one step's matrix products and convolutions, two to a product.

    Forwards 2 K for each number that a layer makes, K the terms of its sum; as many again for the
    weights' gradient, and for the input's, which the first layer does not need. Nothing else
    counts: neither activations, norms, pools and losses nor the optimizer.
    """
    total, first = 0, True
    for layer, shape in shapes(workload):
        if layer.kind not in ("linear", "conv"):
            continue
        terms = layer.given * layer.side**2
        total += 2 * terms * math.prod(shape) * (2 if first else 3)
        first = False
    return total * workload.batch
