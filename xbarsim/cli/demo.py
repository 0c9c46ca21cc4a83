"""`xbarsim demo`: the whole story on a small network, in a minute or two, without any download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarsim.cli import options, output

NETWORK = "digits-mlp"
HARMFUL, EARLY = "stuck-cells:rate=0.03,mix=even", "stuck-cells:rate=0.002,mix=even"
REPAIRS = ("as-it-is", "closest-values", "retrain", "retrain:update=ternary")
DETECTORS = (
    "original:criterion=SDC-1",
    "original:criterion=SDC-3%",
    "adversarial:criterion=SDC-1",
    "adversarial:criterion=SDC-3%",
)


def run(
    context: typer.Context,
    chips: Annotated[int, typer.Option("--chips", "-c", help="Faulty chips to retrain.")] = 10,
    tested: Annotated[int, typer.Option(help="Faulty chips to test.")] = 100,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = Path("demo-results"),
) -> None:
    """Tell the whole story on a small network, without any download.

    A network loses accuracy on faulty chips; retraining wins it back; the faults are found. Accuracy and
    repair: 3 % of the cells are stuck. Detection: 0.2 %, before they do harm.
    """
    output.prepare(out)
    from xbarsim.cli import subjects
    from xbarsim.experiments.experiment import grid
    from xbarsim.experiments.measures import Accuracy, Detection
    from xbarsim.faults.places import NoFaults
    from xbarsim.faults.trials import faults_of
    from xbarsim.registry import detectors, fault_models, repairs
    from xbarsim.report import answers
    from xbarsim.rng import Trial

    subject = subjects.subject_of(NETWORK, subjects.Hardware())
    harmful, early = fault_models.parse(HARMFUL), fault_models.parse(EARLY)
    repaired = grid(
        Accuracy(),
        subjects=subject,
        faults=harmful,
        repairs=map(repairs.parse, REPAIRS),
        trials=chips,
        seed=seed,
    )
    measures = [Detection(detector=detectors.parse(words)) for words in DETECTORS]
    found = grid(measures, subjects=subject, faults=[early, NoFaults()], trials=tested, seed=seed)
    results = subjects.make([*repaired, *found], None)
    first = faults_of(harmful, subject.chip.geometry, Trial(seed, 0))
    output.finish(
        context,
        output.results_document(results),
        [
            answers.accuracy_table(results),
            results.pairs(),
            answers.repair_table(results),
            answers.detection_table(results),
            answers.latency_table(results),
        ],
        as_json=as_json,
        out=out,
        figures={
            "accuracy.png": lambda: answers.accuracy_figure(results),
            "detection.png": lambda: answers.detection_figure(results),
        },
        files={"chip-0.safetensors": first.save, "chip-0.png": first.draw},
    )
