"""Given faults: those of files, one chip each, of every kind."""

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from tests.helpers.finn_networks import small_network
from xbarsim.errors import InputError
from xbarsim.faults.given import GivenFaults, load_faults
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, SpikingGeometry
from xbarsim.faults.pe import PeFaultKind
from xbarsim.rng import Trial

NEURONS = FaultUniverse(geometry=SpikingGeometry(sizes=(4, 3, 2)))


def tables():
    """Two tables of units of a FINN chip."""
    every = FinnConfig().program(small_network(np.random.default_rng(0))).fault_list([PeFaultKind.channel])
    return every.take(np.arange(3)), every.take(np.arange(3, 8))


def test_trial_t_has_the_t_th_table():
    given = GivenFaults(tables())
    assert given.population(None) == 2
    for number, table in enumerate(tables()):
        assert given.numbered(None, Trial(0, number)).to_frame().equals(table.to_frame())
    with pytest.raises(InputError, match="trial: expected one of 2 given chips, got 2"):
        given.numbered(None, Trial(0, 2))
    drawn = {len(given.draw(None, np.random.default_rng(seed))) for seed in range(20)}
    assert drawn == {3, 5}


def test_identity_is_the_contents():
    first, second = tables()
    assert GivenFaults((first,)).describe() == GivenFaults((tables()[0],)).describe()
    assert GivenFaults((first,)).describe() != GivenFaults((second,)).describe()
    assert GivenFaults((first, second)).describe() != GivenFaults((second, first)).describe()


def test_lists_of_units_and_of_neurons_are_told_apart(tmp_path):
    units, neurons = tables()[0], NEURONS.enumerate(NeuronFaultKind.hsf, value=10.0)
    units.save(tmp_path / "units.csv")
    neurons.save(tmp_path / "neurons.CSV")
    given = GivenFaults.load([tmp_path / "units.csv", tmp_path / "neurons.CSV"])
    assert given.tables[0].to_frame().equals(units.to_frame())
    assert given.tables[1].to_frame().equals(neurons.to_frame())
    assert given.words == "the faults of 2 given chips"


def test_what_is_no_list_of_faults_is_refused(tmp_path):
    with pytest.raises(InputError, match="faults: expected at least one table, got none"):
        GivenFaults(())
    with pytest.raises(InputError, match=r"none\.csv"):
        load_faults(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match=r"picture\.csv"):
        load_faults(tmp_path / "picture.csv")
    (tmp_path / "picture.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"picture\.safetensors"):
        load_faults(tmp_path / "picture.safetensors")
