"""Neural networks on imperfect accelerators: what faults do, how to find them, how to survive them.

``import xbarsim as xb`` is the front door: the names below are imported from where they are defined when they
are first asked for, so that the import itself is quick and loads neither torch nor numba.

The packages stand in one order, which setup.cfg writes down and ``lint-imports`` checks; torch is imported
by the bridge and what stands above it, never below.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "xbarsim.errors": "InputError",
    "xbarsim.rng": "Trial stream",
    "xbarsim.chip": "Cost Run Repaired Quantization",
    "xbarsim.registry": "accelerators detectors fault_models repairs",
    "xbarsim.data": "Dataset as_dataset read_data",
    "networks.datasets": "load_dataset",
    "networks.catalogue": "network",
    "networks.checkpoints": "load_checkpoint save_checkpoint",
    "networks.zoo": "zoo_path",
    "networks.snn": "Snn",
    "xbarsim.programs": "program",
    "xbarsim.subject": "Subject",
    "xbarsim.experiments.explain": "explain",
    "xbarsim.experiments.references": "SubjectReference",
    "accel_models.reram.config": "ReramConfig CellOperations",
    "accel_models.reram.analog_config": "AnalogConfig",
    "accel_models.reram.analog": "write_analog",
    "accel_models.reram.calibration": "calibrate_adc",
    "xbarsim.crossbar.config": "AdcConfig ArrayConfig",
    "xbarsim.crossbar.parasitic": "Wires",
    "xbarsim.cells.encoding": "WeightFormat",
    "xbarsim.cells.device": "device",
    "accel_models.finn.config": "FinnConfig",
    "accel_models.finn.board": "read_board write_board",
    "accel_models.finn.qonnx.reader": "read_qonnx",
    "accel_models.finn.from_graph": "from_graph",
    "accel_models.finn.cycles": "design_cycles",
    "accel_models.finn.resources": "design_resources",
    "accel_models.finn.replication": "replication_front",
    "accel_models.spiking.config": "SpikingConfig SpikingNetwork",
    "accel_models.spiking.cells": "program_on_cells with_faulty_cells",
    "accel_models.spiking.recorder": "Recorder",
    "xbarsim.faults.kinds": "CellGeometry",
    "xbarsim.faults.cell_map": "FaultMap",
    "xbarsim.faults.sampling": "FaultMix",
    "xbarsim.faults.cell_models": "FaultyClusters FaultyColumns FaultyCount FaultyRows SoftCells",
    "xbarsim.faults.stuck_cells": "StuckCells",
    "xbarsim.faults.activations": "StuckActivations",
    "xbarsim.faults.stuck_at_zero": "StuckAtZero",
    "xbarsim.faults.models": "FaultyNeurons SingleFaults",
    "xbarsim.faults.given": "GivenFaults",
    "xbarsim.faults.places": "NoFaults",
    "xbarsim.faults.pe": "FinnGeometry PeFaults",
    "xbarsim.faults.neurons": "FaultUniverse NeuronFaultKind NeuronFaults SpikingGeometry",
    "xbarsim.graph.integer_graph": "IntegerGraph",
    "xbarsim.graph.saturation": "CalibrationWarning RoundingWarning SaturationWarning",
    "xbarsim.torch_bridge.quantize": "quantize",
    "xbarsim.torch_bridge.onnx_import": "read_onnx",
    "xbarsim.torch_bridge.finn_export": "finn_graph",
    "xbarsim.torch_bridge.quantized": "PixelSign QuantActivation QuantConv2d QuantInput QuantLinear",
    "xbarsim.torch_bridge.injection": "fault_aware",
    "xbarsim.torch_bridge.module": "ChipModule",
    "xbarsim.training.loop": "accuracy fit initialise",
    "xbarsim.training.recipe": "Recipe",
    "xbarsim.training.fault_aware": "AllLayers OneLayerAnEpoch",
    "xbarsim.training.stochastic": "StuckCellTraining",
    "xbarsim.training.spiking": "NeuronFaultTraining",
    "xbarsim.training.adversarial_features": "Game GameSettings moves play",
    "xbarsim.detection.patterns": "AdversarialPatterns OriginalImages",
    "xbarsim.detection.march.detector": "MarchDetector",
    "xbarsim.detection.march.algorithms": "march_test",
    "xbarsim.detection.march.chip": "march_chip",
    "xbarsim.detection.spiking": "generate_test",
    "xbarsim.detection.spiking_files": "SpikingTestSet",
    "xbarsim.repair.nothing": "AsItIs",
    "xbarsim.repair.refresh": "Refresh",
    "xbarsim.repair.closest": "ClosestValues",
    "xbarsim.repair.retrain": "Retrain",
    "xbarsim.repair.diagnosis": "Diagnosis",
    "xbarsim.campaigns.task": "Outcome Task",
    "xbarsim.campaigns.dask_scheduler": "DaskScheduler",
    "xbarsim.campaigns.exchange": "read_frame",
    "xbarsim.experiments.measures": "Accuracy Detection",
    "xbarsim.experiments.experiment": "Experiment grid",
    "xbarsim.experiments.collecting": "collect",
    "xbarsim.experiments.every_fault": "every_fault",
    "xbarsim.experiments.campaign_file": "CampaignFile plan",
    "xbarsim.experiments.campaign_reading": "read_campaign",
    "xbarsim.report.results": "Results read_results",
    "xbarsim.report.page": "write_report",
    "xbarsim.metrics.intervals": "Estimate mean_over_chips paired_difference wilson",
    "xbarsim.metrics.roc": "roc_curve",
    "xbarsim.metrics.stability": "stability_score",
}
_NAMES = {name: module for module, names in _HOMES.items() for name in names.split()}
__all__ = [*_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'xbarsim' has no attribute {name!r}")
    found = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
