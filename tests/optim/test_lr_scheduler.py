"""Schedules against their published formulas; composing, saving and refusing them."""

from collections.abc import Callable
from math import cos, pi
from typing import Any

import pytest

import chainrule
from chainrule import optim
from chainrule.errors import ConfigError, StateDictError
from chainrule.optim import lr_scheduler
from chainrule.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def sgd(lr: float = 1.0, **options: Any) -> optim.SGD:
    return optim.SGD([chainrule.zeros(1, requires_grad=True)], lr=lr, **options)


def rates(scheduler: LRScheduler, steps: int) -> list[float]:
    seen: list[float] = []
    for _ in range(steps):
        seen.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.step()
    return seen


FORMULAS: dict[str, tuple[Callable[[Any], LRScheduler], Callable[[int], float]]] = {
    "StepLR": (lambda o: StepLR(o, 3, 0.5), lambda t: 0.5 ** (t // 3)),
    "MultiStepLR": (
        lambda o: MultiStepLR(o, [7, 4], 0.1),
        lambda t: 0.1 ** ((t >= 4) + (t >= 7)),
    ),
    "ExponentialLR": (lambda o: ExponentialLR(o, 0.9), lambda t: 0.9**t),
    "LambdaLR": (lambda o: LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    "LinearLR": (
        lambda o: LinearLR(o, 0.1, 1.0, total_iters=9),
        lambda t: min(1.0, 0.1 + 0.1 * t),
    ),
    "PolynomialLR": (lambda o: PolynomialLR(o, 10, 2.0), lambda t: max(0.0, 1 - t / 10) ** 2),
    "CosineAnnealingLR": (
        lambda o: CosineAnnealingLR(o, 8, 0.1),
        lambda t: 0.1 + 0.9 * (1 + cos(pi * t / 8)) / 2,
    ),
    "CosineAnnealingWarmRestarts": (
        lambda o: CosineAnnealingWarmRestarts(o, 5),
        lambda t: (1 + cos(pi * (t % 5) / 5)) / 2,
    ),
    "CyclicLR": (
        lambda o: CyclicLR(o, 0.0, 1.0, step_size_up=4, cycle_momentum=False),
        lambda t: 1 - abs((t % 8) / 4 - 1),
    ),
}


@pytest.mark.parametrize(("make", "formula"), FORMULAS.values(), ids=FORMULAS.keys())
def test_follows_the_formula(
    make: Callable[[Any], LRScheduler], formula: Callable[[int], float]
) -> None:
    assert rates(make(sgd()), 20) == pytest.approx([formula(t) for t in range(20)], abs=1e-12)


def test_restarts_grow_by_t_mult() -> None:
    seen = rates(CosineAnnealingWarmRestarts(sgd(), 2, 2), 15)
    assert [t for t, lr in enumerate(seen) if lr == 1.0] == [0, 2, 6, 14]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_one_cycle_moves_rate_and_momentum_against_each_other(optimizer: str) -> None:
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    made = getattr(optim, optimizer)([chainrule.zeros(1, requires_grad=True)], **options)
    scheduler = OneCycleLR(made, max_lr=1.0, total_steps=101, pct_start=0.5)
    group = made.param_groups[0]
    seen: list[tuple[float, float]] = []
    for _ in range(101):
        seen.append((group["lr"], group["momentum"] if "momentum" in group else group["betas"][0]))
        if len(seen) < 101:
            scheduler.step()
    assert seen[0] == pytest.approx((1 / 25, 0.95))
    top = max(range(101), key=lambda t: seen[t][0])
    assert 48 <= top <= 51
    assert seen[top] == pytest.approx((1.0, 0.85), abs=1e-3)
    assert seen[-1] == pytest.approx((1 / 25 / 1e4, 0.95))


def test_one_cycle_ends() -> None:
    scheduler = OneCycleLR(sgd(momentum=0.9), 1.0, total_steps=3)
    with pytest.raises(ConfigError, match="a cycle of 3"):
        rates(scheduler, 5)


def test_plateau_waits_for_patience_and_cools_down() -> None:
    optimizer = sgd()
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, min_lr=0.2)
    seen: list[float] = []
    for metric in [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]:
        scheduler.step(chainrule.tensor(metric))
        seen.append(scheduler.get_last_lr()[0])
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2]


def test_a_nan_metric_is_no_better() -> None:
    scheduler = ReduceLROnPlateau(sgd(), patience=0)
    scheduler.step(1.0)
    scheduler.step(float("nan"))
    assert scheduler.get_last_lr() == [0.1]


def test_writes_into_the_number_that_the_rule_reads() -> None:
    optimizer = sgd()
    number = optimizer.param_groups[0].number("lr")
    ExponentialLR(optimizer, 0.5).step()
    assert optimizer.param_groups[0].number("lr") is number
    assert number.item() == 0.5


def sequence(optimizer: Any) -> LRScheduler:
    warm_up = LinearLR(optimizer, 0.1, total_iters=4)
    return SequentialLR(optimizer, [warm_up, CosineAnnealingLR(optimizer, 10)], [4])


def test_warm_up_and_then_a_cosine() -> None:
    expected = [0.1 + 0.9 * t / 4 for t in range(4)]
    expected += [(1 + cos(pi * t / 10)) / 2 for t in range(10)]
    assert rates(sequence(sgd()), 14) == pytest.approx(expected)


def test_chained_schedules_multiply() -> None:
    optimizer = sgd()
    both = ChainedScheduler([ExponentialLR(optimizer, 0.9), StepLR(optimizer, 2, 0.5)])
    assert rates(both, 6) == pytest.approx([0.9**t * 0.5 ** (t // 2) for t in range(6)])


def test_a_chain_can_be_part_of_a_sequence() -> None:
    optimizer = sgd()
    chain = ChainedScheduler([ExponentialLR(optimizer, 0.9), StepLR(optimizer, 2, 0.5)])
    whole = SequentialLR(optimizer, [LinearLR(optimizer, 0.5, total_iters=2), chain], [2])
    expected = [0.5, 0.75, *(0.9**t * 0.5 ** (t // 2) for t in range(5))]
    assert rates(whole, 7) == pytest.approx(expected)


RESUMABLE: dict[str, Callable[[Any], LRScheduler]] = {
    **{name: make for name, (make, _) in FORMULAS.items()},
    "OneCycleLR": lambda o: OneCycleLR(o, 1.0, total_steps=40),
    "SequentialLR": sequence,
    "ChainedScheduler": lambda o: ChainedScheduler([ExponentialLR(o, 0.9), StepLR(o, 2, 0.5)]),
}


@pytest.mark.parametrize("make", RESUMABLE.values(), ids=RESUMABLE.keys())
def test_goes_on_from_a_state_dict(make: Callable[[Any], LRScheduler]) -> None:
    import json

    whole = rates(make(sgd(momentum=0.9)), 16)
    first_optimizer = sgd(momentum=0.9)
    first = make(first_optimizer)
    rates(first, 6)
    saved = json.loads(json.dumps(first.state_dict()))  # numbers, strings and lists only
    optimizer = sgd(momentum=0.9)
    resumed = make(optimizer)
    optimizer.load_state_dict(first_optimizer.state_dict())
    resumed.load_state_dict(saved)
    assert resumed.get_last_lr() == first.get_last_lr()
    assert rates(resumed, 10) == whole[6:]


def test_plateau_goes_on_from_a_state_dict() -> None:
    first = ReduceLROnPlateau(sgd(), patience=2)
    for _ in range(3):
        first.step(1.0)
    resumed = ReduceLROnPlateau(sgd(), patience=7)
    resumed.load_state_dict(first.state_dict())
    resumed.step(1.0)
    assert resumed.get_last_lr() == [0.1]


def test_last_epoch_goes_on_where_the_optimizer_stands() -> None:
    first_optimizer = sgd()
    rates(StepLR(first_optimizer, 4), 6)
    optimizer = sgd()
    optimizer.load_state_dict(first_optimizer.state_dict())
    resumed = StepLR(optimizer, 4, last_epoch=5)
    assert rates(resumed, 4) == pytest.approx([0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    "make",
    [
        lambda o: StepLR("model", 3),
        lambda o: StepLR(o, 0),
        lambda o: StepLR(o, 3, last_epoch=4),
        lambda o: LambdaLR(o, 0.5),
        lambda o: LambdaLR(o, [lambda t: 1.0, lambda t: 1.0]),
        lambda o: LinearLR(o, 0.0),
        lambda o: LinearLR(o, 0.5, 1.5),
        lambda o: lr_scheduler.ConstantLR(o, 0.0),
        lambda o: PolynomialLR(o, 0),
        lambda o: CosineAnnealingLR(o, 0),
        lambda o: CosineAnnealingWarmRestarts(o, 2.5),
        lambda o: CosineAnnealingWarmRestarts(o, 2).step(-1),
        lambda o: OneCycleLR(o, 1.0),
        lambda o: OneCycleLR(o, 1.0, total_steps=-3),
        lambda o: OneCycleLR(o, 1.0, total_steps=9, pct_start=2.0),
        lambda o: OneCycleLR(o, 1.0, total_steps=9, anneal_strategy="steep"),
        lambda o: OneCycleLR(optim.Adagrad([chainrule.zeros(1)]), 1.0, total_steps=9),
        lambda o: CyclicLR(o, 0.1, 1.0, mode="square"),
        lambda o: CyclicLR(o, 0.1, 1.0, step_size_up=0),
        lambda o: ReduceLROnPlateau(o, factor=1.0),
        lambda o: ReduceLROnPlateau(o, mode="up"),
        lambda o: ReduceLROnPlateau(o, threshold_mode="up"),
        lambda o: ReduceLROnPlateau(o).step(),
        lambda o: SequentialLR(o, [], []),
        lambda o: SequentialLR(o, [ExponentialLR(o, 0.5)], [3]),
        lambda o: SequentialLR(o, [ReduceLROnPlateau(o)], []),
        lambda o: ChainedScheduler([ExponentialLR(o, 0.5), ExponentialLR(sgd(), 0.5)]),
    ],
)
def test_refuses_what_makes_no_schedule(make: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigError):
        make(sgd())


def test_refuses_the_state_of_another_kind() -> None:
    with pytest.raises(StateDictError, match="T_max"):
        CosineAnnealingLR(sgd(), 3).load_state_dict(StepLR(sgd(), 3).state_dict())
    chain = ChainedScheduler([ExponentialLR(sgd(), 0.5)])
    with pytest.raises(StateDictError, match="1 parts, the state dict 0"):
        chain.load_state_dict(StepLR(sgd(), 3).state_dict())
