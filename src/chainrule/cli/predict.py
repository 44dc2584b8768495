"""`chainrule predict`: what a trained network says of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = ["predict"]


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `train` made.")],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE...", help="PNG, JPEG, PGM, ... or .npy files, a digit each."
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = 3,
    checkpoint: Annotated[
        Literal["last", "best"], typer.Option(help="Which of the run's checkpoints.")
    ] = "last",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each picture.")
    ] = False,
) -> None:
    """Say which digit is in a picture: a photograph, a scan, a drawing.

    A picture is brought into the form that the network knows: inverted if the ink is dark, cropped,
    scaled into 20 x 20 and centred by mass, as MNIST was made. What came of it is shown.

    [bold]Examples[/bold]

      chainrule predict runs/mnist-lenet-20260131-142501 seven.png

      chainrule predict RUN *.jpg --top 1

      chainrule predict RUN seven.png --json
    """
    import numpy as np

    from chainrule.cli.screen import console
    from chainrule.data import as_mnist, read_image
    from chainrule.errors import ImageError
    from chainrule.train import load_run, probabilities

    saved = load_run(run, checkpoint)
    screen = console()
    failed: list[ImageError] = []
    for path in images:
        try:
            picture = as_mnist(read_image(path))
        except ImageError as error:
            if str(path) not in error.problem:  # what is in the picture knows no file
                error.problem = f"{path}: {error.problem}"
            if len(images) == 1:
                raise
            failed.append(error)
            continue
        chances = probabilities(saved.model, picture[None], saved.mean, saved.std)[0]
        order = np.argsort(-chances, kind="stable")[:top].tolist()
        if as_json:
            best: list[dict[str, Any]] = [
                {"class": saved.classes[i], "probability": float(chances[i])} for i in order
            ]
            answer: dict[str, Any] = {
                "picture": str(path),
                "label": order[0],
                "class": saved.classes[order[0]],
                "probability": float(chances[order[0]]),
                "top": best,
            }
            typer.echo(json.dumps(answer))
        else:
            _show(screen, path, picture, [(saved.classes[i], float(chances[i])) for i in order])
    if failed:
        raise ImageError(
            f"{len(failed)} of {len(images)} pictures can't be read:\n  "
            + "\n  ".join(error.problem for error in failed),
            cure=failed[0].cure,
        )


def _show(screen: Any, path: Path, picture: Any, best: list[tuple[str, float]]) -> None:
    from rich.columns import Columns
    from rich.panel import Panel
    from rich.text import Text

    from chainrule.cli.screen import bar, blocks

    lines = Text()
    width = max(len(name) for name, _ in best)
    for rank, (name, chance) in enumerate(best):
        style = "bold green" if rank == 0 else "dim"
        lines.append(f"{name:<{width}}  {chance:7.2%}  {bar(chance)}\n", style)
    screen.print(Text(str(path), "bold"))
    seen = Panel(blocks(picture), title="what it got", expand=False)
    screen.print(Columns([seen, lines], padding=(0, 2)))
