"""`xbarsim retrain`: win back the accuracy of faulty chips."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    network: options.NetworkName = "digits-mlp",
    weights: options.Weights = None,
    accelerator: options.AcceleratorName = "isaac",
    cells: options.Cells = "nvsim",
    rate: options.Rate = 0.015,
    mix: options.Mix = "even",
    chips: options.Chips = 3,
    fault_map: options.Maps = None,
    march: options.March = "March C-",
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images; by default the network's own.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Adam's step, falls to 0 over the training.")] = 1e-3,
    train_images: Annotated[int | None, typer.Option(help="Training images to use; all by default.")] = None,
    targets: Annotated[
        str, typer.Option(help="What is learned: labels, or fault-free (the healthy network's output).")
    ] = "labels",
    misses: Annotated[float, typer.Option(help="Share of the found stuck cells that the map lacks.")] = 0.0,
    false_positives: Annotated[
        float, typer.Option(help="Share of the healthy cells that the map has as stuck.")
    ] = 0.0,
    images: options.Images = None,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Diagnose chips with March, retrain around their stuck cells, and count what the update takes.

    With --out, the update of every chip is written beside the results.
    """
    output.prepare(out)
    from xbarsim.cli.setup import faulty_chips, repair_chips, workbench
    from xbarsim.detection.march.algorithms import march_test
    from xbarsim.studies import summaries
    from xbarsim.studies.accuracy import accuracy_of_chips, healthy_accuracy
    from xbarsim.studies.repair import RetrainSettings

    test = march_test(march)
    bench = workbench(network, accelerator, cells, weights=weights, seed=seed, images=images)
    broken = faulty_chips(bench, fault_map, rate=rate, mix=mix, chips=chips, seed=seed)
    known = list(broken.maps)
    settings = RetrainSettings(
        epochs=bench.entry.retrain_epochs if epochs is None else epochs,
        learning_rate=learning_rate,
        images=train_images,
        targets=targets,  # type: ignore[arg-type]
        misses=misses,
        false_positives=false_positives,
    )
    with output.progress("healthy chip") as advance:
        healthy = healthy_accuracy(bench, on_batch=advance)
    with output.progress("faulty chips", broken.count) as advance:
        faulty = accuracy_of_chips(bench, known, on_chip=advance)
    repairs, updates = repair_chips(bench, known, seed=seed, march=test, settings=settings)
    output.finish(
        context,
        {"healthy": healthy, "chips": faulty, "settings": settings, "repairs": repairs},
        [
            summaries.accuracy_table(healthy, faulty, repairs, subject=broken.words),
            summaries.repair_table(repairs),
        ],
        as_json=as_json,
        out=out,
        figures={
            "accuracy.png": lambda: summaries.accuracy_figure(healthy, faulty, repairs),
            "repair.png": lambda: summaries.repair_figure(repairs),
        },
        files={f"update-{i}.safetensors": partial(output.write_bytes, u) for i, u in enumerate(updates)},
    )
