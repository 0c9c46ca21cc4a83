"""Retraining around stuck cells: accuracy comes back, and the update alone repairs the chip."""

import numpy as np
import pytest

from xbarsim.crossbar.closest import project_graph
from xbarsim.errors import InputError
from xbarsim.repair.diagnosis import Diagnosis
from xbarsim.repair.retrain import Retrain
from xbarsim.rng import Trial
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.training.weight_update import WeightUpdate


@pytest.fixture(scope="module")
def exact(bench, faulty, trial):
    return Retrain().repair(faulty, bench, trial)


@pytest.fixture(scope="module")
def ternary(bench, faulty, trial):
    return Retrain(update="ternary").repair(faulty, bench, trial)


def right(chip, bench):
    return chip.run(bench.test.images).hits(bench.test.labels)


def update_of(repaired):
    return WeightUpdate.from_bytes(repaired.files["update.safetensors"])


def test_the_chip_comes_back(bench, faulty, exact, ternary):
    assert right(faulty, bench) < right(bench.chip, bench) - 50
    assert right(exact.chip, bench) >= right(bench.chip, bench) - 10
    assert right(faulty, bench) < right(ternary.chip, bench) <= right(exact.chip, bench) + 10


def test_what_was_sent_and_written_is_counted(bench, faulty, exact, ternary):
    counts = exact.counts
    assert counts["stuck_cells"] == len(faulty.faults)
    assert counts["diagnosed_exactly"] == 1
    assert counts["weights"] == sum(layer.weights.size for layer in faulty.graph.layers) == 6464
    assert 0 < counts["changed_weights"] <= counts["weights"]
    assert counts["update_bytes"] == len(exact.files["update.safetensors"])
    assert counts["network_bytes"] == 6464 * 2 + 8 * (64 + 32 + 10)
    assert counts["cell_writes"] == exact.chip.write_cost.cell_writes > 0
    assert ternary.counts["update_bytes"] < counts["update_bytes"] / 3
    assert ternary.counts["changed_weights"] == counts["changed_weights"]


@pytest.mark.parametrize("kind", ["exact", "ternary"])
def test_the_update_alone_repairs_the_chip(bench, faulty, trial, kind, request):
    """What the chip's side needs: its own diagnosis, the network before, and the bytes that were sent."""
    form = faulty.weight_format
    _, masks = Diagnosis(march="March C-").masks(faulty, bench, trial)
    start = ChipModule(bench.chip.graph, form, masks)
    start.project()
    done = request.getfixturevalue(kind)
    network = update_of(done).apply(start.to_graph(), low=form.low, high=form.high)
    repaired = faulty.update(network)
    np.testing.assert_array_equal(
        repaired.run(bench.test.images).scores, done.chip.run(bench.test.images).scores
    )


def test_it_starts_from_what_the_stuck_cells_force(bench, faulty, trial):
    done = Retrain(epochs=0).repair(faulty, bench, trial)
    assert done.counts["changed_weights"] == 0
    assert done.counts["update_bytes"] < 2000
    masks = faulty.training_masks()
    nearer = project_graph(faulty.graph, faulty.weight_format, masks)
    assert right(done.chip, bench) <= right(faulty.update(nearer), bench)


def test_a_march_test_gives_what_the_true_cells_give(bench, faulty, trial):
    quick = {"epochs": 1, "images": 64}
    march = Retrain(**quick, diagnosis=Diagnosis(march="March C-")).repair(faulty, bench, trial)
    assert march.files == Retrain(**quick).repair(faulty, bench, trial).files


def test_a_worse_diagnosis_is_told_and_costs_accuracy(bench, faulty, trial):
    worse = Retrain(epochs=2, diagnosis=Diagnosis(misses=0.5)).repair(faulty, bench, trial)
    known = Retrain(epochs=2).repair(faulty, bench, trial)
    assert worse.counts["diagnosed_exactly"] == 0
    assert worse.counts["stuck_cells"] < known.counts["stuck_cells"]
    assert right(worse.chip, bench) < right(known.chip, bench)


def test_a_trial_trains_by_its_own_seed(bench, faulty):
    quick = Retrain(epochs=1, images=300)
    third, again, sixth = (
        quick.repair(faulty, bench, Trial(seed, number)).files for seed, number in ((1, 2), (0, 3), (3, 3))
    )
    assert third == again != sixth  # the training's seed is the sum


def test_targets_may_be_the_fault_free_networks(bench, faulty, trial):
    quick = {"epochs": 1, "images": 300}
    labels, outputs = (
        Retrain(**quick, targets=targets).repair(faulty, bench, trial) for targets in ("labels", "fault-free")
    )
    assert labels.files != outputs.files
    assert right(outputs.chip, bench) > right(faulty, bench)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": -1}, r"Retrain\.epochs"),
        ({"learning_rate": 0.0}, r"Retrain\.learning_rate"),
        ({"images": 0}, r"Retrain\.images"),
        ({"targets": "answers"}, r"Retrain\.targets"),
        ({"update": "binary"}, r"Retrain\.update"),
    ],
)
def test_wrong_settings_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        Retrain(**wrong)
