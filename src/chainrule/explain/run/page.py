"""The page: sections in the order in which one asks about a run, nothing on it that runs.

There is no script, so the policy forbids them; of styles it allows the one sheet, by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.errors import ConfigError
from chainrule.explain.files import template, write_whole
from chainrule.explain.run.charts import Chart, chart_figure
from chainrule.explain.run.judging import Judgement
from chainrule.explain.run.markup import details, figures, part, seconds, table, text
from chainrule.explain.run.measures import compared, inside_charts, learning_charts, speed_chart
from chainrule.explain.run.pictures import (
    activations_figure,
    confusion_figure,
    mistakes_figure,
    weights_figure,
)
from chainrule.explain.run.reading import RunRecord

__all__ = ["PHASES", "Told", "names_of", "run_page", "save_page"]

PHASES = {
    "step": "steps",
    "data": "gathering batches",
    "validation": "validation",
    "checkpoint": "saving",
    "observation": "looking inside",
}
"""What the phases are called; in the order of their colours."""


@dataclass(frozen=True)
class Told:
    """A run, and what its network says of the test part.

    Attributes:
        record: the run.
        judgement: of its network; None if nobody could be asked.
        silence: why nobody could.
    """

    record: RunRecord
    judgement: Judgement | None = None
    silence: str = ""


def save_page(runs: Sequence[Told], path: str | os.PathLike[str]) -> None:
    """Write the page of one run, or of several side by side.

    Raises:
        ConfigError: the file's name does not end in .html.
        StorageError: it can't be written.
    """
    target = Path(path)
    if target.suffix != ".html":
        raise ConfigError(
            f"the report is a page, and {target.name!r} is none", cure="end the name in .html"
        )
    write_whole(target, run_page(runs).encode())


def run_page(runs: Sequence[Told]) -> str:
    """The page as text.

    Raises:
        ConfigError: there is no run to tell of.
    """
    if not runs:
        raise ConfigError("a report of no run", cure="name at least one")
    if len(runs) == 1:
        title, body = f"Run {runs[0].record.name}", _one(runs[0])
    else:
        title, body = f"{len(runs)} runs compared", _several(runs)
    style = template("colors.css") + template("run.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = template("run.html")
    for mark, what in (
        ("<!--digest-->", digest),
        ("<!--style-->", style),
        ("<!--title-->", text(title)),
        ("<!--body-->", body),
    ):
        page = page.replace(mark, what, 1)
    return page


def names_of(runs: Sequence[Told]) -> list[str]:
    """What the runs go by: their folders' names, numbered where two are alike."""
    names = [told.record.name for told in runs]
    return [
        f"{name} ({names[: k + 1].count(name)})" if names.count(name) > 1 else name
        for k, name in enumerate(names)
    ]


# -- one run ---------------------------------------------------------------------------------------


def _one(told: Told) -> str:
    head = (
        f"<header><h1>{text(told.record.name)}</h1>{_lead(told)}{_notes(told)}{_facts(told)}"
        "</header>"
    )
    sections = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{title}</h2>{content}</section>'
        for key, title, content in _sections(told)
    )
    return f'{head}<main id="main">{sections}</main>{_footer(told)}'


def _sections(told: Told, prefix: str = "") -> list[tuple[str, str, str]]:
    """Address, title and content of what there is to tell."""
    record, judgement = told.record, told.judgement
    sections = [(f"{prefix}learning", "Learning", _charts(learning_charts(record)))]
    if judgement is not None:
        content = confusion_figure(judgement) + mistakes_figure(judgement)
        sections.append((f"{prefix}errs", "Where it errs", f'<div class="pair">{content}</div>'))
        if judgement.first is not None:
            content = weights_figure(judgement.first)
            content += activations_figure(judgement.first, judgement.classes)
            sections.append(
                (
                    f"{prefix}first",
                    "What the first layer sees",
                    f'<div class="pair">{content}</div>',
                )
            )
    sections.append((f"{prefix}inside", "Inside", _inside(record)))
    sections.append((f"{prefix}time", "Time", _time(record)))
    return [
        (key, title, content.replace(' id="', f' id="{prefix}') if prefix else content)
        for key, title, content in sections
    ]


def _charts(charts: Sequence[Chart], more: str = "", columns: str = "three") -> str:
    drawn = "".join(map(chart_figure, charts))
    return f'<div class="grid {columns}">{drawn}{more}</div>'


def _lead(told: Told) -> str:
    config, summary = told.record.config, told.record.summary
    source = ""
    if summary is not None and summary.get("data_source"):
        source = f" on {str(summary['data_source']).partition(', from ')[0]}"
    return (
        f'<p class="lead">{text(config.model)}{text(source or f" on {config.dataset}")}, by the '
        f"{text(config.engine)} engine, {text(config.optimizer)} at {config.lr:g} "
        f"({text(config.schedule)}), batches of {config.batch_size:,}, seed {config.seed}</p>"
    )


def _notes(told: Told) -> str:
    """What the reader has to know before believing the rest."""
    record = told.record
    notes: list[str] = []
    if record.summary is None:
        done = len(record.epochs)
        notes.append(
            f"This run is not finished: it is told up to step {record.last_step:,}, "
            f"{done} of {record.config.epochs} epochs are done. There is no final test."
        )
    notes += [f"The last line of {name} was cut short, and is left out." for name in record.cut]
    if told.judgement is None and told.silence:
        notes.append(f"Nothing is told of single test pictures: {told.silence}")
    if not notes:
        return ""
    return '<ul class="notes">' + "".join(f"<li>{text(note)}</li>" for note in notes) + "</ul>"


def _facts(told: Told) -> str:
    """The few numbers that one looks for first."""
    record, judgement = told.record, told.judgement
    summary = record.summary
    facts: list[tuple[str, str]] = []
    if summary is not None:
        facts.append(("Test accuracy", part(_of(summary, "test_accuracy"))))
        facts.append(("Test loss", figures(_of(summary, "test_loss"))))
    elif judgement is not None:
        facts.append(("Test accuracy so far", part(judgement.score.accuracy)))
    if judgement is not None:
        facts.append((f"Mistakes of {len(judgement.score.answers):,}", f"{judgement.wrong:,}"))
    facts.append(("Epochs", f"{len(record.epochs)} of {record.config.epochs}"))
    facts.append(("Steps", f"{record.last_step:,}"))
    spent = _of(summary, "seconds_train") if summary else sum(e["seconds"] for e in record.epochs)
    facts.append(("Training took", seconds(spent)))
    if summary is not None:
        facts.append(("Parameters", f"{_of(summary, 'parameters'):,.0f}"))
    cells = "".join(
        f"<div{' class=first' if k == 0 else ''}><dt>{name}</dt><dd>{value}</dd></div>"
        for k, (name, value) in enumerate(facts)
    )
    return f'<dl class="facts">{cells}</dl>'


def _of(summary: dict[str, object], name: str) -> float:
    value = summary.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def _inside(record: RunRecord) -> str:
    """Norms, ratios, dead units; the parameters one by one."""
    charts = inside_charts(record)
    if not charts:
        return (
            '<p class="intro">Nobody looked inside this run: there is no observations.jsonl in its '
            "folder, or nothing in it.</p>"
        )
    last = record.insides[-1]
    rows = [
        [name, *(figures(norms[kind]) for kind in ("weight", "gradient", "update"))]
        + [figures(norms["update"] / norms["weight"] if norms["weight"] else math.nan)]
        for name, norms in last.parameters.items()
    ]
    head = ["parameter", "‖w‖", "‖∂L/∂w‖", "‖Δw‖", "‖Δw‖ / ‖w‖"]
    numbers = table(head, rows, f"Each parameter after step {last.step}")
    return (
        f'<p class="intro">Looked at after {len(record.insides)} steps of the run, from the first '
        "to the last. Dropout is left out for it, batch norm is as in training.</p>"
        + _charts(charts, columns="two")
        + details(f"Each parameter after step {last.step:,}", numbers)
    )


def _time(record: RunRecord) -> str:
    """Throughput, and what the time went into."""
    return _charts([speed_chart(record)], _phases(record), "two")


def _phases(record: RunRecord) -> str:
    """A bar of all the time, and a table of the epochs."""
    if not record.phases:
        return ""
    totals: dict[str, float] = dict.fromkeys(PHASES, 0.0)
    for _, spent in record.phases:
        for name, value in spent.items():
            totals[name] = totals.get(name, 0.0) + (value if math.isfinite(value) else 0.0)
    totals = {name: value for name, value in totals.items() if value > 0}
    whole = sum(totals.values()) or 1.0
    bars, keys, start = "", "", 0.0
    for number, (name, value) in enumerate(totals.items()):
        called = PHASES.get(name, name)
        width = 1000 * value / whole
        bars += (
            f'<rect class="d{number % 8}" x="{start:.2f}" width="{width:.2f}" height="20">'
            f"<title>{text(called)}: {seconds(value)}</title></rect>"
        )
        keys += (
            f'<li><svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">'
            f'<rect class="d{number % 8}" width="1" height="1"/></svg>'
            f"{text(called)} {seconds(value)} ({part(value / whole, 1)})</li>"
        )
        start += width
    said = ", ".join(f"{PHASES.get(n, n)} {part(v / whole, 0)}" for n, v in totals.items())
    rows = [
        [epoch, *(figures(spent.get(name, math.nan)) for name in totals)]
        for epoch, spent in record.phases
    ]
    names = [PHASES.get(name, name) + ", s" for name in totals]
    numbers = details("Numbers", table(["epoch", *names], rows, "Seconds by epoch and phase"))
    return (
        '<figure class="card" id="phases"><figcaption><h3>Where the time went</h3></figcaption>'
        f'<svg class="bar" viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" '
        f'aria-label="Time by phase: {text(said)}">{bars}</svg><ul class="keys">{keys}</ul>'
        '<p class="about">From the first step to the end of the last epoch told; the first step '
        f"includes what had to be compiled for it.</p>{numbers}</figure>"
    )


def _footer(told: Told) -> str:
    settings = table(
        ["setting", "value"],
        [[name, value] for name, value in told.record.config.to_dict().items()],
        "Settings",
    )
    return (
        f"<footer>{details('All settings', settings)}"
        "<p>Made by chainrule from the files of the run. The page needs no network, and runs no "
        "script.</p></footer>"
    )


# -- several runs ----------------------------------------------------------------------------------


def _several(runs: Sequence[Told]) -> str:
    names = names_of(runs)
    links = "".join(
        f'<li><a href="#run{k}">{text(name)}</a></li>' for k, name in enumerate(names, 1)
    )
    pairs = [(name, told.record) for name, told in zip(names, runs)]
    body = [
        f"<header><h1>{len(runs)} runs compared</h1>"
        f'<nav aria-label="Runs"><ol>{links}</ol></nav></header><main id="main">'
        '<section aria-labelledby="side"><h2 id="side">Side by side</h2>'
        f'<div class="card numbers">{_overview(runs, names)}</div></section>'
        '<section aria-labelledby="curves"><h2 id="curves">Learning</h2>'
        f"{_charts(compared(pairs))}</section>"
    ]
    for number, (name, told) in enumerate(zip(names, runs), 1):
        inner = "".join(
            f'<section aria-labelledby="{key}"><h3 class="section" id="{key}">{title}</h3>'
            f"{content.replace('<h3>', '<h4>').replace('</h3>', '</h4>')}</section>"
            for key, title, content in _sections(told, f"run{number}-")
        )
        body.append(
            f'<section class="run" aria-labelledby="run{number}"><h2 id="run{number}">{text(name)}'
            f"</h2>{_lead(told)}{_notes(told)}{_facts(told)}{inner}</section>"
        )
    return "".join(body) + "</main>" + _footer_of_several()


def _overview(runs: Sequence[Told], names: Sequence[str]) -> str:
    """A row for each run: what it was, what came of it."""
    rows: list[list[object]] = []
    for name, told in zip(names, runs):
        record = told.record
        config, summary = record.config, record.summary or {}
        judged = [line.get("validation_accuracy", math.nan) for line in record.epochs]
        rows.append(
            [
                name,
                part(_of(summary, "test_accuracy")),
                figures(_of(summary, "test_loss")),
                part(max((each for each in judged if math.isfinite(each)), default=math.nan)),
                seconds(sum(line["seconds"] for line in record.epochs)),
                config.dataset,
                config.model,
                config.engine,
                f"{config.optimizer} {config.lr:g}",
                config.batch_size,
                f"{len(record.epochs)}/{config.epochs}",
                config.seed,
            ]
        )
    head = ["run", "test accuracy", "test loss", "best validation", "epochs took", "data", "model"]
    head += ["engine", "optimizer", "batch", "epochs", "seed"]
    return table(head, rows, "The runs side by side")


def _footer_of_several() -> str:
    return (
        "<footer><p>Made by chainrule from the files of the runs. The page needs no network, and "
        "runs no script.</p></footer>"
    )
