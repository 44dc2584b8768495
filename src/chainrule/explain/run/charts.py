"""Line charts as values, and as SVG: a handful of series over steps, each point where it was told.

Colours and letters come from the page's style sheet (`run.css`); a chart that stands alone, on its
way to a PNG, brings the light ones along.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.explain.run.markup import details, figures, part, table, text

__all__ = ["COLORS", "DASHES", "Chart", "Series", "chart_figure", "chart_svg", "ticks_of"]

COLORS = ("#1d4fc4", "#b4430c", "#12805c", "#8a3ab9", "#8c6100", "#0b7285", "#c2255c", "#555b66")
"""Of the series, on light paper; `run.css` has these and those for dark."""

DASHES = ("", "7 3", "2 3", "9 3 2 3", "", "7 3", "2 3", "9 3 2 3")
"""So that nobody needs the colours."""

DRAWN = 500
"""The most points of a series that are drawn or listed: of more, every second, third, ..."""

_WIDTH, _HEIGHT = 440, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 42
_MARKED = 14
"""A series of at most so many points shows each as a dot."""


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: what it is of.
        points: (x, y), in the order of x; a y that is NaN is a gap.
        style: which of the colours and dashes.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    style: int = 0

    @property
    def finite(self) -> list[tuple[float, float]]:
        """The points that can be drawn."""
        return [(x, y) for x, y in self.points if math.isfinite(y)]


@dataclass(frozen=True)
class Chart:
    """A few series over one axis.

    Attributes:
        key: a short name, for files and addresses within the page.
        title: what it shows.
        about: how the points came to be: what is a mean, and over what.
        series: the lines; those without a finite point are left out of the drawing.
        unit: of y: `""`, `"part"` (0..1, told in percent) or `"count"`.
        log: whether y is logarithmic; points at 0 or below are then left out, and that is said.
        floor: y begins here, at the latest.
        line: where a level that helps to judge is marked, and what it is called.
        x: what x is.
    """

    key: str
    title: str
    about: str
    series: tuple[Series, ...]
    unit: str = ""
    log: bool = False
    floor: float | None = None
    line: tuple[float, str] | None = None
    x: str = "step"

    @property
    def shown(self) -> list[Series]:
        """What is drawn: thinned, and without what a logarithm has no place for."""
        drawn: list[Series] = []
        for each in self.series:
            points = [(x, y) for x, y in each.points if not (self.log and y <= 0)]
            kept = Series(each.name, tuple(points[:: self.stride]), each.style)
            if kept.finite:
                drawn.append(kept)
        return drawn

    @property
    def stride(self) -> int:
        """Every how many-th point is drawn."""
        return math.ceil(max((len(each.points) for each in self.series), default=0) / DRAWN) or 1

    def told(self, y: float) -> str:
        """A number of y for people."""
        if self.unit == "part":
            return part(y)
        return figures(y)


def ticks_of(low: float, high: float, log: bool = False, count: int = 5) -> list[float]:
    """Round numbers from low to high.

    >>> ticks_of(0, 860), ticks_of(0.02, 3, log=True)
    ([0.0, 200.0, 400.0, 600.0, 800.0], [0.1, 1.0])
    """
    if log:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        stride = max(1, math.ceil((last - first + 1) / count))
        decades = [10.0**power for power in range(first, last + 1, stride)]
        if len(decades) >= 2:
            return decades
        fine = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5)]
        return [tick for tick in fine if low <= tick * (1 + 1e-9) and tick <= high * (1 + 1e-9)]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    width = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / width - 1e-9)
    last = math.floor(high / width + 1e-9)
    return [round(k * width, 12) for k in range(first, last + 1)]


class _Scale:
    """From numbers to places along an axis."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool) -> None:
        self.log = log
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (low, high)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        place = math.log10(value) if self.log else value
        return self.start + (place - self.low) / (self.high - self.low) * (self.end - self.start)


def _range(chart: Chart, drawn: Sequence[Series]) -> tuple[float, float]:
    """Where y begins and ends: never empty."""
    values = [y for each in drawn for _, y in each.finite]
    if chart.line is not None:
        values.append(chart.line[0])
    low, high = min(values), max(values)
    if chart.log:
        return (low / 1.3, high * 1.3) if high / low < 3 else (low / 1.15, high * 1.15)
    if chart.floor is not None:
        low = min(low, chart.floor)
    margin = (high - low or abs(high) or 1.0) * 0.05
    top = 1.0 if chart.unit == "part" and high <= 1 else high + margin
    bottom = low if low == chart.floor else low - margin
    return (bottom, top) if top > bottom else (bottom - 0.01, top)


def chart_svg(chart: Chart, alone: bool = False) -> str:
    """The drawing; `alone`: as a file of its own, with its colours in it."""
    drawn = chart.shown
    if not drawn:
        return ""
    low, high = _range(chart, drawn)
    xs = [x for each in drawn for x, _ in each.finite]
    first, last = min(0.0, *xs), max(xs)
    across = _Scale(first, last if last > first else first + 1, _LEFT, _WIDTH - _RIGHT, False)
    up = _Scale(low, high, _HEIGHT - _BOTTOM, _TOP, chart.log)
    parts = [_axes(chart, across, up, (first, last), (low, high))]
    parts += [_line(each, across, up, chart) for each in drawn]
    frame = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(_spoken(chart))}"'
    if not alone:
        return f'<svg class="chart" {frame}>{"".join(parts)}</svg>'
    lines = "".join(
        f".s{k}{{stroke:{color};fill:none;stroke-dasharray:{dash or 'none'}}}.d{k}{{fill:{color}}}"
        for k, (color, dash) in enumerate(zip(COLORS, DASHES))
    )
    style = (
        f"{lines}.grid{{stroke:#d8d3c5}}.axis{{stroke:#a39d8c}}.level{{stroke:#6a675e;"
        "stroke-dasharray:3 3}text{font:12px sans-serif;fill:#22252b}.line{stroke-width:2}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT + 24}" '
        f'viewBox="0 -24 {_WIDTH} {_HEIGHT + 24}"><style>{style}</style>'
        f'<rect y="-24" width="{_WIDTH}" height="{_HEIGHT + 24}" fill="#fff"/>'
        f'<text x="{_LEFT}" y="-8">{text(chart.title)}</text>{"".join(parts)}</svg>'
    )


def _axes(
    chart: Chart,
    across: _Scale,
    up: _Scale,
    xs: tuple[float, float],
    ys: tuple[float, float],
) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts: list[str] = []
    for tick in ticks_of(*ys, log=chart.log):
        y = up(tick)
        label = part(tick, _digits(ys)) if chart.unit == "part" else _compact(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
    for tick in ticks_of(xs[0], max(xs[1], xs[0] + 1)):
        if tick != int(tick):
            continue
        x = across(tick)
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:,.0f}</text>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{text(chart.x)}</text>'
    )
    if chart.line is not None:
        y, name = up(chart.line[0]), chart.line[1]
        parts.append(f'<path class="level" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{right}" y="{y - 5:.1f}" text-anchor="end">{text(name)}</text>')
    return "".join(parts)


def _compact(tick: float) -> str:
    """A tick's number, short enough to stand beside the axis."""
    return f"{figures(tick / 1000, 3)}k" if tick >= 10_000 else figures(tick, 3)


def _digits(ys: tuple[float, float]) -> int:
    """How many digits of percentages tell the ticks apart."""
    return 0 if ys[1] - ys[0] > 0.04 else 1 if ys[1] - ys[0] > 0.004 else 2


def _line(series: Series, across: _Scale, up: _Scale, chart: Chart) -> str:
    """A path that breaks at gaps; dots, where they are few, with their numbers."""
    style = series.style % len(COLORS)
    path, open_ = "", False
    for x, y in series.points:
        if not math.isfinite(y):
            open_ = False
            continue
        path += f"{'L' if open_ else 'M'}{across(x):.1f} {up(y):.1f}"
        open_ = True
    parts = [f'<path class="line s{style}" d="{path}"/>']
    if len(series.points) <= _MARKED:
        for x, y in series.finite:
            parts.append(
                f'<circle class="d{style}" cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.2">'
                f"<title>{text(series.name)}, {text(chart.x)} {x:,.0f}: {chart.told(y)}</title>"
                "</circle>"
            )
    return "".join(parts)


def _spoken(chart: Chart) -> str:
    """The drawing in words; `text` cuts what gets too long, and the table has it all."""
    said = [
        f"{each.name} from {chart.told(each.finite[0][1])} to {chart.told(each.finite[-1][1])}"
        for each in chart.shown
    ]
    return f"{chart.title}: {'; '.join(said)}"


def chart_figure(chart: Chart) -> str:
    """The drawing with its title, its legend, what is to be said of it, and its numbers."""
    drawing = chart_svg(chart)
    if not drawing:
        return ""
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 26 8" aria-hidden="true">'
        f'<path class="line s{each.style % len(COLORS)}" d="M1 4H25"/></svg>{text(each.name)}</li>'
        for each in chart.shown
    )
    about = chart.about
    if chart.stride > 1:
        about += f" Drawn and listed: every {chart.stride}th of the points."
    if chart.log and any(y <= 0 for each in chart.series for _, y in each.points):
        about += " The scale is logarithmic, and has no place for zeros."
    legend = f'<ul class="keys">{keys}</ul>'
    return (
        f'<figure class="card" id="{chart.key}"><figcaption><h3>{text(chart.title)}</h3>'
        f"{legend}</figcaption>{drawing}"
        f'<p class="about">{text(about)}</p>{details("Numbers", _numbers(chart))}</figure>'
    )


def _numbers(chart: Chart) -> str:
    """The points as they were told, in a table."""
    kept = [dict(each.points[:: chart.stride]) for each in chart.series]
    places = sorted({x for each in kept for x in each})
    rows = [[f"{x:.0f}", *(_exact(each[x]) if x in each else "" for each in kept)] for x in places]
    return table([chart.x, *(each.name for each in chart.series)], rows, chart.title)


def _exact(y: float) -> str:
    if not math.isfinite(y):
        return "–"
    return f"{y:.0f}" if y == int(y) and abs(y) < 1e15 else repr(y)
