"""The paper's numbers belong to each other."""

import pytest

from xbarsim.papers.spiking_numbers import FIRS, RATIOS, TABLE_3, TABLE_4, TABLES_5_TO_8, TIME_TABLES


def test_the_papers_time_reductions_follow_from_its_seconds():
    printed = {5: (11.95, 22.34, 72.49, 89.18), 8: (27.76, 52.80, 57.67, 22.60)}
    for table, shares in printed.items():
        for (previous, _, without, _), share in zip(TABLES_5_TO_8[TIME_TABLES[table]], shares, strict=True):
            assert 100 * (1 - without / previous) == pytest.approx(share, abs=0.01)


def test_tables_have_a_number_for_every_ratio_and_fir():
    assert set(TABLES_5_TO_8) == set(TIME_TABLES.values()) == {(kind, fir) for kind in RATIOS for fir in FIRS}
    for (_, kind, fir), accuracies in TABLE_4.items():
        assert len(accuracies) == len(RATIOS[kind]) and fir in (0, *FIRS)
        assert list(accuracies) == sorted(accuracies, reverse=True)
    assert max(TABLE_3.values()) - min(TABLE_3.values()) == pytest.approx(0.011)
