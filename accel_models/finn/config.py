"""A FINN accelerator as a configuration: what networks are quantized to, its clock, and its architecture.

`dataflow`: every layer has PEs of its own, folded as its network says. `loopback`: one array of PEs computes
all layers, one after the other, so that a fault of the array hits them all.

Source: FINN (FPGA 2017); FINN-R and FAT, section II, for the two architectures.
"""

from __future__ import annotations

from dataclasses import dataclass

from accel_models.finn.chip import FinnChip
from accel_models.finn.from_graph import from_graph
from accel_models.finn.geometry import SharedArray
from accel_models.finn.network import FinnNetwork
from xbarsim.chip import Quantization
from xbarsim.errors import InputError, check_int, check_positive, check_type
from xbarsim.faults.pe import PeFaults
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.hints import check_fields

MOST_BITS = 8
MOST_PES = 2**16


@dataclass(frozen=True, kw_only=True)
class FinnConfig:
    """A FINN accelerator.

    Parameters
    ----------
    clock_MHz : 100 on the shipped boards
    weight_bits, activation_bits : 2..8, of quantized float networks; networks of integers keep theirs
    loopback : (PE, SIMD) of the array that all layers share; None for dataflow

    >>> FinnConfig(loopback=(16, 32)).shared
    SharedArray(pe=16, simd=32)
    """

    name: str = "finn"
    clock_MHz: float = 100.0
    weight_bits: int = 4
    activation_bits: int = 4
    loopback: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("FinnConfig.clock_MHz", self.clock_MHz)
        check_int("FinnConfig.weight_bits", self.weight_bits, 2, MOST_BITS)
        check_int("FinnConfig.activation_bits", self.activation_bits, 2, MOST_BITS)
        if self.loopback is None:
            return
        check_type("FinnConfig.loopback", self.loopback, tuple)
        if len(self.loopback) != 2:
            raise InputError("FinnConfig.loopback", "(PE, SIMD)", str(self.loopback))
        for size, value in zip(SharedArray._fields, self.loopback, strict=True):
            check_int(f"FinnConfig.loopback.{size}", value, 1, MOST_PES)

    @property
    def shared(self) -> SharedArray | None:
        """The array of a loopback accelerator."""
        return None if self.loopback is None else SharedArray(*self.loopback)

    @property
    def quantization(self) -> Quantization:
        """What a float network is turned into for it."""
        return Quantization(
            weight_bits=self.weight_bits, activation_bits=self.activation_bits, scales="power-of-two"
        )

    def program(self, network: FinnNetwork | IntegerGraph) -> FinnChip:
        """Return a fault-free chip with a network in it; see `from_graph` for what graphs it holds.

        Raises
        ------
        InputError : a graph with a node that a FINN dataflow cannot hold, or no network at all.
        """
        if isinstance(network, IntegerGraph):
            network = from_graph(network)
        check_type("network", network, FinnNetwork, "make an IntegerGraph of it, or read it from a file")
        return FinnChip(network=network, accelerator=self, faults=PeFaults.of(()))
