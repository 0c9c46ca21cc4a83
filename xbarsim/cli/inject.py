"""`xbarsim inject`: single faults of a FINN accelerator, each on every test image."""

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
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds", "-k", help="channel, pe, lane, weight, threshold, accumulator, pixel; with commas."
        ),
    ] = "channel",
    layers: Annotated[
        str | None, typer.Option("--layers", "-l", help="Numbers with commas; all by default.")
    ] = None,
    sample: Annotated[int | None, typer.Option(help="Draw so many of these faults; all by default.")] = None,
    faults: Annotated[Path | None, typer.Option(help="A fault list (CSV) instead of --kinds.")] = None,
    transient: Annotated[
        bool, typer.Option("--transient", help="Each fault strikes one image only, drawn.")
    ] = False,
    loopback: Annotated[
        str | None, typer.Option(help="One array of PE,SIMD computes all layers, as in '16,32'.")
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="Only count the faults of each kind.")] = False,
    memory_mb: Annotated[int, typer.Option(help="About how much memory a batch may take.")] = 1024,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Accuracy, changed predictions and masked images of every single fault, exactly.

    With --out, the faults and their counts as CSV files, and a figure.
    """
    output.prepare(out)
    from xbarsim.cli.setup import chosen_faults, shared_array
    from xbarsim.studies import board_summaries as summaries
    from xbarsim.studies.boards import board_bench, run_campaign

    bench = board_bench(board, name=name, dataset=dataset, images=images, shared=shared_array(loopback))
    if count:
        found = summaries.fault_counts(bench.design)
        table = summaries.counts_table(bench.design, found)
        output.finish(context, {"faults": found}, [table], as_json=as_json, out=out)
        return
    chosen = chosen_faults(
        bench.design, file=faults, kinds=kinds, layers=layers, sample=sample, seed=seed,
        images=len(bench.images) if transient else None,
    )  # fmt: skip
    with output.progress("injecting faults") as advance:
        campaign = run_campaign(bench, chosen, memory_MB=memory_mb, on_step=advance)
    results, words = campaign.results, summaries.design_words(bench.design)
    output.finish(
        context,
        {
            "network": bench.design.network.name,
            "dataset": bench.dataset,
            "baseline_hits": results.baseline_hits,
            "shots": results.shots,
            "seconds": campaign.seconds,
            "classes": len(campaign.classes.representatives),
            "faults": summaries.result_columns(results),
        },
        [summaries.campaign_table(campaign), summaries.critical_table(results)],
        as_json=as_json,
        out=out,
        figures={"accuracy.png": lambda: summaries.campaign_figure(results, words)},
        files={
            "faults.csv": results.faults.save,
            "results.csv": lambda path: summaries.save_results(results, path),
        },
    )
