"""Every fine op, by family. One op is one class in one file; the function under it is the door.

Star imports here are the public namespace: each file's `__all__` says what it offers, and what takes
a tensor named `input` first is a method of `Tensor` too (`methods`).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from chainrule.ops import arithmetic, compare, create, elementwise, matmul, movement, reduce
from chainrule.ops import promotion as promotion

FAMILIES: tuple[ModuleType, ...] = (
    arithmetic,
    compare,
    create,
    elementwise,
    matmul,
    movement,
    reduce,
)


def functions() -> dict[str, Any]:
    """Every public function of the families, by name."""
    return {name: getattr(family, name) for family in FAMILIES for name in family.__all__}


def methods() -> dict[str, Any]:
    """Those that are methods of `Tensor` as well: their first parameter is called `input`."""
    return {
        name: function
        for name, function in functions().items()
        if function.__code__.co_varnames[:1] == ("input",)
    }


def in_place_methods() -> dict[str, Any]:
    """The functions that have an in-place method too, by the method's name: `add_` is `add`."""
    return {
        f"{name}_": getattr(family, name)
        for family in FAMILIES
        for name in getattr(family, "IN_PLACE", ())
    }
