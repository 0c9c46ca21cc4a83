"""Networks of the stochastic studies: each in a file of its own, the same however often it is asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.cifar import write_cifar
from tests.helpers.stochastic_budgets import tiny_budget
from xbarsim.errors import InputError
from xbarsim.papers.stochastic_training import (
    SPARSITY,
    ImageSets,
    StochasticTraining,
    Variant,
    stochastic_budget,
    table_variants,
)
from xbarsim.torch_bridge.threads import torch_threads

PROGRESSIVE = Variant(stages=(0.005, 0.01))


@pytest.fixture(scope="module", autouse=True)
def images(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_DATA", str(write_cifar(tmp_path_factory.mktemp("data"))))
        yield ImageSets(16, 6)


def training(variant, images, **changed):
    return StochasticTraining(variant=variant, budget=tiny_budget(), images=images, **changed)


def state_of(module):
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        np.testing.assert_array_equal(tensor, other[name])


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory):
    found = tmp_path_factory.mktemp("networks")
    training(replace(PROGRESSIVE, pruned=True), images).trained(found)
    return found


def test_variants_of_the_tables():
    smoke, full = stochastic_budget("smoke"), stochastic_budget("full")
    assert table_variants(1, smoke) == [Variant(), Variant(stages=(0.01,)), PROGRESSIVE]
    second = table_variants(2, smoke)
    assert second == [Variant(), PROGRESSIVE, Variant(pruned=True), replace(PROGRESSIVE, pruned=True)]
    assert len(table_variants(1, full)) == 1 + 7 + 7
    assert len(table_variants(2, full)) == 2 * (1 + 7 + 7)
    with pytest.raises(InputError, match="table"):
        table_variants(3, smoke)


def test_variants_have_names_and_words_of_their_own():
    variants = table_variants(2, stochastic_budget("full"))
    assert len({v.name for v in variants}) >= len(variants) - 2  # a first stage alone is one-shot
    assert (PROGRESSIVE.name, PROGRESSIVE.words) == ("progressive-0.01", "progressive, 1 %")
    pruned = replace(PROGRESSIVE, pruned=True)
    assert (pruned.name, pruned.words) == ("pruned-progressive-0.01", "progressive, 1 %, 70 % pruned")


def test_a_network_stands_on_those_that_it_needs(folder):
    names = sorted(file.name for file in folder.glob("*.safetensors"))
    assert names == [
        "resnet20-admm-1-epochs-seed-0.safetensors",
        "resnet20-pretrained-1-epochs-seed-0.safetensors",
        "resnet20-pruned-pretrained-1-epochs-seed-0.safetensors",
        "resnet20-pruned-progressive-0.01-2-epochs-seed-0.safetensors",
    ]


def test_pruned_weights_stay_zero(folder, images):
    module = training(replace(PROGRESSIVE, pruned=True), images).trained(folder)
    weights = [m.weight.detach() for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    zeros = sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
    assert zeros == pytest.approx(SPARSITY, abs=0.02)


def test_what_is_trained_is_read_and_not_trained_again(folder, images):
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    one, other = (training(Variant(), images).trained(folder) for _ in range(2))
    assert_same(state_of(one), state_of(other))
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")} == before


@pytest.mark.parametrize("threads", [1, 3])
def test_weights_do_not_depend_on_the_threads_around(folder, images, tmp_path, threads):
    kept = training(Variant(), images).trained(folder)
    with torch_threads(threads):
        again = training(Variant(), images).trained(tmp_path)
        assert torch.get_num_threads() == threads
    assert_same(state_of(kept), state_of(again))


def test_seeds_are_different_networks_in_different_files(folder, images):
    own, other = (training(Variant(), images, seed=seed).trained(folder) for seed in (0, 1))
    assert (state_of(own)["conv.weight"] != state_of(other)["conv.weight"]).any()


def test_descriptions_tell_apart_what_gives_other_weights(images):
    plain = training(PROGRESSIVE, images)
    longer = replace(plain.budget, norm_epochs=2)
    others = [
        training(Variant(stages=(0.01,)), images),
        training(replace(PROGRESSIVE, pruned=True), images),
        training(PROGRESSIVE, images, seed=1),
        training(PROGRESSIVE, ImageSets(12, 6)),
        training(PROGRESSIVE, ImageSets(16, 5)),
        replace(plain, budget=longer),
    ]
    found = [repr(one.describe()) for one in (plain, *others)]
    assert len(set(found)) == len(found)
    # what no training of its own uses does not tell a pretrained network from another
    pretrained = training(Variant(), images)
    assert pretrained.describe() == replace(pretrained, budget=longer).describe()
