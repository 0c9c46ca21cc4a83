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

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_int
from xbarsim.files import write_atomically

IntArray = NDArray[np.int64]


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
    layers : in order
    shared : the array that all layers share; None where every layer has PEs of its own
    """

    layers: tuple[UnitGeometry, ...]
    shared: UnitGeometry | None = None


@dataclass(frozen=True, eq=False)
class PeFaultList:
    """Many single faults, as columns; each is injected alone.

    Parameters
    ----------
    table : (faults, 7) int64, the fields of `PeFault` in order
    """

    table: IntArray

    def __post_init__(self) -> None:
        width = len(fields(PeFault))
        if self.table.ndim != 2 or self.table.shape[1] != width or self.table.dtype != np.int64:
            raise InputError("PeFaultList.table", f"(faults, {width}) int64", str(self.table.shape))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, place: int) -> PeFault:
        kind, *rest = (int(v) for v in self.table[place])
        names = [f.name for f in fields(PeFault)][1:]
        return PeFault(kind=PeFaultKind(kind), **dict(zip(names, rest, strict=True)))

    def __iter__(self) -> Iterator[PeFault]:
        return (self[place] for place in range(len(self)))

    def column(self, name: str) -> IntArray:
        """(faults,): one field of every fault."""
        return self.table[:, [f.name for f in fields(PeFault)].index(name)]

    @classmethod
    def of(cls, faults: Sequence[PeFault]) -> PeFaultList:
        """A list of given faults."""
        return cls(np.array([astuple(f) for f in faults], np.int64).reshape(-1, len(fields(PeFault))))

    def take(self, chosen: NDArray) -> PeFaultList:
        """The faults at these places, or where a mask holds."""
        return PeFaultList(self.table[chosen])

    def where(self, **wanted: int | Sequence[int]) -> PeFaultList:
        """The faults whose fields have these values, say `kind=PeFaultKind.pe, layer=[0, 1]`."""
        mask = np.ones(len(self), bool)
        for name, values in wanted.items():
            mask &= np.isin(self.column(name), values)
        return self.take(mask)

    def sample(self, count: int, rng: np.random.Generator) -> PeFaultList:
        """So many different faults, every one as likely, in the order of the list."""
        check_int("sample of faults", count, 1, len(self))
        return self.take(np.sort(rng.choice(len(self), count, replace=False)))

    def struck(self, images: IntArray, layers: IntArray | None = None) -> PeFaultList:
        """The same places, each struck during one image only, in one call of one layer.

        Parameters
        ----------
        images : (faults,)
        layers : (faults,) whose call is struck, for faults of a shared array; all its layers' if not given
        """
        table = self.table.copy()
        if layers is not None:
            table[:, 1] = np.where(table[:, 1] == SHARED_LAYER, layers, table[:, 1])
        table[:, -1] = images
        return PeFaultList(table)

    def merge(self, other: PeFaultList) -> PeFaultList:
        """Return both lists' faults, the other's last."""
        return join([self, other])

    def counts(self) -> dict[str, int]:
        """Faults of each kind."""
        found = np.bincount(self.column("kind"), minlength=len(PeFaultKind))
        return {kind.name: int(found[kind]) for kind in PeFaultKind if found[kind]}

    def save(self, path: str | Path) -> Path:
        """Write a CSV file, a fault a line; an earlier file survives a failure."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([f.name for f in fields(PeFault)])
        for kind, *rest in self.table.tolist():
            writer.writerow([PeFaultKind(kind).name, *rest])
        return write_atomically(path, lambda temporary: temporary.write_text(text.getvalue()))

    @classmethod
    def load(cls, path: str | Path) -> PeFaultList:
        """Read a CSV file that `save` wrote; refuses what is not one, by its line."""
        try:
            lines = list(csv.reader(io.StringIO(Path(path).read_text(encoding="utf-8-sig"))))
        except (OSError, ValueError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"fault list {path}", "a CSV file that can be read", reason) from error
        names = [f.name for f in fields(PeFault)]
        if not lines or lines[0] != names:
            got = "nothing" if not lines else _shown(lines[0])
            raise InputError(f"fault list {path}", "the columns " + ",".join(names), got)
        rows = [_parse(path, number, line) for number, line in enumerate(lines[1:], 2) if line]
        return cls(np.array(rows, np.int64).reshape(-1, len(names)))


def _parse(path: str | Path, number: int, line: list[str]) -> list[int]:
    try:
        found = [int(PeFaultKind[line[0]]), *map(int, line[1:])]
    except (KeyError, ValueError):
        found = []
    if len(found) != len(fields(PeFault)) or any(abs(v) >= 2**31 for v in found):
        expected = "a kind of " + ", ".join(k.name for k in PeFaultKind) + ", then six integers"
        raise InputError(f"fault list {path}, line {number}", expected, _shown(line))
    return found


def _shown(line: list[str]) -> str:
    """A line for a message: short, and without characters that steer a terminal."""
    return repr(",".join(line))[1:-1][:80]


def enumerate_faults(layer: int, geometry: UnitGeometry, kind: PeFaultKind) -> PeFaultList:
    """Every permanent fault of one kind in one layer, in the order unit, word, bit, value."""
    count = count_faults(geometry, kind)
    if count > MOST_LISTED:
        where = f"list of {kind.name} faults in a layer"
        raise InputError(
            where, f"at most {MOST_LISTED:,}", f"{count:,}", "choose a smaller array or other kinds"
        )
    units, words, bits, values = geometry.places(kind)
    grid = np.indices((units, max(words, 1), max(bits, 1), len(values))).reshape(4, -1)
    table = np.full((grid.shape[1], len(fields(PeFault))), NONE, np.int64)
    table[:, 0], table[:, 1], table[:, 2] = kind, layer, grid[0]
    if words:
        table[:, 3] = grid[1]
    if bits:
        table[:, 4] = grid[2]
    table[:, 5] = np.array(values, np.int64)[grid[3]] if values else 0
    return PeFaultList(table)


def count_faults(geometry: UnitGeometry, kind: PeFaultKind) -> int:
    """How many faults `enumerate_faults` would list."""
    units, words, bits, values = geometry.places(kind)
    return units * max(words, 1) * max(bits, 1) * len(values)


def join(lists: Sequence[PeFaultList]) -> PeFaultList:
    """One list after the other."""
    empty = np.empty((0, len(fields(PeFault))), np.int64)
    return PeFaultList(np.concatenate([empty, *(faults.table for faults in lists)]))


def check_faults(
    faults: PeFaultList, geometries: Sequence[UnitGeometry], shared: UnitGeometry | None
) -> None:
    """Refuse a fault outside a design: the first one, by its words.

    Parameters
    ----------
    geometries : of the layers
    shared : of the array that all layers share, or None where a PE serves one layer
    """
    layers = faults.column("layer")
    for layer in np.unique(layers):
        known = shared if layer == SHARED_LAYER else _layer(geometries, int(layer))
        if known is None:
            raise InputError("fault", f"a layer in 0..{len(geometries) - 1}", int(layer), "see the design")
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
    faults: PeFaultList, places: tuple[int, int, int, tuple[int, ...]], kind: PeFaultKind, shared: bool
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
