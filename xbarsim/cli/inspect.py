"""`xbarsim inspect`: what a network takes of an accelerator, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarsim.cli import options, output
from xbarsim.errors import InputError


def run(
    context: typer.Context,
    network: options.Network = "digits-mlp",
    weights: options.Weights = None,
    data: options.Data = None,
    accelerator: options.Accelerator = "isaac",
    cells: options.Cells = None,
    fidelity: options.Fidelity = "digital",
    device: options.Device = None,
    age: options.Age = None,
    wire_ohm: options.WireOhm = None,
    images: options.Images = None,
    folding: Annotated[
        Path | None, typer.Option(help="Fold the layers of a FINN chip as this JSON file of FINN's says.")
    ] = None,
    target_rate: Annotated[
        float | None, typer.Option(help="Search a folding of a FINN chip for so many images a second.")
    ] = None,
    protect: Annotated[
        int | None,
        typer.Option(help="Rank channels of a FINN chip, triplicate so many, and cost what that buys."),
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="What training each layer takes: numbers kept, operations.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Where accuracy goes: every node against the network in floats."),
    ] = False,
    faults: Annotated[
        str | None, typer.Option("--faults", "-f", help="Explain a chip with these faults, NAME:FIELD=VALUE.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", "-s", help="Decides the faults.  [default: 1]")
    ] = None,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Show what a network takes of an accelerator, layer by layer.

    Layers on the hardware, what an inference takes, and the accuracy without faults.

    With --out, a FINN chip's folding as JSON, and the figures.
    """
    output.prepare(out)
    for name, given in (("faults", faults), ("seed", seed)):
        if given is not None and not (explain and faults):
            beside = "explain" if name == "faults" else "faults and explain"
            raise InputError(name, f"{beside} beside it", "none", "add it, or leave this out")
    from functools import partial

    from accel_models.finn.folding import write_folding
    from xbarsim.cli import subjects
    from xbarsim.experiments import inspection
    from xbarsim.experiments.facts import subject_facts
    from xbarsim.report import answers

    hardware = subjects.Hardware(
        accelerator=accelerator, cells=cells, fidelity=fidelity, device=device, age=age, wire_ohm=wire_ohm
    )
    subject = subjects.subject_of(network, hardware, weights=weights, data=data, images=images)
    subject = inspection.refolded(subject, folding=folding, target_rate=target_rate)
    facts = subject_facts(subject)
    tables = [inspection.chip_table(subject), answers.healthy_table(subject.name, facts)]
    results = {"subject": subject.describe(), "facts": facts, "cost_per_image": subject.chip.cost(1)}
    figures = {}
    if inspection.is_finn(subject):
        tables.append(inspection.clock_table(subject))
        results["cycles"] = inspection.cycles_of(subject)
    if training:
        found = inspection.training_cost_of(subject)
        tables.append(inspection.training_table(subject, found))
        results["training"] = found
    if protect is not None:
        from xbarsim.experiments import protection

        with output.progress("injecting faults") as advance:
            study = protection.study_protection(subject, protected=protect, on_step=advance)
        tables += [protection.schedule_table(study), protection.safety_summary(study)]
        results["protection"] = study
        figures["protection.png"] = lambda: protection.protection_figure(study)
    if explain:
        from xbarsim.experiments.explain import explain as explained

        with output.progress("comparing") as advance:
            chip = subjects.chip_of(subject, faults, 1 if seed is None else seed)
            comparison = explained(subject, chip, on_step=advance)
        tables.append(comparison.table())
        results["explanation"] = comparison.frame.to_dict("records")
        figures["explain.png"] = comparison.plot
    files = {}
    if inspection.is_finn(subject):
        files["folding.json"] = partial(write_folding, subject.chip.network)  # type: ignore[attr-defined]
    output.finish(context, results, tables, as_json=as_json, out=out, figures=figures, files=files)
