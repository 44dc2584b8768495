"""The walk as text in a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from chainrule.explain.formulas import number
from chainrule.explain.story import Record
from chainrule.explain.summary import Summary
from chainrule.explain.walk import Exhibit, Frame, Part, frames_of

__all__ = ["print_walk"]

COLOURS = {"value": "blue", "gradient": "dark_orange3", "local": "magenta"}
_KINDS = {"start": "white", "forward": "blue", "back": "dark_orange3", "meeting": "green"}
SMALL = 8
_BARS = " ▁▂▃▄▅▆▇█"


def print_walk(record: Record, console: Console | None = None) -> None:
    """Print every frame, one below the other."""
    screen = console or Console(highlight=False)
    frames = frames_of(record)
    for index, frame in enumerate(frames):
        screen.print(_panel(record, frame, f"{index + 1}/{len(frames)}"))
    if record.left_out:
        screen.print(f"{record.left_out} more ops were not recorded: pass a greater limit=.")


def _panel(record: Record, frame: Frame, place: str) -> Panel:
    lines: list[Any] = []
    if frame.step is not None and frame.kind != "meeting":
        step = record.steps[frame.step]
        calls = " › ".join(map(str, record.calls_of(step)))
        if calls:
            lines.append(Text(calls, style="dim"))
        if step.source is not None and step.source.text:
            lines.append(Text(f"{step.source.line:4}  {step.source.text}", style="dim"))
    if frame.formula:
        lines.append(Text(frame.formula, style="bold"))
    lines += [_part(part) for part in frame.parts]
    return Panel(
        Group(*lines),
        title=Text(f"{place}  {frame.title}", style="bold"),
        title_align="left",
        border_style=_KINDS.get(frame.kind, "white"),
        box=box.ROUNDED,
    )


def _part(part: Part) -> Group:
    lines: list[Any] = []
    if part.title:
        rule = f"   {part.rule}" if part.rule else ""
        lines.append(Text.assemble((part.title, "bold"), (rule, "italic")))
    elif part.rule:
        lines.append(Text(part.rule, style="italic"))
    lines += [Text(f"  {line}") for line in part.lines]
    told = bool(part.lines) and all(each.summary.scalar is not None for each in part.exhibits)
    if not told:  # the lines have all the numbers already
        shown = part.exhibits[1:] if part.title.startswith("to ") else part.exhibits
        lines += [_exhibit(each) for each in shown]  # the incoming gradient is above already
    return Group(*lines)


def _exhibit(each: Exhibit) -> Any:
    style = COLOURS[each.role]
    label = Text(f"  {each.label}", style=style)
    summary = each.summary
    if summary.scalar is not None:
        return Text.assemble(label, (f" = {number(summary.scalar)}", f"bold {style}"))
    rows = _rows(summary)
    if rows is None:
        return Text.assemble(label, f"  {described(summary)}")
    table = Table(box=None, show_header=False, padding=(0, 1))
    for row in rows:
        table.add_row("   ", *[Text(number(x, 3), style=style, justify="right") for x in row])
    return Group(Text.assemble(label, f"  {summary.type}"), table)


def _rows(summary: Summary) -> list[list[float]] | None:
    """The numbers as rows, if they are few."""
    numbers = summary.numbers
    if numbers is None or numbers.ndim > 2 or not numbers.size or max(numbers.shape) > SMALL:
        return None
    return numbers.reshape(-1, numbers.shape[-1]).tolist()


def described(summary: Summary) -> str:
    """An array in a line: type, norm, range, and how its numbers are distributed."""
    if not summary.size:
        return f"{summary.type}  empty"
    spread = ""
    if summary.histogram is not None and len(summary.histogram.counts) > 1:
        most = max(summary.histogram.counts)
        spread = "  " + "".join(_BARS[-(-8 * c // most)] for c in summary.histogram.counts)
    broken = f"  {summary.broken} not finite" if summary.broken else ""
    return (
        f"{summary.type}  norm {number(summary.norm)}  "
        f"{number(summary.least, 3)} … {number(summary.greatest, 3)}{spread}{broken}"
    )
