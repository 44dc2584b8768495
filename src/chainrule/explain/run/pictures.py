"""What is shown as pixels or as a grid: the confusion matrix, mistakes, weights, activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.explain.run.judging import ASKED, FirstLayer, Judgement
from chainrule.explain.run.markup import part, text
from chainrule.explain.summary import Thumbnail
from chainrule.explain.thumbnails import data_uri, grey, signed

__all__ = [
    "activations_figure",
    "confusion_figure",
    "mistakes_figure",
    "short_names",
    "weights_figure",
]

_SHADES = 6
"""How many strengths of a colour the confusion matrix has."""

Array = NDArray[Any]


def short_names(classes: tuple[str, ...]) -> list[str]:
    """What stands above a column: of “7 - seven” the 7.

    >>> short_names(("0 - zero", "Bag"))
    ['0', 'Bag']
    """
    return [name.partition(" - ")[0] for name in classes]


def _tile(thumbnail: Thumbnail, said: str = "") -> str:
    """An image; without words of its own, where the figure around it has them."""
    size = f'width="{thumbnail.columns}" height="{thumbnail.rows}"'
    return f'<img src="{data_uri(thumbnail)}" {size} alt="{text(said)}">'


# -- the confusion matrix --------------------------------------------------------------------------


def confusion_figure(judgement: Judgement) -> str:
    """A table that is its own picture: the darker, the more of a row's pictures are there."""
    confusion, short = judgement.score.confusion, short_names(judgement.classes)
    tall = ' class="tall"' if max(map(len, short), default=0) > 3 else ""
    head = "".join(f'<th scope="col"{tall}><span>{text(name)}</span></th>' for name in short)
    rows: list[str] = []
    for true, name in enumerate(judgement.classes):
        total = int(confusion[true].sum())
        cells = "".join(
            f'<td class="{_shade(int(count), total, true == said)}">{int(count)}</td>'
            for said, count in enumerate(confusion[true])
        )
        right = part(confusion[true, true] / total, 1) if total else "–"
        rows.append(
            f'<tr><th scope="row">{_row_name(name)}</th>{cells}<td class="sum">{right}</td></tr>'
        )
    return (
        '<figure class="card wide" id="confusion"><figcaption>'
        "<h3>Confusion matrix</h3></figcaption>"
        '<div class="scroll" tabindex="0" role="group" aria-label="Confusion matrix, scrolls">'
        '<table class="confusion"><caption class="unseen">How many test pictures of each class '
        f"(rows) were taken for which (columns)</caption><thead><tr><td></td>{head}"
        f'<th scope="col" class="sum">right</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
        '</div><p class="about">Row: what it is. Column: what the network said. Blue is right, '
        "orange is wrong; the stronger, the more of the row.</p></figure>"
    )


def _row_name(name: str) -> str:
    """The whole name; of “7 - seven” what follows the 7 gives way where there is no room."""
    short = name.partition(" - ")[0]
    return f'{text(short)}<span class="rest">{text(name[len(short) :])}</span>'


def _shade(count: int, total: int, right: bool) -> str:
    """A mistake in a thousand is to be seen, so mistakes are shaded by their logarithm."""
    if not count:
        return "none"
    if right:
        return f"right{min(_SHADES, 1 + int(count / total * (_SHADES - 1)))}"
    strength = (math.log10(count / total) + 3.5) / 3.0
    return f"wrong{min(_SHADES, max(1, round(strength * _SHADES)))}"


# -- mistakes --------------------------------------------------------------------------------------


def mistakes_figure(judgement: Judgement) -> str:
    """The most confidently wrong pictures, with what was said of them."""
    total = len(judgement.score.answers)
    if not judgement.mistakes:
        return f'<p class="about">None of the {total:,} test pictures was taken for another.</p>'
    names = judgement.classes
    tiles = "".join(
        f"<li>{_tile(grey(each.image), f'Test picture {each.index}: {names[each.true]}')}"
        f'<span class="said"><b>{text(short_names(names)[each.said])}</b> '
        f"{part(each.confidence, 1).replace(' ', '&nbsp;')}</span>"
        f'<span class="true">is {text(short_names(names)[each.true])}</span></li>'
        for each in judgement.mistakes
    )
    looked = (
        f"Of the {judgement.wrong:,} mistakes the first {ASKED:,} were looked at. "
        if judgement.asked < judgement.wrong
        else ""
    )
    return (
        '<figure class="card wide" id="mistakes"><figcaption><h3>The most confident mistakes</h3>'
        f'</figcaption><ul class="mistakes">{tiles}</ul><p class="about">{looked}'
        f"{judgement.wrong:,} of {total:,} test pictures were taken for another class; these with "
        "the highest probability. In bold what the network said.</p></figure>"
    )


# -- the first layer -------------------------------------------------------------------------------


def weights_figure(first: FirstLayer) -> str:
    """Each unit's weights as a picture."""
    scale = float(np.abs(first.weights).max(initial=0.0))
    tiles = "".join(_tile(signed(each, scale)) for each in first.weights)
    count = len(first.shown)
    which = (
        f"all {first.units}" if count == first.units else f"{count} of {first.units}, the largest"
    )
    about = (
        f"What each unit looks for ({which}). Green weights are positive, purple ones negative; "
        f"the strongest colour is {scale:.3g}, in all of them."
    )
    label = f"The weights of {count} units of {first.name}, as small pictures"
    kind = "kernels" if first.kind == "Conv2d" else "fields"
    return (
        '<figure class="card wide" id="weights"><figcaption>'
        f"<h3>Weights of {text(first.name)} ({text(first.kind)})</h3></figcaption>"
        f'<div class="tiles {kind}" role="img" aria-label="{text(label)}">{tiles}</div>'
        f'<p class="about">{text(about)}</p></figure>'
    )


def activations_figure(first: FirstLayer, classes: tuple[str, ...]) -> str:
    """What the layer makes of a few test pictures."""
    scale = max((float(np.abs(each).max(initial=0.0)) for each in first.activations), default=0.0)
    rows: list[str] = []
    for image, label, maps in zip(first.images, first.labels, first.activations):
        tiles = "".join(_tile(signed(each, scale)) for each in maps)
        name = f"{first.after} of a picture of {classes[label]}: {_alive(maps)}"
        shape = "maps" if len(maps) > 1 else "vector"
        rows.append(
            f"<li>{_tile(grey(image), f'A test picture: {classes[label]}')}"
            f'<div class="tiles {shape}" role="img" aria-label="{text(name)}">{tiles}</div></li>'
        )
    linear = first.kind == "Linear"
    what = "one square a unit, row by row" if linear else "one map a channel"
    least = f" The first {len(first.activations[0])} channels of {first.units}." * (
        not linear and len(first.activations[0]) < first.units
    )
    kind = "linear" if linear else "convolution"
    return (
        '<figure class="card wide" id="activations"><figcaption>'
        f"<h3>Activations after {text(first.after)}</h3></figcaption>"
        f'<ul class="activations {kind}">{"".join(rows)}</ul><p class="about">What the layer '
        f"makes of test pictures: {what}.{least} The strongest colour is {scale:.3g}, in all of "
        "them.</p></figure>"
    )


def _alive(maps: Array) -> str:
    return part(float((maps > 0).mean()) if maps.size else math.nan, 0) + " of it above zero"
