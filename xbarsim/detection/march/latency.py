"""How long a March test takes in each addressing mode.

T = n_addr ((n_w + rho) t_write + n_r t_read), rho = 1 when the contents are restored afterwards.
"""

from __future__ import annotations

from typing import Any

from xbarsim.detection.march.notation import MarchTest
from xbarsim.errors import InputError, check_choice

ADDRESSING = ("cell-serial-used", "cell-serial", "row-parallel", "array-parallel", "row-and-array-parallel")


def march_addresses(mode: str, *, used_cells: int, arrays: int, rows: int, columns: int) -> int:
    """Addresses that are tested one after the other.

    Parameters
    ----------
    mode : 'cell-serial-used' (the cells that programming writes), 'cell-serial' (all allocated cells),
        'row-parallel' (all rows of all arrays), 'array-parallel' (the cells of one array, all arrays at
        once), 'row-and-array-parallel' (the rows of one array)
    """
    check_choice("addressing mode", mode, ADDRESSING)
    return {
        "cell-serial-used": used_cells,
        "cell-serial": rows * columns * arrays,
        "row-parallel": rows * arrays,
        "array-parallel": rows * columns,
        "row-and-array-parallel": rows,
    }[mode]


def march_latency_ns(
    test: MarchTest, *, addresses: int, t_read_ns: float, t_write_ns: float, restore: bool = False
) -> float:
    """Latency of a test over so many addresses."""
    return addresses * ((test.writes + restore) * t_write_ns + test.reads * t_read_ns)


def chip_march_latency_ns(chip: Any, test: MarchTest, mode: str, *, restore: bool = False) -> float:
    """Latency of a test on a chip of ReRAM cells; see `march_addresses` for the modes.

    Raises
    ------
    InputError : a chip that does not say where its cells are.
    """
    if not (hasattr(chip, "config") and hasattr(chip, "placement")):
        expected = "a chip of ReRAM cells, with config and placement"
        raise InputError("March test", expected, type(chip).__name__)
    array, cell, placement = chip.config.array, chip.config.cell, chip.placement
    addresses = march_addresses(
        mode,
        used_cells=placement.written_cells,
        arrays=placement.arrays,
        rows=array.rows,
        columns=array.columns,
    )
    return march_latency_ns(
        test, addresses=addresses, t_read_ns=cell.t_read_ns, t_write_ns=cell.t_write_ns, restore=restore
    )
