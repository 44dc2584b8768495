"""The commands, and the one place that turns an error into a few lines and an exit code."""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.core import TyperGroup

from chainrule.cli.cache import cache_app
from chainrule.cli.data import data_app
from chainrule.cli.evaluate import evaluate_run
from chainrule.cli.gradcheck import gradcheck
from chainrule.cli.predict import predict
from chainrule.cli.report import report
from chainrule.cli.serve import serve
from chainrule.cli.train import train
from chainrule.cli.version import version
from chainrule.errors import ChainruleError, ConfigError

__all__ = ["app"]

_FAILURE, _USAGE, _INTERRUPTED = 1, 2, 130


class _Guarded(TyperGroup):
    """A group whose commands end in an exit code, whatever they raise."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a user's mistake is told, not traced."""
        try:
            return super().invoke(ctx)
        except (ChainruleError, OSError, KeyboardInterrupt, MemoryError) as error:
            if _debugging(ctx):
                raise
            raise typer.Exit(_tell(error)) from error


app = typer.Typer(
    cls=_Guarded,
    name="chainrule",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with [bold]chainrule train mnist[/bold]. Each command explains itself: "
    "[bold]chainrule train --help[/bold].",
)


@app.callback()
def _chainrule(
    debug: bool = typer.Option(
        False, "--debug", help="Show the traceback of an error, as CHAINRULE_DEBUG=1 does."
    ),
) -> None:
    """Deep learning from the chain rule to machine code: train a classifier, and try it."""


app.command("train", no_args_is_help=True)(train)
app.command("eval", no_args_is_help=True)(evaluate_run)
app.command("predict", no_args_is_help=True)(predict)
app.command("report", no_args_is_help=True)(report)
app.command("serve", no_args_is_help=True)(serve)
app.add_typer(data_app, name="data")
app.add_typer(cache_app, name="cache")
app.command("gradcheck")(gradcheck)
app.command("version")(version)


def _debugging(ctx: Any) -> bool:
    return bool(ctx.params.get("debug")) or os.environ.get("CHAINRULE_DEBUG", "") not in ("", "0")


def _tell(error: BaseException) -> int:
    """Say what went wrong, where, and what to do; the exit code."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)

    def say(label: str, style: str, text: str) -> None:
        console.print(Text.assemble((label, style), text), soft_wrap=True, highlight=False)

    if isinstance(error, KeyboardInterrupt):
        step = getattr(error, "step", None)
        if step is None:
            say("stopped", "yellow", "")
        return 128 + getattr(error, "signum", _INTERRUPTED - 128)
    if isinstance(error, MemoryError):
        say("error: ", "bold red", f"there is not enough memory: {error}")
        say("to mend it: ", "bold green", "give a smaller --batch-size or --limit")
        return _FAILURE
    if not isinstance(error, ChainruleError):
        say("error: ", "bold red", str(error))
        say("to mend it: ", "bold green", "check that the path is right, and that you may use it")
        return _FAILURE
    say("error: ", "bold red", error.problem)
    if error.location and "chainrule" not in error.location.partition(":")[0]:
        say("at: ", "bold", error.location)
    if error.cure:
        say("to mend it: ", "bold green", error.cure)
    return _USAGE if isinstance(error, ConfigError) else _FAILURE
