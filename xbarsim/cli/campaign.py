"""`xbarsim campaign`: thousands of trials from a description, kept in a store, resumed after anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarsim import stops
from xbarsim.cli import options, output, schedulers

if TYPE_CHECKING:
    from xbarsim.campaigns.stopping import Precision
    from xbarsim.experiments.campaign_file import Plan
    from xbarsim.report.tables import Table

app = typer.Typer(help="Campaigns of many trials: plan, run, resume, merge, export.", rich_markup_mode=None)
Description = Annotated[Path, typer.Argument(help="Description of the campaign, a TOML or YAML file.")]
StoreFile = Annotated[Path, typer.Argument(help="A campaign's store.")]


@app.command()
def plan(
    context: typer.Context,
    description: Description,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
) -> None:
    """What a campaign would do: its tasks, and how many trials they take."""
    found = _plan(description, plugin)
    tasks = [
        {"key": task.key, "trials": task.trials, "seed": task.seed, "is": task.workload.describe()}
        for task in found.tasks
    ]
    output.finish(context, {"tasks": tasks}, [_plan_table(found)], as_json=as_json)


@app.command()
def run(
    context: typer.Context,
    description: Description,
    plugin: options.Plugins = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="File of the trials; beside the description by default.")
    ] = None,
    workers: options.Workers = 1,
    scheduler: options.Scheduler = None,
    trust_scheduler: options.TrustScheduler = False,
    tls_ca_file: options.TlsCaFile = None,
    tls_cert: options.TlsCert = None,
    tls_key: options.TlsKey = None,
    wait_for_workers: options.WaitForWorkers = None,
    until: Annotated[
        str | None, typer.Option(help="Stop a task when it is precise: 'accuracy ± 0.2 % at 95 %'.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failed trial.")] = False,
    time_limit: Annotated[float | None, typer.Option(help="Most seconds of a trial.")] = None,
    memory_limit: Annotated[int | None, typer.Option(help="Most megabytes of a worker in a trial.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Make what is missing of a campaign; the same command goes on after anything.

    Ctrl-C stops at once and keeps what is done. Ends with 1 if trials failed.
    """
    from xbarsim.campaigns.runner import collect
    from xbarsim.campaigns.worker import Limits

    Limits(time_s=time_limit, memory_MB=memory_limit)  # refuses what is none
    cluster = schedulers.scheduler(
        scheduler, trust=trust_scheduler, ca_file=tls_ca_file, cert=tls_cert, key=tls_key,
        wait_s=wait_for_workers,
    )  # fmt: skip
    path = description.with_suffix(".db") if store is None else store
    planned = _plan(description, plugin, store=path)
    rule = planned.precision if until is None else _rule(until, planned)
    if not as_json:
        output.show([_plan_table(planned)])
    stops.remedy(output.GOES_ON)
    with output.trials() as on_progress:
        summary = collect(
            planned.tasks,
            path,
            workers=workers,
            scheduler=cluster,
            until=rule,
            fail_fast=fail_fast,
            time_limit_s=time_limit,
            memory_limit_MB=memory_limit,
            on_progress=on_progress,
            on_wait=output.say,
            command=output.command_line(),
        )
    found = _status(path)
    output.finish(context, {"run": summary} | found, [_status_table(path, found)], as_json=as_json)
    if summary.failed or summary.unprepared:
        raise typer.Exit(1)


@app.command()
def status(context: typer.Context, store: StoreFile, as_json: options.AsJson = False) -> None:
    """How far a campaign is, and what it has found."""
    found = _status(store)
    output.finish(context, found, [_status_table(store, found)], as_json=as_json)


@app.command()
def merge(
    target: Annotated[Path, typer.Argument(help="Store to put everything into; made if it is missing.")],
    sources: Annotated[list[Path], typer.Argument(help="Stores to take from.")],
) -> None:
    """Put the trials of several stores into one; those that agree are kept once."""
    from xbarsim.campaigns import exchange

    exchange.merge(target, sources)
    output.show([_status_table(target, _status(target))])


@app.command()
def export(
    store: StoreFile, file: Annotated[Path, typer.Argument(help="To write: .parquet or .csv.")]
) -> None:
    """Write all trials as a table, one row each."""
    from xbarsim.campaigns import exchange
    from xbarsim.campaigns.store import Store

    with Store(store) as opened:
        typer.echo(f"wrote {exchange.export(opened, file)}")


def _plan(description: Path, plugins: list[Path] | None, store: Path | None = None) -> Plan:
    output.prepare(None)
    from rich.console import Console

    from xbarsim.code import load_code
    from xbarsim.experiments import campaign_file
    from xbarsim.experiments.campaign_reading import read_campaign
    from xbarsim.files import check_file

    for file in plugins or ():
        load_code(file)
    campaign = read_campaign(description)
    if store is not None:
        check_file(store)
    with Console(stderr=True).status("loading networks and data"):
        return campaign_file.plan(campaign, code=plugins or ())


def _rule(text: str, plan: Plan) -> Precision:
    from xbarsim.experiments.campaign_file import stopping_rule

    return stopping_rule(text, plan.metrics)


def _plan_table(plan: Plan) -> Table:
    from xbarsim.campaigns.store import TaskStatus
    from xbarsim.report.result_tables import described
    from xbarsim.report.tables import Table

    headings, cells, common = described([TaskStatus.planned_of(task) for task in plan.tasks])
    rows = []
    for task, row in zip(plan.tasks, cells, strict=True):
        population = plan.populations.get(task.key)
        words = f"{task.trials:,}" if population is None else f"{task.trials:,} of {population:,}"
        rows.append((*row, words))
    trials = sum(task.trials for task in plan.tasks)
    note = f"{len(plan.tasks)} tasks, {trials:,} trials"
    note += f", fewer where '{plan.precision}' is reached." if plan.precision else "."
    title = f"Plan of {plan.name}" + (f": {common}" if common else "")
    return Table(title=title, columns=(*headings, "trials"), rows=tuple(rows), note=note)


def _status(path: Path) -> dict[str, Any]:
    from xbarsim.campaigns.store import Store

    with Store(path) as store, store.snapshot():
        tasks = [
            {"task": task, "done": task.done, "estimate": task.moments.estimate()} for task in store.status()
        ]
        return {"tasks": tasks, "failures": store.failures()}


def _status_table(path: Path, found: dict[str, Any]) -> Table:
    from xbarsim.report.result_tables import described, unsound_rows
    from xbarsim.report.tables import Table, duration

    rows, failed, seconds = [], 0, 0.0
    headings, cells, common = described([entry["task"] for entry in found["tasks"]])
    for entry, row in zip(found["tasks"], cells, strict=True):
        task, value = entry["task"], entry["estimate"]
        interval = f"{100 * value.value:.2f}"
        interval += f" [{100 * value.low:.2f}, {100 * value.high:.2f}]" if task.done > 1 else ""
        done = f"{task.done:,} of {task.planned:,}"
        rows.append((task.key[:8], *row, done, interval if task.done else ""))
        failed, seconds = failed + task.failed, seconds + task.seconds
    note = f"Intervals at 95 %. {duration(1e9 * seconds)} of work."
    note += unsound_rows([entry["task"] for entry in found["tasks"]])
    if failed:
        errors = dict.fromkeys(error for _, _, error in found["failures"][-20:])
        note += f" {failed} trials failed; the latest errors: " + "; ".join(errors)
    columns = ("task", *headings, "done", "mean [%]")
    title = str(path) + (f": {common}" if common else "")
    return Table(title=title, columns=columns, rows=tuple(rows), note=note)
