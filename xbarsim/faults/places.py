"""The three kinds of places that faults have: which table they fill, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import numpy as np

from xbarsim.errors import InputError, check_type
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.neurons import NeuronFaults, SpikingGeometry
from xbarsim.faults.pe import FinnGeometry, PeFaults
from xbarsim.registry import fault_models

G = TypeVar("G", CellGeometry, FinnGeometry, SpikingGeometry)
WORDS = {
    CellGeometry: "the cells of arrays",
    FinnGeometry: "the units of a FINN design",
    SpikingGeometry: "the neurons of a spiking network",
}


def check_draw(model: Any, geometry: object, kind: type[G], rng: object) -> G:
    """Return the places that a fault model draws for, like `check_places`; refuse what is no generator."""
    places = check_places(model, geometry, kind)
    check_type("rng", rng, np.random.Generator, "make one with numpy.random.default_rng(seed)")
    return places


def check_places(model: Any, geometry: object, kind: type[G]) -> G:
    """Return the places that a fault model draws for; refuse those of another kind of hardware.

    Raises
    ------
    InputError : places of another kind; it names the model as the registry does.
    """
    if not isinstance(geometry, kind):
        remedy = "choose a fault model of this hardware"
        raise InputError(fault_models.name_of(model), WORDS[kind], _shown(geometry), remedy)
    return geometry


def is_of(model: Any, geometry: object) -> bool:
    """Whether a fault model draws for these places, as the type of `draw`'s geometry says."""
    try:
        kind = get_type_hints(type(model).draw).get("geometry", object)
    except NameError:  # of a class of somebody's own, whose hints are for readers alone
        return True
    return isinstance(geometry, kind) if isinstance(kind, type) and kind is not Any else True


def no_faults(geometry: object) -> FaultMap | PeFaults | NeuronFaults:
    """Return an empty table of faults of these places.

    Raises
    ------
    InputError : what is no geometry of a chip.
    """
    if isinstance(geometry, CellGeometry):
        return FaultMap.of(geometry)
    if isinstance(geometry, FinnGeometry):
        return PeFaults.of()
    if isinstance(geometry, SpikingGeometry):
        return NeuronFaults.of()
    raise InputError("geometry", " or ".join(WORDS.values()), _shown(geometry))


@dataclass(frozen=True, kw_only=True)
class NoFaults:
    """Healthy chips of any kind."""

    def draw(self, geometry: object, rng: np.random.Generator) -> FaultMap | PeFaults | NeuronFaults:
        """Return an empty table; nothing is drawn."""
        return no_faults(geometry)

    @property
    def words(self) -> str:
        """What people read."""
        return "no faults"


def _shown(geometry: object) -> str:
    return str(geometry) if isinstance(geometry, tuple(WORDS)) else repr(geometry)[:60]
