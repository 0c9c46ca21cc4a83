"""`xbarsim detect`: how surely and how fast detectors find faulty chips."""

from __future__ import annotations

import typer

from xbarsim.cli import options, output

DEFAULT = "stuck-cells:rate=0.005"
DETECTORS = (
    "original:criterion=SDC-1",
    "original:criterion=SDC-3%",
    "adversarial:criterion=SDC-1",
    "adversarial:criterion=SDC-3%",
)


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
    detectors: options.Detectors = None,
    faults: options.Faults = None,
    fault_map: options.FaultFiles = None,
    chips: options.Chips = 100,
    images: options.Images = None,
    plugin: options.Plugins = None,
    store: options.Store = None,
    workers: options.Workers = 1,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Compare detectors of faulty chips.

    Detection by each detector, its false alarms on fault-free chips, and its latency beside March tests.
    """
    output.prepare(out, store)
    from xbarsim.cli import subjects
    from xbarsim.experiments.experiment import grid
    from xbarsim.experiments.measures import Detection
    from xbarsim.faults.places import NoFaults
    from xbarsim.registry import detectors as known
    from xbarsim.report import answers

    subjects.run_plugins(plugin)
    measures = [Detection(detector=known.parse(words)) for words in detectors or DETECTORS]
    hardware = subjects.Hardware(
        accelerator=accelerator, cells=cells, fidelity=fidelity, device=device, age=age, wire_ohm=wire_ohm
    )
    subject = subjects.subject_of(network, hardware, weights=weights, data=data, images=images)
    models = subjects.models_of(faults, fault_map, subjects.default_model(subject, DEFAULT))
    trials = subjects.count_of(models[0], subject, chips)
    tasks = grid(measures, subjects=subject, faults=[*models, NoFaults()], trials=trials, seed=seed)
    results = subjects.make(tasks, store, workers=workers)
    tables = [answers.detection_table(results)]
    if "march_latency_ns" in results.tasks[0].facts:
        tables.append(answers.latency_table(results))
    output.finish(
        context,
        output.results_document(results),
        tables,
        as_json=as_json,
        out=out,
        figures={"detection.png": lambda: answers.detection_figure(results)},
        files={"trials.csv": lambda path: output.write_frame(results.trials, path)},
    )
