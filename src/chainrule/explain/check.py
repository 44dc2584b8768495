"""`check`: a derivative before its witnesses, in a table; and what is wrong with it, if it is.

| witness | what it knows |
|---|---|
| finite differences | the function's values, in float64: the judge |
| autodiff of the body | what the function is made of, op by op |
| PyTorch, if installed | the same function there |

They are asked at the inputs given, and at others of other numbers and sizes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.autograd.witnesses import differentiable_inputs
from chainrule.core.op import Array, Op
from chainrule.core.samples import samples_of
from chainrule.errors import ConfigError
from chainrule.explain.diagnosis import Diagnosis, Finding, diagnose
from chainrule.explain.report import Report, Row, Witness
from chainrule.explain.subject import Subject, subject_of
from chainrule.explain.torch_twin import twin_gradients
from chainrule.explain.truth import (
    FAILURES,
    FEW,
    MOST,
    Differences,
    Trial,
    autodiff,
    cotangents,
    differences,
    other_inputs,
    quiet,
    square_inputs,
)

__all__ = ["Report", "Row", "Witness", "check"]

EXACT = 1e-9  # relative to the largest entry: what two exact derivatives may differ by
NUMERIC = 1e-6  # and what finite differences may
TRIALS = 5


def check(target: object, *inputs: Any, torch: bool | None = None) -> Report:
    """Compare a derivative with finite differences, autodiff of the body, and PyTorch.

    What is checked is the claim: the hand-derived backward of an op or a layer, the `backward` of a
    `Function`, or, of a plain function or another module, what the tape makes of it. Everything is
    tried in float64, at the inputs given and at others like them: other numbers, other sizes.

    Of a wrong derivative it says which term is wrong: the simplest single change that makes it
    right at all of these. If several do, it names them all, and says that it can't tell.

    Args:
        target: an op (or its class, then with the op's own samples), a layer or other module, a
            subclass of `autograd.Function`, or a function of tensors.
        inputs: what to call it with. Other things than tensors are handed on as they are.
        torch: ask PyTorch too; None: if it is installed and has it under the same name.

    Raises:
        ConfigError: the target is nothing of that kind.
        MissingDependencyError: `torch=True`, and it is not installed.

    >>> import chainrule
    >>> class Cube(chainrule.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, y_bar):
    ...         (x,) = ctx.saved_tensors
    ...         return y_bar * x**2
    >>> report = chainrule.check(Cube, chainrule.tensor([1.0, 2.0, -1.5]))
    >>> report.agrees
    False
    >>> report.diagnoses[0].kind, report.diagnoses[0].findings[0].words
    ('factor', 'it is 1/3 times what it should be')
    """
    if inspect.isclass(target) and issubclass(target, Op):
        return _check_samples(target, torch)
    subject = subject_of(target, inputs)
    with quiet():
        return _Check(subject, target, inputs, torch).report()


def _check_samples(op: type[Op], torch: bool | None) -> Report:
    """At each of the op's own samples, the largest first: they tell most.

    Of several wrong ones the first that can be explained; what it leaves open the next may decide.
    """
    samples = [
        sample
        for sample in samples_of(op)
        if sample.smooth
        and sample.op.differentiable
        and all(x.size for x in sample.inputs)
        and differentiable_inputs(sample)
    ]
    reports: list[Report] = []
    for sample in sorted(samples, key=lambda each: -sum(x.size for x in each.inputs)):
        with quiet():
            subject = subject_of(sample.op, sample.inputs)
            reports.append(_Check(subject, sample.op, sample.inputs, torch).report())
        wrong = [each for each in reports if not each.agrees]
        if len(wrong) > 1 + (not any(map(_found, wrong))) or any(map(_is_certain, wrong)):
            break
    if not reports:
        raise ConfigError(
            f"check: {op.name} has no derivative to be checked",
            cure="pass an op that has one",
        )
    wrong = [each for each in reports if not each.agrees]
    explained = [each for each in wrong if _explained(each) - {0}]
    if not explained:
        return (wrong or reports)[0]
    # What supposes least at one sample may be refuted at another: a term that is zero there, ...
    best = max(explained, key=lambda each: max(d.order for d in each.diagnoses))
    alike = [each for each in explained if _kinds(each) & _kinds(explained[0])]
    if len(alike) == len(explained):
        best = min(explained, key=lambda each: max(_explained(each)))
    others = [finding for each in explained for d in each.diagnoses for finding in d.findings]
    return replace(best, diagnoses=tuple(_narrowed(each, others) for each in best.diagnoses))


REFUTABLE = {"factor", "missing factor", "mask"}
"""What may be so at one sample by chance: a setting that is 1 there, a mask that is never met."""


def _found(report: Report) -> bool:
    return bool(_explained(report) - {0})


def _is_certain(report: Report) -> bool:
    return _explained(report) == {1} and not _kinds(report) & REFUTABLE


def _kinds(report: Report) -> set[str]:
    return {kind for each in report.diagnoses for kind in each.kinds}


def _narrowed(diagnosis: Diagnosis, others: Sequence[Finding]) -> Diagnosis:
    """Without a factor that is another one elsewhere, if something else is left."""
    words = {each.words for each in others if each.kind == "factor"}
    kept = [each for each in diagnosis.findings if each.kind != "factor" or len(words) == 1]
    return replace(diagnosis, findings=tuple(kept or diagnosis.findings))


def _explained(report: Report) -> set[int]:
    """How many explanations there are for each of what is wrong."""
    return {len(each.findings) for each in report.diagnoses} or {0}


class _Check:
    """One check: the trials, and what comes of them."""

    def __init__(
        self, subject: Subject, target: Any, inputs: Sequence[Any], torch: bool | None
    ) -> None:
        self.subject = subject
        self.target = target
        self.inputs = inputs
        self.torch = torch
        self.error = ""
        self.trusted = False  # the body: once it agrees with finite differences

    def report(self) -> Report:
        """Compare, and diagnose if need be."""
        subject = self.subject
        outputs = subject.run(subject.arrays)
        if not all(np.all(np.isfinite(y)) for y in outputs):
            raise ConfigError(
                f"check: {subject.name} is not finite at these inputs, and has no slope there",
                cure="pass inputs at which the function is defined",
            )
        y_bars = cotangents(outputs)
        most = FEW if subject.independent else MOST
        slopes = differences(subject, subject.arrays, y_bars, most)
        truth = self._body(subject.arrays, y_bars)
        self.trusted = truth is not None and all(
            _numerically(truth[i], slopes[i]).agrees for i in subject.wanted
        )
        claimed = self._claimed(subject.arrays, y_bars)
        twin = twin_gradients(subject, self.target, self.inputs, y_bars, self.torch)
        others = list(self._others())
        rows: tuple[Row, ...] = ()
        if claimed is not None:
            exact = {"autodiff of the body": truth if self.trusted else None, "PyTorch": twin}
            rows = tuple(
                self._row(i, claimed.claimed(i), slopes[i], exact, others) for i in subject.wanted
            )
        diagnoses: list[Diagnosis] = []
        if self.error or not all(row.agrees for row in rows):
            diagnoses = self._diagnoses(y_bars, others)
        return Report(subject.name, rows, tuple(diagnoses), self.error)

    def _body(self, arrays: Sequence[Array], y_bars: Sequence[Array]) -> dict[int, Array] | None:
        if not self.subject.independent:
            return None
        try:
            return autodiff(self.subject, arrays, y_bars)[0]
        except FAILURES:
            return None

    def _claimed(self, arrays: Sequence[Array], y_bars: Sequence[Array]) -> Trial | None:
        try:
            program = self.subject.given(arrays, y_bars)
        except Exception as error:  # whatever a user's derivative may raise
            self.error = f"{type(error).__name__}: {error}"
            return None
        return Trial(tuple(arrays), tuple(y_bars), {}, program, EXACT)

    def _row(
        self,
        i: int,
        claim: Array | None,
        slopes: Differences,
        exact: Mapping[str, Mapping[int, Array] | None],
        others: Sequence[Trial],
    ) -> Row:
        shape = self.subject.arrays[i].shape
        found = np.zeros(shape) if claim is None else claim
        witnesses = [_numerically(found, slopes, shape)]
        for name, truth in exact.items():
            if truth is not None:
                allowed = NUMERIC if name == "PyTorch" else EXACT  # it has constants in float32
                witnesses.append(_exactly(name, found, truth[i], allowed))
        wrong = sum(not trial.agrees(i, trial.claimed(i)) for trial in others)
        return Row(self.subject.names[i], shape, tuple(witnesses), (len(others), wrong))

    # -- trials --------------------------------------------------------------------------------

    def _trial(
        self, arrays: Sequence[Array], why: str, subject: Subject | None = None
    ) -> Trial | None:
        """A trial, if the function takes these inputs and is finite there."""
        subject = subject or self.subject
        try:
            y_bars = cotangents(subject.run(arrays), seed=len(why))
            if self.trusted:
                truth, body, inputs, outputs = autodiff(subject, arrays, y_bars)
                tolerance = EXACT
            else:
                truth, tolerance = self._slopes(arrays, y_bars), NUMERIC
                body, inputs, outputs = None, [], []
        except FAILURES:
            return None
        if truth is None or not all(np.all(np.isfinite(each)) for each in truth.values()):
            return None
        try:
            given = subject.given(arrays, y_bars)
        except Exception as error:  # likewise
            self.error = self.error or f"{type(error).__name__}: {error}"
            return None
        return Trial(
            tuple(arrays), y_bars, truth, given, tolerance, body, list(inputs), list(outputs), why
        )

    def _slopes(self, arrays: Sequence[Array], y_bars: Sequence[Array]) -> dict[int, Array] | None:
        """The truth by finite differences alone; None beside a kink, or if there is too much."""
        if any(arrays[i].size > MOST for i in self.subject.wanted):
            return None
        truth: dict[int, Array] = {}
        for i, found in differences(self.subject, arrays, y_bars).items():
            if np.any(found.errors > 1e-7 * (1 + np.abs(found.slopes))):
                return None
            truth[i] = found.slopes.reshape(arrays[i].shape)
        return truth

    def _others(self) -> list[Trial]:
        """Trials at other inputs; if the body is not to be trusted, only a few: they are dear."""
        found: list[Trial] = []
        for why, arrays, subject in other_inputs(self.subject):
            trial = self._trial(arrays, why, subject)
            if trial is not None:
                found.append(trial)
            if len(found) == (TRIALS if self.trusted else 3):
                break
        return found

    def _diagnoses(self, y_bars: Sequence[Array], others: Sequence[Trial]) -> list[Diagnosis]:
        trials = list(others)
        own = self._trial(self.subject.arrays, "")
        if own is not None:
            trials.append(own)
        if not trials or self.error:
            square = [self._trial(square_inputs(self.subject, n), f"all {n}") for n in (3, 4)]
            trials = [each for each in square if each is not None] + trials
        trials = [each for each in trials if each.telling()] or trials
        telling = [each for each in trials if not all(map(each.agreed, each.truth))]
        if not telling:
            return []
        first = telling[0]
        rest = [each for each in trials if each is not first]
        return diagnose([first, *rest], self.subject.names, _numbers(self.target))


def _numbers(target: Any) -> list[float]:
    """The numbers that an op or a layer has, and 1."""
    own = [each for each in getattr(target, "__dict__", {}).values() if type(each) is float]
    return [1.0, *own]


def _numerically(
    claim: Array, slopes: Differences, shape: tuple[int, ...] | None = None
) -> Witness:
    name = "finite differences"
    if shape is not None and claim.shape != shape:
        return Witness(name, np.inf, np.inf, False)
    gap = np.abs(claim.reshape(-1)[slopes.elements] - slopes.slopes)
    scale = float(np.max(np.abs(slopes.slopes), initial=0.0))
    allowed = NUMERIC * (scale + 1e-3) + 10 * slopes.errors
    worst = float(np.max(gap, initial=0.0))
    return Witness(name, worst, worst / (scale or 1.0), bool(np.all(gap <= allowed)))


def _exactly(name: str, claim: Array, truth: Array, allowed: float) -> Witness:
    if claim.shape != truth.shape:
        return Witness(name, np.inf, np.inf, False)
    worst = float(np.max(np.abs(claim - truth), initial=0.0))
    scale = float(np.max(np.abs(truth), initial=0.0))
    return Witness(name, worst, worst / (scale or 1.0), bool(worst <= allowed * (scale + 1e-3)))
