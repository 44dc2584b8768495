"""`chainrule serve`: a page on which one draws digits for a trained network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["serve"]


def serve(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `train` made.")],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen: here alone, unless told so.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8000,
    checkpoint: Annotated[
        Literal["last", "best"], typer.Option(help="Which of the run's checkpoints.")
    ] = "last",
) -> None:
    """Draw a digit in the browser, and look into the network while it answers.

    The page shows the probabilities, the picture that the network gets, what each layer makes of
    it, and which pixels pushed the answer. Correct it, and watch what one training step does to a
    copy of the network; the run itself is never changed.

    [bold]Examples[/bold]

      chainrule serve runs/mnist-lenet-20260131-142501

      chainrule serve RUN --port 0                    any port that is free

      chainrule serve RUN --host 0.0.0.0              a phone in the same network, too

    Ctrl-C ends it.

    Exit codes: 0 ended, 1 the run is missing or damaged, 2 wrong usage, or the port is taken.
    """
    from chainrule.cli.screen import console
    from chainrule.errors import MissingDependencyError
    from chainrule.train import load_run

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise MissingDependencyError(
            "the page needs Starlette and uvicorn", cure="pip install 'chainrule[serve]'"
        )
    saved = load_run(run, checkpoint)

    from chainrule.serve.app import create_app
    from chainrule.serve.running import address_of, build_server, listen
    from chainrule.serve.running import run as run_server

    opened = listen(host, port)
    server = build_server(create_app(saved, run.resolve().name, host))
    lines = [f"draw at {address_of(opened)} (Ctrl-C ends it)"]
    if host not in ("127.0.0.1", "localhost", "::1"):
        lines.append("anybody who reaches this machine can open it")
    screen = console()
    for line in lines:
        screen.print(line, highlight=False, markup=False, soft_wrap=True)
    run_server(server, opened)
