"""A spiking accelerator: exact digital neurons, as many as a network has."""

from __future__ import annotations

from dataclasses import dataclass

from accel_models.spiking.chip import SpikingChip, program
from accel_models.spiking.network import SpikingNetwork
from xbarsim.chip import Quantization
from xbarsim.errors import check_type
from xbarsim.hints import check_fields


@dataclass(frozen=True, kw_only=True)
class SpikingConfig:
    """Neurons and synapses of a chip; steps, leaks and thresholds are the network's own.

    Parameters
    ----------
    name : shown in reports
    """

    name: str = "spiking"

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def quantization(self) -> Quantization:
        """Activations are spikes of one bit. Weights are taken as they were trained, on a fine grid."""
        return Quantization(activation_bits=1)

    def program(self, network: SpikingNetwork) -> SpikingChip:
        """Return a fault-free chip with a network in it.

        Raises
        ------
        InputError : no `SpikingNetwork`.
        """
        remedy = "make one with xbarsim.torch_bridge.spiking.spiking_network"
        check_type("network", network, SpikingNetwork, remedy)
        return program(network, self)
