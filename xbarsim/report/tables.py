"""Small tables for people: plain text in cells, drawn by rich in the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

NUMERIC = (*"0123456789-+<>", "")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A titled table of text.

    Attributes
    ----------
    columns : headings; columns of numbers are aligned to the right
    rows : as many cells as columns each
    note : one or two sentences below
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def print_table(table: Table, console: Console) -> None:
    """Draw a table on a console."""
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, heading in enumerate(table.columns):
        numbers = all(is_number(row[place]) for row in table.rows)
        drawn.add_column(Text(heading), justify="right" if numbers else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console.print(table.title, style="bold", markup=False, highlight=False)
    console.print(drawn)
    if table.note:
        console.print(table.note, style="dim", markup=False, highlight=False)
    console.print()


def is_number(cell: str) -> bool:
    """Whether a cell looks like a number, so that its column is aligned to the right."""
    return cell[:1] in NUMERIC


def duration(latency_ns: float) -> str:
    """A time with a readable unit.

    >>> duration(160.0), duration(7.3e7)
    ('160 ns', '73 ms')
    """
    for unit, size_ns in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if latency_ns >= size_ns:
            return f"{latency_ns / size_ns:.3g} {unit}"
    return f"{latency_ns:.3g} ns"


def byte_size(count: float) -> str:
    """A size with a readable unit.

    >>> byte_size(861000)
    '861 kB'
    """
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"
