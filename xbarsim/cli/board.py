"""`xbarsim board`: a FINN board's network: accuracy, speed, cycles, resources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarsim.cli import options, output


def run(
    context: typer.Context,
    board: options.Board,
    name: options.BoardName = None,
    dataset: options.BoardData = None,
    images: options.Images = None,
    folding: Annotated[
        Path | None, typer.Option(help="Fold the layers as this JSON file of FINN's says.")
    ] = None,
    target_rate: Annotated[
        float | None, typer.Option(help="Search a folding for so many images a second.")
    ] = None,
    clock_mhz: Annotated[float | None, typer.Option(help="Clock for --target-rate.  [default: 100]")] = None,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """What a board's network gets right, and what it takes; with --out, its folding as JSON.

    BOARD is a folder of parameter files (0-0-weights.bin, ...) or a QONNX file.
    """
    output.prepare(out)
    from functools import partial

    from accel_models.finn.folding import fold_for_rate, read_folding, write_folding
    from xbarsim.errors import InputError, check_positive
    from xbarsim.studies import board_summaries as summaries
    from xbarsim.studies.boards import board_bench, board_cost, measure_accuracy, with_network

    if folding is not None and target_rate is not None:
        raise InputError("--target-rate", "no --folding beside it", str(folding), "leave one of them out")
    if clock_mhz is not None and target_rate is None:
        raise InputError("--clock-mhz", "--target-rate beside it", "none", "add it or leave --clock-mhz out")
    clock = check_positive("--clock-mhz", 100.0 if clock_mhz is None else clock_mhz)
    bench = board_bench(board, name=name, dataset=dataset, images=images)
    network = bench.design.network
    if folding is not None:
        bench = with_network(bench, read_folding(folding, network))
    elif target_rate is not None:
        interval = bench.first_layer_interval
        check_positive("--target-rate", target_rate)
        found = fold_for_rate(network, target_rate, clock, word_bits=64, first_layer_interval=interval)
        bench = with_network(bench, found)
    with output.progress("classifying", len(bench.images)) as advance:
        accuracy = measure_accuracy(bench, on_batch=advance)
    cost = board_cost(bench)
    output.finish(
        context,
        {
            "network": network.name,
            "dataset": bench.dataset,
            "hits": accuracy.hits,
            "shots": accuracy.shots,
            "seconds": accuracy.seconds,
            "cost": cost,
        },
        [
            summaries.accuracy_table(bench, accuracy),
            summaries.layers_table(bench, cost),
            summaries.board_table(bench, cost, clock_mhz),
        ],
        as_json=as_json,
        out=out,
        files={"folding.json": partial(write_folding, bench.design.network)},
    )
