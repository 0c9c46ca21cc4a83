"""What a network is given: one array, or several in order or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.arrays import as_array, check_array
from xbarsim.errors import InputError


class Batch(tuple):
    """The arrays (N, ...) of a network with several inputs: as long as one of them, cut as one."""

    def __len__(self) -> int:
        return len(tuple.__getitem__(self, 0))

    def __getitem__(self, place: Any) -> Any:
        """These of the N inputs, of every array."""
        return Batch(part[place] for part in self)

    def part(self, place: int) -> NDArray:
        """One of the arrays."""
        return tuple.__getitem__(self, place)


def part_of(x: NDArray | Batch, place: int) -> NDArray:
    """What one of the network's inputs reads of a batch."""
    return x.part(place) if isinstance(x, Batch) else x


def in_order(inputs: Any, names: Sequence[str], where: str = "inputs") -> list[Any]:
    """A network's inputs in the order of its own, given as one array, a tuple, or a dict by name.

    Raises
    ------
    InputError : too many, too few, other names.
    """
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            got = ", ".join(map(str, inputs)) or "none"
            raise InputError(where, f"arrays by the names {', '.join(names)}", got)
        return [inputs[name] for name in names]
    given = list(inputs) if isinstance(inputs, tuple) else [inputs]
    if len(given) != len(names):
        expected = "one array" if len(names) == 1 else f"{len(names)} arrays: a tuple, or a dict by name"
        raise InputError(where, expected, len(given), ", ".join(names))
    return given


def check_raw(name: str, values: Any, shape: tuple[int, ...], dtype: str) -> NDArray:
    """Return tokens, masks or floats (N, *shape) in the type that the network takes.

    Raises
    ------
    InputError : another shape, numbers of another kind, numbers that are not finite.
    """
    where, kind = f"input {name!r}", np.dtype(dtype).kind
    found = as_array(where, values)
    if kind == "b" and found.dtype.kind == "b":
        return check_array(where, found.astype(np.uint8), ("N", *shape)).astype(bool)
    kinds = {"b": "iu", "i": "iu", "u": "iu", "f": "fiu"}[kind]
    return check_array(where, found, ("N", *shape), kinds=kinds).astype(dtype)


def same_length(parts: Sequence[NDArray]) -> Batch:
    """Arrays of the same number of inputs as a batch.

    Raises
    ------
    InputError : other numbers of them.
    """
    lengths = sorted({len(part) for part in parts})
    if len(lengths) > 1:
        raise InputError("inputs", "as many of every input", " and ".join(map(str, lengths)))
    return Batch(parts)
