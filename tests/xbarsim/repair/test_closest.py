"""Closest values: what the stuck cells can act as, without training."""

import numpy as np
import pytest

from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import isaac
from xbarsim.crossbar.closest import project_graph
from xbarsim.experiments.drawing import faulty_chip, trials_of
from xbarsim.experiments.references import SubjectReference
from xbarsim.faults.cell_models import SoftCells
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.repair.closest import ClosestValues
from xbarsim.repair.diagnosis import Diagnosis

# (faults, right without repair, right with closest values) of 100 images; digits-mlp of the zoo, 2 % stuck
GOLDEN = [(2282, 74, 88), (2217, 92, 98), (2311, 83, 91), (2268, 73, 84)]


def right(chip, subject):
    return chip.run(subject.test.images).hits(subject.test.labels)


@pytest.mark.parametrize(
    "model",
    [StuckCells(rate=0.02, mix="even"), StuckCells(rate=0.02, mix="level"), SoftCells(rate=0.02, mix="step")],
    ids=lambda model: model.words,
)
def test_weights_are_the_closest_ones_for_the_cells_that_are_known(bench, trial, model):
    chip = faulty_chip(bench.chip, model, trial)
    masks = bench.chip.inject(chip.faults.permanent).training_masks()
    by_hand = chip.update(project_graph(chip.graph, chip.weight_format, masks))
    done = ClosestValues().repair(chip, bench, trial)
    np.testing.assert_array_equal(
        done.chip.run(bench.test.images).scores, by_hand.run(bench.test.images).scores
    )
    assert done.counts == {
        "stuck_cells": len(chip.faults.permanent),
        "cell_writes": by_hand.write_cost.cell_writes,
    }
    assert done.files == {}


def test_it_helps(bench, faulty, trial):
    done = ClosestValues().repair(faulty, bench, trial)
    assert right(faulty, bench) + 40 < right(done.chip, bench) <= right(bench.chip, bench)
    assert done.counts["cell_writes"] > 0


def test_who_knows_of_no_stuck_cell_writes_nothing(bench, faulty, trial):
    done = ClosestValues(diagnosis=Diagnosis(misses=1.0)).repair(faulty, bench, trial)
    assert done.counts == {"stuck_cells": 0, "cell_writes": 0}
    assert right(done.chip, bench) == right(faulty, bench)


def test_conductances_are_repaired_as_levels_are(bench, faulty, trial):
    ideal = AnalogConfig(device="ideal").program(bench.integers).inject(faulty.faults)
    done, digital = (ClosestValues().repair(chip, bench, trial) for chip in (ideal, faulty))
    assert right(done.chip, bench) == right(digital.chip, bench)
    assert done.counts == digital.counts


def test_counts_are_those_that_were_published():
    subject = SubjectReference(network="digits-mlp", accelerator=isaac(), images=100).load()
    found = []
    for trial in trials_of(1, range(len(GOLDEN))):
        chip = faulty_chip(subject.chip, StuckCells(rate=0.02, mix="even"), trial)
        done = ClosestValues().repair(chip, subject, trial)
        found.append((len(chip.faults), right(chip, subject), right(done.chip, subject)))
    assert found == GOLDEN
