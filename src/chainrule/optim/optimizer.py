"""`Optimizer`: what every update rule shares. A rule itself is a pure function, one file each.

A rule says how one parameter moves: from the parameter, its gradient, its state and the numbers of
its group to the new parameter and the new state, in ops. This base class does the rest: groups,
state, writing the new values into the old memory. Since a rule is made of ops, whoever interprets
can read it: a compiled training step holds the optimizer too.

Numbers that change from step to step (the learning rate, the step count, a cycled momentum) are
tensors, values in the state. Reading `group["lr"]` gives a Python float and setting it, as
schedulers do, writes into that tensor: nothing has to be built again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from chainrule.autograd import enable_grad, no_grad
from chainrule.core.dtypes import float64
from chainrule.errors import ConfigError, StateDictError
from chainrule.tensor import Tensor, tensor

__all__ = ["Numbers", "Optimizer", "ParamGroup", "State"]

State = dict[str, Tensor]
"""What a rule remembers of one parameter."""

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class ParamGroup(dict[str, Any]):
    """The parameters of one group and its settings, a dictionary as PyTorch's.

    Floats (and tuples of floats, as `betas`) are mirrored in float64 tensors, which is what rules
    compute with: `group.number("lr")`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self._numbers: dict[str, Any] = {}
        self.update(settings)

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, Tensor) and key != "params":
            value = value.item()
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

    def _mirror(self, key: str, value: float) -> None:
        known = self._numbers.get(key)
        if known is None:
            self._numbers[key] = tensor(value, dtype=float64)
        else:
            known.fill_(value)

    def number(self, key: str) -> Tensor:
        """A setting as a float64 tensor of no dimensions; `"betas.0"` is the first of a tuple."""
        return self._numbers[key]


class Numbers:
    """The numbers of one group in one step, in a parameter's dtype; each is converted once."""

    def __init__(self, group: ParamGroup) -> None:
        self.group = group
        self._converted: dict[Any, Tensor] = {}

    def __call__(self, key: str, like: Tensor) -> Tensor:
        """A setting as a tensor of no dimensions in the dtype of `like`."""
        name = (key, like.dtype)
        if name not in self._converted:
            self._converted[name] = self.group.number(key).to(like.dtype)
        return self._converted[name]

    def __getitem__(self, key: str) -> Any:
        """A setting as it is: flags decide what a rule consists of."""
        return self.group[key]


class Optimizer:
    """The base class of all optimizers.

    Subclasses define `initial_state` and `rule`, and pass their settings to `__init__`.

    Args:
        params: parameters, `(name, parameter)` pairs, or dictionaries of settings with a
            `"params"` entry each.
        defaults: the settings of a group that doesn't say otherwise.

    Attributes:
        param_groups: the groups, each with its `"params"` and settings.
        state: what the rule remembers of each parameter.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise ConfigError(
                "an optimizer takes an iterable of parameters, not one tensor",
                cure="pass [parameter]",
            )
        self.defaults = defaults
        self.state: dict[Tensor, State] = {}
        self.param_groups: list[ParamGroup] = []
        listed: list[Any] = list(params)
        if not listed:
            raise ConfigError(
                "an optimizer got no parameters",
                cure="pass model.parameters(); a generator can be used once only",
            )
        for group in listed if isinstance(listed[0], dict) else [{"params": listed}]:
            self.add_param_group(group)

    def initial_state(self, parameter: Tensor, group: ParamGroup) -> State:
        """What is remembered of a parameter before its first step."""
        return {}

    def rule(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """The new parameter and the new state: a pure function, in ops."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient by one step.

        Args:
            closure: recomputes the loss and its gradients first; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                numbers = Numbers(group)
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._update(parameter, group, numbers)
        return loss

    def _update(self, parameter: Tensor, group: ParamGroup, numbers: Numbers) -> None:
        state = self.state.get(parameter)
        if state is None:
            state = self.state[parameter] = self.initial_state(parameter, group)
        grad = parameter.grad
        assert grad is not None
        if group["maximize"]:
            grad = -grad
        moved, after = self.rule(parameter, grad, state, numbers)
        parameter.put_(moved, "step")
        for key, value in after.items():
            state[key].put_(value, "step")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients: set them to None, or to zeros in place."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach().zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; settings it does not name are the defaults."""
        given = param_group["params"]
        listed: list[Any] = [given] if isinstance(given, Tensor) else list(given)
        parameters = [each[1] if isinstance(each, tuple) else each for each in listed]
        known = {id(each) for group in self.param_groups for each in group["params"]}
        for parameter in cast("list[Any]", parameters):
            if not isinstance(parameter, Tensor):
                raise ConfigError(
                    f"an optimizer can't move a {type(parameter).__name__}",
                    cure="pass tensors that require gradients",
                )
            if not parameter.is_leaf:
                raise ConfigError(
                    f"an optimizer can't move {parameter.type}: it is computed from others",
                    cure="pass leaf tensors, such as model.parameters()",
                )
            if id(parameter) in known:
                raise ConfigError(
                    f"the parameter {parameter.type} is in two groups (or twice in one)",
                    cure="name each parameter once",
                )
            known.add(id(parameter))
        settings = {"maximize": False, **self.defaults, **param_group, "params": parameters}
        self.param_groups.append(ParamGroup(settings))

    def state_dict(self) -> dict[str, Any]:
        """Everything to go on from: `{"state": {index: {...}}, "param_groups": [...]}`."""
        index = {id(each): i for i, each in enumerate(self._parameters())}
        return {
            "state": {index[id(parameter)]: dict(state) for parameter, state in self.state.items()},
            "param_groups": [
                {**group, "params": [index[id(each)] for each in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict()` gave: groups and parameters must match one to one.

        Raises:
            StateDictError: another number of groups or parameters, or a state of another shape.
        """
        groups = state_dict["param_groups"]
        have = [len(group["params"]) for group in self.param_groups]
        given = [len(group["params"]) for group in groups]
        if have != given:
            raise StateDictError(
                f"the optimizer has groups of {have} parameters, the state dict of {given}",
                cure="build the optimizer over the same parameters in the same groups",
            )
        parameters = list(self._parameters())
        loaded: dict[Tensor, State] = {}
        for key, state in state_dict["state"].items():
            parameter = parameters[int(key)]
            loaded[parameter] = {
                name: _like_saved(name, value, parameter) for name, value in state.items()
            }
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})
        self.state = loaded

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _like_saved(name: str, value: Any, parameter: Tensor) -> Tensor:
    """A saved state value as a tensor of its own."""
    copy = tensor(value)
    if copy.ndim and copy.shape != parameter.shape:
        raise StateDictError(
            f"the state {name!r} is {copy.type}, its parameter {parameter.type}",
            cure="the state dict belongs to another model",
        )
    return copy
