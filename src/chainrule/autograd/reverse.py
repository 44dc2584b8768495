"""Reverse mode: walk the tape from an output back to the leaves.

The whole algorithm is `_walk`: take the newest node that has a cotangent, let its op pull the
cotangent back to its inputs, add what arrives where paths meet, go on. A node is newer than all it
depends on, so a heap ordered by age visits each node once, after everyone who sends it something.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.autograd.tape import Node, Tape, refresh_view
from chainrule.core.base import TensorBase
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import current_stack, enter, leave
from chainrule.core.location import user_location
from chainrule.errors import AutogradError, ShapeError

__all__ = ["backward", "grad"]

Arrivals = dict[Any, list[Any]]
"""Cotangents that have arrived, by node (a list per output) or leaf tensor (a list of one)."""


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Sequence[Any] | None = None,
) -> None:
    """Add d(tensors)/d(leaf) to the `.grad` of every leaf the tensors depend on.

    Args:
        tensors: a tensor or several; each is a scalar unless it has a cotangent given.
        grad_tensors: the cotangent of each; None stands for 1 (of a scalar).
        retain_graph: keep what the tape saved, for another pass. Defaults to `create_graph`.
        create_graph: record the backward pass too, so that it can be differentiated in turn.
        inputs: add to these leaves only.
    """
    roots = _roots(tensors, grad_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    wanted = None if inputs is None else {id(x) for x in inputs}
    leaves = _walk(roots, keep, create_graph, _only_towards(roots, inputs))
    shared: set[int] = {id(bar.value) for _, bar in roots}
    for leaf, bar in leaves:
        if wanted is None or id(leaf) in wanted:
            leaf.accumulate_grad(bar, shared, create_graph)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    *,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, leaving every `.grad` alone.

    Args:
        outputs: a tensor or several.
        inputs: a tensor or several, leaves or not.
        grad_outputs: the cotangent of each output; None stands for 1 (of a scalar).
        retain_graph: keep what the tape saved. Defaults to `create_graph`.
        create_graph: record the backward pass too.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.
        materialize_grads: give zeros for it.

    Returns:
        one gradient per input.
    """
    roots = _roots(outputs, grad_outputs)
    targets = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)
    for index, x in enumerate(targets):
        if not x.tracked:
            raise AutogradError(
                f"grad: input {index} ({x.type}) does not require gradients",
                cure="call .requires_grad_() on it before it is used",
                location=str(user_location() or ""),
            )
    keep = create_graph if retain_graph is None else retain_graph
    found: dict[tuple[int, int], Any] = {}
    captures = {(id(x.node or x), x.output_index) for x in targets}

    def capture(where: Any, index: int, bar: Any) -> None:
        if (id(where), index) in captures:
            found[id(where), index] = bar

    for leaf, bar in _walk(roots, keep, create_graph, _only_towards(roots, targets), capture):
        capture(leaf, 0, bar)
    results: list[Any] = []
    for index, x in enumerate(targets):
        result = found.get((id(x.node or x), x.output_index))
        if result is None and materialize_grads:
            result = x.detach().zeros_like()
        if result is None and not allow_unused:
            raise AutogradError(
                f"grad: the outputs do not depend on input {index} ({x.type})",
                cure="pass allow_unused=True to get None for it",
                location=str(user_location() or ""),
            )
        results.append(result)
    return tuple(results)


def _roots(tensors: Any, grads: Any) -> list[tuple[Any, Any]]:
    """Outputs with their cotangents, checked."""
    listed = (tensors,) if isinstance(tensors, TensorBase) else tuple(tensors)
    if grads is None or isinstance(grads, TensorBase):
        bars: tuple[Any, ...] = (grads,) * len(listed)
    else:
        bars = tuple(grads)
    if len(bars) != len(listed):
        raise AutogradError(
            f"backward: {len(listed)} outputs and {len(bars)} cotangents",
            cure="give one cotangent per output",
            location=str(user_location() or ""),
        )
    return [_root(y, y_bar) for y, y_bar in zip(listed, bars, strict=True)]


def _root(y: Any, y_bar: Any) -> tuple[Any, Any]:
    if y.view_of is not None:
        refresh_view(y)
    if not y.tracked:
        raise AutogradError(
            f"backward: the output {y.type} does not require gradients and has no grad_fn",
            cure="set requires_grad=True on what it is computed from, outside no_grad()",
            location=str(user_location() or ""),
        )
    if y_bar is None:
        if y.numel() != 1:
            raise AutogradError(
                f"backward: a gradient can be made up for a scalar only, not for {y.type}",
                cure="reduce it with .sum() or .mean(), or pass gradient=",
                location=str(user_location() or ""),
            )
        return y, y.detach().ones_like()
    if y_bar.shape != y.shape:
        raise ShapeError(
            f"backward: the cotangent is {y_bar.type}, the output {y.type}",
            cure="a cotangent has the shape of what it belongs to",
            location=str(user_location() or ""),
        )
    return y, y_bar


def _only_towards(roots: list[tuple[Any, Any]], inputs: Sequence[Any] | None) -> set[int] | None:
    """The ids of the nodes on a path from the roots to `inputs`; None means every node."""
    if inputs is None:
        return None
    targets = {id(x.node or x) for x in inputs}
    nodes: dict[int, Node] = {}
    pending = [y.node for y, _ in roots if y.node is not None]
    while pending:
        node = pending.pop()
        if id(node) not in nodes:
            nodes[id(node)] = node
            pending += [edge[0] for edge in node.edges if edge and isinstance(edge[0], Node)]
    useful = set(targets)
    for node in sorted(nodes.values(), key=lambda node: node.sequence):
        if any(edge is not None and id(edge[0]) in useful for edge in node.edges):
            useful.add(id(node))
    return useful


def _walk(
    roots: list[tuple[Any, Any]],
    retain_graph: bool,
    create_graph: bool,
    useful: set[int] | None = None,
    capture: Callable[[Any, int, Any], None] | None = None,
) -> list[tuple[Any, Any]]:
    """Pull the roots' cotangents back; the leaves reached, each with the sum of its cotangents."""
    arrivals: Arrivals = {}
    heap: list[tuple[int, Node]] = []
    leaves: list[Any] = []

    def arrive(where: Any, index: int, bar: Any) -> None:
        if useful is not None and id(where) not in useful:
            return
        slots = arrivals.get(where)
        if slots is None:
            if isinstance(where, Node):
                heapq.heappush(heap, (-where.sequence, where))
                slots = [None] * where.op.outputs
            else:
                leaves.append(where)
                slots = [None]
            arrivals[where] = slots
        known = slots[index]
        slots[index] = bar if known is None else known + bar

    stack = current_stack()
    token = enter(
        stack
        if create_graph and stack.has(Tape)
        else stack.push(Tape())
        if create_graph
        else stack.without(Tape)
    )
    try:
        for y, y_bar in roots:
            arrive(y.node or y, y.output_index, y_bar)
        while heap:
            node = heapq.heappop(heap)[1]
            y_bars = _through_hooks(node, arrivals.pop(node))
            if capture is not None:
                for index, y_bar in enumerate(y_bars):
                    if y_bar is not None:
                        capture(node, index, y_bar)
            if useful is not None and not _leads_on(node, useful):
                continue
            for edge, x_bar in zip(node.edges, _pull_back(node, y_bars, create_graph), strict=True):
                if edge is not None and x_bar is not None:
                    arrive(edge[0], edge[1], x_bar)
            if not retain_graph:
                node.free()
        return [(leaf, leaf.run_hooks(arrivals[leaf][0])) for leaf in leaves]
    finally:
        leave(token)


def _leads_on(node: Node, useful: set[int]) -> bool:
    return any(edge is not None and id(edge[0]) in useful for edge in node.edges)


def _pull_back(node: Node, y_bars: list[Any], create_graph: bool) -> Any:
    """The cotangents of a node's inputs from those of its outputs."""
    y, inputs = node.unpack()
    op = node.op
    if op.outputs == 1:
        y_bar = y_bars[0]
    else:
        if isinstance(op, CoarseOp) and create_graph and not op.constant_residuals:
            y = (y[0], *op.forward(*inputs)[1])  # so that the residuals have derivatives too
        y_bar = tuple(y_bars)
        if y_bar[0] is None and isinstance(op, CoarseOp):
            return (None,) * len(node.edges)
    x_bars = op.vjp(y_bar, y, *inputs, needs=node.needs())
    if node.post_hooks:
        for hook in list(node.post_hooks.values()):
            x_bars = hook(x_bars, y_bars) or x_bars
    return x_bars


def _through_hooks(node: Node, y_bars: list[Any]) -> list[Any]:
    """Let tensor hooks and node hooks see, and change, the cotangents of a node's outputs."""
    if node.output_hooks:
        for index, hooks in node.output_hooks.items():
            for hook in list(hooks.values()):
                if y_bars[index] is not None:
                    changed = hook(y_bars[index])
                    y_bars[index] = y_bars[index] if changed is None else changed
    if node.pre_hooks:
        for hook in list(node.pre_hooks.values()):
            changed = hook(tuple(y_bars))
            y_bars = y_bars if changed is None else list(changed)
    if node.retained:
        for index, reference in node.retained.items():
            tensor = reference()
            if tensor is not None and y_bars[index] is not None:
                tensor.grad = y_bars[index]
    return y_bars
