"""`chainrule version`: what is needed to reproduce a run, or to report a mistake."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chainrule.cli.facts import facts, facts_text

__all__ = ["version"]


def version(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the versions of this program, Python, NumPy, its BLAS, and the platform.

    [bold]Examples[/bold]

      chainrule version

      chainrule version --json
    """
    typer.echo(json.dumps(facts()) if as_json else facts_text())
