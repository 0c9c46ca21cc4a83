"""March tests in the field's notation, and back.

An element is an address order and the operations on every address in turn: ``⇑(r0,w1)``. For keyboards
``^`` ascends, ``v`` descends and ``|`` leaves the order open. Levels above 1 address multi-level cells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xbarsim.errors import InputError, check_int

ASCENDING, DESCENDING, EITHER = "⇑", "⇓", "⇕"
_ORDERS = {"⇑": "⇑", "↑": "⇑", "^": "⇑", "⇓": "⇓", "↓": "⇓", "v": "⇓", "⇕": "⇕", "↕": "⇕", "|": "⇕"}
ORDERS = tuple(symbol for symbol in _ORDERS if symbol != "v")  # no test's name begins so
_OPERATION = re.compile(r"([rw])(\d{1,2})")


@dataclass(frozen=True)
class Operation:
    """A read that expects a level, or a write of one."""

    kind: str
    level: int

    def __str__(self) -> str:
        return f"{self.kind}{self.level}"


@dataclass(frozen=True)
class MarchElement:
    """Operations that are applied to every address, in one order."""

    order: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        return f"{self.order}({','.join(map(str, self.operations))})"


@dataclass(frozen=True)
class MarchTest:
    """A named sequence of March elements."""

    name: str
    elements: tuple[MarchElement, ...]

    def __post_init__(self) -> None:
        check_int(f"March test {self.name!r}: reads", self.reads, 1, 64, "a read shows what a test finds")

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All operations on one address, in order."""
        return tuple(op for element in self.elements for op in element.operations)

    @property
    def writes(self) -> int:
        """Writes per cell."""
        return sum(op.kind == "w" for op in self.operations)

    @property
    def reads(self) -> int:
        """Reads per cell."""
        return sum(op.kind == "r" for op in self.operations)

    @property
    def top(self) -> int:
        """Highest level that it names."""
        return max(op.level for op in self.operations)

    def check_consistent(self) -> None:
        """Refuse a test that would call a healthy memory faulty.

        Raises
        ------
        InputError : a read before any write, or one that expects another level than was written last.
        """
        held: int | None = None
        for operation in self.operations:
            if operation.kind == "w":
                held = operation.level
            elif operation.level != held:
                expected = "a write before the first read" if held is None else f"r{held} after w{held}"
                raise InputError(f"March test {self}", expected, str(operation), "correct the notation")

    def __str__(self) -> str:
        return "; ".join(map(str, self.elements))


def parse_march(text: str, *, name: str = "") -> MarchTest:
    """Parse the notation; a test without a name is called by its notation.

    Raises
    ------
    InputError : what cannot be read, with its place.

    >>> test = parse_march("|w0; ^(r0,w1); v(r1,w0)", name="MATS+")
    >>> print(test, test.writes, test.reads)
    ⇕(w0); ⇑(r0,w1); ⇓(r1,w0) 3 2
    """
    body = text.strip().removeprefix("{").removesuffix("}").strip().rstrip(";")
    elements = [_element(part, place + 1) for place, part in enumerate(body.split(";"))]
    return MarchTest(name or "; ".join(map(str, elements)), tuple(elements))


def _element(text: str, place: int) -> MarchElement:
    where = f"March test, element {place}"
    stripped = text.strip()
    order = _ORDERS.get(stripped[:1])
    if order is None:
        raise InputError(where, "an order ⇑ ⇓ ⇕ (or ^ v |) first", repr(stripped), "as in '|w0; ^(r0,w1)'")
    inner = stripped[1:].strip()
    if inner.startswith("(") != inner.endswith(")"):
        raise InputError(where, "a closed bracket", repr(stripped))
    operations = []
    for part in inner.strip("()").split(","):
        match = _OPERATION.fullmatch(part.strip())
        if match is None or int(match[2]) > 15:
            raise InputError(
                where, "operations r or w with a level 0..15", repr(part.strip()), "as in 'r0,w1'"
            )
        operations.append(Operation(match[1], int(match[2])))
    return MarchElement(order, tuple(operations))
