"""What a call looks like: nested arguments taken apart, and the key under which a trace is kept.

Tensors and NumPy arrays count by their types, everything else by its value: numbers, strings and
None; other objects (a model, an optimizer) by being the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.core.base import TensorBase
from chainrule.core.types import type_of

__all__ = ["Leaf", "flatten", "is_array", "is_node", "leaf_key", "rebuild", "told"]

PLAIN = (bool, int, str, bytes, type(None))
NODES = (list, tuple, dict)


class Leaf:
    """One leaf of nested arguments: what it is, and how one gets there.

    Attributes:
        path: `x`, `batch[0]`, `options['lr']`.
        value: what is there.
    """

    __slots__ = ("path", "value")

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        self.value = value


def flatten(tree: Any, path: str, leaves: list[Leaf]) -> Any:
    """Append the leaves of nested lists, tuples and dicts; return what is left, as a key.

    >>> leaves = []
    >>> flatten({"a": 1, "b": (2, 3)}, "x", leaves)
    (<class 'dict'>, ('a', 'b'), (None, (<class 'tuple'>, None, (None, None))))
    >>> [(leaf.path, leaf.value) for leaf in leaves]
    [("x['a']", 1), ("x['b'][0]", 2), ("x['b'][1]", 3)]
    """
    if not is_node(tree):
        leaves.append(Leaf(path, tree))
        return None
    kind: type[Any] = tree.__class__
    if issubclass(kind, dict):
        parts = [flatten(tree[key], f"{path}[{key!r}]", leaves) for key in tree]
        return kind, tuple(tree), tuple(parts)
    parts = [flatten(each, f"{path}[{index}]", leaves) for index, each in enumerate(tree)]
    return kind, None, tuple(parts)


def is_node(tree: Any) -> bool:
    """Whether it is a list, a tuple or a dict, whose parts count one by one."""
    return isinstance(tree, NODES)


def is_array(value: Any) -> bool:
    """Whether it is a NumPy array."""
    return isinstance(value, np.ndarray)


def rebuild(structure: Any, values: Iterator[Any]) -> Any:
    """The like of what was taken apart, with other leaves.

    >>> rebuild(flatten([1, {"a": 2}], "x", []), iter("pq"))
    ['p', {'a': 'q'}]
    """
    if structure is None:
        return next(values)
    kind, keys, parts = structure
    built = [rebuild(each, values) for each in parts]
    if keys is not None:
        pairs = zip(keys, built, strict=True)
        return dict(pairs) if kind is dict else kind(pairs)
    return kind(*built) if hasattr(kind, "_fields") else kind(built)


def leaf_key(value: Any) -> Any:
    """What a call is told apart by in one leaf."""
    if isinstance(value, TensorBase):
        array = value.value
        return array.shape, array.dtype, value.tracked
    if is_array(value):
        return value.shape, value.dtype, False
    if isinstance(value, float):  # -0.0 is not 0.0, and a NaN is like itself
        return float, value.hex()
    if isinstance(value, PLAIN):
        return type(value), value
    return object, id(value)


def told(value: Any) -> str:
    """A leaf as messages name it.

    >>> told(np.zeros((2, 3))), told(0.5)
    ('f64[2,3]', '0.5')
    """
    if isinstance(value, TensorBase):
        kind = str(type_of(value.value))
        return f"{kind} requiring grad" if value.tracked else kind
    if is_array(value):
        return str(type_of(value))
    if isinstance(value, (*PLAIN, float)):
        return f"{value!r:.60}"
    return f"another {type(value).__name__}"
