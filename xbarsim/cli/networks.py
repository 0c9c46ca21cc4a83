"""`xbarsim networks`: the networks that can be named."""

from __future__ import annotations

from typing import Annotated

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    accelerator: options.AcceleratorName = "isaac",
    cost: Annotated[
        str | None,
        typer.Option(help="Name of a network: what training each of its layers takes, instead of the list."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the networks, with their size on an accelerator."""
    output.prepare(None)
    if cost is not None:
        _show_cost(context, cost, as_json=as_json)
        return
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


def _show_cost(context: typer.Context, name: str, *, as_json: bool) -> None:
    from networks.adversarial_features import feature_networks
    from networks.catalogue import networks
    from networks.snn import Snn
    from xbarsim.errors import check_choice
    from xbarsim.report.tables import Table
    from xbarsim.torch_bridge.cost import training_cost

    parts = feature_networks()
    entries = networks()
    check_choice("--cost", name, (*entries, *parts, "snn"))
    if name == "snn":
        layers = training_cost(Snn(), (784,))
    else:
        entry = parts[name] if name in parts else entries[name]
        layers = training_cost(entry.build(), entry.input_shape)
    columns = ("parameters", "parameter_bytes", "training_numbers", "operations")
    totals = {column: sum(getattr(layer, column) for layer in layers) for column in columns}
    rows = [(layer.layer, *(f"{getattr(layer, c):,.0f}" for c in columns)) for layer in layers]
    table = Table(
        title=f"Training {name}, by layer",
        columns=("layer", "parameters", "bytes", "numbers kept", "operations"),
        rows=(*rows, ("all", *(f"{total:,.0f}" for total in totals.values()))),
        note="Of one image in 32 bits; numbers kept: Eqs. 20 and 23 of the adversarial-features paper. "
        "Adversarial features train three networks at once and a fourth after them.",
    )
    output.finish(context, {"network": name, "layers": layers, "all": totals}, [table], as_json=as_json)
