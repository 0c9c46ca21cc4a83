"""`xbarsim simulate`: what faults do to a network's accuracy."""

from __future__ import annotations

from typing import Annotated

import typer

from xbarsim.cli import options, output

DEFAULT = "stuck-cells:rate=0.01"


def run(
    context: typer.Context,
    network: options.Network = "digits-mlp",
    weights: options.Weights = None,
    data: options.Data = None,
    accelerator: options.Accelerator = "isaac",
    cells: options.Cells = None,
    fidelity: options.Fidelity = "digital",
    device: options.Device = None,
    age: options.Age = None,
    wire_ohm: options.WireOhm = None,
    faults: options.Faults = None,
    fault_map: options.FaultFiles = None,
    chips: Annotated[
        int | None,
        typer.Option(
            "--chips", "-c", help="Faulty chips; 10 by default, all of a model that lists its faults."
        ),
    ] = None,
    images: options.Images = None,
    plugin: options.Plugins = None,
    store: options.Store = None,
    workers: options.Workers = 1,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Measure a network's accuracy on fault-free and on faulty chips."""
    output.prepare(out, store)
    from functools import partial

    from xbarsim.cli import subjects
    from xbarsim.experiments.experiment import grid
    from xbarsim.experiments.inspection import chip_table
    from xbarsim.experiments.measures import Accuracy
    from xbarsim.report import answers

    subjects.run_plugins(plugin)
    hardware = subjects.Hardware(
        accelerator=accelerator, cells=cells, fidelity=fidelity, device=device, age=age, wire_ohm=wire_ohm
    )
    subject = subjects.subject_of(network, hardware, weights=weights, data=data, images=images)
    models = subjects.models_of(faults, fault_map, subjects.default_model(subject, DEFAULT))
    tasks = [
        task
        for model in models
        for task in grid(
            Accuracy(fidelity="bit-serial" if fidelity == "bit-serial" else "digital"),
            subjects=subject,
            faults=model,
            trials=subjects.count_of(model, subject, chips),
            seed=seed,
        )
    ]
    results = subjects.make(tasks, store, workers=workers)
    listed = [task for task in results.tasks if "counts.flips" in results.trials_of(task)]
    single = [task for task in listed if not results.trials_of(task)["counts.flips"].isna().any()]
    figures = {
        f"single-faults-{task.key[:8]}.png": partial(
            answers.single_fault_figure, results, task, f"{subject.name}, one fault at a time"
        )
        for task in single
    }
    output.finish(
        context,
        output.results_document(results),
        [
            chip_table(subject),
            answers.accuracy_table(results),
            *(
                draw(results, t)
                for t in single
                for draw in (answers.single_fault_table, answers.worst_fault_table)
            ),
        ],
        as_json=as_json,
        out=out,
        figures={"accuracy.png": lambda: answers.accuracy_figure(results), **figures},
        files={"trials.csv": lambda path: output.write_frame(results.trials, path)},
    )
