"""Small tables for people: plain text in cells, drawn by rich in the terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from xbarsim.errors import printable

PLAIN_WIDTH = 110
SHORT = 23  # a column of so many letters is not broken where others can be
GAP = 2  # blanks between columns
NUMERIC = (*"0123456789-+<>", "")
LONGEST_NOTE = 4000
WORD = re.compile(r"[A-Za-z]{4}")  # no unit is as long


@dataclass(frozen=True, kw_only=True)
class Table:
    """A titled table of text.

    Attributes
    ----------
    columns : headings; columns of numbers are aligned to the right
    rows : as many cells as columns each
    note : one or two sentences below

    Text may be anybody's: what steers a terminal is shown, what is very long is cut.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", printable(self.title))
        object.__setattr__(self, "columns", tuple(map(printable, self.columns)))
        object.__setattr__(self, "rows", tuple(tuple(map(printable, row)) for row in self.rows))
        object.__setattr__(self, "note", printable(self.note, LONGEST_NOTE))

    def __str__(self) -> str:
        """The table as it is printed, 110 characters wide."""
        console = Console(file=io.StringIO(), width=PLAIN_WIDTH, highlight=False)
        print_table(self, console)
        return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def print_table(table: Table, console: Console) -> None:
    """Draw a table on a console."""
    drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    columns = list(zip(table.columns, *table.rows, strict=True))
    for (heading, *cells), width in zip(columns, _widths(columns, console.width), strict=True):
        justify: Literal["left", "right"] = "right" if all(map(is_number, cells)) else "left"
        drawn.add_column(Text(heading), justify=justify, overflow="fold", width=width)
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console.print(table.title, style="bold", markup=False, highlight=False)
    console.print(drawn)
    if table.note:
        console.print(table.note, style="dim", markup=False, highlight=False)
    console.print()


def _widths(columns: Sequence[Sequence[str]], width: int) -> list[int | None]:
    """Of every column, so that no word breaks; None, rich's own choice, where that cannot be."""
    full = [max(map(len, cells)) for cells in columns]
    found = [max((len(word) for cell in cells for word in cell.split()), default=0) for cells in columns]
    spare = width - GAP * (len(columns) - 1) - sum(found)
    if spare < 0:
        return [None] * len(columns)
    for place in sorted(range(len(columns)), key=lambda i: full[i]):
        if full[place] <= SHORT:
            more = min(spare, full[place] - found[place])
            found[place], spare = found[place] + more, spare - more
    while spare > 0 and found != full:
        place = max(range(len(columns)), key=lambda i: full[i] / found[i] if found[i] else 0.0)  # most lines
        found[place], spare = found[place] + 1, spare - 1
    return list(found)


def is_number(cell: str) -> bool:
    """Whether a cell looks like a number, perhaps with a unit, so that its column is aligned to the right.

    >>> is_number("21 us"), is_number("0 of 50"), is_number("10 original, SDC-1")
    (True, True, False)
    """
    return cell[:1] in NUMERIC and WORD.search(cell) is None


def duration(latency_ns: float) -> str:
    """A time with a readable unit.

    >>> duration(160.0), duration(7.3e7)
    ('160 ns', '73 ms')
    """
    for unit, size_ns in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if latency_ns >= size_ns:
            return f"{latency_ns / size_ns:.3g} {unit}"
    return f"{latency_ns:.3g} ns"


def energy(energy_pJ: float) -> str:
    """An energy in microjoules, or that it is unknown.

    >>> energy(7.3e6), energy(float("nan"))
    ('7.3 uJ', 'unknown energy')
    """
    return "unknown energy" if isnan(energy_pJ) else f"{energy_pJ / 1e6:.3g} uJ"
