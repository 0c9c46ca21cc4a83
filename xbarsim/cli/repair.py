"""`xbarsim repair`: win back the accuracy of faulty chips."""

from __future__ import annotations

from typing import Annotated

import typer

from xbarsim.cli import options, output

DEFAULT = "stuck-cells:rate=0.015"
REPAIRS = ("as-it-is", "closest-values", "retrain")


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
    repairs: options.Repairs = None,
    faults: options.Faults = None,
    fault_map: options.FaultFiles = None,
    chips: Annotated[int, typer.Option("--chips", "-c", help="Faulty chips to repair.")] = 3,
    images: options.Images = None,
    plugin: options.Plugins = None,
    store: options.Store = None,
    workers: options.Workers = 1,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Win back the accuracy of faulty chips.

    Accuracy of the same chips after each repair, and what it took.

    With --out, what a repair sends to a chip is written beside the results.
    """
    output.prepare(out, store)
    from xbarsim.cli import subjects
    from xbarsim.experiments.experiment import grid
    from xbarsim.experiments.measures import Accuracy
    from xbarsim.registry import repairs as known
    from xbarsim.report import answers

    subjects.run_plugins(plugin)
    chosen = [known.parse(words) for words in repairs or REPAIRS]
    hardware = subjects.Hardware(
        accelerator=accelerator, cells=cells, fidelity=fidelity, device=device, age=age, wire_ohm=wire_ohm
    )
    subject = subjects.subject_of(network, hardware, weights=weights, data=data, images=images)
    models = subjects.models_of(faults, fault_map, subjects.default_model(subject, DEFAULT))
    trials = subjects.count_of(models[0], subject, chips)
    tasks = grid(
        Accuracy(), subjects=subject, faults=models, repairs=chosen, trials=trials, seed=seed, keep=out
    )
    results = subjects.make(tasks, store, workers=workers)
    output.finish(
        context,
        output.results_document(results),
        [answers.accuracy_table(results), results.pairs(), answers.repair_table(results)],
        as_json=as_json,
        out=out,
        figures={"accuracy.png": lambda: answers.accuracy_figure(results)},
        files={"trials.csv": lambda path: output.write_frame(results.trials, path)},
    )
