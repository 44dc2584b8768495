"""Anomaly detection: find the op whose derivative made a NaN, and the line that ran it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.autograd.grad_mode import StackMode
from chainrule.core.interpret import Interpreter, Run, Stack, read
from chainrule.core.location import user_location
from chainrule.core.op import Op
from chainrule.errors import NumericalError

__all__ = ["Anomaly", "check_for_nan", "detect_anomaly"]


class Anomaly(Interpreter):
    """Notes the line of every op, and asks the backward pass to look for NaN.

    Attributes:
        check_nan: whether to look; the lines alone are noted otherwise.

    >>> import chainrule
    >>> from chainrule.core.interpret import current_stack
    >>> with chainrule.autograd.detect_anomaly():
    ...     current_stack().has(Anomaly)
    True
    """

    def __init__(self, check_nan: bool) -> None:
        self.check_nan = check_nan

    def over(self, below: Stack) -> Run:
        """Run below, then note the line."""
        run_below = below.run

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            outputs = run_below(op, inputs)
            y = outputs if op.outputs == 1 else outputs[0]
            if y.node is not None and y.node.op is op:
                y.node.location = user_location()
            return outputs

        return run


class detect_anomaly(StackMode):
    """Raise a `NumericalError` where a derivative gives NaN: it names the op and the user's line.

    Run the forward pass inside too, so that the lines are known. It costs time: for debugging only.

    Args:
        check_nan: look for NaN; if False, only the lines of all ops are noted, for other errors.

    >>> import chainrule
    >>> x = chainrule.tensor(0.0, requires_grad=True)
    >>> with chainrule.autograd.detect_anomaly():
    ...     y = x.sqrt() * 0
    ...     y.backward()
    Traceback (most recent call last):
    chainrule.errors.NumericalError: sqrt: its derivative gave NaN for input 0
    ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__()
        self.check_nan = check_nan

    def stack(self, current: Stack) -> Stack:
        """With the detector on top."""
        return current.without(Anomaly).push(Anomaly(self.check_nan))


def check_for_nan(node: Any, x_bars: Any) -> None:
    """Raise if a node's derivative gave a NaN."""
    for index, x_bar in enumerate(x_bars):
        if x_bar is not None and bool(np.isnan(read(x_bar)).any()):
            raise NumericalError(
                f"{node.op.name}: its derivative gave NaN for input {index}",
                cure="look at the values it was given there: a 0/0, inf - inf, 0 * inf?",
                location=str(node.location or ""),
                op=node.op.name,
                input=index,
            )
