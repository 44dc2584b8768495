"""Our part in `compiled`: `chainrule.compile` of a whole step, a step a call or an epoch a call."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import _peers_sklearn as digits
from benchmarks._compiled_workloads import BY_NAME, Workload, batches, weights
from benchmarks._pairing import Block, Options
from benchmarks._peers_torch import SCALARS, load_weights, loss_of, network, optimizer_of


def forms(workload: Workload) -> dict[str, Options]:
    """The forms to measure, by their names in the table."""
    return {"chainrule, step": {}, "chainrule, over": {"over": True}}


def step_of(workload: Workload) -> Any:
    """`step(x, y) -> loss` of a workload, compiled."""
    import chainrule
    from chainrule import nn, optim

    model = network(nn, workload.layers)
    load_weights(chainrule, model, workload)
    return compiled_step(model, loss_of(nn, workload), optimizer_of(optim, model, workload))


def compiled_step(model: Any, criterion: Any, optimizer: Any) -> Any:
    """Forwards, backwards and the update, as one native program."""
    import chainrule

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return chainrule.compile(step)


def train(options: Options) -> Block:
    """Steps of a workload, in one of the forms."""
    import chainrule

    workload = BY_NAME[options["workload"]]
    step = step_of(workload)
    x, y = batches(workload, options["steps"])
    if options.get("over"):
        flat = [chainrule.from_numpy(each.reshape(-1, *each.shape[2:])) for each in (x, y)]
        return lambda: step.over(*flat, batch_size=workload.batch)[-1].item()
    inputs = list(map(chainrule.from_numpy, x))
    targets = list(map(chainrule.from_numpy, y))

    def block() -> float:
        loss = None
        for x, y in zip(inputs, targets):
            loss = step(x, y)
        assert loss is not None
        return loss.item()

    return block


def scalar(options: Options) -> Block:
    """The gradient of (x + y) z, compiled."""
    import chainrule
    from chainrule.func import grad

    x, y, z = map(chainrule.tensor, SCALARS)
    gradient = chainrule.compile(grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2)))

    def block() -> float:
        found = ()
        for _ in range(options["steps"]):
            found = gradient(x, y, z)
        return sum(each.item() for each in found)

    return block


def fit(options: Options) -> Block:
    """The digits, as scikit-learn fits them: an epoch a call."""
    import chainrule
    from chainrule import nn, optim

    x, y = map(chainrule.from_numpy, digits.pictures())
    model = network(nn, digits.LAYERS)
    optimizer = optim.Adam(model.parameters(), lr=digits.RATE)
    start = optimizer.state_dict()
    step = compiled_step(model, nn.CrossEntropyLoss(), optimizer)
    cuts = range(digits.BATCH, len(x), digits.BATCH)
    sizes = [len(each) for each in np.array_split(np.arange(len(x)), cuts)]

    def block() -> float:
        with chainrule.no_grad():
            for parameter, drawn in zip(model.parameters(), weights(digits.LAYERS), strict=True):
                parameter.copy_(chainrule.from_numpy(drawn))
        optimizer.load_state_dict(start)
        losses: Any = None
        for _ in range(digits.EPOCHS):
            losses = step.over(x, y, batch_size=digits.BATCH)
        return float(np.average(losses.tolist(), weights=sizes))

    return block
