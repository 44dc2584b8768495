"""What is computed twice is computed once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, cast

from chainrule.compile.passes.rewriting import Rewriter
from chainrule.core.op import Op
from chainrule.ir.graph import Graph, Value

__all__ = ["CommonSubexpressions"]


@dataclass(frozen=True)
class CommonSubexpressions:
    """Of nodes with the same op and the same inputs one is left; of equal constants too.

    Needs: nothing. Leaves: no two nodes with the same op on the same inputs. "Same" means the same
    result to the bit: fields are told apart by type and sign (1, 1.0 and True are equal in Python,
    and so are 0.0 and -0.0), and ops of a user's own are never the same.
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph with each thing in it once; each in the place of the first of its kind."""
        rewriter = Rewriter(graph)
        known: dict[Any, Value] = {}
        for constant in graph.constants:
            array = constant.array
            key = constant.value.type.dtype.name, array.shape, array.tobytes()
            found = known.setdefault(key, constant.value)
            if found is not constant.value:
                rewriter.replace(constant.value, found)
        seen: dict[Any, tuple[Value, ...]] = {}
        for node in graph.nodes:
            inputs = rewriter.inputs(node)
            key = _key(node.op), tuple([each.number for each in inputs])
            first = seen.setdefault(key, node.outputs) if node.op.pure else node.outputs
            if first is node.outputs:
                rewriter.keep(node)
                continue
            for old, new in zip(node.outputs, first, strict=True):
                rewriter.replace(old, new)
        return rewriter.finish()


def _key(op: Op) -> Any:
    """What says of an op all there is."""
    if not op.has_fields:
        return type(op)
    return type(op), *[_exact(getattr(op, name)) for name in _names(type(op))]


@cache
def _names(cls: type[Any]) -> tuple[str, ...]:
    return tuple([each.name for each in fields(cls)])


def _exact(field: Any) -> Any:
    """Equal only for what is the same in type, sign and all."""
    kind = cast("type[Any]", type(field))
    if kind is int or kind is str:
        return field if kind is int else (kind, field)
    if kind is float:
        return kind, field.hex()
    if kind is tuple:
        return tuple([_exact(each) for each in field])
    return (kind, *_key(field)) if isinstance(field, Op) and field.has_fields else (kind, field)
