"""`xbarsim study aft-...`: the adversarial-features paper's tables and figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import typer

from xbarsim.cli import output
from xbarsim.cli.study import add_training_study


def _table(
    number: int, context: typer.Context, budget: str, networks: Path, device: str, seed: int, as_json: bool,
    out: Path | None,
) -> None:  # fmt: skip
    output.prepare(out)
    from xbarsim.files import check_folder
    from xbarsim.papers import adversarial_features as study
    from xbarsim.papers import adversarial_tables as tables

    check_folder(networks)
    chosen = study.feature_budget(budget)
    with output.steps() as watch:
        both = study.FeatureStudy(chosen, networks, seed=seed, watch=watch, device=device)
        found = study.run_table_1(both) if number == 1 else study.run_table_2(both)
    shown = tables.table_1(found, chosen) if number == 1 else tables.table_2(found, chosen)
    figures = {
        f"aft-fig5-{one.network}-{one.method}.png": partial(tables.losses_figure, one)
        for one in found
        if one.games
    }
    records = [tables.record(one) for one in found]
    output.finish(
        context,
        {"networks": records, "verdict": shown.note},
        [shown],
        as_json=as_json,
        out=out,
        figures=figures,
    )


def _figure(
    number: int, context: typer.Context, budget: str, networks: Path, device: str, seed: int, as_json: bool,
    out: Path | None,
) -> None:  # fmt: skip
    output.prepare(out)
    from xbarsim.files import check_folder
    from xbarsim.papers import adversarial_features as study
    from xbarsim.papers import adversarial_tables as tables

    check_folder(networks)
    chosen = study.feature_budget(budget)
    with output.steps() as watch:
        both = study.FeatureStudy(chosen, networks, seed=seed, watch=watch, device=device)
        found = study.run_figure_3(both) if number == 3 else study.run_figure_7(both)
    units = list(dict.fromkeys(curve.unit for curve in found))
    shown = [tables.fault_table(found, unit, number) for unit in units]
    records = [
        tables.record(curve.trained) | {"unit": curve.unit, "hits": [[s, h] for s, h in curve.hits.items()]}
        for curve in found
    ]
    output.finish(
        context,
        {"curves": records, "verdict": [table.note for table in shown]},
        shown,
        as_json=as_json,
        out=out,
        figures={
            f"aft-fig{number}-{unit}.png": partial(tables.fault_figure, found, unit, number) for unit in units
        },
    )


def add_to(app: typer.Typer) -> None:
    """Add the studies."""
    add_training_study(app, "aft-table1", "Adversarial features, Table I: Tikhonov's strength.", _table, 1)
    add_training_study(
        app,
        "aft-table2",
        "Adversarial features, Table II: accuracy and generalisation error, with Fig. 5.",
        _table,
        2,
    )
    add_training_study(
        app,
        "aft-fig3",
        "Adversarial features, Fig. 3: stuck-at-0 faults, with and without regularisation.",
        _figure,
        3,
    )
    add_training_study(
        app, "aft-fig7", "Adversarial features, Fig. 7: stuck-at-0 faults, all methods.", _figure, 7
    )
