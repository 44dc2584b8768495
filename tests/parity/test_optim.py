"""Optimizers, schedules and clipping against PyTorch: the same numbers, step after step."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import chainrule
from chainrule import nn, optim
from chainrule.optim import lr_scheduler

SHAPES = ((4, 3), (3, 5), (3,), ())
STEPS = 25


def grid(**options: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


BASIC = {"weight_decay": (0.0, 0.1), "maximize": (False, True)}
CASES = [
    *[
        ("SGD", {"lr": 0.05, **each})
        for each in [
            *grid(momentum=(0.0, 0.9), **BASIC),
            *grid(momentum=(0.9,), dampening=(0.3,), **BASIC),
            *grid(momentum=(0.9,), nesterov=(True,), **BASIC),
        ]
    ],
    *[
        (name, {"lr": 0.05, **each})
        for name in ("Adam", "AdamW")
        for each in grid(amsgrad=(False, True), **BASIC)
    ],
    ("Adam", {"betas": (0.5, 0.99), "eps": 1e-4}),
    ("AdamW", {}),
    *[
        ("RMSprop", {"lr": 0.02, **each})
        for each in grid(momentum=(0.0, 0.9), centered=(False, True), **BASIC)
    ],
    ("RMSprop", {"alpha": 0.9, "eps": 1e-3}),
    *[
        ("Adagrad", {"lr": 0.1, **each})
        for each in grid(lr_decay=(0.0, 0.05), initial_accumulator_value=(0.0, 0.3), **BASIC)
    ],
]


def arrays(seed: int, dtype: str) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]


def leaves(dtype: str) -> tuple[list[Any], list[Any]]:
    ours = [chainrule.from_numpy(a.copy()).requires_grad_() for a in arrays(0, dtype)]
    theirs = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays(0, dtype)]
    return ours, theirs


def give_gradients(ours: list[Any], theirs: list[Any], seed: int, dtype: str) -> None:
    """The same random gradients; one parameter has none in some steps."""
    for index, array in enumerate(arrays(100 + seed, dtype)):
        absent = index == 2 and seed % 3 == 0
        ours[index].grad = None if absent else chainrule.from_numpy(array.copy())
        theirs[index].grad = None if absent else torch.from_numpy(array.copy())


def assert_same(ours: list[Any], theirs: list[Any], dtype: str, what: str) -> None:
    rtol, atol = (3e-6, 1e-6) if dtype == "float32" else (1e-12, 1e-13)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol, err_msg=what
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_every_rule_takes_the_same_steps(name: str, options: dict[str, Any], dtype: str) -> None:
    ours, theirs = leaves(dtype)
    our_rule = getattr(optim, name)(ours, **options)
    their_rule = getattr(torch.optim, name)(theirs, foreach=False, **options)
    for step in range(STEPS):
        give_gradients(ours, theirs, step, dtype)
        our_rule.step()
        their_rule.step()
        assert_same(ours, theirs, dtype, f"step {step}")


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Muon"])
def test_names_order_and_defaults_of_the_arguments(name: str) -> None:
    import inspect

    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    ours = inspect.signature(getattr(optim, name)).parameters
    left_out = {"foreach", "fused", "capturable", "differentiable"}
    assert {k: v.default for k, v in ours.items()} == {
        k: v.default for k, v in theirs.items() if k not in left_out
    }
    positional = [k for k, v in ours.items() if v.kind is v.POSITIONAL_OR_KEYWORD]
    assert positional == [k for k in theirs if k in positional]


def their_orthogonalized(matrix: Any, steps: int = 5) -> Any:
    """PyTorch's iteration, which it only offers in bfloat16, in the matrix's own dtype."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


@pytest.mark.parametrize("adjust", [None, "original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_muon_takes_the_same_steps(
    monkeypatch: pytest.MonkeyPatch, adjust: str | None, nesterov: bool, weight_decay: float
) -> None:
    import torch.optim._muon as theirs_module

    monkeypatch.setattr(
        theirs_module, "_zeropower_via_newtonschulz", lambda g, c, n, e: their_orthogonalized(g, n)
    )
    options = {
        "lr": 0.02,
        "adjust_lr_fn": adjust,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
    }
    ours, theirs = leaves("float64")
    our_rule, their_rule = optim.Muon(ours[:2], **options), torch.optim.Muon(theirs[:2], **options)
    for step in range(STEPS):
        give_gradients(ours, theirs, step, "float64")
        our_rule.step()
        their_rule.step()
    assert_same(ours[:2], theirs[:2], "float64", "after all steps")


def test_muon_is_near_the_one_in_bfloat16() -> None:
    ours, theirs = leaves("float32")
    our_rule, their_rule = optim.Muon(ours[:2], lr=0.02), torch.optim.Muon(theirs[:2], lr=0.02)
    give_gradients(ours, theirs, 1, "float32")
    our_rule.step()
    their_rule.step()
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=0.02 * 0.05)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
        ("AdamW", {"amsgrad": True}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("Adagrad", {"lr_decay": 0.1}),
    ],
    ids=str,
)
def test_goes_on_from_the_state_of_the_other_library(name: str, options: dict[str, Any]) -> None:
    """PyTorch's state dict (its tensors as arrays) loads, and the steps after it are the same."""
    ours, theirs = leaves("float64")
    their_rule = getattr(torch.optim, name)(theirs, **options)
    for step in range(1, 3):
        give_gradients(ours, theirs, step, "float64")
        their_rule.step()
    saved = their_rule.state_dict()
    saved["state"] = {
        index: {
            key: value.numpy() if isinstance(value, torch.Tensor) else value
            for key, value in state.items()
        }
        for index, state in saved["state"].items()
    }
    with chainrule.no_grad():
        for a, b in zip(ours, theirs, strict=True):
            a.copy_(chainrule.from_numpy(b.detach().numpy().copy()))
    our_rule = getattr(optim, name)(ours)
    our_rule.load_state_dict(saved)
    for step in range(3, 8):
        give_gradients(ours, theirs, step, "float64")
        our_rule.step()
        their_rule.step()
    assert_same(ours, theirs, "float64", "after loading")


# -- schedules --------------------------------------------------------------------------------


def two_optimizers(name: str = "SGD", **options: Any) -> tuple[Any, Any]:
    made: list[Any] = []
    for library, leaf in (
        (optim, chainrule.zeros(2, requires_grad=True)),
        (torch.optim, torch.zeros(2, requires_grad=True)),
    ):
        other = leaf.detach().clone().requires_grad_()
        groups = [{"params": [leaf]}, {"params": [other], "lr": 0.4}]
        made.append(getattr(library, name)(groups, lr=1.7, **options))
    return made[0], made[1]


Build = Callable[[Any, Any], Any]

SCHEDULES: dict[str, Build] = {
    "lambda": lambda s, o: s.LambdaLR(o, [lambda t: 0.95**t, lambda t: 1 / (t + 1)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.9 + 0.001 * t),
    "step": lambda s, o: s.StepLR(o, 7, gamma=0.3),
    "multi_step": lambda s, o: s.MultiStepLR(o, [30, 10, 10, 45], gamma=0.5),
    "constant": lambda s, o: s.ConstantLR(o, factor=0.2, total_iters=12),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.8, total_iters=20),
    "linear_to_zero": lambda s, o: s.LinearLR(o, 1.0, 0.0, total_iters=30),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, total_iters=25, power=2.5),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 15, eta_min=0.01),
    "cosine_to_zero": lambda s, o: s.CosineAnnealingLR(o, 50),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 6, 2, eta_min=0.05),
    "restarts_even": lambda s, o: s.CosineAnnealingWarmRestarts(o, 9),
    "one_cycle": lambda s, o: s.OneCycleLR(o, [2.0, 0.5], total_steps=60),
    "one_cycle_linear": lambda s, o: s.OneCycleLR(
        o, 2.0, epochs=6, steps_per_epoch=10, anneal_strategy="linear", three_phase=True
    ),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.1, [1.0, 0.7], step_size_up=5, step_size_down=9),
    "cyclic2": lambda s, o: s.CyclicLR(o, 0.1, 1.0, step_size_up=4, mode="triangular2"),
    "cyclic_exp": lambda s, o: s.CyclicLR(
        o, 0.1, 1.0, step_size_up=4, mode="exp_range", gamma=0.97
    ),
    "warm_up_then_cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=10), s.CosineAnnealingLR(o, 40)], [10]
    ),
    "three_in_turn": lambda s, o: s.SequentialLR(
        o,
        [s.ConstantLR(o, 0.1, 20), s.StepLR(o, 4, 0.5), s.CosineAnnealingWarmRestarts(o, 7)],
        [12, 30],
    ),
    "lambda_then_polynomial": lambda s, o: s.SequentialLR(
        o, [s.LambdaLR(o, lambda t: 0.1 * (t + 1)), s.PolynomialLR(o, 30)], [9]
    ),
    "chained": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 8), s.ExponentialLR(o, 0.95), s.LinearLR(o, 0.5, total_iters=20)]
    ),
}


@pytest.mark.parametrize("momentum", ["SGD", "Adam"])
@pytest.mark.parametrize("build", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_every_schedule_gives_the_same_rates(build: Build, momentum: str) -> None:
    options = {"momentum": 0.9} if momentum == "SGD" else {}
    ours, theirs = two_optimizers(momentum, **options)
    our_schedule = build(lr_scheduler, ours)
    their_schedule = build(torch.optim.lr_scheduler, theirs)
    for step in range(59):
        assert our_schedule.get_last_lr() == pytest.approx(
            their_schedule.get_last_lr(), rel=1e-12, abs=1e-15
        ), step
        for a, b in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert a["lr"] == pytest.approx(b["lr"], rel=1e-12, abs=1e-15), step
            if momentum == "SGD":
                assert a["momentum"] == pytest.approx(b["momentum"], rel=1e-12), step
            else:
                assert a["betas"] == pytest.approx(b["betas"], rel=1e-12), step
        theirs.step()
        our_schedule.step()
        their_schedule.step()


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"mode": "max", "factor": 0.5, "patience": 1, "cooldown": 3},
        {"threshold_mode": "abs", "threshold": 0.1, "patience": 0, "min_lr": [0.2, 0.01]},
        {"mode": "max", "threshold_mode": "abs", "patience": 3, "eps": 0.05},
    ],
    ids=str,
)
def test_plateaus_are_seen_at_the_same_time(options: dict[str, Any]) -> None:
    ours, theirs = two_optimizers()
    our_schedule = lr_scheduler.ReduceLROnPlateau(ours, **options)
    their_schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    rng = np.random.default_rng(0)
    for step in range(60):
        metric = float("nan") if step == 20 else float(rng.standard_normal() + 10 / (step + 1))
        our_schedule.step(metric)
        their_schedule.step(metric)
        assert our_schedule.get_last_lr() == their_schedule.get_last_lr(), step


def test_restarts_at_a_fraction_of_an_epoch() -> None:
    ours, theirs = two_optimizers()
    our_schedule = lr_scheduler.CosineAnnealingWarmRestarts(ours, 3, 2)
    their_schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, 3, 2)
    for epoch in (0, 0.5, 2.9, 3, 3.25, 8.75, 9, 20.5):
        our_schedule.step(epoch)
        their_schedule.step(epoch)
        assert our_schedule.get_last_lr() == pytest.approx(their_schedule.get_last_lr(), rel=1e-12)


# -- clipping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clips_norms_alike(norm_type: float, max_norm: float, dtype: str) -> None:
    ours, theirs = leaves(dtype)
    give_gradients(ours, theirs, 3, dtype)
    a = nn.clip_grad_norm_(ours, max_norm, norm_type)
    b = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert_same([a], [b], dtype, "norm")
    have = [index for index in range(4) if ours[index].grad is not None]
    assert_same([ours[i].grad for i in have], [theirs[i].grad for i in have], dtype, "gradients")


def test_clips_values_alike() -> None:
    ours, theirs = leaves("float32")
    give_gradients(ours, theirs, 1, "float32")
    nn.clip_grad_value_(ours, 0.3)
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    assert_same([p.grad for p in ours], [p.grad for p in theirs], "float32", "gradients")
