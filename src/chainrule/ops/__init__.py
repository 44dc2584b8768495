"""Every fine op, by family. One op is one class in one file; the function under it is the door.

Each file's `__all__` says what it offers to the public namespace. What takes a tensor named `input`
first is a method of `Tensor` too, what `IN_PLACE` lists has an in-place method, and what `METHODS`
lists is a method only.
"""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any

from chainrule.ops import (
    aliases,
    arithmetic,
    bitwise,
    bounds,
    broadcasting,
    classify,
    compare,
    conversion,
    counting,
    create,
    description,
    division,
    einsum,
    elementwise,
    extrema,
    filling,
    from_data,
    gathering,
    generator,
    indexing,
    joining,
    matmul,
    movement,
    norms,
    order,
    powers,
    products,
    random,
    rearrange,
    reduce,
    rounding,
    sampling,
    scan,
    sequences,
    special,
    splitting,
    triangles,
    trigonometry,
    variance,
    windows,
)

FAMILIES: tuple[ModuleType, ...] = (
    aliases,
    arithmetic,
    bitwise,
    bounds,
    broadcasting,
    classify,
    compare,
    conversion,
    counting,
    create,
    description,
    division,
    einsum,
    elementwise,
    extrema,
    filling,
    from_data,
    gathering,
    generator,
    indexing,
    joining,
    matmul,
    movement,
    norms,
    order,
    powers,
    products,
    random,
    rearrange,
    reduce,
    rounding,
    sampling,
    scan,
    sequences,
    special,
    splitting,
    triangles,
    trigonometry,
    variance,
    windows,
)


__all__ = ["FAMILIES", "functions", "in_place_methods", "methods"]


def functions() -> dict[str, Any]:
    """Every public function of the families, by name.

    >>> import chainrule
    >>> from chainrule import ops
    >>> ops.functions()["exp"] is chainrule.exp
    True
    """
    return {
        name: function
        for family in FAMILIES
        for name in family.__all__
        if isinstance(function := getattr(family, name), FunctionType)
    }


def methods() -> dict[str, Any]:
    """Those that are methods of `Tensor` as well, and those that are methods only.

    >>> from chainrule import ops
    >>> "exp" in ops.methods(), "zeros" in ops.methods()
    (True, False)
    """
    found = {
        name: function
        for name, function in functions().items()
        if function.__code__.co_varnames[:1] == ("input",)
    }
    for family in FAMILIES:
        found |= {name: getattr(family, name) for name in getattr(family, "METHODS", ())}
    return found


def in_place_methods() -> dict[str, Any]:
    """The functions that have an in-place method too, by the method's name: `add_` is `add`.

    >>> import chainrule
    >>> from chainrule import ops
    >>> ops.in_place_methods()["exp_"] is chainrule.exp
    True
    """
    return {
        f"{name}_": getattr(family, name)
        for family in FAMILIES
        for name in getattr(family, "IN_PLACE", ())
    }
