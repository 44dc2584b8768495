"""Recordings: what runs from the second time on is what was run the first, and harms nobody."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import eager, nn, optim
from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Unary
from chainrule.core.interpret import bind
from chainrule.errors import DimensionError, OpError
from chainrule.nn import functional as F
from chainrule.recorded import record


@pytest.fixture(autouse=True)
def nothing_recorded() -> None:
    eager.forget()


def test_a_recording_is_the_function_as_lines_of_numpy() -> None:
    x = chainrule.tensor([1.0, 2.0])
    routine = record("f", lambda x: ((x * 3).exp() * x, x.sum()), (x,))
    assert routine is not None
    first, second = routine(chainrule.tensor([0.0, 1.0]))
    np.testing.assert_allclose(first.numpy(), [0.0, np.exp(3.0)], rtol=1e-6)
    assert second.item() == 1.0


def test_memory_of_values_that_nobody_needs_is_used_again() -> None:
    inside: list[Any] = []

    def spy(a: Any, b: Any, out: Any = None) -> Any:
        inside.append(out)
        return np.multiply(a, b, out)

    x = chainrule.ones(4)
    routine: Any = record("f", lambda x: (x * 2) * 3, (x,))
    routine.__globals__["mul"] = spy
    assert routine(x).tolist() == [6.0] * 4
    assert inside[0] is None
    assert inside[1] is not None, "x * 2 is gone after the second product: it lies in its memory"


def test_an_argument_is_never_written_to() -> None:
    x, target = chainrule.tensor([0.25, 0.75]), chainrule.tensor([0.0, 1.0])
    for _ in range(4):
        F.binary_cross_entropy(x, target)
        F.mse_loss(x, target)
    assert x.tolist() == [0.25, 0.75]
    assert target.tolist() == [0.0, 1.0]


def test_what_looks_at_numbers_or_writes_is_not_recorded() -> None:
    x = chainrule.tensor(2.0)
    outside = chainrule.tensor(3.0)
    assert record("f", lambda x: x * x.item(), (x,)) is None
    assert record("f", lambda x: x.add_(1), (x,)) is None
    assert record("f", lambda x: x if x > 0 else -x, (x,)) is None
    assert record("f", lambda x: x * outside, (x,)) is None, "another may be there the next time"


def test_a_constant_result_is_the_callers_own() -> None:
    x = chainrule.zeros(3)
    routine: Any = record("f", lambda x: (x + 1, chainrule.ops.create.ones_like(x)), (x,))
    for _ in range(2):
        _, ones = routine(x)
        assert ones.tolist() == [1.0] * 3
        ones.mul_(5)


def test_equal_results_have_memory_of_their_own() -> None:
    x = chainrule.tensor([1.0, 2.0])
    routine: Any = record("f", lambda x: (x * x, x * x), (x,))
    first, second = routine(x)
    first.zero_()
    assert second.tolist() == [1.0, 4.0]


def test_gradients_that_share_memory_are_told_apart() -> None:
    x, y = (chainrule.randn(2, 3, requires_grad=True) for _ in range(2))
    for _ in range(4):
        x.grad = y.grad = None
        (x + y).T.sum().backward()
        x.grad.mul_(7)
        assert y.grad.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("call", range(4))
def test_an_error_names_the_users_line_however_often_it_ran(call: int) -> None:
    x, good = chainrule.zeros(2, 3), chainrule.tensor([0, 1])
    for _ in range(call):
        F.cross_entropy(x, good)
    with pytest.raises(DimensionError) as caught:
        F.cross_entropy(x, chainrule.tensor([0, 3]))
    assert __file__ in caught.value.location
    p = chainrule.tensor([0.5, 0.5])
    for _ in range(call):
        F.binary_cross_entropy(p, p)
    with pytest.raises(OpError) as caught:
        F.binary_cross_entropy(chainrule.tensor([0.5, 1.5]), p)
    assert __file__ in caught.value.location


def _network() -> nn.Module:
    chainrule.manual_seed(3)
    return nn.Sequential(
        nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    )


def _train(make: Any, change: Any, forgetful: bool) -> list[bytes]:
    """The weights after some steps, the settings changing; every step plain if it is forgetful."""
    model = _network()
    optimizer = make([each for each in model.parameters() if each.ndim == 2])
    x, y = chainrule.randn(6, 5), chainrule.tensor([0, 1, 2, 2, 1, 0])
    for step in range(7):
        if forgetful:
            eager.forget()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        change(optimizer.param_groups[0], step, list(model.parameters()))
        optimizer.step()
    kept = [value for state in optimizer.state.values() for value in state.values()]
    return [each.detach().numpy().tobytes() for each in (*model.parameters(), *kept)]


def _rate(group: Any, step: int, parameters: Any) -> None:
    group["lr"] = 0.1 / (1 + step)


def _decay(group: Any, step: int, parameters: Any) -> None:
    group["weight_decay"] = 0.01 * (step % 3)
    group["maximize"] = step == 5


def _missing(group: Any, step: int, parameters: Any) -> None:
    parameters[2 * (step % 3)].grad = None


@pytest.mark.parametrize("change", [_rate, _decay, _missing])
@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
        lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
        lambda p: optim.AdamW(p, lr=0.01),
        lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
        lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1),
        lambda p: optim.Lion(p, lr=0.01),
        lambda p: optim.Muon(p, lr=0.01),
    ],
)
def test_a_recorded_optimizer_moves_as_the_plain_one(make: Any, change: Any) -> None:
    assert _train(make, change, forgetful=False) == _train(make, change, forgetful=True)


def test_a_copied_optimizer_reads_its_own_numbers() -> None:
    import copy

    x = chainrule.ones(2, requires_grad=True)
    first = optim.SGD([x], lr=1.0)
    for _ in range(3):
        x.grad = chainrule.ones(2)
        first.step()
    second = copy.deepcopy(first)
    (own,) = second.param_groups[0]["params"]
    second.param_groups[0]["lr"] = 0.5
    own.grad = chainrule.ones(2)
    second.step()
    assert own.tolist() == [-2.5, -2.5]
    assert x.tolist() == [-2.0, -2.0]


def test_a_read_only_parameter_is_refused_in_every_step() -> None:
    frozen = np.ones(3, np.float32)
    x = chainrule.from_numpy(frozen).requires_grad_()
    optimizer = optim.SGD([x], lr=0.1)
    for step in range(4):
        frozen.flags.writeable = step < 3
        x.grad = chainrule.ones(3)
        if step < 3:
            optimizer.step()
        else:
            with pytest.raises(OpError, match="can't be written"):
                optimizer.step()


def test_threads_train_side_by_side() -> None:
    def train(seed: int, results: dict[int, bytes]) -> None:
        generator = np.random.default_rng(seed)
        weight = chainrule.from_numpy(generator.standard_normal((3, 5))).requires_grad_()
        optimizer = optim.SGD([weight], lr=0.1, momentum=0.9)
        x = chainrule.from_numpy(generator.standard_normal((8, 5)))
        for _ in range(50):
            optimizer.zero_grad()
            F.linear(x, weight).tanh().square().mean().backward()
            optimizer.step()
        results[seed] = weight.detach().numpy().tobytes()

    alone: dict[int, bytes] = {}
    for seed in range(4):
        train(seed, alone)
    eager.forget()
    side_by_side: dict[int, bytes] = {}
    threads = [threading.Thread(target=train, args=(seed, side_by_side)) for seed in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert side_by_side == alone


def test_a_users_layer_is_run_as_it_is_however_impure() -> None:
    factor = [1.0]

    class Times(CoarseOp):
        name = "exp"  # a name that another op has

        def type_rule(self, x: Any) -> Any:
            return x

        def forward(self, x: Any) -> Any:
            return x * factor[0], ()

        def backward(self, y_bar: Any, y: Any, residuals: Any, x: Any, *, needs: Any) -> Any:
            return (y_bar * factor[0],)

    for call in range(1, 5):
        factor[0] = float(call)
        x = chainrule.tensor([3.0], requires_grad=True)
        y = Times().apply(x)
        y.backward()
        assert y.tolist() == [3.0 * call]
        assert x.grad.tolist() == [call]


def test_a_users_op_may_have_fields_without_a_hash() -> None:
    class Scale(Unary):
        factors: list[float]

        def reference(self, x: Any) -> Any:
            return x * self.factors[0]

        def partial_x(self) -> float:
            return self.factors[0]

    for _ in range(3):
        x = chainrule.tensor([3.0], requires_grad=True)
        bind(Scale([2.0]), x).backward()
        assert x.grad.tolist() == [2.0]


@pytest.mark.parametrize("kind", [bool, np.bool_, int])
def test_a_choice_of_any_kind_of_number_is_heard(kind: Any) -> None:
    x = chainrule.tensor([0.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=1.0, maximize=kind(False))
    seen: list[float] = []
    for step in range(6):
        optimizer.param_groups[0]["maximize"] = kind(step >= 3)
        x.grad = chainrule.ones(1)
        optimizer.step()
        seen += x.tolist()
    assert seen == [-1.0, -2.0, -3.0, -2.0, -1.0, 0.0]


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_parameters_that_share_memory_move_one_after_the_other(times: int) -> None:
    p = chainrule.ones(2, 2, requires_grad=True)
    q = chainrule.from_numpy(p.detach().numpy()).requires_grad_()
    optimizer = optim.SGD([p, q], lr=0.5)
    for _ in range(times):
        p.grad, q.grad = chainrule.ones(2, 2), chainrule.ones(2, 2)
        optimizer.step()
    assert p.tolist() == [[1.0 - times] * 2] * 2


def test_state_of_another_dtype_has_a_recording_of_its_own() -> None:
    def steps(state_dtype: Any, forgetful: bool) -> list[float]:
        x = chainrule.ones(1, dtype=chainrule.float64, requires_grad=True)
        optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
        for step in range(5):
            if forgetful:
                eager.forget()
            x.grad = chainrule.full((1,), 1 / 3, dtype=chainrule.float64)
            optimizer.step()
            if step == 0:
                kept = optimizer.state[x]
                kept["momentum_buffer"] = kept["momentum_buffer"].to(state_dtype)
        return x.tolist()

    for dtype in (chainrule.float64, chainrule.float32):
        assert steps(dtype, forgetful=False) == steps(dtype, forgetful=True)


def test_want_of_memory_is_told_and_where(monkeypatch: Any) -> None:
    def greedy(*args: Any) -> Any:
        raise MemoryError("no memory")

    x = chainrule.ones(2, requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1)
    for _ in range(3):
        x.grad = None
        x.exp().sum().backward()
        optimizer.step()
    for key, made in eager._routines.items():
        if made not in (eager.ONCE, eager.NEVER):
            monkeypatch.setitem(eager._routines, key, _raising(greedy))
    y = x.exp().sum()
    with pytest.raises(OpError, match="no memory"):
        y.backward()
    with pytest.raises(OpError, match="no memory"):
        optimizer.step()


def _raising(function: Any) -> Any:
    def routine(*args: Any) -> Any:
        return function(*args)

    return routine


def test_a_pickled_optimizer_goes_on() -> None:
    import pickle

    x = chainrule.ones(2, requires_grad=True)
    optimizer = optim.Adam([x], lr=0.5)
    x.grad = chainrule.ones(2)
    optimizer.step()
    again = pickle.loads(pickle.dumps(optimizer))
    (own,) = again.param_groups[0]["params"]
    for each, leaf in ((optimizer, x), (again, own)):
        leaf.grad = chainrule.ones(2)
        each.step()
    assert own.tolist() == x.tolist()
