"""Kinds of calls: the key under which a program is kept, and in words how two of them differ."""

from __future__ import annotations

from collections.abc import Container, Iterable, Reversible, Sequence
from typing import Any

import numpy as np

from chainrule.autograd.grad_mode import is_inference_mode_enabled
from chainrule.autograd.tape import Tape
from chainrule.compile.signature import (
    Leaf,
    flatten,
    is_array,
    is_node,
    leaf_key,
    rebuild,
    told,
)
from chainrule.core.base import TensorBase
from chainrule.core.dtypes import get_default_dtype
from chainrule.core.interpret import Stack
from chainrule.eager import Eager
from chainrule.ir.graph import Graph
from chainrule.ops.from_data import from_numpy

__all__ = [
    "array_of",
    "as_tensors",
    "call_key",
    "differ_in_size",
    "in_one_dtype",
    "is_plain",
    "most_like",
    "moving_floats",
    "what_is_new",
]

MOVING: Any = "a float"
"""What stands in a key for a float that is an argument of the program."""

FIRST = 3
"""Where the leaves begin in a key; before them stand the structure and the grad mode."""

Place = tuple[Any, int]
"""A leaf of calls of one structure."""


def call_key(
    structure: Any, leaves: Sequence[Leaf], stack: Stack, moving: Container[Place]
) -> tuple[Any, ...]:
    """What calls of one kind have in common.

    Args:
        structure: how the arguments are nested.
        leaves: their leaves.
        stack: the interpreters in force.
        moving: the leaves that are floats, and arguments of the program.
    """
    listed: list[Any] = [structure, stack.has(Tape), is_inference_mode_enabled()]
    for index, leaf in enumerate(leaves):
        moves = type(leaf.value) is float and (structure, index) in moving
        listed.append(MOVING if moves else leaf_key(leaf.value))
    return tuple(listed)


def most_like(key: Any, others: Reversible[Any]) -> Any:
    """The key that is most like this one; the latest, where there are several."""

    def likeness(other: Any) -> tuple[bool, bool, int]:
        alike = [a == b for a, b in zip(key, other)]
        return alike[0], all(alike[1:FIRST]), sum(alike)

    return max(reversed(others), key=likeness)


def what_is_new(key: Any, known: Any, leaves: Sequence[Leaf], before: Sequence[Leaf]) -> str:
    """In words, how a call differs from one of another kind."""
    if known[0] != key[0]:
        return "the arguments are nested, or named, in another way"
    if known[1:FIRST] != key[1:FIRST]:
        return "the grad mode is another"
    changed = [
        f"{leaves[index].path} was {told(before[index].value)}, is {told(leaves[index].value)}"
        for index in _changed(key, known)
    ]
    return ", ".join(changed)


def moving_floats(
    key: Any, known: Any, leaves: Sequence[Leaf], before: Sequence[Leaf], fixed: Container[Place]
) -> list[int]:
    """The leaves in which two kinds of calls differ, if these are floats and nothing else is."""
    if known[:FIRST] != key[:FIRST]:
        return []
    changed = _changed(key, known)
    for index in changed:
        one, other = leaves[index].value, before[index].value
        if type(one) is not float or type(other) is not float or (key[0], index) in fixed:
            return []
    return changed


def _changed(key: Any, known: Any) -> list[int]:
    pairs = zip(key[FIRST:], known[FIRST:])
    return [index for index, (one, other) in enumerate(pairs) if one != other]


def differ_in_size(key: Any, other: Any) -> bool:
    """Whether two keys are the same but for sizes of tensors' dimensions."""
    if len(key) != len(other) or key[:FIRST] != other[:FIRST]:
        return False
    return all(a == b or _resized(a, b) for a, b in zip(key[FIRST:], other[FIRST:]))


def _resized(a: Any, b: Any) -> bool:
    if type(a[0]) is not tuple or type(b[0]) is not tuple:
        return False
    return a[1:] == b[1:] and len(a[0]) == len(b[0]) > 0


def in_one_dtype(graph: Graph, arguments: Iterable[int], scalars: Container[int]) -> bool:
    """Whether all floats that depend on the scalars are of the default dtype.

    A Python float takes the dtype of what it meets; an argument has one of its own.
    """
    kind = get_default_dtype()
    pairs = zip(arguments, graph.arguments)
    reached = {value.number for index, value in pairs if index in scalars}
    for node in graph.nodes:
        if reached.isdisjoint([x.number for x in node.inputs]):
            continue
        reached.update([y.number for y in node.outputs])
        for y in (*node.inputs, *node.outputs):
            if y.type.dtype.is_floating_point and y.type.dtype is not kind:
                return False
    return True


def array_of(value: Any) -> Any:
    """The array of a leaf that is an argument of the graph."""
    if isinstance(value, TensorBase):
        return value.value
    return np.array(value, get_default_dtype().numpy) if type(value) is float else value


def as_tensors(tree: Any) -> Any:
    """Nested arguments with tensors in place of arrays."""
    if is_array(tree):
        return from_numpy(tree)
    if not is_node(tree):
        return tree
    leaves: list[Leaf] = []
    structure = flatten(tree, "", leaves)
    return rebuild(structure, iter([as_tensors(leaf.value) for leaf in leaves]))


def is_plain(stack: Stack) -> bool:
    """Whether nobody looks at single ops, but the tape."""
    if not isinstance(stack.base, Eager):
        return False
    return not stack.layers or not stack.without(Tape).layers or is_inference_mode_enabled()
