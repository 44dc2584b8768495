"""What users see of `chainrule.compile`: the eager results, one program per kind of call, and every
change that matters noticed."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn, optim
from chainrule.autograd import grad
from chainrule.errors import AutogradError, ChainruleError, CompileError, ConfigError, ShapeError
from chainrule.func import grad as grad_of
from chainrule.func import hessian
from chainrule.nn import functional as F
from chainrule.ops.generator import default_generator
from chainrule.tensor import Tensor


def compiled(fn: Any, **settings: Any) -> Any:
    return chainrule.compile(fn, backend="numpy", **settings)


def training(**settings: Any) -> tuple[Any, Any, Callable[..., Tensor]]:
    chainrule.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 3)
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01, **settings)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return model, optimizer, step


def batches(count: int, size: int = 6, rng: Any = None) -> Iterator[tuple[Tensor, Tensor]]:
    rng = rng or np.random.default_rng(0)
    for _ in range(count):
        x = rng.standard_normal((size, 4)).astype(np.float32)
        yield chainrule.from_numpy(x), chainrule.from_numpy(rng.integers(0, 3, size))


def everything(model: Any, optimizer: Any) -> dict[str, bytes]:
    state = {f"model.{k}": v for k, v in model.state_dict().items()}
    for index, kept in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{index}.{k}": v for k, v in kept.items()}
    state["generator"] = default_generator.state
    return {name: each.detach().numpy().tobytes() for name, each in state.items()}


# ---- it is the function ----------------------------------------------------------------------


def test_a_compiled_training_step_is_the_eager_one_bit_for_bit() -> None:
    ends: list[Any] = []
    for wrap in (lambda fn: fn, compiled):
        model, optimizer, step = training()
        step = wrap(step)
        losses = [step(x, y).item() for x, y in batches(5)]
        ends.append((losses, everything(model, optimizer)))
    assert ends[0] == ends[1]
    assert step.count == 1


def test_tracing_changes_nothing() -> None:
    model, optimizer, step = training()
    (x, y), *_ = batches(1)
    step(x, y)
    before = everything(model, optimizer)
    gradients = [each.grad for each in model.parameters()]
    versions = [each.version for each in model.parameters()]

    def failing(x: Tensor, y: Tensor) -> Tensor:
        step(x, y)
        model[0].weight.requires_grad_(False)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        compiled(failing)(x, y)
    assert everything(model, optimizer) == before
    for each, gradient, version in zip(model.parameters(), gradients, versions, strict=True):
        assert each.grad is gradient
        assert each.version == version
        assert each.requires_grad
        assert not each.post_accumulate_hooks


def test_first_and_second_derivatives() -> None:
    x = chainrule.tensor([0.5, 1.5, -2.0])

    def slope(x: Tensor) -> Tensor:
        return grad_of(lambda x: (x.sin() * x).sum())(x)

    def curvature(x: Tensor) -> Tensor:
        return hessian(lambda x: (x**3).prod())(x)

    def penalty(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        (g,) = grad((x.exp() * x).sum(), [x], create_graph=True)
        return grad((g * g).sum(), [x])[0]

    for function in (slope, curvature, penalty):
        assert compiled(function)(x).equal(function(x))


def test_results_keep_their_form() -> None:
    @compiled
    def several(x: Tensor, scale: float) -> Any:
        return {"twice": x * 2, "parts": [x + scale, (x - 1,)], "name": "a"}, x, None

    x = chainrule.ones(2)
    found, same, none = several(x, 0.5)
    assert found["twice"].tolist() == [2, 2]
    assert found["parts"][0].tolist() == [1.5, 1.5]
    assert found["parts"][1][0].tolist() == [0, 0]
    assert found["name"] == "a"
    assert same is x
    assert none is None
    again, same, _ = several(x, 0.5)
    assert same is x
    assert again["twice"].value is not found["twice"].value


def test_nested_arguments_arrays_and_names() -> None:
    @compiled
    def f(pair: Any, options: dict[str, Any], *, offset: Tensor) -> Tensor:
        a, b = pair
        return a * options["by"] + b + offset

    x = np.ones(3, np.float32)
    given = f((x, chainrule.ones(3)), {"by": chainrule.tensor(2.0)}, offset=chainrule.tensor(1.0))
    assert given.tolist() == [4, 4, 4]
    with pytest.raises(ShapeError) as caught:
        f((x, chainrule.ones(2)), {"by": chainrule.tensor(2.0)}, offset=chainrule.tensor(1.0))
    assert "add" in str(caught.value)


def test_strided_arguments_and_arguments_written_to(rng: Any) -> None:
    @compiled
    def shift(x: Tensor, y: Tensor) -> Tensor:
        x.add_(y)
        return x * 2

    wide = chainrule.zeros(2, 3)
    x, y = wide.T, chainrule.ones(3, 2)
    for expected in (1.0, 2.0, 3.0):
        version = wide.version
        assert shift(x, y).tolist() == [[2 * expected] * 2] * 3
        assert wide.tolist() == [[expected] * 3] * 2
        assert wide.version == version + 1
    plain = chainrule.zeros(3, 2)
    assert shift(plain, y).tolist() == shift(chainrule.zeros(3, 2), y).tolist()
    assert plain.tolist() == y.tolist()
    assert shift.count == 1
    with_itself = chainrule.ones(3, 2)
    assert shift(with_itself, with_itself).tolist() == [[4.0, 4.0]] * 3  # as plain Python
    assert with_itself.tolist() == [[2.0, 2.0]] * 3
    assert "share memory" in shift.explain()


def test_an_argument_that_is_state_too() -> None:
    weight = chainrule.ones(3)

    @compiled
    def step(x: Tensor) -> Tensor:
        weight.mul_(2)
        return x + 1

    assert step(chainrule.zeros(3)).tolist() == [1, 1, 1]
    assert step(weight).tolist() == [5, 5, 5]
    assert step(weight[1:].clone()).tolist() == [5, 5]
    assert weight.tolist() == [8, 8, 8]


def test_random_numbers_go_on() -> None:
    draw = compiled(lambda x: x + chainrule.rand(3))
    chainrule.manual_seed(5)
    zero = chainrule.zeros(3)
    found = [draw(zero).tolist() for _ in range(3)] + [chainrule.rand(3).tolist()]
    chainrule.manual_seed(5)
    assert found == [chainrule.rand(3).tolist() for _ in range(4)]


def test_memory_exchanged_in_place() -> None:
    weight = nn.Parameter(chainrule.ones(2))

    @compiled
    def step(x: Tensor) -> Tensor:
        weight.data = weight.data * 2
        return (weight * x).detach()

    x = chainrule.ones(2)
    assert [step(x).tolist() for _ in range(3)] == [[2, 2], [4, 4], [8, 8]]
    weight.data = chainrule.full((2,), 10.0)
    assert step(x).tolist() == [20, 20]
    assert step.count == 1


# ---- one program per kind of call ------------------------------------------------------------


def test_a_retrace_says_what_changed(capfd: Any) -> None:
    f = compiled(lambda x, n: x * n)
    f(chainrule.ones(2), 2)
    f(chainrule.ones(2), 2)
    assert capfd.readouterr().err == ""
    f(chainrule.ones(2), 3)
    assert "n was 2, is 3" in capfd.readouterr().err
    f(chainrule.ones(2, 2), 3)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("chainrule: <lambda> was compiled again, in ")
    assert line.endswith("ms: x was f32[2], is f32[2,2]")
    f(chainrule.ones(2, 2).double(), 3)
    assert "x was f32[2,2], is f64[2,2]" in capfd.readouterr().err
    f(chainrule.ones(2), 2)
    assert capfd.readouterr().err == ""
    assert f.count == 4


def test_a_float_that_changes_becomes_an_argument(capfd: Any) -> None:
    f = compiled(lambda x, scale: x * scale + 1)
    x = chainrule.ones(2)
    assert [f(x, s).tolist()[0] for s in (0.5, 1.5, 2.5, 0.0, -3.0)] == [1.5, 2.5, 3.5, 1.0, -2.0]
    assert f.count == 2
    assert "scale was 0.5, is 1.5" in capfd.readouterr().err
    g = compiled(lambda x, scale: x * scale if scale > 1 else x)  # Python has to know this one
    assert [g(x, s).tolist()[0] for s in (0.5, 2.0, 3.0, 0.5)] == [1, 2, 3, 1]
    assert g.count == 3
    h = compiled(lambda x, scale: x * scale)  # in float64 an argument of float32 would not do
    wide = x.double()
    assert [h(wide, s).tolist()[0] for s in (0.1, 0.2, 0.3)] == [0.1, 0.2, 0.3]


def test_training_and_evaluation_are_told_apart(capfd: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    f = compiled(model)
    x = chainrule.ones(2, 4)
    with chainrule.no_grad():
        noisy = f(x)
        f.eval()
        assert not model[1].training
        assert f(x).equal(model(x))
        assert "evaluation mode" in capfd.readouterr().err
        f.train()
        assert not f(x).equal(noisy)
    assert f.count == 2
    assert [name for name, _ in f.named_parameters()] == ["0.weight", "0.bias"]


def test_frozen_parameters_settings_and_variables_are_noticed(capfd: Any) -> None:
    model, optimizer, step = training()
    step = compiled(step)
    data = list(batches(6))
    step(*data[0])
    model[0].weight.requires_grad_(False)
    frozen = model[0].weight.detach().clone()
    step(*data[1])
    assert model[0].weight.equal(frozen)
    assert "requires_grad of 0.weight was True, is False" in capfd.readouterr().err
    optimizer.param_groups[0]["weight_decay"] = 0.1
    step(*data[2])
    assert "settings of optimizer" in capfd.readouterr().err
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.param_groups[0]["weight_decay"] = 0.2
    step(*data[3])
    assert capfd.readouterr().err == ""

    scale = 2.0
    f = compiled(lambda x: x * scale)
    x = chainrule.ones(1)
    assert f(x).item() == 2
    scale = 3.0
    assert f(x).item() == 3
    assert "the variable scale is another" in capfd.readouterr().err


def test_a_schedule_compiles_once() -> None:
    ends: list[Any] = []
    for wrap in (lambda fn: fn, compiled):
        model, optimizer, step = training()
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=8)
        step = wrap(step)
        for x, y in batches(8):
            step(x, y)
            schedule.step()
        ends.append(everything(model, optimizer))
    assert ends[0] == ends[1]
    assert step.count == 1


def test_grad_mode_is_part_of_the_call() -> None:
    f = compiled(lambda x: (x * 2, chainrule.is_grad_enabled()))
    x = chainrule.ones(1)
    assert f(x)[1]
    with chainrule.no_grad():
        assert not f(x)[1]
    with chainrule.inference_mode():
        assert not f(x)[1]
    assert f(x)[1]


def test_a_batch_of_fewer_rows_runs_through_the_same_program_until_it_comes_twice(
    capfd: Any,
) -> None:
    ends: list[Any] = []
    data = [*batches(2), *batches(1, size=2), *batches(2), *batches(1, size=2)]
    for wrap in (lambda fn: fn, compiled):
        model, optimizer, step = training()
        step = wrap(step)
        losses = [step(x, y).item() for x, y in data]
        ends.append((losses, everything(model, optimizer)))
    assert ends[0] == ends[1]
    assert step.count == 1
    assert capfd.readouterr().err == ""
    assert "plain Python" not in step.explain()
    for _ in range(2):
        step(*data[2])
    assert step.count == 2


def test_a_batch_of_more_rows_runs_as_plain_python_until_it_comes_twice(capfd: Any) -> None:
    _, _, step = training()
    step = compiled(step)
    for x, y in [*batches(2), *batches(1, size=9), *batches(1)]:
        step(x, y)
    assert step.count == 1
    assert capfd.readouterr().err == ""
    assert "ran as plain Python: a batch of other sizes" in step.explain()
    for x, y in batches(2, size=9):
        step(x, y)
    assert step.count == 2


# ---- gradients -------------------------------------------------------------------------------


def test_gradients_that_a_step_uses_up_are_not_kept_unless_asked_for() -> None:
    (x, y), *_ = batches(1)
    model, _, step = training()
    eager = [each.detach() for each in [step(x, y)] and [p.grad for p in model.parameters()]]
    for keep in (None, True, False):
        model, _, step = training()
        step = compiled(step, keep_gradients=keep)
        for _ in range(2):
            step(x, y)
            found = [each.grad for each in model.parameters()]
            if not keep:
                assert found == [None] * len(found)
        if keep:
            assert all(each is not None and not each.requires_grad for each in found)
    assert "gradients of 0.weight" in step.explain()
    model, _, step = training()
    compiled(step, keep_gradients=True)(x, y)
    for one, other in zip(eager, model.parameters(), strict=True):
        assert one.equal(other.grad)


def test_gradients_without_a_step_are_left_and_add_up() -> None:
    x = chainrule.ones(3)
    ends: list[Any] = []
    for wrap in (lambda fn: fn, compiled):
        weight = nn.Parameter(chainrule.tensor([1.0, 2.0, 3.0]))

        def backward(x: Tensor, weight: Any = weight) -> Tensor:
            loss = (weight * weight * x).sum()
            loss.backward()
            return loss.detach()

        backward = wrap(backward)
        seen: list[Any] = []
        for round in range(6):
            seen.append(backward(x).item())
            seen.append(weight.grad.tolist())
            if round in (2, 4):
                weight.grad = None
        ends.append(seen)
    assert ends[0] == ends[1]
    assert backward.count == 2  # one that makes the gradient, one that adds to it


def test_gradients_of_arguments() -> None:
    @compiled
    def backward(x: Tensor) -> None:
        (x**3).sum().backward()

    x = chainrule.tensor([1.0, 2.0], requires_grad=True)
    backward(x)
    assert x.grad.tolist() == [3, 12]
    backward(x)
    assert x.grad.tolist() == [6, 24]
    assert backward.count == 1


def test_zeroing_in_place_and_stepping_before_zeroing() -> None:
    ends: list[Any] = []
    (x, y), *_ = batches(1)
    for wrap in (lambda fn: fn, compiled):
        model, optimizer, _ = training()

        def late(x: Tensor, y: Tensor, model: Any = model, optimizer: Any = optimizer) -> None:
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)

        late = wrap(late)
        for _ in range(3):
            late(x, y)
        ends.append(everything(model, optimizer))
        assert all(each.grad is None or not each.grad.any() for each in model.parameters())
    assert ends[0] == ends[1]


# ---- what can't be compiled ------------------------------------------------------------------


def test_data_dependent_python_is_refused_at_its_line() -> None:
    def choose(x: Tensor) -> Tensor:
        y = x * 2
        return y if y.sum() > 0 else -y  # this line

    with pytest.raises(CompileError) as caught:
        compiled(choose)(chainrule.ones(2))
    assert "this line" in caught.value.location
    assert "chainrule.where" in caught.value.cure


def test_a_schedule_inside_is_refused_and_undone() -> None:
    _, optimizer, step = training()

    def wrong(x: Tensor, y: Tensor) -> None:
        step(x, y)
        optimizer.param_groups[0]["lr"] = 0.5

    (x, y), *_ = batches(1)
    with pytest.raises(CompileError, match=r"lr is set inside"):
        compiled(wrong)(x, y)
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert optimizer.param_groups[0].numbers["lr"].item() == 0.01


def test_a_tensor_left_behind_says_so() -> None:
    kept: list[Tensor] = []

    @compiled
    def leaking(x: Tensor) -> Tensor:
        kept.append(x * 2)
        return x + 1

    leaking(chainrule.ones(2))
    with pytest.raises(CompileError, match="left behind"):
        kept[0] + 1
    with pytest.raises(CompileError, match="left behind"):
        kept[0].tolist()


def test_nonsense_is_refused() -> None:
    with pytest.raises(CompileError, match="no function"):
        chainrule.compile(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="backend"):
        chainrule.compile(lambda x: x, backend="abacus")
    with pytest.raises(CompileError, match="not compiled so far"):
        _ = compiled(lambda x: x).graph


def test_errors_of_the_function_are_its_own() -> None:
    f = compiled(lambda x, y: x @ y)
    with pytest.raises(ShapeError, match="inner sizes differ"):
        f(chainrule.ones(2, 3), chainrule.ones(2, 3))
    with pytest.raises(TypeError):
        f(chainrule.ones(2, 3))
    assert f(chainrule.ones(2, 3), chainrule.ones(3, 1)).tolist() == [[3], [3]]
    assert f.count == 1


# ---- where it is called from -----------------------------------------------------------------


def test_nested_compiled_functions_are_one_program() -> None:
    inner = compiled(lambda x: x * 2)
    outer = compiled(lambda x: inner(x) + inner(x + 1))
    assert outer(chainrule.ones(2)).tolist() == [6, 6]
    assert inner.count == 0
    assert len(outer.graph.nodes) == 4


def test_methods_and_decorators() -> None:
    class Counter:
        def __init__(self) -> None:
            self.total = chainrule.zeros(2)

        @chainrule.compile(backend="numpy")
        def add(self, x: Tensor) -> Tensor:
            """Add it."""
            self.total += x
            return self.total.clone()

    one, two = Counter(), Counter()
    assert one.add(chainrule.ones(2)).tolist() == [1, 1]
    assert one.add(chainrule.ones(2)).tolist() == [2, 2]
    assert two.add(chainrule.ones(2)).tolist() == [1, 1]
    assert Counter.add.__name__ == "add"
    assert Counter.add.__doc__ == "Add it."


def test_under_forward_mode_it_is_the_function() -> None:
    f = compiled(lambda x: x**3)
    y, moved = chainrule.func.jvp(f, (chainrule.tensor(2.0),), (chainrule.tensor(1.0),))
    assert (y.item(), moved.item()) == (8, 12)


def test_many_threads_at_once() -> None:
    total = chainrule.zeros(4)
    lock = threading.Lock()

    @compiled
    def add(x: Tensor) -> Tensor:
        total.add_(x)
        return x * 2

    results: list[float] = []

    def work(number: int) -> None:
        for _ in range(50):
            y = add(chainrule.full((4,), float(number)))
            with lock:
                results.append(y[0].item() / number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2.0] * 200
    assert total.tolist() == [500.0] * 4
    assert add.count == 1


def test_a_failing_run_leaves_the_state_alone() -> None:
    model, optimizer, step = training()
    step = compiled(step)
    (x, y), *_ = batches(1)
    step(x, y)
    before = everything(model, optimizer)
    with pytest.raises(ChainruleError):
        step(x, chainrule.full((6,), 7))  # there is no class 7
    assert everything(model, optimizer) == before


def test_what_is_explained() -> None:
    _, _, step = training()
    step = compiled(step)
    (x, y), *_ = batches(1)
    step(x, y)
    text = step.explain()
    assert text.startswith("step(x: f32[6,4], y: i64[6])\n")
    assert "  updated f32[5,4]           0.weight\n" in text
    assert "  read    f64[]              optimizer.lr\n" in text
    assert "0.weight.exp_avg" in text
    assert "generator" in text
    assert "op by op" in text or "one after the other" in text
    assert "# " in step.stages()["traced"]
    assert step.graph.names[step.graph.state[0].number] == "0.weight"


def test_the_function_and_its_tensors_are_freed_with_it() -> None:
    model = nn.Linear(2, 2)
    f = compiled(lambda x, model=model: model(x).detach())
    f(chainrule.ones(1, 2))
    gone = weakref.ref(model.weight)
    del model, f
    gc.collect()
    assert gone() is None


# ---- backward() from outside -----------------------------------------------------------------


def test_backward_through_a_compiled_forward_pass() -> None:
    (x, y), *_ = batches(1)
    ends: list[Any] = []
    for wrap in (lambda fn: fn, compiled):
        chainrule.manual_seed(1)
        model, optimizer, _ = training()
        forward = wrap(model)
        x.grad = None
        x.requires_grad_()
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(forward(x), y).backward()
            optimizer.step()
        ends.append((everything(model, optimizer), x.grad.tolist()))
    x.requires_grad_(False)
    assert ends[0] == ends[1]
    assert forward.count == 1


def test_gradients_flow_on_to_what_made_the_arguments() -> None:
    w = chainrule.tensor([1.0, 2.0], requires_grad=True)

    @compiled
    def parts(x: Tensor, y: Tensor) -> Any:
        return (x * y).sum(), x.exp(), y + 1

    a, b, plain = parts(w * 3, chainrule.ones(2))
    assert not plain.requires_grad
    (a + b.sum()).backward()
    eager = chainrule.tensor([1.0, 2.0], requires_grad=True)
    ((eager * 3).sum() + (eager * 3).exp().sum()).backward()
    assert w.grad.equal(eager.grad)
    with pytest.raises(AutogradError, match="freed"):
        a.backward()


def test_what_was_written_to_since_is_refused_on_the_way_back() -> None:
    w = nn.Parameter(chainrule.ones(2))
    square = compiled(lambda: (w * w).sum())
    loss = square()
    with chainrule.no_grad():
        w.mul_(2)
    with pytest.raises(AutogradError, match="changed in place"):
        loss.backward()
    square().backward()
    assert w.grad.tolist() == [4, 4]


def test_a_second_derivative_from_outside_is_refused() -> None:
    x = chainrule.tensor([1.0, 2.0], requires_grad=True)
    y = compiled(lambda x: (x**3).sum())(x)
    with pytest.raises(AutogradError, match="differentiated twice"):
        grad(y, [x], create_graph=True)


def test_parts_and_state_that_were_exchanged_are_noticed(capfd: Any) -> None:
    ends: list[Any] = []
    for wrap in (lambda fn: fn, compiled):
        model, optimizer, step = training()
        fresh = optimizer.state_dict()
        step = wrap(step)
        data = list(batches(6))
        for x, y in data[:2]:
            step(x, y)
        optimizer.load_state_dict(fresh)
        step(*data[2])
        chainrule.manual_seed(9)
        model[4] = nn.Linear(5, 3)
        optimizer.add_param_group({"params": model[4].parameters()})
        for x, y in data[3:]:
            step(x, y)
        ends.append(everything(model, optimizer))
    assert ends[0] == ends[1]
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert "the state of optimizer is another" in said[0]
    assert "has other parts" in said[1]


def test_a_loop_over_a_global_named_like_a_method_compiles_once() -> None:
    space: dict[str, Any] = {
        "compile": compiled,
        "nn": nn,
        "optim": optim,
        "x": chainrule.ones(2, 4),
    }
    script = """
model = nn.Linear(4, 1)
optimizer = optim.SGD(model.parameters(), lr=0.1)
seen = 0

def train(x):
    global seen
    seen += 1
    optimizer.zero_grad()
    model(x).sum().backward()
    optimizer.step()

train = compile(train)
for step in range(1, 5):
    train(x)
"""
    exec(script, space)
    assert (space["train"].count, space["seen"]) == (1, 1)


class Average(nn.Module):
    """Assigns to a buffer, and to plain attributes, in `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", chainrule.zeros(2))
        self.last: Any = None
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.mean = 0.5 * self.mean + x
        self.last = x * 2
        return self.mean * 1


def test_tensors_assigned_to_attributes() -> None:
    eager, model = Average(), Average()
    mean, f = model.mean, compiled(model)
    for number in (1.0, 2.0, 4.0, 8.0):
        x = chainrule.full((2,), number)
        assert f(x).equal(eager(x))
        assert model.mean.equal(eager.mean)
        assert model.last.equal(eager.last)
    assert model.mean is mean is model._buffers["mean"]
    assert (f.count, model.calls) == (1, 1)

    def growing(x: Tensor) -> Tensor:
        model.mean = chainrule.cat([model.mean, x])
        return model.mean

    with pytest.raises(CompileError, match=r"Average.mean was f32\[2\] and is assigned f32\[4\]"):
        compiled(growing)(x)
    assert model.mean is mean
