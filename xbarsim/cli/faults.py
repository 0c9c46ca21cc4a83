"""`xbarsim faults`: fault maps as files: sample, show, draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarsim.cli import options, output
from xbarsim.registry import fault_models

if TYPE_CHECKING:
    from xbarsim.faults.cell_map import FaultMap
    from xbarsim.report.tables import Table

app = typer.Typer(help="Fault maps: sample, show, draw.", rich_markup_mode=None)
MapFile = Annotated[Path, typer.Argument(help="A fault map file.")]
SHOWN = 20
SIZE = ("arrays", "rows", "columns", "levels")


@app.command()
def sample(
    context: typer.Context,
    faults: Annotated[
        str, typer.Option("--faults", "-f", help=f"{options.SPEC}, of {', '.join(fault_models.names)}.")
    ] = "stuck-cells:rate=0.01",
    network: Annotated[
        str | None, typer.Option("--network", "-n", help="Take the places of this network on --accelerator.")
    ] = None,
    accelerator: options.Accelerator = "isaac",
    arrays: Annotated[int, typer.Option(help="Number of arrays, without --network.")] = 1,
    rows: Annotated[int, typer.Option(help="Rows of an array, without --network.")] = 128,
    columns: Annotated[int, typer.Option(help="Columns of an array, without --network.")] = 128,
    levels: Annotated[int, typer.Option(help="Levels of a cell, without --network.")] = 4,
    trial: Annotated[int, typer.Option(help="Which chip of the seed.")] = 0,
    merge: Annotated[Path | None, typer.Option(help="A file to add the new faults to.")] = None,
    plugin: options.Plugins = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; faults.safetensors, or .csv of a FINN chip."),
    ] = None,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
) -> None:
    """Draw the faults of a chip and write them to a file: the same that every other command draws."""
    from xbarsim.code import load_code
    from xbarsim.faults.given import load_faults
    from xbarsim.faults.kinds import CellGeometry
    from xbarsim.faults.trials import faults_of
    from xbarsim.files import check_file
    from xbarsim.rng import Trial

    if network is None:
        options.refuse(context, "accelerator", expected="none without --network")
    else:
        options.refuse(context, *SIZE, expected="none beside --network")
    check_file(out or Path("faults.safetensors"))
    for file in plugin or ():
        load_code(file)
    earlier = None if merge is None else load_faults(merge)
    model = fault_models.parse(faults)
    if network is None:
        geometry = CellGeometry(arrays=arrays, rows=rows, columns=columns, levels=levels)
    else:
        geometry = _geometry_of(network, accelerator)
    drawn = faults_of(model, geometry, Trial(seed, trial))
    found = drawn if earlier is None else earlier.merge(drawn)
    cells = isinstance(geometry, CellGeometry)
    path = out or Path("faults.safetensors" if cells else "faults.csv")
    found.save(path)
    output.finish(
        context,
        {
            "file": path,
            "faults": fault_models.describe(model),
            "geometry": geometry,
            "counts": found.counts(),
        },
        [_counts_table(found, f"Wrote {path}", str(geometry), geometry.cells if cells else None)],
        as_json=as_json,
    )


@app.command()
def show(
    context: typer.Context,
    file: MapFile,
    against: Annotated[
        Path | None, typer.Option(help="A fault map to hold against it, say one that March diagnosed.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what a fault map holds; --json lists every fault."""
    from xbarsim.faults.cell_map import FaultMap
    from xbarsim.report.tables import Table

    fault_map = FaultMap.load(file)
    faults = [dict(zip(("array", "row", "column", "kind", "value"), f, strict=True)) for f in fault_map]
    results = {"geometry": fault_map.geometry, "counts": every_kind(fault_map), "faults": faults}
    some = Table(
        title=f"The first {min(SHOWN, len(faults))} of {len(faults)} faults",
        columns=("array", "row", "column", "kind", "value"),
        rows=tuple(tuple(str(v) for v in f.values()) for f in faults[:SHOWN]),
    )
    tables = [_counts_table(fault_map, str(file), str(fault_map.geometry), fault_map.geometry.cells), some]
    if against is not None:
        difference = fault_map.compare(FaultMap.load(against))
        results["difference"] = difference
        numbers = (difference.equal, difference.different, difference.missing, difference.extra)
        tables.append(
            Table(
                title=f"{against} against it: {'the same' if difference.exact else 'not the same'}",
                columns=("equal", "different", "missing", "extra"),
                rows=(tuple(str(n) for n in numbers),),
            )
        )
    output.finish(context, results, tables, as_json=as_json)


@app.command()
def draw(
    context: typer.Context,
    file: MapFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="Figure to write: .png, .svg or .pdf.")] = Path(
        "faults.png"
    ),
    panels: Annotated[int, typer.Option(help="Arrays to draw cell by cell, the most faulty ones.")] = 12,
    as_json: options.AsJson = False,
) -> None:
    """Draw a fault map."""
    from xbarsim.faults.cell_map import FaultMap
    from xbarsim.files import check_file

    check_file(out)
    fault_map = FaultMap.load(file)
    with output.progress("drawing"):
        fault_map.draw(out, panels=panels)
    table = _counts_table(fault_map, f"Wrote {out}", str(fault_map.geometry), fault_map.geometry.cells)
    output.finish(context, {"file": out, "counts": every_kind(fault_map)}, [table], as_json=as_json)


def every_kind(fault_map: FaultMap) -> dict[str, int]:
    """Return how many faults of each kind there are, those without one included."""
    return {kind.name: 0 for kind in fault_map.KINDS} | fault_map.counts()


def _geometry_of(network: str, accelerator: str) -> Any:
    output.prepare(None)
    from xbarsim.cli import subjects

    return subjects.subject_of(network, subjects.Hardware(accelerator=accelerator)).chip.geometry


def _counts_table(faults: Any, title: str, note: str, cells: int | None) -> Table:
    from xbarsim.report.tables import Table

    share = () if cells is None else ("share of all cells",)
    return Table(
        title=f"{title}: {len(faults)} faults",
        columns=("kind", "faults", *share),
        rows=tuple(
            (kind, str(n), *(() if cells is None else (f"{n / cells:.4%}",)))
            for kind, n in faults.counts().items()
            if n
        ),
        note=note,
    )
