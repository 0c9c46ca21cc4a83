"""Options that several subcommands share: one spelling and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NetworkName = Annotated[str, typer.Option("--network", "-n", help="A name from 'xbarsim networks'.")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", "-w", help="Checkpoint from 'xbarsim train'; not needed for digits-mlp."),
]
AcceleratorName = Annotated[
    str, typer.Option("--accelerator", "-a", help="A name from 'xbarsim accelerators'.")
]
Cells = Annotated[
    str, typer.Option("--cells", help="Source of cell timings: nvsim, pipelayer, puma, cimloop.")
]
Fidelity = Annotated[
    str, typer.Option("--fidelity", help="digital, bit-serial (the same, slowly), analog or parasitic.")
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Cells of analog and parasitic chips, from 'xbarsim accelerators'."),
]
Age = Annotated[
    float | None, typer.Option("--age", help="Seconds since analog cells were written.  [default: 1]")
]
WireOhm = Annotated[
    float | None,
    typer.Option("--wire-ohm", help="Ohms of a wire segment on parasitic chips.  [default: 1]"),
]
Rate = Annotated[float, typer.Option("--rate", "-r", help="Probability that a cell is faulty, 0..1.")]
Mix = Annotated[
    str, typer.Option("--mix", "-m", help="Kinds of fault: even, measured, hrs, lrs, level, flip, step.")
]
Chips = Annotated[int, typer.Option("--chips", "-c", help="Number of faulty chips.")]
Images = Annotated[int | None, typer.Option("--images", help="Test images to use; all by default.")]
Patterns = Annotated[int, typer.Option("--patterns", "-N", help="Test patterns a chip.")]
Restore = Annotated[
    bool,
    typer.Option("--restore/--no-restore", help="Count the write that restores the contents after March."),
]
March = Annotated[str, typer.Option("--march", help="A name from 'xbarsim march list', or the notation.")]
Maps = Annotated[
    list[Path] | None,
    typer.Option("--fault-map", "-f", help="Fault map of a chip instead of --rate; may be repeated."),
]
Seed = Annotated[int, typer.Option("--seed", "-s", help="Decides everything that is drawn.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for figures and files.")]
Board = Annotated[Path, typer.Argument(help="Folder of a FINN board's parameter files, or a QONNX file.")]
BoardName = Annotated[
    str | None,
    typer.Option("--network", "-n", help="Which shipped network it is, if the folder is called otherwise."),
]
BoardData = Annotated[
    str | None, typer.Option("--dataset", "-d", help="cifar10, mnist, ...; the shipped network's by default.")
]
