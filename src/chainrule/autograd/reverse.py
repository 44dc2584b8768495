"""Reverse mode: walk the tape from an output back to the leaves.

The whole algorithm is `_walk`: take the newest node that has a cotangent, let its op pull the
cotangent back to its inputs, add what arrives where paths meet, go on. A node is newer than all it
depends on, so a heap ordered by age visits each node once, after everyone who sends it something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

import numpy as np

from chainrule.autograd.anomaly import Anomaly, check_for_nan
from chainrule.autograd.hooks import (
    run_output_hooks,
    run_post_hooks,
    run_pre_hooks,
    run_tensor_hooks,
)
from chainrule.autograd.inplace import put
from chainrule.autograd.tape import Edge, Node, Tape, refresh_view, with_tape
from chainrule.core.base import TensorBase, as_tuple
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Derive, copy, current_stack, enter, leave, lift
from chainrule.core.location import user_location
from chainrule.errors import AutogradError, ShapeError
from chainrule.ops.promotion import cast

__all__ = ["accumulate_grad", "backward", "grad"]

AtLeaf = Callable[[Any, Any], None]
"""Told of a leaf and of its gradient, once that is complete."""

AtNode = Callable[[Any, int, Any], None]
"""Told of a node, one of its outputs, and the cotangent of that, once it is complete."""


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Any = None,
) -> None:
    """Add d(tensors)/d(leaf) to the `.grad` of every leaf the tensors depend on.

    Args:
        tensors: a tensor or several; each is a scalar unless it has a cotangent given.
        grad_tensors: the cotangent of each; None stands for 1 (of a scalar).
        retain_graph: keep what the tape saved, for another pass. Defaults to `create_graph`.
        create_graph: record the backward pass too, so that it can be differentiated in turn.
        inputs: add to the `.grad` of these only, leaves or not.

    Raises:
        AutogradError: nothing was recorded, or what was saved is gone or was changed since.
    """
    edges, bars = _roots(tensors, grad_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    targets = None if inputs is None else _targets("backward", inputs)
    shared: set[int] = set() if grad_tensors is None else {id(bar.value) for bar in bars}
    accumulate = partial(accumulate_grad, shared, create_graph)
    if targets is None:
        _walk(edges, bars, keep, create_graph, None, at_leaf=accumulate)
        return
    wanted = {(id(x.node or x), x.output_index): x for x in targets}

    def at_node(node: Any, index: int, bar: Any) -> None:
        if (id(node), index) in wanted:
            accumulate(wanted[id(node), index], bar)

    _walk(
        edges,
        bars,
        keep,
        create_graph,
        _only_towards(edges, targets),
        at_leaf=lambda leaf, bar: at_node(leaf, 0, bar),
        at_node=at_node,
    )


def accumulate_grad(shared: set[int], create_graph: bool, tensor: Any, bar: Any) -> None:
    """Add a cotangent to a tensor's `.grad`.

    Args:
        shared: the ids of arrays that someone holds already; such memory is copied, since people
            change gradients in place.
        create_graph: keep the gradient differentiable.
        tensor: a leaf, as a rule.
        bar: what has arrived at it.
    """
    array = bar.value
    if array.shape != tensor.value.shape:
        raise ShapeError(
            f"backward: a gradient of {bar.type} arrived at a leaf of {tensor.type}",
            cure="the backward of the op that sent it is wrong",
        )
    known = tensor.gradient
    if known is not None:
        if create_graph:
            tensor.gradient = known + bar
        else:
            put(known, known + bar, "backward")
    elif create_graph:
        tensor.gradient = bar
    elif bar.view_of is not None or id(array) in shared:
        tensor.gradient = copy(bar)
    else:
        shared.add(id(array))
        tensor.gradient = bar
    if tensor.post_accumulate_hooks is not None:
        for hook in list(tensor.post_accumulate_hooks.values()):
            hook(tensor)


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
        one gradient per input, after its hooks. (PyTorch leaves out the hooks of an input on the
        way to another.)
    """
    edges, bars = _roots(outputs, grad_outputs)
    targets = _targets("grad", inputs)
    keep = create_graph if retain_graph is None else retain_graph
    found: dict[tuple[int, int], Any] = {}
    captures = {(id(x.node or x), x.output_index) for x in targets}

    def capture(where: Any, index: int, bar: Any) -> None:
        if (id(where), index) in captures:
            found[id(where), index] = bar

    _walk(
        edges,
        bars,
        keep,
        create_graph,
        _only_towards(edges, targets),
        at_leaf=lambda leaf, bar: capture(leaf, 0, bar),
        at_node=capture,
    )
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


def _targets(what: str, inputs: Any) -> tuple[Any, ...]:
    """The inputs to differentiate by, checked and up to date."""
    targets = as_tuple(inputs)
    if not targets:
        raise AutogradError(
            f"{what}: no inputs to differentiate by",
            cure="name at least one in inputs=",
            location=str(user_location() or ""),
        )
    for index, x in enumerate(targets):
        if not x.requires_grad:
            raise AutogradError(
                f"{what}: input {index} ({x.type}) does not require gradients",
                cure="call .requires_grad_() on it before it is used",
                location=str(user_location() or ""),
            )
    return targets


def _roots(tensors: Any, grads: Any) -> tuple[list[Edge | None], list[Any]]:
    """Where to begin: the edges to what made the outputs, and the outputs' cotangents."""
    if isinstance(tensors, TensorBase) and grads is None:
        bar = _root_bar(tensors, None)
        return [(tensors.node or tensors, tensors.output_index)], [bar]
    listed: tuple[Any, ...] = (tensors,) if isinstance(tensors, TensorBase) else tuple(tensors)
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
    checked = [_root_bar(y, y_bar) for y, y_bar in zip(listed, bars, strict=True)]
    return [(y.node or y, y.output_index) for y in listed], checked


def _root_bar(y: Any, y_bar: Any) -> Any:
    """The cotangent of an output: 1 unless given."""
    if y.view_of is not None:
        refresh_view(y)
    if not y.tracked:
        raise AutogradError(
            f"backward: the output {y.type} does not require gradients and has no grad_fn",
            cure="set requires_grad=True on what it is computed from, outside no_grad()",
            location=str(user_location() or ""),
        )
    if y_bar is None:
        if y.value.shape and y.numel() != 1:
            raise AutogradError(
                f"backward: a gradient can be made up for a scalar only, not for {y.type}",
                cure="reduce it with .sum() or .mean(), or pass gradient=",
                location=str(user_location() or ""),
            )
        one = np.array(1, y.value.dtype)  # a scalar's dimensions, if it has any, are all 1
        return lift(one if not y.value.shape else one.reshape(y.value.shape))
    if y_bar.shape != y.shape:
        raise ShapeError(
            f"backward: the cotangent is {y_bar.type}, the output {y.type}",
            cure="a cotangent has the shape of what it belongs to",
            location=str(user_location() or ""),
        )
    return y_bar if y_bar.value.dtype == y.value.dtype else cast(y_bar, y.dtype)


def _only_towards(roots: Sequence[Edge | None], inputs: Sequence[Any]) -> set[int]:
    """The ids of the nodes on a path from the roots to `inputs`."""
    targets = {id(x.node or x) for x in inputs}
    nodes: dict[int, Node] = {}
    pending = [edge[0] for edge in roots if edge and isinstance(edge[0], Node)]
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
    edges: Sequence[Edge | None],
    bars: Sequence[Any],
    retain_graph: bool,
    create_graph: bool,
    useful: set[int] | None,
    *,
    at_leaf: AtLeaf,
    at_node: AtNode | None = None,
) -> None:
    """Pull the roots' cotangents back, and report what arrives at leaves (and nodes).

    Args:
        edges: where to begin: to what made the outputs.
        bars: the outputs' cotangents.
        retain_graph: leave what the nodes saved where it is.
        create_graph: record while walking.
        useful: the ids of the only nodes and leaves to visit; None means all.
        at_leaf: told of each leaf's gradient, once it is complete.
        at_node: told of each node's cotangents, likewise.
    """
    arrivals: dict[Any, Any] = {}  # by node or leaf: its cotangent, or a list of them by output
    heap: list[Node] = []
    stack = current_stack()
    suspicious = len(stack.layers) > 1 and any(
        isinstance(each, Anomaly) and each.check_nan for each in stack.layers
    )
    stack = with_tape(stack) if create_graph else stack.without(Tape)
    derive = stack.derive
    token = enter(stack)
    try:
        while True:
            for edge, bar in zip(edges, bars, strict=True):
                if edge is None or bar is None:
                    continue
                where, index = edge
                if useful is not None and id(where) not in useful:
                    continue
                if where in arrivals:
                    arrivals[where] = _meet(arrivals[where], index, bar)
                    continue
                if isinstance(where, Node):
                    heappush(heap, where)
                    if where.outputs > 1:
                        bar = _meet([None] * where.outputs, index, bar)
                arrivals[where] = bar
            if not heap:
                break
            node = heappop(heap)
            y_bar = arrivals.pop(node)
            edges, watchers = node.edges, node.watchers
            if watchers is not None or at_node is not None:
                y_bar = _show(node, y_bar, at_node)
                if at_node is not None and not _leads_on(node, useful):
                    edges = bars = ()
                    continue
            y, inputs = node.unpack() if node.keeps else (None, node.saved)
            if node.outputs > 1:
                bars = _pull_back(node, tuple(y_bar), y, inputs, derive, create_graph)
            else:
                bars = derive(node.op, y_bar, y, inputs, node.types, node.needs)
            if watchers is not None:
                bars = run_post_hooks(watchers.after, bars, y_bar)
            if suspicious:
                check_for_nan(node, bars)
            if not retain_graph and node.keeps:
                node.free()
        for leaf, bar in arrivals.items():
            at_leaf(leaf, run_tensor_hooks(leaf.hooks, bar) if leaf.hooks else bar)
    finally:
        leave(token)


def _show(node: Node, y_bar: Any, at_node: AtNode | None) -> Any:
    """A node's cotangent, after everyone who wants to has seen, and perhaps replaced, it."""
    watchers = node.watchers
    if watchers is not None:
        y_bar = run_output_hooks(watchers, y_bar)
    if at_node is not None:
        for index, each in enumerate(as_tuple(y_bar)):
            if each is not None:
                at_node(node, index, each)
    return y_bar if watchers is None else run_pre_hooks(watchers.before, y_bar)


def _meet(known: Any, index: int, bar: Any) -> Any:
    """Where paths meet, cotangents add up; a node of several outputs has one sum for each."""
    sums: Any = known
    if type(known) is not list:
        return sums + bar
    sums[index] = bar if sums[index] is None else sums[index] + bar
    return sums


def _leads_on(node: Node, useful: set[int] | None) -> bool:
    return useful is None or any(edge and id(edge[0]) in useful for edge in node.edges)


def _pull_back(
    node: Node, y_bar: tuple[Any, ...], y: Any, inputs: Any, derive: Derive, create_graph: bool
) -> Any:
    """The cotangents of a node's inputs from those of its several outputs."""
    op = node.op
    if isinstance(op, CoarseOp):
        if y_bar[0] is None:  # only residuals were used, and these have no derivative
            return (None,) * len(node.edges)
        if create_graph and not op.constant_residuals:
            y = (y[0], *op.forward(*inputs)[1])  # so that the residuals have derivatives too
    return derive(op, y_bar, y, inputs, node.types, node.needs)
