"""`chainrule eval`: a trained network on a test set, in all and class by class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = ["evaluate_run"]


def evaluate_run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `train` made.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder with mnist/ (and so on) in it.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Test on another data set.", show_default="that of the training"),
    ] = None,
    checkpoint: Annotated[
        Literal["last", "best"], typer.Option(help="Which of the run's checkpoints.")
    ] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test a trained network on the test part of its data set.

    [bold]Examples[/bold]

      chainrule eval runs/mnist-lenet-20260131-142501

      chainrule eval RUN --checkpoint best

      chainrule eval RUN --dataset drawn                     digits that it has never seen

      chainrule eval RUN --json
    """
    from chainrule.cli.screen import Downloads, console
    from chainrule.errors import ConfigError
    from chainrule.train import find_source, load_run, load_test
    from chainrule.train.engines import build_scoring

    screen = console()
    saved = load_run(run, checkpoint)
    name = dataset or saved.config.dataset
    folder = str(data) if data is not None else None
    with Downloads(screen) as downloads:
        source = find_source(name, folder, downloads)
    if source.reason:
        raise ConfigError(source.reason, cure="name the folder of the data with --data")
    limit = saved.config.limit if dataset is None else None
    pictures, classes = load_test(name, folder, saved.mean, saved.std, limit)
    if len(classes) != len(saved.classes):
        raise ConfigError(
            f"{name} has {len(classes)} classes, the network of {run} tells {len(saved.classes)}",
            cure="test it on a data set of as many classes",
        )
    score = build_scoring(saved.config.engine, saved.model)(pictures, len(classes))
    counts = score.confusion.sum(1)
    if as_json:
        result: dict[str, Any] = {
            "dataset": name,
            "data_source": source.text,
            "samples": len(pictures),
            "accuracy": score.accuracy,
            "loss": score.loss,
            "step": saved.step,
            "confusion": score.confusion.tolist(),
        }
        typer.echo(json.dumps(result))
        return
    _show(screen, source.text, saved.classes, score, counts)


def _show(screen: Any, source: str, classes: tuple[str, ...], score: Any, counts: Any) -> None:
    from rich.table import Table

    screen.print(
        f"accuracy [bold green]{score.accuracy:.2%}[/bold green], loss {score.loss:.4f}, on "
        f"{int(counts.sum()):,} test pictures of {source}",
        soft_wrap=True,
    )
    table = Table(box=None, header_style="dim")
    table.add_column("class")
    for column in ("pictures", "right", "accuracy"):
        table.add_column(column, justify="right")
    table.add_column("most often taken for")
    for index, name in enumerate(classes):
        if not counts[index]:
            continue
        row = score.confusion[index].copy()
        right, row[index] = int(row[index]), 0
        wrong = int(row.argmax())
        taken = f"{classes[wrong]} ({int(row[wrong])})" if row[wrong] else ""
        table.add_row(
            name, str(int(counts[index])), str(right), f"{right / counts[index]:.2%}", taken
        )
    screen.print(table)
