"""`xbarsim report`: a campaign's store as a page and figures."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def run(
    store: Annotated[Path, typer.Argument(help="A campaign's store.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page to write; STORE with .html by default.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Write figures as PNG and SVG into this folder instead.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="The one figure to write, by name.")] = None,
) -> None:
    """Make a page of a store, with its figures and tables.

    One page with all figures and tables of a campaign, readable without a network.
    """
    from xbarsim.campaigns.exchange import check_output
    from xbarsim.campaigns.store import Store
    from xbarsim.errors import InputError
    from xbarsim.report.page import write_figures, write_report

    Store(store).close()

    if only is not None and figures is None:
        raise InputError("--only", "--figures FOLDER beside it", "none", "the page has all figures")
    page = store.with_suffix(".html") if figures is None and out is None else out
    if page is not None:
        check_output(store, page)
    if figures is not None:
        for path in write_figures(store, figures, only=only):
            typer.echo(f"wrote {path}")
    if page is not None:
        typer.echo(f"wrote {write_report(store, page, command=partial(_figure_command, store.name))}")


def _figure_command(store: str, figure: str) -> str:
    return f"xbarsim report {shlex.quote(store)} --figures figures --only {shlex.quote(figure)}"
