"""The safety table: every effect counted once, and the metrics by hand."""

from functools import partial

import numpy as np
import pytest

from accel_models.finn.concurrent import FaultResults, simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.replication import ReplicationPlan
from accel_models.finn.safety import EFFECTS, safety_table
from tests.helpers.finn_networks import small_network
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFault, PeFaultKind, PeFaults, join

FAULTS = PeFaults.of(
    [
        PeFault(kind=PeFaultKind.channel, layer=0, unit=0, value=1),
        PeFault(kind=PeFaultKind.channel, layer=0, unit=1, value=1),
        PeFault(kind=PeFaultKind.pe, layer=1, unit=0, value=1),
        PeFault(kind=PeFaultKind.channel, layer=1, unit=0, value=1, image=4),
    ]
)
RESULTS = FaultResults(
    faults=FAULTS,
    hits=np.array([85, 70, 10, 89]),
    flips=np.array([10, 25, 90, 1]),
    masked=np.array([60, 40, 0, 99]),
    baseline_hits=90,
    shots=100,
)


def counts(row):
    return tuple(getattr(row, name) for name in EFFECTS)


def test_effects_without_a_detector():
    table = safety_table(RESULTS, most_loss=0.1)
    first, second = table.rows
    assert (first.layer, second.layer, table.total.layer) == (0, 1, None)
    assert counts(first) == (100, 65, 0, 0, 35) and first.effects == 200
    assert counts(second) == (0, 10, 0, 0, 91) and second.effects == 101, "a transient fault is one effect"
    assert counts(table.total) == (100, 75, 0, 0, 126)
    assert (first.faults, first.dangerous_faults, second.dangerous_faults) == (2, 1, 2)
    assert table.total.safe_share == pytest.approx(175 / 301)
    assert sum(table.total.shares.values()) == pytest.approx(1)
    assert first.spfm == pytest.approx(1 - (0.1 + 0.25) / 2)
    assert first.diagnostic_coverage == 0


def test_what_a_detector_sees_is_not_dangerous():
    plan = ReplicationPlan(frozenset({(0, 1)}))
    design = FinnConfig().program(small_network(np.random.default_rng(0)))
    table = safety_table(RESULTS, detected=partial(plan.covers, design), most_loss=0.1)
    first = table.rows[0]
    assert counts(first) == (100, 30, 35, 25, 10)
    assert (first.detected_faults, first.dangerous_faults) == (1, 0)
    assert first.detected_share == pytest.approx(60 / 200)
    assert first.spfm == pytest.approx(1 - 0.1 / 2)
    assert first.diagnostic_coverage == pytest.approx(0.25 / 0.35)


def test_rates_weigh_the_kinds():
    rates = {PeFaultKind.channel: 2.0, PeFaultKind.pe: 6.0}
    total = safety_table(RESULTS, rates_FIT=rates).total
    assert total.rate_FIT == pytest.approx(12)
    assert total.dangerous_FIT == pytest.approx(2 * 0.1 + 2 * 0.25 + 6 * 0.9 + 2 * 1)
    assert total.spfm == pytest.approx(1 - total.dangerous_FIT / 12)
    with pytest.raises(InputError, match="a rate for faults of kind pe"):
        safety_table(RESULTS, rates_FIT={PeFaultKind.channel: 1.0})
    with pytest.raises(InputError, match="rates_FIT: pe"):
        safety_table(RESULTS, rates_FIT={**rates, PeFaultKind.pe: -1.0})


def test_metrics_without_rates_or_flips_are_no_numbers():
    none = dict.fromkeys(PeFaultKind, 0.0)
    assert np.isnan(safety_table(RESULTS, rates_FIT=none).total.spfm)
    quiet = FaultResults(**{**vars(RESULTS), "flips": np.zeros(4, np.int64)})
    assert np.isnan(safety_table(quiet).total.diagnostic_coverage)


def test_no_faults_are_refused():
    nothing = FaultResults(
        faults=FAULTS.take(np.zeros(0, np.int64)),
        hits=np.zeros(0, np.int64),
        flips=np.zeros(0, np.int64),
        masked=np.zeros(0, np.int64),
        baseline_hits=1,
        shots=1,
    )
    with pytest.raises(InputError, match="at least one fault"):
        safety_table(nothing)


def test_simulated_effects_add_up_and_full_replication_leaves_no_danger():
    rng = np.random.default_rng(6)
    design, images = FinnConfig().program(small_network(rng)), rng.integers(0, 256, (16, 8, 8, 3), np.uint8)
    permanent = design.fault_list([PeFaultKind.channel, PeFaultKind.pe])
    channels = design.fault_list([PeFaultKind.channel])
    struck = channels.struck(rng.integers(0, 16, len(channels)))
    labels = design.classify(images)
    results = simulate_faults(design, join([permanent, struck]), images, labels)
    every = ReplicationPlan(frozenset((m, c) for m in range(3) for c in range(design.network.layers[m].rows)))
    for detected in (lambda fault: False, partial(every.covers, design)):
        total = safety_table(results, detected=detected).total
        assert total.effects == 16 * len(permanent) + len(struck) and min(counts(total)) >= 0
        assert total.caught_changed + total.dangerous == results.flips.sum()
    assert total.dangerous == total.dangerous_faults == 0 and total.spfm == 1
    assert total.diagnostic_coverage == 1
