"""The settings of a group of parameters: numbers that change from step to step, and choices.

A number (the learning rate, a momentum) is mirrored in a tensor, which is what rules compute with:
a schedule writes into it, and nothing has to be built again. A choice (Nesterov or not, with weight
decay or without) decides what ops a rule consists of.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, cast

from chainrule.autograd.tape import Tape
from chainrule.core.dtypes import float64
from chainrule.core.interpret import Stack, current_stack
from chainrule.eager import Eager
from chainrule.errors import ChainruleError, ConfigError
from chainrule.ops.promotion import python_number
from chainrule.tensor import Tensor, tensor

__all__ = ["RANGES", "Numbers", "ParamGroup", "as_floats"]

RANGES = {
    "alpha": (0.0, inf),
    "betas": (0.0, 1.0),
    "dampening": (-inf, inf),
    "eps": (0.0, inf),
    "initial_accumulator_value": (0.0, inf),
    "lr": (0.0, inf),
    "lr_decay": (0.0, inf),
    "momentum": (0.0, inf),
    "ns_coefficients": (-inf, inf),
    "weight_decay": (0.0, inf),
}
"""The settings that are numbers (or tuples of numbers): the least allowed, the first too large."""

READ_AS_NUMBERS = frozenset(("eps", "ns_coefficients"))
"""The numbers whose values rules may read; of all others they ask only whether they are zero."""


class ParamGroup(dict[str, Any]):
    """The parameters of one group and its settings, a dictionary as PyTorch's.

    Floats (and tuples of floats, as `betas`) are mirrored in float64 tensors, which is what rules
    compute with. Setting one writes into its tensor.

    Attributes:
        restructured: a setting was switched on or off, which may ask for more state.
        numbers: the mirrors by name; `"betas.0"` is the first of a tuple.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.numbers: dict[str, Tensor] = {}
        self._choices: tuple[Any, ...] | None = None
        self.restructured = True
        self.update(settings)

    def __setitem__(self, key: str, value: Any) -> None:
        value = python_number(value)
        if key in RANGES:
            value = as_floats(key, value)
        if (key in RANGES or isinstance(value, bool)) and bool(self.get(key)) != bool(value):
            self.restructured = True
        if self.restructured or key not in RANGES or key in READ_AS_NUMBERS:
            self._choices = None
        super().__setitem__(key, value)
        if isinstance(value, float):
            self._mirror(key, value)
        elif isinstance(value, tuple):
            for index, each in enumerate(cast("tuple[Any, ...]", value)):
                if isinstance(each, float):
                    self._mirror(f"{key}.{index}", each)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As a dictionary's, through `__setitem__`."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As a dictionary's, through `__setitem__`."""
        if key not in self:
            self[key] = default
        return self[key]

    def _mirror(self, key: str, value: float) -> None:
        known = self.numbers.get(key)
        if known is None:
            self.numbers[key] = tensor(value, dtype=float64)
            self._choices = None
        elif _is_plain(current_stack()):  # a schedule comes here at every step: no op is made
            known.value[...] = value
            counter = known.version_counter()
            counter.count += 1
            counter.changed_by, counter.changed_at = "fill_", None
        else:
            known.fill_(value)

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """All that decides what ops a rule consists of; None where that can't be told."""
        if self._choices is None:
            choices: tuple[Any, ...] = tuple(
                [
                    (key, bool(value))
                    if key in RANGES and key not in READ_AS_NUMBERS
                    else (key, cast("Any", type(value)), value)
                    for key, value in self.items()
                    if key not in ("params", "param_names")
                ]
            )
            try:
                hash(choices)
            except TypeError:  # a list, or what else a user left here: it may change unnoticed
                return None
            self._choices = (*choices, *self.numbers)
        return self._choices

    def __reduce__(self) -> tuple[Any, ...]:
        return ParamGroup, (dict(self),)


class Numbers:
    """The numbers of one group in one step, in a parameter's dtype; each is computed once.

    What is computed from settings is computed in float64 and rounded once, as it is in PyTorch:
    1 - 0.999 in float32 is off by 5e-5.

    Args:
        group: the settings.
        tensors: the group's numbers, in its order; its own unless given.
    """

    __slots__ = ("_exact", "_known", "group")

    def __init__(self, group: ParamGroup, tensors: tuple[Tensor, ...] | None = None) -> None:
        self.group = group
        own = group.numbers
        self._exact = own if tensors is None else dict(zip(own, tensors, strict=True))
        self._known: dict[Any, Tensor] = {}

    def exact(self, key: str) -> Tensor:
        """A setting as a float64 tensor of no dimensions; `"betas.0"` is the first of a tuple."""
        return self._exact[key]

    def __call__(self, key: str, like: Tensor) -> Tensor:
        """A setting as a tensor of no dimensions in the dtype of `like`."""
        name = (key, like.value.dtype)
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self.exact(key).to(like.dtype)
        return known

    def __getitem__(self, key: str) -> Any:
        """A setting as it is, to decide what the rule consists of.

        Of a number, ask only whether it is zero: `READ_AS_NUMBERS` lists the exceptions.
        """
        return self.group[key]

    def complement(self, key: str, like: Tensor) -> Tensor:
        """1 - a setting."""
        name = ("1 -", key, like.value.dtype)
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = (1 - self.exact(key)).to(like.dtype)
        return known

    def shrinkage(self, like: Tensor) -> Tensor:
        """1 - γ λ: what decoupled weight decay leaves of a parameter."""
        name = ("1 - lr weight_decay", like.value.dtype)
        known = self._known.get(name)
        if known is None:
            decayed = self.exact("lr") * self.exact("weight_decay")
            known = self._known[name] = (1 - decayed).to(like.dtype)
        return known


def as_floats(key: str, value: Any) -> float | tuple[float, ...]:
    """A number, or a tuple of numbers, as floats; a tensor of one element is a number."""
    try:
        if type(value) in (tuple, list):
            return tuple([float(each) for each in value])
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError, ChainruleError):
        pass
    raise ConfigError(f"{key} is {value!r:.80}, and not a number", cure="pass a float", setting=key)


def _is_plain(stack: Stack) -> bool:
    """Whether nobody looks at single ops, but the tape."""
    return isinstance(stack.base, Eager) and not stack.without(Tape).layers
