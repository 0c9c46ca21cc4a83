"""Arguments and fields against their annotations: what passes, what it becomes, what is said."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import pytest

from xbarsim.errors import InputError
from xbarsim.hints import admit, check_fields, checked


class Drawn(Protocol):
    """Something that draws."""

    def draw(self, count: int) -> int: ...


class Pencil:
    def draw(self, count):
        return count


@dataclass(frozen=True, kw_only=True)
class Setting:
    bits: int
    scale: float = 1.0
    layers: tuple[int, ...] = ()
    known: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, unknown=("known",))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (3, int),
        (np.int16(3), int),
        (3, float),
        (np.float32(0.5), float),
        (True, bool),
        ("x", str),
        (None, int | None),
        ("a", Literal["a", "b"]),
        ((1, 2), tuple[int, ...]),
        ([1.0], Sequence[float]),
        (np.zeros(2), Sequence[float]),
        ({1, 2}, Iterable[int]),
        ({"a": 1}, Mapping[str, float]),
        (len, Callable[[Any], int]),
        (Pencil(), Drawn),
        (object(), Any),
        ((3, "x"), tuple[int, str]),
    ],
)
def test_values_of_the_kind_pass(value, hint):
    assert admit("it", value, hint) is value or admit("it", value, hint) == value


@pytest.mark.parametrize(
    ("value", "hint", "words"),
    [
        (True, int, "an integer, got True"),
        (3.0, int, "an integer, got 3.0"),
        ("3", float, "a finite number, got '3'"),
        (float("nan"), float, "a finite number, got nan"),
        (10**400, float, "a finite number, got 1000"),
        (np.array(1), int, "an integer, got ndarray"),
        (1, bool, "True or False, got 1"),
        (b"x", str, "text, got b'x'"),
        ("c", Literal["b", "a"], "one of a, b, got 'c'"),
        ("ab", Sequence[str], "a list of: text, got 'ab'"),
        ([1, "2"], Sequence[int], r"a list of: an integer, got \[1, '2'\]"),
        ((1, 2, 3), tuple[int, str], "a list of: an integer, text"),
        (pd.DataFrame({"a": [1]}), Sequence[Pencil], "a list of: a Pencil, got DataFrame"),
        ({"a": "b"}, Mapping[str, float], "a mapping of text to a finite number"),
        (Pencil, Drawn, "a Drawn"),
        (object(), Drawn, "a Drawn, got object"),
        (3, str | None, "text or None, got 3"),
        (3, Callable[[], int], "got 3"),
    ],
)
def test_other_values_are_refused_in_one_line(value, hint, words):
    with pytest.raises(InputError, match=f"^it: expected .*{words}"):
        admit("it", value, hint)


def test_fields_become_pythons_own():
    made = Setting(bits=np.int64(3), scale=np.float32(0.5), layers=[np.int8(1), 2])
    assert made == Setting(bits=3, scale=0.5, layers=(1, 2))
    assert [type(made.bits), type(made.scale), type(made.layers[0])] == [int, float, int]


def test_fields_are_named_by_their_class():
    with pytest.raises(InputError, match=r"^Setting\.bits: expected an integer, got None$"):
        Setting(bits=None)


def test_only_unknown_numbers_may_be_nan():
    assert np.isnan(Setting(bits=1, known=float("nan")).known)
    with pytest.raises(InputError, match=r"Setting\.scale: expected a finite number, got nan"):
        Setting(bits=1, scale=float("nan"))


def test_arguments_are_checked_wherever_they_stand():
    @checked
    def shares(*parts: float, of: int = 1, **more: Any) -> list[float]:
        return [part / of for part in parts]

    assert shares(1, np.float64(2), of=2, other="x") == [0.5, 1.0]
    with pytest.raises(InputError, match="parts: expected a finite number, got '2'"):
        shares(1, "2")
    with pytest.raises(InputError, match=r"of: expected an integer, got 0\.5"):
        shares(1, of=0.5)


def test_too_few_and_too_many_arguments_are_pythons_own_mistake():
    @checked
    def one(value: int) -> int:
        return value

    assert one.__name__ == "one"
    for wrong in ((), (1, 2)):
        with pytest.raises(TypeError, match="argument"):
            one(*wrong)
