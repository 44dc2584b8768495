"""What all optimizers share: groups, state, saving it and going on from it, refusals."""

from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn, optim
from chainrule.errors import AutogradError, ConfigError, StateDictError

RULES: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "dampening": 0.1},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adagrad": {"lr_decay": 0.1},
    "Lion": {},
    "Muon": {},
}


def leaf(*shape: int, value: float = 1.0) -> chainrule.Tensor:
    return chainrule.full(shape, value).requires_grad_()


def train(parameters: list[Any], optimizer: optim.Optimizer, steps: range) -> None:
    for step in steps:
        rng = np.random.default_rng(step)
        for each in parameters:
            each.grad = chainrule.from_numpy(rng.standard_normal(each.shape).astype("float32"))
        optimizer.step()


@pytest.mark.parametrize(("name", "options"), RULES.items(), ids=RULES.keys())
def test_goes_on_from_a_state_dict_with_the_same_bits(name: str, options: dict[str, Any]) -> None:
    whole = [leaf(3, 2), leaf(2, 2)]
    train(whole, getattr(optim, name)(whole, **options), range(6))

    parts = [leaf(3, 2), leaf(2, 2)]
    first = getattr(optim, name)(parts, **options)
    train(parts, first, range(3))
    resumed = getattr(optim, name)(parts)  # with the defaults: the settings are loaded too
    resumed.load_state_dict(first.state_dict())
    train(parts, resumed, range(3, 6))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_loaded_state_is_a_copy_written_into_what_was_there() -> None:
    x, y = leaf(2), leaf(2)
    source, target = optim.Adam([x], lr=0.5), optim.Adam([y])
    train([x], source, range(2))
    train([y], target, range(1))
    before, rate = target.state[y]["exp_avg"], target.param_groups[0].numbers["lr"]
    target.load_state_dict(source.state_dict())
    assert target.state[y]["exp_avg"] is before
    assert target.param_groups[0].numbers["lr"] is rate
    assert rate.item() == 0.5
    saved = before.clone()
    train([x], source, range(2, 3))
    assert (before == saved).all()


def test_the_rate_is_a_value_in_the_state() -> None:
    x = leaf(1, value=0.0)
    optimizer = optim.SGD([x], lr=chainrule.tensor(0.5))
    group = optimizer.param_groups[0]
    assert group["lr"] == 0.5
    rate = group.numbers["lr"]
    group["lr"] = 0.25
    assert group.numbers["lr"] is rate
    x.grad = chainrule.ones(1)
    optimizer.step()
    assert x.item() == -0.25


def test_groups_have_their_own_settings() -> None:
    x, y, z = leaf(1), leaf(1), leaf(1)
    optimizer = optim.SGD([{"params": [x]}, {"params": y, "lr": 1}], lr=0.1)
    optimizer.add_param_group({"params": iter([z]), "lr": 0.5, "weight_decay": 1.0})
    for each in (x, y, z):
        each.grad = chainrule.ones(1)
    optimizer.step()
    assert [each.item() for each in (x, y, z)] == pytest.approx([0.9, 0.0, 0.0])


def test_parameters_without_a_gradient_stay_and_get_no_state() -> None:
    x, y = leaf(1), leaf(1)
    optimizer = optim.Adam([x, y])
    x.grad = chainrule.ones(1)
    optimizer.step()
    assert y.item() == 1.0
    assert list(optimizer.state) == [x]


def test_writes_into_the_memory_that_others_see() -> None:
    x = leaf(2)
    seen, view = x.detach().numpy(), x.detach()
    x.grad = chainrule.ones(2)
    optim.SGD([x], lr=0.5).step()
    assert seen.tolist() == view.tolist() == [0.5, 0.5]


def test_a_step_between_forward_and_backward_is_noticed() -> None:
    x = leaf(2)
    y = (x * x).sum()
    x.grad = chainrule.ones(2)
    optim.SGD([x], lr=0.5).step()
    with pytest.raises(AutogradError, match=r"changed in place by step at .*test_"):
        y.backward()


def test_closure_is_called_with_gradients_on_and_its_loss_returned() -> None:
    x = leaf(1, value=3.0)
    optimizer = optim.SGD([x], lr=0.1)

    def closure() -> chainrule.Tensor:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with chainrule.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert x.item() == pytest.approx(2.4)


def test_zero_grad() -> None:
    x = leaf(1)
    optimizer = optim.SGD([x])
    x.grad = chainrule.ones(1)
    optimizer.zero_grad(set_to_none=False)
    assert x.grad is not None
    assert x.grad.item() == 0.0
    optimizer.zero_grad()
    assert x.grad is None


def test_momentum_switched_on_later_begins_from_zero() -> None:
    x = leaf(1)
    optimizer = optim.SGD([x], lr=0.1)
    train([x], optimizer, range(1))
    optimizer.param_groups[0]["momentum"] = 0.9
    train([x], optimizer, range(1, 2))
    assert optimizer.state[x].keys() == {"momentum_buffer"}


def test_shared_parameters_of_a_model_move_once() -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, layer)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert len(optimizer.param_groups[0]["params"]) == 2


def test_named_parameters_keep_their_names() -> None:
    optimizer = optim.SGD(nn.Linear(2, 1).named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


def test_nan_gradients_arrive_in_the_parameters() -> None:
    x = leaf(2)
    x.grad = chainrule.tensor([float("nan"), 1.0])
    optim.Adam([x], lr=0.1).step()
    assert x.isnan().tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("SGD", {"lr": -0.1}, "lr=-0.1"),
        ("SGD", {"lr": float("nan")}, "lr=nan"),
        ("SGD", {"lr": "fast"}, "'fast'"),
        ("SGD", {"lr": chainrule.ones(2)}, "not a number"),
        ("SGD", {"momentum": -1}, "momentum=-1"),
        ("SGD", {"nesterov": True}, "nesterov"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening=0.1"),
        ("Adam", {"betas": (0.9, 1.0)}, "betas"),
        ("Adam", {"betas": (-0.1, 0.9)}, "betas"),
        ("Adam", {"betas": (0.9,)}, "there are two"),
        ("Adam", {"eps": -1e-8}, "eps"),
        ("AdamW", {"weight_decay": -0.1}, "weight_decay"),
        ("RMSprop", {"alpha": -0.1}, "alpha"),
        ("Adagrad", {"lr_decay": -0.1}, "lr_decay"),
        ("Adagrad", {"initial_accumulator_value": -0.1}, "initial_accumulator_value"),
        ("Lion", {"betas": (0.9, 2.0)}, "betas"),
        ("Muon", {"adjust_lr_fn": "best"}, "'best'"),
        ("Muon", {"ns_steps": 100}, "ns_steps=100"),
        ("Muon", {"ns_coefficients": (1.0, 2.0)}, "there are three"),
    ],
)
def test_refuses_settings_out_of_range(name: str, options: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        getattr(optim, name)([leaf(2, 2)], **options)


def test_refuses_what_it_cannot_move() -> None:
    x = leaf(2)
    with pytest.raises(ConfigError, match="not one tensor"):
        optim.SGD(x)
    with pytest.raises(ConfigError, match="no parameters"):
        optim.SGD([])
    with pytest.raises(ConfigError, match="not a int"):
        optim.SGD(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="can't move a float"):
        optim.SGD([1.0])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="computed from others"):
        optim.SGD([x * 2])
    with pytest.raises(ConfigError, match="in two groups"):
        optim.SGD([x, x])
    with pytest.raises(ConfigError, match="'params'"):
        optim.SGD([x]).add_param_group({"lr": 0.1})
    with pytest.raises(ConfigError, match="moves matrices"):
        optim.Muon([x])
    with pytest.raises(ConfigError, match="lr=-1"):
        optim.SGD([x]).add_param_group({"params": leaf(1), "lr": -1})


def test_a_refused_state_dict_changes_nothing() -> None:
    x = leaf(2)
    optimizer = optim.Adam([x], lr=0.5)
    train([x], optimizer, range(1))
    before = optimizer.state[x]["exp_avg"].clone()
    good = optimizer.state_dict()
    with pytest.raises(StateDictError, match="'param_groups'"):
        optimizer.load_state_dict({"weight": x})
    with pytest.raises(StateDictError, match="groups of"):
        optimizer.load_state_dict({**good, "param_groups": good["param_groups"] * 2})
    with pytest.raises(StateDictError, match="parameter 7"):
        optimizer.load_state_dict({**good, "state": {7: {}}})
    other = {**good["state"][0], "exp_avg": chainrule.zeros(3)}
    with pytest.raises(StateDictError, match="exp_avg"):
        optimizer.load_state_dict({**good, "state": {0: other}})
    assert (optimizer.state[x]["exp_avg"] == before).all()
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_prints_its_settings() -> None:
    text = repr(optim.SGD([leaf(1)], lr=0.25))
    assert text.startswith("SGD (")
    assert "lr: 0.25" in text
