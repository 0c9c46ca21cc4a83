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
    fidelity: options.Fidelity = "digital",
    device: options.Device = None,
    age: options.Age = None,
    wire_ohm: options.WireOhm = None,
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
    from xbarsim.cli.setup import faulty_chips, physics, workbench
    from xbarsim.studies import summaries
    from xbarsim.studies.accuracy import accuracy_of_chips, healthy_accuracy
    from xbarsim.studies.physics import accuracy_of_analog_chips

    made_of = physics(fidelity, device, age, wire_ohm)
    bench = workbench(network, accelerator, cells, weights=weights, seed=seed, images=images)
    broken = faulty_chips(bench, fault_map, rate=rate, mix=mix, chips=chips, seed=seed)
    with output.progress("healthy chip") as advance:
        healthy = healthy_accuracy(bench, on_batch=advance)
    kind = "faulty" if made_of is None else fidelity
    subject = broken.words if made_of is None else f"{broken.words}, {made_of.words}"
    with output.progress(f"{kind} chips", broken.count) as advance:
        if made_of is None:
            faulty = accuracy_of_chips(bench, broken.maps, fidelity=fidelity, on_chip=advance)
        else:
            faulty = accuracy_of_analog_chips(bench, broken.maps, made_of, seed=seed, on_chip=advance)
    chip, placement = bench.chip, bench.chip.placement
    output.finish(
        context,
        {
            "healthy": healthy,
            "chips": faulty,
            "physics": made_of,
            "arrays": placement.arrays,
            "occupancy": placement.occupancy,
            "cost_per_image": chip.cost(1),
            "program_cost": chip.write_cost,
            "collapse": chip.collapse_shares(),
        },
        [
            summaries.chip_table(chip),
            summaries.accuracy_table(healthy, faulty, subject=subject, kind=kind),
        ],
        as_json=as_json,
        out=out,
        figures={"accuracy.png": lambda: summaries.accuracy_figure(healthy, faulty, kind=kind)},
    )
