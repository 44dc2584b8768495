"""`chainrule report`: one or several runs as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from chainrule.explain.run import Told
    from chainrule.train import RunFolder, Trainer

__all__ = ["report", "report_after"]


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders that `train` made.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The page.",
            show_default="report.html in the run; of several: comparison.html in the first",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder with mnist/ (and so on) in it.")
    ] = None,
    png: Annotated[
        bool,
        typer.Option(
            "--png/--no-png", help="Write the pictures, too, into a folder named like the page."
        ),
    ] = True,
) -> None:
    """Show a training run as a page, or several side by side: one file, no network needed.

    What is on it: loss, accuracy and learning rate, the confusion matrix, the most confident
    mistakes, what the first layer sees, gradient and weight norms, update ratios, dead units, and
    where the time went.

    [bold]Examples[/bold]

      chainrule report runs/mnist-lenet-20260131-142501

      chainrule report runs/first runs/second --out compared.html

      chainrule report RUN --data ~/data                     the test pictures are there

    A run that still goes on, or was stopped, is shown as far as it is. Without the test pictures
    the page says less, and that it does.

    Exit codes: 0 written, 1 a run is missing or damaged, 2 wrong usage.
    """
    from chainrule.cli.screen import console
    from chainrule.errors import ConfigError, MissingDependencyError
    from chainrule.explain.run import save_page, save_pictures

    screen = console()
    target = out or _page_of(runs)
    if target.suffix != ".html":  # before the work
        raise ConfigError(f"--out {target} is no page", cure="end the name in .html")
    told = [_told(screen, run, data) for run in runs]
    save_page(told, target)
    for each in told:
        if each.silence:
            _say(screen, f"{each.record.path}: no test pictures: {each.silence}")
    _say(screen, f"report {target}")
    if png:
        folder = target.with_suffix("")
        try:
            written = save_pictures(told, folder)
        except MissingDependencyError as error:
            _say(screen, f"no charts as PNG: {error.problem}; {error.cure}")
        else:
            _say(screen, f"{len(written)} pictures in {folder}/")


def report_after(screen: Console, trainer: Trainer, run: RunFolder, source: str) -> None:
    """Write the page of a run that has just ended well; whatever goes wrong, the run has not."""
    from chainrule.explain.run import Told, judge, read_run, save_page

    target = _page_of([run.path])
    try:
        found = judge(
            trainer.model,
            trainer.pictures.test,
            trainer.pictures.classes,
            source=source,
            score=trainer.score,
        )
        save_page([Told(read_run(run.path), found)], target)
    except Exception as error:  # a page is not worth a run
        _say(screen, f"no report: {error}")
        return
    _say(screen, f"look at it: {target}")


def _page_of(runs: list[Path]) -> Path:
    """Where the page goes, unless told otherwise."""
    return runs[0] / ("report.html" if len(runs) == 1 else "comparison.html")


def _say(screen: Console, line: str) -> None:
    screen.print(line, highlight=False, markup=False, soft_wrap=True)


def _told(screen: Console, path: Path, data: Path | None) -> Told:
    """A run with what its network says of the test part, if that is to be had here."""
    from chainrule.cli.screen import Downloads
    from chainrule.errors import DownloadError, StorageError
    from chainrule.explain.run import Told, judge, read_run
    from chainrule.train import find_source, load_run, load_test

    record = read_run(path)
    saved = load_run(path)
    name = record.config.dataset
    folder = str(data) if data is not None else None
    try:
        with Downloads(screen) as downloads:
            source = find_source(name, folder, downloads)
    except (DownloadError, StorageError) as error:
        return Told(record, None, f"{error.problem}. Name their folder with --data DIR")
    if source.name != name:
        return Told(record, None, f"{source.reason}. Name their folder with --data DIR")
    test, classes = load_test(name, folder, saved.mean, saved.std, record.config.limit)
    if len(classes) != len(saved.classes):
        said = f"{name} has {len(classes)} classes, the network tells {len(saved.classes)}"
        return Told(record, None, said)
    engine = record.config.engine
    found = judge(saved.model, test, saved.classes, source=source.text, engine=engine)
    return Told(record, found)
