"""Which term of a wrong derivative is wrong: the simplest single change that would make it right.

Hypotheses are tried in the order of how much they suppose:

1. the gradient as a whole: its sign, a factor, transposed, not summed, off by one place, ...
2. one value or op within: the same, the axes, a comparison; or one path of the function forgotten
3. one value within together with another: a factor or a term missing, one input for another, ...

One is believed if it explains the claim to rounding at all inputs tried, which differ in their
numbers and sizes. Where several of one order do, and do not mean the same, all of them are named.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.explain.findings import KINDS, Diagnosis, Finding
from chainrule.explain.search import DEEPEST, SIMPLE, Search
from chainrule.explain.truth import Trial, quiet

__all__ = ["KINDS", "Diagnosis", "Finding", "diagnose"]


def diagnose(
    trials: Sequence[Trial], names: Sequence[str], constants: Sequence[float] = (1.0,)
) -> list[Diagnosis]:
    """What is wrong with the claims of some trials, the first of which is the most telling.

    Args:
        trials: at least one.
        names: what the inputs are called.
        constants: numbers that may be in it: the op's own.
    """
    alike = [each for each in trials if each.given.signature == trials[0].given.signature]
    wrong = [i for i in trials[0].truth if not all(each.agreed(i) for each in alike)]
    with quiet():
        together, level = Search(alike, wrong, names, constants).simplest()
        if len(wrong) == 1 or (together and level < SIMPLE):
            return [Diagnosis(tuple(names[i] for i in wrong), together, level)] if wrong else []
        apart = [
            (i, Search(alike, [i], names, constants).simplest(level if together else DEEPEST))
            for i in wrong
        ]
        if together and not all(found for _, (found, _) in apart):
            return [Diagnosis(tuple(names[i] for i in wrong), together, level)]
        return [Diagnosis((names[i],), found, order) for i, (found, order) in apart]
