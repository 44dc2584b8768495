"""`verify`: whether a graph is well formed. Tests run it after every pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from chainrule.core.base import as_tuple
from chainrule.core.types import TensorType, type_of
from chainrule.errors import ChainruleError, VerifyError
from chainrule.ir.graph import Graph, Node, Value

__all__ = ["verify"]


def verify(graph: Graph) -> Graph:
    """The graph itself, if it is well formed.

    Every value is made once, before it is used, and has one type; every op's type rule gives the
    types of its outputs; a constant's array has its type; what is updated is state or an argument,
    once, with a value of its type.

    Raises:
        VerifyError: it is not; the error names the node, its types, and the user's line.

    >>> import chainrule
    >>> from chainrule.ir.graph_text import parse_graph
    >>> graph = parse_graph('''
    ... graph f(%0: f32[2]):
    ...   %1: f32[3] = tanh(%0)
    ...   return %1
    ... ''')
    >>> verify(graph)
    Traceback (most recent call last):
        ...
    chainrule.errors.VerifyError: %1: f32[3] = tanh(%0): its type rule says f32[2]
    ...
    """
    known: dict[int, TensorType] = {}
    for value in (*graph.arguments, *graph.state):
        _make(graph, known, value, "an argument or a state")
    for constant in graph.constants:
        _make(graph, known, constant.value, "a constant")
        if type_of(constant.array) != constant.value.type:
            _fail(graph, f"the constant {constant.value!r} is an array {type_of(constant.array)}")
    for node in graph.nodes:
        _check_node(graph, known, node)
    _check_updates(graph, known)
    for value in graph.results:
        _use(graph, known, value, "a result")
    return graph


def _check_node(graph: Graph, known: dict[int, TensorType], node: Node) -> None:
    for value in node.inputs:
        _use(graph, known, value, _told(node), node)
    if len(node.outputs) != node.op.outputs:
        _fail(graph, f"{_told(node)}: the op has {node.op.outputs} outputs", node)
    try:
        ruled = node.op.type_rule(*[value.type for value in node.inputs])
    except ChainruleError as error:
        _fail(graph, f"{_told(node)}: {error.problem}", node)
    types: Sequence[TensorType] = as_tuple(ruled)
    if [value.type for value in node.outputs] != list(types):
        said = ", ".join(map(str, types))
        _fail(graph, f"{_told(node)}: its type rule says {said}", node)
    for value in node.outputs:
        _make(graph, known, value, _told(node), node)


def _check_updates(graph: Graph, known: dict[int, TensorType]) -> None:
    free = {value.number for value in (*graph.arguments, *graph.state)}
    for target, new in graph.updates:
        where = f"update %{target.number} = %{new.number}"
        _use(graph, known, target, where)
        _use(graph, known, new, where)
        if target.number not in free:
            _fail(graph, f"{where}: only state and arguments are updated, and each once")
        free.remove(target.number)
        if target.type != new.type:
            _fail(graph, f"{where}: {new.type} can't be written into {target.type}")


def _make(
    graph: Graph, known: dict[int, TensorType], value: Value, where: str, node: Node | None = None
) -> None:
    if value.number in known:
        _fail(graph, f"%{value.number} is made twice, the second time as {where}", node)
    known[value.number] = value.type


def _use(
    graph: Graph, known: dict[int, TensorType], value: Value, where: str, node: Node | None = None
) -> None:
    if value.number not in known:
        _fail(graph, f"{where}: %{value.number} is used before it is made", node)
    if known[value.number] != value.type:
        _fail(graph, f"{where}: %{value.number} is {known[value.number]}, not {value.type}", node)


def _told(node: Node) -> str:
    """The instruction, without its fields."""
    inputs = ", ".join([f"%{value.number}" for value in node.inputs])
    return f"{', '.join(map(repr, node.outputs))} = {node.op.name}({inputs})"


def _fail(graph: Graph, problem: str, node: Node | None = None) -> NoReturn:
    raise VerifyError(
        problem,
        cure="the pass (or the hand) that made this graph went wrong",
        location=node.location if node else "",
        graph=graph.name,
        node=node,
    )
