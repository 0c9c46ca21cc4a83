"""`xbarsim demo`: the whole story on a small network, in a minute or two, without any download."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from xbarsim.cli import options, output

NETWORK, MARCH, PATTERNS = "digits-mlp", "March C-", 10
HARMFUL_RATE, EARLY_RATE = 0.03, 0.005


def run(
    context: typer.Context,
    chips: Annotated[int, typer.Option("--chips", "-c", help="Faulty chips to retrain.")] = 10,
    tested: Annotated[int, typer.Option(help="Faulty chips to test.")] = 100,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = Path("demo-results"),
) -> None:
    """A network loses accuracy on faulty chips; the faults are found; retraining wins the accuracy back.

    Accuracy and repair: 3 % of the cells are stuck. Detection: 0.5 %, before they do harm.
    """
    output.prepare(out)
    from xbarsim.cli.setup import faulty_chips, repair_chips, workbench
    from xbarsim.detection.march.algorithms import march_test
    from xbarsim.studies import summaries
    from xbarsim.studies.accuracy import accuracy_of_chips, healthy_accuracy
    from xbarsim.studies.detection import compare_latency, study_detection
    from xbarsim.studies.repair import RetrainSettings

    test = march_test(MARCH)
    bench = workbench(NETWORK, "isaac", "nvsim", weights=None, seed=seed, images=None)
    chips_with = partial(faulty_chips, bench, None, mix="even", seed=seed)
    harmed = chips_with(rate=HARMFUL_RATE, chips=chips)
    known = list(harmed.maps)
    early = chips_with(rate=EARLY_RATE, chips=tested)
    with output.progress("running faulty chips", chips) as advance:
        healthy = healthy_accuracy(bench)
        faulty = accuracy_of_chips(bench, known, on_chip=advance)
    with output.progress("testing chips", 2 * tested) as advance:
        study = study_detection(bench, early.maps, patterns=PATTERNS, seed=seed, on_chip=advance)
    latency = compare_latency(bench, test, patterns=PATTERNS, restore=False)
    settings = RetrainSettings(epochs=bench.entry.retrain_epochs)
    repairs, _ = repair_chips(bench, known, seed=seed, march=test, settings=settings)
    output.finish(
        context,
        {
            "network": NETWORK,
            "rates": {"accuracy and repair": HARMFUL_RATE, "detection": EARLY_RATE},
            "healthy": healthy,
            "chips": faulty,
            "detection": study,
            "latency": latency,
            "repairs": repairs,
        },
        [
            summaries.accuracy_table(healthy, faulty, repairs, subject=harmed.words),
            summaries.detection_table(
                study, subject=early.words, patterns=PATTERNS, network=NETWORK, cell_bits=2
            ),
            summaries.latency_table(latency, patterns=PATTERNS, restore=False, network=NETWORK),
            summaries.repair_table(repairs),
        ],
        as_json=as_json,
        out=out,
        figures={
            "accuracy.png": lambda: summaries.accuracy_figure(healthy, faulty, repairs),
            "detection.png": lambda: summaries.detection_figure(study, patterns=PATTERNS),
            "latency.png": lambda: summaries.latency_figure(latency, patterns=PATTERNS),
            "repair.png": lambda: summaries.repair_figure(repairs),
        },
        files={"chip-0.safetensors": known[0].save, "chip-0.png": known[0].draw},
    )
