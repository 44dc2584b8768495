"""The nine dtypes, and PyTorch's rules for mixing them.

A `DType` is one shared object per dtype, so `x.dtype is chainrule.float32` works. Promotion follows
PyTorch: bool < integers < floats; inside a category the wider wins; an operand of a *higher
category* decides the category, but among operands of one category a tensor with dimensions
outweighs a zero-dimensional tensor, which outweighs a Python number. So `f32_tensor * 2.5` stays
float32 and `i32_tensor * 2.5` becomes the default dtype.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from chainrule.errors import DTypeError

__all__ = [
    "DType",
    "as_dtype",
    "bool_",
    "can_cast",
    "finfo",
    "float16",
    "float32",
    "float64",
    "from_numpy_dtype",
    "get_default_dtype",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "promote_types",
    "set_default_dtype",
    "uint8",
]

BOOL, INTEGER, FLOAT = 0, 1, 2


@dataclass(frozen=True, eq=False)
class DType:
    """The kind of number a tensor holds.

    Attributes:
        name: `"float32"`.
        short: `"f32"`, as types are printed.
        numpy: the NumPy dtype of the memory.
        category: 0 for bool, 1 for integers, 2 for floats.
    """

    name: str
    short: str
    numpy: np.dtype[Any]
    category: int

    @property
    def is_floating_point(self) -> bool:
        """Whether this is one of the float dtypes: only these have gradients."""
        return self.category == FLOAT

    @property
    def is_signed(self) -> bool:
        """Whether negative numbers can be held."""
        return self.category == FLOAT or self.name.startswith("int")

    @property
    def is_complex(self) -> bool:
        """Always False: there are no complex dtypes here."""
        return False

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.numpy.itemsize

    def __repr__(self) -> str:
        return f"chainrule.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name  # one shared object, also when copied


bool_ = DType("bool", "bool", np.dtype(np.bool_), BOOL)
uint8 = DType("uint8", "u8", np.dtype(np.uint8), INTEGER)
int8 = DType("int8", "i8", np.dtype(np.int8), INTEGER)
int16 = DType("int16", "i16", np.dtype(np.int16), INTEGER)
int32 = DType("int32", "i32", np.dtype(np.int32), INTEGER)
int64 = DType("int64", "i64", np.dtype(np.int64), INTEGER)
float16 = DType("float16", "f16", np.dtype(np.float16), FLOAT)
float32 = DType("float32", "f32", np.dtype(np.float32), FLOAT)
float64 = DType("float64", "f64", np.dtype(np.float64), FLOAT)

ALL = (bool_, uint8, int8, int16, int32, int64, float16, float32, float64)
BY_NUMPY: dict[np.dtype[Any], DType] = {dtype.numpy: dtype for dtype in ALL}
"""The dtype of memory that is known to have one; `from_numpy_dtype` checks."""
_BY_PYTHON: dict[type, DType] = {bool: bool_, int: int64, float: float64}  # PyTorch's
_default = float32


def get_default_dtype() -> DType:
    """The dtype of floats made from Python numbers: float32 unless set otherwise."""
    return _default


def set_default_dtype(dtype: DType) -> None:
    """Set the dtype of floats made from Python numbers; it must be a float dtype."""
    global _default
    dtype = as_dtype(dtype)
    if not dtype.is_floating_point:
        raise DTypeError(
            f"set_default_dtype: {dtype} is not a float dtype",
            cure="pass chainrule.float16, chainrule.float32 or chainrule.float64",
        )
    _default = dtype


def from_numpy_dtype(dtype: np.dtype[Any]) -> DType:
    """The dtype of NumPy memory; a NumPy dtype that has no counterpart is a `DTypeError`."""
    found = BY_NUMPY.get(dtype)
    if found is None:
        raise DTypeError(
            f"NumPy's {dtype} has no counterpart here",
            cure="convert first, for example array.astype(numpy.float32); the dtypes are "
            + ", ".join(each.name for each in ALL),
            dtype=str(dtype),
        )
    return found


def as_dtype(dtype: object) -> DType:
    """A `DType` from anything that names one: itself, a NumPy dtype, `bool`, `int`, `float`."""
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, type) and dtype in _BY_PYTHON:
        return _BY_PYTHON[dtype]
    try:
        return from_numpy_dtype(np.dtype(cast("Any", dtype)))
    except TypeError:
        raise DTypeError(
            f"{dtype!r} is not a dtype",
            cure="pass one of chainrule." + ", chainrule.".join(each.name for each in ALL),
        ) from None


@cache
def promote_types(type1: DType, type2: DType) -> DType:
    """The smallest dtype that both convert to, PyTorch's table.

    >>> promote_types(uint8, int8)
    chainrule.int16
    >>> promote_types(int64, float16)
    chainrule.float16
    """
    if type1 is type2:
        return type1
    low, high = sorted((type1, type2), key=lambda dtype: dtype.category)
    if low.category != high.category:
        return high
    return from_numpy_dtype(np.promote_types(low.numpy, high.numpy))


def can_cast(from_: DType, to: DType) -> bool:
    """Whether PyTorch lets a result of dtype `from_` be written into one of dtype `to`."""
    return from_.category <= to.category


def finfo(dtype: DType | None = None) -> np.finfo[Any]:
    """The limits of a float dtype: `eps`, `max`, `min`, `tiny`, ..."""
    return np.finfo((dtype or _default).numpy)


def iinfo(dtype: DType) -> np.iinfo[Any]:
    """The limits of an integer dtype: `min`, `max`, `bits`."""
    return np.iinfo(dtype.numpy)
