"""Settings are checked when they are made, and read back as they were written."""

import json

import pytest

from chainrule.errors import ConfigError
from chainrule.train import TrainConfig, learning_rate


def test_json_gives_back_the_same_settings():
    config = TrainConfig.of("mnist", "lenet", seed=3, limit=100, lr=0.25)
    assert TrainConfig.from_json(config.to_json()) == config


def test_defaults_suit_the_model_and_the_optimizer():
    assert TrainConfig.of("mnist", "mlp").epochs == 5
    assert TrainConfig.of("mnist", "lenet").epochs == 3
    assert TrainConfig.of("mnist", "mlp", optimizer="sgd").lr > TrainConfig.of("mnist").lr
    assert TrainConfig.of("mnist", "mlp", limit=600).validation == 100
    assert TrainConfig.of("mnist", "mlp", epochs=None).epochs == 5


@pytest.mark.parametrize(
    "settings",
    [
        {"dataset": "cifar"},
        {"dataset": 3},
        {"model": "vgg"},
        {"engine": "warp"},
        {"optimizer": "magic"},
        {"schedule": "none"},
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": True},
        {"batch_size": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"lr": "fast"},
        {"weight_decay": -1.0},
        {"validation": -1},
        {"seed": -1},
        {"limit": 0},
        {"checkpoint_every": -1},
        {"log_every": 0},
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(settings):
    name = next(iter(settings))
    with pytest.raises(ConfigError, match=name) as caught:
        TrainConfig(**settings)
    assert caught.value.facts["setting"] == name


def test_an_unknown_setting_is_named_and_the_known_are_listed():
    text = json.dumps({"epochs": 2, "learning_rate": 0.1})
    with pytest.raises(ConfigError, match="'learning_rate'") as caught:
        TrainConfig.from_json(text)
    assert "lr" in caught.value.cure


@pytest.mark.parametrize("text", ["", "[1]", "3", "{", '"epochs"'])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ConfigError):
        TrainConfig.from_json(text)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3, 100])
def test_the_learning_rate_stays_between_zero_and_the_highest(schedule, steps):
    rates = [learning_rate(schedule, 0.5, step, steps) for step in range(steps)]
    assert all(0 <= rate <= 0.5 + 1e-12 for rate in rates)
    assert max(rates) >= 0.02


def test_one_cycle_rises_then_falls():
    rates = [learning_rate("one-cycle", 1.0, step, 101) for step in range(101)]
    top = rates.index(max(rates))
    assert top == 25
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[-1] < 1e-4
