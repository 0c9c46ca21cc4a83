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
    from xbarsim.studies.workbench import network_size

    config = accelerator_named(accelerator)
    found = []
    for entry in networks().values():
        size = network_size(entry, config)
        words = {"network": entry.name, "description": entry.description, "dataset": entry.dataset}
        found.append(words | {"weights": size.weights, "macs": size.macs, "arrays": size.arrays})
    table = Table(
        title=f"Networks, placed on {accelerator}",
        columns=("network", "description", "weights", "MACs", "arrays"),
        rows=tuple(
            tuple(
                "-" if n[k] is None else str(n[k])
                for k in ("network", "description", "weights", "macs", "arrays")
            )
            for n in found
        ),
        note="digits-mlp needs no weights file and no download; make the others' with 'xbarsim train'. "
        "Networks without arrays are of quantized layers, for FINN accelerators.",
    )
    output.finish(context, {"networks": found}, [table], as_json=as_json)
