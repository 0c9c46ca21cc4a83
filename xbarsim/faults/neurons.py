"""Faults of spiking networks: what can be wrong with a neuron or a synapse, and where.

| kind | place | `value` | neuron | input |
|---|---|---|---|---|
| `hsf` hard to spike | neuron | factor | gain divided by it | spike probability divided by it |
| `esf` easy to spike | neuron | factor | gain times it | spike probability times it, at most 1 |
| `nasf` always spikes | neuron | | gain 0, offset 10 thresholds, no leak | spikes at every step |
| `dead` | neuron | | gain 0, offset 0, no leak | never spikes |
| `threshold` | neuron | factor | threshold times it | |
| `leak` | neuron | | leak is `value` | |
| `stuck_output` | neuron | 0 or 1 | as `dead` or `nasf` | as `dead` or `nasf` |
| `swf` stuck weight | synapse | | the weight is `value` | |
| `sasf` always spikes | synapse | | the synapse delivers its weight at every step | |

`layer` counts layers of neurons, 0 are the inputs; a synapse is named by its source and leads into the next
layer. A fault holds for steps `first` <= t < `last`; `last` is `ALWAYS` for a permanent one.

Source: the spiking paper's neuron and synapse faults (see "Sources" in docs/architecture.md), with the gains
and offsets that it leaves unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.arrays import as_array
from xbarsim.errors import (
    InputError,
    check_choice,
    check_int,
    check_number,
    check_rate,
    check_type,
    is_number,
)
from xbarsim.faults.csv_files import read_csv, write_csv
from xbarsim.faults.table import FaultTable, check_columns, kind_codes, rows_of, spread
from xbarsim.hints import check_fields, checked

ALWAYS = 2**31 - 1
NO_TARGET = -1
ALWAYS_SPIKES = 10.0  # thresholds of offset


class NeuronFaultKind(IntEnum):
    """What is wrong; the table at the head of the module says what it does."""

    hsf = 0
    esf = 1
    nasf = 2
    dead = 3
    threshold = 4
    leak = 5
    stuck_output = 6
    swf = 7
    sasf = 8

    @property
    def of_synapses(self) -> bool:
        """Whether the place is a synapse."""
        return NEURON_KINDS[self].of_synapses

    @property
    def of_inputs(self) -> bool:
        """Whether an input can have it."""
        return NEURON_KINDS[self].of_inputs

    @property
    def stuck(self) -> bool:
        """Whether a neuron spikes at every step or at none."""
        return NEURON_KINDS[self].stuck


@dataclass(frozen=True, kw_only=True)
class NeuronKind:
    """What a kind of fault is like.

    Attributes
    ----------
    value : if none is given; 0 where it means nothing
    low, high : between which values are; only the ends where `whole`
    of_synapses, of_inputs, stuck : as in `NeuronFaultKind`
    """

    value: float
    low: float = -1e6
    high: float = 1e6
    whole: bool = False
    of_synapses: bool = False
    of_inputs: bool = True
    stuck: bool = False


NEURON_KINDS: Mapping[NeuronFaultKind, NeuronKind] = MappingProxyType(
    {
        NeuronFaultKind.hsf: NeuronKind(value=10.0, low=1e-6),
        NeuronFaultKind.esf: NeuronKind(value=10.0, low=1e-6),
        NeuronFaultKind.nasf: NeuronKind(value=0.0, stuck=True),
        NeuronFaultKind.dead: NeuronKind(value=0.0, stuck=True),
        NeuronFaultKind.threshold: NeuronKind(value=2.0, low=1e-6, of_inputs=False),
        NeuronFaultKind.leak: NeuronKind(value=0.0, low=0, high=1, of_inputs=False),
        NeuronFaultKind.stuck_output: NeuronKind(value=1.0, low=0, high=1, whole=True, stuck=True),
        NeuronFaultKind.swf: NeuronKind(value=1.0, of_synapses=True),
        NeuronFaultKind.sasf: NeuronKind(value=0.0, of_synapses=True),
    }
)
COLUMNS = np.dtype(
    [
        ("kind", np.int64),
        ("layer", np.int64),
        ("neuron", np.int64),
        ("target", np.int64),
        ("value", np.float64),
        ("first", np.int64),
        ("last", np.int64),
    ]
)
NAMES = COLUMNS.names or ()
SCOPES = ("input", "hidden", "output", "synapses")


@dataclass(frozen=True, kw_only=True)
class SpikingGeometry:
    """A chain of fully connected layers of leaky integrate-and-fire neurons.

    Parameters
    ----------
    sizes : inputs, neurons of every layer; the last one's are the classes
    steps : how long an image is shown
    leak : share of the potential that is left after a step
    threshold : potential above which a neuron spikes

    Raises
    ------
    InputError : a size, a leak or a threshold out of range.
    """

    sizes: tuple[int, ...] = (784, 128, 10)
    steps: int = 10
    leak: float = 0.2
    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.sizes) < 2:
            raise InputError("SpikingGeometry.sizes", "inputs and at least one layer", str(self.sizes))
        for size in self.sizes:
            check_int("SpikingGeometry.sizes", size, 1, 2**20)
        check_int("SpikingGeometry.steps", self.steps, 1, 2**15)
        check_number("SpikingGeometry.leak", self.leak, 0, 1)
        check_number("SpikingGeometry.threshold", self.threshold, 1e-9, 1e9)

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}, {self.steps} steps"


@dataclass(frozen=True, kw_only=True)
class NeuronFault:
    """One fault; the table at the head of the module says what its places mean."""

    kind: NeuronFaultKind
    layer: int
    neuron: int
    target: int = NO_TARGET
    value: float | None = None
    first: int = 0
    last: int = ALWAYS

    def __post_init__(self) -> None:
        check_fields(self)
        if self.value is None:
            object.__setattr__(self, "value", NEURON_KINDS[self.kind].value)
        check_value(self.kind, self.value)
        for name, low in (("layer", 0), ("neuron", 0), ("target", NO_TARGET)):
            check_int(f"NeuronFault.{name}", getattr(self, name), low, ALWAYS)
        check_int("NeuronFault.first", self.first, 0, ALWAYS)
        check_int("NeuronFault.last", self.last, self.first + 1, ALWAYS)

    @property
    def permanent(self) -> bool:
        """Whether it holds for all steps."""
        return self.first == 0 and self.last == ALWAYS

    def __str__(self) -> str:
        place = f"{self.neuron} of layer {self.layer}"
        place = f"synapse from {place} to {self.target}" if self.kind.of_synapses else f"neuron {place}"
        value = f" {self.value:g}" if NEURON_KINDS[self.kind].value else ""
        when = "" if self.permanent else f", steps {self.first} to {self.last - 1}"
        return f"{self.kind.name}{value} at {place}{when}"


def check_value(kind: NeuronFaultKind, value: object) -> float:
    """A value that a fault of this kind can have."""
    where, own = f"value of {kind.name}", NEURON_KINDS[kind]
    if own.whole and (not is_number(value) or value not in (own.low, own.high)):
        raise InputError(where, f"{own.low:g} or {own.high:g}", repr(value)[:60])
    return float(value) if own.whole else check_number(where, value, own.low, own.high)  # type: ignore[arg-type]


@final
@dataclass(frozen=True, eq=False)
class NeuronFaults(FaultTable[NeuronFault]):
    """Many faults, as the columns of a table; on one chip, or each alone on one of its own.

    Parameters
    ----------
    table : (faults,) of `COLUMNS`
    """

    KINDS: ClassVar[type[NeuronFaultKind]] = NeuronFaultKind

    table: NDArray[np.void]

    def __post_init__(self) -> None:
        check_type("NeuronFaults.table", self.table, np.ndarray, "build it with NeuronFaults.of")
        if self.table.ndim != 1 or self.table.dtype != COLUMNS:
            raise InputError("NeuronFaults.table", f"(faults,) of {NAMES}", str(self.table.dtype))

    @classmethod
    def of(cls, faults: Iterable[NeuronFault] = (), **columns: ArrayLike) -> NeuronFaults:
        """Build a list from faults, or from columns that are named like the fields of `NeuronFault`.

        Single numbers spread over the other columns; `kind` takes names or codes.

        >>> len(NeuronFaults.of(kind="hsf", layer=1, neuron=[0, 1, 2]))
        3
        """
        given_rows = rows_of("NeuronFaults.faults", faults, NeuronFault)
        rows = [tuple(getattr(fault, name) for name in NAMES) for fault in given_rows]
        if rows or not columns:
            check_columns("NeuronFaults", columns, (), ())
            return cls(np.array(rows, COLUMNS))
        check_columns("NeuronFaults", columns, ("kind", "layer", "neuron"), NAMES)
        columns = {"target": NO_TARGET, "first": 0, "last": ALWAYS, **columns}
        given = {
            name: np.atleast_1d(as_array(f"NeuronFaults.{name}", columns[name]))
            for name in NAMES
            if name in columns
        }
        for name, column in given.items():
            if column.ndim != 1:
                raise InputError(f"NeuronFaults.{name}", "a column", f"shape {column.shape}")
        given["kind"] = kind_codes("NeuronFaults.kind", NeuronFaultKind, columns["kind"])
        found = spread("NeuronFaults", given)
        lines = zip(*(column.tolist() for column in found.values()), strict=True)
        named = (dict(zip(found, line, strict=True)) for line in lines)
        return cls.of(NeuronFault(**{**row, "kind": NeuronFaultKind(row["kind"])}) for row in named)

    def columns(self) -> dict[str, NDArray]:
        """Return the fields of `NeuronFault`, (faults,) each."""
        return {name: self.table[name] for name in NAMES}

    @checked
    def during(self, first: int, last: int) -> NeuronFaults:
        """The same faults for steps first <= t < last only."""
        check_int("first step", first, 0, ALWAYS)
        check_int("last step", last, first + 1, ALWAYS)
        table = self.table.copy()
        table["first"], table["last"] = first, last
        return NeuronFaults(table)

    @checked
    def check(self, geometry: SpikingGeometry) -> None:
        """Refuse faults that a network has no place for."""
        self._check_kinds()
        table = self.table
        synapses = of_synapses(table["kind"])
        layers = len(geometry.sizes) - synapses
        sizes = np.array((*geometry.sizes, 0))
        inside = (table["layer"] >= 0) & (table["layer"] < layers)
        layer = np.where(inside, table["layer"], 0)
        inside &= (table["neuron"] >= 0) & (table["neuron"] < sizes[layer])
        targets = (table["target"] >= 0) & (table["target"] < sizes[layer + 1])
        inside &= np.where(synapses, targets, table["target"] == NO_TARGET)
        no_input = [kind for kind in NeuronFaultKind if not kind.of_inputs]
        of_input = (table["layer"] == 0) & np.isin(table["kind"], no_input)
        for bad, expected in (
            (~inside, f"a place in {geometry}"),
            (of_input, "a neuron: an input has neither threshold nor leak"),
        ):
            if bad.any():
                raise InputError("fault", expected, str(self[int(bad.argmax())]))

    def save(self, path: str | Path) -> Path:
        """Write a CSV file with a row a fault."""
        return write_csv(path, self.named_columns())

    @classmethod
    def load(cls, path: str | Path) -> NeuronFaults:
        """Read what `save` wrote; `check` says whether a network has the places.

        Raises
        ------
        InputError : no such file, other columns, unknown kinds, values out of range.
        """
        return cls.of(read_csv(path, NAMES, _parse))

    @property
    def _parts(self) -> tuple[NDArray, ...]:
        return (self.table,)

    @property
    def _codes(self) -> NDArray:
        return self.table["kind"]

    def _with(self, *parts: NDArray) -> NeuronFaults:
        return NeuronFaults(*parts)

    def _fault(self, *fields: Any) -> NeuronFault:
        kind, *rest = fields
        return NeuronFault(kind=NeuronFaultKind(kind), **dict(zip(NAMES[1:], rest, strict=True)))

    def _places(self, chosen: Any) -> Any:
        return chosen

    def _remaining(self, parts: Sequence[NDArray], older: int) -> slice:
        return slice(None)

    def _check_alike(self, other: NeuronFaults) -> None:
        """Faults name their places by numbers alone: any two lists fit."""


def of_synapses(kind: NDArray) -> NDArray[np.bool_]:
    """Return where kinds (n,) are those of synapses: a mask (n,)."""
    return np.isin(kind, [k for k in NeuronFaultKind if k.of_synapses])


def _parse(where: str, line: list[str]) -> NeuronFault:
    try:
        row: dict[str, Any] = dict(zip(NAMES, line, strict=True))
        kind = NeuronFaultKind[check_choice("kind", row.pop("kind"), [k.name for k in NeuronFaultKind])]
        value = float(row.pop("value"))
        return NeuronFault(kind=kind, value=value, **{name: _whole(word) for name, word in row.items()})
    except ValueError as error:
        raise InputError(where, "a fault", f"'{error}'") from error


def _whole(word: str) -> int:
    """A whole number, which other programs write as 3 or as 3.0."""
    try:
        return int(word)
    except ValueError:
        number = float(word)
        if not number.is_integer():
            raise InputError("number", "a whole one", word) from None
        return int(number)


@dataclass(frozen=True, kw_only=True)
class FaultUniverse:
    """All places where a fault may be.

    Parameters
    ----------
    geometry : the network
    scope : which of 'input', 'hidden', 'output' and 'synapses'; by default what the spiking paper's figures
        agree with: with the output layer, accuracy collapses

    Raises
    ------
    InputError : an unknown or an empty scope.

    >>> print(FaultUniverse(geometry=SpikingGeometry()))
    784 input + 128 hidden = 912 neurons of 784-128-10, 10 steps (10 output neurons left out)
    """

    geometry: SpikingGeometry
    scope: tuple[str, ...] = ("input", "hidden")

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.scope:
            raise InputError("scope", "at least one of " + ", ".join(SCOPES), "none")
        for part in self.scope:
            check_choice("scope", part, SCOPES)

    @property
    def neurons(self) -> dict[str, int]:
        """Neurons of every part of the scope."""
        sizes = self.geometry.sizes
        known = {"input": sizes[0], "hidden": sum(sizes[1:-1]), "output": sizes[-1]}
        return {part: count for part, count in known.items() if part in self.scope}

    @property
    def synapses(self) -> int:
        """Synapses in the scope."""
        if "synapses" not in self.scope:
            return 0
        return sum(k * m for k, m in pairwise(self.geometry.sizes))

    def __str__(self) -> str:
        sizes, parts = self.geometry.sizes, self.neurons
        words = " + ".join(f"{count:,} {part}" for part, count in parts.items())
        if len(parts) > 1:
            words += f" = {sum(parts.values()):,}"
        words += " neurons" if parts else ""
        if self.synapses:
            words += f"{' and ' if parts else ''}{self.synapses:,} synapses"
        left = "" if "output" in parts or not parts else f" ({sizes[-1]} output neurons left out)"
        return f"{words} of {self.geometry}{left}"

    @checked
    def size(self, kind: NeuronFaultKind) -> int:
        """Places of a kind of fault."""
        if kind.of_synapses:
            return self.synapses
        return sum(n for part, n in self.neurons.items() if kind.of_inputs or part != "input")

    @checked
    def enumerate(
        self, kind: NeuronFaultKind, *, value: float | None = None, first: int = 0, last: int = ALWAYS
    ) -> NeuronFaults:
        """One fault of this kind at every place, by layer, neuron and target."""
        return self._at(kind, np.arange(self.size(kind)), value, first, last)

    @checked
    def count(self, kind: NeuronFaultKind, ratio: float) -> int:
        """How many places a fault ratio means: the share, rounded down."""
        return int(self.size(kind) * check_rate("fault ratio", ratio) + 1e-9)

    @checked
    def sample(
        self,
        kind: NeuronFaultKind,
        ratio: float,
        rng: np.random.Generator,
        *,
        value: float | None = None,
        first: int = 0,
        last: int = ALWAYS,
    ) -> NeuronFaults:
        """Faults at a share of the places, every set of them as likely.

        >>> universe = FaultUniverse(geometry=SpikingGeometry())
        >>> len(universe.sample(NeuronFaultKind.hsf, 0.2, np.random.default_rng(0)))
        182
        """
        count = self.count(kind, ratio)
        places = np.sort(rng.choice(self.size(kind), count, replace=False, shuffle=False))
        return self._at(kind, places, value, first, last)

    def _at(
        self, kind: NeuronFaultKind, places: NDArray, value: float | None, first: int, last: int
    ) -> NeuronFaults:
        if not self.size(kind):
            raise InputError(f"scope of {kind.name}", "places for it", ", ".join(self.scope))
        check_int("first step", first, 0, ALWAYS)
        check_int("last step", last, first + 1, ALWAYS)
        table = np.zeros(len(places), COLUMNS)
        table["kind"], table["first"], table["last"] = kind, first, last
        table["value"] = check_value(kind, NEURON_KINDS[kind].value if value is None else value)
        sizes = self.geometry.sizes
        if kind.of_synapses:
            ends = np.cumsum([k * m for k, m in pairwise(sizes)])
            layer = np.searchsorted(ends, places, side="right")
            within = places - np.concatenate([[0], ends])[layer]
            table["layer"] = layer
            table["neuron"], table["target"] = np.divmod(within, np.array(sizes)[layer + 1])
            return NeuronFaults(table)
        layers = self._layers(kind)
        ends = np.cumsum([sizes[layer] for layer in layers])
        part = np.searchsorted(ends, places, side="right")
        table["layer"] = np.array(layers)[part]
        table["neuron"] = places - np.concatenate([[0], ends])[part]
        table["target"] = NO_TARGET
        return NeuronFaults(table)

    def _layers(self, kind: NeuronFaultKind) -> list[int]:
        last = len(self.geometry.sizes) - 1
        names = ["input", *["hidden"] * (last - 1), "output"]
        return [i for i, name in enumerate(names) if name in self.scope and (kind.of_inputs or i > 0)]
