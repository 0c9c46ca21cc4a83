"""The spiking paper's networks: budgets, data, trainings, and what of them travels to other processes."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from networks.datasets import load_dataset
from tests.helpers.spiking import TINY, settings_in, tiny_baseline, tiny_trainings
from xbarsim.papers.spiking_networks import (
    SpikingData,
    SpikingVariant,
    finite,
    spiking_budget,
    trainings,
)
from xbarsim.training.recipe import Recipe

PROPOSED = SpikingVariant(method="proposed", kind="nasf", fir=0.03)


def test_budgets_grow_to_the_papers():
    cpu, full = spiking_budget("cpu"), spiking_budget("full")
    assert (full.images, full.test_images, full.recipe.epochs) == (48_000, 12_000, 20)
    assert (cpu.firs, full.firs) == ((0.03,), (0.03, 0.05)) and replace(cpu, firs=full.firs) == full
    assert spiking_budget("smoke").images == 1500


def test_test_images_are_none_of_the_training_images(data_folder):
    data, every = SpikingData(images=50, test_images=20), load_dataset("mnist", "train")
    assert (data.train.images == every.images[:50]).all() and len(data.train) == 50
    assert (data.test.images == every.images[48_000:48_020]).all()
    assert (data.test.labels == every.labels[48_000:48_020]).all()


def test_what_has_been_read_and_trained_does_not_travel(data_folder, tmp_path):
    training = tiny_baseline(tmp_path)
    weights = training.trained.network.weights
    sent = pickle.dumps(training)
    assert len(sent) < 10_000
    again = pickle.loads(sent)
    assert again.describe() == training.describe()
    for ours, theirs in zip(again.trained.network.weights, weights, strict=True):
        assert (ours == theirs).all()


def test_a_training_is_found_again_with_its_patterns_and_times(data_folder, tmp_path):
    first, second = (tiny_trainings(tmp_path, [PROPOSED])[0].trained for _ in range(2))
    assert second.counts == first.counts and 0 < first.counts["patterns"] == len(first.patterns)
    assert 0 < first.counts["pattern_cpu_seconds"] < first.counts["cpu_seconds"]
    assert (second.patterns.images == first.patterns.images).all()
    assert second.patterns.images.shape[1:] == (1, 28, 28)
    assert [file.name for file in tmp_path.glob("*.safetensors")] == [
        "snn-400-proposed-nasf-0.03-2-epochs-seed-0.safetensors"
    ]


def test_descriptions_differ_where_networks_do(data_folder, tmp_path):
    def described(budget=TINY, seeds=1, variant=PROPOSED):
        return trainings([variant], budget, settings_in(tmp_path), seeds=seeds)[-1].describe()

    others = [
        described(seeds=2),
        described(variant=replace(PROPOSED, method="random")),
        described(variant=replace(PROPOSED, method="previous")),
        described(replace(TINY, recipe=Recipe(epochs=3))),
        described(replace(TINY, images=401)),
        described(replace(TINY, patterns=replace(TINY.patterns, most=9))),
    ]
    assert all(other != described() for other in others)
    assert described(replace(TINY, chips=7, firs=(), curve_images=1, test_images=5)) == described()
    assert described(variant=SpikingVariant(method="baseline"))["patterns"] is None


@pytest.mark.parametrize(
    ("method", "name"),
    [("previous", "NeuronFaultTraining"), ("both", "NeuronFaultTraining"), ("random", "PatternTraining")],
)
def test_methods_train_against_faults(data_folder, tmp_path, method, name):
    training = tiny_trainings(tmp_path, [SpikingVariant(method=method, kind="hsf", fir=0.05)])[0]
    (made,) = training.methods()
    assert type(made).__name__ == name and (made.loss == "both") == (method == "both")
    assert (made.kind.name, made.ratio) == ("hsf", 0.05)


def test_unknown_times_are_left_out():
    assert finite({"a": 1.0, "b": float("nan"), "c": np.inf}) == {"a": 1.0}
