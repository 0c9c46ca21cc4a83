"""A named network, trained, quantized and programmed: where every study starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from accel_models.finn.from_graph import from_graph
from accel_models.reram.chip import ReramChip, program
from accel_models.reram.config import ReramConfig
from networks.catalogue import NetworkEntry, network
from networks.checkpoints import load_checkpoint
from networks.datasets import load_dataset
from xbarsim.data import Dataset
from xbarsim.errors import InputError, check_int, check_rate
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.sampling import FaultMix, sample_trial
from xbarsim.rng import stream
from xbarsim.torch_bridge.finn_export import finn_graph
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.training.loop import fit, initialise

CALIBRATION_IMAGES = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Workbench:
    """A network on a healthy chip, with its data."""

    entry: NetworkEntry
    module: nn.Module
    train: Dataset
    test: Dataset
    chip: ReramChip

    def fault_maps(self, rate: float, mix: FaultMix, *, chips: int, seed: int) -> Iterator[FaultMap]:
        """The fault maps of so many chips; the same seed gives the same faults in every study.

        Raises
        ------
        InputError : a rate outside 0..1, no chips.
        """
        check_rate("rate", rate)
        check_int("chips", chips, 1, 10**6)
        geometry = self.chip.geometry
        return (sample_trial(geometry, rate, mix=mix, seed=seed, trial=t) for t in range(chips))


def hits(logits: np.ndarray, labels: np.ndarray) -> int:
    """How many predictions are right."""
    return int((logits.argmax(axis=1) == labels).sum())


def build_workbench(
    name: str,
    config: ReramConfig,
    *,
    weights: Path | None = None,
    seed: int = 0,
    images: int | None = None,
    on_batch: Callable[[int, int, float], None] | None = None,
) -> Workbench:
    """Load or train a named network and program it into a healthy chip.

    Parameters
    ----------
    weights : a checkpoint; None trains the digits network anew (seconds) and refuses the larger ones
    images : test images to keep; None for all
    on_batch : progress of the training

    Raises
    ------
    InputError : an unknown network, no weights for a network that takes minutes to train, bad files.
    """
    entry = crossbar_network(name)
    module = initialise(entry.build, seed)
    if weights is None and entry.dataset != "digits":
        raise InputError(
            f"network {name!r}",
            "trained weights",
            "none",
            f"run 'xbarsim train {name}' and pass --weights FILE",
        )
    if weights is not None:
        load_checkpoint(weights, module)
    train, test = load_dataset(entry.dataset, "train"), load_dataset(entry.dataset, "test", limit=images)
    if weights is None:
        with _one_torch_thread():  # the same weights however many processors there are
            fit(module, train.images, train.labels, entry.recipe, seed=seed, on_batch=on_batch)
    module.eval()
    chip = program_module(module, train.images[:CALIBRATION_IMAGES], config)
    return Workbench(entry=entry, module=module, train=train, test=test, chip=chip)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def program_module(module: nn.Module, images: np.ndarray, config: ReramConfig) -> ReramChip:
    """Quantize a module as an accelerator stores weights and takes inputs, and program it.

    Parameters
    ----------
    images : (N, ...) some hundred typical inputs, for the scales

    Raises
    ------
    InputError : an operator that is not supported, NaN weights, bad images, too few arrays.
    """
    form = config.array.format
    graph = quantize(
        module,
        images,
        weight_bits=form.weight_bits,
        activation_bits=config.array.input_bits,
        symmetric=form.encoding == "differential",
    )
    return program(graph, config)


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """Weights, multiplications an image, and arrays on an accelerator; none for quantized networks."""

    weights: int
    macs: int
    arrays: int | None


def network_size(entry: NetworkEntry, config: ReramConfig) -> NetworkSize:
    """How large a named network is."""
    if entry.quantized:
        layers = from_graph(finn_graph(initialise(entry.build, 0), entry.input_shape)).layers
        weights, macs = sum(layer.weights.size for layer in layers), sum(layer.macs for layer in layers)
        return NetworkSize(weights=weights, macs=macs, arrays=None)
    chip = untrained_chip(entry.name, config)
    return NetworkSize(
        weights=sum(layer.weights.size for layer in chip.graph.layers),
        macs=sum(load.macs for load in chip.loads),
        arrays=chip.placement.arrays,
    )


def crossbar_network(name: str) -> NetworkEntry:
    """A named network that crossbars can hold; refuses quantized ones."""
    entry = network(name)
    if entry.quantized:
        remedy = "train it and give the file to 'xbarsim board' or 'xbarsim inject'"
        raise InputError(f"network {name!r}", "one for crossbars", "one of quantized layers", remedy)
    return entry


def untrained_chip(name: str, config: ReramConfig) -> ReramChip:
    """A named network with its initial weights on a chip: the placement without data or training."""
    entry = crossbar_network(name)
    images = stream(0, "placeholder images").random((8, *entry.input_shape), np.float32)
    return program_module(initialise(entry.build, 0), images, config)
