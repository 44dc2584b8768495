"""exp, log, tanh and their like as vector code: polynomials, for any number of lanes.

LLVM has no such functions on a CPU, and the vector libraries that others link against are not
everywhere; so they are written here. Each is one Python function of a `Value` (`value.py`), which
writes the same lines for float32 and float64, for one lane or sixteen. In a module it becomes an
internal function that is inlined where it is called. No table lookups and no fast-math flags:
the same bits on every machine that rounds as IEEE says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from chainrule.compile.llvm_text import Lines, register_type
from chainrule.compile.vector_math import (
    error_function,
    exponential,
    hyperbolic,
    inverse_trigonometric,
    logarithm,
    power,
    trigonometric,
)
from chainrule.compile.vector_math.value import Value
from chainrule.core.dtypes import DType

__all__ = ["ARITIES", "call"]

_UNARY: dict[str, Callable[[Value], Value]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "sigmoid": exponential.sigmoid,
    "log": logarithm.log,
    "log2": logarithm.log2,
    "log10": logarithm.log10,
    "log1p": logarithm.log1p,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    "tan": trigonometric.tan,
    "asin": inverse_trigonometric.asin,
    "acos": inverse_trigonometric.acos,
    "atan": inverse_trigonometric.atan,
    "sinh": hyperbolic.sinh,
    "cosh": hyperbolic.cosh,
    "tanh": hyperbolic.tanh,
    "asinh": hyperbolic.asinh,
    "acosh": hyperbolic.acosh,
    "atanh": hyperbolic.atanh,
    "erf": error_function.erf,
    "erfc": error_function.erfc,
}
_BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "pow": power.power,
    "atan2": inverse_trigonometric.atan2,
}

ARITIES: dict[str, int] = dict.fromkeys(_UNARY, 1) | dict.fromkeys(_BINARY, 2)
"""How many arguments each function takes."""


def call(lines: Lines, name: str, dtype: DType, args: Sequence[str], lanes: int) -> str:
    """Write a call of one of `ARITIES`; gives the name of the result."""
    function = f"@chainrule_{name}_{dtype.short}x{lanes}"
    for each, text in _definitions(name, function, dtype, lanes).items():
        lines.declare(each, text)
    type_ = register_type(dtype, lanes)
    operands = ", ".join(f"{type_} {arg}" for arg in args)
    return lines.assign(f"call {type_} {function}({operands})")


@cache
def _definitions(name: str, function: str, dtype: DType, lanes: int) -> dict[str, str]:
    """The function's definition, and what that needs in turn."""
    body = Lines()
    type_ = register_type(dtype, lanes)
    arguments = [Value(body, f"%x{k}", dtype, lanes) for k in range(ARITIES[name])]
    if len(arguments) == 1:
        result = _UNARY[name](arguments[0])
    else:
        result = _BINARY[name](arguments[0], arguments[1])
    body.add(f"ret {type_} {result.name}")
    head = ", ".join(f"{type_} {argument.name}" for argument in arguments)
    text = f"define internal {type_} {function}({head}) alwaysinline nounwind {{\nentry:"
    return {**body.declarations, function: "\n".join([text, *body.text, "}"])}
