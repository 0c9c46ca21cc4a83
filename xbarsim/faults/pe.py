"""Faults of processing elements: what can be wrong in an array of matrix-vector-threshold units.

| kind | unit | word | bit | value |
|---|---|---|---|---|
| `channel` | output channel | | | activation that it is stuck at |
| `pe` | PE | | | activation that all its channels are stuck at |
| `lane` | PE | SIMD lane | | product that the lane is stuck at |
| `weight` | PE | address in its weight memory | bit | 0 or 1 |
| `threshold` | PE | address in its threshold memory | bit | 0 or 1 |
| `accumulator` | PE | | bit of the sum that the thresholds see | 0 or 1 |
| `pixel` | pixel of the output stream, y * width + x | | | activation of all its channels |

`image` is -1 for a permanent fault, else the only image of a run that a transient fault strikes, for one call
of one layer. `layer` is -1 for a `pe`, `lane` or `accumulator` of an array that all layers share (loopback).

Source: FAT (Zahid et al.), section II: faulty PEs as stuck channels, faulty FIFOs as stuck pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.arrays import INTEGERS, check_array
from xbarsim.errors import InputError, check_int, check_type
from xbarsim.faults.csv_files import read_csv, shown, write_csv
from xbarsim.faults.table import FaultTable, IntArray, check_columns, integers, kind_codes, rows_of, spread
from xbarsim.hints import check_fields, checked


class PeFaultKind(IntEnum):
    """Where in a unit the fault sits."""

    channel = 0
    pe = 1
    lane = 2
    weight = 3
    threshold = 4
    accumulator = 5
    pixel = 6


SHARED = (PeFaultKind.pe, PeFaultKind.lane, PeFaultKind.accumulator)
NONE = -1
SHARED_LAYER = -1
MOST_NUMBER = 2**31 - 1  # of places and values
MOST_LISTED = 2**25  # some gigabytes


@dataclass(frozen=True, kw_only=True)
class PeFault:
    """One fault; the table at the head of the module says what its places mean."""

    kind: PeFaultKind
    layer: int
    unit: int
    word: int = NONE
    bit: int = NONE
    value: int
    image: int = NONE

    @property
    def permanent(self) -> bool:
        """False for a fault that strikes one image."""
        return self.image == NONE

    def __str__(self) -> str:
        parts = [f"{f.name} {getattr(self, f.name)}" for f in fields(self)[2:6] if self._says(f.name)]
        where = "all layers" if self.layer == SHARED_LAYER else f"layer {self.layer}"
        when = "" if self.permanent else f", image {self.image}"
        return f"{self.kind.name} in {where}, {', '.join(parts)}{when}"

    def _says(self, name: str) -> bool:
        return name in ("unit", "value") or getattr(self, name) != NONE


NAMES = tuple(f.name for f in fields(PeFault))


@dataclass(frozen=True, kw_only=True)
class UnitGeometry:
    """What a layer offers to faults.

    Parameters
    ----------
    rows, columns : MH and MW
    pe, simd : how many of each
    weight_bits, threshold_bits, accumulator_bits : widths
    thresholds : of a row
    values : activations of the output stream; none in a layer that hands out accumulators
    products : what a lane can be stuck at
    pixels : of the output stream; 0 where there is no stream behind it
    """

    rows: int
    columns: int
    pe: int
    simd: int
    weight_bits: int
    threshold_bits: int
    accumulator_bits: int
    thresholds: int
    values: tuple[int, ...]
    products: tuple[int, ...]
    pixels: int

    def __post_init__(self) -> None:
        check_fields(self)

    def places(self, kind: PeFaultKind) -> tuple[int, int, int, tuple[int, ...]]:
        """Units, words of a unit, bits of a word, and values that a fault of this kind can have.

        Words and bits are 0 where the kind has none.
        """
        folds = -(-self.rows // self.pe)
        memory = folds * -(-self.columns // self.simd)
        return {
            PeFaultKind.channel: (self.rows if self.values else 0, 0, 0, self.values),
            PeFaultKind.pe: (self.pe if self.values else 0, 0, 0, self.values),
            PeFaultKind.lane: (self.pe, self.simd, 0, self.products),
            PeFaultKind.weight: (self.pe, memory, self.simd * self.weight_bits, (0, 1)),
            PeFaultKind.threshold: (
                self.pe if self.thresholds else 0,
                folds * self.thresholds,
                self.threshold_bits,
                (0, 1),
            ),
            PeFaultKind.accumulator: (self.pe, 0, self.accumulator_bits, (0, 1)),
            PeFaultKind.pixel: (self.pixels, 0, 0, self.values),
        }[kind]


@dataclass(frozen=True)
class FinnGeometry:
    """What a FINN accelerator offers to faults.

    Parameters
    ----------
    layers : of every layer
    shared : of the array that all layers share, for faults that hit them all; None where a PE serves one
        layer
    """

    layers: tuple[UnitGeometry, ...]
    shared: UnitGeometry | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @checked
    def fault_list(self, kinds: Iterable[PeFaultKind], layers: Iterable[int] | None = None) -> PeFaults:
        """List every single permanent fault of some kinds, in some layers or in all.

        In a loopback accelerator the faults of PEs, lanes and accumulators are those of the shared array.
        """
        return join([enumerate_faults(*place) for place in self.offers(kinds, layers)])

    @checked
    def count_faults(self, kind: PeFaultKind) -> int:
        """Return how many single faults of a kind there are, without listing them."""
        return sum(count_faults(unit, kind) for _, unit, kind in self.offers([kind]))

    def offers(
        self, kinds: Iterable[PeFaultKind], layers: Iterable[int] | None = None
    ) -> Iterator[tuple[int, UnitGeometry, PeFaultKind]]:
        """Yield (layer, what it offers, kind) in the order of `fault_list`."""
        chosen = range(len(self.layers)) if layers is None else list(layers)
        for kind in kinds:
            if self.shared is not None and kind in SHARED:
                yield SHARED_LAYER, self.shared, kind
                continue
            for layer in chosen:
                check_int("layer", layer, 0, len(self.layers) - 1)
                yield layer, self.layers[layer], kind

    def __str__(self) -> str:
        return f"{len(self.layers)}-layer FINN design"


@final
@dataclass(frozen=True, eq=False)
class PeFaults(FaultTable[PeFault]):
    """Many single faults, as columns; each is injected alone.

    Parameters
    ----------
    table : (faults, 7) int64, the fields of `PeFault` in order
    """

    KINDS: ClassVar[type[PeFaultKind]] = PeFaultKind

    table: IntArray

    def __post_init__(self) -> None:
        width = len(NAMES)
        check_type("PeFaults.table", self.table, np.ndarray, "build it with PeFaults.of")
        if self.table.ndim != 2 or self.table.shape[1] != width or self.table.dtype != np.int64:
            raise InputError("PeFaults.table", f"(faults, {width}) int64", str(self.table.shape))

    @classmethod
    def of(cls, faults: Iterable[PeFault] = (), **columns: ArrayLike) -> PeFaults:
        """Build a list from faults, or from columns that are named like the fields of `PeFault`.

        Single numbers spread over the other columns; `kind` takes names or codes.

        >>> len(PeFaults.of(kind="pe", layer=0, unit=[0, 1, 2], value=1))
        3
        """
        rows = rows_of("PeFaults.faults", faults, PeFault)
        if rows or not columns:
            check_columns("PeFaults", columns, (), ())
            columns = {name: [getattr(fault, name) for fault in rows] for name in NAMES}
        check_columns("PeFaults", columns, ("kind", "layer", "unit", "value"), NAMES)
        kind = kind_codes("PeFaults.kind", PeFaultKind, columns["kind"])
        rest = {n: integers(f"PeFaults.{n}", columns.get(n, NONE)) for n in NAMES[1:]}
        for name, column in rest.items():
            if (np.abs(column) > MOST_NUMBER).any():
                got = f"{column.min()}..{column.max()}"
                raise InputError(f"PeFaults.{name}", f"integers in {-MOST_NUMBER}..{MOST_NUMBER}", got)
        spread_out = spread("PeFaults", {"kind": kind, **rest})
        return cls(np.stack([spread_out[name] for name in NAMES], axis=1))

    def columns(self) -> dict[str, NDArray]:
        """Return the fields of `PeFault`, (faults,) each."""
        return {name: self.table[:, i] for i, name in enumerate(NAMES)}

    @checked
    def where(self, **wanted: int | Sequence[int]) -> PeFaults:
        """The faults whose fields have these values, say `kind=PeFaultKind.pe, layer=[0, 1]`."""
        mask = np.ones(len(self), bool)
        for name, values in wanted.items():
            mask &= np.isin(self.column(name), integers(f"PeFaults.{name}", values))
        return self.take(mask)

    def sample(self, count: int, rng: np.random.Generator) -> PeFaults:
        """So many different faults, every one as likely, in the order of the list."""
        check_int("sample of faults", count, 1, len(self))
        check_type("rng", rng, np.random.Generator)
        return self.take(np.sort(rng.choice(len(self), count, replace=False)))

    def struck(self, images: IntArray, layers: IntArray | None = None) -> PeFaults:
        """The same places, each struck during one image only, in one call of one layer.

        Parameters
        ----------
        images : (faults,)
        layers : (faults,) whose call is struck, for faults of a shared array; all its layers' if not given
        """
        table, count = self.table.copy(), (len(self),)
        if layers is not None:
            calls = check_array("layers", layers, count, kinds=INTEGERS, low=SHARED_LAYER)
            table[:, 1] = np.where(table[:, 1] == SHARED_LAYER, calls, table[:, 1])
        table[:, -1] = check_array("images", images, count, kinds=INTEGERS, low=NONE)
        return PeFaults(table)

    @checked
    def check(self, geometry: FinnGeometry) -> None:
        """Refuse a fault outside a design; see `check_faults`."""
        check_faults(self, geometry)

    def save(self, path: str | Path) -> Path:
        """Write a CSV file, a fault a line; an earlier file survives a failure."""
        return write_csv(path, self.named_columns())

    @classmethod
    def load(cls, path: str | Path) -> PeFaults:
        """Read a CSV file that `save` wrote; refuses what is not one, by its line."""
        return cls(np.array(read_csv(path, NAMES, _parse), np.int64).reshape(-1, len(NAMES)))

    @property
    def _parts(self) -> tuple[NDArray, ...]:
        return (self.table,)

    @property
    def _codes(self) -> NDArray:
        return self.table[:, 0]

    def _with(self, *parts: NDArray) -> PeFaults:
        return PeFaults(*parts)

    def _fault(self, *fields: int) -> PeFault:
        kind, *rest = fields
        return PeFault(kind=PeFaultKind(kind), **dict(zip(NAMES[1:], rest, strict=True)))

    def _places(self, chosen: Any) -> Any:
        return chosen

    def _remaining(self, parts: Sequence[NDArray], older: int) -> slice:
        return slice(None)

    def _check_alike(self, other: PeFaults) -> None:
        """Faults name their places by numbers alone: any two lists fit."""


def _parse(where: str, line: list[str]) -> list[int]:
    try:
        found = [int(PeFaultKind[line[0]]), *map(int, line[1:])]
    except (KeyError, ValueError):
        found = []
    if len(found) != len(NAMES) or any(abs(v) >= 2**31 for v in found):
        expected = "a kind of " + ", ".join(k.name for k in PeFaultKind) + ", then six integers"
        raise InputError(where, expected, shown(line))
    return found


def enumerate_faults(layer: int, geometry: UnitGeometry, kind: PeFaultKind) -> PeFaults:
    """Every permanent fault of one kind in one layer, in the order unit, word, bit, value."""
    count = count_faults(geometry, kind)
    if count > MOST_LISTED:
        where = f"list of {kind.name} faults in a layer"
        raise InputError(
            where, f"at most {MOST_LISTED:,}", f"{count:,}", "choose a smaller array or other kinds"
        )
    return faults_at(layer, geometry, kind, np.arange(count))


def faults_at(layer: int, geometry: UnitGeometry, kind: PeFaultKind, numbers: IntArray) -> PeFaults:
    """Permanent faults of one kind in one layer by their numbers (n,) in the order unit, word, bit, value."""
    units, words, bits, values = geometry.places(kind)
    unit, word, bit, value = np.unravel_index(numbers, (units, max(words, 1), max(bits, 1), len(values)))
    table = np.full((len(numbers), len(NAMES)), NONE, np.int64)
    table[:, 0], table[:, 1], table[:, 2] = kind, layer, unit
    if words:
        table[:, 3] = word
    if bits:
        table[:, 4] = bit
    table[:, 5] = np.array(values, np.int64)[value]
    return PeFaults(table)


def count_faults(geometry: UnitGeometry, kind: PeFaultKind) -> int:
    """How many faults `enumerate_faults` would list."""
    units, words, bits, values = geometry.places(kind)
    return units * max(words, 1) * max(bits, 1) * len(values)


def join(lists: Sequence[PeFaults]) -> PeFaults:
    """One list after the other."""
    return PeFaults(np.concatenate([PeFaults.of().table, *(faults.table for faults in lists)]))


def check_faults(faults: PeFaults, geometry: FinnGeometry) -> None:
    """Refuse a fault outside a design: the first one, by its words."""
    faults._check_kinds()
    layers = faults.column("layer")
    for layer in np.unique(layers):
        known = geometry.shared if layer == SHARED_LAYER else _layer(geometry.layers, int(layer))
        if known is None:
            raise InputError(
                "fault", f"a layer in 0..{len(geometry.layers) - 1}", int(layer), "see the design"
            )
        for kind in PeFaultKind:
            here = faults.take((layers == layer) & (faults.column("kind") == kind))
            if len(here):
                _check_places(here, known.places(kind), kind, layer == SHARED_LAYER)
    early = faults.take(faults.column("image") < NONE)
    if len(early):
        expected = "image -1 (permanent) or the number of an image"
        raise InputError(f"fault: {early[0]}", expected, early[0].image)


def _layer(geometries: Sequence[UnitGeometry], layer: int) -> UnitGeometry | None:
    return geometries[layer] if 0 <= layer < len(geometries) else None


def _check_places(
    faults: PeFaults, places: tuple[int, int, int, tuple[int, ...]], kind: PeFaultKind, shared: bool
) -> None:
    units, words, bits, values = places
    if shared and kind not in SHARED:
        raise InputError(f"fault: {faults[0]}", "the number of a layer", SHARED_LAYER)
    for name, size in (("unit", units), ("word", words), ("bit", bits)):
        found = faults.column(name)
        off = (found != NONE) if size == 0 and name != "unit" else (found < 0) | (found >= size)
        if off.any():
            expected = f"{name} in 0..{size - 1}" if size else f"no {name}, for this kind and layer"
            raise InputError(f"fault: {faults.take(off)[0]}", expected, int(found[off][0]))
    off = ~np.isin(faults.column("value"), values)
    if off.any():
        fault = faults.take(off)[0]
        expected = "value " + " or ".join(map(str, values)) if values else "a layer with activations"
        raise InputError(f"fault: {fault}", expected, fault.value)
