"""Words become networks, data and accelerators; wrong ones get one line."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from accel_models.finn.board import write_board
from accel_models.finn.config import FinnConfig
from accel_models.finn.network import FinnNetwork
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import ReramConfig, isaac
from networks.checkpoints import load_checkpoint, save_checkpoint
from networks.datasets import load_dataset
from networks.mlp import Mlp, digits_mlp
from networks.zoo import zoo_path
from tests.helpers.finn_networks import random_network
from xbarsim.errors import InputError
from xbarsim.experiments.references import (
    SubjectReference,
    accelerator_from,
    data_of,
    network_of,
    trainee_of,
)
from xbarsim.training.loop import initialise

MINE = """\
import torch
from torch import nn
from accel_models.reram.config import ReramConfig, isaac
from networks.datasets import load_dataset


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def data():
    return {part: load_dataset("digits", part) for part in ("train", "test")}


def hardware():
    return ReramConfig(name="mine", arrays=99)


def kind():
    return ReramConfig


def three():
    return 3


def broken():
    return nn.Linear(torch.zeros(3), 4)
"""


@pytest.fixture
def mine(tmp_path):
    """A file with a network, data and an accelerator."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.fixture
def other_mlp(tmp_path):
    """A checkpoint of digits-mlp with other weights than the zoo's."""
    module = initialise(digits_mlp, 7)
    return save_checkpoint(tmp_path / "other.safetensors", module, {"network": "digits-mlp"})


def same(module, path):
    wanted = digits_mlp()
    load_checkpoint(path, wanted)
    pairs = zip(module.state_dict().values(), wanted.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# networks


def test_names_of_the_catalogue_have_the_weights_of_the_zoo():
    found = network_of("digits-mlp")
    assert (found.name, found.data, found.passes) == ("digits-mlp", "digits", 10)
    assert same(found.network, zoo_path("digits-mlp"))


def test_names_of_the_zoo_are_networks_of_the_catalogue():
    found = network_of("cnv-w1a1-half-fat")
    assert (found.name, found.data) == ("cnv-w1a1-half", "cifar10")


def test_weights_stand_in_for_those_of_the_zoo(other_mlp, tmp_path):
    assert same(network_of("digits-mlp", other_mlp).network, other_mlp)
    torch.save({"state_dict": initialise(digits_mlp, 7).state_dict()}, tmp_path / "other.pt")
    assert same(network_of("digits-mlp", tmp_path / "other.pt").network, other_mlp)


def test_a_checkpoint_says_its_network(other_mlp):
    found = network_of(str(other_mlp))
    assert found.name == "digits-mlp" and same(found.network, other_mlp)


def test_a_folder_of_a_board_is_a_network(tmp_path):
    write_board(random_network("lfcW1A1", np.random.default_rng(0)), tmp_path / "lfcW1A1")
    found = network_of(str(tmp_path / "lfcW1A1"))
    assert isinstance(found.network, FinnNetwork)
    assert (found.name, found.data) == ("lfcW1A1", "mnist")


def onnx_file(folder, *, quantized):
    """A product with a matrix of ones, whose weights a QONNX quantizer gives or not."""
    onnx = pytest.importorskip("onnx", reason="the extra 'qonnx' is not installed")
    from onnx import helper

    held = {"weights": np.eye(3, dtype=np.float32), "scale": np.ones(1, np.float32)}
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in held.items()]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3]) for name in ("in", "out")]
    domain = "qonnx.custom_op.general"
    nodes = [helper.make_node("BipolarQuant", ["weights", "scale"], ["signs"], domain=domain)]
    nodes = nodes if quantized else []
    nodes.append(helper.make_node("MatMul", ["in", "signs" if quantized else "weights"], ["out"]))
    graph = helper.make_graph(nodes, "line", ends[:1], ends[1:], constants)
    versions = [helper.make_opsetid("", 13), helper.make_opsetid(domain, 1)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=9)
    path = folder / "line.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_a_qonnx_file_is_a_board(tmp_path):
    pytest.importorskip("qonnx", reason="the extra 'qonnx' is not installed")
    found = network_of(onnx_file(tmp_path, quantized=True))
    assert isinstance(found.network, FinnNetwork) and (found.name, found.data) == ("line", None)


def test_a_float_onnx_file_is_a_torch_module(tmp_path):
    found = network_of(onnx_file(tmp_path, quantized=False))
    assert isinstance(found.network, torch.nn.Module) and (found.name, found.data) == ("line", None)
    assert torch.equal(found.network(torch.eye(3)), torch.eye(3))


def test_an_archive_of_torch_export_is_not_loaded(tmp_path):
    (tmp_path / "net.pt2").write_bytes(b"")
    with pytest.raises(InputError, match=r"net.pt2: .* runs code when it is loaded; name a function"):
        network_of(str(tmp_path / "net.pt2"))


def test_a_function_gives_a_network(mine, tmp_path):
    found = network_of(f"{mine}:net")
    assert (found.name, found.data) == ("net", None) and isinstance(found.network, torch.nn.Sequential)
    path = save_checkpoint(tmp_path / "w.safetensors", found.network, {})
    again = network_of(f"{mine}:net", path)
    assert torch.equal(again.network[1].weight, found.network[1].weight)


@pytest.mark.parametrize(
    ("words", "weights", "message"),
    [
        (
            "lenet6",
            None,
            r"network: expected a file, file\.py:function, or one of digits-mlp, .* got 'lenet6'",
        ),
        ("a" * 5000, None, "network: expected a file"),
        ("a\0b", None, "network: expected a file"),
        ("", None, "network: expected a file"),
        ("resnet32", None, "expected trained weights, got none; train it with 'xbarsim train resnet32'"),
        ("digits-mlp", "lenet", r"lenet\.safetensors: expected weights of digits-mlp, got weights of lenet"),
        ("cnv-w1a1-half-fat", "lenet", "expected weights of cnv-w1a1-half, got weights of lenet"),
        ("digits-mlp", "none", "expected a file that can be read, got No such file"),
        ("{zoo}/lenet.safetensors", "lenet", "expected no weights beside a file"),
        ("{mine}:net", "lenet", "expected the weights of a Sequential"),
        ("{mine}:three", None, r"mine\.py:three: expected a torch module, got int"),
        ("{mine}:broken", None, r"mine\.py:broken: expected a function without arguments"),
        ("{mine}:none", None, "expected a torch module named 'none'"),
        ("{mine}", None, "model file .*: expected a checkpoint|expected a safetensors file|names one of"),
    ],
)
def test_wrong_networks_get_one_line(mine, words, weights, message):
    words = words.format(mine=mine, zoo=zoo_path("lenet").parent)
    path = None if weights is None else zoo_path("lenet").with_name(f"{weights}.safetensors")
    with pytest.raises(InputError, match=message) as caught:
        network_of(words, path)
    assert "\n" not in str(caught.value)


def test_checkpoints_that_do_not_say_a_known_network_are_refused(tmp_path, mine):
    """A checkpoint of a function names it, but the file of the function is not run for that."""
    module = Mlp((4, 3, 2))
    for place, about in enumerate(({}, {"network": f"{mine}:net"})):
        path = save_checkpoint(tmp_path / f"{place}.safetensors", module, about)
        with pytest.raises(
            InputError, match=r"names one of .*; name the network, and the file as its weights"
        ):
            network_of(str(path))
    torch.save(module.state_dict(), tmp_path / "mine.pt")
    with pytest.raises(InputError, match="name the network, and the file as its weights"):
        network_of(str(tmp_path / "mine.pt"))


# networks to train


def test_networks_to_train_have_weights_that_the_seed_decides(mine):
    for words, data in (("digits-mlp", "digits"), (f"{mine}:net", None)):
        first, again, other = (trainee_of(words, seed) for seed in (1, 1, 2))
        weights = [next(t.module.parameters()) for t in (first, again, other)]
        assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
        assert (first.name, first.data) == (words, data)
        assert (first.recipe is None) == (data is None)


def test_what_is_no_network_to_train_gets_one_line(mine):
    with pytest.raises(InputError, match=r"network: expected file\.py:function, or one of digits-mlp"):
        trainee_of(str(zoo_path("lenet")), 0)
    with pytest.raises(InputError, match="expected a torch module, got int"):
        trainee_of(f"{mine}:three", 0)


# data


def test_named_data_has_both_parts_and_limits():
    found = data_of("digits", limit=7, train_limit=9)
    assert found.train is not None and (len(found.train), len(found.test)) == (9, 7)
    whole = data_of("digits")
    assert whole.train is not None and whole.train.digest == load_dataset("digits", "train").digest


def test_data_of_files_folders_and_functions(mine, tmp_path):
    digits = load_dataset("digits", "test")
    np.savez(tmp_path / "digits.npz", images=digits.images, labels=digits.labels)
    assert data_of(str(tmp_path / "digits.npz")).test.digest == digits.digest
    (tmp_path / "pictures/ant").mkdir(parents=True)
    Image.new("L", (4, 4)).save(tmp_path / "pictures/ant/0.png")
    assert data_of(str(tmp_path / "pictures")).test.images.shape == (1, 1, 4, 4)
    found = data_of(f"{mine}:data")
    assert found.test.digest == digits.digest and found.train is not None and len(found.train) == 1297


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("imagenet", "data: expected a file, a folder, or one of digits, mnist, .*, got 'imagenet'"),
        ("", "data: expected a file"),
        ("a" * 5000, "data: expected a file"),
        ("{mine}", r"mine\.py: expected a \.npz file or a folder, got another file"),
        ("{mine}:three", "three: expected arrays .*, got int"),
        ("{mine}:none", "expected data named 'none'"),
    ],
)
def test_wrong_data_gets_one_line(mine, words, message):
    with pytest.raises(InputError, match=message):
        data_of(words.format(mine=mine))


# accelerators


def test_names_of_accelerators_may_have_fields():
    assert accelerator_from("isaac") == isaac()
    assert accelerator_from("isaac:arrays=64,array.rows=64") == replace(
        isaac(), arrays=64, array=replace(isaac().array, rows=64)
    )


def toml(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_toml_file_is_a_preset_with_other_fields(tmp_path):
    found = accelerator_from(
        toml(tmp_path, 'base = "isaac"\narrays = 64\n[array]\nrows = 64\n[array.adc]\nbits = 9\n')
    )
    assert isinstance(found, ReramConfig) and found.name == "mine"
    assert (found.arrays, found.array.rows, found.array.adc.bits) == (64, 64, 9)
    assert found.array.format == isaac().array.format
    dotted = accelerator_from(toml(tmp_path, 'base = "isaac"\narray.adc.bits = 9\nname = "nine"'))
    assert isinstance(dotted, ReramConfig) and (dotted.array.adc.bits, dotted.name) == (9, "nine")


def test_a_toml_file_may_have_any_base(tmp_path):
    finn = accelerator_from(toml(tmp_path, 'base = "finn"\nclock_MHz = 200\nloopback = [16, 32]'))
    assert finn == FinnConfig(name="mine", clock_MHz=200, loopback=(16, 32))
    analog = accelerator_from(toml(tmp_path, 'base = "analog"\nage_s = 60'))  # has no name of its own
    assert analog == AnalogConfig(age_s=60)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arrays = 3", "expected base = one of isaac, .*, got None"),
        ("base = 3", "expected base = one of isaac"),
        ('base = "tpu"', "accelerator: expected one of .*, got 'tpu'"),
        ('base = "isaac"\ncolour = 3', r"isaac: expected fields name, array, .*, got 'colour'"),
        ('base = "isaac"\n[array.adc]\nbits = 9\ncolour = 3', "array, adc: expected fields .*, got 'colour'"),
        ('base = "isaac"\narrays = "many"', "isaac, arrays: expected a valid integer, got 'many'"),
        ('base = "isaac"\narrays = true', "isaac, arrays: expected"),
        ('base = "isaac"\n[array.adc]\nbits = "nine"', "array, adc, bits: expected a valid integer"),
        ('base = "isaac"\n[array.adc]\nbits = 99', "bits"),
        ('base = "isaac"\n[arrays]\nrows = 3', "isaac, arrays: expected a value, got fields of its own"),
        ('base = "isaac"\narray = 3', "isaac, array: expected"),
        ('base = "isaac"\narrays = 0', "ReramConfig.arrays: expected an integer"),
        ("base = ", "expected a TOML file"),
        ("\0", "expected a TOML file"),
    ],
)
def test_wrong_toml_files_get_one_line_with_their_name(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        accelerator_from(toml(tmp_path, text))
    assert "mine.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_toml_files_that_cannot_be_read_get_one_line(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'base = "isaac" # \xe9')
    (tmp_path / "folder.toml").mkdir()
    for name in ("latin.toml", "folder.toml", "none.toml", "a" * 300 + ".toml"):
        with pytest.raises(InputError, match=r"\.toml: expected a TOML file"):
            accelerator_from(str(tmp_path / name))


def test_a_function_gives_an_accelerator(mine):
    assert accelerator_from(f"{mine}:hardware") == ReramConfig(name="mine", arrays=99)
    for name in ("three", "kind"):
        with pytest.raises(InputError, match=r"expected an accelerator, which has program\(network\)"):
            accelerator_from(f"{mine}:{name}")


@pytest.mark.parametrize("words", ["tpu", "", "isaac:colour=3", "isaac:arrays", "isaac:arrays=many"])
def test_wrong_accelerators_get_one_line(words):
    with pytest.raises(InputError, match="accelerator"):
        accelerator_from(words)


# all together


def test_a_subject_is_loaded_from_words(mine):
    own = SubjectReference(
        network=f"{mine}:net",
        accelerator=accelerator_from(f"{mine}:hardware"),
        data=f"{mine}:data",
        images=20,
    )
    subject = own.load()
    assert (subject.name, subject.accelerator.name, len(subject.test)) == ("net", "mine", 20)
    assert subject.train is not None and subject.chip.input_shape == (1, 8, 8)
    named = SubjectReference(network="digits-mlp", accelerator=isaac(), name="ours").load()
    assert (named.name, len(named.test), named.passes) == ("ours", 500, 10)


def test_networks_without_data_need_some(mine):
    with pytest.raises(InputError, match="expected its data, got none; say which data it takes"):
        SubjectReference(network=f"{mine}:net", accelerator=isaac()).load()
