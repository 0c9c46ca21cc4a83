"""Equal contents have equal digests, and others do not."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from xbarsim.digests import content_digest, file_digest
from xbarsim.errors import InputError


@dataclass(frozen=True)
class Point:
    x: float
    y: object = None


@dataclass(frozen=True)
class Place:
    x: float
    y: object = None


class Colour(Enum):
    red = 1
    blue = 2


class Number(IntEnum):
    red = 1


DIFFERENT = [
    1, 1.0, True, "1", b"1", None, 0.0, -0.0, float("nan"), Fraction(1, 2), "", (), {}, (1,), ((1,),), (1, 1),
    ("a", "b"), ("ab",), ("a' ", "b"), {"a": 1}, {"a": 1.0}, {"b": 1}, {1: "a"}, {"a": 1, "b": 2},
    {"a": 2, "b": 1}, Point(1.0), Point(1), Place(1.0), Point(1.0, Point(1.0)), Colour.red, Colour.blue,
    Number.red, np.zeros(3), np.zeros(4), np.zeros((3, 1)), np.zeros((1, 3)), np.zeros(3, np.float32),
    np.zeros(3, np.int64), np.zeros((0, 3)), np.zeros((3, 0)), np.array(["a"]), np.array([b"a"]),
    np.array([None], object),
]  # fmt: skip


def test_different_contents_have_different_digests():
    digests = [content_digest(thing) for thing in DIFFERENT]
    for (a, one), (b, other) in combinations(zip(DIFFERENT, digests, strict=True), 2):
        assert one != other, (a, b)
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)


def test_equal_contents_have_equal_digests():
    array = np.arange(12.0).reshape(3, 4)
    assert content_digest(array) == content_digest(np.asfortranarray(array)) == content_digest(array.copy())
    assert content_digest(array[:, ::2]) == content_digest(array[:, ::2].copy())
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})
    assert content_digest((1, 2)) == content_digest([1, 2])
    assert content_digest(Point(1.0, (1, 2))) == content_digest(Point(1.0, [1, 2]))
    assert content_digest(np.float32(1)) != content_digest(1.0)


def test_a_digest_stays_what_it_is():
    """Stores name their tasks by it, whatever the process and the version of Python."""
    assert content_digest({"a": (1, 2.5, None), "b": np.arange(3, dtype="<i8")}) == "95b7a4ac08b1d213"


@pytest.mark.parametrize("thing", [print, object(), {1, 2}, [lambda: 0], {"a": range(3)}, 1j])
def test_contents_that_are_not_known_are_refused(thing):
    with pytest.raises(InputError, match="contents: expected arrays, dataclasses and plain values, got"):
        content_digest(thing)


def test_files_and_folders_are_told_by_names_and_contents(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "a").write_bytes(b"1")
        (folder / "b").write_bytes(b"2")
    assert file_digest(one) == file_digest(other)
    assert file_digest(one / "a") == file_digest(other / "a") != file_digest(one / "b")
    (other / "b").rename(other / "c")
    assert file_digest(one) != file_digest(other)
    (other / "c").rename(other / "b")
    (other / "b").write_bytes(b"3")
    assert file_digest(one) != file_digest(other)


def test_nothing_has_no_digest(tmp_path):
    with pytest.raises(InputError, match="a file or a folder, got nothing there"):
        file_digest(tmp_path / "nothing")
