"""`chainrule.check`: what is right is left alone, and of what is wrong the term is named.

The labels of the mutants are what was done to them (`mutants.py`).
"""

from collections import Counter
from io import StringIO

import numpy as np
import pytest
from tests.explain.mutants import drawn

import chainrule
from chainrule import nn
from chainrule.autograd import Function
from chainrule.core.coarse import CoarseOp
from chainrule.core.op import registry
from chainrule.core.samples import samples_of
from chainrule.errors import ConfigError
from chainrule.explain.diagnosis import KINDS

F = nn.functional


def draw(*shape, seed=0):
    return chainrule.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# ---- the mutants -----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def test_of_seeded_mutants_nine_in_ten_are_named_rightly():
    """One name, and the right one: an answer that leaves it open counts as wrong."""
    mutants = drawn(7, seed=4)
    named, confusion = 0, Counter()
    for mutant in mutants:
        report = chainrule.check(mutant.op)
        assert not report.agrees, mutant.source
        kinds = {each.kind for each in report.diagnoses}
        named += kinds == {mutant.label}
        confusion[mutant.label, " / ".join(sorted(kinds)) or "none"] += 1
    wrong = {pair: n for pair, n in confusion.items() if pair[0] != pair[1]}
    assert len(mutants) >= 100
    assert len({mutant.label for mutant in mutants}) >= 14
    assert named >= 0.9 * len(mutants), (named, len(mutants), wrong)


# ---- what is right ---------------------------------------------------------------------------

X, MAPS, SIGNAL = draw(4, 6), draw(2, 4, 5, 6), draw(2, 4, 7)
CLASSES = chainrule.tensor([0, 1, 5, 2])
LAYERS = [
    (nn.Linear(6, 3), X),
    (nn.Bilinear(6, 6, 2), X, draw(4, 6, seed=1)),
    (nn.BatchNorm1d(6), X),
    (nn.BatchNorm2d(4), MAPS),
    (nn.BatchNorm2d(4).eval(), MAPS),
    (nn.LayerNorm(6), X),
    (nn.GroupNorm(2, 4), MAPS),
    (nn.RMSNorm(6), X),
    (nn.InstanceNorm1d(4), SIGNAL),
    (nn.InstanceNorm2d(4), MAPS),
    (nn.Conv1d(4, 3, 3), SIGNAL),
    (nn.Conv2d(4, 3, 3, padding=1, stride=2), MAPS),
    (nn.ConvTranspose1d(4, 3, 3), SIGNAL),
    (nn.ConvTranspose2d(4, 3, 3), MAPS),
    (nn.MaxPool1d(2), SIGNAL),
    (nn.MaxPool2d(2), MAPS),
    (nn.AvgPool1d(2), SIGNAL),
    (nn.AvgPool2d(2), MAPS),
    (nn.AdaptiveAvgPool2d(2), MAPS),
    (nn.Dropout(0.5), X),
    (nn.Softmax(1), X),
    (nn.LogSoftmax(1), X),
    (nn.Embedding(5, 3), chainrule.tensor([[0, 1], [2, 2]])),
    (nn.RNNCell(6, 3), X),
    (nn.LSTMCell(6, 3), X),
    (nn.GRUCell(6, 3), X),
    (nn.PReLU(6), X),
    (nn.Threshold(0.1, 2.0), X),
    (nn.Flatten(), MAPS),
    (nn.CrossEntropyLoss(), X, CLASSES),
    (nn.NLLLoss(), X, CLASSES),
    *[
        (loss, X, draw(4, 6, seed=2))
        for loss in (nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(), nn.KLDivLoss())
    ],
    (nn.BCEWithLogitsLoss(), X, X.sigmoid()),
    *[
        (getattr(nn, name)(), X)
        for name in (
            *("ReLU", "ReLU6", "LeakyReLU", "GELU", "SiLU", "Mish", "ELU", "SELU", "CELU"),
            *("Hardtanh", "Hardswish", "Hardsigmoid", "Softplus", "Softsign", "Softshrink"),
            *("Hardshrink", "Tanhshrink", "LogSigmoid", "Sigmoid", "Tanh", "Identity"),
        )
    ],
    (nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 2)), X),
]


@pytest.mark.parametrize("given", LAYERS, ids=lambda given: type(given[0]).__name__)
def test_no_layer_of_ours_is_blamed(given):
    report = chainrule.check(*given, torch=False)
    assert report.agrees, str(report)
    assert not report.diagnoses


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(registry))
def test_no_op_of_ours_is_blamed(name):
    op = registry[name]
    if op.differentiable is False or not samples_of(op):
        return
    try:
        report = chainrule.check(op)
    except ConfigError:  # it has no sample with a derivative
        assert not issubclass(op, CoarseOp)
        return
    assert report.agrees, str(report)


def test_a_check_leaves_the_layer_as_it_was():
    layer = nn.BatchNorm1d(6)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    state = chainrule.get_rng_state()
    chainrule.check(layer, X, torch=False)
    for name, value in layer.state_dict().items():
        assert value.dtype == before[name].dtype
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())
    np.testing.assert_array_equal(chainrule.get_rng_state().numpy(), state.numpy())


# ---- a user's own ----------------------------------------------------------------------------


def linear_function(backward):
    class Own(Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.save_for_backward(x, w)
            return x @ w.mT + b

    Own.backward = staticmethod(lambda ctx, y_bar: backward(y_bar, *ctx.saved_tensors))
    return Own


RIGHT = {
    "x": lambda g, x, w: g @ w,
    "w": lambda g, x, w: g.mT @ x,
    "b": lambda g, x, w: g.sum(0),
}


@pytest.mark.parametrize(
    ("which", "wrong", "kind", "words"),
    [
        ("x", lambda g, x, w: -(g @ w), "sign", ""),
        ("x", lambda g, x, w: g @ w * 3, "factor", "3 times"),
        ("x", lambda g, x, w: g @ w.mT, "transposed", ""),
        ("w", lambda g, x, w: x.mT @ g, "transposed", ""),
        ("w", lambda g, x, w: g.mT @ x / len(x), "mean for sum", "axis 0"),
        ("b", lambda g, x, w: g.mean(0), "mean for sum", "axis 0"),
        ("b", lambda g, x, w: g[0], "missing sum", "batch"),
        ("b", lambda g, x, w: None, "missing gradient", ""),
    ],
)
def test_what_is_wrong_with_a_function_of_the_users(which, wrong, kind, words):
    parts = {**RIGHT, which: wrong}
    own = linear_function(lambda *given: tuple(part(*given) for part in parts.values()))
    report = chainrule.check(own, draw(4, 3), draw(2, 3, seed=1), draw(2, seed=2))
    assert not report.agrees
    (found,) = report.diagnoses
    assert found.inputs == (which,)
    assert found.kind == kind, str(report)
    assert words in found.findings[0].words


def test_a_right_function_of_the_users_is_right():
    own = linear_function(lambda *given: tuple(part(*given) for part in RIGHT.values()))
    report = chainrule.check(own, draw(4, 3), draw(2, 3, seed=1), draw(2, seed=2))
    assert report
    assert [row.name for row in report.rows] == ["x", "w", "b"]


def test_a_function_written_in_numpy_is_diagnosed_as_a_whole():
    class Scale(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x.detach().numpy()
            return chainrule.from_numpy(np.tanh(ctx.x))

        @staticmethod
        def backward(ctx, y_bar):
            return chainrule.from_numpy(2 * y_bar.numpy() * (1 - np.tanh(ctx.x) ** 2))

    report = chainrule.check(Scale, draw(3, 2))
    assert not report.agrees
    assert report.diagnoses[0].kind == "factor"
    assert "2 times" in report.diagnoses[0].findings[0].words


def test_a_layer_with_a_backward_of_its_own():
    class Centre(nn.Layer):
        """Takes the mean over the batch away, and forgets that it depends on x."""

        def forward(self, x):
            return x - x.mean(0)

        def forward_and_save(self, x, needs_input=True):
            return self.forward(x), None

        def backward(self, saved, y_bar):
            return y_bar, {}

    report = chainrule.check(Centre(), draw(4, 3))
    assert report.diagnoses[0].kind == "missing term"
    assert "x.mean(0)" in str(report)


def test_what_two_hypotheses_explain_is_said_to_be_ambiguous():
    """A sum over 3 fixed features that should be a mean, or a factor of 3: who could tell?"""

    class Means(nn.Layer):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(chainrule.ones(3))

        def forward(self, x):
            return (x * self.weight).mean(-1)

        def forward_and_save(self, x, needs_input=True):
            return self.forward(x), x

        def backward(self, saved, y_bar):
            rows = y_bar.unsqueeze(-1)
            return rows * self.weight / 3, {"weight": (rows * saved).sum(0)}

    report = chainrule.check(Means(), draw(4, 3))
    assert report.diagnoses[0].inputs == ("weight",)
    assert set(report.diagnoses[0].kinds) <= {"sum for mean", "factor"}


# ---- how it looks ----------------------------------------------------------------------------


def test_a_report_prints_as_a_table_everywhere():
    report = chainrule.check(F.linear, X, draw(3, 6), torch=False)
    assert "finite differences" in str(report)
    assert "agrees with all witnesses" in str(report)
    assert report._repr_markdown_().startswith("| gradient of |")
    from rich.console import Console

    console = Console(width=160, record=True, file=StringIO())
    console.print(report)
    assert "autodiff of the body" in console.export_text()


def test_every_kind_is_described():
    assert all(words for words in KINDS.values())


def test_what_is_nothing_to_check_is_refused():
    with pytest.raises(ConfigError, match="no op, layer"):
        chainrule.check(3)


@pytest.mark.parametrize("target", [lambda x, y: x * y, nn.Linear(2, 1)], ids=["function", "layer"])
def test_inputs_that_are_missing_are_asked_for(target):
    with pytest.raises(ConfigError, match="can't be called with 0 inputs"):
        chainrule.check(target)


def test_at_a_kink_no_derivative_is_blamed():
    found = chainrule.check(nn.ReLU(), chainrule.tensor([[0.0, 1.0], [-1.0, 0.0]]))
    assert found.agrees


@pytest.mark.parametrize("at", [-1.0, 0.0])
def test_where_the_function_is_not_finite_no_derivative_is_blamed(at):
    with pytest.raises(ConfigError, match="not finite"):
        chainrule.check(chainrule.log, chainrule.tensor([1.0, at]))
