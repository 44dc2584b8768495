"""Each update rule against its paper, by hand; and that it gets anywhere."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import optim
from chainrule.optim.muon import orthogonalized

START, G1, G2 = 2.0, 0.5, -0.25
LR, DECAY = 0.1, 0.2


def two_steps(rule: type[optim.Optimizer], **options: Any) -> list[float]:
    """Where a parameter at 2 is after gradients of 0.5 and -0.25, in float64."""
    x = chainrule.tensor([START], dtype=chainrule.float64, requires_grad=True)
    optimizer = rule([x], lr=LR, **options)
    places: list[float] = []
    for g in (G1, G2):
        x.grad = chainrule.tensor([g], dtype=chainrule.float64)
        optimizer.step()
        places.append(x.item())
    return places


def test_sgd() -> None:
    assert two_steps(optim.SGD) == pytest.approx([2 - 0.05, 2 - 0.05 + 0.025])


def test_sgd_adds_weight_decay_to_the_gradient() -> None:
    first = START - LR * (G1 + DECAY * START)
    second = first - LR * (G2 + DECAY * first)
    assert two_steps(optim.SGD, weight_decay=DECAY) == pytest.approx([first, second])


def test_sgd_with_momentum() -> None:
    second = START - LR * G1 - LR * (0.9 * G1 + G2)
    assert two_steps(optim.SGD, momentum=0.9) == pytest.approx([START - LR * G1, second])


def test_dampening_leaves_the_first_step_alone() -> None:
    second = START - LR * G1 - LR * (0.9 * G1 + (1 - 0.3) * G2)
    places = two_steps(optim.SGD, momentum=0.9, dampening=0.3)
    assert places == pytest.approx([START - LR * G1, second])


def test_nesterov_looks_ahead() -> None:
    first = START - LR * (G1 + 0.9 * G1)
    second = first - LR * (G2 + 0.9 * (0.9 * G1 + G2))
    assert two_steps(optim.SGD, momentum=0.9, nesterov=True) == pytest.approx([first, second])


def adam_by_hand(decay: float = 0.0, decoupled: bool = False, amsgrad: bool = False) -> list[float]:
    x, m, v, largest = START, 0.0, 0.0, 0.0
    places: list[float] = []
    for t, g in enumerate((G1, G2), start=1):
        if decoupled:
            x -= LR * decay * x
        else:
            g += decay * x
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        largest = max(largest, v)
        v_hat = (largest if amsgrad else v) / (1 - 0.99**t)
        x -= LR * m / (1 - 0.9**t) / (sqrt(v_hat) + 1e-8)
        places.append(x)
    return places


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_adam(decay: float, amsgrad: bool) -> None:
    places = two_steps(optim.Adam, betas=(0.9, 0.99), weight_decay=decay, amsgrad=amsgrad)
    assert places == pytest.approx(adam_by_hand(decay, amsgrad=amsgrad))


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_adamw_keeps_weight_decay_out_of_the_moments(decay: float) -> None:
    places = two_steps(optim.AdamW, betas=(0.9, 0.99), weight_decay=decay)
    assert places == pytest.approx(adam_by_hand(decay, decoupled=True))


def test_rmsprop() -> None:
    first = START - LR * G1 / (sqrt(0.01 * G1**2) + 1e-8)
    v = 0.99 * 0.01 * G1**2 + 0.01 * G2**2
    second = first - LR * G2 / (sqrt(v) + 1e-8)
    assert two_steps(optim.RMSprop) == pytest.approx([first, second])


def test_rmsprop_centered_with_momentum() -> None:
    a, v, b, x = 0.0, 0.0, 0.0, START
    places: list[float] = []
    for g in (G1, G2):
        a, v = 0.9 * a + 0.1 * g, 0.9 * v + 0.1 * g * g
        b = 0.8 * b + g / (sqrt(v - a * a) + 1e-8)
        x -= LR * b
        places.append(x)
    assert two_steps(optim.RMSprop, alpha=0.9, momentum=0.8, centered=True) == pytest.approx(places)


def test_adagrad() -> None:
    start = 0.3
    first = START - LR * G1 / sqrt(start + G1**2)
    second = first - LR / (1 + 0.5) * G2 / sqrt(start + G1**2 + G2**2)
    places = two_steps(optim.Adagrad, lr_decay=0.5, initial_accumulator_value=start)
    assert places == pytest.approx([first, second])


def test_weight_decay_is_part_of_the_gradient_before_its_square() -> None:
    first = START - LR * (G1 + DECAY * START) / (sqrt(0.01 * (G1 + DECAY * START) ** 2) + 1e-8)
    assert two_steps(optim.RMSprop, weight_decay=DECAY)[0] == pytest.approx(first)
    places = two_steps(optim.Adagrad, weight_decay=DECAY)
    g1 = G1 + DECAY * START
    g2 = G2 + DECAY * places[0]
    assert places[0] == pytest.approx(START - LR)
    assert places[1] == pytest.approx(places[0] - LR * g2 / sqrt(g1**2 + g2**2))


def test_lion_steps_by_the_sign_and_decays_apart_from_it() -> None:
    first = START * (1 - LR * DECAY) - LR  # c = 0.1 · 0.5 > 0
    m = 0.01 * G1
    assert 0.9 * m + 0.1 * G2 < 0
    second = first * (1 - LR * DECAY) + LR
    assert two_steps(optim.Lion, weight_decay=DECAY) == pytest.approx([first, second])


def test_muon_turns_the_gradient_into_an_orthogonal_matrix(rng: np.random.Generator) -> None:
    u, _, vt = np.linalg.svd(rng.standard_normal((6, 4)), full_matrices=False)
    matrix = (u * np.array([5.0, 1.0, 0.5, 0.2])) @ vt
    x = orthogonalized(chainrule.from_numpy(matrix)).numpy()
    inner = u.T @ x @ vt.T  # the same singular vectors, and values near 1
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-12)
    assert np.all((np.diag(inner) > 0.6) & (np.diag(inner) < 1.3))
    np.testing.assert_allclose(orthogonalized(chainrule.from_numpy(matrix.T)).numpy(), x.T)


@pytest.mark.parametrize(("adjust", "scale"), [(None, sqrt(2)), ("match_rms_adamw", 0.2 * 2)])
def test_muon_scales_by_shape_and_decays_apart(
    rng: np.random.Generator, adjust: str | None, scale: float
) -> None:
    start, g = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    x = chainrule.from_numpy(start.copy()).requires_grad_()
    x.grad = chainrule.from_numpy(g)
    optim.Muon([x], lr=LR, weight_decay=DECAY, nesterov=False, adjust_lr_fn=adjust).step()
    direction = orthogonalized(chainrule.from_numpy(g)).numpy()
    expected = start * (1 - LR * DECAY) - LR * scale * direction
    np.testing.assert_allclose(x.detach().numpy(), expected, rtol=1e-9)


RULES: dict[str, Callable[[list[chainrule.Tensor]], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.8),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1, weight_decay=0),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.7),
    "Lion": lambda p: optim.Lion(p, lr=0.05),
    "Muon": lambda p: optim.Muon(p, lr=0.05, weight_decay=0),
}


@pytest.mark.parametrize("make", RULES.values(), ids=RULES.keys())
def test_finds_the_bottom_of_a_bowl(make: Callable[..., optim.Optimizer]) -> None:
    target = chainrule.tensor([[1.0, -2.0], [0.5, 3.0]])
    weight = chainrule.tensor([[1.0, 3.0], [2.0, 0.5]])
    x = chainrule.zeros(2, 2, requires_grad=True)
    optimizer = make([x])
    steps_of_one_size = isinstance(optimizer, optim.Lion | optim.Muon)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    for _ in range(600):
        optimizer.zero_grad()
        (weight * (x - target) ** 2).sum().backward()
        optimizer.step()
        if steps_of_one_size:
            schedule.step()
    assert (x - target).abs().max().item() < 0.05


def test_adam_walks_down_rosenbrocks_valley() -> None:
    x = chainrule.tensor([-1.2, 1.0], dtype=chainrule.float64, requires_grad=True)
    optimizer = optim.Adam([x], lr=0.05)
    for _ in range(2500):
        optimizer.zero_grad()
        ((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2).backward()
        optimizer.step()
    assert x.tolist() == pytest.approx([1.0, 1.0], abs=0.02)


@pytest.mark.parametrize("rule", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Lion"])
def test_maximize_goes_the_other_way(rule: str) -> None:
    moved: list[float] = []
    for maximize in (False, True):
        x = chainrule.tensor([0.0], requires_grad=True)
        x.grad = chainrule.tensor([1.0])
        getattr(optim, rule)([x], lr=0.1, maximize=maximize).step()
        moved.append(x.item())
    assert moved[0] < 0
    assert moved[1] == -moved[0]
