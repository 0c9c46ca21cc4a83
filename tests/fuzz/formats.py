"""Every kind of file that is read: how a good one is made, and what reads it."""

import gzip
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from accel_models.finn.board import read_board, write_board
from accel_models.finn.folding import read_folding, write_folding
from accel_models.finn.qonnx.reader import read_qonnx
from networks.catalogue import network
from networks.checkpoints import load_checkpoint, read_metadata, save_checkpoint
from tests.helpers.finn_networks import random_network, small_network
from tests.helpers.image_files import cifar_bytes, idx_bytes, write_pictures
from tests.helpers.qonnx_files import valid
from tests.helpers.trainings import data, plain, recipe
from xbarsim.campaigns.exchange import export, merge
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.data import read_data
from xbarsim.detection.spiking import SpikingTest
from xbarsim.detection.spiking_files import SpikingTestSet
from xbarsim.experiments.campaign_file import plan
from xbarsim.experiments.campaign_reading import read_campaign
from xbarsim.experiments.references import accelerator_from
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.given import load_faults
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.neurons import NeuronFaults
from xbarsim.faults.sampling import FaultMix, sample_by_count
from xbarsim.report.page import write_report
from xbarsim.report.results import read_results
from xbarsim.torch_bridge.onnx_import import read_onnx
from xbarsim.training.loop import fit, initialise
from xbarsim.training.resume import Epoch, read_history

CAMPAIGN = """
name = "small"
networks = ["digits-mlp"]
accelerators = ["isaac"]
images = 20
trials = 3
[[faults]]
name = "stuck-cells"
rate = [0.0, 0.01]
mix = "even"
"""


@dataclass(frozen=True)
class Format:
    """How a file or folder is made, what reads it, and which file of a folder is changed."""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    damaged: str = ""


def _written(name, content):
    def make(folder):
        path = folder / name
        path.write_bytes(content() if callable(content) else content)
        return path

    return make


def _fault_map(folder):
    found = sample_by_count(
        CellGeometry(arrays=2), 30, mix=FaultMix(stuck_hrs=1, flip=1), rng=np.random.default_rng(0)
    )
    return found.save(folder / "map.safetensors")


def _digits(folder):
    rng = np.random.default_rng(0)
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(rng.integers(0, 256, (5, 4, 4))))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(rng.integers(0, 10, 5)))
    return folder


def _packed(folder):
    _digits(folder)
    for file in list(folder.iterdir()):
        (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        file.unlink()
    return folder


def _cifar(folder):
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32))
    (folder / "test_batch.bin").write_bytes(cifar_bytes(images, [0, 5, 9]))
    return folder


def _archive(folder):
    images = np.random.default_rng(0).random((4, 1, 3, 3), np.float32)
    np.savez_compressed(folder / "data.npz", images=images, labels=np.arange(4))
    return folder / "data.npz"


def _module():
    return network("digits-mlp").build()


def _weights(folder):
    return save_checkpoint(folder / "net.safetensors", _module(), {"epochs": "1"})


def _pickled(folder):
    torch.save({"state_dict": _module().state_dict(), "epoch": 3}, folder / "net.pt")
    return folder / "net.pt"


def _training(folder):
    fit(initialise(plain, 0), *data(), recipe("adam"), seed=3, resume=folder / "training.safetensors")
    return folder / "training.safetensors"


def _resume(path):
    read_history(path, Epoch)
    return fit(initialise(plain, 0), *data(), recipe("adam"), seed=3, resume=path)


def _board(folder):
    write_board(random_network("cnvW2A2", np.random.default_rng(3)), folder / "cnvW2A2")
    return folder / "cnvW2A2"


def _test_set(folder):
    test = SpikingTest(
        patterns=np.array([7, 2]), repetitions=3, mean=np.ones((2, 3)), variance=np.ones((2, 3)),
        threshold=12.5, false_alarm_rate=0.01, confidence=0.95,
    )  # fmt: skip
    return SpikingTestSet(test=test, images=np.zeros((2, 5), np.float32)).save(folder / "set.safetensors")


def _pictures(folder):
    grey = {name: np.full((2, 1, 4, 4), level) for name, level in (("a", 9), ("b", 99))}
    return write_pictures(folder / "pictures", grey)


def _small():
    return small_network(np.random.default_rng(0))


def _folding(path):
    return read_folding(path, _small())


def _store(folder):
    """Of a small campaign, with a failure; what was done is in the file alone."""
    description = folder / "small.toml"
    description.write_text(CAMPAIGN)
    path = folder / "small.db"
    collect(plan(read_campaign(description)).tasks, path)
    with Store(path, "write") as store:
        store.append_failure(1, 2, 1, 0.1, "ValueError: no")
    return path


def use_store(path, *, page=True):
    """Everything that reads a store; a mistake, if there is one, after all have been tried."""
    mistakes = []
    uses = (
        lambda: Store(path).status(),
        lambda: str(read_results(path)),
        lambda: write_report(path, path.with_name("page.html")) if page else None,  # takes longest
        lambda: _export(path),
        lambda: merge(path.with_name(f"{path.stem}-merged.db"), [path]),
    )
    for use in uses:
        try:
            use()
        except Exception as error:
            mistakes.append(error)
    path.with_name(f"{path.stem}-merged.db").unlink(missing_ok=True)
    for mistake in sorted(mistakes, key=lambda error: type(error).__name__ == "InputError"):
        raise mistake


def _export(path):
    with Store(path) as store:
        export(store, path.with_name("trials.csv"))


def _float_onnx() -> bytes:
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["a"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["a", "low"], ["b"]),
        helper.make_node("AveragePool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Shape", ["c"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"], axis=0),
        helper.make_node("Concat", ["n", "rest"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["c", "sizes"], ["d"]),
        helper.make_node("Gemm", ["d", "matrix"], ["y"], name="last"),
    ]
    held = {
        "kernel": np.ones((2, 1, 3, 3), np.float32),
        "bias": np.ones(2, np.float32),
        "low": np.array(0, np.float32),
        "first": np.array([0]),
        "rest": np.array([-1]),
        "matrix": np.ones((8, 3), np.float32),
    }
    constants = [numpy_helper.from_array(array, name) for name, array in held.items()]
    ends = [
        helper.make_tensor_value_info("x", 1, [1, 1, 4, 4]),
        helper.make_tensor_value_info("y", 1, [1, 3]),
    ]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()


FORMATS = {
    "fault-map": Format(_fault_map, FaultMap.load),
    "unit-faults": Format(
        _written("faults.csv", b"kind,layer,unit,word,bit,value,image\npe,0,1,-1,-1,1,-1\n"),
        load_faults,
    ),
    "neuron-faults": Format(lambda folder: NeuronFaults.of([]).save(folder / "neurons.csv"), load_faults),
    "idx": Format(_digits, read_data, "t10k-images-idx3-ubyte"),
    "idx.gz": Format(_packed, read_data, "t10k-labels-idx1-ubyte.gz"),
    "cifar": Format(_cifar, read_data, "test_batch.bin"),
    "npz": Format(_archive, read_data),
    "pictures": Format(_pictures, read_data, "b/1.png"),
    "checkpoint": Format(_weights, lambda path: (load_checkpoint(path, _module()), read_metadata(path))),
    "pickle": Format(_pickled, lambda path: load_checkpoint(path, _module())),
    "training": Format(_training, _resume),
    "board": Format(_board, lambda path: read_board(path), "0-0-weights.bin"),
    "board-thresholds": Format(_board, lambda path: read_board(path), "1-0-thres.bin"),
    "folding": Format(lambda folder: write_folding(_small(), folder / "folding.json"), _folding),
    "accelerator": Format(
        _written("mine.toml", b'base = "isaac"\nname = "mine"\n[array]\nrows = 64\n[array.adc]\nbits = 7\n'),
        lambda path: accelerator_from(str(path)),
    ),
    "campaign": Format(_written("small.toml", CAMPAIGN.encode()), lambda path: read_campaign(path)),
    "campaign-yaml": Format(
        _written("small.yaml", lambda: json.dumps(tomllib.loads(CAMPAIGN)).encode()),
        lambda path: read_campaign(path),
    ),
    "onnx": Format(_written("float.onnx", lambda: _float_onnx()), lambda path: read_onnx(path)),
    "qonnx": Format(_written("net.onnx", lambda: valid().SerializeToString()), read_qonnx),
    "store": Format(_store, lambda path: use_store(path, page=False)),
    "test-set": Format(_test_set, SpikingTestSet.load),
}
