"""What a run tells while it goes on: a live bar on a terminal, plain lines anywhere else.

The trainer knows only `Reporter`; what is told goes to the console that the reporter was given.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

__all__ = [
    "BarReporter",
    "LineReporter",
    "Reporter",
    "SilentReporter",
    "StepReport",
    "reporter_for",
]


@dataclass(frozen=True)
class StepReport:
    """Where training stands: after `step` of `steps`, in `epoch` of `epochs` (both from 1).

    Loss and accuracy are means over the epoch so far.

    >>> report = StepReport(10, 400, epoch=1, epochs=5, loss=2.1, accuracy=0.3, rate=50_000.0)
    >>> f"{report.step / report.steps:.1%}"
    '2.5%'
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    accuracy: float
    rate: float  # images per second


class Reporter(Protocol):
    """Hears of a run's progress."""

    def step(self, report: StepReport) -> None:
        """After each step; not each has to be shown."""
        ...

    def epoch(self, line: dict[str, Any]) -> None:
        """After each epoch: its line in the metrics."""
        ...

    def note(self, text: str) -> None:
        """Something the user should know now."""
        ...

    def close(self) -> None:
        """Training has ended, well or not."""
        ...


class SilentReporter:
    """Says nothing: for programs and tests.

    >>> SilentReporter().note("unheard")
    """

    def step(self, report: StepReport) -> None:
        """Nothing."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineReporter:
    """A line now and then, and one per epoch: for logs and pipes.

    Args:
        console: where to.
        every: seconds between lines.

    >>> from rich.console import Console
    >>> LineReporter(Console(width=60)).note("a checkpoint was written")
    a checkpoint was written
    """

    def __init__(self, console: Console, every: float = 5.0) -> None:
        self.console = console
        self.every = every
        self._next = time.monotonic() + every

    def step(self, report: StepReport) -> None:
        """A line, if the last one is some seconds ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self.every
        self._print(
            f"epoch {report.epoch}/{report.epochs}  step {report.step}/{report.steps}  "
            f"loss {report.loss:.4f}  accuracy {report.accuracy:.2%}  {report.rate:,.0f} images/s"
        )

    def epoch(self, line: dict[str, Any]) -> None:
        """The epoch's result."""
        self._print(epoch_text(line))

    def note(self, text: str) -> None:
        """The note, on its own line."""
        self._print(text)

    def close(self) -> None:
        """Nothing is open."""

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class BarReporter:
    """A bar per run, with loss, accuracy, speed and the time that remains."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("[bold]epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("loss [cyan]{task.fields[loss]}"),
            TextColumn("acc [green]{task.fields[accuracy]}"),
            TextColumn("[dim]{task.fields[rate]} img/s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=8,
            expand=True,
        )
        self._task: Any = None
        self._shown = 0.0

    def step(self, report: StepReport) -> None:
        """Move the bar."""
        now = time.monotonic()
        if self._task is not None and now - self._shown < 0.1 and report.step < report.steps:
            return  # nobody sees more, and each costs more than a step
        self._shown = now
        fields: dict[str, Any] = {
            "epoch": f"{report.epoch}/{report.epochs}",
            "loss": f"{report.loss:.4f}",
            "accuracy": f"{report.accuracy:.2%}",
            "rate": f"{report.rate:,.0f}",
        }
        if self._task is None:
            self._task = self._progress.add_task("", total=report.steps, **fields)
            self._progress.update(self._task, completed=report.step)
            self._progress.start()
        self._progress.update(self._task, completed=report.step, **fields)

    def epoch(self, line: dict[str, Any]) -> None:
        """The epoch's result, above the bar."""
        self.console.print(epoch_text(line), markup=False)

    def note(self, text: str) -> None:
        """The note, above the bar."""
        self.console.print(f"[yellow]{escape(text)}[/yellow]", soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._progress.stop()


def reporter_for(console: Console) -> Reporter:
    """A bar where it can move, lines where it can't."""
    return BarReporter(console) if console.is_terminal else LineReporter(console)


def epoch_text(line: dict[str, Any]) -> str:
    """An epoch's line for people."""
    text = (
        f"epoch {line['epoch']}  train loss {line['train_loss']:.4f} "
        f"accuracy {line['train_accuracy']:.2%}"
    )
    if "validation_accuracy" in line:
        text += (
            f"  validation loss {line['validation_loss']:.4f} "
            f"accuracy {line['validation_accuracy']:.2%}"
        )
    return f"{text}  {line['seconds']:.1f} s  {line['images_per_second']:,.0f} images/s"
