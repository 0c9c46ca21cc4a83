"""The checkpoints of the zoo are what they say they are."""

import re

import numpy as np
import pytest

from networks.catalogue import network
from networks.checkpoints import load_checkpoint, read_metadata
from networks.datasets import load_dataset
from networks.zoo import zoo, zoo_path
from xbarsim.errors import InputError
from xbarsim.training.loop import accuracy

WANTED = {
    "digits-mlp", "mlp", "lenet", "convnet-quick", "cnv-w1a1-half", "cnv-w1a1-half-fat", "resnet20",
    "resnet20-progressive", "mobilenetv2-cifar",
}  # fmt: skip
SMALL = {"digits-mlp", "mlp", "lenet"}


def test_the_zoo_has_the_promised_checkpoints():
    assert set(zoo()) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_checkpoint_says_where_it_comes_from(name):
    about = read_metadata(zoo_path(name))
    for key in ("network", "test", "command", "recipe", "epochs", "seed", "data", "versions", "seconds"):
        assert about[key]
    assert about["command"].startswith("xbarsim train ")
    assert re.search(r"sha256 [0-9a-f]{16}$", about["data"])
    assert "/" not in about["command"].replace("networks/zoo", "")


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_checkpoint_has_its_accuracy(name):
    """All test images where that takes a second, 500 of them within 4 sigma elsewhere."""
    entry = network(read_metadata(zoo_path(name))["network"])
    try:
        test = load_dataset(entry.dataset, "test", limit=None if name in SMALL else 500)
    except InputError:
        pytest.skip(f"no {entry.dataset} here")
    module = entry.build()
    about = load_checkpoint(zoo_path(name), module)
    claimed, shots = map(int, about["test"].split(" of "))
    right, images = accuracy(module, test.images, test.labels)
    rate = claimed / shots
    if images == shots:
        assert abs(right - claimed) <= 2  # other processors round otherwise
    else:
        assert abs(right / images - rate) < 4 * np.sqrt(rate * (1 - rate) / images)


def test_unknown_checkpoint():
    with pytest.raises(InputError, match=r"one of cnv-w1a1-half, cnv-w1a1-half-fat, .*got 'alexnet'"):
        zoo_path("alexnet")
