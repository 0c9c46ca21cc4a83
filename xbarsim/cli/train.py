"""`xbarsim train`: trained weights for a network, plain or against faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarsim import stops
from xbarsim.cli import options, output

if TYPE_CHECKING:
    from xbarsim.data import Dataset
    from xbarsim.experiments.references import Trainee
    from xbarsim.training.recipe import Recipe

MOST_IMAGES = 10**9
MORE = "By default as in the network's recipe."


def run(
    context: typer.Context,
    network: Annotated[
        str,
        typer.Argument(help="A name from 'xbarsim list networks', or FILE.py:FUNCTION, a torch module."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Checkpoint to write; by default NETWORK.safetensors.")
    ] = None,
    data: options.Data = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="plain; fat-1 (errors in all layers), fat-2 (one layer an epoch), dropout2d for quantized "
            "networks; one-shot, progressive (stuck cells) for those on crossbars.",
        ),
    ] = "plain",
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--faults",
            "-f",
            help=f"{options.SPEC}: stuck-activations for fat-1, fat-2, dropout2d; stuck-cells for one-shot, "
            "and, repeated, for progressive; the method's own by default.",
        ),
    ] = None,
    accelerator: options.CellsOf = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--weights", "-w", "--from", help="Checkpoint to go on from, as fault-tolerant training does."
        ),
    ] = None,
    norm_epochs: Annotated[
        int | None,
        typer.Option(help="With stuck cells: batch norms train in the first so many epochs only."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help=f"Passes over the data. {MORE}")] = None,
    learning_rate: Annotated[float | None, typer.Option(help=f"First learning rate. {MORE}")] = None,
    clip_norm: Annotated[float | None, typer.Option(help=f"Longest gradient of a step. {MORE}")] = None,
    batch_size: Annotated[int | None, typer.Option(help=f"Images a step. {MORE}")] = None,
    threads: Annotated[
        int | None, typer.Option(help=f"Of the processor; another number gives other weights. {MORE}")
    ] = None,
    augment: Annotated[str | None, typer.Option(help=f"none, flip or crop-flip. {MORE}")] = None,
    train_images: Annotated[int | None, typer.Option(help="Training images to use; all by default.")] = None,
    images: options.Images = None,
    precision: Annotated[str, typer.Option(help="float32, or bf16 where the device is faster with it.")] = (
        "float32"
    ),
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    log: Annotated[Path | None, typer.Option(help="CSV file of the epochs.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder of a TensorBoard run.")] = None,
    plugin: options.Plugins = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Train a network and write a checkpoint.

    After every epoch the state is kept in OUT.training; a training that was stopped goes on from there when
    the same command is given again, and ends in the same weights.
    """
    output.prepare(None)
    from networks.checkpoints import check_place, save_checkpoint
    from xbarsim.cli import subjects
    from xbarsim.errors import InputError
    from xbarsim.experiments.references import accelerator_from, trainee_of
    from xbarsim.experiments.trainings import FaultTolerance, train_network
    from xbarsim.files import check_file
    from xbarsim.registry import fault_models
    from xbarsim.report.trained import trained_table
    from xbarsim.training.logs import logs_to
    from xbarsim.training.loop import check_device

    subjects.run_plugins(plugin)
    tolerance = FaultTolerance(
        method=method,
        stages=tuple(fault_models.parse(words) for words in faults or ()),
        accelerator=None if accelerator is None else accelerator_from(accelerator),
        norm_epochs=norm_epochs,
    )
    trainee = trainee_of(network, seed)
    recipe = _recipe(
        trainee,
        epochs=epochs,
        learning_rate=learning_rate,
        clip_norm=clip_norm,
        batch_size=batch_size,
        threads=threads,
        augment=augment,
        precision=precision,
    )
    check_device(device)
    path = out if out is not None else Path(f"{network.rpartition(':')[2]}.safetensors")
    check_place(path)
    state = path.with_name(path.name + ".training")
    for file in (state, log):
        if file is not None:
            check_file(file)
    if log is not None and log.resolve() in (path.resolve(), state.resolve()):
        raise InputError("log", "a file of its own", f"{log}, which the training writes", "choose another")
    write_logs = logs_to(log, tensorboard)
    train, test = _data(trainee, data, train_images, images)
    stops.remedy(output.GOES_ON)
    with output.progress(f"training {network}") as advance:
        found = train_network(
            trainee,
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
        [trained_table(found.about, found.history, found.hits, found.shots, path)],
        as_json=as_json,
    )


def _recipe(trainee: Trainee, **settings: Any) -> Recipe:
    """The network's recipe with the settings that were given; for one without, those alone."""
    from xbarsim.errors import InputError
    from xbarsim.training.recipe import Recipe

    given = {name: value for name, value in settings.items() if value is not None}
    if trainee.recipe is not None:
        return replace(trainee.recipe, **given)
    if "epochs" not in given:
        raise InputError(f"network {trainee.name}", "a number of epochs", "none", "it has no recipe: say one")
    return Recipe(**given)


def _data(
    trainee: Trainee, words: str | None, train_images: int | None, images: int | None
) -> tuple[Dataset, Dataset]:
    """The training and the test images."""
    from xbarsim.errors import InputError, check_int
    from xbarsim.experiments.references import data_of

    if train_images is not None:
        check_int("train_images", train_images, 1, MOST_IMAGES)
    chosen = trainee.data if words is None else words
    if chosen is None:
        raise InputError(f"network {trainee.name}", "its data", "none", "say which data it takes")
    with output.progress(f"loading {chosen}"):
        found = data_of(chosen, limit=images, train_limit=train_images)
    if found.train is None:
        raise InputError(f"data {chosen}", "a training part beside the test part", "none")
    return found.train.first(train_images), found.test.first(images)
