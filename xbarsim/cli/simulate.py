"""`xbarsim simulate`: what faults do to a network's accuracy."""

from __future__ import annotations

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    network: options.NetworkName = "digits-mlp",
    weights: options.Weights = None,
    accelerator: options.AcceleratorName = "isaac",
    cells: options.Cells = "nvsim",
    rate: options.Rate = 0.01,
    mix: options.Mix = "even",
    chips: options.Chips = 10,
    fault_map: options.Maps = None,
    images: options.Images = None,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Accuracy of a network on healthy and on faulty chips, and what a run costs."""
    output.prepare(out)
    from xbarsim.cli.setup import faulty_chips, workbench
    from xbarsim.studies import summaries
    from xbarsim.studies.accuracy import accuracy_of_chips, healthy_accuracy

    bench = workbench(network, accelerator, cells, weights=weights, seed=seed, images=images)
    broken = faulty_chips(bench, fault_map, rate=rate, mix=mix, chips=chips, seed=seed)
    with output.progress("healthy chip") as advance:
        healthy = healthy_accuracy(bench, on_batch=advance)
    with output.progress("faulty chips", broken.count) as advance:
        faulty = accuracy_of_chips(bench, broken.maps, on_chip=advance)
    chip, placement = bench.chip, bench.chip.placement
    output.finish(
        context,
        {
            "healthy": healthy,
            "chips": faulty,
            "arrays": placement.arrays,
            "occupancy": placement.occupancy,
            "cost_per_image": chip.run_cost(1),
            "program_cost": chip.write_cost,
            "collapse": chip.collapse_shares(),
        },
        [summaries.chip_table(chip), summaries.accuracy_table(healthy, faulty, subject=broken.words)],
        as_json=as_json,
        out=out,
        figures={"accuracy.png": lambda: summaries.accuracy_figure(healthy, faulty)},
    )
