"""A board's network with its data set: what it classifies, what a board takes, what faults do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.board import read_board
from accel_models.finn.chip import FinnChip, OnBatch
from accel_models.finn.concurrent import FaultResults, simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.cycles import DesignCycles, design_cycles
from accel_models.finn.equivalence import FaultClasses, collapse
from accel_models.finn.from_graph import from_graph
from accel_models.finn.geometry import SharedArray
from accel_models.finn.network import FinnNetwork
from accel_models.finn.presets import presets
from accel_models.finn.qonnx.reader import read_qonnx
from accel_models.finn.resources import Resources, design_resources
from networks.catalogue import NetworkEntry
from networks.catalogue import network as network_named
from networks.checkpoints import load_checkpoint, read_metadata
from networks.datasets import load_dataset, pixels_of
from xbarsim.errors import InputError
from xbarsim.faults.pe import NONE, PeFaults
from xbarsim.torch_bridge.finn_export import finn_graph

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardBench:
    """A design with the test images that it is measured on."""

    design: FinnChip
    dataset: str
    images: Pixels
    labels: NDArray[np.int64]
    source: str

    @property
    def first_layer_interval(self) -> int:
        """The boards' known quirk, where the network is one of theirs."""
        return self.design.network.first_layer_interval


def read_network(path: Path, name: str | None = None) -> FinnNetwork:
    """A network from a board's folder, from a QONNX file, or from a checkpoint of a quantized network."""
    if path.suffix == ".safetensors":
        return read_trained(path, name)
    if path.suffix == ".onnx":
        if name is not None:
            raise InputError("--network", "a folder of parameter files", str(path), "leave it out")
        return read_qonnx(path)
    return read_board(path, name)


def read_trained(path: Path, name: str | None = None) -> FinnNetwork:
    """A network from the checkpoint of a named quantized network, which says its name unless `name` does.

    Raises
    ------
    InputError : not a checkpoint, one of a network that is not quantized.
    """
    entry = _entry_of(path, name)
    module = entry.build()
    load_checkpoint(path, module)
    return from_graph(finn_graph(module.eval(), entry.input_shape), name=entry.name)


def _entry_of(path: Path, name: str | None) -> NetworkEntry:
    chosen = name or read_metadata(path).get("network")
    if chosen is None:
        raise InputError(f"model file {path}", "the name of its network", "none", "say it with --network")
    entry = network_named(chosen)
    if not entry.quantized:
        remedy = "simulate it on crossbars, with 'xbarsim simulate'"
        raise InputError(f"network {chosen!r}", "one of quantized layers", "one for crossbars", remedy)
    return entry


def _dataset_of(path: Path, name: str | None, network: FinnNetwork) -> str | None:
    if path.suffix == ".safetensors":
        return _entry_of(path, name).dataset
    return presets()[network.name].dataset if network.name in presets() else None


def board_bench(
    path: Path,
    *,
    name: str | None = None,
    dataset: str | None = None,
    images: int | None = None,
    shared: SharedArray | None = None,
) -> BoardBench:
    """Read a network and its test images.

    Parameters
    ----------
    name : of the shipped network, if the folder is called otherwise
    dataset : by default the one that the shipped network was trained for
    images : the first so many; all by default

    Raises
    ------
    InputError : wrong files, an unknown data set, one with images of another shape.
    """
    network = read_network(path, name)
    chosen = dataset or _dataset_of(path, name, network)
    if chosen is None:
        raise InputError("--dataset", "the data set of the network", "none", "say which, as in 'cifar10'")
    data = load_dataset(chosen, "test", limit=images)
    pixels = network.check_pixels(pixels_of(data))
    return BoardBench(
        design=FinnConfig(loopback=shared).program(network),
        dataset=chosen,
        images=pixels,
        labels=data.labels,
        source=data.source,
    )


def shipped_board(name: str) -> Path:
    """The folder of a shipped network under XBARSIM_DATA."""
    root = os.environ.get("XBARSIM_DATA")
    folder = Path(root or ".") / "bnn-pynq" / presets()[name].dataset / name
    if not folder.is_dir():
        expected = f"the parameter files of {name}"
        raise InputError(
            f"folder {folder}", expected, "no such folder", "set XBARSIM_DATA or name it with --board"
        )
    return folder


@dataclass(frozen=True, kw_only=True)
class BoardAccuracy:
    """Right answers of a design, and how long this program took."""

    hits: int
    shots: int
    seconds: float


def measure_accuracy(bench: BoardBench, *, on_batch: OnBatch | None = None) -> BoardAccuracy:
    """Classify every image. The first few run before the clock starts, so that nothing is compiled after."""
    bench.design.classify(bench.images[:2])
    start = time.perf_counter()
    classes = bench.design.classify(bench.images, on_batch=on_batch)
    seconds = time.perf_counter() - start
    return BoardAccuracy(hits=int((classes == bench.labels).sum()), shots=len(classes), seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class BoardCost:
    """What the hardware takes, estimated."""

    cycles: DesignCycles
    resources: Resources


def board_cost(bench: BoardBench) -> BoardCost:
    """Cycles and resources of the design as it is folded."""
    network = bench.design.network
    cycles = design_cycles(network, first_layer_interval=bench.first_layer_interval)
    return BoardCost(cycles=cycles, resources=design_resources(network))


@dataclass(frozen=True, kw_only=True, eq=False)
class Campaign:
    """Every fault of a list on every image."""

    results: FaultResults
    classes: FaultClasses
    seconds: float
    inferences: int

    @property
    def rate(self) -> float:
        """Faulty inferences a second, those of collapsed faults not counted."""
        return self.inferences / self.seconds


def run_campaign(
    bench: BoardBench,
    faults: PeFaults,
    *,
    memory_MB: int = 1024,
    on_step: Callable[[int, int], None] | None = None,
) -> Campaign:
    """Collapse the list, simulate a fault of each class, and give the results of all."""
    if len(faults) == 0:
        raise InputError("faults", "at least one", "none", "choose other kinds, layers or another list")
    faults.check(bench.design.geometry)
    classes = collapse(bench.design, faults)
    one = classes.representatives.take(np.arange(min(1, len(classes.representatives))))
    one = one.struck(np.full(len(one), NONE))
    simulate_faults(bench.design, one, bench.images[:1], bench.labels[:1])  # compiles before the clock starts
    start = time.perf_counter()
    found = simulate_faults(
        bench.design,
        classes.representatives,
        bench.images,
        bench.labels,
        memory_MB=memory_MB,
        on_step=on_step,
    )
    return Campaign(
        results=classes.expand(found),
        classes=classes,
        seconds=time.perf_counter() - start,
        inferences=len(classes.representatives) * len(bench.images),
    )


def with_network(bench: BoardBench, network: FinnNetwork) -> BoardBench:
    """The same images on another folding of the network."""
    return replace(bench, design=bench.design.accelerator.program(network))
