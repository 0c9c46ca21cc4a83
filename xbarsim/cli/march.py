"""`xbarsim march`: March tests on arrays: run, coverage, list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarsim.cli import options, output
from xbarsim.cli.faults import every_kind

if TYPE_CHECKING:
    from xbarsim.detection.march.chip import ChipDiagnosis
    from xbarsim.detection.march.memory import PlacedFault
    from xbarsim.detection.march.notation import MarchTest
    from xbarsim.faults.cell_map import FaultMap, FaultMapDifference
    from xbarsim.faults.kinds import CellGeometry
    from xbarsim.report.tables import Table

app = typer.Typer(help="March tests: run, coverage, list.", rich_markup_mode=None)


@app.command()
def run(
    context: typer.Context,
    test: Annotated[
        str, typer.Argument(help="A name, or notation such as '|w0; ^(r0,w1); v(r1,w0)'.")
    ] = "March C-",
    fault_map: Annotated[
        Path | None, typer.Option("--fault-map", "-f", help="Stuck cells of a chip, instead of --rate.")
    ] = None,
    arrays: Annotated[int, typer.Option(help="Number of arrays, without --fault-map.")] = 1,
    rows: Annotated[int, typer.Option(help="Rows of an array, without --fault-map.")] = 128,
    columns: Annotated[int, typer.Option(help="Columns of an array, without --fault-map.")] = 128,
    levels: Annotated[int, typer.Option(help="Levels of a cell, without --fault-map.")] = 4,
    rate: options.Rate = 0.005,
    mix: options.Mix = "even",
    inject: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault primitive and its cell: '<0w1/0/->@array,row,column'; for a coupling fault the "
            "victim, then the aggressor: '<0w1;1/0/->@0,3,4@0,3,5'. May be repeated."
        ),
    ] = None,
    cells: options.CellTimings = "nvsim",
    restore: options.Restore = False,
    seed: options.Seed = 1,
    as_json: options.AsJson = False,
    out: options.Out = None,
) -> None:
    """Run a test on arrays with faults: the fault map it diagnoses, its operations and its latency.

    With --out, the injected and the diagnosed fault map are written beside the results.
    """
    from xbarsim.detection.march.algorithms import march_test
    from xbarsim.detection.march.chip import march_chip
    from xbarsim.files import check_folder
    from xbarsim.rng import stream

    if fault_map is not None:
        options.refuse(
            context, "arrays", "rows", "columns", "levels", "rate", "mix", expected="none beside a fault map"
        )
    if out is not None:
        check_folder(out)
    wanted = march_test(test)
    size = {"arrays": arrays, "rows": rows, "columns": columns, "levels": levels}
    truth = _stuck_cells(fault_map, size, rate, mix, seed)
    latency = _latencies(wanted, truth.geometry, cells, restore)
    placed = _placed(inject or [], truth.geometry)
    with output.progress("arrays", truth.geometry.arrays) as advance:
        found = march_chip(truth, wanted, rng=stream(seed, "march"), placed=placed, on_array=advance)
    difference = truth.permanent.as_stuck_levels().compare(found.fault_map)
    output.finish(
        context,
        {
            "test": _described(wanted),
            "injected": every_kind(truth),
            "diagnosed": every_kind(found.fault_map),
            "difference": difference,
            "other_cells": found.other_cells,
            "operations": found.operations,
            "latency_ns": latency,
        },
        [
            _diagnosis_table(wanted, truth, found, difference, bool(placed)),
            _latency_table(latency, found.operations, restore),
        ],
        as_json=as_json,
        out=out,
        files={
            "injected.safetensors": truth.save,
            "diagnosed.safetensors": found.fault_map.save,
            "diagnosed.png": partial(found.fault_map.draw, title=f"Diagnosed by {wanted.name}"),
        },
    )


@app.command()
def coverage(
    context: typer.Context,
    test: Annotated[list[str] | None, typer.Argument(help="Tests; all named ones by default.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Which classes of faults a binary test is sure to find, by exhaustive simulation."""
    from xbarsim.detection.march.algorithms import march_test, march_tests
    from xbarsim.detection.march.coverage import coverage as coverage_of
    from xbarsim.report.tables import Table

    tests = [march_test(name) for name in test] if test else list(march_tests().values())
    found = {}
    with output.progress("tests", len(tests)) as advance:
        for done, one in enumerate(tests):
            found[one.name] = coverage_of(one)
            advance(done + 1)
    classes = next(iter(found.values()))
    table = Table(
        title="Fault primitives detected, of all in the class",
        columns=("class", *found),
        rows=tuple((name, *(f"{row[name][0]}/{row[name][1]}" for row in found.values())) for name in classes),
        note="Detected: in every initial state of four cells, every order left open, every place.",
    )
    output.finish(context, {"coverage": found}, [table], as_json=as_json)


@app.command("list")
def list_tests(context: typer.Context, as_json: options.AsJson = False) -> None:
    """List the named tests and one for multi-level cells."""
    from xbarsim.detection.march.algorithms import eulerian_march, march_tests
    from xbarsim.report.tables import Table

    tests = [*march_tests().values(), eulerian_march(4)]
    table = Table(
        title="March tests",
        columns=("name", "writes", "reads", "notation"),
        rows=tuple((t.name, str(t.writes), str(t.reads), str(t)) for t in tests),
        note="Writes and reads are those of one cell.",
    )
    output.finish(context, {"tests": [_described(t) for t in tests]}, [table], as_json=as_json)


def _described(test: MarchTest) -> dict[str, str | int]:
    return {"name": test.name, "notation": str(test), "writes": test.writes, "reads": test.reads}


def _stuck_cells(
    fault_map: Path | None, size: Mapping[str, int], rate: float, mix: str, seed: int
) -> FaultMap:
    from xbarsim.errors import check_choice
    from xbarsim.faults.cell_map import FaultMap
    from xbarsim.faults.kinds import CellGeometry
    from xbarsim.faults.sampling import mix_presets, sample_by_rate
    from xbarsim.rng import stream

    if fault_map is not None:
        return FaultMap.load(fault_map)
    check_choice("mix", mix, mix_presets())
    geometry = CellGeometry(**size)
    return sample_by_rate(geometry, rate, mix=mix_presets()[mix], rng=stream(seed, "faults"))


def _placed(texts: Sequence[str], geometry: CellGeometry) -> dict[int, list[PlacedFault]]:
    """By array, the faults that --inject names."""
    from xbarsim.detection.march.memory import PlacedFault
    from xbarsim.detection.march.primitives import parse_primitive
    from xbarsim.errors import InputError

    placed: dict[int, list[PlacedFault]] = {}
    for text in texts:
        primitive, *places = text.split("@")
        try:
            cells = [tuple(int(n) for n in place.split(",")) for place in places]
        except ValueError:
            cells = []
        limits = (geometry.arrays, geometry.rows, geometry.columns)
        inside = [len(c) == 3 and all(0 <= n < top for n, top in zip(c, limits, strict=True)) for c in cells]
        if len(cells) not in (1, 2) or not all(inside) or len({c[0] for c in cells}) > 1:
            expected = f"PRIMITIVE@array,row,column, twice for coupling, one array, inside {geometry}"
            raise InputError("--inject", expected, repr(text), "as in '<0w1/0/->@0,3,4'")
        flat = [row * geometry.columns + column for _, row, column in cells]
        fault = PlacedFault(
            primitive=parse_primitive(primitive), victim=flat[0], aggressor=flat[1] if len(flat) > 1 else None
        )
        placed.setdefault(cells[0][0], []).append(fault)
    return placed


def _latencies(test: MarchTest, geometry: CellGeometry, cells: str, restore: bool) -> dict[str, float]:
    from accel_models.reram.config import cell_presets
    from xbarsim.detection.march.latency import ADDRESSING, march_addresses, march_latency_ns
    from xbarsim.errors import check_choice

    check_choice("cells", cells, cell_presets())
    timing, found = cell_presets()[cells], {}
    for mode in ADDRESSING:
        addresses = march_addresses(
            mode,
            used_cells=geometry.cells,
            arrays=geometry.arrays,
            rows=geometry.rows,
            columns=geometry.columns,
        )
        found[mode] = march_latency_ns(
            test,
            addresses=addresses,
            t_read_ns=timing.t_read_ns,
            t_write_ns=timing.t_write_ns,
            restore=restore,
        )
    return found


def _diagnosis_table(
    test: MarchTest,
    truth: FaultMap,
    found: ChipDiagnosis,
    difference: FaultMapDifference,
    more_injected: bool,
) -> Table:
    from xbarsim.report.tables import Table

    stuck = truth.permanent.as_stuck_levels().counts()
    diagnosed = found.fault_map.counts()
    hint = " A cell that cannot change reads the same as a stuck one." if more_injected else ""
    return Table(
        title=f"{test.name} on {truth.geometry}",
        columns=("kind", "injected", "diagnosed"),
        rows=tuple((kind, str(n), str(diagnosed.get(kind, 0))) for kind, n in stuck.items()),
        note=f"The diagnosed map is {'exactly' if difference.exact else 'NOT'} the injected one"
        f" ({difference.equal} equal, {difference.different} different, {difference.missing} missing, "
        f"{difference.extra} extra); {len(found.other_cells)} cells mismatched in another way.{hint}",
    )


def _latency_table(latency_ns: Mapping[str, float], operations: int, restore: bool) -> Table:
    from xbarsim.report.tables import Table, duration

    return Table(
        title=f"Latency, {operations} operations, contents {'restored' if restore else 'not restored'}",
        columns=("addressing", "latency"),
        rows=tuple((mode, duration(ns)) for mode, ns in latency_ns.items()),
    )
