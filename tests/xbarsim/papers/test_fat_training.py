"""Networks of FAT's tables: which are trained, under what names, and what is stuck in them."""

from dataclasses import replace

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from networks.datasets import load_dataset
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFaultKind
from xbarsim.faults.places import NoFaults
from xbarsim.papers.fat_training import (
    IMAGE,
    TrainedCnv,
    cnv_geometry,
    fat_budget,
    network_tasks,
    stuck_units,
    table_trainings,
)
from xbarsim.papers.study import Settings
from xbarsim.torch_bridge.finn_export import finn_graph

SMOKE = fat_budget("smoke")


def test_files_have_the_names_that_kept_networks_have():
    assert [t.file for t in table_trainings(3, SMOKE)] == [
        "cnvW1A1-8-plain-1-epochs-seed-0.safetensors",
        "cnvW1A1-8-fat-1-channel-0.015-1-epochs-seed-0.safetensors",
        "cnvW1A1-8-dropout2d-0.015-1-epochs-seed-0.safetensors",
    ]
    full = [t.file for t in table_trainings(4, fat_budget("full"), seed=2)]
    assert full[1] == "cnvW1A1-fat-2-pixel-0.025-1000-epochs-seed-2.safetensors"
    assert len(set(full)) == len(full) == 5 * (1 + 1 + 2)


@pytest.mark.parametrize(("table", "methods"), [(2, 2), (3, 3), (4, 3)])
def test_short_budgets_train_each_method_once(table, methods):
    for name in ("smoke", "cpu"):
        found = table_trainings(table, fat_budget(name))
        assert [t.method for t in found] == ["plain", "fat-1", "dropout2d"][:methods]
        assert {t.unit for t in found} == {"pixel" if table == 4 else "channel"}


def test_training_does_not_change_what_can_be_stuck():
    """The places of a network with other weights and norms are those of a new one."""
    geometry = cnv_geometry(1, 2, 8)
    module = replace(SMOKE.base, activation_bits=2, seed=3).build()
    for layer in module.modules():
        if hasattr(layer, "running_mean"):
            layer.running_mean += 3.0
            layer.running_var *= 40.0
    other = FinnConfig().program(finn_graph(module.eval(), IMAGE)).geometry
    for unit in ("channel", "pixel"):
        assert stuck_units(unit, geometry).all(geometry) == stuck_units(unit, other).all(other)


def test_pixels_are_stuck_in_maps_of_more_than_one():
    geometry = cnv_geometry(1, 1, 8)
    every = geometry.fault_list([PeFaultKind.pixel])
    found = stuck_units("pixel", geometry).all(geometry)
    assert 0 < len(found) < len(every)
    left = set(every.column("layer")) - set(found.column("layer"))
    assert all(geometry.layers[layer].pixels == 1 for layer in left)
    assert len(stuck_units("channel", geometry).all(geometry)) == 2 * 8 * (1 + 1 + 2 + 2 + 4 + 4 + 8 + 8)


def test_a_task_is_its_training_and_its_data(data_folder, tmp_path):
    first, *_ = network_tasks(2, Settings(budget="smoke", folder=tmp_path / "a"))
    same, *_ = network_tasks(2, Settings(budget="smoke", folder=tmp_path / "b", device="cuda"))
    assert (first.fault_free.key, first.stuck.key) == (same.fault_free.key, same.stuck.key)
    assert first.fault_free.key != first.stuck.key
    other = replace(first.stuck.workload, data="0" * 16)
    assert replace(first.stuck, workload=other).key != first.stuck.key
    with pytest.raises(InputError, match="images as planned"):
        other.prepare()


def test_fault_free_trials_are_the_trained_network_itself(data_folder, tmp_path):
    (task, *_) = (n.fault_free for n in network_tasks(2, Settings(budget="smoke", folder=tmp_path)))
    assert isinstance(task.workload, TrainedCnv) and task.workload.faults == NoFaults()
    (outcome,) = task.workload.prepare()(task.seed, (0,))
    training, test = task.workload.training, load_dataset("cifar10", "test", limit=50)
    train = load_dataset("cifar10", "train", limit=300)
    written = (tmp_path / training.file).stat().st_mtime_ns
    module = training.train(train, tmp_path)
    assert (tmp_path / training.file).stat().st_mtime_ns == written
    chip = FinnConfig().program(finn_graph(module, IMAGE))
    classes = np.argmax(chip.run(test.images).scores, axis=1)
    assert (outcome.hits, outcome.shots) == (int((classes == test.labels).sum()), 50)
