"""Experiments and grids of them: what a task is, and what tells it from others."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from accel_models.reram.config import isaac
from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import digits_module, digits_subject
from xbarsim.detection.march.detector import MarchDetector
from xbarsim.detection.patterns import AdversarialPatterns
from xbarsim.errors import InputError
from xbarsim.experiments.experiment import REVISION, Experiment, grid
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.faults.given import GivenFaults
from xbarsim.faults.models import SingleFaults
from xbarsim.faults.places import NoFaults
from xbarsim.faults.sampling import FaultMix
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.repair.closest import ClosestValues
from xbarsim.repair.diagnosis import Diagnosis
from xbarsim.repair.nothing import AsItIs
from xbarsim.repair.retrain import Retrain
from xbarsim.subject import Subject

FAULTS = StuckCells(rate=0.02, mix="even")


@pytest.fixture(scope="module")
def subject():
    return digits_subject()


def key(subject, measure=None, faults=FAULTS, repair=None, seed=1):
    (task,) = grid(
        measure or Accuracy(), subjects=subject, faults=faults, repairs=repair or AsItIs(), seed=seed
    )
    return task.key


def test_a_description_has_all_that_the_counts_depend_on(subject):
    described = Experiment(measure=Accuracy(), subject=subject, faults=FAULTS).describe()
    assert json.loads(json.dumps(described)) == described
    assert described["faults"] == {"name": "stuck-cells", "rate": 0.02, "mix": "even"}
    assert described["repair"] == {"name": "as-it-is"} and described["metric"] == "accuracy"
    assert described["revision"] == REVISION
    assert {"network", "weights", "data", "training", "images", "accelerator", "hardware"} <= set(described)


def test_words_are_what_people_read(subject):
    experiment = Experiment(
        measure=Detection(detector=AdversarialPatterns()),
        subject=subject,
        faults=FAULTS,
        repair=Retrain(epochs=2),
    )
    assert experiment.words == {
        "accelerator": "isaac", "faults": "2 % stuck, even", "repair": "retrain, epochs 2",
        "detector": "10 adversarial, SDC-3%",
    }  # fmt: skip


def test_facts_are_json_and_hold_the_words(subject):
    facts = Experiment(measure=Accuracy(), subject=subject, faults=FAULTS).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["words"]["faults"] == "2 % stuck, even" and facts["shots"] == 40


def changed_module():
    module = digits_module()
    with torch.no_grad():
        next(module.parameters())[0, 0] += 1e-3
    return module


def test_tasks_that_differ_in_anything_are_other_tasks(subject):
    slower = replace(isaac(), cell=replace(isaac().cell, t_read_ns=99.0))
    keys = [
        key(subject),
        key(digits_subject(network=changed_module())),
        key(digits_subject(slower)),
        key(digits_subject(images=39)),
        key(digits_subject(name="other")),
        key(subject, faults=StuckCells(rate=0.01, mix="even")),
        key(subject, faults=StuckCells(rate=0.0100001, mix="even")),
        key(subject, faults=StuckCells(rate=0.01)),
        key(subject, faults=StuckCells(rate=0.01, mix=FaultMix(stuck_hrs=0.3, stuck_lrs=0.7))),
        key(subject, faults=NoFaults()),
        key(subject, repair=ClosestValues()),
        key(subject, repair=ClosestValues(diagnosis=Diagnosis(misses=0.1))),
        key(subject, repair=ClosestValues(diagnosis=Diagnosis(march="March C-"))),
        key(subject, repair=Retrain()),
        key(subject, repair=Retrain(epochs=1)),
        key(subject, measure=Accuracy(fidelity="bit-serial")),
        key(subject, measure=Detection(detector=AdversarialPatterns())),
        key(subject, measure=Detection(detector=AdversarialPatterns(patterns=9))),
        key(subject, measure=Detection(detector=MarchDetector())),
        key(subject, seed=2),
    ]
    assert len(set(keys)) == len(keys)


def test_what_means_the_same_is_one_task(subject, tmp_path):
    assert key(digits_subject()) == key(subject)
    drawn = FAULTS.draw(subject.chip.geometry, np.random.default_rng(1))
    files = [drawn.save(tmp_path / name) for name in ("a", "b")]
    given = [GivenFaults.load([file]) for file in files]
    assert key(subject, faults=given[0]) == key(subject, faults=given[1]) != key(subject)


def test_grids_have_every_combination_once_in_order(subject):
    models = [StuckCells(rate=rate) for rate in (0.01, 0.02, 0.01)]
    tasks = grid(
        [Accuracy(), Detection(detector=AdversarialPatterns())],
        subjects=[subject],
        faults=models,
        repairs=(repair for repair in (AsItIs(), ClosestValues())),
        trials=7,
        seed=3,
    )
    found = [(t.workload.measure.metric, type(t.workload.repair), t.workload.faults.rate) for t in tasks]
    assert found == [
        (metric, repair, rate)
        for metric in ("accuracy", "detection")
        for repair in (AsItIs, ClosestValues)
        for rate in (0.01, 0.02)
    ]
    assert {(task.trials, task.seed) for task in tasks} == {(7, 3)}
    assert len({task.key for task in tasks}) == 8


def test_single_things_need_no_list(subject):
    assert len(grid(Accuracy(), subjects=subject, faults=FAULTS)) == 1


def test_listed_faults_know_how_many_they_are():
    network = small_network(np.random.default_rng(1), 2, 2)
    board = Subject(network, "finn", test=(np.zeros((2, 1, 8, 8)), [0, 1]), name="board")
    model = SingleFaults("pe")
    population = model.population(board.chip.geometry)
    for trials, expected in ((3, 3), (10**6, population)):
        (task,) = grid(Accuracy(), subjects=board, faults=model, trials=trials)
        assert task.trials == expected


@pytest.mark.parametrize(("trials", "seed"), [(0, 1), (-1, 1), (1, -1), (10**9, 1)])
def test_numbers_out_of_range_are_refused(subject, trials, seed):
    with pytest.raises(InputError, match=r"Task\.(trials|seed): expected an integer"):
        grid(Accuracy(), subjects=subject, faults=FAULTS, trials=trials, seed=seed)


@pytest.mark.parametrize("nothing", ["measures", "subjects", "faults", "repairs"])
def test_nothing_to_combine_is_refused(subject, nothing):
    given = {"measures": Accuracy(), "subjects": subject, "faults": FAULTS, "repairs": AsItIs(), nothing: []}
    with pytest.raises(InputError, match=f"grid: {nothing}: expected at least one, got none"):
        grid(given.pop("measures"), **given)


def test_experiments_travel(subject):
    experiment = Experiment(measure=Accuracy(), subject=subject, faults=FAULTS, repair=ClosestValues())
    again = pickle.loads(pickle.dumps(experiment))
    assert again.describe() == experiment.describe()
    assert list(again.prepare()(1, [0, 1])) == list(experiment.prepare()(1, [0, 1]))


def test_where_files_are_kept_is_no_part_of_what_it_is(subject, tmp_path):
    one = Experiment(measure=Accuracy(), subject=subject, faults=FAULTS)
    assert replace(one, keep=tmp_path).describe() == one.describe()
