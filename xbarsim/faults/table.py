"""Faults as the columns of a table: what tables of cells, of processing elements and of neurons share.

A table holds arrays whose first axis counts the faults. It is immutable: every change gives a new one. The
three kinds of table are final; each says what its columns are, what a single fault of it is, and which faults
of a merged table stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.arrays import INTEGERS, as_array
from xbarsim.errors import InputError, check_choice

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]
F = TypeVar("F")
MOST = 2**62


class FaultTable(ABC, Generic[F]):
    """Many faults, on one chip or each alone on one of its own."""

    KINDS: ClassVar[type[IntEnum]]

    @abstractmethod
    def columns(self) -> dict[str, NDArray]:
        """Return the fields of all faults by name, (faults,) each, with the codes of the kinds."""

    @abstractmethod
    def save(self, path: str | Path) -> Path:
        """Write a file; an earlier one survives a failure."""

    @abstractmethod
    def check(self, geometry: Any) -> None:
        """Refuse faults that these places do not have.

        Raises
        ------
        InputError : places of another kind, or a fault without a place there.
        """

    @property
    @abstractmethod
    def _parts(self) -> tuple[NDArray, ...]:
        """The arrays that hold the faults."""

    @property
    @abstractmethod
    def _codes(self) -> NDArray:
        """(faults,): the codes of the kinds."""

    @abstractmethod
    def _with(self, *parts: NDArray) -> Self:
        """A table of the same chip that holds these arrays."""

    @abstractmethod
    def _fault(self, *fields: Any) -> F:
        """One fault from a row of `columns`."""

    @abstractmethod
    def _places(self, chosen: Any) -> Any:
        """Which rows `take` takes, in which order."""

    @abstractmethod
    def _remaining(self, parts: Sequence[NDArray], older: int) -> NDArray | slice:
        """Which rows of two tables, one behind the other, are left; the first one has so many."""

    @abstractmethod
    def _check_alike(self, other: Self) -> None:
        """Refuse a table of another chip."""

    def __len__(self) -> int:
        return len(self._parts[0])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FaultTable) or type(self) is not type(other):
            return NotImplemented
        try:
            self._check_alike(other)
        except InputError:
            return False
        return all(np.array_equal(a, b) for a, b in zip(self._parts, other._parts, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, place: int) -> F:
        return next(iter(self._with(*(part[[place]] for part in self._parts))))

    def __iter__(self) -> Iterator[F]:
        """Yield every fault as an object."""
        for row in zip(*(column.tolist() for column in self.columns().values()), strict=True):
            yield self._fault(*row)

    def column(self, name: str) -> NDArray:
        """Return one field of every fault, (faults,)."""
        return self.columns()[check_choice("column", name, self.columns())]

    def take(self, chosen: NDArray) -> Self:
        """Return the faults at these places, or where a mask holds."""
        found = as_array("faults to take", chosen)
        if found.dtype.kind == "b":
            if found.shape != (len(self),):
                raise InputError("faults to take", f"a mask ({len(self)},)", str(found.shape))
        else:
            found = integers("faults to take", found)
            if len(found) and not -len(self) <= found.min() <= found.max() < len(self):
                got = f"{found.min()}..{found.max()}"
                raise InputError("faults to take", f"places in 0..{len(self) - 1}", got)
        places = self._places(found)
        return self._with(*(part[places] for part in self._parts))

    def each(self) -> list[Self]:
        """Return every fault in a table of its own."""
        return [self._with(*(part[i : i + 1] for part in self._parts)) for i in range(len(self))]

    def merge(self, other: Self) -> Self:
        """Return both tables' faults, this one's first.

        Where places hold one fault only, a permanent one wins over a soft one, else `other` wins.

        Raises
        ------
        InputError : tables of different chips, or of different kinds.
        """
        if type(self) is not type(other):
            raise InputError("faults to merge", type(self).__name__, type(other).__name__)
        self._check_alike(other)
        parts = [np.concatenate(pair) for pair in zip(self._parts, other._parts, strict=True)]
        places = self._remaining(parts, len(self))
        return self._with(*(part[places] for part in parts))

    def counts(self) -> dict[str, int]:
        """Return how many faults there are of each kind that occurs, by its name."""
        found = {kind.name: int(np.count_nonzero(self._codes == kind)) for kind in self.KINDS}
        return {name: count for name, count in found.items() if count}

    def to_frame(self) -> pd.DataFrame:
        """Return the table, with the kinds by name."""
        import pandas as pd

        return pd.DataFrame(self.named_columns())

    def named_columns(self) -> dict[str, Any]:
        """Return the columns, with the kinds by name."""
        columns: dict[str, Any] = self.columns()
        return {**columns, "kind": [self.KINDS(code).name for code in columns["kind"].tolist()]}

    def _check_kinds(self) -> None:
        """Refuse a kind that there is not."""
        unknown = ~np.isin(self._codes, list(self.KINDS))
        if unknown.any():
            names = "a kind of " + ", ".join(kind.name for kind in self.KINDS)
            raise InputError("fault", names, int(self._codes[unknown][0]))


def rows_of(where: str, faults: Iterable[Any], kind: type) -> list[Any]:
    """Return single faults as a list; refuses what is none.

    Raises
    ------
    InputError : nothing that can be listed, or other things than faults of this kind.
    """
    if not isinstance(faults, Iterable) or isinstance(faults, (str, bytes)):
        raise InputError(where, f"a list of {kind.__name__}", repr(faults)[:60])
    rows = list(faults)
    for row in rows:
        if not isinstance(row, kind):
            raise InputError(where, f"a {kind.__name__}", repr(row)[:60])
    return rows


def several(faults: Any) -> Iterable[Any]:
    """Return the faults of many chips as they came; refuses what cannot be listed, and a single table."""
    if isinstance(faults, (FaultTable, str, bytes, type)) or not isinstance(faults, Iterable):
        raise InputError("faults", "several tables of faults", type(faults).__name__, "put it into a list")
    return faults


def integers(where: str, values: ArrayLike) -> IntArray:
    """Return a column (n,) of integers; a single number is a column of one.

    Raises
    ------
    InputError : other numbers, or more axes.
    """
    array = np.atleast_1d(as_array(where, values))
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in INTEGERS:
        raise InputError(where, "a column of integers", f"{array.dtype} of shape {array.shape}")
    if array.max() > MOST:
        raise InputError(where, f"integers of at most {MOST}", int(array.max()))
    return array.astype(np.int64)


def kind_codes(where: str, kinds: type[IntEnum], given: ArrayLike) -> IntArray:
    """Return the codes (n,) of kinds that are given by name or by code.

    Raises
    ------
    InputError : an unknown name or code.
    """
    found = np.atleast_1d(as_array(where, given))
    known: set[object] = set(kinds.__members__)
    if found.ndim != 1 or found.dtype.kind != "U":
        found, known = integers(where, found), set(kinds)
    unknown = sorted(set(found.tolist()) - known)
    if unknown:
        raise InputError(where, "one of " + ", ".join(kinds.__members__), repr(unknown[0]))
    codes = [kinds[str(name)] for name in found] if found.dtype.kind == "U" else found
    return np.array(codes, np.int64)


def spread(where: str, columns: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Return columns of one length: single values spread over the others.

    Raises
    ------
    InputError : columns of several lengths.
    """
    try:
        return dict(zip(columns, np.broadcast_arrays(*columns.values()), strict=True))
    except ValueError as error:
        raise InputError(where, "columns of one length", str(error)) from error


def check_columns(where: str, given: Mapping[str, Any], needed: Sequence[str], known: Sequence[str]) -> None:
    """Refuse columns that a table does not have, and too few of them."""
    unknown, missing = [n for n in given if n not in known], [n for n in needed if n not in given]
    if unknown:
        raise InputError(where, "the columns " + ", ".join(known), ", ".join(unknown))
    if missing:
        raise InputError(where, "the columns " + ", ".join(needed), "no " + ", ".join(missing))
