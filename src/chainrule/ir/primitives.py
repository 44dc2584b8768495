"""The scalar functions an expression may call: how many arguments, of what kind, giving what.

What each one means, number by number, is in `ir/evaluate.py`; how it is written for a machine, in
`compile/instructions.py`. Integers wrap around; nothing traps.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.core.dtypes import BOOL, FLOAT, INTEGER, DType, bool_

__all__ = ["PRIMITIVES", "Primitive", "result_dtype"]


@dataclass(frozen=True, slots=True)
class Primitive:
    """What calls of one name look like.

    Attributes:
        arity: how many arguments.
        categories: which categories of dtypes (`BOOL`, `INTEGER`, `FLOAT`) the arguments may have.
        result: `"same"` as the arguments, which share one dtype; `"bool"`, a comparison of two of
            one dtype; `"select"`, the second and third argument's, after a bool; `"cast"`, any.
    """

    arity: int
    categories: tuple[int, ...]
    result: str = "same"


_ANY, _NUMBERS, _BITS = (BOOL, INTEGER, FLOAT), (INTEGER, FLOAT), (BOOL, INTEGER)
_FLOATS = (
    "ceil floor rint sqrt trunc "
    "acos acosh asin asinh atan atanh cos cosh erf erfc exp exp2 expm1 log log10 log1p log2 "
    "sigmoid sin sinh tan tanh"
)

PRIMITIVES: dict[str, Primitive] = {
    **{name: Primitive(2, _ANY) for name in ("add", "mul", "min", "max", "fmin", "fmax")},
    **{name: Primitive(2, _ANY, "bool") for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    **{name: Primitive(2, _BITS) for name in ("and", "or", "xor")},
    **{name: Primitive(2, (INTEGER,)) for name in ("idiv", "irem", "shl", "shr")},
    **{name: Primitive(2, (FLOAT,)) for name in ("atan2", "copysign", "div", "pow")},
    **{name: Primitive(1, (FLOAT,)) for name in _FLOATS.split()},
    "sub": Primitive(2, _NUMBERS),
    "neg": Primitive(1, _NUMBERS),
    "abs": Primitive(1, _NUMBERS),
    "not": Primitive(1, _BITS),
    "fma": Primitive(3, (FLOAT,)),
    "select": Primitive(3, _ANY, "select"),
    "cast": Primitive(1, _ANY, "cast"),
    "bitcast": Primitive(1, _NUMBERS, "cast"),
}
"""Every name a `Call` may have. `add` and `mul` of bools are `or` and `and`, as in NumPy; `idiv`
and `irem` are those of C, and 0 where the divisor is; `bitcast` keeps the bits, and so the size."""


def result_dtype(name: str, last: DType) -> DType:
    """The dtype of a call from that of its last argument (a cast's is the caller's to say).

    >>> from chainrule.core.dtypes import float32
    >>> result_dtype("mul", float32), result_dtype("lt", float32)
    (chainrule.float32, chainrule.bool)
    """
    return bool_ if PRIMITIVES[name].result == "bool" else last
