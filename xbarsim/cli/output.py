"""What subcommands show: progress on standard error, tables or one JSON document on standard output."""

from __future__ import annotations

import importlib
import json
import math
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from xbarsim.campaigns.runner import OnProgress
    from xbarsim.campaigns.runner import Progress as RunProgress
    from xbarsim.report.results import Results
    from xbarsim.report.tables import Table

Write = Callable[[Path], Path]
GOES_ON = "what was done is kept, and the same command goes on"  # after a stop
HIDDEN = ("as_json", "out")
SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """A bar on standard error; yields a function of steps done and, if it changes, steps in all."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)

        def advance(done: int, steps: int | None = total, *_: object) -> None:
            bar.update(task, completed=done, total=steps)

        yield advance


@contextmanager
def trials() -> Iterator[OnProgress]:
    """Done, rate, time left and the latest estimate, on standard error; off a terminal, a line a minute."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}"), *columns, console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        line = bar.add_task("starting", total=None, rate="")
        begun = told = bar.get_time()

        def show(progress: RunProgress) -> None:
            nonlocal told
            now = bar.get_time()
            made = progress.made / (now - begun) if now > begun else 0.0
            value = progress.current
            metric = json.loads(progress.task.description).get("metric", "share")
            half = f" ± {50 * (value.high - value.low):.2f}" if math.isfinite(value.high - value.low) else ""
            words = f"{metric} {100 * value.value:.2f}{half} %" if progress.made else "preparing"
            rate = f"{made:.1f}/s" + (f", {progress.failed} failed" if progress.failed else "")
            bar.update(line, description=words, completed=progress.done, total=progress.planned, rate=rate)
            if progress.preparing:
                return
            if bar.disable and now > told + SECONDS_BETWEEN_LINES:  # a log, not a terminal
                told = now
                typer.echo(f"{progress.done:,} of {progress.planned:,} trials, {rate}, {words}", err=True)

        yield show


def say(line: str) -> None:
    """Print a line to standard error, above a bar if there is one."""
    typer.echo(line, err=True)


def prepare(out: Path | None, store: Path | None = None) -> None:
    """Begin a study: check that results can be written, and load the slow libraries with a word about it."""
    from rich.console import Console

    from xbarsim.files import check_file, check_folder

    if out is not None:
        check_folder(out)
    if store is not None:
        check_file(store)
    with Console(stderr=True).status("loading PyTorch and numba"):
        importlib.import_module("numba")
        importlib.import_module("torch")


def command_line() -> str:
    """The command that was given, as one would type it again."""
    return " ".join(["xbarsim", *(shlex.quote(word) for word in sys.argv[1:])])


def write_bytes(content: bytes, path: Path) -> Path:
    """Write a file; an earlier one survives a failure."""
    from xbarsim.files import write_atomically

    return write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_frame(frame: pd.DataFrame, path: Path) -> Path:
    """Write a CSV file of all trials; an earlier one survives a failure."""
    from xbarsim.files import write_atomically

    return write_atomically(path, lambda temporary: frame.to_csv(temporary, index=False))


def results_document(results: Results) -> dict[str, Any]:
    """Return every task with its estimate and every trial's counts, null where a trial has none."""
    import pandas as pd

    found = []
    for task in results.tasks:
        trials = results.trials_of(task).dropna(axis=1, how="all")
        counts = {
            name: [None if pd.isna(value) else value for value in trials[name].tolist()]
            for name in map(str, trials)
            if name.startswith("counts.")
        }
        found.append(
            {
                "task": task.key,
                "seed": task.seed,
                "is": task.description,
                "facts": task.facts,
                "estimate": task.moments.estimate(),
                "trial": trials["trial"].tolist(),
                "shots": trials["shots"].tolist(),
                "hits": trials["hits"].tolist(),
                "counts": {name.removeprefix("counts."): values for name, values in counts.items()},
            }
        )
    return {"tasks": found}


def finish(
    context: typer.Context,
    results: Mapping[str, Any],
    tables: Sequence[Table],
    *,
    as_json: bool,
    out: Path | None = None,
    figures: Mapping[str, Callable[[], Figure]] | None = None,
    files: Mapping[str, Write] | None = None,
) -> None:
    """Print the results, then write them to the folder `out`, with figures and files by name.

    Parameters
    ----------
    figures : functions that draw, called only if there is a folder to save in
    files : functions that write a file to the path they get
    """
    from xbarsim.documents import document, json_text

    parameters = {name: value for name, value in context.params.items() if name not in HIDDEN}
    content = document(context.command_path.removeprefix("xbarsim "), parameters, results)
    if as_json:
        typer.echo(json_text(content))
    else:
        show(tables)
    written = _write(out, content, figures or {}, files or {}) if out is not None else []
    if written and not as_json:
        typer.echo("wrote " + ", ".join(str(path) for path in written))


def show(tables: Sequence[Table]) -> None:
    """Print tables to standard output, in full width where it is not a terminal."""
    from rich.console import Console

    from xbarsim.report.tables import print_table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=110)
    for table in tables:
        print_table(table, console)


def _write(
    out: Path,
    content: Mapping[str, Any],
    figures: Mapping[str, Callable[[], Figure]],
    files: Mapping[str, Write],
) -> list[Path]:
    from xbarsim.documents import json_text
    from xbarsim.report.plots import save_figure

    text = json_text(content) + "\n"
    name = content["command"].replace(" ", "-") + ".json"
    written = [write_bytes(text.encode(), out / name)]
    written += [save_figure(draw(), out / name) for name, draw in figures.items()]
    return written + [write(out / name) for name, write in files.items()]
