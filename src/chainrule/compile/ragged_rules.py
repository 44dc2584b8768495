"""What each op does to the rows of a batch: the rules that `ragged` goes by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.compile.rule_parts import slice_ranges
from chainrule.core.families import Elementwise, Predicate
from chainrule.ir.graph import Node, Value

__all__ = [
    "CLEAN",
    "COPY",
    "FINITE",
    "WILD",
    "ZERO",
    "Batch",
    "NeedsMask",
    "NotRagged",
    "Rows",
    "rows_of",
]

CLEAN, COPY, ZERO, FINITE, WILD = "CLEAN", "COPY", "ZERO", "FINITE", "WILD"

_ZERO_TO_ZERO = frozenset(
    ["cast", "clone", "neg", "abs", "relu", "sign", "square", "sin", "tanh", "sqrt", "log1p"]
    + ["expm1", "floor", "ceil", "trunc"]
)

_OF_ZERO = frozenset(["exp", "exp2", "acos", "asin"])
"""Elementwise ops that make a finite number of zero, if not of every number."""

_OF_FINITE = frozenset(
    ["cast", "clone", "neg", "abs", "relu", "sign", "square", "sin", "cos", "tanh", "sigmoid"]
    + ["floor", "ceil", "trunc", "round", "atan", "erf", "erfc", "asinh", "sinc", "softplus"]
    + ["silu", "gelu", "elu", "selu", "leaky_relu", "hardtanh", "add", "sub", "mul", "where"]
    + ["keep_where", "maximum", "minimum", "clamp", "clamp_min", "clamp_max", "fmax", "fmin"]
    + ["logaddexp", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "class_index"]
)
"""Elementwise ops that make finite numbers of finite ones."""

_DRAWS = frozenset(["full", "mask", "uniform", "normal", "integers"])


class NotRagged(Exception):
    """Why a function has no ragged batches."""


class NeedsMask(Exception):
    """This value's rows beyond must be zeros."""

    def __init__(self, value: Value) -> None:
        super().__init__(value)
        self.value = value


@dataclass(frozen=True, slots=True)
class Batch:
    """Where the batch is: its dimension, whose index is (outer · size + row) · inner + ..."""

    dim: int
    outer: int
    inner: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Where the batch is in a value, and what is in the rows beyond."""

    batch: Batch | None
    state: str


_NONE = Rows(None, CLEAN)


def rows_of(node: Node, given: Sequence[Rows], size: int, fresh: int | None) -> list[Rows]:
    """The rows of what a node makes.

    Args:
        node: the node.
        given: the rows of its inputs.
        size: rows of a full batch.
        fresh: a dimension of the first result whose size depends on the batch's.

    Raises:
        NotRagged: nothing is known of this op.
        NeedsMask: an input must be masked before.
    """
    if all(rows.batch is None for rows in given):
        return _made_of_none(node, size, fresh)
    if isinstance(node.op, Elementwise) or node.op.name in ("cast", "clone", "class_index"):
        return [_elementwise(node, given)]
    rule = _RULES.get(node.op.name)
    if rule is None:
        raise NotRagged(f"nothing is known of the rows of {node.op.name}")
    return [rule(node, given, size)]


def _made_of_none(node: Node, size: int, fresh: int | None) -> list[Rows]:
    if fresh is None:
        return [_NONE] * len(node.outputs)
    # Of numbers that are drawn, the first ones are the same for a batch of any size only where the
    # rows are the slowest.
    good = node.op.name == "expand" or (node.op.name in _DRAWS and fresh == 0)
    if good and node.outputs[0].type.shape[fresh] == size:
        return [Rows(Batch(fresh, 1, 1), COPY)]
    raise NotRagged(f"nothing is known of the rows that {node.op.name} makes")


def _is_made(rows: Rows) -> bool:
    """Whether what is beyond was made of zeros, so that it is no copy of a real row."""
    return rows.batch is not None and rows.state in (ZERO, FINITE, WILD)


def _worst(given: Sequence[Rows]) -> str:
    if any(rows.state == WILD for rows in given):
        return WILD
    return FINITE if any(map(_is_made, given)) else COPY


# -- element by element --


def _elementwise(node: Node, given: Sequence[Rows]) -> Rows:
    rank = len(node.outputs[0].type.shape)
    found: set[Batch] = set()
    for value, rows in zip(node.inputs, given, strict=True):
        if rows.batch is not None:
            ahead = rank - len(value.type.shape)
            found.add(Batch(rows.batch.dim + ahead, rows.batch.outer, rows.batch.inner))
    if len(found) != 1:
        raise NotRagged(f"{node.op.name} of rows that do not match")
    return Rows(found.pop(), _state_of(node, given))


def _state_of(node: Node, given: Sequence[Rows]) -> str:
    name = node.op.name
    made = any(map(_is_made, given))
    if isinstance(node.op, Predicate):
        return FINITE if made else COPY  # true or false, whatever it was
    if name == "keep_where" and given[1].state == ZERO:
        return ZERO
    states = [rows.state for rows in (given[1:] if name == "where" else given)]
    if WILD in states:
        return WILD
    divided = name == "div" and (_is_made(given[1]) or given[1].state == ZERO)
    if _is_zero(name, states) and not divided:
        return ZERO
    if not made:
        return COPY
    if name == "div":
        return WILD if divided else FINITE
    at_zero = name in _ZERO_TO_ZERO or name in _OF_ZERO
    if name in _OF_FINITE or (at_zero and FINITE not in states):
        return FINITE
    return WILD


def _is_zero(name: str, states: Sequence[str]) -> bool:
    """Whether zeros among the operands make zeros of the rest, which is finite."""
    if name == "mul":
        return ZERO in states
    if name in ("keep_where", "div") or name in _ZERO_TO_ZERO:
        return states[0] == ZERO
    return name in ("add", "sub", "where") and all(state == ZERO for state in states)


# -- where rows may meet --


def _sum(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    batch = given[0].batch
    assert batch is not None
    if batch.dim not in op.dims:
        return Rows(_past(batch, op.dims, op.keepdim), given[0].state)
    if given[0].state != ZERO:
        raise NeedsMask(node.inputs[0])
    return _NONE


def _sum_to(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    batch = given[0].batch
    assert batch is not None
    extra = len(node.inputs[0].type.shape) - len(op.shape)
    if batch.dim >= extra and op.shape[batch.dim - extra] != 1:
        return Rows(Batch(batch.dim - extra, batch.outer, batch.inner), given[0].state)
    if given[0].state != ZERO:
        raise NeedsMask(node.inputs[0])
    return _NONE


def _reduction(node: Node, given: Sequence[Rows], size: int) -> Rows:
    """Others, over the other dimensions."""
    op: Any = node.op
    dims: tuple[int, ...] = op.dims if hasattr(op, "dims") else (op.dim,)
    batch = given[0].batch
    assert batch is not None
    if batch.dim in dims:
        raise NotRagged(f"{node.op.name} over the batch")
    state = given[0].state
    if state == ZERO and node.op.name not in ("amax", "amin", "any", "prod"):
        state = FINITE
    return Rows(_past(batch, dims, op.keepdim), state)


def _past(batch: Batch, dims: Sequence[int], keepdim: bool) -> Batch:
    """Where the batch is after other dimensions are gone."""
    gone = 0 if keepdim else sum(dim < batch.dim for dim in dims)
    return Batch(batch.dim - gone, batch.outer, batch.inner)


def _first_true(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    if given[0].batch is None or given[0].batch.dim in op.dims:
        raise NotRagged("first_true over the batch")
    return Rows(given[0].batch, ZERO if given[0].state == ZERO else _worst(given))


def _matmul(node: Node, given: Sequence[Rows], size: int) -> Rows:
    a, b = given
    ranks = [len(value.type.shape) for value in node.inputs]
    if min(ranks) < 2:
        raise NotRagged("a product with a vector")
    rank = len(node.outputs[0].type.shape)
    inner_a = a.batch is not None and a.batch.dim == ranks[0] - 1
    inner_b = b.batch is not None and b.batch.dim == ranks[1] - 2
    if inner_a or inner_b:
        return _contracted(node, given, both=inner_a and inner_b)
    state = ZERO if ZERO in (a.state, b.state) and WILD not in (a.state, b.state) else None
    found = {
        Batch(rows.batch.dim + rank - r, rows.batch.outer, rows.batch.inner)
        for rows, r in zip(given, ranks, strict=True)
        if rows.batch is not None
    }
    if len(found) != 1:
        raise NotRagged("a product of rows with rows")
    return Rows(found.pop(), state or _worst(given))


def _contracted(node: Node, given: Sequence[Rows], *, both: bool) -> Rows:
    """A product summed over the batch: one of the two must be zero beyond, and neither wild."""
    a, b = given
    if not both or a.batch is None or b.batch is None:
        raise NotRagged("a product of rows with something else")
    if (a.batch.outer, a.batch.inner) != (b.batch.outer, b.batch.inner):
        raise NotRagged("a product of rows in another order")
    for value, rows in zip(node.inputs, given, strict=True):
        if rows.state == WILD:
            raise NeedsMask(value)
    if ZERO not in (a.state, b.state):
        raise NeedsMask(min(node.inputs, key=lambda value: value.type.size))
    return _NONE


# -- elements that only move --


def _permute(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    batch = given[0].batch
    assert batch is not None
    return Rows(Batch(op.dims.index(batch.dim), batch.outer, batch.inner), given[0].state)


def _reshape(node: Node, given: Sequence[Rows], size: int) -> Rows:
    """In the order of all elements the batch is a digit; it must be one of a new dimension's."""
    batch, shape = given[0].batch, node.outputs[0].type.shape
    assert batch is not None
    step = batch.inner * math.prod(node.inputs[0].type.shape[batch.dim + 1 :])
    behind = 1
    for dim in reversed(range(len(shape))):
        whole = behind * shape[dim]
        if step % behind == 0 and whole % (step * size) == 0 and step < whole:
            inner = step // behind
            return Rows(Batch(dim, shape[dim] // (inner * size), inner), given[0].state)
        behind = whole
    raise NotRagged("a reshape that tears the batch apart")


def _expand(node: Node, given: Sequence[Rows], size: int) -> Rows:
    batch = given[0].batch
    assert batch is not None
    ahead = len(node.outputs[0].type.shape) - len(node.inputs[0].type.shape)
    return Rows(Batch(batch.dim + ahead, batch.outer, batch.inner), given[0].state)


def _slice(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    batch = given[0].batch
    assert batch is not None
    pairs = _dims_of_key(op.key, node.inputs[0].type.shape)
    now = next((cut for whole, cut in pairs if whole == batch.dim), None)
    if now is None:
        raise NotRagged("a part of the batch is cut out")
    return Rows(Batch(now, batch.outer, batch.inner), given[0].state)


def _unslice(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    batch = given[0].batch
    assert batch is not None
    pairs = _dims_of_key(op.key, op.shape)
    before = next((whole for whole, cut in pairs if cut == batch.dim), None)
    if before is None:
        raise NotRagged("the batch becomes a part of something")
    return Rows(Batch(before, batch.outer, batch.inner), given[0].state)


def _dims_of_key(key: Sequence[Any], shape: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of a dimension before and after slicing, of those that are taken whole."""
    ranges, _ = slice_ranges(key, shape)
    found: list[tuple[int, int]] = []
    whole = cut = 0
    for each in key:
        if each is None:
            cut += 1
            continue
        if isinstance(each, tuple):
            if ranges[whole] == (0, 1, shape[whole]):
                found.append((whole, cut))
            cut += 1
        whole += 1
    rest = range(len(shape) - whole)
    return [*found, *[(whole + i, cut + i) for i in rest]]


def _index(node: Node, given: Sequence[Rows], size: int) -> Rows:
    """What the rows of an index find; an embedding."""
    op: Any = node.op
    x, index = given[0], given[1]
    if x.batch is not None or len(given) != 2 or index.batch is None:
        raise NotRagged("rows are looked up")
    batch = Batch(op.at + index.batch.dim, index.batch.outer, index.batch.inner)
    return Rows(batch, _worst(given))


def _index_add(node: Node, given: Sequence[Rows], size: int) -> Rows:
    """What the rows of an index add to: zeros, in the rows beyond."""
    op: Any = node.op
    source, index = given[0], given[1]
    if len(given) != 2 or source.batch is None or index.batch is None:
        raise NotRagged("rows are added up by an index")
    if source.batch != Batch(op.at + index.batch.dim, index.batch.outer, index.batch.inner):
        raise NotRagged("rows are added up by the index of others")
    if source.state != ZERO:
        raise NeedsMask(node.inputs[0])
    return _NONE


def _along(node: Node, given: Sequence[Rows], size: int) -> Rows:
    """Looking up in the same row."""
    op: Any = node.op
    batch = given[0].batch
    if batch is None or any(rows.batch != batch for rows in given) or op.dim == batch.dim:
        raise NotRagged(f"{node.op.name} across rows")
    return Rows(batch, ZERO if given[0].state == ZERO else _worst(given))


def _one_hot(node: Node, given: Sequence[Rows], size: int) -> Rows:
    return Rows(given[0].batch, _worst(given))


def _pad(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    batch = given[0].batch
    assert batch is not None
    if op.borders[batch.dim] != (0, 0):
        raise NotRagged("rows are added to the batch")
    state = given[0].state
    return Rows(batch, FINITE if state == ZERO and op.value != 0 else state)


def _sliding(node: Node, given: Sequence[Rows], size: int) -> Rows:
    """Windows over the dimensions between the first and the last."""
    batch = given[0].batch
    assert batch is not None
    last = len(node.inputs[0].type.shape) - 1
    if batch.dim not in (0, last):
        raise NotRagged("windows over the batch")
    dim = 0 if batch.dim == 0 else len(node.outputs[0].type.shape) - 1
    return Rows(Batch(dim, batch.outer, batch.inner), given[0].state)


def _joined(node: Node, given: Sequence[Rows], size: int) -> Rows:
    op: Any = node.op
    found = {rows.batch for rows in given}
    if len(found) != 1 or None in found:
        raise NotRagged(f"{node.op.name} of rows and something else")
    (batch,) = found
    assert batch is not None
    ahead = 0
    if node.op.name == "stack":
        ahead = int(op.dim <= batch.dim)
    elif op.dim == batch.dim:
        raise NotRagged("batches behind each other")
    states = {rows.state for rows in given}
    state = states.pop() if len(states) == 1 else _worst(given)
    return Rows(Batch(batch.dim + ahead, batch.outer, batch.inner), state)


def _class_mask(node: Node, given: Sequence[Rows], size: int) -> Rows:
    """A new dimension."""
    op: Any = node.op
    batch = given[0].batch
    assert batch is not None
    ahead = int(op.dim <= batch.dim)
    return Rows(Batch(batch.dim + ahead, batch.outer, batch.inner), _worst(given))


_RULES: dict[str, Callable[[Node, Sequence[Rows], int], Rows]] = {
    "sum": _sum,
    "mean": _sum,
    "sum_to": _sum_to,
    **dict.fromkeys(
        ["amax", "amin", "any", "all", "argmax", "argmin", "prod", "var", "std", "logsumexp"]
        + ["vector_norm"],
        _reduction,
    ),
    "first_true": _first_true,
    "matmul": _matmul,
    "permute": _permute,
    "reshape": _reshape,
    "expand": _expand,
    "slice": _slice,
    "unslice": _unslice,
    "index": _index,
    "index_add": _index_add,
    "gather": _along,
    "scatter_add": _along,
    "one_hot": _one_hot,
    "pad": _pad,
    "windows": _sliding,
    "overlap_add": _sliding,
    "cat": _joined,
    "stack": _joined,
    "class_mask": _class_mask,
}
