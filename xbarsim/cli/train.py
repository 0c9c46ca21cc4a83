"""`xbarsim train`: trained weights for a named network, plain or against faults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarsim.cli import options, output

MORE = "By default as in the network's recipe."


def run(
    context: typer.Context,
    network: Annotated[str, typer.Argument(help="A name from 'xbarsim networks'.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Checkpoint to write; by default NETWORK.safetensors.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="plain; fat-1 (errors in all layers), fat-2 (one layer an epoch), dropout2d for quantized "
            "networks; one-shot, progressive (stuck cells) for those on crossbars."
        ),
    ] = "plain",
    rates: Annotated[
        str | None, typer.Option(help="Probability of errors or stuck cells; rising ones with commas.")
    ] = None,
    unit: Annotated[str, typer.Option(help="What FAT sticks: channel, pixel or element.")] = "channel",
    mix: options.Mix = "measured",
    accelerator: options.Accelerator = "isaac",
    start: Annotated[
        Path | None, typer.Option("--from", help="Checkpoint to go on from, as fault-tolerant training does.")
    ] = None,
    norm_epochs: Annotated[
        int | None,
        typer.Option(help="With stuck cells: batch norms train in the first so many epochs only."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help=f"Passes over the data. {MORE}")] = None,
    learning_rate: Annotated[float | None, typer.Option(help=f"First learning rate. {MORE}")] = None,
    clip_norm: Annotated[float | None, typer.Option(help=f"Longest gradient of a step. {MORE}")] = None,
    batch_size: Annotated[int | None, typer.Option(help=f"Images a step. {MORE}")] = None,
    augment: Annotated[str | None, typer.Option(help=f"none, flip or crop-flip. {MORE}")] = None,
    train_images: Annotated[int | None, typer.Option(help="Training images to use; all by default.")] = None,
    images: options.Images = None,
    precision: Annotated[str, typer.Option(help="float32, or bf16 where the device is faster with it.")] = (
        "float32"
    ),
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    log: Annotated[Path | None, typer.Option(help="CSV file of the epochs.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder of a TensorBoard run.")] = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Train a network and write a checkpoint.

    After every epoch the state is kept in OUT.training; a training that was stopped goes on from there when
    the same command is given again, and ends in the same weights.
    """
    path = out or Path(f"{network}.safetensors")
    output.prepare(path.parent)
    from networks.catalogue import network as network_named
    from networks.checkpoints import save_checkpoint
    from networks.datasets import load_dataset
    from xbarsim.cli import output as setup
    from xbarsim.studies.summaries import training_table
    from xbarsim.studies.trainings import FaultTolerance, train_network
    from xbarsim.training.logs import logs_to

    entry = network_named(network)
    tolerance = FaultTolerance(
        method=method,
        rates=setup.rates("--rates", rates),
        unit=unit,  # type: ignore[arg-type]
        mix=mix,
        accelerator=accelerator,
        norm_epochs=norm_epochs,
    )
    recipe = setup.recipe_of(
        entry,
        epochs=epochs,
        learning_rate=learning_rate,
        clip_norm=clip_norm,
        batch_size=batch_size,
        augment=augment,
        precision=precision,
    )
    write_logs = logs_to(log, tensorboard)
    with output.progress(f"loading {entry.dataset}"):
        train = load_dataset(entry.dataset, "train", limit=train_images)
        test = load_dataset(entry.dataset, "test", limit=images)
    state = path.with_name(path.name + ".training")
    with output.progress(f"training {network}") as advance:
        found = train_network(
            entry,
            tolerance,
            recipe,
            train,
            test,
            seed=seed,
            start=start,
            state=state,
            command=output.command_line(),
            on_batch=advance,
            on_epoch=write_logs,
            device=device,
        )
    save_checkpoint(path, found.module, found.about)
    state.unlink(missing_ok=True)
    counts = {"hits": found.hits, "shots": found.shots, "checkpoint": path}
    output.finish(
        context,
        {"about": found.about, "history": found.history, **counts},
        [training_table(found.about, found.history, found.hits, found.shots, path)],
        as_json=as_json,
    )
