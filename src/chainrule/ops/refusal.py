"""How a function says no that is itself no op.

An op refuses with `Op.fail`, which names it. A function made of other ops (`split`, `trace`, `bmm`)
would be called by the name of one of those: its user never wrote that. It names itself here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from chainrule.core.location import user_location
from chainrule.core.types import TensorType
from chainrule.errors import OpError, ShapeError

__all__ = ["refuse"]


def refuse(
    function: str,
    problem: str,
    *,
    cure: str,
    error: type[OpError] = ShapeError,
    types: Iterable[TensorType] = (),
) -> NoReturn:
    """Raise a typed error that names the function, the types and the user's line.

    >>> refuse("trace", "takes a matrix, not f32[3]", cure="reshape it")
    Traceback (most recent call last):
        ...
    chainrule.errors.ShapeError: trace: takes a matrix, not f32[3]
    ...
    """
    raise error(
        f"{function}: {problem}",
        cure=cure,
        location=str(user_location() or ""),
        op=function,
        types=tuple(types),
    )
