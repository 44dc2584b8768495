"""How scalar expressions are written here: the primitives as functions, numbers as they are.

`div(x, add(1, exp(neg(x))))` is an expression if `x` is one. A Python number takes the dtype of the
operand it stands next to, and is rounded to it, as NumPy does with a number next to an array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from chainrule.core.dtypes import BOOL, FLOAT, INTEGER, DType, bool_
from chainrule.ir.nest import Call, Expr, Literal
from chainrule.ir.primitives import PRIMITIVES, result_dtype

__all__ = [
    "ANY",
    "BITS",
    "FLOATS",
    "INTEGERS",
    "NUMBERS",
    "Binary",
    "Formula",
    "Meaning",
    "Operand",
    "Unary",
    "call",
    "cast",
    "meanings",
    "number",
    "primitive",
    "truth",
]

Operand = Expr | float
"""An expression, or a number that takes its dtype from the expression beside it."""

Unary = Callable[[Expr], Expr]
Binary = Callable[[Expr, Expr], Expr]
Formula = Callable[..., Expr | None]

Meaning = Callable[[Any, tuple[Expr, ...], DType], Expr | None]
"""What an op does to one element: (op, operands, dtype of the result) to an expression. None where
there is none for these dtypes."""

FLOATS, INTEGERS, NUMBERS, BITS, ANY = (
    (FLOAT,),
    (INTEGER,),
    (INTEGER, FLOAT),
    (BOOL, INTEGER),
    (BOOL, INTEGER, FLOAT),
)
"""Categories of dtypes that a formula is for."""


def number(value: float, dtype: DType) -> Literal:
    """A literal, its value of the Python type that its dtype says.

    >>> from chainrule.core.dtypes import float32
    >>> number(2, float32)
    Literal(value=2.0, dtype=chainrule.float32)
    """
    if dtype.category == FLOAT:
        return Literal(float(value), dtype)
    return Literal(bool(value) if dtype.category == BOOL else int(value), dtype)


def call(name: str, *operands: Operand) -> Call:
    """A primitive of operands, numbers among them.

    >>> from chainrule.core.dtypes import float32
    >>> call("gt", number(1, float32), 0).dtype
    chainrule.bool
    """
    condition = operands[:1] if PRIMITIVES[name].result == "select" else ()
    alike = operands[len(condition) :]
    dtype = next(each.dtype for each in alike if not isinstance(each, int | float))
    args = [number(x, dtype) if isinstance(x, int | float) else x for x in alike]
    flags = [number(x, bool_) if isinstance(x, int | float) else x for x in condition]
    return Call(name, (*flags, *args), result_dtype(name, dtype))


def primitive(name: str) -> Callable[..., Call]:
    """`call` of one name.

    >>> from chainrule.core.dtypes import float32
    >>> primitive("mul")(2, number(3, float32)).args[0]
    Literal(value=2.0, dtype=chainrule.float32)
    """
    return partial(call, name)


def cast(x: Expr, dtype: DType) -> Expr:
    """x in another dtype; itself where nothing changes."""
    return x if x.dtype is dtype else Call("cast", (x,), dtype)


def truth(x: Expr) -> Expr:
    """Whether x is not zero; a bool is that itself. NaN is not zero."""
    return x if x.dtype is bool_ else call("ne", x, 0)


def meanings(
    categories: tuple[int, ...],
    plain: Mapping[str, Formula],
    of_fields: Mapping[str, Formula] | None = None,
) -> dict[str, Meaning]:
    """Meanings from formulas, for some categories of (the last operand's) dtype.

    Args:
        categories: `FLOATS`, `NUMBERS`, ...
        plain: formulas of the operands, by the op's name.
        of_fields: formulas of the op, which has fields, and the operands.
    """

    def made(formula: Formula, with_op: bool) -> Meaning:
        def meaning(op: Any, args: tuple[Expr, ...], dtype: DType) -> Expr | None:
            if args[-1].dtype.category not in categories:
                return None
            return formula(op, *args) if with_op else formula(*args)

        return meaning

    return {
        **{name: made(formula, False) for name, formula in plain.items()},
        **{name: made(formula, True) for name, formula in (of_fields or {}).items()},
    }
