"""`chainrule data`: which data sets there are, where they lie, and fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["data_app"]

data_app = typer.Typer(
    no_args_is_help=True,
    help="List the data sets, or fetch one.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="A folder of data sets.", show_default="the cache"),
]


@data_app.command("list")
def list_sets(directory: Folder = None) -> None:
    """List the data sets, and where those lie that are here.

    [bold]Examples[/bold]

      chainrule data list

      chainrule data list --dir ~/data
    """
    from rich.table import Table

    from chainrule.cli.screen import console
    from chainrule.data import CATALOG, locate
    from chainrule.errors import DataError

    table = Table(box=None, header_style="dim")
    for column in ("name", "classes", "train", "test", "where"):
        table.add_column(
            column, justify="right" if column in ("classes", "train", "test") else "left"
        )
    for name, info in CATALOG.items():
        try:
            files = locate(name, directory, allow_download=False)
            where = f"{files.train_images.parent} ({files.origin.replace('_', ' ')})"
        except DataError:
            megabytes = sum(file.size for file in info.published) / 1e6
            where = f"not here; {megabytes:,.0f} MB to fetch"
        counts = [f"{count:,}" for count in info.counts]
        table.add_row(name, str(len(info.classes)), *counts, where)
    table.add_row("drawn", "10", "any", "any", "made by this program when it is used")
    console().print(table)


@data_app.command("fetch", no_args_is_help=True)
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `data list` shows.")],
    directory: Folder = None,
) -> None:
    """Find a data set, or download it: from several mirrors, checked, resumed if it was cut off.

    [bold]Examples[/bold]

      chainrule data fetch mnist

      chainrule data fetch fashion-mnist --dir ~/data        then: train ... --data ~/data
    """
    from chainrule.cli.screen import Downloads, console
    from chainrule.data import locate

    screen = console()
    if name == "drawn":
        screen.print("drawn digits are made when they are used: there is nothing to fetch")
        return
    with Downloads(screen) as downloads:
        files = locate(name, cache_dir=directory, progress=downloads)
    screen.print(f"{name} is in {files.train_images.parent}", markup=False, soft_wrap=True)
