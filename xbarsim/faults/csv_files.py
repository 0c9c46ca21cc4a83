"""Lists of faults as CSV files: a line with the columns' names, then a fault a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xbarsim.errors import InputError
from xbarsim.files import read_text, write_atomically

T = TypeVar("T")


def write_csv(path: str | Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Write columns of one length; an earlier file survives a failure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))
    return write_atomically(path, lambda temporary: temporary.write_text(text.getvalue()))


def read_csv(path: str | Path, names: Sequence[str], parse: Callable[[str, list[str]], T]) -> list[T]:
    """Read a file that `write_csv` wrote, line by line; blank lines are left out.

    Parameters
    ----------
    names : of the columns
    parse : makes a row of the words of a line; its first argument names the line for errors

    Raises
    ------
    InputError : no such file, not a CSV file, other columns, or what `parse` refuses.
    """
    where = f"fault list {path}"
    text = read_text(path, where, expected="a CSV file that can be read")
    try:
        lines = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise InputError(where, "a CSV file that can be read", str(error)) from error
    if not lines or lines[0] != list(names):
        got = "nothing" if not lines else ",".join(lines[0])[:80]
        raise InputError(where, "the columns " + ",".join(names), got)
    return [parse(f"{where}, line {number}", line) for number, line in enumerate(lines[1:], 2) if line]
