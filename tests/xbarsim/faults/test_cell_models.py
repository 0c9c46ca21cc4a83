import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.cell_models import FaultyClusters, FaultyColumns, FaultyCount, FaultyRows, SoftCells
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import FaultMix

G = CellGeometry(arrays=3, rows=16, columns=20)


def draw(model):
    return model.draw(G, np.random.default_rng(2))


def test_counts_rows_columns_and_clusters_are_exact():
    assert len(draw(FaultyCount(count=17))) == 17
    assert len(draw(FaultyRows(rows=3))) == 3 * G.columns
    assert len(draw(FaultyColumns(columns=3))) == 3 * G.rows
    assert 1 <= len(draw(FaultyClusters(clusters=2, radius=1))) <= 2 * 5
    assert len(draw(FaultyClusters(clusters=5, radius=0))) == 5


def test_any_mix_will_do_for_numbers_of_cells_and_soft_ones_for_soft_cells():
    mixed = draw(FaultyCount(count=50, mix=FaultMix(stuck_hrs=1, flip=1)))
    assert set(mixed.counts()) == {"stuck_hrs", "flip"}
    assert set(draw(SoftCells(rate=0.5, mix=FaultMix(flip=1, step=1))).counts()) == {"flip", "step"}
    assert len(draw(SoftCells(rate=0.5)).permanent) == 0


@pytest.mark.parametrize("mix", ["even", FaultMix(stuck_at=1, flip=5)])
def test_stuck_cells_are_not_soft(mix):
    with pytest.raises(InputError, match=r"SoftCells\.mix: expected flip and step alone.*use StuckCells"):
        SoftCells(rate=0.1, mix=mix)


@pytest.mark.parametrize("made", [FaultyCount, FaultyRows, FaultyColumns, FaultyClusters])
def test_numbers_and_mixes_that_there_are_not_are_refused(made):
    field = {FaultyCount: "count", FaultyRows: "rows", FaultyColumns: "columns", FaultyClusters: "clusters"}
    for wrong in (-1, 2.5, True):
        with pytest.raises(InputError, match=f"{made.__name__}.{field[made]}"):
            made(**{field[made]: wrong})
    for mix in ("odd", 3, None):
        with pytest.raises(InputError, match=rf"{made.__name__}\.mix"):
            made(**{field[made]: 1}, mix=mix)
    with pytest.raises(InputError, match=field[made]):
        draw(made(**{field[made]: G.cells + 1}))


def test_rates_and_radii_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"SoftCells\.rate"):
        SoftCells(rate=1.5)
    with pytest.raises(InputError, match=r"FaultyClusters\.radius"):
        FaultyClusters(clusters=1, radius=-1)
    with pytest.raises(InputError, match="radius"):
        draw(FaultyClusters(clusters=1, radius=21))
