"""Tables for people: columns, words that do not break, readable units."""

import io

import pytest
from rich.console import Console

from xbarsim.report.tables import Table, duration, energy, print_table


def test_table_is_printed_with_its_brackets_and_its_note():
    table = Table(
        title="Times [b]", columns=("name", "t [ns]"), rows=(("[red]a", "1"), ("b", "22")), note="Why [x]."
    )
    console = Console(file=io.StringIO(), width=60)
    print_table(table, console)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines == ["Times [b]", "name    t [ns]", "[red]a       1", "b           22", "Why [x].", ""]


@pytest.mark.parametrize("width", range(37, 90, 4))
def test_no_word_breaks_as_long_as_all_fit(width):
    """36 columns: 18 + 7 + 7 of the longest words, and 2 x 2 between them."""
    rows = (("adversarial-stable", "85.00 +-0.26", "(84.36) 5"), ("adversarial", "1 +-12345", "3.2 +-0.30"))
    console = Console(file=io.StringIO(), width=width)
    print_table(Table(title="", columns=("how", "20 %", "40 %"), rows=rows), console)
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines())) <= width
    assert sorted(printed.split()) == sorted(" ".join(sum(rows, ("how", "20 %", "40 %"))).split())


def test_a_table_too_wide_loses_no_letter():
    console = Console(file=io.StringIO(), width=12)
    print_table(Table(title="", columns=("a", "b"), rows=(("x" * 20, "y" * 9),)), console)
    assert (console.file.getvalue().count("x"), console.file.getvalue().count("y")) == (20, 9)


@pytest.mark.parametrize(
    ("ns", "words"),
    [(0.5, "0.5 ns"), (999.0, "999 ns"), (1000.0, "1 us"), (2.5e6, "2.5 ms"), (3.21e9, "3.21 s")],
)
def test_durations_have_a_readable_unit(ns, words):
    assert duration(ns) == words


def test_energies_are_in_microjoules_or_unknown():
    assert [energy(pJ) for pJ in (1.5e6, 2.0, float("nan"))] == ["1.5 uJ", "2e-06 uJ", "unknown energy"]
