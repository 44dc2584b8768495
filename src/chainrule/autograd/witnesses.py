"""Four witnesses that judge the derivative of any op, at the samples that the op itself names.

    finite differences   <ȳ, f> moves along a direction ẋ as <x̄, ẋ> says; in float64
    adjointness          <ȳ, J ẋ> = <Jᵀ ȳ, ẋ>: forward and reverse mode are transposes
    second order         the gradient of <w, x̄> against its own finite differences
    body                 a hand-derived backward against autodiff of the op's body

None of them knows how a derivative was written. `judge(op)` calls all that apply.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from chainrule.autograd import forward
from chainrule.autograd.reverse import grad
from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Elementwise, LinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Op, Sample
from chainrule.core.samples import samples_of
from chainrule.ops.from_data import from_numpy
from chainrule.tensor import Tensor

__all__ = ["WITNESSES", "Verdict", "differentiable_inputs", "judge", "smooth_samples"]

Array = NDArray[Any]
STEP = 2e-4  # of the five-point differences: their error and the rounding are both near 1e-11


@dataclass(frozen=True)
class Verdict:
    """What one witness says of one op.

    Attributes:
        witness: its name.
        error: the largest relative disagreement.
        excess: the largest disagreement in units of what is tolerated: above 1, it is wrong.
        where: the sample of that.
        trials: how many samples were tried.

    >>> Verdict("adjointness", error=1e-13, excess=0.1, where="f64[3]", trials=5).agrees
    True
    """

    witness: str
    error: float
    excess: float
    where: str
    trials: int

    @property
    def agrees(self) -> bool:
        """Whether the derivative stands."""
        return self.excess <= 1


Finding = tuple[float, float]
"""Relative disagreement, and disagreement in units of what is tolerated."""


def judge(op: type[Op]) -> list[Verdict]:
    """All witnesses that have something to say of an op; none, if it has no derivative.

    >>> from chainrule.ops.elementwise import Exp
    >>> [(verdict.witness, verdict.agrees) for verdict in judge(Exp)]
    [('finite differences', True), ('adjointness', True), ('second order', True)]
    """
    verdicts: list[Verdict] = []
    for name, witness in WITNESSES.items():
        if witness is body and not issubclass(op, CoarseOp):
            continue
        tried = [(witness(sample), sample) for sample in smooth_samples(op)]
        if tried:
            (_, excess), worst = max(tried, key=lambda each: _badness(each[0]))
            error = max((found[0] for found, _ in tried), key=_nan_first)
            verdicts.append(Verdict(name, error, excess, _describe(worst), len(tried)))
    return verdicts


def finite_differences(sample: Sample) -> Finding:
    """The slope of <ȳ, f> along random directions, for each set of inputs that wants a gradient."""
    y = _run(sample.op, sample.inputs)[0][0]
    y_bar = _draw(y.shape, 1)

    def objective(arrays: Sequence[Array]) -> float:
        return float(np.sum(y_bar * _run(sample.op, arrays)[0][0].numpy()))

    scale = float(np.sum(np.abs(y_bar * y.numpy())))
    findings: list[Finding] = []
    for tracked in _subsets(differentiable_inputs(sample)):
        _, bars = _gradients(sample.op, sample.inputs, tracked, from_numpy(y_bar))
        for seed in (2, 3):
            directions = {i: _draw(sample.inputs[i].shape, seed + 10 * i) for i in tracked}
            actual = _inner(bars, directions, tracked)
            findings.append(_compare(actual, _slope(objective, sample.inputs, directions), scale))
    return _worst(findings)


def adjointness(sample: Sample) -> Finding:
    """<ȳ, J ẋ> = <Jᵀ ȳ, ẋ>, exactly but for rounding."""
    findings: list[Finding] = []
    for tracked in _subsets(differentiable_inputs(sample)):
        tangents = {i: _draw(sample.inputs[i].shape, 5 + i) for i in tracked}
        y, y_dot = _tangent(sample, tangents)
        y_bar = _draw(y.shape, 6)
        _, bars = _gradients(sample.op, sample.inputs, tracked, from_numpy(y_bar))
        ahead = np.zeros(()) if y_dot is None else y_bar * y_dot.numpy()
        back = [bar.numpy() * tangents[i] for i, bar in zip(tracked, bars)]
        scale = float(np.sum(np.abs(ahead)) + sum(np.sum(np.abs(each)) for each in back))
        difference = abs(float(np.sum(ahead) - sum(np.sum(each) for each in back)))
        findings.append((difference / (1 + scale), difference / (1e-12 * (1 + scale))))
    return _worst(findings)


def second_order(sample: Sample) -> Finding:
    """The gradient of <w, gradient> against its slope."""
    tracked = differentiable_inputs(sample)
    y = _run(sample.op, sample.inputs)[0][0]
    y_bar = _draw(y.shape, 7)
    weights = {i: _draw(sample.inputs[i].shape, 8 + i) for i in tracked}

    def inner(arrays: Sequence[Array], create_graph: bool = False) -> tuple[list[Tensor], Tensor]:
        bar = from_numpy(y_bar)
        wanted, bars = _gradients(sample.op, arrays, tracked, bar, create_graph)
        terms = [(from_numpy(weights[i]) * x).sum() for i, x in zip(tracked, bars)]
        return wanted, sum(terms[1:], terms[0])

    wanted, value = inner(sample.inputs, create_graph=True)
    if value.requires_grad:
        bars = _filled(value, wanted, None)
    else:
        bars = [from_numpy(np.zeros(x.shape)) for x in wanted]
    directions = {i: _draw(sample.inputs[i].shape, 30 + i) for i in tracked}
    actual = _inner(bars, directions, tracked)
    expected = _slope(lambda arrays: inner(arrays)[1].item(), sample.inputs, directions)
    return _compare(actual, expected, 10 * abs(value.item()))


def body(sample: Sample) -> Finding:
    """A coarse op's backward against autodiff of its body, for each set of inputs."""
    findings: list[Finding] = []
    op: Any = sample.op
    for tracked in _subsets(differentiable_inputs(sample)):
        inputs = _tensors(sample.inputs, tracked)
        wanted = [inputs[index] for index in tracked]
        y, _ = op.forward(*inputs)
        y_bar = from_numpy(_draw(y.shape, 9))
        if y.requires_grad:
            expected = _filled(y, wanted, y_bar)
        else:
            expected = [from_numpy(np.zeros(x.shape)) for x in wanted]
        _, actual = _gradients(op, sample.inputs, tracked, y_bar)
        for mine, true in zip(actual, expected):
            a, b = mine.numpy(), true.numpy()
            scale = 1 + float(np.max(np.abs(b), initial=0))
            difference = float(np.max(np.abs(a - b), initial=0))
            allowed = 1e-9 * np.abs(b) + 1e-11 * scale
            excess = float(np.max(np.abs(a - b) / allowed, initial=0))
            findings.append((difference / scale, excess))
    return _worst(findings)


WITNESSES: Mapping[str, Callable[[Sample], Finding]] = {
    "finite differences": finite_differences,
    "adjointness": adjointness,
    "second order": second_order,
    "body": body,
}


# -- samples -----------------------------------------------------------------------------------


def smooth_samples(op: type[Op]) -> Iterator[Sample]:
    """The samples at which an op has a derivative to be judged."""
    if op.differentiable is False:
        return
    for each in samples_of(op):
        sample = Sample(each.op, tuple(map(np.asarray, each.inputs)), each.smooth)
        if sample.smooth and sample.op.differentiable and differentiable_inputs(sample):
            yield sample


def differentiable_inputs(sample: Sample) -> tuple[int, ...]:
    """Positions of the inputs that the op claims a derivative for."""
    op: Any = sample.op
    positions = [i for i, x in enumerate(sample.inputs) if x.dtype.kind == "f"]
    if isinstance(op, LinearOp) and op.linear_in is not None:
        return tuple([i for i in positions if i in op.linear_in])
    if isinstance(op, Elementwise):
        partials: Any = op._partials  # pyright: ignore[reportPrivateUsage]  # which there are
        return tuple([i for i in positions if partials[i] is not None])
    return tuple([i for i in positions if i not in getattr(op, "constant_in", ())])


def _subsets(positions: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every non-empty set of inputs that may want a gradient; of many, only some."""
    if len(positions) > 3:
        return [positions, *((position,) for position in positions)]
    sizes = range(len(positions), 0, -1)
    return [each for size in sizes for each in itertools.combinations(positions, size)]


def _describe(sample: Sample) -> str:
    shapes = ", ".join(f"{x.dtype}{list(x.shape)}" for x in sample.inputs)
    return f"{sample.op}({shapes})"


# -- running an op -----------------------------------------------------------------------------


def _tensors(arrays: Sequence[Array], tracked: tuple[int, ...]) -> list[Tensor]:
    inputs = [from_numpy(array) for array in arrays]
    for index in tracked:
        inputs[index].requires_grad_()
    return inputs


def _run(
    op: Any, arrays: Sequence[Array], tracked: tuple[int, ...] = ()
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """The outputs, and the inputs, of which those in `tracked` require gradients."""
    inputs = _tensors(arrays, tracked)
    return _outputs(bind(op, *inputs)), inputs


def _outputs(result: Any) -> tuple[Tensor, ...]:
    return cast("tuple[Tensor, ...]", result) if isinstance(result, tuple) else (result,)


def _gradients(
    op: Any,
    arrays: Sequence[Array],
    tracked: tuple[int, ...],
    y_bar: Tensor,
    create_graph: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """The tracked inputs and their gradients; zeros where the op says that there is none."""
    (y, *_), inputs = _run(op, arrays, tracked)
    wanted = [inputs[index] for index in tracked]
    return wanted, _filled(y, wanted, y_bar, create_graph)


def _filled(
    y: Tensor, wanted: list[Tensor], y_bar: Tensor | None, create_graph: bool = False
) -> list[Tensor]:
    bars: Any = grad(
        y, wanted, y_bar, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(bars)


def _tangent(sample: Sample, tangents: Mapping[int, Array]) -> tuple[Tensor, Tensor | None]:
    """The first output and its tangent, from those of the inputs."""
    with forward.dual_level():
        duals: list[Any] = [
            forward.make_dual(from_numpy(x), from_numpy(tangents[i]))
            if i in tangents
            else from_numpy(x)
            for i, x in enumerate(sample.inputs)
        ]
        primal, tangent = forward.unpack_dual(_outputs(bind(sample.op, *duals))[0])
        return primal, tangent


# -- comparing ---------------------------------------------------------------------------------


def _draw(shape: tuple[int, ...], seed: int) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def _slope(
    function: Callable[[Sequence[Array]], float],
    arrays: Sequence[Array],
    directions: Mapping[int, Array],
) -> float:
    """d function(arrays + t directions)/dt at t = 0: the five-point central difference."""

    def difference(distance: float) -> float:
        ends = [
            function(
                [
                    np.asarray(x + way * directions[i]) if i in directions else x
                    for i, x in enumerate(arrays)
                ]
            )
            for way in (distance, -distance)
        ]
        return ends[0] - ends[1]

    return (8 * difference(STEP) - difference(2 * STEP)) / (12 * STEP)


def _inner(
    bars: Sequence[Tensor], directions: Mapping[int, Array], tracked: tuple[int, ...]
) -> float:
    return sum(float(np.sum(bar.numpy() * directions[i])) for i, bar in zip(tracked, bars))


def _compare(actual: float, expected: float, scale: float) -> Finding:
    size = max(abs(actual), abs(expected))
    difference = abs(actual - expected)
    return difference / (1 + size), difference / (1e-7 * size + 1e-9 * (1 + scale))


def _worst(findings: Sequence[Finding]) -> Finding:
    errors, excesses = zip(*findings)
    return max(errors, key=_nan_first), max(excesses, key=_nan_first)


def _badness(finding: Finding) -> float:
    return _nan_first(finding[1])


def _nan_first(value: float) -> float:
    """A NaN is the worst there is."""
    return float("inf") if np.isnan(value) else value
