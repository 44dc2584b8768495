"""JAX's part in `compiled`: a jitted step, and a block of steps in one call under `lax.scan`.

Parameters and optimizer state are donated, so that XLA updates them in place. Pictures are NHWC and
filters HWIO, or NCHW and OIHW: both are measured, and the faster counts. XLA's CPU client takes its
number of threads from the affinity mask, so the process is bound to that many cores before JAX is
imported (Eigen's pool has no public setting).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks._compiled_workloads import (
    BY_NAME,
    MOMENTUM,
    Layer,
    Workload,
    batches,
    shapes,
    weights,
)
from benchmarks._pairing import Block, Options
from benchmarks._peers_torch import SCALARS

BETAS, EPSILON = (0.9, 0.999), 1e-8
NORM_EPSILON, NORM_MOMENTUM = 1e-5, 0.1


def forms(workload: Workload) -> dict[str, Options]:
    """The forms to measure, by their names in the table."""
    if not workload.convolves:
        return {"JAX jit, step": {}, "JAX jit, scan": {"scan": True}}
    return {
        "JAX jit, step": {"last": True},
        "JAX jit, scan": {"scan": True, "last": True},
        "JAX jit, step, NCHW": {},
    }


def train(options: Options) -> Block:
    """Steps of a workload, in one of the forms."""
    jax = _jax(options["threads"])
    workload = BY_NAME[options["workload"]]
    last = bool(options.get("last"))
    x, y = batches(workload, options["steps"])
    if last:
        x = np.ascontiguousarray(np.moveaxis(x, 2, -1))
    if workload.data != "wave":
        y = y.astype(np.int32)
    step = _step(jax, workload, last)
    state = jax.tree.map(jax.numpy.asarray, _initial(workload, last))
    if options.get("scan"):
        return _scanned(jax, step, state, jax.numpy.asarray(x), jax.numpy.asarray(y))
    return _called(jax, step, state, list(map(jax.device_put, x)), list(map(jax.device_put, y)))


def scalar(options: Options) -> Block:
    """The jitted gradient of (x + y) z."""
    jax = _jax(options["threads"])
    x, y, z = map(jax.numpy.float32, SCALARS)
    gradient = jax.jit(jax.grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2)))

    def block() -> float:
        found = ()
        for _ in range(options["steps"]):
            found = gradient(x, y, z)
        return sum(each.item() for each in found)

    return block


def _jax(threads: int) -> Any:
    """JAX, after this process has been bound to so many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import jax

    jax.config.update("jax_platforms", "cpu")
    return jax


def _called(jax: Any, step: Any, state: Any, xs: list[Any], ys: list[Any]) -> Block:
    one = jax.jit(step, donate_argnums=0)

    def block() -> float:
        nonlocal state
        loss = None
        for x, y in zip(xs, ys):
            state, loss = one(state, (x, y))
        return float(jax.block_until_ready(loss))

    return block


def _scanned(jax: Any, step: Any, state: Any, x: Any, y: Any) -> Block:
    many = jax.jit(lambda state, x, y: jax.lax.scan(step, state, (x, y)), donate_argnums=0)

    def block() -> float:
        nonlocal state
        state, losses = many(state, x, y)
        return float(jax.block_until_ready(losses)[-1])

    return block


def _initial(workload: Workload, last: bool) -> dict[str, Any]:
    """Parameters, the optimizer's state, and the norms' running statistics."""
    parameters = _arranged(workload, last)
    state: dict[str, Any] = {"parameters": parameters}
    state["running"] = [
        (np.zeros(each.made, np.float32), np.ones(each.made, np.float32))
        for each in workload.layers
        if each.kind == "norm"
    ]
    if workload.rule != "sgd":
        state["first"] = [np.zeros_like(each) for each in parameters]
    if workload.rule == "adam":
        state["second"] = [np.zeros_like(each) for each in parameters]
        state["steps"] = np.zeros((), np.float32)
    return state


def _arranged(workload: Workload, last: bool) -> list[Any]:
    """The common weights: linear ones transposed, filters HWIO where channels come last."""
    drawn = iter(weights(workload.layers))
    arranged: list[Any] = []
    before: tuple[int, ...] = workload.shape
    flat_from: tuple[int, ...] | None = None
    for layer, shape in shapes(workload):
        if layer.kind == "flatten":
            flat_from = before
        elif layer.kind == "conv":
            kernel = next(drawn)
            arranged.append(kernel.transpose(2, 3, 1, 0) if last else kernel)
        elif layer.kind == "linear":
            matrix = next(drawn)
            if last and flat_from:  # its columns follow what Flatten now meets: H, W, C
                matrix = matrix.reshape(-1, *flat_from).transpose(0, 2, 3, 1)
                matrix = matrix.reshape(layer.made, -1)
            flat_from = None
            arranged.append(matrix.T)
        elif layer.kind == "norm":
            arranged.append(next(drawn))
        if layer.kind == "norm" or (layer.kind in ("conv", "linear") and layer.bias):
            arranged.append(next(drawn))
        before = shape
    return [np.ascontiguousarray(each) for each in arranged]


def _step(jax: Any, workload: Workload, last: bool) -> Callable[[Any, Any], Any]:
    """`(state, (x, y)) -> (state, loss)`: forwards, backwards and the update."""
    jnp = jax.numpy

    def loss_of(parameters: Any, running: Any, x: Any, y: Any) -> Any:
        out, running = _forward(jax, workload.layers, last, parameters, running, x)
        if workload.data == "wave":
            return jnp.square(out - y).mean(), running
        chosen = jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1)
        return -chosen.mean(), running

    def step(state: Any, batch: Any) -> Any:
        value_and_grad = jax.value_and_grad(loss_of, has_aux=True)
        (loss, running), bars = value_and_grad(state["parameters"], state["running"], *batch)
        return {**_update(jax, workload, state, bars), "running": running}, loss

    return step


def _forward(
    jax: Any, layers: tuple[Layer, ...], last: bool, parameters: Any, running: Any, x: Any
) -> Any:
    left, norms, moved = iter(parameters), iter(running), []
    channels = (1, 1, 1, -1) if last else (1, -1, 1, 1)
    for layer in layers:
        if layer.kind == "linear":
            x = x @ next(left)
            x = x + next(left) if layer.bias else x
        elif layer.kind == "conv":
            x = jax.lax.conv_general_dilated(
                x,
                next(left),
                (layer.stride,) * 2,
                [(layer.padding,) * 2] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC") if last else ("NCHW", "OIHW", "NCHW"),
            )
            x = x + next(left).reshape(channels) if layer.bias else x
        elif layer.kind == "norm":
            x, statistics = _norm(jax, next(left), next(left), next(norms), x, last)
            moved.append(statistics)
        else:
            x = _simple(jax, layer, x, last)
    return x, moved


def _norm(jax: Any, scale: Any, shift: Any, running: Any, x: Any, last: bool) -> Any:
    axes, channels = ((0, 1, 2), (1, 1, 1, -1)) if last else ((0, 2, 3), (1, -1, 1, 1))
    mean, variance = x.mean(axes), x.var(axes)
    factor = scale * jax.lax.rsqrt(variance + NORM_EPSILON)
    made = x * factor.reshape(channels) + (shift - mean * factor).reshape(channels)
    count = x.size // mean.size
    unbiased = variance * (count / (count - 1))
    new = (mean, unbiased)
    kept = [old + NORM_MOMENTUM * (jax.lax.stop_gradient(n) - old) for old, n in zip(running, new)]
    return made, tuple(kept)


def _simple(jax: Any, layer: Layer, x: Any, last: bool) -> Any:
    side = layer.side
    if layer.kind == "relu":
        return jax.nn.relu(x)
    if layer.kind == "tanh":
        return jax.numpy.tanh(x)
    if layer.kind == "flatten":
        return x.reshape(len(x), -1)
    if layer.kind == "mean":  # of whole pictures here
        return x.mean((1, 2) if last else (2, 3), keepdims=True)
    window = (1, side, side, 1) if last else (1, 1, side, side)
    return jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, window, "VALID")


def _update(jax: Any, workload: Workload, state: Any, bars: Any) -> Any:
    old, rate = state["parameters"], workload.rate
    if workload.rule == "sgd":
        return {"parameters": [p - rate * g for p, g in zip(old, bars)]}
    if workload.rule == "momentum":
        first = [MOMENTUM * m + g for m, g in zip(state["first"], bars)]
        return {"parameters": [p - rate * m for p, m in zip(old, first)], "first": first}
    steps = state["steps"] + 1
    first = [BETAS[0] * m + (1 - BETAS[0]) * g for m, g in zip(state["first"], bars)]
    second = [BETAS[1] * v + (1 - BETAS[1]) * g * g for v, g in zip(state["second"], bars)]
    part = rate / (1 - BETAS[0] ** steps)
    whole = 1 - BETAS[1] ** steps
    moved = [
        p - part * m / (jax.numpy.sqrt(v / whole) + EPSILON) for p, m, v in zip(old, first, second)
    ]
    return {"parameters": moved, "first": first, "second": second, "steps": steps}
