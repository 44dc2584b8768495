"""PyTorch's part in `compiled`: eager and `torch.compile`, in every form that may be its best.

The optimizers are the fused ones, gradients are set to None, batches are views made before the
clock starts, and losses are read at the end of a block only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks._compiled_workloads import (
    BY_NAME,
    MOMENTUM,
    Layer,
    Workload,
    batches,
    weights,
)
from benchmarks._pairing import Block, Options

SCALARS = (-2.0, 5.0, -4.0)  # x, y and z of the scalar example


def forms(workload: Workload) -> dict[str, Options]:
    """The forms to measure, by their names in the table."""
    found: dict[str, Options] = {"PyTorch eager": {}, "torch.compile": {"compiled": "default"}}
    if workload.convolves:
        found["PyTorch eager, channels last"] = {"last": True}
        found["torch.compile, channels last"] = {"compiled": "default", "last": True}
    found["PyTorch eager, 1 thread"] = {"alone": True, "last": workload.convolves}
    return found


def network(nn: Any, layers: tuple[Layer, ...]) -> Any:
    """The layers as modules of a library that has PyTorch's names."""
    return nn.Sequential(*(_module(nn, each) for each in layers))


def _module(nn: Any, layer: Layer) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "linear": lambda: nn.Linear(layer.given, layer.made, bias=layer.bias),
        "conv": lambda: nn.Conv2d(
            layer.given,
            layer.made,
            layer.side,
            stride=layer.stride,
            padding=layer.padding,
            bias=layer.bias,
        ),
        "norm": lambda: nn.BatchNorm2d(layer.made),
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "pool": lambda: nn.MaxPool2d(layer.side),
        "mean": lambda: nn.AvgPool2d(layer.side),
        "flatten": nn.Flatten,
    }
    return makers[layer.kind]()


def load_weights(library: Any, model: Any, workload: Workload) -> None:
    """The common initial weights into a model of PyTorch's or ours."""
    with library.no_grad():
        for parameter, drawn in zip(model.parameters(), weights(workload.layers), strict=True):
            parameter.copy_(library.from_numpy(drawn))


def loss_of(nn: Any, workload: Workload) -> Any:
    """The loss that the targets call for."""
    return nn.MSELoss() if workload.data == "wave" else nn.CrossEntropyLoss()


def optimizer_of(optim: Any, model: Any, workload: Workload, **settings: Any) -> Any:
    """The workload's update rule."""
    if workload.rule == "adam":
        return optim.Adam(model.parameters(), lr=workload.rate, **settings)
    momentum = MOMENTUM if workload.rule == "momentum" else 0.0
    return optim.SGD(model.parameters(), lr=workload.rate, momentum=momentum, **settings)


def train(options: Options) -> Block:
    """Steps of a workload, in one of the forms."""
    import torch

    torch.set_num_threads(1 if options.get("alone") else options["threads"])
    workload = BY_NAME[options["workload"]]
    model = network(torch.nn, workload.layers)
    load_weights(torch, model, workload)
    x, y = map(torch.from_numpy, batches(workload, options["steps"]))
    inputs, targets = list(x), list(y)
    if options.get("last"):
        model.to(memory_format=torch.channels_last)
        inputs = [each.contiguous(memory_format=torch.channels_last) for each in inputs]
    criterion = loss_of(torch.nn, workload)
    optimizer = optimizer_of(torch.optim, model, workload, fused=True)

    def forward(x: Any, y: Any) -> Any:
        return criterion(model(x), y)

    if "compiled" in options:
        forward = torch.compile(forward, mode=options["compiled"])

    def block() -> float:
        loss = None
        for x, y in zip(inputs, targets):
            optimizer.zero_grad()
            loss = forward(x, y)
            loss.backward()
            optimizer.step()
        assert loss is not None
        return loss.item()

    return block


def scalar(options: Options) -> Block:
    """The gradient of (x + y) z: backwards on kept leaves, or a compiled function of them."""
    import torch

    torch.set_num_threads(1)
    x, y, z = (torch.tensor(each, requires_grad=True) for each in SCALARS)

    def function(x: Any, y: Any, z: Any) -> Any:
        return (x + y) * z

    if "compiled" in options:
        function = torch.compile(function)

    def block() -> float:
        for _ in range(options["steps"]):
            x.grad = y.grad = z.grad = None
            function(x, y, z).backward()
        return x.grad.item() + y.grad.item() + z.grad.item()

    return block


def scalar_functional(options: Options) -> Block:
    """Its gradient as `torch.func.grad` gives it, compiled whole."""
    import torch

    torch.set_num_threads(1)
    x, y, z = map(torch.tensor, SCALARS)
    gradient = torch.compile(torch.func.grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2)))

    def block() -> float:
        found = ()
        for _ in range(options["steps"]):
            found = gradient(x, y, z)
        return sum(each.item() for each in found)

    return block
