"""Names of things, as command lines and files say them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

import xbarsim.registry
from xbarsim.errors import InputError, check_int
from xbarsim.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Corner:
    """How corners are cut."""

    radius_mm: float = 0.0
    bevels: int = 1

    def __post_init__(self):
        check_int("Corner.bevels", self.bevels, 1, 4)


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A plate of metal.

    More than one sentence.
    """

    side_mm: float
    holes: tuple[int, ...] = ()
    colour: Literal["red", "blue"] = "red"
    label: str | None = None
    polished: bool = False
    corner: Corner = field(default_factory=Corner)


@dataclass(frozen=True, kw_only=True)
class Ring:
    """A ring with words of its own."""

    size: int = 7

    @property
    def words(self):
        return f"ring of size {self.size}"


def small_plate():
    """A small plate."""
    return Plate(side_mm=1.0, corner=Corner(bevels=2))


@pytest.fixture
def shapes():
    found = Registry("shape", {"corner": f"{__name__}:Corner", "small": f"{__name__}:small_plate"})
    found.register("plate")(Plate)
    found.register("ring")(Ring)
    return found


def test_names_are_built_in_ones_then_added_ones(shapes):
    assert shapes.names == ("corner", "small", "plate", "ring")
    assert shapes.entry("corner") is Corner and shapes.entry("plate") is Plate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plate:side_mm=2", Plate(side_mm=2.0)),
        (" plate : side_mm = 2 , polished = true ", Plate(side_mm=2.0, polished=True)),
        ("plate:side_mm=1e-3,holes=1+2+3", Plate(side_mm=0.001, holes=(1, 2, 3))),
        ("plate:side_mm=2,holes=5", Plate(side_mm=2.0, holes=(5,))),
        ("plate:side_mm=2,holes=", Plate(side_mm=2.0)),
        ("plate:side_mm=2,label=none", Plate(side_mm=2.0)),
        ("plate:side_mm=2,label=7", Plate(side_mm=2.0, label="7")),
        ("plate:side_mm=2,corner.bevels=3", Plate(side_mm=2.0, corner=Corner(bevels=3))),
        ("small", small_plate()),
        ("small:corner.radius_mm=2", Plate(side_mm=1.0, corner=Corner(bevels=2, radius_mm=2.0))),
        ("small:colour=blue", Plate(side_mm=1.0, colour="blue", corner=Corner(bevels=2))),
        ("ring", Ring()),
    ],
)
def test_words_become_objects(shapes, text, expected):
    found = shapes.parse(text)
    assert found == expected
    assert all(type(a) is type(b) for a, b in zip(vars(found).values(), vars(expected).values(), strict=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plaet", "shape: expected one of corner, plate, ring, small, got 'plaet'"),
        ("", "shape: expected one of .*, got ''"),
        ("plate", "shape plate: expected a value for side_mm, got none"),
        ("plate:side_mm", "shape 'plate:side_mm': expected name:field=value,field=value, got 'side_mm'"),
        ("plate:side_mm=1,side_mm=2", "got a field twice"),
        ("plate:side=1", "shape plate: expected fields side_mm, holes, colour, .*, got 'side'"),
        ("plate:side_mm=wide", "shape plate, side_mm: expected .*number.*, got 'wide'"),
        ("plate:side_mm=1,colour=green", "shape plate, colour: expected 'red' or 'blue', got 'green'"),
        ("plate:side_mm=1,holes=1+a", "shape plate, holes: expected .*integer"),
        ("plate:side_mm=1,corner.bevels=9", r"Corner.bevels: expected an integer in 1\.\.4, got 9"),
        (
            "plate:side_mm=1,corner.wide=9",
            "shape plate, corner: expected fields radius_mm, bevels, got 'wide'",
        ),
        ("plate:side_mm=1,side_mm.x=9", "shape plate, side_mm: expected"),
        ("ring:size=1.5", "shape ring, size: expected .*integer.*, got '1.5'"),
        ("ring:size=none", "shape ring, size: expected .*integer.*, got 'none'"),
    ],
)
def test_mistakes_are_one_line_that_names_the_field(shapes, text, words):
    with pytest.raises(InputError, match=words) as raised:
        shapes.parse(text)
    assert "\n" not in str(raised.value)


def test_values_of_files_have_their_types_already(shapes):
    values = {"side_mm": 2, "holes": [1, 2], "corner.bevels": 2}
    found = shapes.make("plate", values, strict=True)
    assert found == Plate(side_mm=2.0, holes=(1, 2), corner=Corner(bevels=2))
    for name, value in (
        ("side_mm", "2"),
        ("polished", 1),
        ("holes", "1+2"),
        ("holes", ["1"]),
        ("side_mm", True),
    ):
        with pytest.raises(InputError, match=f"shape plate, {name}: expected"):
            shapes.make("plate", {"side_mm": 2.0, name: value}, strict=True)
    assert shapes.make("plate", {"side_mm": 2.0, "label": "none"}, strict=True).label == "none"


def test_a_part_can_be_an_object_and_have_fields_set_too(shapes):
    values = {"side_mm": 2.0, "corner": Corner(radius_mm=1.0), "corner.bevels": 2}
    assert shapes.make("plate", values).corner == Corner(radius_mm=1.0, bevels=2)


def test_a_name_is_registered_once(shapes):
    with pytest.raises(InputError, match="shape 'ring': expected a name of its own, got one that is taken"):
        shapes.register("ring")(Corner)
    with pytest.raises(InputError, match="one that is taken"):
        shapes.register("corner")(Plate)
    shapes.register("ring")(Ring)  # a module that is run again
    assert shapes.names.count("ring") == 1


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "a=b", "a/b", "a\n"])
def test_names_that_a_command_line_could_not_say_are_refused(shapes, name):
    with pytest.raises(InputError, match="a name without blanks"):
        shapes.register(name)(Corner)


def test_descriptions_have_every_field_and_words_those_that_differ(shapes):
    plate = Plate(side_mm=2.5, holes=(1, 2), corner=Corner(bevels=3))
    assert shapes.describe(plate) == {
        "name": "plate",
        "side_mm": 2.5,
        "holes": [1, 2],
        "colour": "red",
        "label": None,
        "polished": False,
        "corner": {"radius_mm": 0.0, "bevels": 3},
    }
    assert shapes.words(plate) == "plate, side_mm 2.5, holes (1, 2), corner.bevels 3"
    assert shapes.words(Corner()) == "corner"
    assert shapes.words(Ring(size=3)) == "ring of size 3"
    with pytest.raises(InputError, match="shape: expected a dataclass, whose fields describe it, got int"):
        shapes.describe(5)


def test_unregistered_classes_are_called_by_their_own_name():
    assert Registry("shape").describe(Ring())["name"] == "Ring"


def test_descriptions_make_the_same_object_again(shapes):
    plate = Plate(side_mm=2.5, holes=(1,), label="x")
    fields = {name: value for name, value in shapes.describe(plate).items() if name not in ("name", "corner")}
    assert shapes.make("plate", fields, strict=True) == plate


def test_fields_and_docstrings_are_shown(shapes):
    assert shapes.fields("plate") == {
        "side_mm": "(needed)",
        "holes": "",
        "colour": "red",
        "label": "None",
        "polished": "False",
        "corner": "...",
    }
    assert shapes.fields("small")["side_mm"] == "1"
    assert shapes.about("plate") == "A plate of metal."


def test_a_class_whose_hints_cannot_be_resolved_is_refused_in_one_line(shapes):
    @shapes.register("odd")
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        size: Nowhere = 1  # noqa: F821

    with pytest.raises(InputError, match=r"annotations that can be resolved, got .*Nowhere"):
        shapes.parse("odd:size=2")
    assert shapes.parse("odd") == Odd()


def test_fields_that_hold_lists_are_known(shapes):
    assert shapes.list_fields("plate") == {"holes"} == shapes.list_fields("small")
    assert shapes.list_fields("ring") == set()


@pytest.mark.parametrize("kind", ["accelerators", "fault_models", "detectors", "repairs"])
def test_everything_built_in_is_there_and_described(kind):
    registry = getattr(xbarsim.registry, kind)
    for name in registry.names:
        fields = registry.fields(name)
        assert registry.about(name)
        if "(needed)" not in fields.values():
            made = registry.parse(name)
            assert registry.describe(made) and registry.words(made)
