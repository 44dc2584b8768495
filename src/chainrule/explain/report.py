"""What `check` found, as a value that prints well: in a terminal, in a notebook, as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.explain.diagnosis import Diagnosis

__all__ = ["Report", "Row", "Witness"]


@dataclass(frozen=True)
class Witness:
    """How far a claimed gradient is from what one witness says.

    Attributes:
        name: of the witness.
        absolute: the largest difference.
        relative: the same over the largest entry of the witness's gradient.
        agrees: whether that is rounding.
    """

    name: str
    absolute: float
    relative: float
    agrees: bool


@dataclass(frozen=True)
class Row:
    """One input or parameter.

    Attributes:
        name: what it is called.
        shape: its shape.
        witnesses: what they say of its gradient.
        elsewhere: at how many other inputs the gradient was compared, and at how many it was wrong.
    """

    name: str
    shape: tuple[int, ...]
    witnesses: tuple[Witness, ...]
    elsewhere: tuple[int, int] = (0, 0)

    @property
    def agrees(self) -> bool:
        """Whether no witness objects."""
        return all(each.agrees for each in self.witnesses) and self.elsewhere[1] == 0


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        name: what was checked.
        rows: one for each input and parameter.
        diagnoses: what is wrong, if anything is.
        error: what the derivative raised, if it did.
    """

    name: str
    rows: tuple[Row, ...]
    diagnoses: tuple[Diagnosis, ...] = ()
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the derivative stands."""
        return not self.error and all(row.agrees for row in self.rows)

    def __bool__(self) -> bool:
        return self.agrees

    @property
    def headings(self) -> tuple[str, ...]:
        """The table's columns."""
        names = [each.name for each in self.rows[0].witnesses] if self.rows else []
        return ("gradient of", *(f"against {name}" for name in names), "at other inputs", "")

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The table's rows."""
        return [
            (
                f"{row.name} {list(row.shape)}",
                *(f"{each.absolute:.0e} ({each.relative:.0e})" for each in row.witnesses),
                f"{row.elsewhere[0] - row.elsewhere[1]} of {row.elsewhere[0]} agree",
                "agrees" if row.agrees else "WRONG",
            )
            for row in self.rows
        ]

    @property
    def verdict(self) -> str:
        """The last line."""
        if self.agrees:
            return f"{self.name}: the derivative agrees with all witnesses"
        wrong = ", ".join(row.name for row in self.rows if not row.agrees)
        return f"{self.name}: the derivative is wrong" + (f" for {wrong}" if wrong else "")

    def __str__(self) -> str:
        table = [self.headings, *self.cells]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.headings))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in table]
        return "\n".join([*lines, self.verdict, *self._notes()])

    __repr__ = __str__

    def _notes(self) -> list[str]:
        raised = [f"it raised {self.error}"] if self.error else []
        return [*raised, *map(str, self.diagnoses)]

    def _repr_markdown_(self) -> str:
        rule = "|" + "---|" * len(self.headings)
        rows = ["| " + " | ".join(each) + " |" for each in (self.headings, *self.cells)]
        notes = [f"- {note}" for note in self._notes()]
        return "\n".join([rows[0], rule, *rows[1:], "", f"**{self.verdict}**", "", *notes])

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="dim")
        for index, heading in enumerate(self.headings):
            table.add_column(heading, justify="left" if index == 0 else "right")
        for row, cells in zip(self.rows, self.cells, strict=True):
            style = "green" if row.agrees else "bold red"
            table.add_row(*cells[:-1], Text(cells[-1], style=style))
        verdict = Text(self.verdict, style="bold green" if self.agrees else "bold red")
        return Group(table, verdict, *[Text(note) for note in self._notes()])
