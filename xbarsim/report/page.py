"""The report of a campaign: one page that needs nothing else, and its figures as files."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xbarsim import __version__
from xbarsim.campaigns.exchange import check_output
from xbarsim.errors import InputError, check_choice
from xbarsim.files import check_folder, write_atomically
from xbarsim.hints import checked
from xbarsim.report.plots import save_figure, with_plain_words
from xbarsim.report.result_figures import Shown, figures
from xbarsim.report.result_tables import failure_table, run_table
from xbarsim.report.results import Results, read_results
from xbarsim.report.tables import Table, duration, is_number


@dataclass(frozen=True)
class _Column:
    name: str
    number: bool


@checked
def write_report(
    store: str | Path, path: str | Path, *, command: Callable[[str], str] | None = None
) -> Path:
    """Write the page.

    Parameters
    ----------
    command : gives what people type for a figure of a name, to be shown below it

    Raises
    ------
    InputError : no store, one without a trial, a place that cannot be written.
    """
    check_output(Path(store), path)
    results = read_results(store)
    text = _page(results, figures(results), command or (lambda name: ""))
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_figures(store: str | Path, folder: str | Path, *, only: str | None = None) -> list[Path]:
    """Write figures as PNG and SVG into a folder: all, or one by name."""
    check_folder(folder)
    shown = figures(read_results(store))
    if not shown:
        raise InputError(str(store), "trials that a figure can show", "none", "the page has the tables")
    if only is not None:
        check_choice("figure", only, [figure.name for figure in shown])
        shown = [figure for figure in shown if figure.name == only]
    return [
        save_figure(figure.draw(), Path(folder) / f"{figure.name}{suffix}")
        for figure in shown
        for suffix in (".png", ".svg")
    ]


def _page(results: Results, shown: list[Shown], command: Callable[[str], str]) -> str:
    environment = Environment(
        loader=PackageLoader("xbarsim.report", "."), autoescape=True, undefined=StrictUndefined
    )
    assert results.path is not None  # it was read from a file
    store = shlex.quote(results.path.name)
    trials = sum(task.done for task in results.tasks)
    seconds = sum(task.seconds for task in results.tasks)
    tables = {
        "tasks": results.table(),
        "pairs": results.pairs(),
        "failures": failure_table((*results.tasks, *results.empty), results.failures),
        "runs": run_table(results.runs),
    }
    return environment.get_template("page.html").render(
        title=f"Campaign {results.path.stem}",
        subtitle=f"{results.path.name}, {_span(results.runs)}",
        tiles=[
            ("tasks", f"{len(results.tasks) + len(results.empty):,}"),
            ("trials", f"{trials:,}"),
            ("of work", duration(1e9 * seconds)),
            ("failed", f"{sum(task.failed for task in (*results.tasks, *results.empty)):,}"),
        ],
        figures=[
            {
                "name": figure.name,
                "title": figure.title,
                "words": figure.words,
                "svg": Markup(_svg(figure, place)),
                "command": command(figure.name),
            }
            for place, figure in enumerate(shown)
        ],
        tables=[
            {"name": name, "table": table, "columns": _columns(table)}
            for name, table in tables.items()
            if table.rows
        ],
        footer=f"xbarsim {__version__}. Every trial: xbarsim campaign export {store} trials.csv",
    )


def _span(runs: Sequence[tuple[int, str, str, str]]) -> str:
    return f"runs from {runs[0][1]} to {runs[-1][1]} (UTC)" if runs else "of no run that it knows"


def _columns(table: Table) -> list[_Column]:
    return [
        _Column(name, all(is_number(row[place]) for row in table.rows))
        for place, name in enumerate(table.columns)
    ]


def _svg(figure: Shown, place: int) -> str:
    """The drawing alone, with names of its own, so that several can stand in one page."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": figure.name}):
        with_plain_words(figure.draw()).savefig(buffer, format="svg", metadata={"Date": None}, dpi=150)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for mark in ('id="', "url(#", 'href="#'):
        text = text.replace(mark, f"{mark}f{place}-")
    return text
