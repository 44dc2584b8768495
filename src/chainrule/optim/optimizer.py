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
from functools import partial
from itertools import chain
from math import inf, isnan
from operator import attrgetter, methodcaller
from typing import Any, cast

from chainrule.autograd import enable_grad, no_grad
from chainrule.autograd.inplace import put
from chainrule.autograd.tape import Tape
from chainrule.core.interpret import current_stack, enter, leave, prepare, together, update
from chainrule.core.location import Location, user_location
from chainrule.core.types import signature_of
from chainrule.errors import ChainruleError, ConfigError, StateDictError
from chainrule.optim.param_group import RANGES, Numbers, ParamGroup, as_floats
from chainrule.tensor import Tensor, tensor

__all__ = ["Numbers", "Optimizer", "ParamGroup", "Params", "State"]

State = dict[str, Tensor]
"""What a rule remembers of one parameter."""

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
"""Parameters, groups of them, or pairs of a name and a parameter."""

AT_ONCE = 8
"""How many parameters are moved by one function: many are moved sooner so, but recording the
function takes time for each."""

_gradient_of = attrgetter("gradient")
_tangents_of = attrgetter("tangents")
_values_of = methodcaller("values")

THEIRS = frozenset(("capturable", "differentiable", "foreach", "fused", "param_names"))
"""Entries of a PyTorch group that choose among its implementations: nothing to load here."""


class Optimizer:
    """The base class of all optimizers.

    Subclasses define `initial_state` and `rule`, and pass their settings to `__init__`.

    PyTorch's `foreach`, `fused`, `capturable` and `differentiable` choose among implementations of
    one rule; there is one implementation here, and no such arguments.

    Args:
        params: parameters, `(name, parameter)` pairs, or dictionaries of settings with a
            `"params"` entry each. Entries that are no settings of the rule are kept, unused.
        defaults: the settings of a group that doesn't say otherwise.

    Attributes:
        param_groups: the groups, each with its `"params"` and settings.
        state: what the rule remembers of each parameter.

    Raises:
        ConfigError: no parameters, one that can't be moved or is given twice, or a setting out of
            its range.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise ConfigError(
                "an optimizer takes an iterable of parameters, not one tensor",
                cure="pass [parameter]",
            )
        self.defaults: dict[str, Any] = {
            key: self._checked(key, value) for key, value in defaults.items()
        }
        self.state: dict[Tensor, State] = {}
        self.param_groups: list[ParamGroup] = []
        try:
            listed: list[Any] = list(params)
        except TypeError:
            raise ConfigError(
                f"an optimizer takes an iterable of parameters, not a {type(params).__name__}",
                cure="pass model.parameters()",
            ) from None
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
        token = enter(current_stack().without(Tape))
        try:
            together(self._update_all, user_location())
        finally:
            leave(token)
        return loss

    def _update_all(self, at: Location | None) -> None:
        # What a user's rule depends on is the user's business.
        pure = type(self).__module__.startswith("chainrule.") and "rule" not in vars(self)
        for group in self.param_groups:
            if group.restructured:
                self._complete_state(group)
            parameters = group["params"]
            for start in range(0, len(parameters), AT_ONCE):
                some = parameters[start : start + AT_ONCE]
                moving = [each for each in some if each.gradient is not None]
                if None in map(self.state.get, moving):
                    self._begin(group, moving)
                if pure and len(moving) == len(some):
                    self._update(group, moving, at)
                    continue
                for parameter in moving:  # which of them have gradients may change every time
                    if pure:
                        self._update(group, [parameter], at)
                    else:
                        self._put(group, parameter)

    def _update(self, group: ParamGroup, parameters: list[Tensor], at: Location | None) -> None:
        """Move parameters by one function of tensors, if there is one; else one after the other."""
        states = [*map(self.state.__getitem__, parameters)]
        grads = (*map(_gradient_of, parameters),)
        targets = (*parameters, *chain.from_iterable(map(_values_of, states)))
        key = (
            type(self).rule,
            group.choices,
            (*map(signature_of, targets),),
            (*map(signature_of, grads),),
            (*map(tuple, states),),
        )
        plain = group.choices is not None and not any(map(_tangents_of, (*parameters, *grads)))
        rule = partial(self._all_moved, group, states)
        args = grads, targets, tuple(group.numbers.values())
        written = plain
        try:
            written = plain and update(key, rule, args, targets)
        finally:  # where it was interrupted, some of them may have been written to
            for target in targets if written else ():
                counter = target.counter or target.version_counter()
                counter.count += 1
                counter.changed_by, counter.changed_at = "step", at
        if not written:
            for parameter in parameters:
                self._put(group, parameter)

    def _all_moved(
        self,
        group: ParamGroup,
        states: list[State],
        grads: tuple[Tensor, ...],
        targets: tuple[Tensor, ...],
        tensors: tuple[Tensor, ...],
    ) -> tuple[Tensor, ...]:
        """The rule for several parameters: the new values of them, then those of their states."""
        numbers, given = Numbers(group, tensors), iter(targets[len(grads) :])
        moved: list[Tensor] = []
        remembered: list[Tensor] = []
        for parameter, grad, names in zip(targets, grads, states):
            state = {name: next(given) for name in names}
            value, after = self._moved(parameter, grad, state, numbers)
            moved.append(value)
            remembered += [after.get(name, before) for name, before in state.items()]
        return (*moved, *remembered)

    def _moved(
        self, parameter: Tensor, grad: Tensor, state: State, numbers: Numbers
    ) -> tuple[Tensor, State]:
        """What the rule says, uphill if asked for."""
        return self.rule(parameter, -grad if numbers["maximize"] else grad, state, numbers)

    def _put(self, group: ParamGroup, parameter: Tensor) -> None:
        """Move a parameter op by op."""
        state, grad = self.state[parameter], parameter.gradient
        moved, after = self._moved(parameter, cast("Tensor", grad), state, Numbers(group))
        put(parameter, moved, "step")
        for key, value in after.items():
            put(state[key], value, "step")

    def _begin(self, group: ParamGroup, parameters: list[Tensor]) -> None:
        """Make the state of those parameters that have none."""
        for parameter in parameters:
            if parameter not in self.state:
                self.state[parameter] = prepare(self.initial_state, parameter, group)

    def _complete_state(self, group: ParamGroup) -> None:
        """Add what a setting that was just switched on wants remembered, too."""
        for parameter in group["params"]:
            state = self.state.get(parameter)
            if state is not None:
                wanted: State = prepare(self.initial_state, parameter, group)
                for key, value in wanted.items():
                    state.setdefault(key, value)
        group.restructured = False

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients: set them to None, or to zeros in place."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.gradient = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach().zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; settings it does not name are the defaults.

        Raises:
            ConfigError: it can't be moved, or a setting is out of its range.
        """
        if not isinstance(cast("Any", param_group), dict) or "params" not in param_group:
            raise ConfigError(
                f"a parameter group is a dictionary with 'params', not {param_group!r:.80}",
                cure='write {"params": layer.parameters(), "lr": 0.1}',
            )
        given = param_group["params"]
        listed: list[Any] = [given] if isinstance(given, Tensor) else list(given)
        parameters: list[Any] = [
            cast("Any", each)[1] if isinstance(each, tuple) else each for each in listed
        ]
        known = {id(each) for each in self._parameters()}
        for parameter in parameters:
            _refuse_unmovable(parameter)
            if id(parameter) in known:
                raise ConfigError(
                    f"the parameter {parameter.type} is in two groups (or twice in one)",
                    cure="name each parameter once",
                )
            known.add(id(parameter))
        settings: dict[str, Any] = {"maximize": False, **self.defaults}
        for key, value in param_group.items():
            settings[key] = self._checked(key, value)
        settings["params"] = parameters
        if listed and isinstance(listed[0], tuple):
            settings["param_names"] = [name for name, _ in listed]
        self.param_groups.append(ParamGroup(settings))

    def _checked(self, key: str, value: Any) -> Any:
        """A setting with its numbers as floats, if they are in range."""
        if key not in RANGES:
            return value
        low, high = RANGES[key]
        floats = as_floats(key, value)
        for each in floats if isinstance(floats, tuple) else (floats,):
            if isnan(each) or not low <= each <= high or (each == high != inf):
                allowed = f"in [{low:g}, {high:g})" if high != inf else f"at least {low:g}"
                raise ConfigError(
                    f"{type(self).__name__}: {key}={floats}, but it must be {allowed}",
                    cure=f"the default is {getattr(self, 'defaults', {}).get(key, 'documented')}",
                    setting=key,
                    value=floats,
                )
        return floats

    def state_dict(self) -> dict[str, Any]:
        """Everything to go on from: `{"state": {index: {...}}, "param_groups": [...]}`.

        The tensors are the optimizer's own, as in PyTorch: copy them to keep this moment.
        """
        index = {id(each): i for i, each in enumerate(self._parameters())}
        return {
            "state": {index[id(parameter)]: dict(state) for parameter, state in self.state.items()},
            "param_groups": [
                {**group, "params": [index[id(each)] for each in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` gave: groups and parameters must match one to one.

        State already there is written into, so that whoever holds it (a compiled step) sees the
        change. One of PyTorch's, its tensors as arrays, is understood too.

        Raises:
            StateDictError: another number of groups or parameters, or a state of another shape.
                Nothing has been changed then.
        """
        if not {"state", "param_groups"} <= set(cast("Any", state_dict)):
            raise StateDictError(
                "an optimizer's state dict has the entries 'state' and 'param_groups'",
                cure="pass what optimizer.state_dict() gave, not a model's",
            )
        groups: list[dict[str, Any]] = state_dict["param_groups"]
        have = [len(group["params"]) for group in self.param_groups]
        given = [len(group["params"]) for group in groups]
        if have != given:
            raise StateDictError(
                f"the optimizer has groups of {have} parameters, the state dict of {given}",
                cure="build the optimizer over the same parameters in the same groups",
            )
        names = [name for group in groups for name in group["params"]]
        place = dict(zip(map(str, names), self._parameters(), strict=True))
        loaded: dict[Tensor, dict[str, Tensor]] = {}
        for name, state in state_dict["state"].items():
            if str(name) not in place:
                raise StateDictError(
                    f"the state dict has a state of parameter {name}, which is in no group",
                    cure="pass what optimizer.state_dict() gave, unchanged",
                )
            parameter = place[str(name)]
            loaded[parameter] = {
                key: _like_saved(key, value, parameter)
                for key, value in state.items()
                if value is not None
            }
        self._take_over(loaded, groups)

    def _take_over(
        self, loaded: dict[Tensor, dict[str, Tensor]], groups: list[dict[str, Any]]
    ) -> None:
        fresh = [
            {key: v for key, v in saved.items() if key != "params" and key not in THEIRS}
            for saved in groups
        ]
        for settings in fresh:
            for key, value in settings.items():
                if key in RANGES:  # before anything is changed
                    settings[key] = as_floats(key, value)
        for group, settings in zip(self.param_groups, fresh, strict=True):
            group.update(settings)
        for parameter in [each for each in self.state if each not in loaded]:
            del self.state[parameter]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter in loaded:
                    self._load_one(parameter, loaded[parameter], group)

    def _load_one(self, parameter: Tensor, saved: State, group: ParamGroup) -> None:
        state = self.state.setdefault(parameter, {})
        wanted = self.initial_state(parameter, group)
        with no_grad():
            for key, initial in wanted.items():
                target = state.setdefault(key, initial)
                target.put_(saved.get(key, initial), "load_state_dict")

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _refuse_unmovable(parameter: Any) -> None:
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


def _like_saved(name: str, value: Any, parameter: Tensor) -> Tensor:
    """A saved state value as a tensor."""
    try:
        copy = value if isinstance(value, Tensor) else tensor(value)
    except ChainruleError as error:
        raise StateDictError(
            f"the state {name!r} is a {type(value).__name__}, which makes no tensor",
            cure="convert another library's tensors with .numpy() first",
        ) from error
    if copy.ndim and copy.shape != parameter.shape:
        raise StateDictError(
            f"the state {name!r} is {copy.type}, its parameter {parameter.type}",
            cure="the state dict belongs to another model",
        )
    return copy.detach()
