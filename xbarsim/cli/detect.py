"""`xbarsim detect`: how surely and how fast adversarial examples find faulty chips."""

from __future__ import annotations

from typing import Annotated

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    network: options.NetworkName = "digits-mlp",
    weights: options.Weights = None,
    accelerator: options.AcceleratorName = "isaac",
    cells: options.Cells = "nvsim",
    rate: options.Rate = 0.005,
    mix: options.Mix = "even",
    chips: options.Chips = 100,
    fault_map: options.Maps = None,
    patterns: options.Patterns = 10,
    epsilon: Annotated[
        float | None, typer.Option(help="FGSM step in units of the images; by default the network's own.")
    ] = None,
    march: options.March = "March C-",
    restore: options.Restore = False,
    images: options.Images = None,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Detection by adversarial against original images, false alarms, and latency beside a March test."""
    output.prepare(out)
    from xbarsim.cli.setup import faulty_chips, workbench
    from xbarsim.detection.march.algorithms import march_test
    from xbarsim.papers.rramedy_paper import detection_in_paper
    from xbarsim.studies import summaries
    from xbarsim.studies.detection import compare_latency, study_detection

    test = march_test(march)
    bench = workbench(network, accelerator, cells, weights=weights, seed=seed, images=images)
    cell_bits = bench.chip.config.array.format.cell_bits
    broken = faulty_chips(bench, fault_map, rate=rate, mix=mix, chips=chips, seed=seed)
    with output.progress("testing chips", 2 * broken.count) as advance:
        study = study_detection(
            bench, broken.maps, patterns=patterns, seed=seed, epsilon=epsilon, on_chip=advance
        )
    latency = compare_latency(bench, test, patterns=patterns, restore=restore)
    output.finish(
        context,
        {"detection": study, "latency": latency, "paper": detection_in_paper(network, cell_bits)},
        [
            summaries.detection_table(
                study, subject=broken.words, patterns=patterns, network=network, cell_bits=cell_bits
            ),
            summaries.latency_table(latency, patterns=patterns, restore=restore, network=network),
        ],
        as_json=as_json,
        out=out,
        figures={
            "detection.png": lambda: summaries.detection_figure(study, patterns=patterns),
            "latency.png": lambda: summaries.latency_figure(latency, patterns=patterns),
        },
    )
