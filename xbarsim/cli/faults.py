"""`xbarsim faults`: fault maps as files: sample, show, draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarsim.cli import options, output

if TYPE_CHECKING:
    import numpy as np

    from xbarsim.faults.cell_map import FaultMap
    from xbarsim.faults.kinds import CellGeometry
    from xbarsim.faults.sampling import FaultMix
    from xbarsim.report.tables import Table

app = typer.Typer(help="Fault maps: sample, show, draw.", rich_markup_mode=None)
MapFile = Annotated[Path, typer.Argument(help="A fault map file.")]
SHOWN = 20


@app.command()
def sample(
    context: typer.Context,
    network: Annotated[
        str | None, typer.Option("--network", "-n", help="Take the arrays of this network on --accelerator.")
    ] = None,
    accelerator: options.AcceleratorName = "isaac",
    arrays: Annotated[int, typer.Option(help="Number of arrays, without --network.")] = 1,
    array_rows: Annotated[int, typer.Option(help="Rows of an array, without --network.")] = 128,
    array_columns: Annotated[int, typer.Option(help="Columns of an array, without --network.")] = 128,
    levels: Annotated[int, typer.Option(help="Levels of a cell, without --network.")] = 4,
    rate: Annotated[
        float | None, typer.Option("--rate", "-r", help="Probability that a cell is faulty.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Exact number of faulty cells.")] = None,
    rows: Annotated[int | None, typer.Option(help="Number of faulty rows (word lines).")] = None,
    columns: Annotated[int | None, typer.Option(help="Number of faulty columns (bit lines).")] = None,
    clusters: Annotated[int | None, typer.Option(help="Number of faulty discs.")] = None,
    radius: Annotated[int, typer.Option(help="Radius of the discs in cells.")] = 2,
    mix: options.Mix = "even",
    merge: Annotated[Path | None, typer.Option(help="A fault map to add the new faults to.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("faults.safetensors"),
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
) -> None:
    """Draw a fault map and write it to a file. By rate 1 % if nothing else is said."""
    from xbarsim.errors import check_choice
    from xbarsim.faults.cell_map import FaultMap
    from xbarsim.faults.kinds import CellGeometry
    from xbarsim.faults.sampling import mix_presets
    from xbarsim.rng import stream

    if network is None:
        geometry = CellGeometry(arrays=arrays, rows=array_rows, columns=array_columns, levels=levels)
    else:
        geometry = _geometry_of(network, accelerator)
    check_choice("mix", mix, mix_presets())
    ways = {"rate": rate, "count": count, "rows": rows, "columns": columns, "clusters": clusters}
    drawn = _draw_one(geometry, ways, radius, mix_presets()[mix], stream(seed, "faults"))
    fault_map = drawn if merge is None else FaultMap.load(merge).merge(drawn)
    fault_map.save(out)
    output.finish(
        context,
        {"file": out, "geometry": geometry, "counts": every_kind(fault_map)},
        [_counts_table(fault_map, f"Wrote {out}")],
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
    tables = [_counts_table(fault_map, str(file)), some]
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

    fault_map = FaultMap.load(file)
    with output.progress("drawing"):
        fault_map.draw(out, panels=panels)
    table = _counts_table(fault_map, f"Wrote {out}")
    output.finish(context, {"file": out, "counts": every_kind(fault_map)}, [table], as_json=as_json)


def every_kind(fault_map: FaultMap) -> dict[str, int]:
    """Return how many faults of each kind there are, those without one included."""
    return {kind.name: 0 for kind in fault_map.KINDS} | fault_map.counts()


def _geometry_of(network: str, accelerator: str) -> CellGeometry:
    output.prepare(None)
    from accel_models.reram.config import accelerator as accelerator_named
    from xbarsim.studies.workbench import untrained_chip

    return untrained_chip(network, accelerator_named(accelerator)).geometry


def _draw_one(
    geometry: CellGeometry,
    ways: dict[str, float | int | None],
    radius: int,
    mix: FaultMix,
    rng: np.random.Generator,
) -> FaultMap:
    from functools import partial

    from xbarsim.errors import InputError
    from xbarsim.faults import sampling

    chosen = {way: amount for way, amount in ways.items() if amount is not None} or {"rate": 0.01}
    if len(chosen) > 1:
        raise InputError("faults sample", "one of " + ", ".join(f"--{w}" for w in ways), ", ".join(chosen))
    samplers = {
        "rate": sampling.sample_by_rate,
        "count": sampling.sample_by_count,
        "rows": sampling.sample_rows,
        "columns": sampling.sample_columns,
        "clusters": partial(sampling.sample_clusters, radius=radius),
    }
    ((way, amount),) = chosen.items()
    return samplers[way](geometry, amount, mix=mix, rng=rng)  # type: ignore[operator]


def _counts_table(fault_map: FaultMap, title: str) -> Table:
    from xbarsim.report.tables import Table

    return Table(
        title=f"{title}: {len(fault_map)} faults",
        columns=("kind", "cells", "share of all cells"),
        rows=tuple(
            (kind, str(n), f"{n / fault_map.geometry.cells:.4%}") for kind, n in fault_map.counts().items()
        ),
        note=str(fault_map.geometry),
    )
