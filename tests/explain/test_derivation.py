"""`chainrule.derivative`: the formula, the rule and the note of whatever has a derivative."""

from io import StringIO

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.autograd import Function
from chainrule.core.coarse import CoarseOp
from chainrule.core.op import registry
from chainrule.errors import ConfigError
from chainrule.explain.derivation import derivative, notes

F = nn.functional


@pytest.mark.parametrize("name", sorted(registry))
def test_every_op_has_a_derivation(name):
    found = derivative(registry[name])
    assert found.name == name
    assert found.markdown.startswith(f"## {name}")
    if registry[name].differentiable is not False:
        assert found.formula
        assert found.source, "the text of its derivative"
    if issubclass(registry[name], CoarseOp):
        assert "## Cotangents" in found.note or "cotangent" in found.note.lower()


@pytest.mark.parametrize(
    ("target", "ops"),
    [
        (nn.Linear, {"linear"}),
        (nn.Linear(2, 3), {"linear"}),
        (F.linear, {"linear"}),
        ("linear", {"linear"}),
        ("Linear", {"linear"}),
        (nn.ReLU, {"relu"}),
        (nn.Conv2d, {"conv2d"}),
        (nn.MaxPool2d(2), {"max_pool2d"}),
        (nn.BatchNorm2d, {"batch_norm", "fixed_norm"}),
        (nn.CrossEntropyLoss, {"cross_entropy", "cross_entropy_probabilities"}),
        (chainrule.matmul, {"matmul"}),
    ],
)
def test_a_layer_or_function_is_known_by_its_ops(target, ops):
    found = chainrule.derivative(target)
    assert ({part.name for part in found.parts} or {found.name}) >= ops


def test_a_function_of_the_users_shows_its_backward():
    class Cube(Function):
        """y = x³.    dy/dx = 3 x²"""

        @staticmethod
        def forward(ctx, x):
            return x**3

        @staticmethod
        def backward(ctx, y_bar):
            return y_bar * 3

    found = chainrule.derivative(Cube)
    assert found.formula == "y = x³.    dy/dx = 3 x²"
    assert "y_bar * 3" in found.source


def test_the_note_is_shown_in_a_terminal_and_in_a_notebook():
    found = derivative("batch_norm")
    assert found.note == notes()["batch_norm"]
    assert "Ioffe" in found._repr_markdown_()
    from rich.console import Console

    console = Console(width=100, record=True, file=StringIO())
    console.print(found)
    assert "Ioffe" in console.export_text()


def test_a_misspelled_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="'softmax'"):
        derivative("sofmax")


@pytest.mark.parametrize("target", [3, None, int, len, np.sin, []], ids=repr)
def test_what_has_no_derivation_is_refused(target):
    with pytest.raises(ConfigError, match="no op, layer or function"):
        derivative(target)
