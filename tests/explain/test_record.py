"""The record says what the tape did: values, local derivatives, gradients, sums; and costs nothing
while nobody asks for it.
"""

import gc
import sys
import weakref

import numpy as np
import pytest
from tests.explain.stories import article, diamond, interpolation, lenet

import chainrule
from chainrule import nn
from chainrule.core.interpret import current_stack
from chainrule.errors import ConfigError
from chainrule.explain.story import Meeting, Pull
from chainrule.explain.summary import KEEP, summarise


def numbers(record):
    return {v.name: (v.summary.scalar, v.gradient and v.gradient.scalar) for v in record.values}


def test_the_article_s_numbers_have_the_article_s_names():
    assert numbers(article().record) == {
        "x": (-2, -4),
        "y": (5, -4),
        "x + y": (3, -4),
        "z": (-4, 3),
        "f": (-12, 1),
    }


def test_a_step_says_its_formula_its_line_and_what_went_in_and_out():
    record = article().record
    add, mul = record.steps
    assert (add.op, add.formula.meaning) == ("add", "y = a + b")
    assert mul.formula.rules == {0: "dy/da = b", 1: "dy/db = a"}
    assert mul.source.text == "f = (x + y) * z"
    assert (add.source.expression, mul.source.expression) == ("x + y", "(x + y) * z")
    assert mul.source.function == "article"
    assert [record.values[i].name for i in (*mul.inputs, *mul.outputs)] == ["x + y", "z", "f"]


def test_a_pull_says_what_came_the_local_derivative_and_what_went():
    record = article().record
    first, second = record.back
    assert isinstance(first, Pull)
    assert first.seed
    assert not second.seed
    told = [(p.local.scalar, p.outgoing.scalar) for p in first.passages]
    assert (first.incoming.scalar, told) == (1, [(-4, -4), (3, 3)])
    told = [(p.local.scalar, p.outgoing.scalar) for p in second.passages]
    assert (second.incoming.scalar, told) == (-4, [(1, -4), (1, -4)])


def test_where_gradients_meet_the_parts_add_up_to_the_tape_s_gradient():
    story, a, b = diamond()
    record = story.record
    meetings = {record.values[m.value].name: m for m in record.back if isinstance(m, Meeting)}
    assert set(meetings) == {"h", "a"}
    assert len(meetings["a"].parts) == 3
    total = sum(gradient.scalar for _, gradient in meetings["a"].parts)
    assert total == pytest.approx(a.grad.item())
    assert meetings["a"].total.scalar == a.grad.item()
    assert record.value("b").gradient.scalar == b.grad.item()
    # by hand: h = tanh(ab + 1), loss = (h - a)² + ha
    h = np.tanh(2.0)
    h_bar = 2 * (h - 2) + 2
    assert meetings["h"].total.scalar == pytest.approx(h_bar, abs=1e-6)
    assert a.grad.item() == pytest.approx(h_bar * (1 - h * h) * 0.5 - 2 * (h - 2) + h, abs=1e-5)


@pytest.mark.parametrize("tell", [interpolation, lenet])
def test_every_parameter_s_gradient_is_the_tape_s(tell):
    story, net = tell()
    for name, parameter in net.named_parameters():
        value = story.record.value(f"net.{name}")
        assert value.origin == "parameter"
        assert value.summary.norm == pytest.approx(parameter.norm().item(), rel=1e-5)
        assert value.gradient.norm == pytest.approx(parameter.grad.norm().item(), rel=1e-5)


def test_a_step_knows_its_module():
    record = lenet()[0].record
    first = record.steps[0]
    assert [str(c) for c in record.calls_of(first)] == ["net (Sequential)", "net.conv1 (Conv2d)"]
    assert record.steps[-1].op == "cross_entropy"
    assert record.calls_of(record.steps[-1]) == ()
    assert [v.name for v in record.values if v.origin == "input"] == ["images", "labels"]


def test_what_is_recorded_changes_no_bit_of_the_result():
    def gradients(told):
        chainrule.manual_seed(3)
        net = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.LayerNorm(7), nn.Linear(7, 2))
        x = chainrule.randn(4, 5)
        if told:
            with chainrule.explain():
                (net(x) ** 2).mean().backward()
        else:
            (net(x) ** 2).mean().backward()
        return [p.grad.numpy().tobytes() for p in net.parameters()]

    assert gradients(False) == gradients(True)


def test_a_local_derivative_is_that_of_each_element_also_where_an_operand_is_broadcast():
    x = chainrule.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    w = chainrule.tensor([10.0, 20.0], requires_grad=True)
    with chainrule.explain() as story:
        y = (x * w).sum()
        y.backward()
    mul = story.record.back[-1]
    to_x, to_w = mul.passages
    assert to_x.local.numbers.tolist() == [[10, 20], [10, 20]]
    assert to_w.local.numbers.tolist() == [[1, 2], [3, 4]]
    assert to_w.outgoing.numbers.tolist() == [4, 6]


def test_a_module_called_twice_is_two_calls_with_one_weight():
    layer = nn.Linear(3, 3)
    x = chainrule.randn(2, 3)
    with chainrule.explain() as story:
        layer(layer(x)).sum().backward()
    record = story.record
    assert [call.path for call in record.calls] == ["layer", "layer"]
    assert [v.name for v in record.values if v.origin == "parameter"] == [
        "layer.weight",
        "layer.bias",
    ]
    meetings = [m for m in record.back if isinstance(m, Meeting)]
    assert {record.values[m.value].name for m in meetings} == {"layer.weight", "layer.bias"}
    weight = record.value("layer.weight").gradient
    np.testing.assert_array_equal(weight.numbers, layer.weight.grad.numpy())


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x):
        hidden = self.inner(x).relu()
        return hidden * 2 + x


def test_a_module_of_the_user_s_shows_its_own_lines_and_variables():
    model = Model()
    x = chainrule.randn(1, 2)
    with chainrule.explain() as story:
        out = model(x).sum()
        out.backward()
    record = story.record
    assert [v.name for v in record.values if v.named and v.origin == "result"] == ["hidden", "out"]
    assert [s.op for s in record.steps] == ["linear", "relu", "mul", "add", "sum"]
    assert record.steps[2].source.expression == "hidden * 2"
    assert [call.path for call in record.calls_of(record.steps[0])] == ["model", "model.inner"]
    assert [call.path for call in record.calls_of(record.steps[1])] == ["model"]


class Neuron:
    def __init__(self):
        self.w = [chainrule.tensor(v, requires_grad=True) for v in (0.5, -0.25)]
        self.b = chainrule.tensor(1.0, requires_grad=True)
        self.unit = nn.Tanh()

    def __call__(self, inputs):
        total = self.b
        for w, x in zip(self.w, inputs, strict=True):
            total = total + w * x
        return self.unit(total)


def test_a_class_that_is_no_module_shows_its_attributes_names():
    neuron = Neuron()
    with chainrule.explain() as story:
        out = neuron([2.0, 4.0])
        out.backward()
    record = story.record
    assert [v.name for v in record.values if v.origin == "leaf"] == ["w", "b", "w₂"]
    assert [str(call) for call in record.calls] == ["unit (Tanh)"]
    assert record.value("out").summary.scalar == pytest.approx(np.tanh(1.0))
    assert record.value("b").gradient.scalar == pytest.approx(1 - np.tanh(1.0) ** 2)


def test_values_in_a_dictionary_are_called_by_their_keys():
    parameters = {"slope": chainrule.tensor(2.0, requires_grad=True)}
    with chainrule.explain() as story:
        (parameters["slope"] * 3).backward()
    assert numbers(story.record)["parameters['slope']"] == (2, 3)


class Cube(chainrule.autograd.Function):
    """y = x³.    dy/dx = 3 x²"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return y_bar * 3 * x**2


def test_a_function_of_the_user_s_is_one_step():
    x = chainrule.tensor(2.0, requires_grad=True)
    with chainrule.explain() as story:
        y = Cube.apply(x)
        loss = y * 2
        loss.backward()
    record = story.record
    assert [step.op for step in record.steps] == [record.steps[0].op, "mul"]
    assert record.steps[0].formula.rules == {0: "dy/dx = 3 x²"}
    assert numbers(record)["y"] == (8, 2)
    assert numbers(record)["x"] == (2, 24)


def test_names_can_be_given():
    x = chainrule.tensor(1.0, requires_grad=True)
    with chainrule.explain(names={"ξ": x}) as story:
        (x * 3).backward()
    assert "ξ" in numbers(story.record)
    with pytest.raises(ConfigError, match="names a float"):
        chainrule.explain(names={"x": 1.0})


def test_a_value_changed_in_place_is_another_value():
    x = chainrule.tensor(3.0, requires_grad=True)
    with chainrule.explain() as story:
        y = x * 2
        y += 1
        y.backward()
    record = story.record
    first, *_, last = record.steps
    assert (first.op, last.op) == ("mul", "add")
    before, after = (record.values[step.outputs[0]] for step in (first, last))
    assert (before.summary.scalar, after.summary.scalar) == (6, 7)
    assert before.gradient.scalar == after.gradient.scalar == 1
    assert record.value("x").gradient.scalar == 2


def test_an_optimizer_s_step_is_no_part_of_the_story():
    w = chainrule.tensor(3.0, requires_grad=True)
    optimizer = chainrule.optim.Adam([w], lr=0.1)
    with chainrule.explain() as story:
        for _ in range(2):
            optimizer.zero_grad()
            loss = w * w
            loss.backward()
            optimizer.step()
    record = story.record
    assert [step.op for step in record.steps] == ["mul", "mul"]
    assert [v.summary.scalar for v in record.values if v.origin == "leaf"] == [
        pytest.approx(3.0),
        pytest.approx(2.9),
    ]
    assert [e.back for e in record.back] == [0, 0, 1, 1]


def test_a_compiled_function_is_told_op_by_op_and_stays_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    w = chainrule.tensor([1.0, 2.0], requires_grad=True)

    @chainrule.compile
    def step(x):
        w.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss.detach()

    x = chainrule.tensor([3.0, 4.0])
    for _ in range(3):
        before = step(x).item()
    with chainrule.explain() as story:
        told = step(x).item()
    assert [each.op for each in story.record.steps] == ["mul", "sum"]
    assert story.record.value("w").gradient.numbers.tolist() == [3, 4]
    assert before == told == step(x).item() == 11
    assert w.grad.tolist() == [3, 4]


def test_training_without_a_tape_is_told_as_steps():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    engine = nn.LayerEngine(net, nn.MSELoss())
    with chainrule.explain() as story:
        engine.forward(chainrule.randn(4, 2), chainrule.randn(4, 1))
        engine.backward()
    told = {step.op for step in story.record.steps}
    assert {"tanh", "matmul"} <= told
    assert net[0].weight.grad is not None


def test_a_second_derivative_is_recorded_too():
    x = chainrule.tensor(2.0, requires_grad=True)
    with chainrule.explain() as story:
        y = x**3
        (slope,) = chainrule.autograd.grad(y, x, create_graph=True)
        slope.backward()
    assert x.grad.item() == 12
    assert story.record.value("slope").summary.scalar == 12
    assert story.record.value("slope").gradient.scalar == 1


def test_without_a_tape_there_are_steps_and_no_gradients():
    x = chainrule.ones(3)
    with chainrule.explain() as story, chainrule.no_grad():
        x.exp().sum()
    assert [step.op for step in story.record.steps] == ["exp", "sum"]
    assert story.record.back == ()
    assert not any(step.tracked for step in story.record.steps)


def test_backward_after_the_block_is_not_seen_and_not_hindered():
    x = chainrule.tensor(2.0, requires_grad=True)
    with chainrule.explain() as story:
        y = x * x
    y.backward()
    assert x.grad.item() == 4
    assert story.record.back == ()


def test_an_exception_leaves_the_interpreters_as_they_were():
    before = current_stack()
    with pytest.raises(ZeroDivisionError), chainrule.explain():
        1 / 0  # noqa: B018
    assert current_stack() is before


def test_a_story_is_told_once():
    block = chainrule.explain()
    with block:
        pass
    with pytest.raises(ConfigError, match="told already"), block:
        pass


def test_without_a_story_nothing_stands_between_the_op_and_the_tape():
    """The stack, and the code of tape and backward pass, are what they were: no branch, no hook."""
    before = current_stack()
    article()
    assert current_stack() is before
    x = chainrule.tensor(1.0, requires_grad=True)
    y = x * 2
    assert y.node.watchers is None
    assert x.hooks is None


def byte_codes(function):
    """How many byte codes of the package a call runs: a measure that no clock disturbs."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        frame.f_trace_opcodes = True
        if "chainrule" not in frame.f_code.co_filename:
            return None
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def test_a_step_runs_the_same_byte_codes_before_and_after_a_story():
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = chainrule.randn(3, 4)

    def step():
        net.zero_grad()
        (net(x) ** 2).mean().backward()

    for _ in range(4):
        step()  # derivatives that come again are recorded
    before = byte_codes(step)
    with chainrule.explain():
        during = byte_codes(step)
    assert byte_codes(step) == before
    assert during > 2 * before


def test_hooks_are_taken_out_of_leaves_and_nodes():
    x = chainrule.tensor(1.0, requires_grad=True)
    with chainrule.explain():
        y = x * 2
    assert not x.hooks
    assert not y.node.watchers.after


def test_a_story_keeps_neither_tensors_nor_their_memory():
    def tell():
        x = chainrule.ones(1000, 1000, requires_grad=True)
        with chainrule.explain() as story:
            y = x * 2
            y.sum().backward()
        return story, weakref.ref(y)

    story, gone = tell()
    gc.collect()
    assert gone() is None
    kept = [v.summary.numbers for v in story.record.values if v.summary.numbers is not None]
    assert sum(each.nbytes for each in kept) < 100


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"limit": "9"}, {"names": ["x"]}])
def test_a_limit_that_is_no_count_or_names_of_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match="explain: "):
        chainrule.explain(**wrong)


def test_after_the_limit_ops_are_counted_only():
    x = chainrule.tensor(1.0, requires_grad=True)
    with chainrule.explain(limit=3) as story:
        y = x
        for _ in range(5):
            y = y * 2
        y.backward()
    assert len(story.record.steps) == 3
    assert story.record.left_out == 2
    assert x.grad.item() == 32


def test_small_arrays_are_kept_and_large_ones_described():
    small = np.arange(KEEP, dtype=np.float32)
    kept = summarise(small).numbers
    np.testing.assert_array_equal(kept, small)
    assert kept is not small
    large = np.linspace(-1, 3, 10_000)
    told = summarise(large)
    assert told.numbers is None
    assert (told.least, told.greatest) == (-1, 3)
    assert told.norm == pytest.approx(np.sqrt((large**2).sum()))
    assert sum(told.histogram.counts) == 10_000
    assert told.thumbnail.columns <= 64


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.full((9, 9), np.nan),
        np.array([np.inf, 1.0, -np.inf]),
        np.ones((3, 4), bool),
        np.arange(100).reshape(2, 5, 10),
        np.ones((2, 3, 1, 1)),
        np.ones((2, 2, 2, 2, 2)),
        np.float32(3.4e38) * np.ones((70, 1), np.float32),
        np.full((9, 9), 1e300),
        np.array([1e308, -1e308]),
        np.arange(9, dtype=np.float16) * 7000,
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_any_array_can_be_summarised(array):
    told = summarise(array)
    assert told.size == array.size
    assert np.isfinite(told.norm) or not np.isfinite(array).all() or array.max() > 1e150
    assert told.broken == np.count_nonzero(~np.isfinite(array.astype(float)))
    if told.thumbnail is not None:
        assert len(told.thumbnail.levels) == told.thumbnail.rows * told.thumbnail.columns
