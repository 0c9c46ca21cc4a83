"""`xbarsim protect`: which channels and PEs of a FINN accelerator to triplicate, and what stays dangerous."""

from __future__ import annotations

from typing import Annotated

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    board: options.Board,
    name: options.BoardName = None,
    dataset: options.BoardData = None,
    images: Annotated[
        int, typer.Option(help="Test images to rank and to judge with; more are slower and surer.")
    ] = 200,
    protected: Annotated[int, typer.Option(help="Triplicated channels in the safety summary.")] = 20,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Selective replication and scheduling of rows over PEs, costed together; safe and dangerous shares."""
    output.prepare(out)
    from xbarsim.studies import protection
    from xbarsim.studies.boards import board_bench

    bench = board_bench(board, name=name, dataset=dataset, images=images)
    with output.progress("injecting faults") as advance:
        study = protection.study_protection(bench, protected=protected, on_step=advance)
    output.finish(
        context,
        {"protection": study},
        [protection.schedule_table(study), protection.safety_summary(study)],
        as_json=as_json,
        out=out,
        figures={"protection.png": lambda: protection.protection_figure(study)},
    )
