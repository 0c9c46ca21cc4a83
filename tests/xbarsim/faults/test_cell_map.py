import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry, FaultKind
from xbarsim.faults.sampling import FaultMix, mix_presets, sample_by_count

G = CellGeometry(arrays=2, rows=4, columns=5, levels=4)


def test_faults_come_out_as_they_went_in_ordered_by_place():
    fault_map = FaultMap.of(
        G,
        array=[1, 0, 0],
        row=[3, 1, 0],
        column=[4, 0, 2],
        kind=["flip", "stuck_lrs", "step"],
        value=[2, 0, -1],
    )
    assert list(fault_map) == [(0, 0, 2, "step", -1), (0, 1, 0, "stuck_lrs", 3), (1, 3, 4, "flip", 2)]
    assert fault_map.counts() == {"stuck_lrs": 1, "flip": 1, "step": 1}


@pytest.mark.parametrize("place", [{"array": 2}, {"row": 4}, {"column": 5}, {"row": -1}])
def test_fault_outside_the_arrays_is_refused(place):
    where = {"array": 0, "row": 0, "column": 0} | place
    with pytest.raises(InputError, match=f"FaultMap.{next(iter(place))}"):
        FaultMap.of(G, **where, kind="stuck_hrs")


@pytest.mark.parametrize(
    ("kind", "value"), [("stuck_at", 4), ("stuck_at", -1), ("flip", 0), ("flip", 4), ("step", 0), ("step", 2)]
)
def test_levels_that_cells_do_not_have_are_refused(kind, value):
    with pytest.raises(InputError, match=r"FaultMap\.value"):
        FaultMap.of(G, array=0, row=0, column=0, kind=kind, value=value)


def test_unknown_kind_two_faults_in_a_cell_and_ragged_columns_are_refused():
    with pytest.raises(InputError, match="stuck_hrs, stuck_lrs"):
        FaultMap.of(G, array=0, row=0, column=0, kind="SA0")
    with pytest.raises(InputError, match="values for stuck_at"):
        FaultMap.of(G, array=0, row=0, column=0, kind="stuck_at")
    with pytest.raises(InputError, match="two in cell 0"):
        FaultMap.of(G, array=[0, 0], row=0, column=0, kind="stuck_hrs")
    with pytest.raises(InputError, match="columns of one length"):
        FaultMap.of(G, array=[0, 0], row=[0, 1, 2], column=0, kind="stuck_hrs")
    with pytest.raises(InputError, match="column of integers"):
        FaultMap.of(G, array=0.5, row=0, column=0, kind="stuck_hrs")


def test_merge_keeps_stuck_cells_over_soft_faults_and_later_over_earlier():
    first = FaultMap.of(
        G, array=0, row=0, column=[0, 1, 2], kind=["stuck_hrs", "flip", "flip"], value=[0, 1, 1]
    )
    second = FaultMap.of(
        G, array=0, row=0, column=[0, 1, 3], kind=["flip", "flip", "stuck_lrs"], value=[2, 2, 0]
    )
    assert [(c, k, v) for _, _, c, k, v in first.merge(second)] == [
        (0, "stuck_hrs", 0),
        (1, "flip", 2),
        (2, "flip", 1),
        (3, "stuck_lrs", 3),
    ]


def test_merge_agrees_with_a_dictionary():
    rng = np.random.default_rng(0)
    mix = FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1, flip=1, step=1)
    a, b = (sample_by_count(G, 25, mix=mix, rng=rng) for _ in range(2))
    expected = {f[:3]: f[3:] for f in a}
    for *place, kind, value in b:
        before = expected.get(tuple(place))
        soft_on_stuck = (
            before is not None and FaultKind[before[0]].permanent and not FaultKind[kind].permanent
        )
        if not soft_on_stuck:
            expected[tuple(place)] = (kind, value)
    assert {f[:3]: f[3:] for f in a.merge(b)} == expected


def test_compare_counts_equal_different_missing_and_extra():
    true = FaultMap.of(G, array=0, row=0, column=[0, 1, 2], kind=["stuck_hrs", "stuck_lrs", "stuck_hrs"])
    found = FaultMap.of(
        G, array=0, row=0, column=[0, 1, 3, 4], kind=["stuck_hrs", "stuck_hrs", "flip", "flip"], value=1
    )
    difference = true.compare(found)
    assert (difference.equal, difference.different, difference.missing, difference.extra) == (1, 1, 1, 2)
    assert not difference.exact
    assert true.compare(true).exact


def test_maps_of_different_chips_neither_merge_nor_compare():
    other = FaultMap.of(CellGeometry(arrays=3))
    with pytest.raises(InputError, match="use maps of one chip"):
        FaultMap.of(G).merge(other)
    with pytest.raises(InputError, match="use maps of one chip"):
        FaultMap.of(G).compare(other)


def test_refresh_cures_soft_faults_only():
    fault_map = sample_by_count(
        G, 30, mix=FaultMix(stuck_lrs=1, flip=1, step=1), rng=np.random.default_rng(3)
    )
    assert len(fault_map.permanent) + len(fault_map.soft) == 30
    assert fault_map.rewritten(np.arange(G.cells)) == fault_map.permanent
    assert fault_map.rewritten(np.zeros(0, np.int64)) == fault_map
    assert fault_map.permanent.merge(fault_map.soft) == fault_map


def test_stuck_at_end_levels_becomes_stuck_hrs_and_stuck_lrs():
    fault_map = FaultMap.of(G, array=0, row=0, column=[0, 1, 2], kind="stuck_at", value=[0, 2, 3])
    assert [f[3] for f in fault_map.as_stuck_levels()] == ["stuck_hrs", "stuck_at", "stuck_lrs"]


def test_empty_map_works_everywhere(tmp_path):
    empty = FaultMap.of(G)
    assert len(empty.merge(empty)) == 0
    assert empty.compare(empty).exact
    assert FaultMap.load(empty.save(tmp_path / "empty.safetensors")) == empty


@pytest.mark.parametrize("mix", mix_presets())
def test_saved_map_loads_as_it_was(tmp_path, mix):
    fault_map = sample_by_count(G, 20, mix=mix_presets()[mix], rng=np.random.default_rng(1))
    assert FaultMap.load(fault_map.save(tmp_path / "map.safetensors")) == fault_map
