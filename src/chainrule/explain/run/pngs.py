"""The page's pictures as PNG files, for slides and papers; by matplotlib, or as explain draws.

Charts and the confusion matrix are drawn by matplotlib (extra `plots`) where it is installed, else
from the page's own SVG by resvg (extra `explain`). What is pixels anyway needs neither.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import MissingDependencyError
from chainrule.explain.files import write_whole
from chainrule.explain.run.charts import COLORS, Chart, chart_svg
from chainrule.explain.run.judging import Judgement
from chainrule.explain.run.markup import text
from chainrule.explain.run.measures import compared, inside_charts, learning_charts, speed_chart
from chainrule.explain.run.page import Told, names_of
from chainrule.explain.run.pictures import short_names
from chainrule.explain.thumbnails import grey, png_of, signed

__all__ = ["save_pictures"]

_DASHES = ("-", "--", ":", "-.")
_ZOOM = 2.0

Array = NDArray[Any]


def save_pictures(runs: Sequence[Told], folder: Path) -> list[Path]:
    """Write what the page of these runs shows as PNG files; of several, the charts side by side.

    Returns:
        the files.

    Raises:
        MissingDependencyError: neither matplotlib nor resvg is installed; what needs neither is
            written.
        StorageError: the folder can't be written.
    """
    written: list[Path] = []

    def write(key: str, data: bytes) -> None:
        written.append(folder / f"{key}.png")
        write_whole(written[-1], data)

    judgement = runs[0].judgement if len(runs) == 1 else None
    if judgement is not None:
        for key, sheet in _sheets(judgement):
            write(key, sheet)
    for chart in _charts(runs):
        if chart.shown:
            write(chart.key, _drawn(chart))
    if judgement is not None:
        write("confusion", _confusion(judgement))
    return written


def _charts(runs: Sequence[Told]) -> list[Chart]:
    if len(runs) > 1:
        return compared([(name, told.record) for name, told in zip(names_of(runs), runs)])
    record = runs[0].record
    return [*learning_charts(record), *inside_charts(record), speed_chart(record)]


# -- charts ----------------------------------------------------------------------------------------


def _drawn(chart: Chart) -> bytes:
    if find_spec("matplotlib") is None:
        return _rendered(chart_svg(chart, alone=True))
    figure, axes = _figure(6.4, 4.0)
    for each in chart.shown:
        style = each.style % len(COLORS)
        x, y = zip(*each.points)
        dot = {"marker": "o", "markersize": 3.5} if len(x) <= 14 else {}
        line = {"color": COLORS[style], "linestyle": _DASHES[style % len(_DASHES)], **dot}
        axes.plot(x, y, label=_plain(each.name), **line)
    if chart.log:
        axes.set_yscale("log")
    elif chart.floor is not None:
        axes.set_ylim(bottom=chart.floor)
    if chart.unit == "part":
        ticker = import_module("matplotlib.ticker")
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0))
    if chart.line is not None:
        axes.axhline(chart.line[0], color="#6a675e", linewidth=1, linestyle=":")
    axes.set(title=_plain(chart.title), xlabel=_plain(chart.x))
    axes.grid(axis="y", color="#d8d3c5")
    axes.legend(frameon=False, fontsize=9)
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure that belongs to no window, and leaves matplotlib's settings alone."""
    figure: Any = import_module("matplotlib.figure").Figure((width, height), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    return file.getvalue()


def _plain(name: str) -> str:
    """A name that matplotlib takes as it is: no formula between dollars, no sign it can't draw."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)
    return shown[:80].replace("$", r"\$")


def _rendered(svg: str) -> bytes:
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise MissingDependencyError(
            "the charts as PNG need matplotlib, or resvg-py",
            cure="pip install 'chainrule[plots]', or leave them out with --no-png",
        ) from error
    return bytes(svg_to_bytes(svg_string=svg, zoom=_ZOOM, sans_serif_family="DejaVu Sans"))


# -- the confusion matrix --------------------------------------------------------------------------


def _confusion(judgement: Judgement) -> bytes:
    confusion, names = judgement.score.confusion, short_names(judgement.classes)
    parts = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    if find_spec("matplotlib") is None:
        return _rendered(_confusion_svg(confusion, parts, names))
    size = 1.5 + 0.45 * len(names)
    figure, axes = _figure(size, size)
    axes.imshow(parts**0.35, cmap="Blues", vmin=0, vmax=1.3)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            axes.text(column, row, int(count), ha="center", va="center", fontsize=8)
    shown = [_plain(name) for name in names]
    axes.set_xticks(range(len(names)), shown, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(range(len(names)), shown)
    axes.set(title="Confusion matrix", xlabel="what the network said", ylabel="what it is")
    return _png(figure)


def _confusion_svg(confusion: Array, parts: Array, names: list[str]) -> str:
    side, left = 36, 110
    size = left + side * len(names) + 10
    cells: list[str] = []
    for row, name in enumerate(names):
        place = left + side * row + side / 2 + 4
        cells.append(f'<text x="{left - 8}" y="{place}" text-anchor="end">{text(name[:14])}</text>')
        turned = f'transform="translate({place},{left - 8}) rotate(-90)"'
        cells.append(f"<text {turned}>{text(name[:14])}</text>")
        for column in range(len(names)):
            x, y = left + side * column, left + side * row
            color, strength = COLORS[row != column], parts[row, column] ** 0.35 * 0.6
            cells.append(
                f'<rect x="{x}" y="{y}" width="{side - 2}" height="{side - 2}" fill="{color}" '
                f'fill-opacity="{strength:.3f}"/>'
            )
            if confusion[row, column]:
                cells.append(
                    f'<text x="{x + side / 2 - 1}" y="{place}" text-anchor="middle">'
                    f"{int(confusion[row, column])}</text>"
                )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}">'
        "<style>text{font:12px sans-serif;fill:#22252b}</style>"
        f'<rect width="{size}" height="{size}" fill="#fff"/>{"".join(cells)}</svg>'
    )


# -- what is pixels --------------------------------------------------------------------------------


def _sheets(judgement: Judgement) -> list[tuple[str, bytes]]:
    """Mistakes, weights and activations, tile by tile."""
    sheets: list[tuple[str, bytes]] = []
    if judgement.mistakes:
        sheet = _sheet([each.image for each in judgement.mistakes], 5, 4, gap=255)
        sheets.append(("mistakes", png_of(grey(sheet))))
    first = judgement.first
    if first is not None:
        zoom = 4 if first.weights.shape[-1] >= 20 else 12
        weights = _sheet(list(first.weights), 8, zoom)
        sheets.append(("weights", png_of(signed(weights, float(np.abs(first.weights).max())))))
        maps = [each for one in first.activations for each in one]
        columns = len(first.activations[0]) if len(first.activations[0]) > 1 else 2
        sheet = _sheet(maps, columns, 4 if maps[0].shape[0] >= 20 else 12)
        sheets.append(("activations", png_of(signed(sheet, float(np.abs(sheet).max())))))
    return sheets


def _sheet(tiles: list[Array], columns: int, zoom: int, gap: float = 0.0) -> Array:
    """Pictures of one size in rows, enlarged, with room between them."""
    columns = min(columns, len(tiles))
    height, width = (zoom * side + 6 for side in tiles[0].shape)
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, columns * width), gap, tiles[0].dtype)
    for k, tile in enumerate(tiles):
        y, x = k // columns * height + 3, k % columns * width + 3
        sheet[y : y + height - 6, x : x + width - 6] = tile.repeat(zoom, 0).repeat(zoom, 1)
    return sheet
