"""`xbarsim study`: published tables and figures, ours beside the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarsim import stops
from xbarsim.cli import options, output, schedulers
from xbarsim.errors import InputError
from xbarsim.papers.studies import STUDIES

if TYPE_CHECKING:
    from xbarsim.campaigns.dask_scheduler import DaskScheduler

app = typer.Typer(help="Published tables and figures, ours beside the paper's.", rich_markup_mode=None)


def _add(name: str, about: str) -> None:
    @app.command(name, help=about)
    def command(
        context: typer.Context,
        budget: Annotated[
            str,
            typer.Option(
                "--budget", "-b",
                help="smoke: a minute; cpu: two cores, under 40 minutes; full: the paper's recipe.",
            ),
        ] = "cpu",
        networks: Annotated[
            Path,
            typer.Option("--networks", help="Folder of trained networks and trials: kept, and found again."),
        ] = Path("trained"),
        board: Annotated[
            list[Path] | None,
            typer.Option(
                "--board",
                help="Folder of parameter files or a checkpoint, for studies of boards; may be repeated.",
            ),
        ] = None,
        device: Annotated[
            str, typer.Option("--device", help="cpu, cuda or mps: where networks are trained.")
        ] = "cpu",
        store: Annotated[
            Path | None, typer.Option("--store", help="File of the trials; in --networks by default.")
        ] = None,
        workers: options.Workers = 1,
        scheduler: options.Scheduler = None,
        trust_scheduler: options.TrustScheduler = False,
        tls_ca_file: options.TlsCaFile = None,
        tls_cert: options.TlsCert = None,
        tls_key: options.TlsKey = None,
        wait_for_workers: options.WaitForWorkers = None,
        seed: Annotated[
            int | None,
            typer.Option(
                "--seed", "-s", help="Decides everything that is drawn; by default that of published results."
            ),
        ] = None,
        as_json: options.AsJson = False,
        out: options.Out = None,
    ) -> None:  # fmt: skip
        cluster = schedulers.scheduler(
            scheduler, trust=trust_scheduler, ca_file=tls_ca_file, cert=tls_cert, key=tls_key,
            wait_s=wait_for_workers,
        )  # fmt: skip
        _run(
            context, name, budget=budget, networks=networks, boards=board, device=device, store=store,
            workers=workers, scheduler=cluster, seed=seed, as_json=as_json, out=out,
        )  # fmt: skip


def _run(
    context: typer.Context,
    name: str,
    *,
    budget: str,
    networks: Path,
    boards: list[Path] | None,
    device: str,
    store: Path | None,
    workers: int,
    scheduler: DaskScheduler | None,
    seed: int | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Make what a study lacks, and show it; the same command goes on after anything."""
    output.prepare(out, store)
    from xbarsim.experiments.collecting import collect
    from xbarsim.files import check_folder
    from xbarsim.papers.studies import study
    from xbarsim.papers.study import Settings

    if boards and not STUDIES[name].takes_boards:
        taking = [other for other, entry in STUDIES.items() if entry.takes_boards]
        remedy = f"boards are for {' and '.join(taking)}"
        raise InputError("--board", f"none with {name}", str(boards[0]), remedy)
    check_folder(networks)
    chosen = study(name)
    seed = context.params["seed"] = chosen.seed if seed is None else seed
    settings = Settings(budget=budget, folder=networks, seed=seed, device=device, boards=tuple(boards or ()))
    stops.remedy(output.GOES_ON)
    tasks = chosen.tasks(settings)
    with output.trials() as on_progress:
        results = collect(
            tasks,
            store or networks / f"{name}-{budget}-seed-{seed}.db",
            workers=workers,
            scheduler=scheduler,
            fail_fast=True,
            on_progress=on_progress,
            on_wait=output.say,
            command=output.command_line(),
        )
    shown = chosen.show(results, settings)
    output.finish(
        context,
        shown.results,
        shown.tables,
        as_json=as_json,
        out=out,
        figures=shown.figures,
        files=shown.files,
    )


for _name, _entry in STUDIES.items():
    _add(_name, _entry.about)
