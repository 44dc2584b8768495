"""Strangers: arrays, lists, None and the like where a tensor belongs.

Nobody asks each argument of each op whether it is a tensor: that would cost more than small ops do.
A stranger is noticed when it lacks what a tensor has, and this is where that becomes an error that
says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.core.location import user_location
from chainrule.errors import DTypeError

__all__ = ["refuse_stranger"]

CURES = {
    "ndarray": "wrap it with chainrule.from_numpy(array), or chainrule.tensor(array) for a copy",
    "list": "wrap it with chainrule.tensor(...), or chainrule.stack(...) if it holds tensors",
    "tuple": "unpack it, or wrap it with chainrule.tensor(...)",
    "NoneType": "is a return, or an argument, missing?",
}
NUMBERS_AND_TEXT = "wrap numbers with chainrule.tensor(...)"
STRANGERS = {*CURES, "int", "float", "bool", "str", "bytes", "dict", "set", "range"}


def refuse_stranger(error: AttributeError, name: str, arguments: Iterable[object]) -> None:
    """Raise a `DTypeError` if `error` came of an argument that is no tensor; else return.

    Args:
        error: what was raised when an attribute was not found.
        name: the op or module that was called.
        arguments: what it was called with.
    """
    stranger = error.obj
    kind = type(stranger).__name__
    if kind not in STRANGERS and type(stranger).__module__ != "numpy":
        return
    for index, each in enumerate(arguments):
        if each is stranger:
            raise DTypeError(
                f"{name}: argument {index} is to be a tensor, and is of type {kind}",
                cure=CURES.get(kind, NUMBERS_AND_TEXT),
                location=str(user_location() or ""),
                op=name,
            ) from None
