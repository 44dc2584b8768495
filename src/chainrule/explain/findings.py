"""What can be told apart of wrong derivatives, and a diagnosis as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.explain.program import Line

__all__ = ["KINDS", "Diagnosis", "Finding", "merged"]

KINDS = {
    "missing gradient": "there is no gradient at all",
    "sign": "the sign is wrong",
    "factor": "a constant factor is wrong",
    "mean for sum": "it is divided by a size: a mean where a sum belongs",
    "sum for mean": "it is not divided by a size: a sum where a mean belongs",
    "transposed": "two axes are exchanged",
    "missing sum": "a sum is missing, over the batch or other axes",
    "extra sum": "it is summed once too often",
    "missing term": "a term is missing",
    "extra term": "there is a term too many",
    "wrong axis": "it goes along the wrong axis",
    "missing factor": "a factor of the chain is missing",
    "extra factor": "there is a factor too many",
    "wrong point": "it is evaluated at the output instead of the input, or the other way round",
    "swapped inputs": "one value stands where another belongs",
    "mask": "a mask or an inequality is wrong",
    "shift": "it is off by one place",
    "flipped": "it is reversed along an axis",
    "wrong function": "it has another function in it",
}
"""What can be told apart, in words."""


SAME = (
    ("mask", "missing factor"),
    ("extra sum", "sum for mean"),
    ("extra sum", "factor"),
    ("missing factor", "extra factor"),
    ("mask", "sign"),
    ("wrong axis", "transposed"),
    ("wrong point", "swapped inputs"),
    ("wrong function", "swapped inputs"),
    ("shift", "swapped inputs"),
    ("swapped inputs", "missing term"),
    ("wrong point", "missing term"),
)
"""Pairs of kinds, of which the first says more where both would do."""


@dataclass(frozen=True)
class Finding:
    """One explanation of a wrong derivative.

    Attributes:
        kind: which of `KINDS`.
        words: what is wrong.
        inputs: the inputs whose gradients it makes right.
        line: where.
    """

    kind: str
    words: str
    inputs: tuple[str, ...]
    line: Line | None = None

    def __str__(self) -> str:
        place = f", at {self.line}" if self.line is not None else ""
        return f"{self.kind}: {self.words}{place}"


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with the gradients of some inputs.

    Attributes:
        inputs: which inputs' gradients are wrong.
        findings: the simplest explanations, one for each that means something else; none: no
            single change explains it.
        order: how much they suppose, from 0.

    >>> Diagnosis(("x",), (Finding("sign", "it has the wrong sign", ("x",)),)).kind
    'sign'
    """

    inputs: tuple[str, ...]
    findings: tuple[Finding, ...]
    order: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it may be."""
        return tuple(dict.fromkeys(each.kind for each in self.findings))

    @property
    def kind(self) -> str:
        """What it is: one of `KINDS`, "ambiguous" or "unknown"."""
        kinds = self.kinds
        return kinds[0] if len(kinds) == 1 else "ambiguous" if kinds else "unknown"

    def __str__(self) -> str:
        what = " and ".join(self.inputs)
        if not self.findings:
            return f"{what}: wrong, and no single change explains it"
        if len(self.findings) == 1:
            return f"{what}: {self.findings[0]}"
        return f"{what}: ambiguous, either " + "; or ".join(map(str, self.findings))


def merged(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """One of each kind: the one with a line, if there is one.

    Of two kinds that come to the same, what says more is kept: a sum along the wrong axis of a
    square matrix is also one of its transpose.
    """
    best: dict[str, Finding] = {}
    for each in found:
        known = best.get(each.kind)
        if known is None or (known.line is None and each.line is not None):
            best[each.kind] = each
    for more, less in SAME:
        if more in best:
            best.pop(less, None)
    return tuple(best.values())
