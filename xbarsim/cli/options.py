"""Options that several subcommands share: one spelling and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarsim.errors import InputError
from xbarsim.registry import detectors, fault_models, repairs

SPEC = "NAME or NAME:field=value,..., '+' between the values of a list"


def _names(registry: object) -> str:
    return ", ".join(registry.names)  # type: ignore[attr-defined]


Network = Annotated[
    str,
    typer.Option(
        "--network", "-n",
        help="A name ('xbarsim list networks'), a checkpoint, a board's folder, an ONNX or QONNX file, or "
        "FILE.py:FUNCTION that gives a torch module.",
    ),
]  # fmt: skip
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", "-w", help="Checkpoint for it (.safetensors, .pt, .pth, .bin); the zoo's by default."
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", "-d",
        help="A name ('xbarsim list data'), an .npz file, a folder, or FILE.py:FUNCTION; by default the "
        "network's own.",
    ),
]  # fmt: skip
Accelerator = Annotated[
    str,
    typer.Option(
        "--accelerator", "-a",
        help=f"{SPEC} ('xbarsim list accelerators'), a TOML file, or FILE.py:FUNCTION.",
    ),
]  # fmt: skip
CellsOf = Annotated[
    str | None,
    typer.Option("--accelerator", "-a", help=f"What stuck cells are cells of: {SPEC}.  [default: isaac]"),
]
Cells = Annotated[
    str | None, typer.Option("--cells", help="Source of cell timings: nvsim, pipelayer, puma, cimloop.")
]
CellTimings = Annotated[
    str, typer.Option("--cells", help="Source of cell timings: nvsim, pipelayer, puma, cimloop.")
]
Fidelity = Annotated[
    str, typer.Option("--fidelity", help="digital, bit-serial (the same, slowly), analog or parasitic.")
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Cells of analog and parasitic chips, from 'xbarsim list devices'."),
]
Age = Annotated[
    float | None, typer.Option("--age", help="Seconds since analog cells were written.  [default: 1]")
]
WireOhm = Annotated[
    float | None,
    typer.Option("--wire-ohm", help="Ohms of a wire segment on parasitic chips.  [default: 1]"),
]
Faults = Annotated[
    list[str] | None,
    typer.Option("--faults", "-f", help=f"{SPEC}, of {_names(fault_models)}; may be repeated."),
]
FaultFiles = Annotated[
    list[Path] | None,
    typer.Option("--fault-map", help="File with the faults of a chip, instead of --faults; may be repeated."),
]
Detectors = Annotated[
    list[str] | None,
    typer.Option("--detectors", "-D", help=f"{SPEC}, of {_names(detectors)}; may be repeated."),
]
Repairs = Annotated[
    list[str] | None,
    typer.Option("--repairs", "-R", help=f"{SPEC}, of {_names(repairs)}; may be repeated."),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        help="Python file that is run first: it adds fault models, detectors, repairs; may be repeated.",
    ),
]
Chips = Annotated[int, typer.Option("--chips", "-c", help="Number of faulty chips.")]
Images = Annotated[int | None, typer.Option("--images", help="Test images to use; all by default.")]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Keep every trial in this file: the same command goes on, 'xbarsim report' reads it."
    ),
]
Workers = Annotated[int, typer.Option("--workers", "-j", help="Processes that work at a time.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="A Dask scheduler: tcp://HOST:PORT, tls://HOST:PORT, or 'local' for a cluster of --workers "
        "processes. Whoever answers there can run code as you: see docs/security.md."
    ),
]
TrustScheduler = Annotated[
    bool,
    typer.Option(
        "--trust-scheduler",
        help="Connect to a tcp:// scheduler off this machine: it, and whoever is on the way, can run code as "
        "you.",
    ),
]
TlsCaFile = Annotated[
    Path | None,
    typer.Option("--tls-ca-file", help="CA for tls:// (PEM); Dask's own configuration by default."),
]
TlsCert = Annotated[Path | None, typer.Option("--tls-cert", help="Your certificate for tls:// (PEM).")]
TlsKey = Annotated[
    Path | None, typer.Option("--tls-key", help="Its key (PEM), if it is not in the same file.")
]
WaitForWorkers = Annotated[
    float | None,
    typer.Option(
        "--wait-for-workers", help="Most seconds that the scheduler may be without workers.  [default: 60]"
    ),
]
Restore = Annotated[
    bool,
    typer.Option("--restore/--no-restore", help="Count the write that restores the contents after March."),
]
Rate = Annotated[float, typer.Option("--rate", "-r", help="Probability that a cell is faulty, 0..1.")]
Mix = Annotated[
    str, typer.Option("--mix", "-m", help="Kinds of fault: even, measured, hrs, lrs, level, flip, step.")
]
Seed = Annotated[int, typer.Option("--seed", "-s", help="Decides everything that is drawn.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for figures and files.")]


def refuse(context: typer.Context, *names: str, expected: str) -> None:
    """Refuse parameters that were given on the command line although nothing would use them.

    Parameters
    ----------
    expected : when they are of no use, 'none beside --network'
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise InputError(name, expected, repr(str(context.params[name])), "leave it out")
