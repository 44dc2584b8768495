"""What each elementwise op does to one element, as an expression of primitives.

`SCALARS` has a meaning for each, by the op's registered name. It is the op's NumPy `reference` put
in other words: the same operations in the same order, so that what is exact there is the same bits
here. `NOT_LOWERED` says which have none, and why; those run on the host, as does float16.
"""

from __future__ import annotations

from chainrule.compile.scalars import activations, arithmetic, compare, functions
from chainrule.compile.scalars.checks import CHECKS, check
from chainrule.compile.scalars.expressions import Meaning
from chainrule.core.dtypes import DType, float16
from chainrule.core.op import Op
from chainrule.ir.nest import Expr

__all__ = ["CHECKS", "NOT_LOWERED", "SCALARS", "check", "scalar"]

SCALARS: dict[str, Meaning] = {
    **arithmetic.SCALARS,
    **compare.SCALARS,
    **functions.SCALARS,
    **activations.SCALARS,
}
"""(op, operands, dtype of the result) to an expression; None for dtypes it is not for."""

NOT_LOWERED: dict[str, str] = {
    "digamma": "a recurrence and a series: rare, and long",
    "erfinv": "Halley's method on the error function: rare, and long",
    "lgamma": "a recurrence and a series: rare, and long",
    "polygamma": "a sum whose length depends on the order: rare, and long",
}
"""Elementwise ops that have no meaning here whatever the dtype, and why."""


def scalar(op: Op, args: tuple[Expr, ...], dtype: DType) -> Expr | None:
    """What an op makes of one element of each operand, or None if the host has to do it.

    Args:
        op: an elementwise op, or a cast.
        args: its operands' elements.
        dtype: the dtype of its result.

    >>> from chainrule.core.dtypes import float32
    >>> from chainrule.ir.nest import Affine, Load
    >>> from chainrule.ops.elementwise import Rsqrt
    >>> x = Load("x", Affine(0, (("n", 1),)), float32)
    >>> scalar(Rsqrt(), (x,), float32).name
    'div'
    """
    meaning = SCALARS.get(op.name)
    if meaning is None or dtype is float16 or any(each.dtype is float16 for each in args):
        return None
    return meaning(op, args, dtype)
