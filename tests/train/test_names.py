"""The names of a run's settings: what the command line offers is what there is."""

import typing

import pytest

from chainrule.cli import train as command
from chainrule.nn import CrossEntropyLoss
from chainrule.train import config
from chainrule.train.engines import build_engine, can_compile
from chainrule.train.models import build_model
from chainrule.train.optimizers import build_optimizers
from chainrule.train.schedule import learning_rate


@pytest.mark.parametrize(
    ("offered", "known"),
    [
        (command.Model, config.MODELS),
        (command.Engine, config.ENGINES),
        (command.Rule, config.OPTIMIZERS),
        (command.Schedule, config.SCHEDULES),
    ],
    ids=["model", "engine", "optimizer", "schedule"],
)
def test_the_command_line_offers_what_a_config_takes(offered, known) -> None:
    assert typing.get_args(offered) == known


def test_whatever_a_config_takes_can_be_built() -> None:
    for name in config.MODELS:
        model = build_model(name)
    for name in config.ENGINES:
        if name != "compiled" or can_compile():
            build_engine(name, model, CrossEntropyLoss(), [])
    for name in config.OPTIMIZERS:
        assert build_optimizers(name, model, 0.1, 0.0)
    for name in config.SCHEDULES:
        assert 0 <= learning_rate(name, 1.0, 1, 10) <= 1
