"""`xbarsim study`: published tables and figures, ours beside the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarsim.cli import options, output

app = typer.Typer(help="Published tables and figures, ours beside the paper's.", rich_markup_mode=None)
BoardFolder = Annotated[
    Path | None,
    typer.Option("--board", help="Folder of the parameter files; by default bnn-pynq under XBARSIM_DATA."),
]
Budget = Annotated[
    str, typer.Option("--budget", "-b", help="smoke: 100 test images; cpu, full: all of them, some minutes.")
]


@app.command("fat-table1")
def fat_table1(
    context: typer.Context,
    board: BoardFolder = None,
    budget: Budget = "cpu",
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """FAT, Table I and Fig. 3: every channel of cnvW1A1 stuck at -1 and at +1."""
    output.prepare(out)
    from xbarsim.studies import fat

    with output.progress("sticking channels") as advance:
        study = fat.run_table1(board, budget, on_step=advance)
    output.finish(
        context,
        {
            "baseline_hits": study.results.baseline_hits,
            "shots": study.results.shots,
            "layers": study.extremes,
        },
        [fat.table1(study)],
        as_json=as_json,
        out=out,
        figures={"fat-fig3.png": lambda: fat.figure3(study)},
    )


@app.command("fat-fig9")
def fat_fig9(
    context: typer.Context,
    board: Annotated[
        list[Path] | None,
        typer.Option("--board", help="Folder of parameter files; may be repeated; cnvW1A1 by default."),
    ] = None,
    budget: Budget = "cpu",
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """FAT, Fig. 9: worst-case error against hardware cost with selective channel replication."""
    output.prepare(out)
    from xbarsim.studies import fat

    found = []
    folders: list[Path | None] = [*board] if board else [None]
    for folder in folders:
        with output.progress("sticking channels") as advance:
            found.append(fat.run_figure9(folder, budget, on_step=advance))
    output.finish(
        context,
        {"networks": found, "fronts": [fat.figure9_fronts(study) for study in found]},
        [fat.figure9_table(study) for study in found],
        as_json=as_json,
        out=out,
        figures={"fat-fig9.png": lambda: fat.figure9(found)},
    )
