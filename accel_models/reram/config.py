"""A ReRAM accelerator's configuration and its named presets.

Source: ISAAC (ISCA 2016) for the chip; the cell timings as named in `cell_presets`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from accel_models.reram.chip import ReramChip, program
from accel_models.reram.power import PowerModel, isaac_power, isaac_power_charged_to
from xbarsim.cells.encoding import WeightFormat
from xbarsim.chip import Quantization
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.errors import check_choice, check_int, check_positive, check_type
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.hints import check_fields


@dataclass(frozen=True, kw_only=True)
class CellOperations:
    """Time and energy of reading and writing one cell; None where the source gives no energy."""

    source: str
    t_read_ns: float
    t_write_ns: float
    read_pJ: float | None = None
    write_pJ: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("t_read_ns", "t_write_ns"):
            check_positive(f"CellOperations.{name}", getattr(self, name))


def cell_presets() -> dict[str, CellOperations]:
    """Read and write figures by source."""
    return {
        "nvsim": CellOperations(
            source="NVSim sample ReRAM cell, SET = RESET",
            t_read_ns=10,
            t_write_ns=10,
            read_pJ=0.1,
            write_pJ=0.6,
        ),
        "pipelayer": CellOperations(
            source="PipeLayer (HPCA 2017)", t_read_ns=29.31, t_write_ns=50.88, read_pJ=1.08, write_pJ=3910.0
        ),
        "puma": CellOperations(source="PUMA (ASPLOS 2019), per row", t_read_ns=80, t_write_ns=86),
        "cimloop": CellOperations(
            source="CiMLoop's ISAAC cell: SET 40 ns; read time assumed as NVSim's",
            t_read_ns=10,
            t_write_ns=40,
        ),
    }


@dataclass(frozen=True, kw_only=True)
class ReramConfig:
    """A chip of crossbar arrays.

    Parameters
    ----------
    name : shown in reports
    array : the arrays and their converters
    arrays : how many a chip has; a network that needs more than all chips have is refused
    chips : how many hold the network together, their arrays in one row; a layer may lie on two. What goes
        between chips is taken to cost neither time nor energy, as what goes between tiles of one
    cycle_ns : crossbar cycle T_x
    pipeline_cycles : depth D of the pipeline, for 16 streamed bits
    cell : time and energy of single-cell operations
    scales : of what its integers stand for: 'power-of-two', shifts alone between layers, or 'channel', a
        multiplier a channel and zero points; by default powers of two for weights and inputs of 16 bits, as
        in ISAAC, and one a channel for fewer
    power : what its arrays draw; one for other arrays than `array` leaves energies unknown (NaN)
    """

    name: str = "isaac"
    array: ArrayConfig = field(default_factory=ArrayConfig)
    arrays: int = 16128
    chips: int = 1
    cycle_ns: float = 100.0
    pipeline_cycles: int = 22
    cell: CellOperations = field(default_factory=lambda: cell_presets()["nvsim"])
    power: PowerModel = field(default_factory=isaac_power)
    scales: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_type("ReramConfig.power", self.power, PowerModel)
        check_int("ReramConfig.arrays", self.arrays, 1, 10**7)
        check_int("ReramConfig.chips", self.chips, 1, 10**4)
        check_positive("ReramConfig.cycle_ns", self.cycle_ns)
        check_int("ReramConfig.pipeline_cycles", self.pipeline_cycles, 16, 10**4)

    @property
    def all_arrays(self) -> int:
        """Arrays of all chips."""
        return self.arrays * self.chips

    @property
    def t_mvm_ns(self) -> float:
        """One matrix-vector product: T_x for every streamed digit of the input."""
        return self.array.cycles * self.cycle_ns

    @property
    def t_fill_ns(self) -> float:
        """What a layer adds to the latency beyond its products: (D - 16) T_x."""
        return (self.pipeline_cycles - 16) * self.cycle_ns

    @property
    def quantization(self) -> Quantization:
        """Weights as its cells hold them, inputs as its arrays stream them."""
        form = self.array.format
        return Quantization(
            weight_bits=form.weight_bits,
            activation_bits=self.array.input_bits,
            symmetric=form.encoding == "differential",
            scales=self.scales,
        )

    def program(self, network: IntegerGraph) -> ReramChip:
        """Return a new, fault-free chip with a network in it; see `accel_models.reram.chip.program`."""
        return program(network, self)


def isaac() -> ReramConfig:
    """Return ISAAC: 2-bit cells, offset encoding, inverted storage, 8-bit ADC."""
    return ReramConfig()


def isaac_slc() -> ReramConfig:
    """Return ISAAC with cells of one bit, charged ISAAC's power."""
    return _charged("isaac-slc", ArrayConfig(format=WeightFormat(cell_bits=1)))


def twos_complement() -> ReramConfig:
    """Return cells of one bit in two's complement, 8-bit ADC, no inverted storage; ISAAC's power."""
    form = WeightFormat(cell_bits=1, encoding="twos_complement")
    return _charged("twos-complement", ArrayConfig(format=form, inverted_storage=False))


def differential() -> ReramConfig:
    """Return pairs of 2-bit cells, 9-bit ADC, no inverted storage; ISAAC's power."""
    form = WeightFormat(encoding="differential")
    return _charged("differential", ArrayConfig(format=form, inverted_storage=False, adc=AdcConfig(bits=9)))


def _charged(name: str, array: ArrayConfig) -> ReramConfig:
    return ReramConfig(name=name, array=array, power=isaac_power_charged_to(array))


def accelerator_presets() -> dict[str, ReramConfig]:
    """Return the named accelerators."""
    return {made.name: made for made in (isaac(), isaac_slc(), twos_complement(), differential())}


def accelerator(name: str, *, cells: str = "nvsim") -> ReramConfig:
    """Look an accelerator up by name, with the cell timing of a named source.

    Raises
    ------
    InputError : an unknown name.

    >>> accelerator("isaac").array.weights_per_row
    16
    """
    presets, timings = accelerator_presets(), cell_presets()
    check_choice("accelerator", name, presets)
    check_choice("cells", cells, timings)
    return replace(presets[name], cell=timings[cells])
