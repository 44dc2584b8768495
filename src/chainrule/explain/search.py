"""The search for the simplest change that makes a wrong derivative right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.core.op import Array
from chainrule.explain.edits import (
    COMPARISONS,
    OFFSET,
    SCALE,
    Edit,
    Results,
    inner_edits,
    whole_edits,
)
from chainrule.explain.factors import plain, told
from chainrule.explain.findings import Finding, merged
from chainrule.explain.paths import Part, parts
from chainrule.explain.pooled_edits import (
    exchanging_edits,
    function_edits,
    pooled_edits,
    shared_edits,
)
from chainrule.explain.program import Line
from chainrule.explain.truth import FAILURES, Trial, close

__all__ = ["DEEPEST", "SIMPLE", "Search"]

SIMPLE, DEEPEST = 3, 5
"""From which order on a hypothesis takes other values, and how many orders there are."""

BUDGET = 3_500
"""How many changes are tried in one search."""


@dataclass
class Search:
    """The search for what makes some results right.

    Attributes:
        trials: where, all with the same ops.
        wrong: the results.
        names: what the inputs are called.
        constants: the op's own numbers.
    """

    trials: list[Trial]
    wrong: list[int]
    names: Sequence[str]
    constants: Sequence[float]
    tried: int = 0

    def simplest(self, below: int = 5) -> tuple[tuple[Finding, ...], int]:
        """The explanations of the lowest order that has any, and which order that is."""
        levels = (self._whole, self._within, self._changed, self._together, self._further)
        for order, level in enumerate(levels[:below]):
            found = list(level())
            if found:
                return merged(found), order
        if len(self.wrong) == 1 and self._is_zero():
            return (self._finding("missing gradient", "it is zero", None),), 0
        return (), below

    def _is_zero(self) -> bool:
        """Whether nothing at all is claimed."""
        return all(
            (claim := trial.claimed(i)) is None
            or close(claim, np.zeros(claim.shape), 1e-9 * float(np.max(np.abs(trial.truth[i]))))
            for trial in self.trials
            for i in self.wrong
        )

    # -- the three orders ----------------------------------------------------------------------

    def _whole(self) -> Iterator[Finding]:
        if len(self.wrong) > 1:
            return
        position, first = self.wrong[0], self.trials[0]
        claims = [each.claimed(position) for each in self.trials]
        if all(claim is None for claim in claims):
            yield self._finding("missing gradient", "none was returned", None)
        if self._is_zero() or first.given.results[position] is None:
            return
        yield from self._edited(whole_edits(first.given, position))
        yield from self._passed_on(position, claims)
        yield from self._masked(position, claims)
        yield from self._exchanged(position, claims)

    def _within(self) -> Iterator[Finding]:
        yield from self._edited(inner_edits(self.trials[0].given))

    def _changed(self) -> Iterator[Finding]:
        yield from self._edited(function_edits(self.trials[0].given, self.constants))

    def _together(self) -> Iterator[Finding]:
        yield from self._edited(pooled_edits(self.trials[0].given))
        if not self._is_zero():
            for part in parts(self.trials[0]):
                yield from self._forgotten(part)

    def _further(self) -> Iterator[Finding]:
        given = self.trials[0].given
        for edits in (shared_edits(given), pooled_edits(given, derived=True)):
            found = list(self._edited(edits))
            if found:
                yield from found
                return
        yield from self._edited(exchanging_edits(given))

    # -- single hypotheses ---------------------------------------------------------------------

    def _edited(self, edits: Iterable[Edit]) -> Iterator[Finding]:
        for edit in edits:
            self.tried += 1
            if self.tried > BUDGET:
                return
            if edit.kind == SCALE:
                factors = self._factors(edit)
                if factors is not None:
                    value = self._shape_of(edit)
                    for kind, words in told(factors, self.trials, value):
                        if self._compared(edit):
                            kind, words = "mask", f"a side of the comparison: {words}"
                        yield self._finding(kind, words, edit.place.line(self.trials[0].given))
            elif edit.kind == OFFSET:
                term = self._offset(edit)
                if term is not None:
                    line = edit.place.line(self.trials[0].given)
                    yield self._finding("missing term", f"the term {term:+g} is missing", line)
            elif all(self._explains(trial, _run(edit)) for trial in self.trials):
                line = edit.place.line(self.trials[0].given)
                yield self._finding(edit.kind, edit.words, line)

    def _compared(self, edit: Edit) -> bool:
        """Whether the value is a side of a comparison."""
        given, place = self.trials[0].given, edit.place
        return place.step >= 0 <= place.input and given.steps[place.step].op.name in COMPARISONS

    def _shape_of(self, edit: Edit) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []
        for trial in self.trials:
            key = edit.place.key(trial.given)
            shapes.append(() if key is None else trial.given.values[key].shape)
        return shapes

    def _explains(self, trial: Trial, run: Callable[[Trial], Results]) -> bool:
        """Whether the results, so changed, are the truth, and what was right is still right."""
        try:
            results = run(trial)
        except FAILURES:
            return False
        return all(trial.agrees(i, results.get(i)) for i in self.wrong) and all(
            trial.agrees(i, results.get(i))
            for i in trial.truth
            if i not in self.wrong and trial.agreed(i)
        )

    def _factors(self, edit: Edit) -> list[float] | None:
        """What a value must be multiplied by to make the results right, in each trial."""
        found: list[float] = []
        for factor in (-1.0, 2.0, 0.5):  # where the results are not linear in the value
            scaled = _scaled(edit, factor)
            if all(self._explains(trial, scaled) for trial in self.trials):
                return [factor] * len(self.trials)
        for trial in self.trials:
            factor = self._factor(trial, edit)
            if factor is None:
                return None
            if math.isfinite(factor):
                found.append(factor)
            else:
                found.append(math.nan)  # any will do: everything is zero here
        return found if any(map(math.isfinite, found)) else None

    def _factor(self, trial: Trial, edit: Edit) -> float | None:
        given, place = trial.given, edit.place
        try:
            without = place.changed(given, lambda v, _: v * 0.0)
        except FAILURES:
            return None
        top = bottom = 0.0
        for i in self.wrong:
            claim, rest, true = trial.claimed(i), without.get(i), trial.truth[i]
            if claim is None or rest is None or claim.shape != true.shape != rest.shape:
                return None
            if rest.shape != true.shape:
                return None
            slope = claim - rest
            top += float(np.sum(slope * (true - rest)))
            bottom += float(np.sum(slope * slope))
        if not math.isfinite(top + bottom):
            return None
        if bottom == 0.0:
            zero = all(trial.agreed(i) for i in self.wrong)
            return math.inf if zero else None
        factor = plain(top / bottom)
        return factor if self._explains(trial, _scaled(edit, factor)) else None

    def _offset(self, edit: Edit) -> float | None:
        """The number that must be added to a value, the same in all trials."""
        place, found = edit.place, list[float]()
        for trial in self.trials:
            try:
                moved = place.changed(trial.given, lambda v, _: v + 1.0)
            except FAILURES:
                return None
            top = bottom = 0.0
            for i in self.wrong:
                claim, there, true = trial.claimed(i), moved.get(i), trial.truth[i]
                if claim is None or there is None or not claim.shape == there.shape == true.shape:
                    return None
                top += float(np.sum((there - claim) * (true - claim)))
                bottom += float(np.sum((there - claim) ** 2))
            if not math.isfinite(top + bottom) or bottom == 0.0:
                return None
            found.append(plain(top / bottom))
            if found[-1] == 0.0 or abs(found[-1] - found[0]) > 1e-7 * abs(found[0]):
                return None
            if not self._explains(trial, _added(edit, found[0])):
                return None
        return found[0]

    def _masked(self, position: int, claims: Sequence[Array | None]) -> Iterator[Finding]:
        """Zero where the truth is not, or the other way round, and right wherever neither is."""
        words = set[str]()
        for trial, claim in zip(self.trials, claims):
            true = trial.truth[position]
            if claim is None or claim.shape != true.shape:
                return
            scale = trial.tolerance * (float(np.max(np.abs(true), initial=0.0)) + 1e-3)
            same, mine, theirs = np.abs(claim - true) <= scale, claim == 0.0, np.abs(true) <= scale
            if np.all(same):
                continue
            if np.all(same | mine) and not np.all(mine):
                words.add("a mask stops what it should let through")
            elif np.all(same | theirs) and not np.all(theirs):
                words.add("a mask is missing: it lets through what it should stop")
            elif np.all(mine != theirs) and not np.all(mine) and np.any(mine):
                words.add("the mask lets through what it should stop, and stops the rest")
            else:
                return
        if len(words) == 1:
            yield self._finding("mask", words.pop(), None)

    def _passed_on(self, position: int, claims: Sequence[Array | None]) -> Iterator[Finding]:
        """The cotangent handed on as it came."""
        for trial, claim in zip(self.trials, claims):
            bar = trial.y_bars[0]
            if claim is None or bar.shape != claim.shape or not close(claim, bar, 1e-9):
                return
        for part in parts(self.trials[0]):
            if not part.kind:  # a further term may be all that is missing
                found = [each for each in self._forgotten(part) if each.kind == "missing term"]
                yield from found
                if found:
                    return
        yield self._finding(
            "missing factor", "it is the cotangent itself: the local derivative is missing", None
        )

    def _exchanged(self, position: int, claims: Sequence[Array | None]) -> Iterator[Finding]:
        """One input's gradient given to another."""
        for other in self.trials[0].truth:
            if other != position and all(
                claim is not None and close(claim, trial.truth[other], trial.tolerance)
                for trial, claim in zip(self.trials, claims)
            ):
                words = f"it is the gradient of {self.names[other]}"
                yield self._finding("swapped inputs", words, None)

    def _forgotten(self, part: Part) -> Iterator[Finding]:
        """The claim is the truth with one part of it weighed wrongly, or replaced."""
        weights: list[float] = []
        for trial in self.trials:
            try:
                found = part.find(trial)
            except FAILURES:
                return
            weight = _weight(trial, found, self.wrong)
            if weight is None:
                return
            weights.append(weight)
        known = [each for each in weights if not math.isnan(each)]
        if not known:
            return
        if part.kind:
            if all(each == 0.0 for each in known):
                yield self._finding(part.kind, part.words, part.line)
            return
        if all(each == 0.0 for each in known):
            words = f"what goes through {part.name} is left out"
            yield self._finding("missing term", words, part.line)
            return
        if any(each == 0.0 for each in known):
            return
        shapes = [trial.y_bars[0].shape for trial in self.trials]
        inverse = [1 / each for each in weights]
        for kind, words in told(inverse, self.trials, shapes):
            yield self._finding(kind, f"{words}, in what goes through {part.name}", part.line)

    def _finding(self, kind: str, words: str, line: Line | None) -> Finding:
        return Finding(kind, words, tuple(self.names[i] for i in self.wrong), line)


def _run(edit: Edit) -> Callable[[Trial], Results]:
    return lambda trial: edit.run(trial.given)


def _added(edit: Edit, term: float) -> Callable[[Trial], Results]:
    return lambda trial: edit.place.changed(trial.given, lambda v, _: v + term)


def _scaled(edit: Edit, factor: float) -> Callable[[Trial], Results]:
    return lambda trial: edit.place.changed(trial.given, lambda v, _: v * factor)


def _weight(trial: Trial, part: Mapping[int, Array | None], wrong: Sequence[int]) -> float | None:
    """How often a part is counted in the claim: 1 would be right. NaN: nothing depends on it."""
    top = bottom = 0.0
    for i, true in trial.truth.items():
        mine, claim = part.get(i), trial.claimed(i)
        if i not in wrong or mine is None:
            continue
        if claim is None:
            claim = np.zeros(true.shape)
        if claim.shape != true.shape:
            return None
        top += float(np.sum(mine * (claim - true)))
        bottom += float(np.sum(mine * mine))
    if bottom == 0.0 or not math.isfinite(top + bottom):
        right = all(trial.agreed(i) for i in wrong)
        return math.nan if right else None
    weight = plain(1.0 + top / bottom)
    for i, true in trial.truth.items():
        mine, claim = part.get(i), trial.claimed(i)
        told = true if mine is None or i not in wrong else true + (weight - 1.0) * mine
        if i in wrong and not close(claim, told, trial.tolerance * 10):
            return None
    return weight if weight != 1.0 else None
