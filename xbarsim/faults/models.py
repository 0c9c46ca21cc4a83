"""Fault models of FINN chips and of spiking chips: single faults, faulty neurons or synapses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from xbarsim.errors import InputError, check_choice, check_int, check_rate
from xbarsim.faults.neurons import (
    SCOPES,
    FaultUniverse,
    NeuronFaultKind,
    NeuronFaults,
    SpikingGeometry,
    check_value,
)
from xbarsim.faults.pe import FinnGeometry, PeFaultKind, PeFaults, count_faults, faults_at
from xbarsim.faults.places import check_draw, check_places
from xbarsim.hints import check_fields, checked
from xbarsim.rng import Trial, stream


@dataclass(frozen=True, init=False)
class SingleFaults:
    """One fault of a FINN chip, every one as likely; a permanent one, unless it strikes one input only.

    Parameters
    ----------
    kinds : names of `PeFaultKind`; also one by one, as in the example
    layers : by number; all if not given. Faults of an array that all layers share are in all of them
    strikes : each fault is there during one of the first so many inputs, drawn, in one call of one layer;
        permanent if not given

    Raises
    ------
    InputError : an unknown kind, a kind or a layer twice, none at all, no inputs to strike.

    >>> SingleFaults("channel", "pe")
    SingleFaults(kinds=('channel', 'pe'), layers=None, strikes=None)
    """

    kinds: tuple[str, ...] = ("channel",)
    layers: tuple[int, ...] | None = None
    strikes: int | None = None

    @checked
    def __init__(
        self,
        *names: str,
        kinds: Iterable[str] | None = None,
        layers: Iterable[int] | None = None,
        strikes: int | None = None,
    ) -> None:
        if names and kinds is not None:
            raise InputError("SingleFaults.kinds", "kinds once", f"{', '.join(names)} beside them")
        chosen = names or ("channel",) if kinds is None else tuple(kinds)
        for kind in chosen:
            check_choice("SingleFaults.kinds", kind, PeFaultKind.__members__)
        _check_each_once("SingleFaults.kinds", chosen)
        places = None if layers is None else tuple(layers)
        if places is not None:
            places = tuple(check_int("SingleFaults.layers", layer, 0, 2**16) for layer in places)
            _check_each_once("SingleFaults.layers", places)
        if strikes is not None:
            check_int("SingleFaults.strikes", strikes, 1, 2**31 - 1)
        object.__setattr__(self, "kinds", chosen)
        object.__setattr__(self, "layers", places)
        object.__setattr__(self, "strikes", strikes)

    @property
    def scenario(self) -> str:
        """Name of the random stream."""
        return "pe faults"

    @property
    def words(self) -> str:
        """What people read."""
        layers = "" if self.layers is None else f" in layers {', '.join(map(str, self.layers))}"
        struck = "" if self.strikes is None else f", each during one of {self.strikes} inputs"
        return f"single {', '.join(self.kinds)}{layers}{struck}"

    def all(self, geometry: FinnGeometry) -> PeFaults:
        """List every one, by kind, layer, unit, word, bit and value.

        Raises
        ------
        InputError : faults that strike one input, which is drawn.
        """
        if self.strikes is not None:
            remedy = "take those of trials"
            raise InputError("single faults", "permanent ones, to list them all", self.words, remedy)
        return self._places(geometry)

    def _places(self, geometry: FinnGeometry) -> PeFaults:
        return check_places(self, geometry, FinnGeometry).fault_list(self._kinds, self.layers)

    def draw(self, geometry: FinnGeometry, rng: np.random.Generator) -> PeFaults:
        """Draw one, without listing all.

        Raises
        ------
        InputError : a design without such faults.
        """
        offers = list(check_draw(self, geometry, FinnGeometry, rng).offers(self._kinds, self.layers))
        ends = np.cumsum([count_faults(unit, kind) for _, unit, kind in offers], dtype=np.int64)
        if not len(ends) or not ends[-1]:
            raise InputError("single", f"a design with {', '.join(self.kinds)} faults", "one without")
        number = rng.choice(int(ends[-1]), 1, replace=False)
        offer = int(np.searchsorted(ends, number[0], side="right"))
        before = ends[offer - 1] if offer else 0
        layer, unit, kind = offers[offer]
        return self._struck(geometry, faults_at(layer, unit, kind, number - before), rng)

    def _struck(self, geometry: FinnGeometry, faults: PeFaults, rng: np.random.Generator) -> PeFaults:
        """The same faults, each during a drawn input and, of a shared array, in a drawn layer."""
        if self.strikes is None:
            return faults
        calls = [number for number, layer in enumerate(geometry.layers) if layer.values]
        inputs = rng.integers(0, self.strikes, len(faults))
        return faults.struck(inputs, rng.choice(calls, len(faults)))

    def population(self, geometry: FinnGeometry) -> int:
        """Return how many there are."""
        offers = check_places(self, geometry, FinnGeometry).offers(self._kinds, self.layers)
        return sum(count_faults(unit, kind) for _, unit, kind in offers)

    def numbered(self, geometry: FinnGeometry, trial: Trial) -> PeFaults:
        """Return the fault of a trial; see `of_trials`."""
        return self.of_trials(geometry, [trial])

    def of_trials(self, geometry: FinnGeometry, trials: Sequence[Trial]) -> PeFaults:
        """Return the fault of every trial of one seed, in a table.

        Trial t is the t-th of all in a drawn order, so that the first n trials are a sample without
        repetition, and as many trials as there are faults are all of them.

        Raises
        ------
        InputError : more trials than faults.
        """
        every = self._struck(geometry, self._places(geometry), stream(trials[0].seed, "struck images"))
        last = max(trial.number for trial in trials)
        if last >= len(every):
            raise InputError("trial", f"one of {len(every)} faults", last, "ask for fewer trials")
        order = stream(trials[0].seed, self.scenario).permutation(len(every))
        return every.take(order[[trial.number for trial in trials]])

    @property
    def _kinds(self) -> list[PeFaultKind]:
        return [PeFaultKind[name] for name in self.kinds]


@dataclass(frozen=True, kw_only=True)
class FaultyNeurons:
    """A share of a spiking network's neurons or synapses is faulty, every set of them as likely.

    Parameters
    ----------
    kind : a name of `NeuronFaultKind`
    ratio : share of the places, 0..1; their number is rounded down
    scope : where: some of 'input', 'hidden', 'output' and 'synapses'
    value : as the kind takes it; the kind's own if not given

    Raises
    ------
    InputError : an unknown kind or scope, a ratio or a value out of range.
    """

    kind: str = "hsf"
    ratio: float = 0.1
    scope: tuple[str, ...] = ("input", "hidden")
    value: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        kind = NeuronFaultKind[check_choice("FaultyNeurons.kind", self.kind, NeuronFaultKind.__members__)]
        check_rate("FaultyNeurons.ratio", self.ratio)
        if not self.scope:
            raise InputError("FaultyNeurons.scope", "at least one of " + ", ".join(SCOPES), "none")
        for part in self.scope:
            check_choice("FaultyNeurons.scope", part, SCOPES)
        if self.value is not None:
            check_value(kind, self.value)

    @property
    def scenario(self) -> str:
        """Name of the random stream: every ratio of a kind has its own."""
        return f"{self.kind} {self.ratio:g}"

    @property
    def words(self) -> str:
        """What people read."""
        places = "synapses" if NeuronFaultKind[self.kind].of_synapses else "neurons"
        value = "" if self.value is None else f", value {self.value:g}"
        return f"{100 * self.ratio:g} % {self.kind} {places}{value}"

    def draw(self, geometry: SpikingGeometry, rng: np.random.Generator) -> NeuronFaults:
        """Draw the faults of a chip.

        Raises
        ------
        InputError : a scope without places for the kind.
        """
        check_draw(self, geometry, SpikingGeometry, rng)
        universe = FaultUniverse(geometry=geometry, scope=self.scope)
        return universe.sample(NeuronFaultKind[self.kind], self.ratio, rng, value=self.value)


def _check_each_once(where: str, values: tuple) -> None:
    if not values or len(set(values)) < len(values):
        raise InputError(where, "at least one, each once", ", ".join(map(str, values)) or "none")
