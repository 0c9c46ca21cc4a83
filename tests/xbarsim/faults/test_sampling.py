import numpy as np
import pytest
from scipy.stats import binom, chisquare

from xbarsim.errors import InputError
from xbarsim.faults.kinds import CellGeometry, FaultKind
from xbarsim.faults.sampling import (
    FaultMix,
    mix_of,
    mix_presets,
    sample_by_count,
    sample_by_rate,
    sample_clusters,
    sample_columns,
    sample_rows,
    words_of_mix,
)

G = CellGeometry(arrays=3, rows=16, columns=20, levels=4)
HRS = FaultMix(stuck_hrs=1)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_rate_is_that_of_a_binomial():
    counts = [len(sample_by_rate(G, 0.1, mix=HRS, rng=rng(s))) for s in range(200)]
    low, high = binom.interval(0.9999, 200 * G.cells, 0.1)
    assert low <= sum(counts) <= high
    assert len(set(counts)) > 10


def test_rates_zero_and_one_give_no_and_all_cells():
    assert len(sample_by_rate(G, 0.0, mix=HRS, rng=rng())) == 0
    assert len(sample_by_rate(G, 1.0, mix=HRS, rng=rng())) == G.cells


def test_every_cell_is_equally_likely():
    hits = np.zeros(G.cells)
    for seed in range(300):
        hits[sample_by_count(G, 100, mix=HRS, rng=rng(seed)).cell] += 1
    assert chisquare(hits).pvalue > 1e-4


def test_measured_ratio_is_175_to_904():
    counts = sample_by_rate(CellGeometry(arrays=40), 0.1, mix=mix_presets()["measured"], rng=rng()).counts()
    share = counts["stuck_lrs"] / (counts["stuck_lrs"] + counts["stuck_hrs"])
    assert share == pytest.approx(9.04 / (1.75 + 9.04), abs=0.006)


def test_soft_faults_move_to_every_other_level_alike():
    flips = sample_by_rate(CellGeometry(arrays=10), 0.5, mix=FaultMix(flip=1), rng=rng())
    assert chisquare(np.bincount(flips.value, minlength=4)[1:]).pvalue > 1e-4
    steps = sample_by_rate(CellGeometry(arrays=10), 0.5, mix=FaultMix(step=1), rng=rng())
    assert set(np.unique(steps.value)) == {-1, 1}


def test_rows_and_columns_are_whole_lines():
    array, row, _ = sample_rows(G, 5, mix=HRS, rng=rng()).coordinates
    lines, cells = np.unique(array * G.rows + row, return_counts=True)
    assert len(lines) == 5
    assert (cells == G.columns).all()
    array, _, column = sample_columns(G, 5, mix=HRS, rng=rng()).coordinates
    lines, cells = np.unique(array * G.columns + column, return_counts=True)
    assert len(lines) == 5
    assert (cells == G.rows).all()


def test_cluster_is_a_disc_in_one_array():
    fault_map = sample_clusters(G, 1, radius=2, mix=HRS, rng=rng(5))
    array, row, column = fault_map.coordinates
    assert len(set(array)) == 1
    assert len(fault_map) <= 13
    apart = (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
    assert apart.max() <= 16


def test_cluster_away_from_the_edge_has_all_thirteen_cells_of_radius_two():
    sizes = {len(sample_clusters(G, 1, radius=2, mix=HRS, rng=rng(s))) for s in range(30)}
    assert max(sizes) == 13


def test_same_seed_gives_the_same_faults():
    assert sample_by_rate(G, 0.1, mix=HRS, rng=rng(9)) == sample_by_rate(G, 0.1, mix=HRS, rng=rng(9))
    assert sample_by_rate(G, 0.1, mix=HRS, rng=rng(9)) != sample_by_rate(G, 0.1, mix=HRS, rng=rng(8))


def test_wrong_rates_counts_and_mixes_are_refused():
    with pytest.raises(InputError, match=r"rate: expected a number in 0\.\.1, got 1\.2"):
        sample_by_rate(G, 1.2, mix=HRS, rng=rng())
    with pytest.raises(InputError, match="count"):
        sample_by_count(G, G.cells + 1, mix=HRS, rng=rng())
    with pytest.raises(InputError, match="rows"):
        sample_rows(G, 49, mix=HRS, rng=rng())
    with pytest.raises(InputError, match="columns"):
        sample_columns(G, 61, mix=HRS, rng=rng())
    with pytest.raises(InputError, match="radius"):
        sample_clusters(G, 1, radius=-1, mix=HRS, rng=rng())
    for shares in ({}, {"flip": -1.0}, {"step": float("nan")}):
        with pytest.raises(InputError, match="FaultMix"):
            FaultMix(**shares)


def test_mixes_know_their_kinds_and_are_found_by_name():
    mix = FaultMix(stuck_lrs=2, step=0.5)
    assert mix.kinds == (FaultKind.stuck_lrs, FaultKind.step)
    mix.check_only("x", [FaultKind.step, FaultKind.stuck_lrs], "")
    with pytest.raises(InputError, match="x: expected flip and step alone, got stuck_lrs, step; use y"):
        mix.check_only("x", [FaultKind.flip, FaultKind.step], "use y")
    assert mix_of("x", mix) is mix
    assert {name: mix_of("x", name) for name in mix_presets()} == mix_presets()
    assert (words_of_mix("even"), words_of_mix(mix)) == ("even", "stuck_lrs 2, step 0.5")
    with pytest.raises(InputError, match="x: expected one of even"):
        mix_of("x", "odd")
    with pytest.raises(InputError, match="or a FaultMix"):
        mix_of("x", 0.5)
