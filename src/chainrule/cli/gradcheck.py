"""`chainrule gradcheck`: every derivative of the library before its witnesses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from chainrule.autograd.witnesses import Verdict

__all__ = ["gradcheck"]


def gradcheck(
    op: Annotated[
        list[str] | None,
        typer.Option("--op", metavar="NAME", help="Only this op; may be given several times."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON per op.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every op, not only the worst and the wrong.")
    ] = False,
) -> None:
    """Check the derivative of every op by four independent witnesses, in float64.

    Finite differences; adjointness of forward and reverse mode; the second derivative; and for
    layers, whose backward was derived by hand, autodiff of what the layer computes.

    [bold]Examples[/bold]

      chainrule gradcheck

      chainrule gradcheck --op Conv2d --op LayerNorm

    Exit codes: 0 all agree, 1 some derivative is wrong, 2 wrong usage.
    """
    from chainrule.cli.screen import console
    from chainrule.eager import forget

    forget()  # what is judged is each derivative as it stands now
    names = _choose(op or [])
    screen = console()
    try:
        results = _judge_all(names, screen, quiet=as_json)
    finally:
        forget()
    if as_json:
        for name, verdicts in results.items():
            found = {v.witness: {"error": v.error, "agrees": v.agrees} for v in verdicts}
            typer.echo(json.dumps({"op": name, "witnesses": found}))
    else:
        _show(screen, results, everything=everything or bool(op))
    if any(not verdict.agrees for verdicts in results.values() for verdict in verdicts):
        raise typer.Exit(1)


def _choose(names: list[str]) -> list[str]:
    """The ops to check, all modules that define any being loaded."""
    import difflib
    import importlib
    import pkgutil

    from chainrule.core.op import registry
    from chainrule.errors import ConfigError

    for room in ("chainrule.ops", "chainrule.autograd", "chainrule.nn.functional"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)
    lower = {name.lower(): name for name in registry}
    for name in names:
        if name.lower() not in lower:
            near = difflib.get_close_matches(name.lower(), lower, 5)
            meant = ", ".join(lower[each] for each in near)
            raise ConfigError(
                f"there is no op called {name!r}",
                cure=f"did you mean {meant}?"
                if meant
                else "`chainrule gradcheck --all` lists them",
            )
    return [lower[name.lower()] for name in names] or sorted(registry)


def _judge_all(names: list[str], screen: Any, *, quiet: bool) -> dict[str, list[Verdict]]:
    import numpy as np
    from rich.progress import track

    from chainrule.autograd.witnesses import judge
    from chainrule.core.op import registry

    hidden = quiet or not screen.is_terminal
    results: dict[str, list[Verdict]] = {}
    with np.errstate(all="ignore"):
        for name in track(names, "checking", console=screen, transient=True, disable=hidden):
            results[name] = judge(registry[name])
    return results


def _show(screen: Any, results: dict[str, list[Verdict]], *, everything: bool) -> None:
    from rich.table import Table

    from chainrule.autograd.witnesses import WITNESSES

    judged = {name: verdicts for name, verdicts in results.items() if verdicts}
    worst_first = sorted(judged, key=lambda name: -max(v.excess for v in judged[name]))
    wrong = [name for name in judged if any(not v.agrees for v in judged[name])]
    shown = sorted(judged) if everything else worst_first[: max(12, len(wrong))]
    table = Table(box=None, header_style="dim", title_justify="left")
    table.add_column("op" if everything else "op (those nearest to their tolerance)")
    for witness in WITNESSES:
        table.add_column(witness, justify="right")
    for name in shown:
        found = {verdict.witness: verdict for verdict in judged[name]}
        cells = [_cell(found.get(witness)) for witness in WITNESSES]
        table.add_row(name, *cells)
    screen.print(table)
    trials = sum(v.trials for verdicts in judged.values() for v in verdicts)
    screen.print(
        f"{len(judged)} ops with a derivative, {trials:,} checks: "
        + (f"[bold red]{len(wrong)} wrong[/bold red]" if wrong else "[bold green]all agree[/]")
    )
    for name in wrong:
        for verdict in judged[name]:
            if not verdict.agrees:
                screen.print(
                    f"{name}: {verdict.witness} disagrees by {verdict.error:.1e} at "
                    f"{verdict.where}",
                    markup=False,
                    soft_wrap=True,
                )


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    style = "green" if verdict.agrees else "bold red"
    return f"[{style}]{verdict.error:.0e}[/{style}]"
