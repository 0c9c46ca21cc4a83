"""A subject's fault-free chip in numbers."""

import json

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from accel_models.reram.config import isaac
from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import digits_subject
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.latency import ADDRESSING, chip_march_latency_ns
from xbarsim.experiments.facts import subject_facts
from xbarsim.subject import Subject
from xbarsim.training.loop import accuracy


@pytest.fixture(scope="module")
def subject():
    return digits_subject()


def test_accuracy_is_that_of_the_float_network_and_of_the_chip(subject):
    facts, test = subject_facts(subject), subject.test
    assert facts["shots"] == len(test)
    assert facts["healthy_hits"] == subject.chip.run(test.images).hits(test.labels)
    assert facts["float_hits"] == accuracy(subject.network, test.images, test.labels)[0]
    assert facts["agreeing"] == len(test)


def test_costs_are_those_of_one_inference_and_of_march(subject):
    facts, chip = subject_facts(subject), subject.chip
    assert facts["latency_ns"] == chip.cost(1).latency_ns
    assert facts["energy_nJ"] == pytest.approx(chip.cost(1).energy_pJ / 1e3)
    assert facts["resources"]["arrays"] == facts["geometry"]["arrays"] == 7
    assert set(facts["march_latency_ns"]) == set(ADDRESSING)
    for mode, found in facts["march_latency_ns"].items():
        assert found == chip_march_latency_ns(chip, march_test("March C-"), mode, restore=True)


def test_facts_are_json_and_made_once(subject):
    facts = subject_facts(subject)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert subject_facts(subject) is facts


def test_a_board_has_no_cells_and_no_float_network():
    network = small_network(np.random.default_rng(1), 2, 2)
    chip = FinnConfig().program(network)
    images = np.random.default_rng(2).random((4, *chip.input_shape))
    facts = subject_facts(Subject(network, "finn", test=(images, chip.run(images).classes), name="board"))
    assert facts["healthy_hits"] == facts["shots"] == 4
    assert not {"geometry", "march_latency_ns", "float_hits", "agreeing"} & set(facts)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_a_chip_that_does_not_say_where_its_cells_are_has_no_march_test(subject):
    class Hidden:
        geometry, resources = subject.chip.geometry, {"arrays": 7.0}

        def run(self, inputs, *, seed=0):
            return subject.chip.run(inputs)

        def cost(self, inputs):
            return subject.chip.cost(inputs)

    other = digits_subject(isaac())
    other.__dict__["chip"] = Hidden()
    facts = subject_facts(other)
    assert facts["geometry"]["arrays"] == 7 and "march_latency_ns" not in facts
