"""The walk in words: each frame has this step's numbers, and the terminal prints them."""

import io

import pytest
from rich.console import Console
from tests.explain.stories import article, diamond, interpolation, lenet

import chainrule
from chainrule.core.op import registry
from chainrule.explain.formulas import formula_of, substitute
from chainrule.explain.terminal import print_walk
from chainrule.explain.walk import frames_of


def lines(frame):
    return [line for part in frame.parts for line in part.lines]


def test_the_article_step_by_step():
    start, add, mul, back_mul, back_add, end = frames_of(article().record)
    assert start.kind == "start"
    assert lines(add) == ["x + y = -2 + 5 = 3"]
    assert lines(mul) == ["f = (x + y) · z = 3 · (-4) = -12"]
    assert mul.title == "f = (x + y) * z"
    assert lines(back_mul) == [
        "The way back begins here: ∂f/∂f = 1.",
        "∂f/∂(x + y) = z = -4",
        "∂f/∂(x + y) = ∂f/∂f · ∂f/∂(x + y) = 1 × (-4) = -4",
        "∂f/∂z = x + y = 3",
        "∂f/∂z = ∂f/∂f · ∂f/∂z = 1 × 3 = 3",
    ]
    assert [part.rule for part in back_mul.parts] == ["", "∂y/∂a = b", "∂y/∂b = a"]
    assert lines(back_add) == [
        "∂(x + y)/∂x = 1",
        "∂f/∂x = ∂f/∂(x + y) · ∂(x + y)/∂x = -4 × 1 = -4",
        "∂(x + y)/∂y = 1",
        "∂f/∂y = ∂f/∂(x + y) · ∂(x + y)/∂y = -4 × 1 = -4",
    ]
    told = {part.title: part.exhibits[1].summary.scalar for part in end.parts}
    assert told == {"x": -4, "y": -4, "z": 3}


def test_sums_are_told_where_gradients_meet():
    frames = frames_of(diamond()[0].record)
    meeting = next(frame for frame in frames if frame.title == "Gradients meet at a")
    assert lines(meeting)[1] == "∂loss/∂a = 0.964 + 2.072 + (-0.002541) = 3.033"


def test_a_rule_has_names_then_numbers_put_in():
    frames = frames_of(diamond()[0].record)
    back = next(f for f in frames if f.kind == "back" and "tanh" in f.title)
    assert lines(back)[0] == "∂h/∂(a * b + 1) = 1 - h² = 1 - 0.964² = 0.07065"


def printed(record):
    screen = io.StringIO()
    print_walk(record, Console(file=screen, width=100, highlight=False))
    return screen.getvalue()


@pytest.mark.parametrize("tell", [interpolation, lenet])
def test_a_network_is_walked_unchanged(tell):
    record = tell()[0].record
    frames = frames_of(record)
    kinds = [frame.kind for frame in frames]
    assert kinds.count("forward") == kinds.count("back") == len(record.steps)
    text = printed(record)
    assert f"{len(frames)}/{len(frames)}" in text
    assert "net.fc1" in text or "net.0" in text


def test_a_linear_layer_s_rules_name_its_operands():
    frames = frames_of(interpolation()[0].record)
    back = next(f for f in frames if f.kind == "back" and f.title.endswith("net.2: linear"))
    rules = [part.rule for part in back.parts[1:]]
    assert rules == ["x̄ = ȳ W", "W̄ = ȳᵀ x", "b̄ = Σ ȳ over the rows"]
    shown = [each.label for each in back.parts[2].exhibits]
    assert shown == ["∂loss/∂net.2", "net.1", "∂loss/∂net.2.weight"]


def test_the_terminal_shows_the_numbers():
    text = printed(article().record)
    assert "f = (x + y) · z = 3 · (-4) = -12" in text
    assert "∂f/∂x = ∂f/∂(x + y) · ∂(x + y)/∂x = -4 × 1 = -4" in text


def test_story_walk_prints(capsys):
    article().walk()
    assert "What is given" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(registry))
def test_every_op_s_documentation_can_be_taken_apart(name):
    kind = registry[name]
    for sample in kind.samples(kind):
        formula = formula_of(sample.op, len(sample.inputs))
        assert formula.meaning.startswith("y")
        assert len(formula.symbols) == len(formula.operands) == len(sample.inputs)
        assert len(set(formula.symbols)) == len(sample.inputs)
        break


def test_an_elementwise_op_has_a_rule_for_each_derivative_its_documentation_states():
    from chainrule.core.families import Binary, Unary

    for name, kind in registry.items():
        if issubclass(kind, (Unary, Binary)) and "dy/dx =" in (kind.__doc__ or ""):
            sample = next(iter(kind.samples(kind)))
            rules = formula_of(sample.op, len(sample.inputs)).rules
            assert rules, name


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a b", {"a": 3.0, "b": -4.0}, "3 · (-4)"),
        ("a + b", {"a": -2.0, "b": 5.0}, "-2 + 5"),
        ("2x", {"x": 3.0}, "2 · 3"),
        ("n x^(n-1)", {"n": 2, "x": -5.0}, "2 · (-5)^(2-1)"),
        ("x²", {"x": -3.0}, "(-3)²"),
        ("1 - y²", {"y": 0.5}, "1 - 0.5²"),
        ("-y/b", {"y": 2.0, "b": -4.0}, "-2/(-4)"),
        ("1/(2y)", {"y": 2.0}, "1/(2 · 2)"),
        ("e^x", {"x": 2.0}, "e^2"),
        ("max(x, 0)", {"x": -1.0}, "max((-1), 0)"),
        ("a b", {"a": "x + y", "b": "z"}, "(x + y) · z"),
        ("x Wᵀ + b", {"x": "h", "W": "w1", "b": "b1"}, "h · w1ᵀ + b1"),
        ("b", {"b": "x + y"}, "x + y"),
    ],
)
def test_numbers_and_names_are_put_into_formulas(text, values, expected):
    assert substitute(text, values) == expected


def test_a_story_without_a_way_back_is_told_forwards():
    with chainrule.explain() as story:
        chainrule.ones(2).exp()
    kinds = [frame.kind for frame in frames_of(story.record)]
    assert kinds == ["start"] + ["forward"] * len(story.record.steps)
