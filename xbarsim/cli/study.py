"""`xbarsim study`: published tables and figures, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Callable
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
TrainingBudget = Annotated[
    str,
    typer.Option(
        "--budget", "-b", help="smoke: a minute; cpu: two cores, under 40 minutes; full: the paper's recipe."
    ),
]
Networks = Annotated[
    Path, typer.Option("--networks", help="Folder where trained networks are kept, and found again.")
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or mps: where networks are trained.")]


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
    from xbarsim.papers import fat

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
        typer.Option(
            "--board",
            help="Folder of parameter files or a checkpoint of a quantized network; may be repeated; "
            "cnvW1A1 by default.",
        ),
    ] = None,
    budget: Budget = "cpu",
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """FAT, Fig. 9: worst-case error against hardware cost with selective channel replication."""
    output.prepare(out)
    from xbarsim.papers import fat

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


def _fat_table(
    table: int,
    context: typer.Context,
    budget: str,
    networks: Path,
    device: str,
    seed: int,
    as_json: bool,
    out: Path | None,
) -> None:
    output.prepare(out)
    from xbarsim.files import check_folder
    from xbarsim.papers import fat_training as study
    from xbarsim.papers import fat_training_tables as tables

    check_folder(networks)
    chosen = study.fat_budget(budget)
    with output.steps() as watch:
        found = study.run_trainings(
            study.table_trainings(table, chosen, seed=seed),
            networks,
            unit="pixel" if table == 4 else "channel",
            test_images=chosen.test_images,
            watch=watch,
            device=device,
        )
    rows = [tables.record(one) for one in found]
    output.finish(
        context,
        {"networks": rows, "verdict": tables.verdict(table, found)},
        [tables.trained_table(table, found)],
        as_json=as_json,
        out=out,
        figures={f"fat-table{table}.png": lambda: tables.trained_figure(table, found)},
    )


def _stochastic_table(
    table: int,
    context: typer.Context,
    budget: str,
    networks: Path,
    device: str,
    seed: int,
    as_json: bool,
    out: Path | None,
) -> None:
    output.prepare(out)
    from xbarsim.files import check_folder
    from xbarsim.papers import stochastic_tables as tables
    from xbarsim.papers import stochastic_training as study

    check_folder(networks)
    chosen = study.stochastic_budget(budget)
    with output.steps() as watch:
        trainer = study.Trainer(chosen, networks, seed=seed, watch=watch, device=device)
        found = [study.measure(trainer, v, device=device) for v in study.table_variants(table, chosen)]
    draw = tables.table_1 if table == 1 else tables.table_2
    output.finish(
        context,
        {"networks": found, "verdict": tables.verdict(found, chosen)},
        [draw(found, chosen)],
        as_json=as_json,
        out=out,
        figures={f"stochastic-table{table}.png": lambda: tables.curves(found, chosen)},
    )


def add_training_study(app: typer.Typer, name: str, words: str, run: Callable[..., None], table: int) -> None:
    """Add a study that trains networks on a device and keeps them."""

    @app.command(name, help=words)
    def command(
        context: typer.Context,
        budget: TrainingBudget = "cpu",
        networks: Networks = Path("trained"),
        device: Device = "cpu",
        seed: options.Seed = 0,
        as_json: options.AsJson = False,
        out: options.Out = None,
    ) -> None:
        run(table, context, budget, networks, device, seed, as_json, out)


add_training_study(
    app, "fat-table2", "FAT, Table II: standard training against FAT, stuck channels.", _fat_table, 2
)
add_training_study(app, "fat-table3", "FAT, Table III: FAT against Dropout2D, stuck channels.", _fat_table, 3)
add_training_study(
    app, "fat-table4", "FAT, Table IV: standard, FAT and Dropout2D, stuck pixels.", _fat_table, 4
)
add_training_study(
    app, "stochastic-table1", "Wang et al., Table I: accuracy on faulty chips.", _stochastic_table, 1
)
add_training_study(app, "stochastic-table2", "Wang et al., Table II: Stability Scores.", _stochastic_table, 2)


@app.command("rramedy-fig11")
def rramedy_fig11(
    context: typer.Context,
    budget: TrainingBudget = "cpu",
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """RRAMedy, Fig. 11: what fault-masking retraining retrieves, SLC and MLC."""
    output.prepare(out)
    from xbarsim.papers import fault_masking as study

    chosen = study.masking_budget(budget)
    with output.steps() as watch:
        points = study.run_masking(chosen, seed=seed, watch=watch)
    output.finish(
        context,
        {"points": points},
        [study.masking_table(points, chosen)],
        as_json=as_json,
        out=out,
        figures={"rramedy-fig11.png": lambda: study.masking_figure(points)},
    )
