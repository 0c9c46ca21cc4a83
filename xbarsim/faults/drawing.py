"""A picture of a fault map: one panel an array while they can be told apart, faults per array above that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarsim.errors import check_choice, check_int
from xbarsim.faults.kinds import FaultKind
from xbarsim.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xbarsim.faults.cell_map import FaultMap

FEW, BARS = 40, 1000


def draw_fault_map(fault_map: FaultMap, path: str | Path, *, title: str = "", panels: int = 12) -> Path:
    """Draw the map: up to `panels` arrays cell by cell, the most faulty first, and a bar of all arrays.

    Raises
    ------
    InputError : a suffix other than .png, .svg or .pdf, or a place that cannot be written.
    """
    check_choice(f"figure {path}", Path(path).suffix.lower(), (".png", ".svg", ".pdf"))
    figure = fault_map_figure(fault_map, title=title, panels=panels)
    return write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=130))


def fault_map_figure(fault_map: FaultMap, *, title: str = "", panels: int = 12) -> Figure:
    """The picture that `draw_fault_map` writes."""
    check_int("panels", panels, 1, 100)
    from matplotlib.figure import Figure

    per_array = np.bincount(fault_map.coordinates[0], minlength=fault_map.geometry.arrays)
    shown = np.sort(np.argsort(-per_array, kind="stable")[:panels])
    across = min(4, len(shown))
    down = -(-len(shown) // across)
    figure = Figure(figsize=(2.6 * across + 0.6, 2.7 * down + 2.2), layout="constrained")
    grid = figure.add_gridspec(down + 1, across, height_ratios=[2.4] * down + [1])
    for place, array in enumerate(shown):
        _draw_array(figure.add_subplot(grid[place // across, place % across]), fault_map, int(array))
    _draw_counts(figure.add_subplot(grid[down, :]), per_array)
    figure.suptitle(title or str(fault_map), fontsize=10, parse_math=False)
    _name_kinds(figure)
    return figure


def _draw_array(axes: Axes, fault_map: FaultMap, array: int) -> None:
    where, row, column = fault_map.coordinates
    for kind in FaultKind:
        here = (where == array) & (fault_map.kind == kind)
        if here.any():
            axes.scatter(
                column[here],
                row[here],
                s=4,
                marker="s",
                linewidths=0,
                color=kind.colour,
                label=kind.name,
                rasterized=True,
            )
    axes.set_xlim(-0.5, fault_map.geometry.columns - 0.5)
    axes.set_ylim(fault_map.geometry.rows - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_title(f"array {array}", fontsize=8)
    axes.tick_params(labelsize=6)


def _draw_counts(axes: Axes, per_array: np.ndarray) -> None:
    """A bar an array; of a great many, the outline of their means over neighbours."""
    from matplotlib.ticker import MaxNLocator

    if len(per_array) <= FEW:
        axes.bar(np.arange(len(per_array)), per_array, color="#666666")
    else:
        edges = np.unique(np.linspace(0, len(per_array), min(len(per_array), BARS) + 1).astype(int))
        mean = np.add.reduceat(per_array, edges[:-1]) / np.diff(edges)
        axes.stairs(mean, edges - 0.5, fill=True, color="#666666")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("array", fontsize=8)
    axes.set_ylabel("faulty cells\nan array", fontsize=8)
    axes.tick_params(labelsize=7)


def _name_kinds(figure: Figure) -> None:
    """One legend for all panels, so that it hides no fault."""
    named: dict[Any, Any] = {}
    for axes in figure.axes:
        named |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if named:
        order = [kind.name for kind in FaultKind if kind.name in named]
        handles = [named[name] for name in order]
        figure.legend(handles, order, loc="outside lower center", ncols=5, fontsize=8, markerscale=3)
