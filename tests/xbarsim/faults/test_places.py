from dataclasses import dataclass
from typing import Any

import pytest

from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.neurons import NeuronFaults, SpikingGeometry
from xbarsim.faults.pe import FinnGeometry, PeFaults
from xbarsim.faults.places import check_places, is_of, no_faults
from xbarsim.faults.stuck_cells import StuckCells


def test_every_kind_of_place_has_its_table():
    cells = CellGeometry(arrays=2)
    assert no_faults(cells) == FaultMap.of(cells)
    assert no_faults(FinnGeometry(())) == PeFaults.of()
    assert no_faults(SpikingGeometry()) == NeuronFaults.of()


def test_places_are_named_by_what_they_are_and_others_by_what_they_look_like():
    model = StuckCells(rate=0.1)
    with pytest.raises(
        InputError, match="stuck-cells: expected the cells of arrays, got 0-layer FINN design"
    ):
        check_places(model, FinnGeometry(()), CellGeometry)
    with pytest.raises(InputError, match=r"got \['cells'\]"):
        check_places(model, ["cells"], CellGeometry)
    assert check_places(model, CellGeometry(arrays=2), CellGeometry).arrays == 2


@dataclass(frozen=True, kw_only=True)
class Anywhere:
    def draw(self, geometry: Any, rng):
        return no_faults(geometry)


@dataclass(frozen=True, kw_only=True)
class Unsaid:
    def draw(self, geometry, rng):
        return no_faults(geometry)


@dataclass(frozen=True, kw_only=True)
class ForReaders:
    def draw(self, geometry: "Nowhere", rng):  # noqa: F821
        return no_faults(geometry)


@dataclass(frozen=True, kw_only=True)
class CellsOrUnits:
    def draw(self, geometry: CellGeometry | FinnGeometry, rng):
        return no_faults(geometry)


def test_a_model_is_for_the_places_that_it_says_and_for_all_if_it_says_none():
    cells, units = CellGeometry(arrays=2), FinnGeometry(())
    assert is_of(StuckCells(rate=0.1), cells) and not is_of(StuckCells(rate=0.1), units)
    for model in (Anywhere(), Unsaid(), ForReaders(), CellsOrUnits()):
        assert is_of(model, cells) and is_of(model, units)
