"""A whole training step can be traced: nothing in it looks at numbers or writes past the ops.

The interpreter here is the least that does it: values are symbols with a shape and a dtype, an op
is a line of a list, its type rule says what comes out. Run line by line, the list must give the
bits of the eager step, step after step: parameters, optimizer state, running statistics, the place
in the random stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn, optim
from chainrule.autograd import grad
from chainrule.autograd.inplace import WriteView
from chainrule.autograd.tape import Tape
from chainrule.core.base import ViewOf, as_tuple
from chainrule.core.interpret import Base, Run, Stack, bind, using
from chainrule.core.op import Op, Sample, registry
from chainrule.core.types import TensorType, type_of
from chainrule.eager import Eager
from chainrule.errors import AutogradError
from chainrule.nn import functional as F
from chainrule.nn.layer_engine import LayerEngine
from chainrule.ops.generator import default_generator
from chainrule.ops.movement import clone
from chainrule.tensor import Tensor

EAGER = Stack(Eager())


class Symbol:
    """Stands for an array: its shape and dtype, and the number of the value that is in it now.

    Tensors that share memory share their symbol, and writing to it gives it another number.
    """

    def __init__(self, kind: TensorType, number: int) -> None:
        self.shape, self.dtype = kind.shape, kind.dtype.numpy
        self.number = number


class Trace(Base):
    """Writes down what happens. Arrays met on the way are the state."""

    def __init__(self) -> None:
        self.lines: list[tuple[Op, list[int], list[int]]] = []
        self.constants: dict[int, np.ndarray[Any, Any]] = {}
        self.state: dict[int, tuple[np.ndarray[Any, Any], int, Symbol]] = {}
        self._numbers = 0

    # -- the interpreter --

    def over(self, below: Stack) -> Run:
        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            ys = [Tensor.around(each) for each in self._add(op, [self._of(x) for x in inputs])]
            if op.aliases:
                x = inputs[0]
                made = x.view_of or ViewOf(x, (), x.version)
                ys[0].view_of = ViewOf(made.base, (*made.ops, op), x.version)
            return tuple(ys) if op.outputs > 1 else ys[0]

        return run

    def lift(self, value: Any) -> Tensor:
        if isinstance(value, Symbol):
            return Tensor.around(value)
        y = self._symbol(type_of(value))
        self.constants[y.number] = value
        return Tensor.around(y)

    def copy(self, tensor: Any) -> Tensor:
        return clone(tensor)

    def assign(self, target: Any, source: Any) -> None:
        new = self._of(source)
        assert new.dtype == target.value.dtype
        if new.shape != target.value.shape:
            new = self._of(source.expand(target.value.shape))
        if target.view_of is None:
            self._of(target).number = new.number
        else:
            base = self._of(target.view_of.base)
            (written,) = self._add(WriteView(target.view_of.ops), [base, new])
            base.number = written.number

    def read(self, tensor: Any) -> Any:
        raise AutogradError("a traced step can't look at numbers")

    def prepare(self, function: Callable[..., Any], *args: Any) -> Any:
        with using(EAGER):
            return function(*args)

    # -- the list --

    def _symbol(self, kind: TensorType) -> Symbol:
        self._numbers += 1
        return Symbol(kind, self._numbers)

    def _add(self, op: Op, inputs: list[Symbol]) -> list[Symbol]:
        types = op.type_rule(*[type_of(x) for x in inputs])
        ys = [self._symbol(each) for each in (types if op.outputs > 1 else (types,))]
        self.lines.append((op, [x.number for x in inputs], [y.number for y in ys]))
        return ys

    def _of(self, tensor: Any) -> Symbol:
        """The symbol of a tensor; a view is its ops on what its base is now."""
        if tensor.view_of is not None:
            symbol = self._of(tensor.view_of.base)
            for op in tensor.view_of.ops:
                (symbol,) = self._add(op, [symbol])
            return symbol
        value = tensor.value
        if isinstance(value, Symbol):
            return value
        if id(value) not in self.state:
            symbol = self._symbol(type_of(value))
            self.state[id(value)] = value, symbol.number, symbol
        return self.state[id(value)][2]

    # -- carrying it out --

    def run(self, result: Tensor) -> np.ndarray[Any, Any]:
        """Carry the lines out, write the state where it was, and return one of the values."""
        known = dict(self.constants)
        known |= {number: array for array, number, _ in self.state.values()}
        with using(EAGER):
            for op, inputs, outputs in self.lines:
                ys = bind(op, *[Tensor.around(known[x]) for x in inputs])
                values = [y.value for y in (ys if op.outputs > 1 else (ys,))]
                known |= dict(zip(outputs, values, strict=True))
        changed = [(a, known[s.number].copy()) for a, n, s in self.state.values() if s.number != n]
        for array, new in changed:
            array[...] = new
        return known[result.value.number]


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
    x, y, trace = chainrule.tensor(xs[0]), chainrule.tensor(ys[0]), Trace()
    with using(Stack(trace).push(Tape())):
        result = step(model, optimizer, x, y)
    optimizer.zero_grad()
    assert default_generator.get_state().tolist() == before.tolist()  # nothing has happened yet
    for index in range(3):
        x.value[...], y.value[...] = xs[index], ys[index]
        loss = trace.run(result)
        assert (loss.tobytes(), everything(model, optimizer)) == expected[index]


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
        trace, xs = Trace(), inputs_of(sample)
        with using(Stack(trace).push(Tape())):
            ys = outputs_and_gradients(sample.op, xs)
        assert len(ys) == len(expected)
        for y, eager in zip(ys, expected, strict=True):
            found = trace.run(y)
            assert type_of(found) == y.type == eager.type
            assert found.tobytes() == eager.numpy().tobytes()


def test_settings_of_the_optimizer_are_state_of_the_trace_and_not_frozen() -> None:
    chainrule.manual_seed(1)
    model, optimizer = mlp()
    x, y, trace = chainrule.randn(8, 6), chainrule.zeros(8, dtype=chainrule.int64), Trace()
    with using(Stack(trace).push(Tape())):
        result = step(model, optimizer, x, y)
    optimizer.zero_grad()
    weights = [each.detach().clone() for each in model.parameters()]
    optimizer.param_groups[0]["lr"] = 0.0
    trace.run(result)
    for before, now in zip(weights, model.parameters(), strict=True):
        assert before.equal(now)
    optimizer.param_groups[0]["lr"] = 0.1
    trace.run(result)
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
    x = chainrule.ones(3)
    with using(Stack(Trace())), pytest.raises(AutogradError, match="look at numbers"):
        look(x + 1)
