"""What all tables of faults have in common: one test for cells, processing elements and neurons."""

import copy
import pickle

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.neurons import NeuronFaults, SpikingGeometry
from xbarsim.faults.pe import FinnGeometry, PeFaults, UnitGeometry
from xbarsim.faults.table import integers, kind_codes, spread

CELLS = CellGeometry(arrays=2, rows=4, columns=5)
NEURONS = SpikingGeometry(sizes=(6, 5, 3))
UNIT = UnitGeometry(
    rows=6, columns=9, pe=2, simd=4, weight_bits=2, threshold_bits=7, accumulator_bits=5, thresholds=2,
    values=(-1, 0, 1), products=(-2, 0, 2), pixels=10,
)  # fmt: skip
DESIGN = FinnGeometry((UNIT,))


def cells():
    return FaultMap.of(
        CELLS, array=1, row=[0, 1, 2], column=3, kind=["stuck_lrs", "flip", "flip"], value=[0, 2, 2]
    )


def units():
    return PeFaults.of(kind=["pe", "channel", "channel"], layer=0, unit=[1, 0, 5], value=[1, 0, -1])


def neurons():
    return NeuronFaults.of(kind=["hsf", "swf", "swf"], layer=0, neuron=[0, 1, 2], target=[-1, 2, 0])


TABLES = {"cells": (cells, CELLS), "units": (units, DESIGN), "neurons": (neurons, NEURONS)}
every = pytest.mark.parametrize(("made", "geometry"), TABLES.values(), ids=list(TABLES))


@every
def test_table_is_as_long_as_its_faults_and_gives_them_in_order(made, geometry):
    faults = made()
    assert len(faults) == len(list(faults)) == 3
    assert [faults[i] for i in (0, 1, 2)] == list(faults)
    assert faults[-1] == list(faults)[2]
    with pytest.raises(IndexError):
        faults[3]


@every
def test_faults_as_objects_make_the_same_table(made, geometry):
    faults = made()
    start = (geometry,) if isinstance(faults, FaultMap) else ()
    assert type(faults).of(*start, list(faults)) == faults
    assert len(type(faults).of(*start)) == 0


@every
def test_tables_with_the_same_faults_are_equal_and_others_are_not(made, geometry):
    faults = made()
    assert faults == made() == copy.deepcopy(faults) == pickle.loads(pickle.dumps(faults))
    assert faults != faults.take(np.array([0, 1]))
    assert faults != list(faults)
    assert all(faults != other() for other, _ in TABLES.values() if other is not made)
    with pytest.raises(TypeError, match="unhashable"):
        hash(faults)


def test_maps_of_different_chips_are_not_equal():
    assert FaultMap.of(CELLS) != FaultMap.of(CellGeometry(arrays=3))


@every
def test_take_takes_places_masks_and_nothing(made, geometry):
    faults = made()
    assert list(faults.take(np.array([0, 2]))) == [faults[0], faults[2]]
    assert list(faults.take(np.array([False, True, True]))) == [faults[1], faults[2]]
    assert len(faults.take(np.zeros(0, np.int64))) == 0
    assert len(faults.take(np.zeros(3, bool))) == 0


def test_lists_are_taken_in_any_order_and_maps_stay_ordered_by_cell():
    for faults in (units(), neurons()):
        assert list(faults.take(np.array([2, 0, 2]))) == [faults[2], faults[0], faults[2]]
    assert cells().take(np.array([2, 0, 2])) == cells().take(np.array([0, 2]))
    assert list(cells().take(np.array([-1]))) == [cells()[2]]


@every
def test_each_is_every_fault_alone(made, geometry):
    faults = made()
    assert [list(alone) for alone in faults.each()] == [[fault] for fault in faults]
    assert all(type(alone) is type(faults) for alone in faults.each())


def test_lists_merge_one_behind_the_other():
    for faults in (units(), neurons()):
        assert list(faults.merge(faults.take(np.array([1])))) == [*faults, faults[1]]


@every
def test_merging_with_no_faults_changes_nothing(made, geometry):
    faults = made()
    none = faults.take(np.zeros(3, bool))
    assert faults.merge(none) == none.merge(faults) == faults
    assert none.merge(none) == none


@every
def test_tables_of_different_kinds_do_not_merge(made, geometry):
    for other, _ in TABLES.values():
        if other is not made:
            with pytest.raises(InputError, match="faults to merge"):
                made().merge(other())


def test_counts_name_the_kinds_that_occur():
    assert cells().counts() == {"stuck_lrs": 1, "flip": 2}
    assert units().counts() == {"channel": 2, "pe": 1}
    assert neurons().counts() == {"hsf": 1, "swf": 2}
    assert all(made().take(np.zeros(3, bool)).counts() == {} for made, _ in TABLES.values())


@every
def test_frame_has_the_fields_with_kinds_by_name(made, geometry):
    faults, frame = made(), made().to_frame()
    assert list(frame.columns) == list(faults.columns())
    assert frame.kind.tolist() == [getattr(fault.kind, "name", fault.kind) for fault in faults]
    for name in set(frame.columns) - {"kind"}:
        assert frame[name].tolist() == [getattr(fault, name) for fault in faults]
        assert (faults.column(name) == frame[name]).all()


@every
def test_files_give_the_table_back(made, geometry, tmp_path):
    faults = made()
    assert type(faults).load(faults.save(tmp_path / "folder" / "faults")) == faults


@every
def test_check_accepts_its_own_places(made, geometry):
    made().check(geometry)


def test_check_refuses_places_that_are_not_there():
    with pytest.raises(InputError, match="fault map: expected 3 arrays"):
        cells().check(CellGeometry(arrays=3))
    with pytest.raises(InputError, match="unit in 0"):
        PeFaults.of(kind="pe", layer=0, unit=2, value=1).check(DESIGN)
    with pytest.raises(InputError, match="a place in 6-5-3"):
        NeuronFaults.of(kind="hsf", layer=1, neuron=5).check(NEURONS)


def test_check_refuses_kinds_that_there_are_not():
    units_table, neurons_table = units().table.copy(), neurons().table.copy()
    units_table[1, 0], neurons_table["kind"][1] = 7, -1
    with pytest.raises(InputError, match=r"a kind of channel, pe.*got 7"):
        PeFaults(units_table).check(DESIGN)
    with pytest.raises(InputError, match=r"a kind of hsf, esf.*got -1"):
        NeuronFaults(neurons_table).check(NEURONS)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"kind": "pe", "layer": 0}, "no unit, value"),
        ({"kind": "pe", "layer": 0, "unit": 1, "value": 0, "lane": 3}, "got lane"),
        ({"kind": "PE", "layer": 0, "unit": 1, "value": 0}, "one of channel, pe.*'PE'"),
        ({"kind": 7, "layer": 0, "unit": 1, "value": 0}, "one of channel, pe.*got 7"),
        ({"kind": "pe", "layer": [0, 1], "unit": [1, 2, 3], "value": 0}, "columns of one length"),
        ({"kind": "pe", "layer": 0.5, "unit": 1, "value": 0}, "column of integers"),
    ],
)
def test_columns_that_make_no_table_are_refused(columns, words):
    with pytest.raises(InputError, match=f"PeFaults.*{words}"):
        PeFaults.of(**columns)


def test_faults_and_columns_at_once_are_refused():
    for faults, start in ((cells(), (CELLS,)), (units(), ()), (neurons(), ())):
        with pytest.raises(InputError, match="the columns"):
            type(faults).of(*start, list(faults), kind=0)


def test_columns_of_neurons_have_the_kinds_own_values():
    faults = NeuronFaults.of(kind=["hsf", "threshold"], layer=1, neuron=2, first=1, last=3)
    assert [(f.value, f.first, f.last, f.target) for f in faults] == [(10, 1, 3, -1), (2, 1, 3, -1)]
    with pytest.raises(InputError, match="value of leak"):
        NeuronFaults.of(kind="leak", layer=1, neuron=2, value=2.0)
    with pytest.raises(InputError, match=r"NeuronFault\.neuron"):
        NeuronFaults.of(kind="leak", layer=1, neuron=0.5)


def test_single_numbers_spread_and_empty_columns_are_none():
    found = spread("x", {"a": integers("a", 3), "b": integers("b", [1, 2])})
    assert {name: column.tolist() for name, column in found.items()} == {"a": [3, 3], "b": [1, 2]}
    assert integers("x", ()).tolist() == kind_codes("x", PeFaults.KINDS, ()).tolist() == []
