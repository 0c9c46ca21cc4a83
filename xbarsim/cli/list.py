"""`xbarsim list`: whatever has a name: networks, data, accelerators, devices, faults, detectors, repairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarsim.cli import options, output

if TYPE_CHECKING:
    from xbarsim.registry import Registry
    from xbarsim.report.tables import Table

Listed = tuple[dict[str, Any], "Table"]


def run(
    context: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(
            help="networks, data, accelerators, devices, cells, faults, detectors or repairs; all by default."
        ),
    ] = None,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
) -> None:
    """List what can be named, with the fields that a name takes."""
    output.prepare(None)
    from xbarsim.code import load_code
    from xbarsim.errors import check_choice

    for file in plugin or ():
        load_code(file)
    kinds = _kinds()
    if what is not None:
        check_choice("list", what, kinds)
    found = {name: kinds[name]() for name in kinds if what in (None, name)}
    output.finish(
        context,
        {name: content for name, (content, _) in found.items()},
        [table for _, table in found.values()],
        as_json=as_json,
    )


def only(what: str) -> Callable[..., None]:
    """Return a command that lists one kind of thing."""

    def command(context: typer.Context, as_json: options.AsJson = False) -> None:
        run(context, what, None, as_json)

    command.__doc__ = f"See 'xbarsim list {what}'."
    return command


def _kinds() -> dict[str, Callable[[], Listed]]:
    from xbarsim.registry import accelerators, detectors, fault_models, repairs

    return {
        "networks": _networks,
        "data": _data,
        "accelerators": lambda: _registered(accelerators, "Accelerators (--accelerator)"),
        "devices": _devices,
        "cells": _cells,
        "faults": lambda: _registered(fault_models, "Fault models (--faults)"),
        "detectors": lambda: _registered(detectors, "Detectors (--detectors)"),
        "repairs": lambda: _registered(repairs, "Repairs (--repairs)"),
    }


def _registered(registry: Registry, title: str) -> Listed:
    """Names with what they are, in the words of their docstrings, and their fields with defaults."""
    from xbarsim.report.tables import Table

    rows, found = [], {}
    for name in registry.names:
        fields = registry.fields(name)
        about = registry.about(name).removeprefix("Return ")
        about = about[:1].upper() + about[1:]
        found[name] = {"about": about, "fields": fields}
        rows.append((name, about, ", ".join(f"{field}={value}" for field, value in fields.items())))
    return found, Table(title=title, columns=("name", "", "fields"), rows=tuple(rows))


def _networks() -> Listed:
    from networks.catalogue import networks
    from networks.zoo import zoo
    from xbarsim.report.tables import Table

    found = {
        entry.name: {"description": entry.description, "data": entry.dataset, "quantized": entry.quantized}
        for entry in networks().values()
    }
    trained = zoo()
    rows = [
        (name, str(n["description"]), str(n["data"]), "yes" if name in trained else "-")
        for name, n in found.items()
    ]
    rows += [(name, "a trained checkpoint", "", "yes") for name in trained if name not in found]
    note = "Trained: a checkpoint comes with xbarsim; 'xbarsim train' makes others'. Quantized networks are "
    return found, Table(
        title="Networks (--network)",
        columns=("name", "description", "data", "trained"),
        rows=tuple(rows),
        note=note + "for FINN; 'xbarsim inspect -n NAME' says how large one is.",
    )


def _data() -> Listed:
    from networks.datasets import DATASETS
    from xbarsim.report.tables import Table

    words = {
        "digits": "scikit-learn's 8 x 8 digits, needs no download",
        "mnist": "28 x 28 digits",
        "fashion-mnist": "28 x 28 pictures of clothes",
        "cifar10": "32 x 32 colour pictures of ten classes",
    }
    rows = tuple((name, words[name]) for name in DATASETS)
    return words, Table(title="Data (--data)", columns=("name", ""), rows=rows)


def _cells() -> Listed:
    from accel_models.reram.config import cell_presets
    from xbarsim.report.tables import Table

    rows = [
        (name, f"{c.t_read_ns:g}", f"{c.t_write_ns:g}", _known(c.read_pJ), _known(c.write_pJ), c.source)
        for name, c in cell_presets().items()
    ]
    return dict(cell_presets()), Table(
        title="Cell timings (--cells)",
        columns=("name", "read [ns]", "write [ns]", "read [pJ]", "write [pJ]", "source"),
        rows=tuple(rows),
    )


def _devices() -> Listed:
    from xbarsim.cells.device import device_presets
    from xbarsim.report.tables import Table

    rows = [
        (name, f"{d.g_off_uS:g} .. {d.g_on_uS:g}", ", ".join(d.models) or "none", d.source)
        for name, d in device_presets().items()
    ]
    return dict(device_presets()), Table(
        title="Devices of analog and parasitic chips (--device)",
        columns=("name", "range [uS]", "models", "source"),
        rows=tuple(rows),
    )


def _known(value_pJ: float | None) -> str:
    return "not given" if value_pJ is None else f"{value_pJ:g}"
