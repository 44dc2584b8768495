"""Comparisons, logic, selection, and what kind of number an element is."""

from __future__ import annotations

import math

from chainrule.compile.scalars.expressions import (
    ANY,
    Binary,
    Meaning,
    call,
    meanings,
    number,
    truth,
)
from chainrule.core.dtypes import BOOL, FLOAT, bool_
from chainrule.ir.nest import Expr

__all__ = ["SCALARS"]


def _comparison(name: str) -> Binary:
    return lambda a, b: call(name, a, b)


def _logical(name: str) -> Binary:
    return lambda a, b: call(name, truth(a), truth(b))


def _logical_not(x: Expr) -> Expr:
    return call("not", truth(x))


def _is_nan(x: Expr) -> Expr:
    return call("ne", x, x) if x.dtype.category == FLOAT else number(False, bool_)


def _is_inf(x: Expr) -> Expr:
    if x.dtype.category != FLOAT:
        return number(False, bool_)
    return call("eq", call("abs", x), math.inf)


def _is_finite(x: Expr) -> Expr:
    if x.dtype.category != FLOAT:
        return number(True, bool_)
    return call("lt", call("abs", x), math.inf)


def _signbit(x: Expr) -> Expr:
    if x.dtype.category == FLOAT:
        return call("lt", call("copysign", 1, x), 0)
    return call("lt", x, 0) if x.dtype.is_signed else number(False, bool_)


def _keep_where(x: Expr, mask: Expr) -> Expr:
    if x.dtype.category == BOOL:
        return call("and", x, mask)
    return call("select", mask, x, 0)


def _where(condition: Expr, a: Expr, b: Expr) -> Expr:
    return call("select", condition, a, b)


SCALARS: dict[str, Meaning] = meanings(
    ANY,
    {
        **{name: _comparison(name) for name in ("eq", "ge", "gt", "le", "lt", "ne")},
        **{f"logical_{name}": _logical(name) for name in ("and", "or", "xor")},
        "is_finite": _is_finite,
        "is_inf": _is_inf,
        "is_nan": _is_nan,
        "keep_where": _keep_where,
        "logical_not": _logical_not,
        "signbit": _signbit,
        "where": _where,
    },
)
