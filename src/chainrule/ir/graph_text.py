"""Graphs as text, and text as graphs: for golden tests, for bug reports, for looking at.

    graph step(%0: f32[8,6], %1: i64[8]):
      state %2: f32[4,6] "0.weight"
      constant %3: f32[] = 0.5
      %4: f32[6,4] = permute(%2) dims=(1, 0)
      %5: f32[8,4] = matmul(%0, %4)  # train.py:7
      ...
      update %2 = %9
      return %7

A line is an instruction: its outputs with their types, the op's name, the values it is given, and
the op's fields. Constants of more than a few elements print as a digest of their bytes; to read
such a text again, give the arrays.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, NoReturn

import numpy as np

from chainrule.core.dtypes import ALL, DType
from chainrule.core.op import Array, Op, registry
from chainrule.core.types import TensorType
from chainrule.errors import VerifyError
from chainrule.ir.graph import Constant, Graph, Node, Value

__all__ = ["digest", "format_graph", "format_op", "parse_graph", "parse_op"]

SMALL = 16
"""Constants of at most so many elements are printed in full."""


# ---- to text ---------------------------------------------------------------------------------


def format_graph(graph: Graph, *, locations: bool = False) -> str:
    """The graph as text.

    Args:
        graph: the graph.
        locations: whether a comment says which line of the user's code an instruction comes from.

    >>> import chainrule
    >>> program = chainrule.compile(lambda x: (x * 2).sum())
    >>> _ = program(chainrule.ones(3))
    >>> print(format_graph(program.graph))
    graph <lambda>(%0: f32[3]):
      constant %1: f32[] = 2.0
      %2: f32[3] = mul(%0, %1)
      %3: f32[] = sum(%2) dims=(0,), keepdim=False
      return %3
    """
    lines = [f"graph {graph.name}({', '.join(map(repr, graph.arguments))}):"]
    for value in graph.state:
        name = graph.names.get(value.number)
        lines.append(f"  state {value!r}" + (f" {_quoted(name)}" if name else ""))
    lines += [f"  constant {each.value!r} = {_constant(each.array)}" for each in graph.constants]
    for node in graph.nodes:
        line = f"  {_node(node)}"
        lines.append(f"{line}  # {node.location}" if locations and node.location else line)
    lines += [f"  update %{target.number} = %{new.number}" for target, new in graph.updates]
    lines.append(f"  return {_numbers(graph.results)}".rstrip())
    return "\n".join(lines)


def digest(array: Array) -> str:
    """What stands for a large constant: a digest of its dtype, its shape and its bytes.

    >>> digest(np.zeros(3, np.float32))
    'sha256:ddf67aecac12e8b2'
    """
    told = f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    return "sha256:" + hashlib.sha256(told).hexdigest()[:16]


def format_op(op: Op) -> str:
    """An op with its fields as text.

    >>> import chainrule
    >>> program = chainrule.compile(lambda x: x.sum(0))
    >>> _ = program(chainrule.ones(3))
    >>> format_op(program.graph.nodes[0].op)
    'sum dims=(0,), keepdim=False'
    """
    return f"{op.name} {_settings(op)}".rstrip()


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _constant(array: Array) -> str:
    return repr(array.tolist()) if array.size <= SMALL else digest(array)


def _numbers(values: Iterable[Value]) -> str:
    return ", ".join([f"%{value.number}" for value in values])


def _node(node: Node) -> str:
    outputs = ", ".join(map(repr, node.outputs))
    settings = _settings(node.op)
    return f"{outputs} = {node.op.name}({_numbers(node.inputs)})" + (settings and f" {settings}")


def _settings(op: Op) -> str:
    """The fields of an op: `dims=(0,), keepdim=False`."""
    if not op.has_fields:
        return ""
    return ", ".join([f"{each.name}={getattr(op, each.name)!r}" for each in fields(op)])


# ---- from text -------------------------------------------------------------------------------

_KINDS = {dtype.short: dtype for dtype in ALL}
_NAMES: dict[str, Any] = {"inf": float("inf"), "nan": float("nan")}
_VALUE = re.compile(r"%(\d+): (\w+)\[([\d,]*)\]")
_HEAD = re.compile(r"graph ([^(]*)\((.*)\):$")
_NODE = re.compile(r"(%.*?) = (\w+)\(([%\d, ]*)\)(?: (.*))?$")


def parse_graph(
    text: str,
    *,
    arrays: Mapping[int | str, Array] | None = None,
    ops: Mapping[str, type[Op]] | None = None,
) -> Graph:
    """The graph that a text of `format_graph` stands for.

    Args:
        text: the text.
        arrays: the constants that it has digests of, by value number or by digest.
        ops: ops that are no part of this package, by name.

    Raises:
        VerifyError: it can't be read; the error says which line, and why.

    >>> graph = parse_graph('''
    ... graph double(%0: f32[3]):
    ...   constant %1: f32[] = 2.0
    ...   %2: f32[3] = mul(%0, %1)
    ...   return %2
    ... ''')
    >>> graph.nodes[0].op, graph.results
    (Mul(), (%2: f32[3],))
    """
    return _Parser(arrays or {}, ops or {}).graph(text)


def parse_op(text: str) -> Op:
    """The op that a text of `format_op` stands for.

    Raises:
        VerifyError: it can't be read.

    >>> parse_op("sum dims=(0,), keepdim=False")
    Sum(dims=(0,), keepdim=False)
    """
    return _Parser({}, {}).op(text)


class _Parser:
    """Reads one text; knows the values met so far by their numbers."""

    def __init__(self, arrays: Mapping[int | str, Array], ops: Mapping[str, type[Op]]) -> None:
        self.arrays, self.ops = arrays, ops
        self.values: dict[int, Value] = {}
        self.line = ""

    def graph(self, text: str) -> Graph:
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        self.line = lines[0] if lines else ""
        head = _HEAD.match(self.line)
        if head is None:
            self._fail("it should begin with 'graph name(%0: f32[2], ...):'")
        arguments = self._typed(head[2])
        state: list[Value] = []
        names: dict[int, str] = {}
        constants: list[Constant] = []
        nodes: list[Node] = []
        updates: list[tuple[Value, Value]] = []
        results: tuple[Value, ...] | None = None
        for self.line in lines[1:]:
            word, _, rest = self.line.partition(" ")
            if results is not None:
                self._fail("nothing can follow 'return'")
            if word == "state":
                (value,) = self._typed(rest.partition(' "')[0])
                state.append(value)
                if '"' in rest:
                    names[value.number] = self._literal(rest[rest.index('"') :])
            elif word == "constant":
                constants.append(self._constant(rest))
            elif word == "update":
                target, _, new = rest.partition(" = ")
                updates.append((self._known(target)[0], self._known(new)[0]))
            elif word == "return":
                results = self._known(rest)
            else:
                nodes.append(self._node())
        if results is None:
            self._fail("the text ends without 'return'")
        return Graph(
            head[1], arguments, tuple(state), tuple(constants), tuple(nodes), results,
            tuple(updates), names,
        )  # fmt: skip

    def op(self, text: str) -> Op:
        self.line = text
        name, _, settings = text.partition(" ")
        return self._made(self._op_class(name), settings)

    def _constant(self, text: str) -> Constant:
        left, _, right = text.partition(" = ")
        (value,) = self._typed(left)
        kind = value.type
        if right.startswith("sha256:"):
            array = self.arrays.get(value.number, self.arrays.get(right))
            if array is None or digest(array) != right:
                self._fail("the array of this constant is not at hand: pass arrays={digest: array}")
            return Constant(value, array)
        listed = np.array(self._literal(right), kind.dtype.numpy)
        return Constant(value, listed.reshape(kind.shape))

    def _node(self) -> Node:
        line, _, location = self.line.partition("  # ")
        found = _NODE.match(line)
        if found is None:
            self._fail("an instruction is written '%2: f32[3] = mul(%0, %1) field=value, ...'")
        left, name, inputs, settings = found.groups()
        kind = self._op_class(name)
        given = self._known(inputs)
        return Node(self._made(kind, settings or ""), given, self._typed(left), location)

    def _op_class(self, name: str) -> type[Op]:
        found = self.ops.get(name) or registry.get(name)
        if found is None:  # those of nn are registered when that is loaded
            import_module("chainrule.nn.functional")
            found = registry.get(name)
        return found or self._fail(f"there is no op {name!r}")

    def _made(self, kind: type[Op], settings: str) -> Op:
        call = self._expression(f"made({settings})")
        try:
            return kind(**{each.arg: self._read(each.value) for each in call.keywords})
        except TypeError as error:
            self._fail(f"{kind.name}: {error}")

    def _typed(self, text: str) -> tuple[Value, ...]:
        """Values with their types, each met for the first time."""
        found: list[Value] = []
        for number, dtype, sizes in _VALUE.findall(text):
            if dtype not in _KINDS:
                self._fail(f"there is no dtype {dtype!r}")
            shape = tuple([int(size) for size in sizes.split(",") if size])
            value = Value(int(number), TensorType(shape, _KINDS[dtype]))
            if value.number in self.values:
                self._fail(f"%{number} is made twice")
            self.values[value.number] = value
            found.append(value)
        if _VALUE.sub("", text).strip(" ,"):
            self._fail(f"{text!r} should be values with their types, '%0: f32[2,3]'")
        return tuple(found)

    def _known(self, text: str) -> tuple[Value, ...]:
        """Values by their numbers, all met before."""
        numbers = [int(each) for each in re.findall(r"%(\d+)", text)]
        for number in numbers:
            if number not in self.values:
                self._fail(f"%{number} is used before it is made")
        return tuple([self.values[number] for number in numbers])

    def _literal(self, text: str) -> Any:
        return self._read(self._expression(text))

    def _expression(self, text: str) -> Any:
        try:
            return ast.parse(text, mode="eval").body
        except SyntaxError as error:
            self._fail(f"{text!r}: {error.msg}")

    def _read(self, node: ast.expr) -> Any:
        """The value of a literal; beyond Python's own there are inf, nan, dtypes, and ops."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Tuple():
                return tuple([self._read(each) for each in node.elts])
            case ast.List():
                return [self._read(each) for each in node.elts]
            case ast.UnaryOp(op=ast.USub()):
                return -self._read(node.operand)
            case ast.Name() if node.id in _NAMES:
                return _NAMES[node.id]
            case ast.Attribute(value=ast.Name(id="chainrule")):
                return self._dtype(node.attr)
            case ast.Call(func=ast.Name()):
                return self._nested(node)
            case _:
                self._fail(f"{ast.unparse(node)!r} is no literal")

    def _dtype(self, name: str) -> DType:
        for dtype in ALL:
            if dtype.name == name:
                return dtype
        self._fail(f"there is no dtype {name!r}")

    def _nested(self, call: ast.Call) -> Op:
        """An op among the fields of another: `Slice(key=((0, 2, 1),))`."""
        name = ast.unparse(call.func)
        for kind in [*self.ops.values(), *registry.values()]:
            if kind.__name__ == name:
                return self._made(kind, ast.unparse(call)[len(name) + 1 : -1])
        self._fail(f"there is no op {name!r}")

    def _fail(self, problem: str) -> NoReturn:
        raise VerifyError(
            f"parse_graph: {problem}",
            cure="give it what format_graph wrote",
            location=self.line,
            line=self.line,
        )
