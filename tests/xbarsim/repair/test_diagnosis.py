"""What repairs know of stuck cells: all of them, what March finds, or worse."""

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.cell_models import SoftCells
from xbarsim.faults.diagnosis import imperfect
from xbarsim.faults.sampling import FaultMix, sample_by_rate
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.repair.diagnosis import Diagnosis
from xbarsim.rng import Trial

ALL_KINDS = FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1, flip=1, step=1)


def true_cells(chip):
    return chip.faults.permanent.as_stuck_levels()


def test_by_default_it_is_every_stuck_cell_with_its_level_and_no_soft_fault(bench, trial):
    faults = sample_by_rate(bench.chip.geometry, 0.02, mix=ALL_KINDS, rng=np.random.default_rng(0))
    known = Diagnosis().stuck_cells(bench.chip.inject(faults), trial)
    assert known == faults.permanent.as_stuck_levels()
    assert 0 < len(known) < len(faults)


@pytest.mark.parametrize(
    "model",
    [StuckCells(rate=0.02, mix="even"), StuckCells(rate=0.02, mix="level"), SoftCells(rate=0.02, mix="step")],
    ids=lambda model: model.words,
)
def test_march_c_minus_finds_just_these(bench, trial, model):
    chip = bench.chip.inject(model.draw(bench.chip.geometry, trial.stream("faults")))
    found = Diagnosis(march="March C-").stuck_cells(chip, trial)
    assert found.compare(Diagnosis().stuck_cells(chip, trial)).exact
    assert len(found) == len(chip.faults.permanent)


def test_a_march_test_that_reads_only_zeros_misses_cells_stuck_there(faulty, trial):
    true = true_cells(faulty)
    found = Diagnosis(march="|w0; ^(r0)").stuck_cells(faulty, trial)
    assert set(found.cell) == set(true.cell[true.value != 0])
    difference = true.compare(found)
    assert difference.missing > 0 and (difference.extra, difference.different) == (0, 0)


def test_misses_and_false_positives_are_those_of_the_trials_own_draws(faulty, trial):
    worse = Diagnosis(misses=0.2, false_positives=0.001)
    known = worse.stuck_cells(faulty, trial)
    drawn = imperfect(true_cells(faulty), misses=0.2, false_positives=0.001, rng=trial.stream("diagnosis"))
    assert known == drawn
    difference = true_cells(faulty).compare(known)
    assert difference.missing > 0 and difference.extra > 0
    assert known != worse.stuck_cells(faulty, Trial(trial.seed, 1))


def test_masks_are_those_of_the_cells_that_are_known_on_the_subjects_chip(bench, faulty, trial):
    known, masks = Diagnosis().masks(faulty, bench, trial)
    assert known == true_cells(faulty)
    assert masks.keys() == faulty.training_masks().keys() and masks
    for key, expected in faulty.training_masks().items():
        np.testing.assert_array_equal(masks[key].keep, expected.keep)
        np.testing.assert_array_equal(masks[key].force, expected.force)
    assert Diagnosis(misses=1.0).masks(faulty, bench, trial)[1] == {}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"misses": 1.1}, "misses"),
        ({"false_positives": -0.1}, "false_positives"),
        ({"march": "March Z"}, "March test"),
        ({"march": "|w0; ^(r1)"}, "expected r0 after w0"),
    ],
)
def test_shares_out_of_range_and_tests_that_are_none_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        Diagnosis(**wrong)
