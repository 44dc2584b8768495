"""The activations and elementwise losses' parts of `nn.functional`, of floats.

Each is its op's `reference`, operation by operation. Factors that are 1 are left out, as there.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.compile.scalars.expressions import (
    FLOATS,
    INTEGERS,
    NUMBERS,
    Formula,
    Meaning,
    meanings,
    primitive,
)
from chainrule.compile.scalars.functions import sigmoid_divisor
from chainrule.ir.nest import Expr

__all__ = ["SCALARS"]

add, sub, mul, div, neg, abs_ = map(primitive, ("add", "sub", "mul", "div", "neg", "abs"))
exp, expm1, log1p, tanh, erfc = map(primitive, ("exp", "expm1", "log1p", "tanh", "erfc"))
eq, gt, le, min_, max_, select = map(primitive, ("eq", "gt", "le", "min", "max", "select"))

_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _relu(x: Expr) -> Expr:
    return max_(x, 0)


def _leaky_relu(op: Any, x: Expr) -> Expr:
    return select(gt(x, 0), x, mul(x, op.negative_slope))


def _prelu(x: Expr, weight: Expr) -> Expr:
    return select(gt(x, 0), x, mul(weight, x))


def _elu(op: Any, x: Expr) -> Expr:
    below = mul(op.scale * op.alpha, expm1(_times(min_(x, 0), op.input_scale)))
    return select(gt(x, 0), _times(x, op.scale), below)


def _times(x: Expr, factor: float) -> Expr:
    return x if factor == 1 else mul(x, factor)


def _threshold(op: Any, x: Expr) -> Expr:
    return select(le(x, op.threshold), op.value, x)


def _hardtanh(op: Any, x: Expr) -> Expr:
    return _between(x, op.min_val, op.max_val)


def _between(x: Expr, low: float, high: float) -> Expr:
    return min_(max_(x, low), high)


def _hardsigmoid(x: Expr) -> Expr:
    return div(_between(add(x, 3), 0, 6), 6)


def _hardswish(x: Expr) -> Expr:
    return mul(x, _hardsigmoid(x))


def _softshrink(op: Any, x: Expr) -> Expr:
    return sub(x, _between(x, -op.lambd, op.lambd))


def _hardshrink(op: Any, x: Expr) -> Expr:
    return select(le(abs_(x), op.lambd), 0, x)


def _tanhshrink(x: Expr) -> Expr:
    return sub(x, tanh(x))


def _gelu(x: Expr) -> Expr:
    return mul(x, mul(0.5, erfc(mul(x, -_SQRT_HALF))))


def _gelu_tanh(x: Expr) -> Expr:
    inner = mul(mul(_SQRT_2_PI, x), add(1, mul(mul(_CUBIC, x), x)))
    return mul(mul(0.5, x), add(1, tanh(inner)))


def _silu(x: Expr) -> Expr:
    return div(x, sigmoid_divisor(x))


def _stable_softplus(x: Expr) -> Expr:
    return add(max_(x, 0), log1p(exp(neg(abs_(x)))))


def _softplus(op: Any, x: Expr) -> Expr:
    scaled = _times(x, op.beta)
    curved = _stable_softplus(scaled)
    if op.beta != 1:
        curved = div(curved, op.beta)
    return select(gt(scaled, op.threshold), x, curved)


def _mish(x: Expr) -> Expr:
    return mul(x, tanh(_stable_softplus(x)))


def _logsigmoid(x: Expr) -> Expr:
    return neg(_stable_softplus(neg(x)))


def _softsign(x: Expr) -> Expr:
    return div(x, add(1, abs_(x)))


def _probability(x: Expr) -> Expr:
    return x


def _class_index(op: Any, x: Expr) -> Expr:
    return x if op.ignore_index is None else select(eq(x, op.ignore_index), -1, x)


_PLAIN: dict[str, Formula] = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "logsigmoid": _logsigmoid,
    "mish": _mish,
    "prelu": _prelu,
    "probability": _probability,
    "silu": _silu,
    "softsign": _softsign,
    "tanhshrink": _tanhshrink,
}
_OF_FIELDS: dict[str, Formula] = {
    "elu": _elu,
    "hardshrink": _hardshrink,
    "hardtanh": _hardtanh,
    "leaky_relu": _leaky_relu,
    "softplus": _softplus,
    "softshrink": _softshrink,
    "threshold": _threshold,
}

SCALARS: dict[str, Meaning] = {
    **meanings(FLOATS, _PLAIN, _OF_FIELDS),
    **meanings(NUMBERS, {"relu": _relu}),
    **meanings(INTEGERS, {}, {"class_index": _class_index}),
}
