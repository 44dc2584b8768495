"""What an operation is: a value that holds everything about it.

An op is a frozen dataclass. Its fields are its parameters (`dim`, `keepdim`, ...); its methods are
everything that is known about it: the type rule, the NumPy reference, both derivatives, samples to
test it with. Derivatives are written in ops on tensors, never in NumPy, so that whoever interprets
can read them: the same text is run eagerly, recorded for a second derivative, traced, explained.

Symbols, here and everywhere: `y` the output, `x_dot` the tangent of x, `y_bar` the cotangent of y.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, make_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, dataclass_transform

import numpy as np

from chainrule.core.location import user_location
from chainrule.core.types import TensorType
from chainrule.errors import OpError, ShapeError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Array", "Bars", "Needs", "Op", "Sample", "Samples", "Saves", "registry"]

Array = np.ndarray[Any, np.dtype[Any]]
Needs = tuple[bool, ...]
"""Which inputs a cotangent is wanted for."""
Bars = tuple["Tensor | None", ...]
"""One cotangent (or None: it is zero, or not wanted) per input."""

registry: dict[str, type[Op]] = {}
"""Every concrete op by name. Tests, the derivative table and the compiler walk it."""


class Saves(NamedTuple):
    """What the derivative needs to see again: which inputs, and whether the output."""

    inputs: tuple[int, ...] = ()
    output: bool = False


class Sample(NamedTuple):
    """One way to try an op: the op with its parameters, and inputs in float64 or integers.

    Attributes:
        op: the op.
        inputs: the arrays it is applied to.
        smooth: False where a finite difference may straddle a kink, so that only types and values
            are compared.
    """

    op: Op
    inputs: tuple[Array, ...]
    smooth: bool = True


Samples = Callable[..., Iterable[Sample]]


def _no_samples(op: type[Any]) -> Iterable[Sample]:
    return ()


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True, init=False)  # it has no fields: no __init__ to call for each op made
class Op:
    """One mathematical operation.

    Subclasses say what is true of them; the families in `families.py` say it for whole groups.
    A subclass that annotates fields *is* a frozen dataclass, and needs no decorator: it is made one
    when its first instance is made. (Making a dataclass takes half a millisecond, and importing the
    package would make a hundred of them.)

    Attributes:
        name: the op's name in errors, graphs and the registry; the class name in snake case
            unless given.
        saves: what the derivative needs of inputs and output.
        outputs: how many outputs; with more than one, `type_rule`, `reference`, `y` and `y_bar`
            are tuples.
        differentiable: whether the first output has a derivative at all.
        pure: whether its methods depend on nothing but its fields and the types of its inputs, as
            those of every op of this package do. (What a user's op does is the user's.)
        has_fields: whether it has any.
        aliases: whether the output may share the input's memory (a view).
    """

    name: ClassVar[str] = ""
    saves: ClassVar[Saves] = Saves()
    outputs: ClassVar[int] = 1
    differentiable: ClassVar[bool] = True
    pure: ClassVar[bool] = False
    has_fields: ClassVar[bool] = False
    aliases: ClassVar[bool] = False
    samples: ClassVar[Callable[..., Iterable[Sample]]] = _no_samples
    """`samples(cls)`: ways to try the op; every registry-driven test walks them."""

    def __init_subclass__(cls, *, family: bool = False, **kwargs: Any) -> None:
        """Name and register the op; `family=True` marks a base class that is none itself."""
        super().__init_subclass__(**kwargs)
        if any("ClassVar" not in str(kind) for kind in cls.__annotations__.values()):
            cls.__init__ = _make_dataclass
            cls.has_fields = True
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.pure = not family and cls.__module__.startswith("chainrule.")
        if cls.pure:
            registry[cls.name] = cls

    # Declared as callables, so that each op can name its own operands in the signature.

    type_rule: ClassVar[Callable[..., Any]]
    """The output's `TensorType` (or a tuple) from the inputs'; a misfit raises `OpError`."""

    reference: ClassVar[Callable[..., Any]]
    """The result (or a tuple) in NumPy from the inputs' arrays: what the op means."""

    def reference_for(self, *types: TensorType) -> Callable[..., Any]:
        """The reference for inputs of these types, to be called many times.

        What it would find out from its inputs' types each time may be found out here, once.
        """
        return self.reference

    vjp: ClassVar[Callable[..., Bars]]
    """`vjp(y_bar, y, *inputs, needs=...)`: pull the cotangent back, `x_bar = y_bar · dy/dx`, for
    each input wanted. What is not named in `saves` arrives as its `TensorType`."""

    jvp: ClassVar[Callable[..., Any]]
    """`jvp(y, inputs, tangents)`: push tangents forward, `y_dot = dy/dx · x_dot`, summed over the
    inputs; a tangent that is None is zero."""

    def saves_for(self, needs: Needs) -> Saves:
        """What to keep until the backward pass, when only some cotangents are wanted."""
        return self.saves

    def fail(
        self,
        problem: str,
        *,
        cure: str = "",
        error: type[OpError] = ShapeError,
        types: Iterable[TensorType] = (),
    ) -> NoReturn:
        """Raise a typed error that names the op, the types and the user's line."""
        location = user_location()
        raise error(
            f"{self.name}: {problem}",
            cure=cure,
            location=str(location) if location else "",
            op=self.name,
            types=tuple(types),
        )


_making = threading.Lock()


def _make_dataclass(self: Op, *args: Any, **kwargs: Any) -> None:
    """Make an op's class, and those it has fields from, frozen dataclasses; then initialise."""
    cls = type(self)
    with _making:
        for base in reversed(cls.__mro__):
            if base.__dict__.get("__init__") is _make_dataclass:
                for half in {"__setattr__", "__delattr__"} & vars(base).keys():
                    delattr(base, half)  # of an attempt that Ctrl-C cut short; it can't be added to
                dataclass(frozen=True, init=False)(base)
                base.__init__ = _dataclass_init(base)
    cls.__init__(self, *args, **kwargs)


def _dataclass_init(cls: Any) -> Callable[..., None]:
    """The `__init__` of a dataclass made without one.

    It takes the place of `_make_dataclass` in one assignment, so that a second thread never finds
    the class without either.
    """
    copies = [
        (each.name, each.type, field(default=each.default, default_factory=each.default_factory))
        for each in fields(cls)
    ]
    return make_dataclass(cls.__name__, copies, frozen=True).__init__
