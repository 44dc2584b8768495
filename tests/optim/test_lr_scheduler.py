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
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
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
    "MultiplicativeLR": (
        lambda o: MultiplicativeLR(o, lambda t: 0.9 if t < 5 else 0.5),
        lambda t: 0.9 ** min(t, 4) * 0.5 ** max(0, t - 4),
    ),
    "ConstantLR": (lambda o: ConstantLR(o, 0.25, 6), lambda t: 0.25 if t < 6 else 1.0),
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
    "CyclicLR triangular2": (
        lambda o: CyclicLR(o, 0.1, 0.9, 2, 3, mode="triangular2", cycle_momentum=False),
        lambda t: 0.1 + 0.8 * min(t % 5 / 2, (5 - t % 5) / 3) / 2 ** (t // 5),
    ),
    "CyclicLR exp_range": (
        lambda o: CyclicLR(o, 0.0, 1.0, 2, mode="exp_range", gamma=0.9, cycle_momentum=False),
        lambda t: 0.9**t * (1 - abs((t % 4) / 2 - 1)),
    ),
    "CyclicLR scale_fn": (
        lambda o: CyclicLR(o, 0.0, 1.0, 2, scale_fn=lambda c: 1 / c, cycle_momentum=False),
        lambda t: (1 - abs((t % 4) / 2 - 1)) / (1 + t // 4),
    ),
}


@pytest.mark.parametrize(("make", "formula"), FORMULAS.values(), ids=FORMULAS.keys())
def test_follows_the_formula(
    make: Callable[[Any], LRScheduler], formula: Callable[[int], float]
) -> None:
    assert rates(make(sgd()), 20) == pytest.approx([formula(t) for t in range(20)], abs=1e-12)


@pytest.mark.parametrize(("make", "formula"), FORMULAS.values(), ids=FORMULAS.keys())
def test_begins_at_its_own_epoch_0_where_its_turn_comes(
    make: Callable[[Any], LRScheduler], formula: Callable[[int], float]
) -> None:
    optimizer = sgd()
    parts = [ConstantLR(optimizer, 0.5, 9), make(optimizer)]
    whole = SequentialLR(optimizer, parts, [3])
    expected = [0.5] * 3 + [formula(t) for t in range(12)]
    assert rates(whole, 15) == pytest.approx(expected, abs=1e-12)


def test_a_sequence_can_be_part_of_a_sequence() -> None:
    optimizer = sgd()
    for place in (0, 1):
        inner = SequentialLR(
            optimizer, [ConstantLR(optimizer, 0.5, 9), ExponentialLR(optimizer, 0.9)], [2]
        )
        parts = [StepLR(optimizer, 1, 0.1)]
        parts.insert(place, inner)
        whole = SequentialLR(optimizer, parts, [4])
        mine, other = [0.5, 0.5, 1.0, 0.9], [1.0, 0.1, 0.01, 0.001]
        assert rates(whole, 8) == pytest.approx(other + mine if place else mine + other)


@pytest.mark.parametrize("t_mult", [1, 2])
def test_warm_restarts_go_to_any_point_of_an_epoch(t_mult: int) -> None:
    """Equation 5 of the paper, with the period found by walking through them."""
    scheduler = CosineAnnealingWarmRestarts(sgd(), 3, t_mult, eta_min=0.2)
    for epoch in (0.0, 0.5, 2.75, 3.0, 5.5, 8.9, 9.1, 21.0, 30.25, 1.5):
        past, period = epoch, 3
        while past >= period:
            past, period = past - period, period * t_mult
        scheduler.step(epoch)
        expected = 0.2 + 0.8 * (1 + cos(pi * past / period)) / 2
        assert scheduler.get_last_lr() == pytest.approx([expected])
        assert scheduler.last_epoch == int(epoch)


def test_a_cosine_can_begin_on_its_way() -> None:
    optimizer = sgd()
    optimizer.param_groups[0]["initial_lr"] = 1.0
    scheduler = CosineAnnealingLR(optimizer, 8, last_epoch=3)
    assert scheduler.get_last_lr() == pytest.approx([(1 + cos(pi * 4 / 8)) / 2])


def test_a_cycle_in_three_phases_comes_back_before_it_ends() -> None:
    scheduler = OneCycleLR(
        sgd(momentum=0.9),
        max_lr=1.0,
        epochs=10,
        steps_per_epoch=2,
        pct_start=0.4,
        anneal_strategy="linear",
        three_phase=True,
        div_factor=10,
        final_div_factor=100,
    )
    seen = rates(scheduler, 20)
    up = [0.1 + 0.9 * t / 7 for t in range(8)]
    down = [1 - 0.9 * t / 7 for t in range(1, 8)]
    out = [0.1 - 0.099 * t / 5 for t in range(1, 6)]
    assert seen == pytest.approx(up + down + out)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_momentum_cycles_the_other_way_round(optimizer: str) -> None:
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    made = getattr(optim, optimizer)([chainrule.zeros(1, requires_grad=True)], **options)
    scheduler = CyclicLR(made, 0.0, 1.0, 2, base_momentum=0.6, max_momentum=0.8)
    group, seen = made.param_groups[0], []
    for _ in range(6):
        seen.append(group["momentum"] if optimizer == "SGD" else group["betas"][0])
        scheduler.step()
    assert seen == pytest.approx([0.8, 0.7, 0.6, 0.7, 0.8, 0.7])


@pytest.mark.parametrize("relative", [True, False])
def test_a_plateau_of_what_should_grow(relative: bool) -> None:
    """Only a gain above the threshold counts: 1.05 is none over 1 where 0.1 is asked for."""
    scheduler = ReduceLROnPlateau(
        sgd(),
        mode="max",
        factor=0.5,
        patience=0,
        threshold=0.1,
        threshold_mode="rel" if relative else "abs",
    )
    seen: list[float] = []
    for metric in (10.0, 10.5, 11.5, 9.0):
        scheduler.step(metric)
        seen += scheduler.get_last_lr()
    assert seen == ([1.0, 0.5, 0.5, 0.25] if relative else [1.0, 1.0, 1.0, 0.5])


def test_groups_have_rates_of_their_own() -> None:
    groups = [{"params": [chainrule.zeros(1, requires_grad=True)], "lr": lr} for lr in (1.0, 2.0)]
    optimizer = optim.SGD(groups)
    LambdaLR(optimizer, [lambda t: 0.5, lambda t: 0.25])
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
    CyclicLR(optimizer, [0.1, 0.2], [1.0, 2.0], 2, cycle_momentum=False)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2]
    with pytest.raises(ConfigError, match="max_lr"):
        CyclicLR(optimizer, 0.1, [1.0, 2.0, 3.0], 2, cycle_momentum=False)


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
    number = optimizer.param_groups[0].numbers["lr"]
    ExponentialLR(optimizer, 0.5).step()
    assert optimizer.param_groups[0].numbers["lr"] is number
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
    partial = {"_schedulers": chain.state_dict()["_schedulers"]}
    with pytest.raises(StateDictError, match=r"the state dict has no .*_last_lr") as raised:
        chain.load_state_dict(partial)
    assert "same kind of schedule" in raised.value.cure
    with pytest.raises(StateDictError, match="1 parts, the state dict 0"):
        chain.load_state_dict(StepLR(sgd(), 3).state_dict())
