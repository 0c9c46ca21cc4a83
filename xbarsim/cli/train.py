"""`xbarsim train`: trained weights for a named network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    network: Annotated[str, typer.Argument(help="A name from 'xbarsim networks'.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Checkpoint to write; by default NETWORK.safetensors.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data; by default the recipe's.")] = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Train a network by its recipe and write a checkpoint."""
    path = out or Path(f"{network}.safetensors")
    output.prepare(path.parent)
    from networks.catalogue import network as network_named
    from networks.checkpoints import save_checkpoint
    from networks.datasets import load_dataset
    from xbarsim.report.tables import Table
    from xbarsim.studies.workbench import train_entry
    from xbarsim.training.loop import accuracy, initialise

    entry = network_named(network)
    module = initialise(entry.build, seed)
    with output.progress(f"loading {entry.dataset}"):
        train, test = load_dataset(entry.dataset, "train"), load_dataset(entry.dataset, "test")
    with output.progress(f"training {network}") as advance:
        losses = train_entry(entry, module, train, seed=seed, epochs=epochs, on_batch=advance)
    hits, shots = accuracy(module, test.images, test.labels)
    about = {"network": network, "seed": str(seed), "epochs": str(len(losses)), "data": entry.dataset}
    save_checkpoint(path, module, about | {"test": f"{hits} of {shots}"})
    table = Table(
        title=f"{network} on {entry.dataset}, seed {seed}",
        columns=("epochs", "last loss", "test images", "right", "accuracy"),
        rows=(
            (
                str(len(losses)),
                f"{losses[-1]:.4f}" if losses else "-",
                str(shots),
                str(hits),
                f"{hits / shots:.2%}",
            ),
        ),
        note=f"Data: {train.source}. Wrote {path}.",
    )
    output.finish(
        context,
        {"data": train.source, "losses": losses, "hits": hits, "shots": shots, "checkpoint": path},
        [table],
        as_json=as_json,
    )
