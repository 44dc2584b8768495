"""`chainrule cache`: where compiled programs are kept, and throwing them away."""

from __future__ import annotations

import typer

__all__ = ["cache_app"]

cache_app = typer.Typer(
    no_args_is_help=True,
    help="Look at the compiled programs that are kept, or throw them away.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@cache_app.command("info")
def info() -> None:
    """Say where compiled programs are kept, how many there are, and how large.

    The folder is the platform's cache folder, or the one that CHAINRULE_CACHE names;
    with CHAINRULE_CACHE=off, none is kept.

    [bold]Examples[/bold]

      chainrule cache info
    """
    from chainrule.cli.screen import console
    from chainrule.compile.object_cache import object_cache

    cache = object_cache()
    if cache is None:
        console().print("compiled programs are not kept: CHAINRULE_CACHE is off")
        return
    held = cache.info()
    lines = {
        "folder": str(held.folder),
        "programs": f"{held.programs:,}",
        "size": f"{held.size / 1e6:,.1f} MB of at most {held.limit / 1e6:,.0f}",
    }
    for name, value in lines.items():
        console().print(f"{name:<12} {value}", markup=False, soft_wrap=True)


@cache_app.command("clear")
def clear() -> None:
    """Throw the compiled programs away; they are compiled again when they are needed.

    [bold]Examples[/bold]

      chainrule cache clear
    """
    from chainrule.cli.screen import console
    from chainrule.compile.object_cache import object_cache

    cache = object_cache()
    if cache is None:
        console().print("compiled programs are not kept: CHAINRULE_CACHE is off")
        return
    before = cache.clear()
    console().print(
        f"removed {before.programs:,} programs, {before.size / 1e6:,.1f} MB, from {before.folder}",
        markup=False,
        soft_wrap=True,
    )
