"""`xbarsim networks`: the networks that can be named."""

from __future__ import annotations

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    accelerator: options.AcceleratorName = "isaac",
    as_json: options.AsJson = False,
) -> None:
    """List the networks, with their size on an accelerator."""
    output.prepare(None)
    from accel_models.reram.config import accelerator as accelerator_named
    from networks.catalogue import networks
    from xbarsim.report.tables import Table
    from xbarsim.studies.workbench import untrained_chip

    config = accelerator_named(accelerator)
    found = []
    for entry in networks().values():
        chip = untrained_chip(entry.name, config)
        found.append(
            {
                "network": entry.name,
                "description": entry.description,
                "dataset": entry.dataset,
                "weights": sum(layer.weights.size for layer in chip.graph.layers),
                "macs": sum(load.macs for load in chip.loads),
                "arrays": chip.placement.arrays,
            }
        )
    table = Table(
        title=f"Networks, placed on {accelerator}",
        columns=("network", "description", "weights", "MACs", "arrays"),
        rows=tuple(
            tuple(str(n[k]) for k in ("network", "description", "weights", "macs", "arrays")) for n in found
        ),
        note="digits-mlp needs no weights file and no download; make the others' with 'xbarsim train'.",
    )
    output.finish(context, {"networks": found}, [table], as_json=as_json)
