"""What must hold of every element, where an op's `reference` would raise an error if it did not.

Machine code raises nothing: it can note that a check failed, and leave it to the reference to say
where and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.compile.scalars.expressions import call
from chainrule.core.dtypes import FLOAT
from chainrule.core.op import Op
from chainrule.ir.nest import Expr

__all__ = ["CHECKS", "check"]


def _divisor(op: Any, a: Expr, b: Expr) -> Expr | None:
    return None if b.dtype.category == FLOAT else call("ne", b, 0)


def _probability(op: Any, x: Expr) -> Expr:
    return call("not", call("or", call("lt", x, 0), call("gt", x, 1)))  # a NaN passes


def _class_index(op: Any, x: Expr) -> Expr:
    known = call("and", call("ge", x, 0), call("lt", x, op.classes))
    return known if op.ignore_index is None else call("or", known, call("eq", x, op.ignore_index))


CHECKS: dict[str, Callable[..., Expr | None]] = {
    "class_index": _class_index,
    "div_floor": _divisor,
    "div_trunc": _divisor,
    "fmod": _divisor,
    "probability": _probability,
    "remainder": _divisor,
}
"""(op, *operands) to a bool expression, by the op's name; None where all elements will do."""


def check(op: Op, args: tuple[Expr, ...]) -> Expr | None:
    """What must be true of each element of an op's operands; None if nothing.

    >>> from chainrule.core.dtypes import float32, int64
    >>> from chainrule.ir.nest import Iota
    >>> from chainrule.ops.division import Fmod
    >>> check(Fmod(), (Iota("n", int64), Iota("n", int64))).name
    'ne'
    """
    made = CHECKS.get(op.name)
    return None if made is None else made(op, *args)
