"""From a network to a chip: a torch module, an integer graph or a network of the hardware's own kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from accel_models.finn.config import FinnConfig
from accel_models.finn.network import FinnNetwork
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import ReramConfig
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.network import SpikingNetwork
from xbarsim.arrays import as_array, check_calibration
from xbarsim.chip import Accelerator, Chip
from xbarsim.errors import InputError
from xbarsim.hints import checked
from xbarsim.registry import accelerators
from xbarsim.torch_bridge.finn_export import finn_graph, is_quantized
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.torch_bridge.spiking import is_spiking, spiking_network

CALIBRATION_INPUTS = 500


def accelerator_of(accelerator: str | Accelerator) -> Accelerator:
    """Return a configuration, looked up if it is a name, 'isaac' or 'isaac:arrays=64'.

    Raises
    ------
    InputError : an unknown name, an object that cannot hold a network.
    """
    if isinstance(accelerator, str):
        return accelerators.parse(accelerator)
    if not hasattr(accelerator, "program") or isinstance(accelerator, type):
        raise InputError("accelerator", "a name or a configuration", repr(accelerator)[:60])
    return accelerator


@checked
def program(
    network: Any, accelerator: str | Accelerator = "isaac", *, calibrate: Any = None
) -> Chip:
    """Put a network into a fault-free chip.

    Parameters
    ----------
    network : a torch module; an `IntegerGraph`; a `FinnNetwork`, as `read_board` gives it; a
        `SpikingNetwork`
    accelerator : a name, perhaps with fields ('analog:device=pcm'), or a configuration
    calibrate : (N, ...) some hundred typical inputs, which fix the scales of a float module; a tuple or a
        dict of arrays where it takes several

    Raises
    ------
    InputError : an operator that is not supported, NaN weights, bad inputs, a network that does not fit.
    """
    config = accelerator_of(accelerator)
    return config.program(as_integers(network, config, calibrate=calibrate))


def fits(network: Any, accelerator: Accelerator) -> bool:
    """Whether a network is of the kind that an accelerator of ours is for.

    Quantized networks are for FINN, spiking ones for spiking chips, all others for crossbars. Accelerators of
    somebody's own are for any.
    """
    kinds: dict[type, bool] = {
        FinnConfig: isinstance(network, FinnNetwork) or _is(network, is_quantized),
        SpikingConfig: isinstance(network, SpikingNetwork) or _is(network, is_spiking),
    }
    if type(accelerator) in kinds:
        return kinds[type(accelerator)]
    return not (isinstance(accelerator, (ReramConfig, AnalogConfig)) and any(kinds.values()))


def _is(network: Any, kind: Callable[[nn.Module], bool]) -> bool:
    return isinstance(network, nn.Module) and kind(network)


def as_integers(network: Any, accelerator: Accelerator, *, calibrate: Any = None) -> Any:
    """Return what an accelerator is programmed with: modules as integers, other networks as they are.

    A module of quantized layers, ours or Brevitas's, keeps its own integers; any other is quantized to the
    bits that the accelerator wants, on the first 500 inputs of `calibrate`.
    """
    if not isinstance(network, nn.Module):
        return network
    if is_spiking(network):
        return spiking_network(network)
    if isinstance(accelerator, SpikingConfig):
        remedy = "choose another accelerator, or train one"
        raise InputError("network", "a spiking one for spiking chips", type(network).__name__, remedy)
    if calibrate is None:
        expected = "some hundred typical inputs, to fix the scales of a module"
        raise InputError("calibrate", expected, "none", "hand in training inputs")
    if is_quantized(network):
        return finn_graph(network, check_calibration(calibrate).shape[1:])
    wanted = accelerator.quantization
    return quantize(
        network,
        _first(calibrate),
        weight_bits=wanted.weight_bits,
        activation_bits=wanted.activation_bits,
        symmetric=wanted.symmetric,
        scales=wanted.scales,
    )


def _first(calibrate: Any) -> Any:
    """The inputs that fix scales: so many of the given, of every array."""
    if isinstance(calibrate, Mapping):
        return {name: _first(values) for name, values in calibrate.items()}
    if isinstance(calibrate, tuple):
        return tuple(_first(values) for values in calibrate)
    found = as_array("calibrate", calibrate)
    if not found.ndim:
        raise InputError("calibrate", "an array (N, ...)", type(calibrate).__name__)
    return found[:CALIBRATION_INPUTS]
