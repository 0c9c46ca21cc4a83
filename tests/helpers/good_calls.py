"""A good call of every name of the front door, and of the methods of what they return.

`good_calls(folder)` gives makers by name: each makes a `Call` anew, since some calls change what they are
given. Tests and fuzz runs replace one argument after the other. `NO_CALLS` names what is not called, and why.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import nn

import xbarsim as xb
from accel_models.finn.equivalence import simulate_classes
from accel_models.finn.floats import FloatPixels
from tests.helpers.finn_networks import random_network, small_network
from tests.helpers.graphs import branching_graph
from xbarsim.campaigns.task import Outcome
from xbarsim.experiments.every_fault import every_fault
from xbarsim.faults.neurons import NeuronFault
from xbarsim.training.adversarial_features import GameEpoch

NO_CALLS = {
    "InputError": "wording of mistakes",
    "CalibrationWarning": "a category",
    "RoundingWarning": "a category",
    "SaturationWarning": "a category",
    "NeuronFaultKind": "an enumeration",
    "Results": "made by read_results and collect",
    "CampaignFile": "pydantic's own checks; test_campaign_file.py",
    "AllLayers": "takes nothing",
    "OneLayerAnEpoch": "takes nothing",
    "AsItIs": "takes nothing",
    "NoFaults": "takes nothing",
    "Refresh": "takes nothing",
    "Outcome": "a tuple; checked when it is stored",
    "SubjectReference": "read when it is loaded; test_references.py",
    "read_onnx": "needs the extra 'onnx'; test_onnx_import.py and test_onnx_file.py",
    "read_qonnx": "needs the extra 'qonnx'; test_reader.py",
}


@dataclass(frozen=True)
class Call:
    """A function with good arguments, by name.

    Attributes
    ----------
    texts : arguments that may be any text
    kept : arguments, and wrong values by their names, that are left out
    """

    function: object
    arguments: dict
    texts: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def run(self, **changes):
        """Call it with some arguments replaced."""
        return self.function(**{**self.arguments, **changes})


CHECKPOINT, BOARD, STORE = "tiny.safetensors", "board", "store.db"
ARRAYS, CAMPAIGN = "data.npz", "campaign.toml"
SIZES = (4, 6, 3)
SHAPES = ("a number", "one axis more", "a column")
PLACES = ("no numbers", "empty", "of truth values", "below 0")  # none, a mask, and places from the end
COLUMNS = (  # single numbers spread; what geometries do not have, `check` says
    "a number",
    "3",
    "a list",
    "an array",
    "a 0-d array",
    "no numbers",
    "empty",
    "of objects",
    "below 0",
    "far above",
)
GEOMETRY = xb.CellGeometry(arrays=2, rows=8, columns=8)


class Coin:
    """A workload."""

    def describe(self):
        return {"metric": "heads"}

    def prepare(self):
        return lambda seed, numbers: [Outcome(1, number % 2) for number in numbers]


def images(count=6):
    """(count, 4) float32 in 0..1, numbers of few bits."""
    x = np.random.default_rng(1).integers(1, 16, (count, 4)) / 16
    x[0, 0], x[0, 1] = 1, 0
    return x.astype(np.float32)


def labels(count=6):
    return np.arange(count) % 3


def module():
    return xb.initialise(lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), 0).eval()


def _quantized():
    return xb.initialise(_build_quantized, 0)


def _build_quantized():
    return nn.Sequential(
        xb.QuantInput(8, fraction=7),
        xb.QuantLinear(4, 6, weight_bits=2),
        nn.BatchNorm1d(6),
        xb.QuantActivation(2),
        xb.QuantLinear(6, 3, weight_bits=2),
    ).eval()


@cache
def graph():
    return xb.quantize(module(), images(), weight_bits=8, activation_bits=8)


@cache
def chip():
    return xb.ReramConfig().program(graph())


@cache
def analog():
    return xb.write_analog(chip(), xb.device("pcm"), 0)


@cache
def finn():
    return small_network(np.random.default_rng(0))


@cache
def finn_chip():
    return xb.FinnConfig().program(finn())


def pixels():
    return (np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8)) / 255).astype(np.float32)


@cache
def spiking_geometry():
    return xb.SpikingGeometry(sizes=SIZES, steps=5)


def spiking_weights():
    rng = np.random.default_rng(0)
    return [rng.integers(-8, 9, (n, m)) / 8 for n, m in itertools.pairwise(SIZES)]


@cache
def spiking():
    network = xb.SpikingNetwork(geometry=spiking_geometry(), weights=spiking_weights())
    return xb.SpikingConfig().program(network)


def neuron_faults():
    return xb.NeuronFaults.of(kind="hsf", layer=1, neuron=np.array([0, 1]))


def pe_faults():
    return xb.PeFaults.of(kind="channel", layer=0, unit=np.array([0, 1]), value=np.array([1, -1]))


def fault_map(places=None):
    geometry = chip().geometry if places is None else places
    return xb.FaultMap.of(geometry, array=0, row=np.array([1, 2]), column=3, kind="stuck_lrs")


def dataset():
    return xb.Dataset.of(images(), labels())


@cache
def subject():
    return xb.Subject(module(), "isaac", test=dataset(), train=dataset(), name="tiny")


def task():
    return xb.Task(workload=Coin(), trials=3)


def _game():
    return xb.Game(
        extractor=xb.initialise(lambda: nn.Linear(4, 2), 0),
        decoder=xb.initialise(lambda: nn.Linear(2, 4), 1),
        discriminator=xb.initialise(lambda: nn.Linear(2, 1), 2),
    )


def recorder(seed=0):
    return xb.Recorder(spiking(), [spiking().inject(neuron_faults())], images(), seed=seed)


@cache
def spiking_test():
    healthy = xb.Recorder(spiking(), [spiking()], images(), seed=1)
    return xb.generate_test(healthy, recorder(), 6, false_alarm_rate=0.2, confidence=0.5, most_patterns=2)


def write_files(folder):
    """Write what calls read: a checkpoint, arrays, a campaign, a board, a store."""
    xb.save_checkpoint(folder / CHECKPOINT, module(), {})
    xb.write_board(random_network("lfcW1A1", np.random.default_rng(0)), folder / BOARD)
    xb.collect([task()], folder / STORE)
    np.savez(folder / ARRAYS, images=images(), labels=labels())
    (folder / CAMPAIGN).write_text(
        'name = "tiny"\nnetworks = ["digits-mlp"]\naccelerators = ["isaac"]\nimages = 5\n'
        '[[faults]]\nname = "stuck-cells"\nrate = [0.01]\n'
    )


def good_calls(folder):
    """Makers of a good call of every name, by name: 'wilson', or 'ReramChip.run' for methods.

    Parameters
    ----------
    folder : where `write_files` wrote
    """
    return {
        **_numbers(),
        **_configurations(),
        **_fault_models(),
        **_chips(),
        **_networks(folder),
        **_training(),
        **_campaigns(folder),
        **_finn(folder),
    }


def rng():
    return np.random.default_rng(0)


def _numbers():
    cost = {"latency_ns": 1.0, "energy_pJ": 2.0, "cell_writes": 3}
    run = {"scores": np.eye(3), "classes": np.arange(3), "cost": xb.Cost(latency_ns=1.0, energy_pJ=2.0)}
    scores = np.array([0.5, 0.75, 0.25, 0.5])
    return {
        "Trial": lambda: Call(xb.Trial, {"seed": 1, "number": 2}),
        "Trial.stream": lambda: Call(xb.Trial(1, 2).stream, {"scenario": "faults"}, texts=("scenario",)),
        "stream": lambda: Call(xb.stream, {"seed": 1, "scenario": "faults", "trial": 2}, texts=("scenario",)),
        "Cost": lambda: Call(xb.Cost, cost, kept=("NaN",)),
        "Run": lambda: Call(xb.Run, run, kept=("bytes of pixels", "far above")),
        "Run.hits": lambda: Call(xb.Run(**run).hits, {"labels": np.arange(3)}),
        "Run.accuracy": lambda: Call(xb.Run(**run).accuracy, {"labels": np.arange(3)}),
        "Quantization": lambda: Call(
            xb.Quantization, {"weight_bits": 8, "activation_bits": 8, "symmetric": False}
        ),
        "Repaired": lambda: Call(
            xb.Repaired, {"chip": chip(), "counts": {"bytes": 1.0}, "files": {"a": b"1"}}
        ),
        "Estimate": lambda: Call(
            xb.Estimate, {"value": 0.5, "low": 0.25, "high": 0.75}, kept=("value", "low", "high")
        ),
        "wilson": lambda: Call(xb.wilson, {"hits": 3, "shots": 10, "confidence": 0.5}),
        "mean_over_chips": lambda: Call(
            xb.mean_over_chips, {"values": scores, "confidence": 0.5}, kept=("bytes of pixels",)
        ),
        "paired_difference": lambda: Call(
            xb.paired_difference,
            {"first": scores, "second": scores[::-1].copy(), "confidence": 0.5},
            kept=("bytes of pixels",),
        ),
        "roc_curve": lambda: Call(
            xb.roc_curve, {"healthy": scores, "faulty": scores + 0.25}, kept=("bytes of pixels",)
        ),
        "stability_score": lambda: Call(
            xb.stability_score, {"pretrain": 0.75, "retrain": 0.5, "defect": 0.25}
        ),
    }


def _configurations():
    cells = {"source": "s", "t_read_ns": 1.0, "t_write_ns": 2.0, "read_pJ": 3.0, "write_pJ": 4.0}
    return {
        "accelerators": lambda: Call(xb.accelerators.parse, {"text": "isaac:arrays=64"}),
        "detectors": lambda: Call(xb.detectors.parse, {"text": "march"}),
        "fault_models": lambda: Call(xb.fault_models.parse, {"text": "stuck-cells:rate=0.01"}),
        "repairs": lambda: Call(xb.repairs.parse, {"text": "refresh"}),
        "accelerators.make": lambda: Call(xb.accelerators.make, {"name": "isaac", "values": {"arrays": 64}}),
        "ReramConfig": lambda: Call(
            xb.ReramConfig,
            {
                "name": "mine",
                "array": xb.ArrayConfig(),
                "arrays": 64,
                "cycle_ns": 50.0,
                "pipeline_cycles": 22,
                "cell": xb.CellOperations(**cells),
                "power": xb.ReramConfig().power,
            },
            texts=("name",),
        ),
        "CellOperations": lambda: Call(xb.CellOperations, cells, texts=("source",)),
        "AnalogConfig": lambda: Call(
            xb.AnalogConfig,
            {"base": "isaac", "device": "pcm", "wire_ohm": 0.0, "age_s": 1.0, "reference": "ideal"},
        ),
        "AdcConfig": lambda: Call(xb.AdcConfig, {"bits": 8, "full_range": 256}, kept=("full_range",)),
        "ArrayConfig": lambda: Call(
            xb.ArrayConfig,
            {
                "rows": 64,
                "columns": 64,
                "format": xb.WeightFormat(),
                "inverted_storage": True,
                "adc": xb.AdcConfig(),
                "dac_bits": 1,
                "input_bits": 8,
            },
        ),
        "Wires": lambda: Call(
            xb.Wires, {"word_ohm": 1.0, "bit_ohm": 1.0, "source_ohm": 0.5, "sense_ohm": 0.5}
        ),
        "WeightFormat": lambda: Call(
            xb.WeightFormat, {"weight_bits": 8, "cell_bits": 2, "encoding": "offset"}
        ),
        "WeightFormat.encode": lambda: Call(
            xb.WeightFormat(weight_bits=8).encode, {"weights": np.array([3, 4])}, kept=(*SHAPES, "below 0")
        ),
        "device": lambda: Call(xb.device, {"name": "pcm"}),
        "FinnConfig": lambda: Call(
            xb.FinnConfig,
            {"name": "mine", "clock_MHz": 50.0, "weight_bits": 2, "activation_bits": 2, "loopback": (2, 2)},
            texts=("name",),
        ),
        "SpikingConfig": lambda: Call(xb.SpikingConfig, {"name": "mine"}, texts=("name",)),
        "CellGeometry": lambda: Call(xb.CellGeometry, {"arrays": 2, "rows": 8, "columns": 8, "levels": 4}),
        "SpikingGeometry": lambda: Call(
            xb.SpikingGeometry, {"sizes": SIZES, "steps": 5, "leak": 0.25, "threshold": 0.5}
        ),
        "AdversarialPatterns": lambda: Call(
            xb.AdversarialPatterns, {"patterns": 3, "criterion": "SDC-1", "epsilon": 0.25}
        ),
        "OriginalImages": lambda: Call(xb.OriginalImages, {"patterns": 3, "criterion": "SDC-1"}),
        "MarchDetector": lambda: Call(
            xb.MarchDetector, {"march": "March C-", "addressing": "row-parallel", "restore": True}
        ),
        "march_test": lambda: Call(xb.march_test, {"name": "March C-"}),
        "Diagnosis": lambda: Call(xb.Diagnosis, {"march": "March C-", "misses": 0.0, "false_positives": 0.0}),
        "ClosestValues": lambda: Call(xb.ClosestValues, {"diagnosis": xb.Diagnosis()}),
        "Retrain": lambda: Call(
            xb.Retrain,
            {
                "epochs": 1,
                "learning_rate": 0.5,
                "images": 3,
                "targets": "labels",
                "update": "exact",
                "diagnosis": xb.Diagnosis(),
            },
        ),
        "Accuracy": lambda: Call(xb.Accuracy, {"fidelity": "digital"}),
        "Detection": lambda: Call(xb.Detection, {"detector": xb.MarchDetector()}),
        "Recipe": lambda: Call(
            xb.Recipe,
            {
                "epochs": 1,
                "batch_size": 4,
                "learning_rate": 0.5,
                "optimizer": "sgd",
                "weight_decay": 0.5,
                "schedule": "step",
                "step_epochs": 2,
                "step_factor": 0.5,
                "loss": "cross-entropy",
                "augment": "none",
                "clip_norm": 1.0,
                "precision": "float32",
            },
        ),
        "GameSettings": lambda: Call(
            xb.GameSettings,
            {
                "epochs": 1,
                "batch_size": 4,
                "learning_rate": 0.5,
                "discriminator_rate": 0.5,
                "steps": 1,
                "every": 1,
                "prior_label": 1.0,
            },
        ),
    }


def _fault_models():
    universe = lambda: xb.FaultUniverse(geometry=spiking_geometry())  # noqa: E731
    kind = xb.NeuronFaultKind.hsf
    columns = {
        "array": np.array([0, 1]),
        "row": np.array([1, 2]),
        "column": np.array([3, 4]),
        "kind": "stuck_at",
    }
    neuron = {"kind": "hsf", "layer": 1, "neuron": np.array([0, 1]), "value": 2.0}
    pe = {"kind": "channel", "layer": 0, "unit": np.array([0, 1]), "value": np.array([1, -1])}
    unit = lambda: finn_chip().geometry.layers[0]  # noqa: E731
    return {
        "FaultMap": lambda: Call(
            xb.FaultMap,
            {
                "geometry": GEOMETRY,
                "cell": np.array([1, 2]),
                "kind": np.array([0, 1], np.uint8),
                "value": np.array([0, 3], np.int8),
            },
            kept=("cell", "kind", "value"),
        ),
        "FaultMap.of": lambda: Call(
            xb.FaultMap.of, {"geometry": GEOMETRY, **columns, "value": np.array([1, 2])}, kept=COLUMNS
        ),
        "FaultMap.from_cells": lambda: Call(
            xb.FaultMap.from_cells,
            {
                "geometry": GEOMETRY,
                "cell": np.array([1, 9]),
                "kind": np.array([2, 2]),
                "value": np.array([0, 3]),
            },
        ),
        "FaultMap.take": lambda: Call(fault_map(GEOMETRY).take, {"chosen": np.array([0, 1])}, kept=PLACES),
        "FaultMap.merge": lambda: Call(fault_map(GEOMETRY).merge, {"other": fault_map(GEOMETRY)}),
        "FaultMap.compare": lambda: Call(fault_map(GEOMETRY).compare, {"other": fault_map(GEOMETRY)}),
        "FaultMap.check": lambda: Call(fault_map(GEOMETRY).check, {"geometry": GEOMETRY}),
        "FaultMix": lambda: Call(
            xb.FaultMix, {"stuck_hrs": 1.0, "stuck_lrs": 2.0, "stuck_at": 0.5, "flip": 0.0, "step": 0.0}
        ),
        "FaultyClusters": lambda: Call(xb.FaultyClusters, {"clusters": 2, "radius": 1, "mix": "even"}),
        "FaultyColumns": lambda: Call(xb.FaultyColumns, {"columns": 2, "mix": "even"}),
        "FaultyCount": lambda: Call(xb.FaultyCount, {"count": 2, "mix": "even"}),
        "FaultyRows": lambda: Call(xb.FaultyRows, {"rows": 2, "mix": "even"}),
        "SoftCells": lambda: Call(xb.SoftCells, {"rate": 0.25, "mix": "flip"}),
        "StuckCells": lambda: Call(xb.StuckCells, {"rate": 0.25, "mix": "even"}),
        "StuckCells.draw": lambda: Call(xb.StuckCells(rate=0.25).draw, {"geometry": GEOMETRY, "rng": rng()}),
        "StuckActivations": lambda: Call(xb.StuckActivations, {"rate": 0.25, "unit": "channel"}),
        "StuckAtZero": lambda: Call(xb.StuckAtZero, {"unit": "weight", "share": 0.25}),
        "FaultyNeurons": lambda: Call(
            xb.FaultyNeurons, {"kind": "hsf", "ratio": 0.25, "scope": ("hidden",), "value": 2.0}
        ),
        "SingleFaults": lambda: Call(xb.SingleFaults, {"kinds": ("pe",), "layers": (0,), "strikes": 3}),
        "GivenFaults": lambda: Call(xb.GivenFaults, {"tables": (fault_map(),)}),
        "FinnGeometry": lambda: Call(xb.FinnGeometry, {"layers": (unit(),), "shared": unit()}),
        "PeFaults": lambda: Call(xb.PeFaults, {"table": pe_faults().table}, kept=("table",)),
        "PeFaults.of": lambda: Call(xb.PeFaults.of, pe, kept=COLUMNS),
        "PeFaults.take": lambda: Call(pe_faults().take, {"chosen": np.array([0, 1])}, kept=PLACES),
        "PeFaults.merge": lambda: Call(pe_faults().merge, {"other": pe_faults()}),
        "PeFaults.sample": lambda: Call(pe_faults().sample, {"count": 1, "rng": rng()}),
        "PeFaults.check": lambda: Call(pe_faults().check, {"geometry": finn_chip().geometry}),
        "FaultUniverse": lambda: Call(
            xb.FaultUniverse, {"geometry": spiking_geometry(), "scope": ("hidden",)}
        ),
        "FaultUniverse.sample": lambda: Call(
            universe().sample, {"kind": kind, "ratio": 0.5, "rng": rng(), "value": 2.0, "first": 0, "last": 3}
        ),
        "FaultUniverse.enumerate": lambda: Call(universe().enumerate, {"kind": kind, "value": 2.0}),
        "NeuronFault": lambda: Call(
            NeuronFault, {"kind": kind, "layer": 1, "neuron": 0, "value": 2.0, "first": 0, "last": 3}
        ),
        "NeuronFaults": lambda: Call(xb.NeuronFaults, {"table": neuron_faults().table}, kept=("table",)),
        "NeuronFaults.of": lambda: Call(xb.NeuronFaults.of, neuron, kept=COLUMNS),
        "NeuronFaults.take": lambda: Call(neuron_faults().take, {"chosen": np.array([0, 1])}, kept=PLACES),
        "NeuronFaults.merge": lambda: Call(neuron_faults().merge, {"other": neuron_faults()}),
        "NeuronFaults.during": lambda: Call(neuron_faults().during, {"first": 0, "last": 3}),
        "NeuronFaults.check": lambda: Call(neuron_faults().check, {"geometry": spiking_geometry()}),
    }


def _chips():
    def run(chip, x=None):
        return lambda: Call(chip().run, {"inputs": images() if x is None else x(), "seed": 3})

    inject = lambda chip, faults: lambda: Call(chip().inject, {"faults": faults()})  # noqa: E731

    def each(chip, faults, x):
        return lambda: Call(
            lambda faults, inputs: [run.scores for run in chip().run_each(faults, inputs)],
            {"faults": [faults()], "inputs": x()},
        )

    return {
        "write_analog": lambda: Call(
            xb.write_analog,
            {
                "chip": chip(),
                "device": xb.device("pcm"),
                "seed": 1,
                "reference": "ideal",
                "wires": xb.Wires(word_ohm=0, bit_ohm=0),
                "accelerator": xb.ReramConfig(),
            },
        ),
        "calibrate_adc": lambda: Call(
            xb.calibrate_adc, {"chip": chip(), "images": images(), "percentile": 99.0}
        ),
        "SpikingNetwork": lambda: Call(
            lambda **given: xb.SpikingConfig().program(xb.SpikingNetwork(**given)).run(images()),
            {
                "geometry": spiking_geometry(),
                "weights": spiking_weights(),
                "gain": [np.full(m, 1.5) for m in SIZES[1:]],
                "offset": [np.full(m, 0.5) for m in SIZES[1:]],
            },
        ),
        "SpikingNetwork.gain": lambda: Call(
            lambda first: (
                xb.SpikingConfig()
                .program(
                    xb.SpikingNetwork(
                        geometry=spiking_geometry(), weights=spiking_weights(), gain=[first, np.ones(3)]
                    )
                )
                .run(images())
            ),
            {"first": np.full(6, 1.5)},
            kept=("bytes of pixels",),
        ),
        "program_on_cells": lambda: Call(
            lambda **given: xb.program_on_cells(**given)[0].run(images()),
            {
                "geometry": spiking_geometry(),
                "weights": spiking_weights(),
                "config": xb.ReramConfig(),
                "gain": [np.full(m, 1.5) for m in SIZES[1:]],
                "offset": [np.full(m, 0.5) for m in SIZES[1:]],
            },
        ),
        "with_faulty_cells": lambda: Call(
            lambda **given: xb.with_faulty_cells(**given).run(images()),
            dict(zip(("chip", "cells", "faults"), _on_cells(), strict=True)),
        ),
        "Recorder": lambda: Call(
            lambda **given: xb.Recorder(**given)(np.array([0, 1]), 2),
            {"base": spiking(), "chips": [spiking()], "candidates": images(), "seed": 1},
        ),
        "Recorder.call": lambda: Call(
            recorder(), {"patterns": np.array([0, 1]), "repetitions": 2}, kept=("no numbers", "empty")
        ),
        "generate_test": lambda: Call(
            xb.generate_test,
            {
                "fault_free": xb.Recorder(spiking(), [spiking()], images(), seed=1),
                "faulty": recorder(),
                "candidates": 6,
                "false_alarm_rate": 0.25,
                "confidence": 0.5,
                "needed_power": 0.5,
                "coverage": 0.5,
                "most_patterns": 2,
                "repetitions": (1, 2),
            },
        ),
        "SpikingTestSet": lambda: Call(
            xb.SpikingTestSet,
            {"test": spiking_test().test, "images": images()[: len(spiking_test().test.patterns)]},
        ),
        "march_chip": lambda: Call(
            xb.march_chip, {"fault_map": fault_map(GEOMETRY), "test": xb.march_test("MATS+"), "rng": rng()}
        ),
        "ReramChip.run": run(chip),
        "ReramChip.inject": inject(chip, fault_map),
        "ReramChip.run_each": each(chip, fault_map, images),
        "ReramChip.update": lambda: Call(chip().update, {"graph": graph()}),
        "ReramChip.cost": lambda: Call(chip().cost, {"inputs": 3}),
        "AnalogChip.run": run(analog),
        "AnalogChip.inject": inject(analog, fault_map),
        "AnalogChip.age": lambda: Call(analog().age, {"seconds": 2.0}),
        "SpikingChip.run": run(spiking),
        "SpikingChip.inject": inject(spiking, neuron_faults),
        "SpikingChip.run_each": each(spiking, neuron_faults, images),
        "FinnChip.run": run(finn_chip, pixels),
        "FinnChip.inject": inject(finn_chip, pe_faults),
        "FinnChip.run_each": each(finn_chip, pe_faults, pixels),
    }


def _on_cells():
    chip, cells = xb.program_on_cells(spiking_geometry(), spiking_weights(), xb.ReramConfig())
    return chip, cells, fault_map(cells.geometry)


def _networks(folder):
    checkpoint, array_file = folder / CHECKPOINT, folder / ARRAYS
    return {
        "Dataset": lambda: Call(
            xb.Dataset,
            {
                "images": images(),
                "labels": labels(),
                "value_range": (0.0, 1.0),
                "name": "a",
                "split": "test",
                "source": "b",
            },
            texts=("name", "split", "source"),
        ),
        "Dataset.of": lambda: Call(
            xb.Dataset.of, {"images": images(), "labels": labels()}, kept=("bytes of pixels",)
        ),
        "Dataset.first": lambda: Call(dataset().first, {"count": 2}),
        "as_dataset": lambda: Call(
            xb.as_dataset, {"source": (images(), labels()), "name": "mine"}, texts=("name",)
        ),
        "read_data": lambda: Call(xb.read_data, {"path": array_file}),
        "load_dataset": lambda: Call(xb.load_dataset, {"name": "digits", "split": "test", "limit": 3}),
        "network": lambda: Call(xb.network, {"name": "lenet"}),
        "load_checkpoint": lambda: Call(xb.load_checkpoint, {"path": checkpoint, "module": module()}),
        "save_checkpoint": lambda: Call(
            xb.save_checkpoint,
            {"path": checkpoint.with_name("other.safetensors"), "module": module(), "metadata": {"a": "b"}},
            kept=("path",),
        ),
        "zoo_path": lambda: Call(xb.zoo_path, {"name": "lenet"}),
        "Snn": lambda: Call(
            xb.Snn, {"sizes": SIZES, "steps": 5, "leak": 0.25, "threshold": 0.5, "engine": "loop"}
        ),
        "program": lambda: Call(
            lambda **given: xb.program(**given).run(images()),
            {"network": module(), "accelerator": "isaac", "calibrate": images()},
        ),
        "Subject": lambda: Call(
            lambda **given: xb.Subject(**given).describe(),
            {
                "network": module(),
                "accelerator": "isaac",
                "test": dataset(),
                "train": dataset(),
                "calibrate": images(),
                "name": "tiny",
                "epsilon": 0.25,
                "passes": 1,
            },
            texts=("name",),
        ),
        "IntegerGraph": lambda: Call(
            lambda **given: xb.IntegerGraph(**given).run(images()),
            {"nodes": graph().nodes, "input_shape": (4,)},
        ),
        "IntegerGraph.run": lambda: Call(graph().run, {"images": images(), "batch_size": 2, "watched": True}),
        "IntegerGraph.quantize_input": lambda: Call(graph().quantize_input, {"images": images()}),
        "quantize": lambda: Call(
            lambda **given: xb.quantize(**given).run(images()),
            {
                "module": module(),
                "images": images(),
                "weight_bits": 8,
                "activation_bits": 8,
                "symmetric": False,
            },
            kept=("a list",),
        ),
        "finn_graph": lambda: Call(xb.finn_graph, {"module": _quantized(), "input_shape": (4,)}),
        "PixelSign": lambda: Call(xb.PixelSign(), {"x": torch.ones(2, 3)}, kept=("x",)),
        "QuantActivation": lambda: Call(xb.QuantActivation, {"bits": 2, "signed": True}),
        "QuantConv2d": lambda: Call(
            xb.QuantConv2d,
            {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "weight_bits": 2, "stride": 1},
        ),
        "QuantInput": lambda: Call(xb.QuantInput, {"bits": 8, "fraction": 7, "signed": True}),
        "QuantLinear": lambda: Call(xb.QuantLinear, {"in_features": 2, "out_features": 3, "weight_bits": 2}),
        "fault_aware": lambda: Call(
            xb.fault_aware,
            {"module": _quantized(), "fault_model": xb.StuckActivations(rate=0.25), "values": None},
        ),
        "ChipModule": lambda: Call(
            xb.ChipModule,
            {"graph": graph(), "form": chip().weight_format, "masks": {}, "dtype": torch.float32},
        ),
    }


def _training():
    recipe = xb.Recipe(epochs=1, batch_size=4)
    stuck = {
        "stages": xb.StuckCells(rate=0.25),
        "array": xb.ArrayConfig(),
        "epochs_each": 1,
        "gradient": "straight",
        "norm_epochs": 1,
        "level": "cell",
    }
    epoch = GameEpoch(epoch=1, reconstruction=1.0, discriminator=1.0, extractor=1.0, told_right=0.5)
    return {
        "DaskScheduler": lambda: Call(
            xb.DaskScheduler, {"address": "tcp://127.0.0.1:8786", "trusted": False, "wait_for_workers_s": 5.0}
        ),
        "accuracy": lambda: Call(
            xb.accuracy,
            {"module": module(), "images": images(), "labels": labels()},
            kept=("a list",),
        ),
        "fit": lambda: Call(
            lambda **given: xb.fit(**given)[0].loss,
            {
                "module": module(),
                "images": images(),
                "labels": labels(),
                "recipe": recipe,
                "seed": 1,
                "methods": (),
                "device": "cpu",
            },
            kept=("a list",),
        ),
        "initialise": lambda: Call(
            lambda **given: next(iter(xb.initialise(**given).state_dict().values())).numpy(),
            {"build": lambda: nn.Linear(2, 2), "seed": 1},
        ),
        "StuckCellTraining": lambda: Call(lambda **given: xb.StuckCellTraining(**given).describe(), stuck),
        "NeuronFaultTraining": lambda: Call(
            lambda **given: xb.NeuronFaultTraining(**given).describe(),
            {
                "universe": xb.FaultUniverse(geometry=spiking_geometry()),
                "kind": xb.NeuronFaultKind.hsf,
                "ratio": 0.5,
                "value": 2.0,
                "loss": "both",
            },
        ),
        "Game": lambda: Call(
            xb.Game,
            {"extractor": nn.Linear(4, 2), "decoder": nn.Linear(2, 4), "discriminator": nn.Linear(2, 1)},
        ),
        "moves": lambda: Call(xb.moves, {"history": [epoch, epoch]}),
        "play": lambda: Call(
            lambda **given: xb.play(**given)[0].reconstruction,
            {
                "game": _game(),
                "images": images(),
                "settings": xb.GameSettings(epochs=1, batch_size=4),
                "seed": 1,
                "device": "cpu",
            },
            kept=("a list",),
        ),
    }


def _campaigns(folder):
    store, campaign = folder / STORE, folder / CAMPAIGN
    parts = lambda: {  # noqa: E731
        "measure": xb.Accuracy(),
        "subject": subject(),
        "faults": xb.StuckCells(rate=0.25),
        "repair": xb.AsItIs(),
        "keep": None,
    }
    return {
        "Task": lambda: Call(xb.Task, {"workload": Coin(), "trials": 3, "seed": 1}),
        "read_frame": lambda: Call(lambda path: len(xb.read_frame(path)), {"path": store}),
        "Experiment": lambda: Call(lambda **given: xb.Experiment(**given).describe(), parts()),
        "grid": lambda: Call(
            lambda **given: [task.key for task in xb.grid(**given)],
            {
                "measures": xb.Accuracy(),
                "subjects": subject(),
                "faults": xb.StuckCells(rate=0.25),
                "repairs": xb.AsItIs(),
                "trials": 3,
                "seed": 1,
                "keep": None,
            },
        ),
        "collect": lambda: Call(lambda tasks: xb.collect(tasks).trials.hits.to_numpy(), {"tasks": [task()]}),
        "explain": lambda: Call(
            lambda **given: xb.explain(**given).frame.to_csv(),
            {"subject": subject(), "chip": None, "inputs": 5, "seed": 0},
        ),
        "every_fault": lambda: Call(
            lambda **given: every_fault(**given).hits,
            {"chip": chip(), "model": fault_map(), "data": dataset()},
        ),
        "plan": lambda: Call(
            lambda **given: len(xb.plan(**given).tasks),
            {"campaign": xb.read_campaign(campaign), "code": ()},
            kept=("campaign",),
        ),
        "read_campaign": lambda: Call(xb.read_campaign, {"path": campaign}),
        "read_results": lambda: Call(lambda path: len(xb.read_results(path).tasks), {"path": store}),
        "write_report": lambda: Call(
            xb.write_report, {"store": store, "path": folder / "page.html"}, kept=("path",)
        ),
    }


def _finn(folder):
    board = folder / BOARD
    results = lambda: simulate_classes(  # noqa: E731
        finn_chip(),
        xb.SingleFaults("channel").all(finn_chip().geometry),
        finn().to_pixels(pixels()),
        labels(3),
    )
    return {
        "FloatPixels": lambda: Call(FloatPixels, {"low": 0.0, "high": 1.0}),
        "read_board": lambda: Call(
            lambda **given: xb.read_board(**given).floats,
            {"folder": board, "name": "lfcW1A1", "value_range": (0.0, 1.0)},
        ),
        "write_board": lambda: Call(
            lambda network, folder: len(xb.write_board(network, folder)),
            {"network": finn(), "folder": folder / "other"},
            kept=("folder",),
        ),
        "from_graph": lambda: Call(
            xb.from_graph,
            {"graph": xb.finn_graph(_quantized(), (4,)), "name": "mine", "class_text": "", "weight_bits": 2},
            texts=("name", "class_text"),
        ),
        "design_cycles": lambda: Call(xb.design_cycles, {"network": finn(), "first_layer_interval": 1}),
        "design_resources": lambda: Call(xb.design_resources, {"network": finn(), "weights_in": "BRAM"}),
        "replication_front": lambda: Call(
            xb.replication_front,
            {"design": finn_chip(), "results": results(), "cost": "unrolled", "weights_in": "BRAM"},
            kept=("results",),
        ),
        "FinnNetwork.to_pixels": lambda: Call(finn().to_pixels, {"inputs": pixels()}),
        "branching": lambda: Call(branching_graph(0).run, {"images": images() * 4}),
    }
