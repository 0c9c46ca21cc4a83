"""Fault primitives in the field's notation, and the classes of them.

``<S/F/R>`` for one cell, ``<Sa;Sv/F/R>`` for an aggressor and a victim: S a state or an operation in a
state, F the state the victim ends in, R what a read returns (``-`` if S does not read). ``<0w1/0/->`` is
the up-transition fault. ``*`` stands for either state of the victim and F ``~`` for its inversion.

Source: Hamdioui et al., MTDT 2002, for the static primitives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

from xbarsim.errors import InputError
from xbarsim.kernels.march import (
    ADDRESS,
    BOTH_AND,
    BOTH_OR,
    DEEP,
    DYNAMIC_WRITE,
    NO_CELL_HIGH,
    NO_CELL_LOW,
    OTHER_CELL,
    READ_DISTURB,
    READ_OP,
    STATIC,
    TOGGLE,
    UNDEFINED,
    WRITE_OP,
)

_SYNTAX = re.compile(r"<(?:([01])(?:([rw])([01]))?;)?([01*])(?:([rw])([01]))?/([01~])/([01-])>")


@dataclass(frozen=True, kw_only=True)
class FaultPrimitive:
    """A fault with its place left open. Make it with `parse_primitive` or a function of this module."""

    name: str
    kind: int = STATIC
    coupled: bool = False
    a_state: int = -1
    a_op: int = -1
    a_level: int = -1
    v_state: int = -1
    v_op: int = -1
    v_level: int = -1
    faulty: int = -1
    read: int = -1
    count: int = 0


def parse_primitive(text: str) -> FaultPrimitive:
    """Parse ``<S/F/R>`` or ``<Sa;Sv/F/R>``.

    >>> parse_primitive("<0w1;1/0/->").coupled
    True
    """
    match = _SYNTAX.fullmatch(text.replace(" ", ""))
    if match is None:
        raise InputError(
            "fault primitive", "<S/F/R> or <Sa;Sv/F/R>", repr(text), "as in <0w1/0/-> or <1;0r0/1/1>"
        )
    a_state, a_op, a_level, v_state, v_op, v_level, faulty, read = match.groups()
    for before, op, level in ((a_state, a_op, a_level), (v_state, v_op, v_level)):
        if op == "r" and before != level:
            raise InputError("fault primitive", "a read that names its state, as 0r0", repr(text))
    if (v_op == "r") != (read != "-") or (a_op and v_op) or (v_state == "*" and not a_op):
        raise InputError(
            "fault primitive", "R only for reads of the victim, one operation in all", repr(text)
        )

    def number(symbol: str | None) -> int:
        return (
            {"~": TOGGLE, "*": -1, "-": -1, None: -1}.get(symbol, -1)
            if symbol not in ("0", "1")
            else int(symbol)
        )

    operations = {"r": READ_OP, "w": WRITE_OP, None: -1}
    return FaultPrimitive(
        name=text,
        coupled=a_state is not None,
        a_state=number(a_state),
        a_op=operations[a_op],
        a_level=number(a_level),
        v_state=number(v_state),
        v_op=operations[v_op],
        v_level=number(v_level),
        faulty=number(faulty),
        read=number(read),
    )


def stuck_at(level: int) -> FaultPrimitive:
    """A cell stuck at 0 (stuck_hrs) or 1 (stuck_lrs): it leaves any other state at once."""
    name = "stuck_hrs" if level == 0 else "stuck_lrs"
    return FaultPrimitive(name=name, v_state=1 - level, faulty=level)


def deep_state(level: int) -> FaultPrimitive:
    """Writing `level` on `level` makes the next write of the other fail; reads in between do not help."""
    return FaultPrimitive(name=f"deep {level}", kind=DEEP, v_state=level)


def dynamic_wdf(level: int, writes: int = 2) -> FaultPrimitive:
    """`writes` writes of `level` on `level` in a row flip the cell; any other operation starts over."""
    return FaultPrimitive(name=f"dWDF{writes} {level}", kind=DYNAMIC_WRITE, v_state=level, count=writes)


def read_disturb(level: int, reads: int) -> FaultPrimitive:
    """The `reads`-th read of `level` in a row flips the cell after it returned the right value."""
    return FaultPrimitive(name=f"RD{reads} {level}", kind=READ_DISTURB, v_state=level, count=reads)


def undefined_state(level: int) -> FaultPrimitive:
    """Writing `level` leaves the cell undefined: every read of it is random until the other is written."""
    return FaultPrimitive(name=f"undefined {level}", kind=UNDEFINED, v_state=level)


def primitive_classes() -> dict[str, tuple[FaultPrimitive, ...]]:
    """Every class by its name; the five address decoder faults are: no cell answers (reads 0, reads 1),
    another cell answers, both cells are accessed and read as wired-AND, as wired-OR.
    """
    bits = (0, 1)
    states = list(product(bits, bits))

    def all_of(template: str, cases: list[tuple[int, ...]]) -> tuple[FaultPrimitive, ...]:
        return tuple(parse_primitive(_fill(template, case)) for case in cases)

    single = {
        "SF": "<x/y/->",
        "TF": "<xwy/x/->",
        "WDF": "<xwx/y/->",
        "RDF": "<xrx/y/y>",
        "DRDF": "<xrx/y/x>",
        "IRF": "<xrx/x/y>",
    }
    classes: dict[str, tuple[FaultPrimitive, ...]] = {"SAF": (stuck_at(0), stuck_at(1))}
    classes |= {name: all_of(text, [(x,) for x in bits]) for name, text in single.items()}
    coupled = {"CFst": "<a;x/y/->"} | {
        "CFtr" if n == "TF" else f"CF{n.lower()[:-1]}": f"<a;{t[1:]}" for n, t in single.items() if n != "SF"
    }
    classes |= {name: all_of(text, [(x, a) for a, x in states]) for name, text in coupled.items()}
    disturbing = [f"{a}{op}" for a in bits for op in ("w0", "w1", f"r{a}")]
    classes["CFds"] = tuple(parse_primitive(f"<{s};{v}/{1 - v}/->") for s in disturbing for v in bits)
    classes["CFin"] = tuple(parse_primitive(f"<{s};*/~/->") for s in ("0w1", "1w0"))
    classes["CFid"] = tuple(parse_primitive(f"<{s};{1 - v}/{v}/->") for s in ("0w1", "1w0") for v in bits)
    variants = (NO_CELL_LOW, NO_CELL_HIGH, OTHER_CELL, BOTH_AND, BOTH_OR)
    classes["AF"] = tuple(
        FaultPrimitive(name=f"AF{n}", kind=ADDRESS, count=n, coupled=n >= OTHER_CELL) for n in variants
    )
    classes["deep state"] = tuple(deep_state(level) for level in bits)
    classes["dynamic WDF, n = 2"] = tuple(dynamic_wdf(level) for level in bits)
    return classes


SINGLE_CELL = ("SF", "TF", "WDF", "RDF", "DRDF", "IRF")
TWO_CELL = ("CFst", "CFds", "CFtr", "CFwd", "CFrd", "CFdrd", "CFir")


def _fill(template: str, case: tuple[int, ...]) -> str:
    text = template.replace("x", str(case[0])).replace("y", str(1 - case[0]))
    return text.replace("a", str(case[1])) if len(case) > 1 else text
