"""Every layer, loss and optimizer, as machine code, does what it does eagerly: forward, backward,
running statistics, what is drawn at random, the state of the optimizer, step after step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.compile.native_oracle import Array, assert_close, graph_of, refused

import chainrule
from chainrule import nn, optim
from chainrule.autograd import grad
from chainrule.compile.native import NativeExecutable, build
from chainrule.core.base import as_tuple
from chainrule.nn import functional as F
from chainrule.ops.generator import default_generator
from chainrule.tensor import Tensor

Build = Callable[[], nn.Module]
Kept = dict[str, Array]
STEPS = 3


def everything(module: nn.Module, optimizer: optim.Optimizer | None = None) -> Kept:
    """All that a step may change."""
    kept = {name: each.numpy().copy() for name, each in module.state_dict().items()}
    kept["random"] = np.array(default_generator.get_state().tolist())
    if optimizer is not None:
        for index, states in optimizer.state_dict()["state"].items():
            for name, each in states.items():
                number = each.numpy() if isinstance(each, Tensor) else each
                kept[f"{index}.{name}"] = np.array(number)
    return kept


def assert_same(found: Sequence[Array], expected: Sequence[Tensor], rounding: float) -> None:
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert_close(one, other.detach().numpy(), rounding, f"result {index}")


def assert_same_state(found: Kept, expected: Kept, rounding: float) -> None:
    assert found.keys() == expected.keys()
    for name, each in found.items():
        assert_close(each, expected[name], rounding, name)


def derivatives(module: nn.Module, *xs: Tensor) -> tuple[Tensor, ...]:
    """A layer's outputs, and the gradients of its inputs and parameters."""
    leaves = [x.requires_grad_() for x in xs if x.dtype.is_floating_point]
    ys = as_tuple(module(*xs))
    ys = tuple([each for y in ys for each in as_tuple(y)])
    weights = [np.cos(np.arange(y.numel()) + 0.5).reshape(y.shape) for y in ys]
    total = sum((y * chainrule.tensor(w.astype(np.float32))).sum() for y, w in zip(ys, weights))
    sources = [*leaves, *[p for p in module.parameters() if p.requires_grad]]
    bars = grad(total, sources, allow_unused=True)
    return (*[y.detach() for y in ys], *[bar for bar in bars if bar is not None])


def compare_layer(make: Build, inputs: Sequence[Array], rounding: float = 3) -> NativeExecutable:
    """A layer's derivatives, eager and compiled, a few times."""
    chainrule.manual_seed(3)
    eager = make()
    results = [derivatives(eager, *map(chainrule.tensor, inputs)) for _ in range(STEPS)]
    after = everything(eager)
    chainrule.manual_seed(3)
    compiled = make()
    before = everything(compiled)
    graph, state = graph_of(lambda *xs: derivatives(compiled, *xs), *inputs)
    assert_same_state(everything(compiled), before, 0)  # nothing has happened yet
    program = build(graph)
    for expected in results:
        assert_same(program.run(inputs, state), expected, rounding)
    assert not refused(program)
    assert_same_state(everything(compiled), after, rounding)
    return program


# ---- layers ----------------------------------------------------------------------------------

VECTORS, SEQUENCES, IMAGES = (6, 8), (3, 4, 10), (3, 4, 8, 9)

ACTIVATIONS = (
    *("CELU", "ELU", "GELU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Mish"),
    *("LeakyReLU", "LogSigmoid", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softplus", "Softshrink"),
    *("Softsign", "Tanh", "Tanhshrink"),
)

LAYERS: dict[str, tuple[Build, tuple[int, ...]]] = {
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), SEQUENCES),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, 1)), IMAGES),
    "AlphaDropout": (lambda: nn.AlphaDropout(0.3), VECTORS),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1), SEQUENCES),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), IMAGES),
    "AvgPool2d padded": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGES),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(8), VECTORS),
    "BatchNorm1d of sequences": (lambda: nn.BatchNorm1d(4, momentum=None), SEQUENCES),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4, affine=False), IMAGES),
    "BatchNorm2d frozen": (lambda: nn.BatchNorm2d(4).eval(), IMAGES),
    "BatchNorm2d without statistics": (
        lambda: nn.BatchNorm2d(4, track_running_stats=False),
        IMAGES,
    ),
    "Conv1d": (lambda: nn.Conv1d(4, 5, 3), SEQUENCES),
    "Conv1d dilated": (lambda: nn.Conv1d(4, 6, 3, 2, 2, dilation=2, groups=2), SEQUENCES),
    "Conv2d": (lambda: nn.Conv2d(4, 5, 3), IMAGES),
    "Conv2d 1 x 1": (lambda: nn.Conv2d(4, 5, 1, bias=False), IMAGES),
    "Conv2d strided": (lambda: nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0)), IMAGES),
    "Conv2d depthwise": (lambda: nn.Conv2d(4, 8, 3, padding="same", groups=4), IMAGES),
    "Conv2d reflecting": (lambda: nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"), IMAGES),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 3, 3, 2), SEQUENCES),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), IMAGES),
    "Dropout": (lambda: nn.Dropout(0.4), VECTORS),
    "Dropout1d": (lambda: nn.Dropout1d(0.4), SEQUENCES),
    "Dropout2d": (lambda: nn.Dropout2d(0.4), IMAGES),
    "Dropout3d": (lambda: nn.Dropout3d(0.4), (2, 3, 2, 3, 4)),
    "Flatten": (nn.Flatten, IMAGES),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGES),
    "Identity": (nn.Identity, VECTORS),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True), SEQUENCES),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, track_running_stats=True), IMAGES),
    "LayerNorm": (lambda: nn.LayerNorm((8, 9)), IMAGES),
    "Linear": (lambda: nn.Linear(8, 5), VECTORS),
    "Linear without bias": (lambda: nn.Linear(10, 7, bias=False), SEQUENCES),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1), SEQUENCES),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), IMAGES),
    "MaxPool2d overlapping": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGES),
    "MaxPool2d dilated": (lambda: nn.MaxPool2d(2, 1, dilation=2), IMAGES),
    "PReLU": (lambda: nn.PReLU(4), IMAGES),
    "RMSNorm": (lambda: nn.RMSNorm(8), VECTORS),
    "RNN": (lambda: nn.RNN(10, 6, 2, nonlinearity="relu", batch_first=True), SEQUENCES),
    "LSTM": (lambda: nn.LSTM(10, 6, bidirectional=True), SEQUENCES),
    "GRU": (lambda: nn.GRU(10, 6, 2, dropout=0.3), SEQUENCES),
    "RNNCell": (lambda: nn.RNNCell(8, 5), VECTORS),
    "LSTMCell": (lambda: nn.LSTMCell(8, 5), VECTORS),
    "GRUCell": (lambda: nn.GRUCell(8, 5), VECTORS),
    "Softmax2d": (nn.Softmax2d, IMAGES),
    "Threshold": (lambda: nn.Threshold(0.1, 20.0), VECTORS),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 4)), VECTORS),
    "GLU": (nn.GLU, VECTORS),
    **{name: (getattr(nn, name), VECTORS) for name in ACTIVATIONS},
    "Softmax": (lambda: nn.Softmax(1), VECTORS),
    "Softmin": (lambda: nn.Softmin(1), VECTORS),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), SEQUENCES),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_compiled_layer_is_the_eager_one(name: str, rng: np.random.Generator) -> None:
    make, shape = LAYERS[name]
    compare_layer(make, [rng.standard_normal(shape).astype(np.float32)])


def test_every_layer_is_tried() -> None:
    """All in nn: here, or below."""
    others = {"Bilinear", "CosineSimilarity", "Embedding", "PairwiseDistance"}
    classes = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    containers = {"Module", "Sequential", "Layer", "LayerEngine", "Parameter", "Buffer"}
    containers |= {f"{kind}{form}" for kind in ("Module", "Parameter") for form in ("List", "Dict")}
    losses = {name for name in classes if name.endswith("Loss")}
    tried = {name.split()[0] for name in LAYERS} | others | {name.split()[0] for name in LOSSES}
    assert classes - containers <= tried | losses
    assert losses <= {name.split()[0] for name in LOSSES}


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}])
def test_embeddings(options: dict[str, Any], rng: np.random.Generator) -> None:
    compare_layer(lambda: nn.Embedding(7, 5, **options), [rng.integers(0, 7, (4, 6))])


def test_layers_of_two_inputs(rng: np.random.Generator) -> None:
    one, other = (rng.standard_normal((6, 8)).astype(np.float32) for _ in range(2))
    for make in (lambda: nn.Bilinear(8, 8, 3), nn.CosineSimilarity, nn.PairwiseDistance):
        compare_layer(make, [one, other])


# ---- losses ----------------------------------------------------------------------------------


def _scores(rng: np.random.Generator) -> Array:
    return rng.standard_normal((6, 5)).astype(np.float32)


def _shares(rng: np.random.Generator) -> Array:
    numbers = np.exp(_scores(rng))
    return numbers / numbers.sum(1, keepdims=True)


def _signs(rng: np.random.Generator, *shape: int) -> Array:
    return np.where(rng.random(shape) < 0.5, -1, 1).astype(np.float32)


def _logs(rng: np.random.Generator) -> Array:
    return np.log(_shares(rng))


def _classes(rng: np.random.Generator) -> Array:
    return rng.integers(0, 5, 6)


Inputs = tuple[Callable[[np.random.Generator], Array], ...]
LOSSES: dict[str, tuple[Callable[..., nn.Module], Inputs]] = {
    "BCELoss": (nn.BCELoss, (_shares, _shares)),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, (_scores, _shares)),
    "BCEWithLogitsLoss weighted": (
        lambda **o: nn.BCEWithLogitsLoss(pos_weight=chainrule.ones(5) * 3, **o),
        (_scores, _shares),
    ),
    "CosineEmbeddingLoss": (
        lambda **o: nn.CosineEmbeddingLoss(margin=0.2, **o),
        (_scores, _scores, lambda rng: _signs(rng, 6)),
    ),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, (_scores, _classes)),
    "CrossEntropyLoss smooth": (
        lambda **o: nn.CrossEntropyLoss(
            weight=chainrule.arange(1.0, 6.0), label_smoothing=0.1, ignore_index=2, **o
        ),
        (_scores, _classes),
    ),
    "CrossEntropyLoss of shares": (nn.CrossEntropyLoss, (_scores, _shares)),
    "GaussianNLLLoss": (nn.GaussianNLLLoss, (_scores, _scores, _shares)),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss, (_scores, lambda rng: _signs(rng, 6, 5))),
    "HuberLoss": (nn.HuberLoss, (_scores, _scores)),
    "KLDivLoss": (nn.KLDivLoss, (_logs, _shares)),
    "L1Loss": (nn.L1Loss, (_scores, _scores)),
    "MSELoss": (nn.MSELoss, (_scores, _scores)),
    "MarginRankingLoss": (
        lambda **o: nn.MarginRankingLoss(margin=0.1, **o),
        (_scores, _scores, lambda rng: _signs(rng, 6, 5)),
    ),
    "NLLLoss": (nn.NLLLoss, (_logs, _classes)),
    "PoissonNLLLoss": (lambda **o: nn.PoissonNLLLoss(full=True, **o), (_scores, _shares)),
    "SmoothL1Loss": (lambda **o: nn.SmoothL1Loss(beta=0.5, **o), (_scores, _scores)),
    "SoftMarginLoss": (nn.SoftMarginLoss, (_scores, lambda rng: _signs(rng, 6, 5))),
    "TripletMarginLoss": (nn.TripletMarginLoss, (_scores, _scores, _scores)),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_compiled_loss_is_the_eager_one(
    name: str, reduction: str, rng: np.random.Generator
) -> None:
    make, inputs = LOSSES[name]
    arrays = [each(rng) for each in inputs]

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loss = make(reduction=reduction)

        def forward(self, x: Tensor, *others: Tensor) -> Tensor:
            return self.loss(x, *[each.detach() for each in others])

    compare_layer(Loss, arrays)


# ---- optimizers ------------------------------------------------------------------------------


def model() -> nn.Module:
    first = nn.Linear(6, 12, bias=False)  # a bias would have the gradient 0, but for rounding
    return nn.Sequential(first, nn.BatchNorm1d(12), nn.Tanh(), nn.Dropout(0.2), nn.Linear(12, 4))


OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD maximizing": lambda p: optim.SGD(p, lr=0.1, maximize=True, weight_decay=0.01),
    "SGD with momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "SGD dampened": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
    "SGD of Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "Adam decaying": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "Adam maximizing": lambda p: optim.Adam(p, lr=0.01, maximize=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "AdamW amsgrad": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01),
    "RMSprop centered": lambda p: optim.RMSprop(
        p, lr=0.01, momentum=0.8, centered=True, weight_decay=0.01
    ),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "Adagrad decaying": lambda p: optim.Adagrad(
        p, lr=0.1, lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.3
    ),
    "Lion": lambda p: optim.Lion(p, lr=0.01, weight_decay=0.1),
    "Muon": lambda p: optim.Muon([each for each in p if each.ndim == 2], lr=0.01),
}
LOOSE = {"RMSprop centered": 100.0}
"""Where a small number is divided by another one, more than rounding is left."""


def step_of(model: nn.Module, optimizer: optim.Optimizer) -> Callable[..., Tensor]:
    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled_steps_are_the_eager_ones(name: str, rng: np.random.Generator) -> None:
    xs = rng.standard_normal((STEPS, 8, 6)).astype(np.float32)
    ys = rng.integers(0, 4, (STEPS, 8))
    rounding = LOOSE.get(name, 10.0)
    chainrule.manual_seed(5)
    eager = model()
    optimizer = OPTIMIZERS[name](list(eager.parameters()))
    run = step_of(eager, optimizer)
    losses = [run(*map(chainrule.tensor, pair)).numpy() for pair in zip(xs, ys)]
    after = everything(eager, optimizer)
    chainrule.manual_seed(5)
    compiled = model()
    optimizer = OPTIMIZERS[name](list(compiled.parameters()))
    graph, state = graph_of(step_of(compiled, optimizer), xs[0], ys[0])
    optimizer.zero_grad()
    program = build(graph)
    for x, y, loss in zip(xs, ys, losses):
        assert_close(program.run([x, y], state)[0], loss, rounding)
    assert not refused(program)
    assert_same_state(everything(compiled, optimizer), after, rounding)
