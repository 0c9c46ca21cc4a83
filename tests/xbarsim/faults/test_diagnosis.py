import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.diagnosis import imperfect
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import FaultMix, sample_by_rate

ALL_KINDS = FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1, flip=1, step=1)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def faults():
    return sample_by_rate(CellGeometry(arrays=20), 0.1, mix=ALL_KINDS, rng=rng())


def within_four_sigma(count, cells, rate):
    return abs(count - cells * rate) <= 4 * np.sqrt(cells * rate * (1 - rate))


def test_a_perfect_test_reports_the_stuck_cells_and_no_soft_fault(faults):
    found = imperfect(faults, misses=0.0, false_positives=0.0, rng=rng())
    assert found == faults.permanent
    assert 0 < len(found) < len(faults)


def test_a_blind_test_reports_nothing(faults):
    assert len(imperfect(faults, misses=1.0, false_positives=0.0, rng=rng())) == 0


def test_misses_have_their_rate_and_what_is_found_is_true(faults):
    found = imperfect(faults, misses=0.2, false_positives=0.0, rng=rng(1))
    difference = faults.permanent.compare(found)
    assert (difference.extra, difference.different) == (0, 0)
    assert within_four_sigma(difference.missing, len(faults.permanent), 0.2)


def test_false_positives_have_their_rate_and_both_kinds_alike(faults):
    found = imperfect(faults, misses=0.0, false_positives=0.05, rng=rng(2))
    difference = faults.permanent.compare(found)
    assert (difference.missing, difference.different) == (0, 0)
    assert within_four_sigma(difference.extra, faults.geometry.cells - len(faults.permanent), 0.05)
    new = ~np.isin(found.cell, faults.permanent.cell)
    assert set(found.kind[new]) == {0, 1}
    assert within_four_sigma(int((found.kind[new] == 1).sum()), difference.extra, 0.5)


def test_a_missed_cell_is_not_reported_by_accident(faults):
    found = imperfect(faults, misses=1.0, false_positives=1.0, rng=rng())
    assert len(found) == faults.geometry.cells - len(faults.permanent)
    assert not np.isin(faults.permanent.cell, found.cell).any()


def test_a_cell_with_a_soft_fault_counts_as_healthy(faults):
    found = imperfect(faults, misses=0.0, false_positives=1.0, rng=rng())
    assert len(found) == faults.geometry.cells
    assert len(found.soft) == 0


def test_the_same_generator_state_gives_the_same_map(faults):
    first, second, other = (
        imperfect(faults, misses=0.3, false_positives=0.01, rng=rng(seed)) for seed in (4, 4, 5)
    )
    assert first == second
    assert first != other


def test_a_higher_rate_misses_the_same_cells_and_more(faults):
    few, many = (imperfect(faults, misses=rate, false_positives=0.0, rng=rng(6)) for rate in (0.1, 0.3))
    assert np.isin(many.cell, few.cell).all()
    assert len(many) < len(few)


def test_rates_outside_0_to_1_are_refused(faults):
    for rates in ({"misses": 1.2, "false_positives": 0.0}, {"misses": 0.0, "false_positives": -0.1}):
        with pytest.raises(InputError, match=r"(misses|false_positives): expected a number in 0\.\.1"):
            imperfect(faults, **rates, rng=rng())
