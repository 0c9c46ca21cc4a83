"""Wording of errors, and checks of single values.

Every mistake in what a user hands in becomes one `InputError`: where, what was expected, what came,
what to do. The command line prints it as one line and ends with exit code 2.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Iterable
from math import inf, isfinite, nan
from numbers import Integral, Real

LINE = 1000
BREAK = re.compile(r"\s*[\t\n\v\f\r\x85\u2028\u2029]\s*")
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # Unicode: controls, directions, halves, private, line ends


def printable(text: str, most: int = LINE) -> str:
    r"""Return somebody's text as one line that steers no terminal: controls shown, its length bounded.

    >>> print(printable(f"layer{chr(27)}[31m one"))
    layer\x1b[31m one
    """
    found = text[: 4 * most]
    if not found.isprintable():
        found = "".join(_seen(letter) for letter in BREAK.sub(" ", found))
    if len(found) <= most and len(text) <= 4 * most:
        return found
    return f"{found[: most - 40]}... ({len(text):,} characters)"


def _seen(letter: str) -> str:
    return letter.encode("unicode_escape").decode() if unicodedata.category(letter) in UNSEEN else letter


class InputError(ValueError):
    """A mistake in the user's input, worded as "where: expected E, got G; remedy".

    Attributes
    ----------
    where, expected, got, remedy : its parts, as text; no remedy is empty

    >>> raise InputError("AdcConfig.bits", "1..24", 40)
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: AdcConfig.bits: expected 1..24, got 40
    """

    def __init__(self, where: str, expected: str, got: object, remedy: str = "") -> None:
        self.where, self.expected, self.got, self.remedy = (
            printable(words.strip(), most)
            for words, most in ((where, 600), (expected, 1000), (str(got), 200), (remedy, 600))
        )
        text = f"{self.where}: expected {self.expected}, got {self.got}"
        super().__init__(text + (f"; {self.remedy}" if self.remedy else ""))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str, str]]:
        return InputError, (self.where, self.expected, self.got, self.remedy)

    def at(self, where: str) -> InputError:
        """Return the same mistake, found at a place that holds this one's: 'campaign.toml, line 3'."""
        return InputError(f"{where}: {self.where}", self.expected, self.got, self.remedy)


def check_int(where: str, value: object, low: int, high: int, remedy: str = "") -> int:
    """Return `value` as an int if it is one in [low, high]; raise `InputError` otherwise."""
    number = operator.index(value) if is_integer(value) else None  # type: ignore[arg-type]
    if number is None or not low <= number <= high:
        raise InputError(where, f"an integer in {low}..{high}", repr(value)[:60], remedy)
    return number


def check_number(where: str, value: object, low: float, high: float, remedy: str = "") -> float:
    """Return `value` as a float if it is a finite number in [low, high]; raise `InputError` otherwise."""
    number = _number(value)
    if not low <= number <= high or not isfinite(number):
        raise InputError(where, f"a finite number in {low:g}..{high:g}", repr(value)[:60], remedy)
    return number


def is_integer(value: object) -> bool:
    """Whether it is an integer, Python's or numpy's; truth values and arrays are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a real number, Python's or numpy's; truth values and arrays are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_type(where: str, value: object, kind: type, remedy: str = "") -> None:
    """Refuse a value that is not of this class."""
    if not isinstance(value, kind):
        raise InputError(where, f"a {kind.__name__}", repr(value)[:60], remedy)


def check_rate(where: str, value: object) -> float:
    """Return `value` if it is a number in [0, 1]; raise `InputError` otherwise.

    >>> check_rate("rate", 1.2)
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: rate: expected a number in 0..1, got 1.2; 1 % is written 0.01
    """
    number = _number(value)
    if not 0.0 <= number <= 1.0:
        raise InputError(where, "a number in 0..1", repr(value)[:60], "1 % is written 0.01")
    return number


def check_positive(where: str, value: object) -> float:
    """Return `value` if it is a finite number above 0; raise `InputError` otherwise."""
    number = _number(value)
    if not 0.0 < number < inf:
        raise InputError(where, "a finite number above 0", repr(value)[:60])
    return number


def check_choice(where: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; raise `InputError` naming them otherwise."""
    known = sorted(choices)
    if value not in known:
        raise InputError(where, "one of " + ", ".join(known), repr(value)[:60])
    return value


def _number(value: object) -> float:
    """A real number, Python's or numpy's, as a float; NaN for all else: truth values, too, are no numbers."""
    try:
        return float(value) if is_number(value) else nan  # type: ignore[arg-type]
    except OverflowError:  # an integer of more than 308 digits
        return nan
