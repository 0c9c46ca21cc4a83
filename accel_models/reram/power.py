"""ISAAC's component powers and areas, and the energy of a product.

Source: ISAAC (ISCA 2016), Table I; the sums agree with its published totals (tested). Energy model, ours:
an array draws its share of its tile's power while it multiplies and nothing while it idles. What arrays of
another size, or with other cells or converters, draw is unknown: a model says which arrays it holds for.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.errors import check_int, check_positive
from xbarsim.hints import check_fields

ARRAYS_PER_IMA = 8
IMAS_PER_TILE = 12
TILES_PER_CHIP = 168
HYPERTRANSPORT_MW = 10_400.0
HYPERTRANSPORT_MM2 = 22.88


@dataclass(frozen=True)
class Component:
    """A block's power and area."""

    name: str
    power_mW: float
    area_mm2: float


def ima_components() -> tuple[Component, ...]:
    """One in-situ multiply-accumulate unit: eight arrays and their converters."""
    return (
        Component("ADC x8, 8 bit, 1.2 GS/s", 16, 0.0096),
        Component("DAC 8 x 128, 1 bit", 4, 0.00017),
        Component("sample and hold", 0.01, 0.00004),
        Component("arrays x8, 128 x 128, 2 bit", 2.4, 0.0002),
        Component("shift-and-add x4", 0.2, 0.00024),
        Component("input register 2 KB", 1.24, 0.0021),
        Component("output register 256 B", 0.23, 0.00077),
    )


def tile_components() -> tuple[Component, ...]:
    """What a tile has beside its IMAs; the router is shared by four tiles."""
    return (
        Component("eDRAM buffer 64 KB", 20.7, 0.083),
        Component("eDRAM-to-IMA bus", 7, 0.090),
        Component("router, a quarter", 42 / 4, 0.151 / 4),
        Component("sigmoid x2", 0.52, 0.0006),
        Component("shift-and-add", 0.05, 0.00006),
        Component("max-pool", 0.4, 0.00024),
        Component("output register 3 KB", 1.68, 0.0032),
    )


def tile_power_mW() -> float:
    """Power of a tile."""
    ima = sum(c.power_mW for c in ima_components())
    return IMAS_PER_TILE * ima + sum(c.power_mW for c in tile_components())


def tile_area_mm2() -> float:
    """Area of a tile."""
    ima = sum(c.area_mm2 for c in ima_components())
    return IMAS_PER_TILE * ima + sum(c.area_mm2 for c in tile_components())


def chip_power_mW() -> float:
    """Power of the chip with its links."""
    return TILES_PER_CHIP * tile_power_mW() + HYPERTRANSPORT_MW


def chip_area_mm2() -> float:
    """Area of the chip with its links."""
    return TILES_PER_CHIP * tile_area_mm2() + HYPERTRANSPORT_MM2


@dataclass(frozen=True, kw_only=True)
class PowerModel:
    """What arrays of one make draw while they multiply; unknown for others.

    Parameters
    ----------
    source : of the figures
    tile_mW : power of a tile: its arrays, their converters and what they share
    arrays_per_tile : how many share it
    rows, columns, cell_bits, dac_bits, adc_bits : of the arrays that the figures are for
    """

    source: str
    tile_mW: float
    arrays_per_tile: int
    rows: int = 128
    columns: int = 128
    cell_bits: int = 2
    dac_bits: int = 1
    adc_bits: int = 8

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("PowerModel.tile_mW", self.tile_mW)
        check_int("PowerModel.arrays_per_tile", self.arrays_per_tile, 1, 10**6)

    def holds_for(self, array: ArrayConfig) -> bool:
        """Whether its figures are for such arrays; how weights are encoded changes no power."""
        own = self.rows, self.columns, self.cell_bits, self.dac_bits, self.adc_bits
        return own == (array.rows, array.columns, array.format.cell_bits, array.dac_bits, array.adc.bits)

    def energy_pJ(self, array_products: int, t_mvm_ns: float, array: ArrayConfig) -> float:
        """Return the energy of so many products of one array each, of `t_mvm_ns`: 1 mW x 1 ns = 1 pJ.

        NaN, unknown, for other arrays than the model's.
        """
        if not self.holds_for(array):
            return nan
        return array_products * t_mvm_ns * self.tile_mW / self.arrays_per_tile


def isaac_power() -> PowerModel:
    """Return what ISAAC's own arrays draw."""
    return PowerModel(
        source="ISAAC (ISCA 2016), Table I",
        tile_mW=tile_power_mW(),
        arrays_per_tile=ARRAYS_PER_IMA * IMAS_PER_TILE,
    )


def isaac_power_charged_to(array: ArrayConfig) -> PowerModel:
    """Return ISAAC's figures, charged to other arrays as they are: an assumption, named in the source."""
    return PowerModel(
        source="ISAAC (ISCA 2016), Table I, charged to other arrays",
        tile_mW=tile_power_mW(),
        arrays_per_tile=ARRAYS_PER_IMA * IMAS_PER_TILE,
        rows=array.rows,
        columns=array.columns,
        cell_bits=array.format.cell_bits,
        dac_bits=array.dac_bits,
        adc_bits=array.adc.bits,
    )
