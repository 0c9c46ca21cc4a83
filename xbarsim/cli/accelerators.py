"""`xbarsim accelerators`: the accelerators, cell timings and devices that can be named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from xbarsim.cli import options, output

if TYPE_CHECKING:
    from accel_models.reram.config import CellOperations, ReramConfig
    from xbarsim.cells.device import Device
    from xbarsim.report.tables import Table


def run(context: typer.Context, as_json: options.AsJson = False) -> None:
    """List the accelerators, the cell timings and the devices of analog chips."""
    from accel_models.reram.config import accelerator_presets, cell_presets
    from xbarsim.cells.device import device_presets

    presets, cells, devices = accelerator_presets(), cell_presets(), device_presets()
    output.finish(
        context,
        {"accelerators": presets, "cells": cells, "devices": devices},
        [_accelerator_table(presets), _cell_table(cells), _device_table(devices)],
        as_json=as_json,
    )


def _accelerator_table(presets: dict[str, ReramConfig]) -> Table:
    from xbarsim.report.tables import Table

    rows = []
    for name, config in presets.items():
        array, form = config.array, config.array.format
        rows.append(
            (
                name,
                f"{config.arrays} of {array.rows} x {array.columns}",
                f"{form.weight_bits} in {form.digits} cells of {form.cell_bits}",
                form.encoding + (", inverted storage" if array.inverted_storage else ""),
                str(array.adc.bits),
                f"{config.t_mvm_ns:g}",
            )
        )
    return Table(
        title="Accelerators (--accelerator)",
        columns=("name", "arrays", "weight bits", "encoding", "ADC bits", "product [ns]"),
        rows=tuple(rows),
    )


def _cell_table(cells: dict[str, CellOperations]) -> Table:
    from xbarsim.report.tables import Table

    rows = [
        (name, f"{c.t_read_ns:g}", f"{c.t_write_ns:g}", _energy(c.read_pJ), _energy(c.write_pJ), c.source)
        for name, c in cells.items()
    ]
    return Table(
        title="Cell timings (--cells)",
        columns=("name", "read [ns]", "write [ns]", "read [pJ]", "write [pJ]", "source"),
        rows=tuple(rows),
    )


def _device_table(devices: dict[str, Device]) -> Table:
    from xbarsim.report.tables import Table

    rows = [
        (name, f"{d.g_off_uS:g} .. {d.g_on_uS:g}", ", ".join(d.models) or "none", d.source)
        for name, d in devices.items()
    ]
    return Table(
        title="Devices of analog and parasitic chips (--device)",
        columns=("name", "range [uS]", "models", "source"),
        rows=tuple(rows),
    )


def _energy(value_pJ: float | None) -> str:
    return "not given" if value_pJ is None else f"{value_pJ:g}"
