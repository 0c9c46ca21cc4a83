"""A ReRAM accelerator whose cells are conductances: arrays, device, wires, and when it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accel_models.reram.analog import REFERENCES, AnalogChip, write_analog
from accel_models.reram.config import ReramConfig, accelerator
from xbarsim.cells.device import device
from xbarsim.chip import Quantization
from xbarsim.crossbar.parasitic import Wires
from xbarsim.errors import InputError, check_choice, check_number, check_type
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.hints import check_fields


@dataclass(frozen=True, kw_only=True)
class AnalogConfig:
    """Arrays of conductances.

    Parameters
    ----------
    base : the arrays and their converters, or the name of a preset
    device : name of the cells, see `xbarsim.cells.device.device_presets`
    wire_ohm : of a segment of every word and bit line; 0 is analog fidelity, more is parasitic fidelity
    age_s : seconds after the write
    reference : 'ideal', or 'column' without resistive wires; see `accel_models.reram.analog`
    chips : how many hold the network together; None as the base says. See `ReramConfig`

    Raises
    ------
    InputError : an unknown name, a number out of range, an age that the device is not known at.
    """

    base: str | ReramConfig = "isaac"
    device: str = "hfo2-wan"
    wire_ohm: float = 0.0
    age_s: float = 1.0
    reference: str = "ideal"
    chips: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_type("AnalogConfig.base", self.arrays, ReramConfig)
        check_number("AnalogConfig.wire_ohm", self.wire_ohm, 0, 1e6)
        longest = device(self.device).longest_seconds
        remedy = f"device {self.device!r} is known until {longest:g} s after a write"
        check_number("AnalogConfig.age_s", self.age_s, 0, longest, remedy)
        check_choice("AnalogConfig.reference", self.reference, REFERENCES)
        if self.reference == "column" and self.wire_ohm:
            raise InputError("AnalogConfig.reference", "'ideal' with resistive wires", "'column'")

    @property
    def arrays(self) -> ReramConfig:
        """The arrays and their converters."""
        base = accelerator(self.base) if isinstance(self.base, str) else self.base
        return base if self.chips is None else replace(base, chips=self.chips)

    @property
    def name(self) -> str:
        """The arrays' name and the device's."""
        return f"{self.arrays.name}, {self.device}"

    @property
    def quantization(self) -> Quantization:
        """As the arrays'."""
        return self.arrays.quantization

    def program(self, network: IntegerGraph) -> AnalogChip:
        """Return a fault-free chip, written with seed 0 and aged; `AnalogChip.another` gives other specimens.

        Raises
        ------
        InputError : a network that the arrays cannot hold.
        """
        wires = Wires(word_ohm=self.wire_ohm, bit_ohm=self.wire_ohm)
        written = write_analog(
            self.arrays.program(network), device(self.device), 0, reference=self.reference, wires=wires,
            accelerator=self,
        )  # fmt: skip
        return written.age(self.age_s)
