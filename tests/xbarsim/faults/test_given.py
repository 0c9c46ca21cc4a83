"""Faults that are known: trial t has the t-th table, wherever it comes from."""

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.given import GivenFaults, load_faults
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.neurons import NeuronFault, NeuronFaultKind, NeuronFaults
from xbarsim.faults.pe import PeFault, PeFaultKind, PeFaults
from xbarsim.faults.trials import faults_of
from xbarsim.rng import Trial

GEOMETRY = CellGeometry(arrays=2)
MAPS = tuple(FaultMap.of(GEOMETRY, array=[1], row=[row], column=[3], kind=["stuck_hrs"]) for row in range(3))


def test_a_trial_has_its_own_table_whatever_the_seed():
    given = GivenFaults(MAPS)
    assert given.population(GEOMETRY) == 3 and given.words == "the faults of 3 given chips"
    for seed in (1, 2):
        assert [faults_of(given, GEOMETRY, Trial(seed, number)) for number in range(3)] == list(MAPS)
    with pytest.raises(InputError, match="trial: expected one of 3 given chips, got 3"):
        given.numbered(GEOMETRY, Trial(1, 3))


def test_draws_meet_every_table():
    rng = np.random.default_rng(0)
    drawn = [GivenFaults(MAPS).draw(GEOMETRY, rng) for _ in range(60)]
    assert all(10 < sum(one == table for one in drawn) < 35 for table in MAPS)


def test_descriptions_tell_contents_and_order():
    describe = [GivenFaults(tables).describe() for tables in (MAPS, MAPS, MAPS[::-1], MAPS[:2])]
    assert describe[0] == describe[1] and describe[0]["name"] == "given"
    assert len({described["digest"] for described in describe}) == 3


def test_files_of_every_kind_of_fault_are_read(tmp_path):
    pes = PeFaults.of([PeFault(kind=PeFaultKind.channel, layer=0, unit=2, value=1)])
    neurons = NeuronFaults.of([NeuronFault(kind=NeuronFaultKind.dead, layer=1, neuron=4)])
    files = [
        table.save(tmp_path / name) for table, name in ((MAPS[0], "a"), (pes, "b.csv"), (neurons, "c.CSV"))
    ]
    found = GivenFaults.load(files).tables
    assert found[0] == MAPS[0]
    assert list(found[1]) == list(pes) and list(found[2]) == list(neurons)


def test_no_tables_and_no_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="faults: expected at least one table"):
        GivenFaults(())
    with pytest.raises(InputError, match="fault list"):
        load_faults(tmp_path / "none.csv")
    with pytest.raises(InputError, match="fault map"):
        load_faults(tmp_path / "none")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="a CSV file that can be read"):
        load_faults(tmp_path / "bytes.csv")
