"""`xbarsim study spiking-...`: the spiking paper's tables and Fig. 3, its rules, test sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import typer

from xbarsim.cli import options, output
from xbarsim.cli.study import Networks, TrainingBudget


def _tables(
    show: str, context: typer.Context, budget: str, networks: Path, seed: int, as_json: bool, out: Path | None
) -> None:
    output.prepare(out)
    from xbarsim.files import check_folder
    from xbarsim.papers import spiking as study
    from xbarsim.papers import spiking_tables as tables
    from xbarsim.papers.spiking_paper import RATIOS

    check_folder(networks)
    with output.steps() as watch:
        chosen = study.SpikingStudy(study.spiking_budget(budget), networks, seed=seed, watch=watch)
        found = study.run_spiking(chosen)
    scope = str(chosen.universe)
    shown = [tables.table_3(found, scope)] if show == "table3" else []
    figures = {}
    if show != "table3":
        for kind in RATIOS:
            shown += [tables.table_4(found, kind, scope), tables.comparison(found, kind)]
            figures[f"spiking-fig3-{kind}.png"] = partial(tables.figure_3, found, kind)
    output.finish(
        context,
        {
            "networks": tables.record(found),
            "universe": scope,
            "verdict": {kind: tables.verdict(found, kind) for kind in RATIOS},
        },
        shown,
        as_json=as_json,
        out=out,
        figures=figures,
    )


def _times(
    table: int,
    context: typer.Context,
    budget: str,
    networks: Path,
    seed: int,
    as_json: bool,
    out: Path | None,
) -> None:
    output.prepare(out)
    from xbarsim.files import check_folder
    from xbarsim.papers import spiking as study
    from xbarsim.papers import spiking_tables as tables
    from xbarsim.papers.spiking_paper import TIME_TABLES

    check_folder(networks)
    with output.steps() as watch:
        chosen = study.SpikingStudy(study.spiking_budget(budget), networks, seed=seed, watch=watch)
        found = chosen.convergence(*TIME_TABLES[table])
    output.finish(
        context,
        {"convergence": found, "universe": str(chosen.universe)},
        [tables.time_table(found, table)],
        as_json=as_json,
        out=out,
    )


def _tests(
    rate: float,
    context: typer.Context,
    budget: str,
    networks: Path,
    seed: int,
    as_json: bool,
    out: Path | None,
) -> None:
    output.prepare(out)
    from xbarsim.faults.neurons import FaultUniverse
    from xbarsim.files import check_folder
    from xbarsim.papers import spiking as study
    from xbarsim.papers import spiking_tests as tests

    check_folder(networks)
    with output.steps() as watch:
        chosen = study.SpikingStudy(study.spiking_budget(budget), networks, seed=seed, watch=watch)
        found = tests.run_tests(chosen, tests.session_budget(budget), false_alarm_rate=rate, watch=watch)
    universe = FaultUniverse(geometry=chosen.geometry, scope=tests.SCOPE)
    output.finish(
        context,
        {"classes": [one.results() for one in found], "universe": str(universe)},
        [tests.sets_table(found, universe)],
        as_json=as_json,
        out=out,
        files={f"spiking-test-{one.kind.name}.safetensors": one.test_set.save for one in found},
    )


def _rules(
    _: None, context: typer.Context, budget: str, networks: Path, seed: int, as_json: bool, out: Path | None
) -> None:
    output.prepare(out)
    from xbarsim.files import check_folder
    from xbarsim.papers import spiking as study
    from xbarsim.papers import spiking_rules as rules
    from xbarsim.papers.spiking_tables import record

    check_folder(networks)
    amount = study.spiking_budget(budget)
    with output.steps() as watch:
        studies = [
            study.SpikingStudy(amount, networks, seed=seed + i, watch=watch)
            for i in range(rules.TRAININGS[budget])
        ]
        found = rules.run_rules(studies)
    scope = str(studies[0].universe)
    output.finish(
        context,
        {
            "seeds": found[0].seeds,
            "trainings": {one.method: record(one.networks) for one in found},
            "universe": scope,
            "verdict": rules.verdict(found),
        },
        [rules.rules_table(found, scope), rules.differences_table(found)],
        as_json=as_json,
        out=out,
    )


def add_to(app: typer.Typer) -> None:
    """Add the studies."""
    _add(app, "spiking-table3", "Spiking paper, Table 3: accuracy without faults.", _tables, "table3")
    _add(app, "spiking-table4", "Spiking paper, Table 4: accuracy with faulty neurons.", _tables, "table4")
    _add(app, "spiking-fig3", "Spiking paper, Fig. 3: chip by chip, with Table 4.", _tables, "fig3")
    about = (
        "Test sets for spiking chips: patterns and repetitions for each class of faults, 1 % false alarms."
    )
    _add(app, "spiking-tests", about, _tests, 0.01)
    about = "Spiking paper, Algorithm 1: its rules and random perturbations, several trainings each."
    _add(app, "spiking-rules", about, _rules, None)
    faults = {5: "NASF, FIR 0.03", 6: "NASF, FIR 0.05", 7: "HSF, FIR 0.03", 8: "HSF, FIR 0.05"}
    for table, words in faults.items():
        about = f"Spiking paper, Table {table}: time to accuracy, {words}."
        _add(app, f"spiking-table{table}", about, _times, table)


def _add(app: typer.Typer, name: str, words: str, run: Callable[..., None], what: object) -> None:
    @app.command(name, help=words)
    def command(
        context: typer.Context,
        budget: TrainingBudget = "cpu",
        networks: Networks = Path("trained"),
        seed: options.Seed = 0,
        as_json: options.AsJson = False,
        out: options.Out = None,
    ) -> None:
        run(what, context, budget, networks, seed, as_json, out)
