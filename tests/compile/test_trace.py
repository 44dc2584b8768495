"""A traced function is its graph: nothing in it looks at numbers or writes past the ops.

Carried out op by op, the graph must give the bits of the eager function: of every op and its
derivative, of views and in-place writes, and of whole training steps, step after step: parameters,
optimizer state, running statistics, the place in the random stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule
from chainrule import nn, optim
from chainrule.autograd import grad
from chainrule.autograd.tape import Tape
from chainrule.compile.reference import ReferenceExecutable
from chainrule.compile.symbol import UNORDERED
from chainrule.compile.trace import Trace
from chainrule.core.base import as_tuple
from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import Stack, bind, using
from chainrule.core.op import Op, Sample, registry
from chainrule.core.types import type_of
from chainrule.eager import Eager
from chainrule.errors import ChainruleError, CompileError, DTypeError, OpError, ShapeError
from chainrule.ir.graph import Graph
from chainrule.ir.graph_text import parse_graph
from chainrule.ir.verify import verify
from chainrule.nn import functional as F
from chainrule.nn.layer_engine import LayerEngine
from chainrule.ops.generator import default_generator
from chainrule.tensor import Tensor

EAGER = Stack(Eager())


def traced(function: Callable[..., Any], *arrays: Any) -> tuple[Trace, Graph]:
    """A function of tensors that gives tensors, as a graph."""
    trace = Trace()
    xs = [Tensor.around(trace.argument(array)) for array in arrays]
    with using(Stack(trace).push(Tape())):
        ys = as_tuple(function(*xs))
    results = [trace.value(trace.symbol(y)) for y in ys]
    return trace, verify(trace.graph("function", results))


def ran(trace: Trace, graph: Graph, *arrays: Any) -> list[Any]:
    """The graph's results for these arguments, with the state as it is now."""
    arrays_of = {met.value.number: met.array for met in trace.state}
    state = [arrays_of[value.number] for value in graph.state]
    return ReferenceExecutable(graph).run(arrays, state)


def assert_traced_is_eager(function: Callable[..., Any], *arrays: Any) -> None:
    """The results, and what is in the arguments at the end, are the eager ones, bit for bit."""
    eager, compiled = ([each.copy() for each in arrays] for _ in range(2))
    expected = as_tuple(function(*[Tensor.around(each) for each in eager]))
    found = ran(*traced(function, *compiled), *compiled)
    for y, result in zip(expected, found, strict=True):
        assert type_of(result) == y.type
        assert result.tobytes() == y.detach().numpy().tobytes()
    for one, other in zip(eager, compiled, strict=True):
        assert one.tobytes() == other.tobytes()


def mlp() -> tuple[nn.Module, Any]:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    return model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def lenet() -> tuple[nn.Module, Any]:
    model = nn.Sequential(
        nn.Unflatten(1, (1, 12, 12)),
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    return model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)


def normed_and_dropped() -> tuple[nn.Module, Any]:
    model = nn.Sequential(
        nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.3), nn.Linear(5, 4)
    )
    return model, optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)


def averaging_norm() -> tuple[nn.Module, Any]:
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, momentum=None), nn.Linear(5, 4))
    return model, optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)


def tied() -> tuple[nn.Module, Any]:
    """Two leaves that one cotangent arrives at, and a parameter that is used twice."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(chainrule.randn(6, 6))
            self.left = nn.Parameter(chainrule.randn(6))
            self.right = nn.Parameter(chainrule.randn(6))

        def forward(self, x: Any) -> Any:
            shift = self.left + self.right
            return (x @ self.weight + shift).tanh() @ self.weight.T

    model = Tied()
    return model, optim.RMSprop(model.parameters(), lr=0.01, momentum=0.5)


def writing() -> tuple[nn.Module, Any]:
    """In-place methods, through a view too."""

    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 4)

        def forward(self, x: Any) -> Any:
            y = self.linear(x).clone()
            first = y[:, :2]
            first.mul_(2)
            y.add_(1)
            return y.tanh_()

    model = Writing()
    return model, optim.SGD(model.parameters(), lr=0.1)


MODELS = {
    "mlp": (mlp, 6),
    "lenet": (lenet, 144),
    "normed_and_dropped": (normed_and_dropped, 6),
    "averaging_norm": (averaging_norm, 6),
    "tied": (tied, 6),
    "writing": (writing, 6),
}


def step(model: Any, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def layer_step(model: Any, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
    optimizer.zero_grad()
    engine = LayerEngine(model, nn.CrossEntropyLoss())
    loss, _ = engine.forward(x, y)
    engine.backward()
    optimizer.step()
    return loss.detach()


def everything(model: Any, optimizer: Any) -> dict[str, bytes]:
    state = {f"model.{k}": v for k, v in model.state_dict().items()}
    for index, kept in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{index}.{k}": v for k, v in kept.items()}
    state["generator"] = default_generator.state
    return {name: each.detach().numpy().tobytes() for name, each in state.items()}


@pytest.mark.parametrize(
    ("name", "step"),
    [*[(name, step) for name in MODELS], ("lenet", layer_step), ("normed_and_dropped", layer_step)],
)
def test_a_traced_training_step_is_the_eager_one_bit_for_bit(
    name: str, step: Callable[..., Tensor], rng: Any
) -> None:
    make, features = MODELS[name]
    xs = rng.standard_normal((3, 8, features)).astype(np.float32)
    ys = rng.integers(0, 4, (3, 8))

    chainrule.manual_seed(1)
    eager = make()
    expected: list[Any] = []
    for x, y in zip(xs, ys, strict=True):
        loss = step(*eager, chainrule.tensor(x), chainrule.tensor(y))
        expected.append((loss.numpy().tobytes(), everything(*eager)))

    chainrule.manual_seed(1)
    model, optimizer = make()
    before = default_generator.get_state()
    trace, graph = traced(lambda x, y: step(model, optimizer, x, y), xs[0], ys[0])
    optimizer.zero_grad()
    assert default_generator.get_state().tolist() == before.tolist()  # nothing has happened yet
    for x, y, (loss, everything_after) in zip(xs, ys, expected, strict=True):
        (result,) = ran(trace, graph, x, y)
        assert result.tobytes() == loss
        assert everything(model, optimizer) == everything_after


def inputs_of(sample: Sample) -> list[Tensor]:
    tracked = bool(sample.op.differentiable)
    return [
        chainrule.tensor(each).requires_grad_(tracked and each.dtype.kind == "f")
        for each in sample.inputs
    ]


def outputs_and_gradients(op: Op, xs: list[Tensor]) -> list[Tensor]:
    ys = as_tuple(bind(op, *xs))
    bars: tuple[Any, ...] = ()
    if ys[0].requires_grad:
        y_bar = (ys[0].detach() * 0 + 1).cos()
        bars = grad(ys[0], [x for x in xs if x.requires_grad], y_bar, allow_unused=True)
    return [each.detach() for each in (*ys, *bars) if each is not None]


@pytest.mark.parametrize("name", sorted(registry))
def test_a_traced_op_and_its_derivative_are_the_eager_ones_bit_for_bit(name: str) -> None:
    for sample in registry[name].samples(registry[name]):
        expected = outputs_and_gradients(sample.op, inputs_of(sample))
        xs = inputs_of(sample)
        trace, graph = traced(lambda s=sample, xs=xs: tuple(outputs_and_gradients(s.op, xs)))
        arrays = {each.value.number: each.array for each in graph.constants}
        text = str(graph)
        assert str(parse_graph(text, arrays=arrays)) == text
        found = ran(trace, graph)
        for result, eager in zip(found, expected, strict=True):
            assert type_of(result) == eager.type
            assert result.tobytes() == eager.numpy().tobytes()


@pytest.mark.parametrize("name", sorted(registry))
def test_results_of_inputs_in_order_lie_in_order_unless_listed(name: str) -> None:
    cls = registry[name]
    if cls.aliases or issubclass(cls, CoarseOp) or name in UNORDERED:
        return
    for sample in cls.samples(cls):
        xs = [Tensor.around(np.ascontiguousarray(x).reshape(x.shape)) for x in sample.inputs]
        with using(EAGER):
            for y in as_tuple(bind(sample.op, *xs)):
                assert y.value.flags.c_contiguous


def test_settings_of_the_optimizer_are_state_of_the_trace_and_not_frozen() -> None:
    chainrule.manual_seed(1)
    model, optimizer = mlp()
    x, y = chainrule.randn(8, 6).numpy(), np.zeros(8, np.int64)
    trace, graph = traced(lambda x, y: step(model, optimizer, x, y), x, y)
    optimizer.zero_grad()
    weights = [each.detach().clone() for each in model.parameters()]
    optimizer.param_groups[0]["lr"] = 0.0
    ran(trace, graph, x, y)
    for before, now in zip(weights, model.parameters(), strict=True):
        assert before.equal(now)
    optimizer.param_groups[0]["lr"] = 0.1
    ran(trace, graph, x, y)
    for before, now in zip(weights, model.parameters(), strict=True):
        assert not before.equal(now)


@pytest.mark.parametrize(
    "look",
    [
        lambda x: bool(x.sum() > 0),
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: x.numpy(),
        lambda x: repr(x),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: F.one_hot(x.long()),
    ],
)
def test_looking_at_a_number_in_a_traced_step_is_refused(look: Callable[[Any], Any]) -> None:
    with pytest.raises(CompileError, match="look at the numbers") as caught:
        traced(lambda x: look(x + 1), np.ones(3, np.float32))
    assert __file__ in caught.value.location
    assert "where" in caught.value.cure


def test_numbers_that_are_constants_may_be_looked_at() -> None:
    assert_traced_is_eager(
        lambda x: (
            x * chainrule.tensor([1.0, 2.0]).sum(0, keepdim=True) if chainrule.tensor(True) else x
        ),
        np.ones(2, np.float32),
    )


# ---- memory ----------------------------------------------------------------------------------


def through_a_reshape_of_a_permuted_view(x: Any) -> Any:
    x.permute(2, 0, 1).reshape(4, 6).mul_(2)  # NumPy has to copy here: x stays as it is
    return x + 1


def through_a_reshape_that_is_a_view(x: Any) -> Any:
    x.permute(1, 0, 2).unflatten(2, (2, 2)).mul_(2)
    return x.reshape(-1)


def through_two_views_in_turn(x: Any) -> Any:
    first, second = x[0], x.transpose(0, 1)[1]
    first.add_(1)
    second.mul_(3)
    first[1] = second[0]
    return first, second, x


def through_detached_twins(x: Any) -> Any:
    twin = x.detach()
    twin[0].detach().add_(1)
    x.data.mul_(2)
    return twin, x


def whole_and_part(x: Any) -> Any:
    y = x * 2
    part = y.reshape(-1)[2:5]
    y.zero_()
    part += 1
    return y, part


def contiguous_is_itself_or_a_copy(x: Any) -> Any:
    x.contiguous().add_(1)
    x.transpose(0, 1).contiguous().mul_(2)
    return x


@pytest.mark.parametrize(
    "function",
    [
        through_a_reshape_of_a_permuted_view,
        through_a_reshape_that_is_a_view,
        through_two_views_in_turn,
        through_detached_twins,
        whole_and_part,
        contiguous_is_itself_or_a_copy,
        lambda x: x.add_(1).view(-1),
        lambda x: x[0].T.diagonal().add_(x[1, 0, 0]),
        lambda x: x.copy_(chainrule.arange(4.0)),
        lambda x: x.clone().view(-1).add_(1),
    ],
)
def test_writing_through_views_is_what_it_is_eagerly(
    function: Callable[[Any], Any], rng: Any
) -> None:
    assert_traced_is_eager(function, rng.standard_normal((2, 3, 4)).astype(np.float32))


def test_what_depends_on_an_unknown_layout_is_refused_when_it_matters(rng: Any) -> None:
    x = rng.standard_normal((2, 1, 6, 6)).astype(np.float32)
    weight = np.ones((3, 1, 3, 3), np.float32)

    def harmless(x: Any, weight: Any) -> Any:
        return F.conv2d(x, weight).flatten(1).mul_(2)  # who knows; but nobody asks

    def ambiguous(x: Any, weight: Any) -> Any:
        y = F.conv2d(x, weight)
        y.reshape(-1).mul_(2)
        return y

    assert_traced_is_eager(harmless, x, weight)
    with pytest.raises(CompileError, match="lies in memory") as caught:
        traced(ambiguous, x, weight)
    assert "clone" in caught.value.cure


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda x: x.add_(chainrule.ones(3)), ShapeError),
        (lambda x: x.copy_(chainrule.ones(5)), ShapeError),
        (lambda x: x.long().add_(0.5), DTypeError),
        (lambda x: x.expand(4, 2).add_(1), OpError),
        (lambda x: x @ chainrule.ones(3, 3), ShapeError),
    ],
)
def test_errors_are_the_eager_ones(wrong: Callable[[Any], Any], error: type[Exception]) -> None:
    x = np.ones(2, np.float32)
    with pytest.raises(ChainruleError) as eager:
        wrong(Tensor.around(x.copy()))
    with pytest.raises(ChainruleError) as caught:
        traced(wrong, x)
    assert type(caught.value) is type(eager.value) is error
    assert (caught.value.problem, caught.value.cure) == (eager.value.problem, eager.value.cure)


def test_state_that_shares_memory_and_is_written_to_is_refused() -> None:
    memory = np.arange(6, dtype=np.float32)
    whole, part = chainrule.from_numpy(memory), chainrule.from_numpy(memory[2:])

    def step(x: Any) -> Any:
        part.add_(x)
        return x + 1

    def looking(x: Any) -> Any:
        y = whole[0] + x
        part.add_(x)
        return y

    x = np.ones((), np.float32)
    trace, graph = traced(step, x)
    ran(trace, graph, x)
    assert memory.tolist() == [0, 1, 3, 4, 5, 6]
    with pytest.raises(CompileError, match="share memory"):
        traced(looking, x)


def test_a_view_made_outside_is_a_view_of_its_base() -> None:
    base = chainrule.arange(6.0)
    view = base.reshape(2, 3)[1]

    def step(x: Any) -> Any:
        view.add_(x)
        return base * 1

    x = np.ones((), np.float32)
    trace, graph = traced(step, x)
    assert len(graph.state) == 1
    (result,) = ran(trace, graph, x)
    assert result.tolist() == base.tolist() == [0, 1, 2, 4, 5, 6]


# ---- random programs -------------------------------------------------------------------------

UNARY = ("abs", "cos", "exp", "neg", "relu", "sigmoid", "sin", "square", "tanh")
BINARY = ("add", "maximum", "minimum", "mul", "sub")
VIEWS = (
    lambda x: x.transpose(0, 1),
    lambda x: x[1:],
    lambda x: x[:, ::2],
    lambda x: x.reshape(-1),
    lambda x: x.reshape(x.shape[1], x.shape[0]),
    lambda x: x.unsqueeze(0).squeeze(0),
)

LINE = st.one_of(
    st.tuples(st.just("unary"), st.sampled_from(UNARY), st.integers(0, 99)),
    st.tuples(st.just("binary"), st.sampled_from(BINARY), st.integers(0, 99), st.integers(0, 99)),
    st.tuples(st.just("view"), st.sampled_from(range(len(VIEWS))), st.integers(0, 99)),
    st.tuples(st.just("write"), st.sampled_from(UNARY), st.integers(0, 99)),
    st.tuples(st.just("fill"), st.floats(-2, 2, width=32), st.integers(0, 99)),
    st.tuples(st.just("matmul"), st.integers(0, 99)),
    st.tuples(st.just("sum"), st.integers(0, 99)),
)


def program_of(lines: list[Any]) -> Callable[..., Any]:
    """A function that does what the lines say to a growing pool of tensors."""

    def function(*xs: Any) -> Any:
        pool: list[Any] = list(xs)
        for kind, *rest in lines:
            x = pool[
                rest[1 if kind in ("unary", "binary", "view", "write", "fill") else 0] % len(pool)
            ]
            if kind == "unary":
                pool.append(getattr(x, rest[0])())
            elif kind == "binary":
                other = pool[rest[2] % len(pool)]
                pool.append(getattr(x, rest[0])(other if other.shape == x.shape else x))
            elif kind == "view":
                pool.append(VIEWS[rest[0]](x) if x.ndim == 2 and x.numel() > 2 else x[:1])
            elif kind == "write":
                x.copy_(getattr(x, rest[0])())
            elif kind == "fill":
                x[:1].fill_(rest[0])
            elif kind == "matmul" and x.ndim == 2:
                pool.append(x @ x.T)
            elif kind == "sum":
                pool.append(x.sum(0, keepdim=True))
        return tuple(pool)

    return function


@given(st.lists(LINE, max_size=14), st.sampled_from([np.float32, np.float64]))
def test_random_programs_are_the_eager_ones_bit_for_bit(lines: list[Any], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((2, 3)).astype(dtype) for _ in range(2)]
    try:
        _, graph = traced(program_of(lines), *[x.copy() for x in xs])
    except CompileError:  # it depends on how something lies in memory, eagerly too
        return
    text = str(graph)
    assert str(parse_graph(text)) == text
    assert_traced_is_eager(program_of(lines), *xs)
